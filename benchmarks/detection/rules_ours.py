"""driftline as a user runs it: a reference, a monitor, batches. The one place to change when its interface does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import driftline as dl
from driftline.testing import ManualClock, in_memory_monitor

__all__ = ["DEFAULT", "DEFAULT_EFFECT", "RULES", "SECONDS", "ZERO", "Watch", "fit"]

SECONDS = {"1min": 60.0, "1h": 3_600.0, "1d": 86_400.0}
"""Cadences at which windows end."""

DEFAULT_EFFECT = dl.FalseAlarms().min_effect
"""The least corrected PSI that the default rule calls a drift."""

ZERO, DEFAULT = "least effect 0", "default least effect"
"""What the two rules are called that every stream is watched with: the test alone, and what a user gets."""

RULES: Mapping[str, float | None] = {ZERO: 0.0, DEFAULT: None}
"""Their least effects; None: the default."""


def fit(
    columns: Mapping[str, Any],
    categorical: Sequence[str] = (),
    *,
    joint: bool = False,
    time: Any = None,
    seasons: Sequence[str] = (),
) -> dl.Reference:
    """A reference; *joint* asks for whatever watches features together, *seasons* for profiles of rows at *time*."""
    return dl.Reference.fit(dict(columns), categorical=list(categorical), projections=joint, time=time, seasons=seasons)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one window led to."""

    started: tuple[str, ...]
    """Features that were not drifting before it, and are."""
    drifting: frozenset[str]
    judged: bool
    """Whether any feature had a state other than insufficient_data."""


class Watch:
    """
    A monitor with a budget of one false alarm in thirty days, fed window by window.

    Args:
        reference: what is compared with.
        window: rows of a window, or a stretch of time such as "1d".
        min_effect: least corrected PSI; None: the default.
        every: the cadence of windows of rows, a key of `SECONDS`.
        distances: scored beside the judgement.
        began: UNIX seconds when the first window begins: the hour that rows fall into, for a reference with seasons.
    """

    def __init__(
        self,
        reference: dl.Reference,
        window: int | str,
        min_effect: float | None,
        every: str = "1h",
        distances: Sequence[str] = (),
        began: float = 0.0,
    ) -> None:
        effect = DEFAULT_EFFECT if min_effect is None else min_effect
        self._clock = ManualClock()
        self._seconds = SECONDS[every]
        self._before: frozenset[str] = frozenset()
        asked = dl.Window(rows=window) if isinstance(window, int) else dl.Window(window)
        # min_rows: windows of 100 rows are asked about too.
        least = min(asked.rows or 200, 200)
        self._monitor = in_memory_monitor(
            "evaluation",
            reference=reference,
            window=asked,
            rule=dl.FalseAlarms(1, per="30d", every=every, min_effect=effect, min_rows=least),
            distances=distances,
            clock=self._clock,
            # The rows of a window come in during the time before it ends.
            wall_clock=lambda: began + self._clock() - self._seconds / 2,
        )

    def feed(self, rows: Mapping[str, Any], seconds: float | None = None) -> Seen:
        """Serve rows, by default those of one window, so many seconds after the last ones, and look."""
        self.serve(rows, seconds)
        return self.look()

    def serve(self, rows: Mapping[str, Any], seconds: float | None = None) -> None:
        """Serve rows without looking."""
        self._clock.advance(self._seconds if seconds is None else seconds)
        self._monitor.observe(rows)

    def look(self) -> Seen:
        """Judge what waits to be judged, as a collection of metrics does."""
        status = self._monitor.status()
        drifting = frozenset(name for name, one in status.items() if one.state == "drifting")
        started = tuple(sorted(drifting - self._before))
        self._before = drifting
        return Seen(started, drifting, any(one.state != "insufficient_data" for one in status.values()))

    def p_value(self, feature: str) -> float | None:
        """The p-value of a feature in the last window."""
        return self._monitor.status()[feature].p_value

    def effect(self, feature: str) -> float:
        """The corrected PSI of a feature in the last window; 0 where none was judged."""
        return self._monitor.status()[feature].effect or 0.0

    def reason(self, feature: str) -> str:
        """Why a feature is in its state."""
        return self._monitor.status()[feature].reason

    def close(self) -> None:
        """Leave nothing registered behind."""
        self._monitor.shutdown()
