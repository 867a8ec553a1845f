"""Durations on their way to the histogram: one at a time, since that is all the API has, and off the caller's path."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

__all__ = ["Duration", "LatencyQueue"]

PACE, HURRIED_PACE = 16, 64
"""Durations that the thread records between two pauses, and as long as it is pressed."""

PARTS = 3
"""Fields of a duration in the queue of pending ones, in a flat sequence as in `driftline._recording.buffer.FIELDS`."""

Duration: TypeAlias = "tuple[float, object, str | None]"
"""Seconds, the OpenTelemetry context in which the call ran, and the error type of a call that failed."""


class LatencyQueue:
    """
    Durations that wait to be recorded.

    Args:
        record: records some, in the order in which the calls ended.
        wanted: whether anybody listens.
    """

    __slots__ = ("_lock", "_record", "_waiting", "_wanted")

    def __init__(self, record: Callable[[Sequence[Duration]], None], wanted: Callable[[], bool] = lambda: True) -> None:
        self._record = record
        self._wanted = wanted
        self.reset()

    def reset(self) -> None:
        """Forget everything, a lock that another thread held included: the child of a fork starts here."""
        self._lock = threading.RLock()
        self._waiting: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._waiting) // PARTS

    def extend(self, durations: Iterable[Duration]) -> bool:
        """Have some recorded, if anybody listens; whether anybody does. An SDK that is set up late is noticed here."""
        wanted = self._wanted()
        if wanted:
            self._waiting.extend(chain.from_iterable(durations))
        return wanted

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
                following = self._waiting.popleft
                found = [(following(), following(), following()) for _ in range(min(most, len(self)))]
                if found:
                    self._record(found)
            finally:
                self._lock.release()

    def report_all(self, pause: Callable[[], bool] | None) -> None:
        """Record those that wait now, with a pause after every few of them where one is given: see `Throttle`."""
        left, most = len(self), PACE
        if pause is None:
            self.report(left, wait=True)
            return
        while left > 0:
            self.report(most, wait=True)
            left -= most
            most = HURRIED_PACE if pause() else PACE
