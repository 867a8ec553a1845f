"""The counts of binned rows: in the panes of a window, and since the process started."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from driftline._binning.layout import Layout
from driftline._capture.columns import Row
from driftline._seasons.calendar import CELLS, WeekClock
from driftline._windows.ring import TimeRing, WindowCounts, make_ring
from driftline._windows.totals import Totals
from driftline._windows.window import Window
from driftline.typing import Column, Counts

__all__ = ["Panes"]


class Panes:
    """
    The counts of rows in the panes of a ring, and since the process started.

    The recorder lets only one thread at a time add rows. The values that readers see change under *lock*.

    Args:
        layout: the bins of the features and, last, of the prediction if it is watched.
        window: the window that is evaluated.
        clock: returns seconds, as `time.monotonic`.
        week: the clock of the hour of the week, which rows are then counted by too. If None, they are not.

    Attributes:
        layout: as above.
        timed: whether the time at which rows come matters: the window is one of time, or there is a *week*.
        pending: complete windows that have not been evaluated, the oldest first.
        totals: counts since the process started.
        lock: protects all of this. A thread never holds it while a user function in ``derive=`` runs.
    """

    __slots__ = ("_clock", "_ring", "_time_ring", "_week", "_window", "layout", "lock", "pending", "timed", "totals")

    def __init__(self, layout: Layout, window: Window, clock: Callable[[], float], week: WeekClock | None) -> None:
        self.layout = layout
        self._window = window
        self._clock = clock
        self._week = week
        self.reset()

    def reset(self) -> None:
        """Drop all counts, and replace the lock: the child of a fork starts here, and another thread may hold it."""
        # Re-entrant: draining may run code of the host (a value's __float__, a finalizer), and that code may predict.
        self.lock = threading.RLock()
        self.pending: deque[WindowCounts] = deque()
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
        """Whether the pane, or the hour, that rows are counted in has ended."""
        ring, week = self._time_ring, self._week
        return (ring is not None and self._clock() >= ring.end) or (week is not None and week.over)

    def advance(self) -> None:
        """Move on to the present pane and hour. The caller has counted all rows that came before."""
        if self._time_ring is not None:
            self.pending.extend(self._time_ring.advance(self._clock()))
        if self._week is not None:
            self._week.advance()

    def count_columns(self, columns: Sequence[Column | None], rows: int) -> None:
        """Count captured columns of *rows* rows."""
        columns = self.layout.derive(columns, rows)
        # Cut at the ends of panes before counting: counts, unlike rows, cannot be cut.
        start = 0
        while start < rows:
            stop = min(rows, start + self._ring.room())
            self._add(self.layout.count(columns, slice(start, stop)), stop - start)
            start = stop

    def count_rows(self, rows: Sequence[Row], outputs: Sequence[object] | None) -> None:
        """Count rows, with the prediction of each row unless *outputs* is None."""
        start = 0
        while start < len(rows):
            stop = min(len(rows), start + self._ring.room())
            predictions = None if outputs is None else outputs[start:stop]
            self._add(self.layout.count_rows(rows[start:stop], predictions), stop - start)
            start = stop

    def _add(self, counts: Counts, rows: int) -> None:
        with self.lock:
            if self._week is not None:
                counts = self._week.append_cells(counts, rows)
            self.totals.counts += counts
            self.totals.rows += rows
            window = self._ring.add(counts, rows)
            if window is not None:
                self.pending.append(window)

    def divide(self, *, wanted: bool) -> None:
        """Divide windows into blocks or not: they are, while the dependence of rows is being learned from them."""
        self._ring.divide = wanted

    def drop(self, reason: str, rows: int) -> None:
        """Count rows that are in no window, by the reason."""
        with self.lock:
            dropped = self.totals.dropped
            dropped[reason] = dropped.get(reason, 0) + rows

    def pop_windows(self) -> list[WindowCounts]:
        """Remove and return the complete windows, oldest first. Only one thread at a time may call this."""
        pending = self.pending
        return [pending.popleft() for _ in range(len(pending))]

    def partial(self) -> WindowCounts | None:
        """Return all that the ring holds, until it has held a whole window; then None."""
        with self.lock:
            return None if self._ring.full else self._ring.partial()

    def snapshot(self) -> WindowCounts:
        """Return all that the ring holds, the open pane included."""
        with self.lock:
            return self._ring.snapshot()

    def read(self) -> Totals:
        """Return a copy of the counts since the process started."""
        with self.lock:
            return self.totals.copy()
