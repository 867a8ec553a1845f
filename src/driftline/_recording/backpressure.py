"""Who empties the buffers of a recorder: the thread where it keeps up, else the callers, each a share of the work."""

from __future__ import annotations

from collections.abc import Callable

from driftline._binning.layout import Layout
from driftline._recording.buffer import FEWEST_ROWS, FIELDS, WAKE_ROWS, CallBuffer, buffer_rows, shared_rows
from driftline._recording.latencies import LatencyQueue

__all__ = ["Backpressure"]

MAX_PENDING = 16
"""Completed windows that wait to be judged; beyond it whoever drains judges them, so that memory stays fixed."""

HELPED_ROUNDS = 2
"""Rounds of the thread that leave the buffers to callers who do its work: the first may have begun already."""


class Backpressure:
    """
    Has the buffers emptied before they are too full, and the windows judged before there are too many.

    Args:
        layout: what rows are counted by. Where functions of the user's are in their way callers leave it to the thread.
        lane: where rows wait.
        durations: where durations wait to be recorded; None: nobody wants them one by one.
        waiting: how many entries wait in the longest of the buffers.
        share: moves at most so many of each buffer into windows, or sees to it; is told whether it is high time.
        pending: how many completed windows wait to be judged.

    Attributes:
        begin: starts the thread.
        wake: wakes it; None: there is none.
        overdue: has windows judged, and detectors fed, in the caller.
    """

    __slots__ = (
        "_durations",
        "_helping",
        "_lane",
        "_lasting",
        "_most",
        "_pending",
        "_rows",
        "_share",
        "_waiting",
        "begin",
        "overdue",
        "wake",
    )

    def __init__(
        self,
        layout: Layout,
        lane: CallBuffer,
        durations: LatencyQueue | None,
        waiting: Callable[[], int],
        share: Callable[[int, bool], object],
        pending: Callable[[], int],
    ) -> None:
        self._lane, self._durations, self._lasting = lane, durations, not layout.defers
        self._waiting, self._share, self._pending = waiting, share, pending
        self._most, self._rows = buffer_rows(layout.breadth), shared_rows(layout.breadth)
        self.begin: Callable[[], None] | None = None
        self.wake: Callable[[], None] | None = None
        self.overdue: Callable[[], None] | None = None
        self._helping = 0

    def attend(self, begin: Callable[[], None], wake: Callable[[], None] | None, overdue: Callable[[], None]) -> None:
        """Turn to these from now on: see the attributes."""
        self.begin, self.wake, self.overdue = begin, wake, overdue

    def reset(self) -> None:
        """Start anew: the child of a fork."""
        self._helping = 0

    def retire(self) -> None:
        """Another recorder has taken this one's place: its thread and its windows are nobody's any more."""
        self.begin = self.wake = self.overdue = None

    @property
    def _threshold(self) -> int:
        """Entries at which callers wake the thread, or do its work where there is none or it does not keep up."""
        return self._rows if self.wake is None or self._helping else min(WAKE_ROWS, self._most // 2)

    def pressed(self) -> bool:
        """Whether so much waits, durations among it, that the thread is about to fall behind."""
        return self._waiting() + self._unrecorded() >= self._threshold

    def _unrecorded(self) -> int:
        return 0 if self._durations is None else len(self._durations)

    def _backlog(self) -> int:
        return max(self._waiting(), self._unrecorded())

    def where_crowded(self) -> None:
        """
        As *relieve*, where so much waits: the long way of a call, the short one looks itself.

        A batch takes the rows that wait along with it, and leaves their durations.
        """
        if self._backlog() * FIELDS >= self._lane.limit:
            self.relieve()

    def relieve(self) -> None:
        """Start the thread, wake it, or do a share of its work: whatever the number of waiting rows asks for."""
        lane, waiting = self._lane, self._backlog()
        if lane.limit <= 1:
            lane.relieve_at(self._threshold)
            begin = self.begin
            if begin is not None:
                begin()
        wake = self.wake
        if wake is None or self._helping or waiting >= self._most:
            if wake is not None and not self._helping and self._lasting:
                self._helping = HELPED_ROUNDS
            self._help(waiting)
        elif waiting >= self._threshold:
            lane.relieve_at(self._most)
            wake()
        else:
            lane.relieve_at(self._threshold)

    def _help(self, waiting: int) -> None:
        """
        Do a share of the work: rows are binned, and the durations of their calls recorded.

        Rarely and much at once: what is done a little at a time by every few calls drives what they need themselves out
        of the core's cache, and is in the p99 of all calls instead of beyond the p99.9. Callers who have begun to help
        go on for a second: the thread, on another core, would take twice the CPU for what this one has in its cache,
        and the interpreter from it.
        """
        durations = self._durations
        if waiting >= self._rows:
            self._share(self._rows, self._waiting() >= 2 * self._most)
            if durations is not None:
                # Who finds another caller at it goes on, unless that one falls behind.
                durations.report(len(durations), wait=len(durations) >= 2 * self._most)
        # Where a backlog is left, soon again, and not at every call.
        self._lane.relieve_at(max(self._rows, self._lane.rows + FEWEST_ROWS))
        self.tell_overdue()

    def left_to_callers(self) -> bool:
        """Whether a round of the thread leaves the buffers alone: callers are at it, or were a moment ago."""
        if not self._helping:
            return False
        self._helping -= 1
        return True

    def relieved(self) -> None:
        """All that waited has been drained."""
        if self._lane.limit > 1:
            self._lane.relieve_at(self._threshold)

    def tell_overdue(self) -> None:
        """Have windows judged where nobody else would, or does not keep up."""
        overdue = self.overdue
        if overdue is not None and (self.wake is None or self._pending() > MAX_PENDING):
            overdue()
