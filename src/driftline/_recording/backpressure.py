"""The choice of the thread that empties the buffers: the worker thread if it keeps up, else the callers."""

from __future__ import annotations

from collections.abc import Callable

from driftline._recording.buffer import FIELDS, MIN_ROWS, START_LIMIT, WAKE_ROWS, CallBuffer, buffer_rows, share_rows
from driftline._recording.durations import DurationQueue
from driftline._runtime.worker import Worker
from driftline._windows.panes import Panes

__all__ = ["Backpressure"]

HELP_PENDING = 16
"""Completed windows that may wait for the worker thread. If more do, each thread that drains evaluates them too."""

HELPED_ROUNDS = 2
"""Rounds of the worker thread that skip the buffers once callers help. The first may have begun already."""


class Backpressure:
    """
    Keeps the buffers and the queue of completed windows bounded.

    Args:
        panes: the windows. If rows pass through user functions before they are binned, only the worker thread bins.
        buffer: the buffer of single rows.
        durations: the queue of durations. If None, durations are not recorded one by one.
        backlog: returns the number of entries in the longest of the recorder's buffers.
        bin_share: bins rows in the caller's thread. The first argument is the largest number of rows. The second is
            whether the backlog is at least twice its limit.
        worker: the worker thread. If None, callers do all its work.
        on_overdue: evaluates pending windows in the caller's thread. The argument is whether there is a worker thread.
    """

    __slots__ = (
        "_backlog",
        "_bin_share",
        "_buffer",
        "_buffer_rows",
        "_callers_may_bin",
        "_durations",
        "_helped_rounds",
        "_on_overdue",
        "_panes",
        "_share_rows",
        "_worker",
    )

    def __init__(
        self,
        panes: Panes,
        buffer: CallBuffer,
        durations: DurationQueue | None,
        backlog: Callable[[], int],
        bin_share: Callable[[int, bool], object],
        worker: Worker | None,
        on_overdue: Callable[[bool], None] | None,
    ) -> None:
        layout = panes.layout
        self._panes, self._buffer, self._durations = panes, buffer, durations
        self._callers_may_bin = not layout.defers
        self._backlog, self._bin_share = backlog, bin_share
        self._buffer_rows, self._share_rows = buffer_rows(layout.breadth), share_rows(layout.breadth)
        self._worker, self._on_overdue = worker, on_overdue
        self._helped_rounds = 0

    def reset(self) -> None:
        """Let the worker thread bin again, as the child of a fork must."""
        self._helped_rounds = 0

    def retire(self) -> None:
        """Detach the worker thread and the evaluation, because another recorder has replaced this one."""
        self._worker = self._on_overdue = None

    @property
    def worker(self) -> Worker | None:
        """The worker thread, or None if there is none or it has stopped for good."""
        worker = self._worker
        return None if worker is None or worker.stopped else worker

    def start_worker(self) -> None:
        """Start the worker thread, unless it runs."""
        worker = self._worker
        if worker is not None and not worker.running:
            worker.start()

    def is_falling_behind(self) -> bool:
        """Return whether the backlog is so long that the worker thread must not pause for long."""
        return self._backlog() + self._unrecorded() >= self._threshold(self.worker)

    def _threshold(self, worker: Worker | None) -> int:
        """Return the number of entries at which callers wake the worker thread, or bin a share if it is None."""
        return self._share_rows if worker is None or self._helped_rounds else min(WAKE_ROWS, self._buffer_rows // 2)

    def _unrecorded(self) -> int:
        """Return the number of durations in the queue."""
        return 0 if self._durations is None else len(self._durations)

    def _longest(self) -> int:
        """Return the number of pending entries or durations, whichever is larger."""
        return max(self._backlog(), self._unrecorded())

    def relieve_if_crowded(self) -> None:
        """
        Call `relieve` if the longest buffer has reached `CallBuffer.limit`.

        The queue of durations counts as a buffer, because a batch bins the earlier rows but does not record their
        durations. The fast path does not call this: it compares the length itself.
        """
        if self._longest() * FIELDS >= self._buffer.limit:
            self.relieve()

    def relieve(self) -> None:
        """Start the worker thread, wake it, or bin a share in this thread, depending on the length of the backlog."""
        buffer, backlog = self._buffer, self._longest()
        buffer.inspect()
        if buffer.limit <= START_LIMIT:
            buffer.relieve_at(self._threshold(self.worker))
        # Each time: an error may have ended the thread.
        self.start_worker()
        worker = self.worker
        if worker is None or self._helped_rounds or backlog >= self._buffer_rows:
            if worker is not None and not self._helped_rounds and self._callers_may_bin:
                self._helped_rounds = HELPED_ROUNDS
            self._help(backlog)
        elif backlog >= self._threshold(worker):
            buffer.relieve_at(self._buffer_rows)
            worker.wake()
        else:
            buffer.relieve_at(self._threshold(worker))

    def _help(self, backlog: int) -> None:
        """
        Bin a share and record durations if the backlog is at least a share. Then evaluate overdue windows.

        Callers help rarely and by large shares. Small shares in every few calls would evict the data of the calls from
        the cache, and would increase the p99 of all calls. Callers that have begun to help continue for a second. The
        worker thread would take twice the CPU, because the rows are in the cache of the caller's core. It would also
        compete for the interpreter.

        Args:
            backlog: the number of pending entries or durations, whichever is larger.
        """
        durations = self._durations
        if backlog >= self._share_rows:
            self._bin_share(self._share_rows, self._backlog() >= 2 * self._buffer_rows)
            if durations is not None:
                # While another caller records durations this one does not wait, unless that one falls behind.
                durations.record(len(durations), wait=len(durations) >= 2 * self._buffer_rows)
        # If a backlog remains, the next share follows soon, but not at every call.
        self._buffer.relieve_at(max(self._share_rows, self._buffer.rows + MIN_ROWS))
        self.evaluate_overdue()

    def leaves_round_to_callers(self) -> bool:
        """Return whether the worker thread skips the buffers in this round, because callers help. Count the round."""
        if not self._helped_rounds:
            return False
        self._helped_rounds -= 1
        return True

    def on_drained(self) -> None:
        """Set `CallBuffer.limit` to its usual value again."""
        if self._buffer.limit > START_LIMIT:
            self._buffer.relieve_at(self._threshold(self.worker))

    def evaluate_overdue(self) -> None:
        """Evaluate pending windows in this thread, if there is no worker thread or it does not keep up."""
        on_overdue = self._on_overdue
        if on_overdue is None:
            return
        threaded = self.worker is not None
        if not threaded or len(self._panes.pending) > HELP_PENDING:
            on_overdue(threaded)
