"""Increases of counters over the last export intervals, whatever the interval is."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from itertools import pairwise
from typing import Any, TypeVar

__all__ = ["Increases"]

K = TypeVar("K", bound=Hashable)

INTERVALS = 4
"""Export intervals over which increases are taken: fewer would jump, more would lag."""

MAX_SECONDS = 300.0
"""Seconds of history at most: five export intervals of an SDK's default, 60 s."""

MAX_READINGS = 400
"""Readings that are kept at most."""


class Increases:
    """Keeps the readings of counters in which any has changed."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, dict[Any, float]]] = deque(maxlen=MAX_READINGS)

    def add(self, time: float, counts: Mapping[K, float]) -> tuple[Mapping[K, float], float]:
        """
        Add a reading, and return the increases of its counters since a few export intervals ago.

        Args:
            time: Unix time in seconds.
            counts: the counters.

        Returns:
            the increase of each counter, and the seconds in which it came about; nothing and 0 before the second
            export. A counter that is new counts from 0, and one that falls has restarted.
        """
        readings = self._readings
        if not readings or {**counts} != readings[-1][1]:
            readings.append((time, {**counts}))
        while len(readings) > 1 and time - readings[0][0] > MAX_SECONDS:
            readings.popleft()
        if len(readings) < 2:  # noqa: PLR2004 - an increase has two ends
            return {}, 0.0
        chosen = list(readings)[-INTERVALS - 1 :]
        increases = dict.fromkeys(counts, 0.0)
        for (_, before), (_, after) in pairwise(chosen):
            for key in increases:
                earlier, later = before.get(key, 0.0), after.get(key, 0.0)
                increases[key] += later - earlier if later >= earlier else later
        begin, end = chosen[0][0], chosen[-1][0]
        interval = (end - begin) / (len(chosen) - 1)
        # Traffic that has ended shows as a rate that falls.
        return increases, max(end, time - interval) - begin
