"""Rings of panes: the counts of the last rows, cut by a number of rows or by time."""

from __future__ import annotations

from collections import deque

import numpy as np

from driftline._windows.window import Window
from driftline.typing import Counts

__all__ = [
    "BLOCKS",
    "LEAST_BLOCKS",
    "LEAST_BLOCK_ROWS",
    "LEAST_BLOCK_SECONDS",
    "RowRing",
    "TimeRing",
    "WindowCounts",
    "make_ring",
]


BLOCKS = 16
"""Blocks of a window. Their variance tells how rows depend on each other, from the first window on."""

LEAST_BLOCKS = 8
"""Blocks from which a variance is estimated at least: fewer leave less than seven degrees of freedom."""

LEAST_BLOCK_ROWS, LEAST_BLOCK_SECONDS = 16, 1.0
"""Rows and seconds of a block at least: counting smaller blocks costs more time than they are good for."""


class WindowCounts:
    """
    The counts of a window, the number of its rows, and the blocks of consecutive rows that are new in it.

    A window has blocks only while `RowRing.divide` or `TimeRing.divide` is true.
    """

    __slots__ = ("blocks", "counts", "rows")

    def __init__(self, counts: Counts, rows: int, blocks: tuple[WindowCounts, ...] = ()) -> None:
        self.counts = counts
        self.rows = rows
        self.blocks = blocks


class _Ring:
    """
    The last panes. The newest pane is open: it is still filling.

    A ring is not thread-safe; its owner holds a lock. A window of k panes is the sum of the k newest closed panes. All
    counts are integers, so the order of the additions does not change the sum.
    """

    def __init__(self, panes: int, bins: int) -> None:
        self._bins = bins
        self._closed: deque[WindowCounts] = deque(maxlen=panes)
        self._open = self._empty()
        self._block = self._empty()
        self._new_blocks: list[WindowCounts] = []
        self.divide = False
        """Whether windows are divided into blocks. They are while the dependence of rows is being learned."""

    def _empty(self) -> WindowCounts:
        return WindowCounts(np.zeros(self._bins, dtype=np.int64), 0)

    def _add(self, counts: Counts, rows: int) -> None:
        self._open.counts += counts
        self._open.rows += rows
        if self.divide:
            self._block.counts += counts
            self._block.rows += rows

    def _close_block(self) -> None:
        if self.divide and self._block.rows:
            self._new_blocks.append(self._block)
            self._block = self._empty()

    def _pop_blocks(self) -> tuple[WindowCounts, ...]:
        """Return the complete blocks that no window has returned so far."""
        blocks, self._new_blocks = tuple(self._new_blocks), []
        return blocks

    def _close_pane(self) -> WindowCounts | None:
        """Close the open pane, and return the window that this completes; None until the ring is full."""
        self._close_block()
        self._closed.append(self._open)
        self._open = self._empty()
        if not self.full:
            return None
        window = _sum(self._closed, self._bins)
        window.blocks = self._pop_blocks()
        return window

    @property
    def full(self) -> bool:
        """Whether the ring has held a whole window."""
        return len(self._closed) == self._closed.maxlen

    def partial(self) -> WindowCounts:
        """Return all that the ring holds, the open pane included, with the complete blocks that are new."""
        window = self.snapshot()
        window.blocks = self._pop_blocks()
        return window

    def snapshot(self) -> WindowCounts:
        """Return all that the ring holds, the open pane included. This changes nothing."""
        return _sum([*self._closed, self._open], self._bins)

    def clear(self) -> None:
        """Drop all counts."""
        self._closed.clear()
        self._open, self._block, self._new_blocks = self._empty(), self._empty(), []


class RowRing(_Ring):
    """A ring whose panes hold a fixed number of rows."""

    def __init__(self, panes: int, bins: int, pane_rows: int) -> None:
        super().__init__(panes, bins)
        self._pane_rows = pane_rows
        least = min(LEAST_BLOCK_ROWS, pane_rows, max(1, pane_rows * panes // LEAST_BLOCKS))
        self._block_rows = max(least, -(-pane_rows * panes // BLOCKS))

    def room(self) -> int:
        """Return how many rows `add` accepts: at least 1."""
        pane = self._pane_rows - self._open.rows
        return min(pane, max(1, self._block_rows - self._block.rows)) if self.divide else pane

    def add(self, counts: Counts, rows: int) -> WindowCounts | None:
        """Add at most `room` rows, and return the window that they complete, if there is one."""
        self._add(counts, rows)
        if self._block.rows >= self._block_rows:
            self._close_block()
        # >=: a finalizer of the host that predicts while rows are being counted may add its own row in between.
        return self._close_pane() if self._open.rows >= self._pane_rows else None

    def advance(self, now: float) -> list[WindowCounts]:
        """Return no windows: time alone completes no window of rows."""
        del now
        return []


class TimeRing(_Ring):
    """A ring whose panes last a fixed number of seconds. The first pane starts with the first call of `advance`."""

    def __init__(self, panes: int, bins: int, pane_seconds: float) -> None:
        super().__init__(panes, bins)
        self._panes = panes
        self._seconds = pane_seconds
        self._block_seconds = max(min(LEAST_BLOCK_SECONDS, pane_seconds), pane_seconds * panes / BLOCKS)
        self._end: float | None = None
        self._block_end = 0.0

    @property
    def end(self) -> float:
        """When the open pane or block ends, on the clock that `advance` is called with; -inf before the first call."""
        if self._end is None:
            return -np.inf
        return min(self._end, self._block_end) if self.divide else self._end

    def room(self) -> int:
        """Return how many rows `add` accepts: any number, since time closes the pane."""
        return 2**62

    def add(self, counts: Counts, rows: int) -> None:
        """Add rows to the open pane."""
        self._add(counts, rows)

    def advance(self, now: float) -> list[WindowCounts]:
        """Close the panes that end by *now*, and return the windows that this completes, the oldest first."""
        if self._end is None or now < self._end - self._seconds:
            # The first call, or a clock that was set back: panes start here rather than after the clock catches up.
            self._end = now + self._seconds
            self._block_end = now + self._block_seconds
            return []
        if now >= self._block_end:
            if self._block.rows >= LEAST_BLOCK_ROWS:
                self._close_block()
            self._block_end = now + self._block_seconds
        passed = int((now - self._end) // self._seconds) + 1 if now >= self._end else 0
        self._end += passed * self._seconds
        # After a long silence all panes are empty: closing more panes than the ring holds changes nothing.
        windows = [self._close_pane() for _ in range(min(passed, self._panes + 1))]
        return [window for window in windows if window is not None]

    def clear(self) -> None:
        """Drop all counts, and start the first pane with the next call of `advance`."""
        super().clear()
        self._end = None


def make_ring(window: Window, bins: int) -> RowRing | TimeRing:
    """Return the ring for a window over *bins* bins."""
    if window.pane_rows is not None:
        return RowRing(window.panes, bins, window.pane_rows)
    return TimeRing(window.panes, bins, window.pane_seconds or 0.0)


def _sum(panes: deque[WindowCounts] | list[WindowCounts], bins: int) -> WindowCounts:
    counts = np.zeros(bins, dtype=np.int64)
    for pane in panes:
        counts += pane.counts
    return WindowCounts(counts, sum(pane.rows for pane in panes))
