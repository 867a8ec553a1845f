"""The simulated time of the demo, which its events carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driftline.demo.flights import hour_to_date

__all__ = ["DAY_BEGAN", "SIMULATED_HOUR", "SimulatedClock", "date_of"]

SIMULATED_HOUR = "demo.simulated_hour"
"""The name of the demo's gauge of simulated time, in hours since `START`."""

DAY_BEGAN = "demo.day.began"
"""The name of the demo's event at the start of a simulated day. Later events happened on that day."""


def date_of(hour: float) -> float:
    """Return the Unix time, in seconds, at which local clocks show an hour since `START`."""
    return hour_to_date(hour).timestamp()


class SimulatedClock:
    """
    The clock of the log of events: the simulated day of each record.

    Args:
        first: the hour since `START` at which the replay begins.
    """

    def __init__(self, first: int) -> None:
        self._day = date_of(first)

    def __call__(self, name: str, attributes: Mapping[str, Any], seconds: float) -> float:
        """Return the simulated Unix time of a record. Records come in the order of their real times."""
        del seconds
        if name == DAY_BEGAN:
            self._day = date_of(float(attributes[SIMULATED_HOUR]))
        return self._day
