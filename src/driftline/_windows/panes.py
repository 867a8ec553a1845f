"""`Panes`: bins rows, and counts them in the panes of a window and since the process started."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from driftline._binning.batch_parts import count_parts
from driftline._binning.confidence import ConfidenceReader
from driftline._binning.layout import Layout
from driftline._binning.rejects import Rejects
from driftline._capture.columns import Row, as_objects
from driftline._capture.placeholders import describe_type
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._runtime.floats import without_float_errors
from driftline._seasons.calendar import CELLS
from driftline._seasons.clock import WeekClock
from driftline._windows.blocks import BlockCounts
from driftline._windows.bucket_table import BucketTable
from driftline._windows.call_log import CallLog, Logging
from driftline._windows.call_tables import CallTables
from driftline._windows.ring import TimeRing, WindowCounts, make_ring
from driftline._windows.totals import Totals
from driftline._windows.window import Window
from driftline.typing import Column, Counts

__all__ = ["Panes"]

MAX_CELLS = 2**18
"""Most counts of parts of a batch that are held together: bins times parts, which take 2 MB."""


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
        confidence: reads the confidences of predictions, which are counted beside the bins. If None, they are not.
        buckets: counts rows by the bucket of their key, which is the last captured column. If given, `KEY_BUCKETS`
            further bins, the last, count the rows of each bucket.

    Attributes:
        layout: the bins, as above.
        timed: whether callers drain rows whose time is over: the window has a duration, there is a *week*, or there is
            a *log* and no worker thread.
        pending: complete windows that have not been evaluated, the oldest first.
        totals: counts since the process started.
        log: what *totals* grew by in each block of time. If None, no canary has asked for it.
        lock: a thread holds it while it changes or reads counts, but never while a user function in ``derive=`` runs.
    """

    __slots__ = (
        "_buckets",
        "_callers_drain_blocks",
        "_clock",
        "_confidence",
        "_confidence_ring",
        "_rejects",
        "_ring",
        "_time_ring",
        "_week",
        "_window",
        "layout",
        "lock",
        "log",
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
        confidence: ConfidenceReader | None = None,
        buckets: BucketTable | None = None,
    ) -> None:
        self.layout = layout
        self._confidence, self._buckets = confidence, buckets
        self._rejects = rejects
        self._window = window
        self._clock = clock
        self._week = week
        self.log: CallLog | None = None
        self._callers_drain_blocks = False
        self.reset()

    def reset(self) -> None:
        """Drop all counts, and replace the lock, which another thread may hold when a process forks."""
        # The lock is re-entrant. Counting may run code of the application (__float__, a finalizer) that predicts.
        self.lock = threading.RLock()
        self.pending: deque[WindowCounts] = deque()
        if self._rejects is not None:
            self._rejects.reset()
        if self._buckets is not None:
            self._buckets.reset()
        if self._week is not None:
            self._week.advance()
        self._ring = make_ring(self._window, self._bins)
        self._time_ring = self._ring if isinstance(self._ring, TimeRing) else None
        # A separate ring with the same panes, because nothing that evaluates a window needs these counts.
        reader = self._confidence
        self._confidence_ring = None if reader is None else make_ring(self._window, reader.bins.size)
        self.totals = Totals(np.zeros(self._bins, dtype=np.int64))
        if self.log is None:
            self.timed = self._time_ring is not None or self._week is not None
        else:
            self.log = CallLog(self.totals, self.log.logging.fresh())

    @property
    def _bins(self) -> int:
        further = (0 if self._week is None else CELLS) + (0 if self._buckets is None else KEY_BUCKETS)
        return self.layout.total + further

    @property
    def over(self) -> bool:
        """Whether the pane, the hour or the block in which rows are counted has ended, so that `advance` is due."""
        ring, week, log = self._time_ring, self._week, self.log
        return (
            (ring is not None and self._clock() >= ring.end)
            or (week is not None and week.over)
            or (log is not None and self._callers_drain_blocks and log.is_over())
        )

    def advance(self) -> None:
        """
        Close the panes that have ended, and append the windows that this completes to *pending*.

        The caller has counted all rows that came before. Later rows are counted in the present pane, hour and block.
        """
        if self._time_ring is not None:
            now = self._clock()
            for window in self._time_ring.advance(now):
                self._complete(window)
            if isinstance(self._confidence_ring, TimeRing):
                self._confidence_ring.advance(now)
        if self._week is not None:
            self._week.advance()
        if self.log is not None:
            self.log.advance()

    @without_float_errors
    def count_columns(self, columns: Sequence[Column | None], rows: int) -> None:
        """
        Count a batch of *rows* rows.

        Args:
            columns: the captured columns in the order of the reference, then the predictions if there are any. If a
                column is None, all its values are missing.
            rows: number of rows.
        """
        keys = None
        if self._buckets is not None:
            columns, keys = self._buckets.split(columns)
        cells, reader = None, self._confidence
        if reader is not None and len(columns) > reader.column:
            outputs = columns[reader.column]
            if outputs is not None:
                labels, cells = reader.read(outputs)
                columns = [*columns[: reader.column], labels]
        columns = self.layout.derive(columns, rows)
        located = None if self._buckets is None else self._buckets.locate(columns, rows)
        # Rows are divided at the end of a pane before they are counted, because counts cannot be divided.
        start = 0
        most = max(1, MAX_CELLS // self.layout.total)
        while start < rows:
            ends = np.cumsum([start, *self._ring.split(rows - start, most)]).tolist()
            parts = [slice(begin, end) for begin, end in pairwise(ends)]
            for part, counts in zip(parts, count_parts(self.layout, columns, parts, self._rejects), strict=True):
                with self.lock:
                    buckets = None
                    if self._buckets is not None and keys is not None and located is not None:
                        buckets = self._buckets.count(located, keys, part)
                    self._add(counts, part.stop - part.start, cells, part.start, buckets)
            start = ends[-1]

    @without_float_errors
    def count_rows(self, rows: Sequence[Row], outputs: Sequence[object] | None) -> None:
        """Count captured rows, and the prediction of each row in *outputs*; None if the predictions are not known."""
        if self._buckets is not None:
            columns: list[Column] = list(zip(*rows, strict=True))
            self.count_columns(columns if outputs is None else [*columns, outputs], len(rows))
            return
        cells = None
        if outputs is not None and self._confidence is not None:
            labels, cells = self._confidence.read(outputs)
            outputs = as_objects(labels)
        start = 0
        while start < len(rows):
            stop = min(len(rows), start + self._ring.room())
            predictions = None if outputs is None else outputs[start:stop]
            counts = self.layout.count_rows(rows[start:stop], predictions, self._rejects)
            self._add(counts, stop - start, cells, start)
            start = stop

    def _add(
        self, counts: Counts, rows: int, cells: NDArray[np.intp] | None, start: int, keys: Counts | None = None
    ) -> None:
        """
        Add the counts of rows to the open pane.

        Args:
            counts: shape (bins,).
            rows: number of rows.
            cells: the cells of the confidences of a batch; None if there are none.
            start: the index of the first row in the batch.
            keys: the rows by bucket of their key; None if keys are not read.
        """
        with self.lock:
            if self._confidence is not None and self._confidence_ring is not None:
                part = None if cells is None else cells[start : start + rows]
                self._confidence_ring.add(self._confidence.count(part), rows)
            if self._week is not None:
                counts = self._week.append_cells(counts, rows)
            if keys is not None:
                counts = np.concatenate([counts, keys])
            self.totals.counts += counts
            self.totals.rows += rows
            rejected = None if self._rejects is None else self._rejects.take(counts, rows, self.layout.slices)
            window = self._ring.add(counts, rows, rejected)
            if window is not None:
                self._complete(window)

    def _complete(self, window: WindowCounts) -> None:
        """Append a complete window to *pending*. What its keys show is learned before."""
        if self._buckets is not None:
            self._buckets.close_window()
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
            if self._ring.full:
                return None
            if self._buckets is not None:
                self._buckets.show_partial()
            return self._ring.pop_partial()

    def snapshot(self) -> WindowCounts:
        """Return the summed counts of the closed panes and the open pane, without buckets. This changes no counts."""
        with self.lock:
            window = self._ring.snapshot()
        if self._buckets is not None:
            window.counts = window.counts[:-KEY_BUCKETS]
        return window

    def confidences(self) -> Counts | None:
        """Return the predictions in `snapshot` per cell of confidence, shape (cells,). None if none are counted."""
        with self.lock:
            return None if self._confidence_ring is None else self._confidence_ring.snapshot().counts

    def read(self) -> Totals:
        """Return a copy of the counts since the process started."""
        with self.lock:
            return self.totals.copy()

    def read_log(self) -> tuple[CallTables, BlockCounts] | None:
        """Return what `CallLog.read` returns, or None if no canary has asked for it."""
        with self.lock:
            return None if self.log is None else self.log.read()

    def advance_log(self) -> None:
        """
        Let calls that are counted from now on count at the present time. The caller holds the lock.

        If callers drain the rows of a block when it ends, nothing is done: the rows belong to that block, and `advance`
        follows.
        """
        if self.log is not None and not self._callers_drain_blocks:
            self.log.advance()

    def start_log(self, logging: Logging, *, threaded: bool) -> None:
        """
        Count calls by block of time from now on.

        Args:
            logging: the clock and the warm-up.
            threaded: whether a worker thread drains every second. If not, calls are drained when a block ends.
        """
        with self.lock:
            self.log = CallLog(self.totals, logging)
            self._callers_drain_blocks = not threaded
            self.timed = self.timed or not threaded
