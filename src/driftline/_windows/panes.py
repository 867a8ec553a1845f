"""`Panes`: bins rows, and counts them in the panes of a window and since the process started."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from driftline._binning.layout import Layout
from driftline._binning.rejects import Rejects
from driftline._capture.columns import Row
from driftline._capture.placeholders import describe_type
from driftline._runtime.floats import without_float_errors
from driftline._seasons.calendar import CELLS, WeekClock
from driftline._windows.ring import TimeRing, WindowCounts, make_ring
from driftline._windows.totals import Totals
from driftline._windows.window import Window
from driftline.typing import Column, Counts

__all__ = ["Panes"]


class Panes:
    """
    Bins rows, and counts them in the panes of a window and since the process started.

    Only one thread at a time may count rows; the recorder ensures it. Any thread may read.

    Args:
        layout: the bins of the features and, last, of the prediction if there is one.
        window: the window that is evaluated.
        clock: returns seconds, as `time.monotonic`.
        week: the clock of the hour of the week. If given, `CELLS` further bins count the rows of each hour.
        rejects: counts and reports the values of a wrong type. If None, they count as missing or as unknown.

    Attributes:
        layout: the bins, as above.
        timed: whether counts depend on the time of a row: the window has a duration, or there is a *week*.
        pending: complete windows that have not been evaluated, the oldest first.
        totals: counts since the process started.
        lock: a thread holds it while it changes or reads counts, but never while a user function in ``derive=`` runs.
    """

    __slots__ = (
        "_clock",
        "_rejects",
        "_ring",
        "_time_ring",
        "_week",
        "_window",
        "layout",
        "lock",
        "pending",
        "timed",
        "totals",
    )

    def __init__(
        self,
        layout: Layout,
        window: Window,
        clock: Callable[[], float],
        week: WeekClock | None,
        rejects: Rejects | None = None,
    ) -> None:
        self.layout = layout
        self._rejects = rejects
        self._window = window
        self._clock = clock
        self._week = week
        self.reset()

    def reset(self) -> None:
        """Drop all counts, and replace the lock, which another thread may hold when a process forks."""
        # The lock is re-entrant. Counting may run code of the application (__float__, a finalizer) that predicts.
        self.lock = threading.RLock()
        self.pending: deque[WindowCounts] = deque()
        if self._rejects is not None:
            self._rejects.reset()
        if self._week is not None:
            self._week.advance()
        self._ring = make_ring(self._window, self._bins)
        self._time_ring = self._ring if isinstance(self._ring, TimeRing) else None
        self.timed = self._time_ring is not None or self._week is not None
        self.totals = Totals(np.zeros(self._bins, dtype=np.int64))

    @property
    def _bins(self) -> int:
        return self.layout.total + (0 if self._week is None else CELLS)

    @property
    def over(self) -> bool:
        """Whether the pane or the hour in which rows are counted has ended, so that `advance` is due."""
        ring, week = self._time_ring, self._week
        return (ring is not None and self._clock() >= ring.end) or (week is not None and week.over)

    def advance(self) -> None:
        """
        Close the panes that have ended, and append the windows that this completes to *pending*.

        The caller has counted all rows that came before. Later rows are counted in the present pane and hour.
        """
        if self._time_ring is not None:
            self.pending.extend(self._time_ring.advance(self._clock()))
        if self._week is not None:
            self._week.advance()

    @without_float_errors
    def count_columns(self, columns: Sequence[Column | None], rows: int) -> None:
        """
        Count a batch of *rows* rows.

        Args:
            columns: the captured columns in the order of the reference, then the predictions if there are any. If a
                column is None, all its values are missing.
            rows: number of rows.
        """
        columns = self.layout.derive(columns, rows)
        # Rows are divided at the end of a pane before they are counted, because counts cannot be divided.
        start = 0
        while start < rows:
            stop = min(rows, start + self._ring.room())
            self._add(self.layout.count(columns, slice(start, stop), self._rejects), stop - start)
            start = stop

    @without_float_errors
    def count_rows(self, rows: Sequence[Row], outputs: Sequence[object] | None) -> None:
        """Count captured rows, and the prediction of each row in *outputs*; None if the predictions are not known."""
        start = 0
        while start < len(rows):
            stop = min(len(rows), start + self._ring.room())
            predictions = None if outputs is None else outputs[start:stop]
            self._add(self.layout.count_rows(rows[start:stop], predictions, self._rejects), stop - start)
            start = stop

    def _add(self, counts: Counts, rows: int) -> None:
        with self.lock:
            if self._week is not None:
                counts = self._week.append_cells(counts, rows)
            self.totals.counts += counts
            self.totals.rows += rows
            rejected = None if self._rejects is None else self._rejects.take(counts, rows, self.layout.slices)
            window = self._ring.add(counts, rows, rejected)
            if window is not None:
                self.pending.append(window)

    def reject_outputs(self, rows: int, outputs: object) -> None:
        """Count the outputs of *rows* rows as of a wrong type. They are in no bin, and the caller reports them."""
        if self._rejects is not None:
            with self.lock:
                self._rejects.add_outputs(rows, describe_type(outputs))

    def report_rejects(self) -> None:
        """Report the values of a wrong type that were counted since the last call. The caller holds no lock."""
        if self._rejects is not None:
            self._rejects.report()

    def divide(self, *, wanted: bool) -> None:
        """Set whether windows have blocks, from which the evaluator learns how rows depend on each other."""
        self._ring.divide = wanted

    def drop(self, reason: str, rows: int) -> None:
        """Count *rows* as dropped, in `totals.dropped`. *reason* says why they are in no window."""
        if not rows:
            return
        with self.lock:
            dropped = self.totals.dropped
            dropped[reason] = dropped.get(reason, 0) + rows

    def pop_windows(self) -> list[WindowCounts]:
        """Remove and return the complete windows, oldest first. Only one thread at a time may call this."""
        pending = self.pending
        return [pending.popleft() for _ in range(len(pending))]

    def pop_partial(self) -> WindowCounts | None:
        """
        Return the counts of all rows so far if the first window is not complete yet; else None.

        The blocks of the result are removed, so that no later window has them again.
        """
        with self.lock:
            return None if self._ring.full else self._ring.pop_partial()

    def snapshot(self) -> WindowCounts:
        """Return the summed counts of the closed panes and the open pane. This changes no counts."""
        with self.lock:
            return self._ring.snapshot()

    def read(self) -> Totals:
        """Return a copy of the counts since the process started."""
        with self.lock:
            return self.totals.copy()
