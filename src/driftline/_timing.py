"""Durations on their way to the histogram: one at a time, since that is all the API has, and off the caller's path."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from driftline._columns import as_floats
from driftline._values import Counts

__all__ = ["DURATION_EDGES", "SHARE", "Duration", "Durations", "count_seconds"]

DURATION_EDGES = np.logspace(-6, 3, 145)
"""Seconds, 1 µs to 1000 s, sixteen bins a decade: a quantile read from them is off by at most 15 %."""

SHARE = 8
"""Durations that a caller records when the buffers are full: 60 µs, no more than a call of the SDK's own can take."""

PACE = 16
"""Durations that the thread records between two pauses."""

Duration: TypeAlias = "tuple[float, object, str | None]"
"""Seconds, the OpenTelemetry context in which the call ran, and the error type of a call that failed."""


def count_seconds(seconds: tuple[float, ...]) -> tuple[Counts, int]:
    """Seconds as counts between `DURATION_EDGES`, shape (edges + 1,), nan left out; and how many were no nan."""
    places = np.searchsorted(DURATION_EDGES, as_floats(seconds), side="right")
    counts = np.bincount(places, minlength=len(DURATION_EDGES) + 1)
    if math.isnan(sum(seconds)):
        counts[-1] -= (missing := sum(map(math.isnan, seconds)))
        return counts, len(seconds) - missing
    return counts, len(seconds)


class Durations:
    """
    Durations that wait to be recorded.

    Args:
        record: records some, in the order in which the calls ended.
    """

    __slots__ = ("_lock", "_record", "_waiting")

    def __init__(self, record: Callable[[Sequence[Duration]], None]) -> None:
        self._record = record
        self.reset()

    def reset(self) -> None:
        """Forget everything, a lock that another thread held included: the child of a fork starts here."""
        self._lock = threading.RLock()
        self._waiting: deque[Duration] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def extend(self, durations: Iterable[Duration]) -> None:
        """Have some recorded."""
        self._waiting.extend(durations)

    def report(self, most: int, *, wait: bool) -> None:
        """
        Record at most so many, under no lock of the windows: OpenTelemetry is not ours to trust with it.

        Args:
            most: how many.
            wait: wait for those that another thread is recording. Who drains before a collection does, else it would
                miss them.
        """
        if self._lock.acquire(blocking=wait):
            try:
                found = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
                if found:
                    self._record(found)
            finally:
                self._lock.release()

    def report_all(self, pause: Callable[[], object] | None) -> None:
        """Record those that wait now, with a pause after every few of them where one is given."""
        if pause is None:
            self.report(len(self._waiting), wait=True)
            return
        for _ in range(-(-len(self._waiting) // PACE)):
            self.report(PACE, wait=True)
            pause()
