"""Rings of panes: the counts of the last rows, divided into panes by a number of rows or by time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from driftline._windows.window import Window
from driftline.typing import Counts

__all__ = [
    "BLOCKS",
    "MIN_BLOCKS",
    "MIN_BLOCK_ROWS",
    "MIN_BLOCK_SECONDS",
    "RowRing",
    "TimeRing",
    "WindowCounts",
    "make_ring",
]


BLOCKS = 8
"""
Number of blocks that a window is divided into, to estimate from their variance how rows depend on each other. More cost
time at each evaluation, and find no more (8 against 16 on the streams of ``benchmarks/detection/lumpy.py``).
"""

MIN_BLOCKS = 8
"""Fewest blocks from which a variance is estimated. With fewer, it would have less than seven degrees of freedom."""

MIN_BLOCK_ROWS, MIN_BLOCK_SECONDS = 16, 1.0
"""Fewest rows and seconds of a block, because counting smaller blocks takes too much time."""


class WindowCounts:
    """
    The counts of consecutive rows: those of a window, or of one of its panes or blocks.

    Attributes:
        counts: rows per bin, shape (bins,).
        rows: number of rows.
        rejected: values of a wrong type, as `Rejects.take` returns them; None if there are none. Blocks have none.
        blocks: of a window, the counts of consecutive blocks that no earlier window had. Empty for panes and blocks,
            and while the attribute *divide* of the ring is false.
    """

    __slots__ = ("blocks", "counts", "rejected", "rows")

    def __init__(
        self, counts: Counts, rows: int, blocks: tuple[WindowCounts, ...] = (), rejected: Counts | None = None
    ) -> None:
        self.counts = counts
        self.rows = rows
        self.blocks = blocks
        self.rejected = rejected

    @classmethod
    def sum(cls, parts: Iterable[WindowCounts], bins: int) -> WindowCounts:
        """Return the summed counts of *parts* over *bins* bins, without blocks; zeros if there are none."""
        total = cls(np.zeros(bins, dtype=np.int64), 0)
        for part in parts:
            total.add(part.counts, part.rows, part.rejected)
        return total

    def add(self, counts: Counts, rows: int, rejected: Counts | None) -> None:
        """Add the counts of further rows."""
        self.counts += counts
        self.rows += rows
        if rejected is not None:
            self.rejected = rejected.copy() if self.rejected is None else self.rejected + rejected


class _Ring:
    """
    The last closed panes, and the open pane, to which rows are added.

    A window of k panes is the sum of the k newest closed panes. A ring is not thread-safe; its owner holds a lock.

    Args:
        panes: number of panes of a window.
        bins: number of bins.

    Attributes:
        divide: whether rows are also counted in blocks, to learn how they depend on each other. False at first.
    """

    def __init__(self, panes: int, bins: int) -> None:
        self._bins = bins
        self._closed: deque[WindowCounts] = deque(maxlen=panes)
        self._open = self._empty()
        self._block = self._empty()
        self._new_blocks: list[WindowCounts] = []
        self.divide = False

    def _empty(self) -> WindowCounts:
        return WindowCounts(np.zeros(self._bins, dtype=np.int64), 0)

    def _add(self, counts: Counts, rows: int, rejected: Counts | None) -> None:
        self._open.add(counts, rows, rejected)
        if self.divide:
            self._block.add(counts, rows, None)

    def _close_block(self) -> None:
        if self.divide and self._block.rows:
            self._new_blocks.append(self._block)
            self._block = self._empty()

    def _pop_blocks(self) -> tuple[WindowCounts, ...]:
        """Remove and return the complete blocks that no window has had so far."""
        blocks, self._new_blocks = tuple(self._new_blocks), []
        return blocks

    def _close_pane(self) -> WindowCounts | None:
        """Close the open pane and open another; return the window that this completes, None until the ring is full."""
        self._close_block()
        closed, empty = deque([*self._closed, self._open], self._closed.maxlen), self._empty()
        # In one step, so that an interrupt leaves no pane both open and closed.
        self._closed, self._open = closed, empty
        if not self.full:
            return None
        window = WindowCounts.sum(self._closed, self._bins)
        window.blocks = self._pop_blocks()
        return window

    @property
    def full(self) -> bool:
        """Whether the ring holds as many closed panes as a window has."""
        return len(self._closed) == self._closed.maxlen

    def pop_partial(self) -> WindowCounts:
        """
        Return all counts, those of the open pane included, with the complete blocks that no window has had.

        These blocks are removed, so that no later window has them again.
        """
        window = self.snapshot()
        window.blocks = self._pop_blocks()
        return window

    def snapshot(self) -> WindowCounts:
        """Return all counts, those of the open pane included, without blocks. This does not change the ring."""
        return WindowCounts.sum([*self._closed, self._open], self._bins)


class RowRing(_Ring):
    """A ring of *panes* panes that hold *pane_rows* rows each."""

    def __init__(self, panes: int, bins: int, pane_rows: int) -> None:
        super().__init__(panes, bins)
        self._pane_rows = pane_rows
        least = min(MIN_BLOCK_ROWS, pane_rows, max(1, pane_rows * panes // MIN_BLOCKS))
        self._block_rows = max(least, -(-pane_rows * panes // BLOCKS))

    def split(self, rows: int, most: int) -> list[int]:
        """Return the numbers of rows of the next calls of `add`, at most *most*, into which *rows* rows are divided."""
        sizes: list[int] = []
        pane, block = self._open.rows, self._block.rows
        while rows > 0 and len(sizes) < most:
            size = self._pane_rows - pane
            if self.divide:
                size = min(size, max(1, self._block_rows - block))
            size = min(size, rows)
            sizes.append(size)
            rows, pane, block = rows - size, pane + size, block + size
            if pane >= self._pane_rows:
                pane = block = 0
            elif block >= self._block_rows:
                block = 0
        return sizes

    def room(self) -> int:
        """Return how many rows the next call of `add` may have, at least 1; more would not fit the pane or block."""
        return self.split(2**62, 1)[0]

    def add(self, counts: Counts, rows: int, rejected: Counts | None = None) -> WindowCounts | None:
        """
        Add rows to the open pane, and return the window that they complete; None if they complete none.

        Args:
            counts: the counts of the rows, shape (bins,).
            rows: number of rows, at most `room`.
            rejected: their values of a wrong type, as `Rejects.take` returns them; None if there are none.
        """
        self._add(counts, rows, rejected)
        if self._block.rows >= self._block_rows:
            self._close_block()
        # A pane may get more rows: a finalizer of the application may predict while rows are being counted.
        return self._close_pane() if self._open.rows >= self._pane_rows else None


class TimeRing(_Ring):
    """A ring of panes that last *pane_seconds* each. The first pane starts with the first call of `advance`."""

    def __init__(self, panes: int, bins: int, pane_seconds: float) -> None:
        super().__init__(panes, bins)
        self._panes = panes
        self._seconds = pane_seconds
        self._block_seconds = max(min(MIN_BLOCK_SECONDS, pane_seconds), pane_seconds * panes / BLOCKS)
        self._end: float | None = None
        self._block_end = 0.0

    @property
    def end(self) -> float:
        """Seconds on the clock of `advance` at which the open pane or block ends; -inf before the first call."""
        if self._end is None:
            return -np.inf
        return min(self._end, self._block_end) if self.divide else self._end

    def split(self, rows: int, most: int) -> list[int]:
        """Return *rows*, because only time closes a pane."""
        del most
        return [rows]

    def room(self) -> int:
        """Return how many rows the next call of `add` may have: a huge number, because only time closes a pane."""
        return 2**62

    def add(self, counts: Counts, rows: int, rejected: Counts | None = None) -> None:
        """Add *rows* rows with these counts, shape (bins,), to the open pane. *rejected* is as for `RowRing.add`."""
        self._add(counts, rows, rejected)

    def advance(self, now: float) -> list[WindowCounts]:
        """
        Close the panes that end by *now*, and return the windows that this completes, the oldest first.

        Args:
            now: seconds on a monotonic clock. If the clock was set back, a new pane starts.
        """
        if self._end is None or now < self._end - self._seconds:
            # If a clock was set back, waiting until it catches up would leave the pane open for long.
            self._end = now + self._seconds
            self._block_end = now + self._block_seconds
            return []
        if now >= self._block_end:
            if self._block.rows >= MIN_BLOCK_ROWS:
                self._close_block()
            self._block_end = now + self._block_seconds
        passed = int((now - self._end) // self._seconds) + 1 if now >= self._end else 0
        self._end += passed * self._seconds
        # After a long silence all panes are empty, so closing more panes than the ring holds has no effect.
        windows = [self._close_pane() for _ in range(min(passed, self._panes + 1))]
        return [window for window in windows if window is not None]


def make_ring(window: Window, bins: int) -> RowRing | TimeRing:
    """Return an empty ring with the panes of *window*, which counts rows in *bins* bins."""
    if window.pane_rows is not None:
        return RowRing(window.panes, bins, window.pane_rows)
    return TimeRing(window.panes, bins, window.pane_seconds or 0.0)
