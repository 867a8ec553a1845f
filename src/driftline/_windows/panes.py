"""What rows become once they are binned: counts in the panes of a window, and since the start of the process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from driftline._binning.layout import Layout
from driftline._capture.columns import Row
from driftline._seasons.calendar import CELLS, WeekClock
from driftline._windows.ring import (
    TimeRing,
    WindowCounts,
    make_ring,
)
from driftline._windows.totals import Totals
from driftline._windows.window import Window
from driftline.typing import (
    Column,
    Counts,
)

__all__ = ["Panes"]


class Panes:
    """
    The counts of rows in the panes of a ring, and the tally of all.

    The recorder sees to it that rows are put by one thread at a time; what readers see changes under *lock*.

    Args:
        layout: the bins of the features and, last, of the prediction where it is watched.
        window: what is judged at once.
        clock: seconds, as `time.monotonic`.
        week: the hour of the week in which rows are counted besides; None: it does not matter when they come.

    Attributes:
        timed: whether it matters when rows come.
        pending: windows that have been completed, oldest first.
        tally: counts since the start.
        lock: held by whoever reads or changes any of it, and never while a function in ``derive=`` runs.
    """

    __slots__ = ("_clock", "_layout", "_ring", "_time_ring", "_week", "_window", "lock", "pending", "tally", "timed")

    def __init__(self, layout: Layout, window: Window, clock: Callable[[], float], week: WeekClock | None) -> None:
        self._layout = layout
        self._window = window
        self._clock = clock
        self._week = week
        self.reset()

    def reset(self) -> None:
        """Forget everything, a lock that another thread held included: the child of a fork starts here."""
        # Re-entrant: draining may run code of the host (a value's __float__, a finalizer), and that may predict.
        self.lock = threading.RLock()
        self.pending: deque[WindowCounts] = deque()
        if self._week is not None:
            self._week.advance()
        self._ring = make_ring(self._window, self._bins)
        self._time_ring = self._ring if isinstance(self._ring, TimeRing) else None
        self.timed = self._time_ring is not None or self._week is not None
        self.tally = Totals(np.zeros(self._bins, dtype=np.int64))

    @property
    def _bins(self) -> int:
        return self._layout.total + (0 if self._week is None else CELLS)

    @property
    def over(self) -> bool:
        """Whether the pane or the hour has ended to which the rows belong that have come so far."""
        ring, week = self._time_ring, self._week
        return (ring is not None and self._clock() >= ring.end) or (week is not None and week.over)

    def advance(self) -> None:
        """Go on to the present pane and hour: all rows that came before have been counted."""
        if self._time_ring is not None:
            self.pending.extend(self._time_ring.advance(self._clock()))
        if self._week is not None:
            self._week.advance()

    def put_columns(self, columns: Sequence[Column | None], rows: int) -> None:
        """Count captured columns of so many rows."""
        columns = self._layout.staged(columns, rows)
        # Cut at the ends of panes first: what is counted of a stretch is its counts, not its rows.
        start = 0
        while start < rows:
            stop = min(rows, start + self._ring.room())
            self._put(self._layout.count(columns, slice(start, stop)), stop - start)
            start = stop

    def put_rows(self, rows: Sequence[Row], outputs: Sequence[object] | None) -> None:
        """Count rows, and the prediction of each where they have one."""
        start = 0
        while start < len(rows):
            stop = min(len(rows), start + self._ring.room())
            given = None if outputs is None else outputs[start:stop]
            self._put(self._layout.count_rows(rows[start:stop], given), stop - start)
            start = stop

    def _put(self, counts: Counts, rows: int) -> None:
        with self.lock:
            if self._week is not None:
                counts = self._week.counted(counts, rows)
            self.tally.counts += counts
            self.tally.rows += rows
            window = self._ring.put(counts, rows)
            if window is not None:
                self.pending.append(window)

    def divide(self, *, wanted: bool) -> None:
        """Cut windows into blocks, as long as somebody wants to learn from them how rows depend on each other."""
        self._ring.divide = wanted

    def partial(self) -> WindowCounts | None:
        """What the ring holds so far, as long as it has never held a whole window; else None."""
        return None if self._ring.full else self._ring.partial()

    def snapshot(self) -> WindowCounts:
        """What the ring holds, the open pane included."""
        return self._ring.snapshot()
