"""The queue of call durations in front of the histogram, which can only record one at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

__all__ = ["Duration", "LatencyQueue"]

PIECE, PRESSED_PIECE = 16, 64
"""Durations that the worker thread records between two pauses: usually, and while it is pressed."""

PARTS = 3
"""Items of the queue per duration. The queue is flat for the reason given at `driftline._recording.buffer.FIELDS`."""

Duration: TypeAlias = "tuple[float, object, str | None]"
"""Seconds of a call, its OpenTelemetry context, and its error type if it failed."""


class LatencyQueue:
    """
    Durations that are still to be recorded.

    Args:
        record: records some durations, in the order in which the calls ended.
        is_wanted: returns whether there is an SDK to record them.
    """

    __slots__ = ("_is_wanted", "_items", "_lock", "_record")

    def __init__(
        self, record: Callable[[Sequence[Duration]], None], is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        self._record = record
        self._is_wanted = is_wanted
        self.reset()

    def reset(self) -> None:
        """Remove all durations, and renew the lock, as the child of a fork must."""
        self._lock = threading.RLock()
        self._items: deque[Any] = deque()

    def __len__(self) -> int:
        return len(self._items) // PARTS

    def extend(self, durations: Iterable[Duration]) -> bool:
        """Append durations if there is an SDK, and return whether there is: it may be set up late."""
        wanted = self._is_wanted()
        if wanted:
            self._items.extend(chain.from_iterable(durations))
        return wanted

    def report(self, limit: int, *, wait: bool) -> None:
        """
        Record durations, under no lock of the windows: OpenTelemetry's code must not hold it.

        Args:
            limit: the largest number of durations.
            wait: wait for another thread that is recording. A drain before a collection must, or the collection would
                miss the durations of that thread.
        """
        if self._lock.acquire(blocking=wait):
            try:
                pop = self._items.popleft
                durations = [(pop(), pop(), pop()) for _ in range(min(limit, len(self)))]
                if durations:
                    self._record(durations)
            finally:
                self._lock.release()

    def report_all(self, pause: Callable[[], bool] | None) -> None:
        """Record all durations. *pause* is called after each piece, and returns whether the thread is pressed."""
        left, piece = len(self), PIECE
        if pause is None:
            self.report(left, wait=True)
            return
        while left > 0:
            self.report(piece, wait=True)
            left -= piece
            piece = PRESSED_PIECE if pause() else PIECE
