"""The queue of call durations in front of the histogram, which can only record one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from driftline._runtime.watched_lock import WatchedLock

__all__ = ["Duration", "DurationQueue"]

PIECE, LARGE_PIECE = 16, 64
"""Durations that the worker thread records between two pauses: usually, and while it is falling behind."""

PARTS = 3
"""Items of the queue per duration. It is flat for the reason that `driftline._recording.buffer.FIELDS` explains."""

Duration: TypeAlias = "tuple[float, object, str | None]"
"""Seconds of a call, its OpenTelemetry context, and its error type if it failed."""


class DurationQueue:
    """
    The durations that are still to be recorded in a histogram, first in, first out.

    Args:
        record: records durations in the histogram.
        is_wanted: returns whether an SDK is set up, which reads the histogram.
        context: returns the OpenTelemetry context of a call, for exemplars.

    Attributes:
        is_wanted: as above.
        context: as above.
        items: the durations, `PARTS` items each. Callers append to it in one step, if durations are wanted.
    """

    __slots__ = ("_lock", "_record", "context", "is_wanted", "items")

    def __init__(
        self,
        record: Callable[[Iterable[Duration]], None],
        is_wanted: Callable[[], bool] = lambda: True,
        context: Callable[[], object] | None = None,
    ) -> None:
        self._record = record
        self.is_wanted = is_wanted
        self.context = context
        self.reset()

    def reset(self) -> None:
        """Remove all durations, and renew the lock, as the child of a fork must."""
        self._lock = WatchedLock()
        self.items: list[Any] = []

    def __len__(self) -> int:
        """Return the number of durations."""
        return len(self.items) // PARTS

    def record(self, limit: int, *, wait: bool) -> None:
        """
        Remove the oldest durations and record them.

        The caller holds no lock of the windows, because OpenTelemetry's code runs here.

        Args:
            limit: record at most this number of durations.
            wait: if another thread is recording, wait for it; if False, return without recording. A drain before a
                collection must wait, or the collection would miss the durations of that thread.
        """
        with self._lock.hold(blocking=wait) as held:
            if held:
                self._record_oldest(min(limit, len(self)))

    def _record_oldest(self, number: int) -> None:
        """Remove the oldest durations and record them. After an interrupt, those that are not recorded remain."""
        items, done = self.items[: number * PARTS], 0

        def durations() -> Iterator[Duration]:
            nonlocal done
            for start in range(0, len(items), PARTS):
                done = start + PARTS
                yield items[start], items[start + 1], items[start + 2]
                self._lock.heartbeat()

        try:
            if items:
                self._record(durations())
                done = len(items)
        finally:
            # In one step, without a call, so that no interrupt comes between.
            del self.items[:done]

    def record_all(self, pause: Callable[[], bool] | None) -> None:
        """
        Record the durations that the queue holds at the start.

        Args:
            pause: called after each piece. It returns True if the thread is falling behind: the next piece is then
                large. If None, all durations are one piece.
        """
        left, piece = len(self), PIECE
        if pause is None:
            self.record(left, wait=True)
            return
        while left > 0:
            self.record(piece, wait=True)
            left -= piece
            piece = LARGE_PIECE if pause() else PIECE
