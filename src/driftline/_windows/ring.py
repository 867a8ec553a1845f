"""Panes of counts in a ring."""

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
"""Blocks of a window: how they scatter tells how rows depend on each other, already after the first window."""

LEAST_BLOCK_ROWS, LEAST_BLOCK_SECONDS = 16, 1.0
"""A block's least size: smaller ones cost more time to count than they tell."""


class WindowCounts:
    """
    The counts of a window, the number of rows in it, and the blocks of consecutive rows that are new in it.

    Blocks are there only as long as somebody wants them (see `RowRing.divide`).
    """

    __slots__ = ("blocks", "counts", "rows")

    def __init__(self, counts: Counts, rows: int, blocks: tuple[WindowCounts, ...] = ()) -> None:
        self.counts = counts
        self.rows = rows
        self.blocks = blocks


class _Ring:
    """
    The last panes, the newest of them still filling.

    Not locked: whoever owns it does that. A window of k panes is the sum of the k newest closed ones; as all are whole
    numbers, the sum is exact however it is made.
    """

    def __init__(self, panes: int, bins: int) -> None:
        self._bins = bins
        self._closed: deque[WindowCounts] = deque(maxlen=panes)
        self._open = self._empty()
        self._block = self._empty()
        self._fresh: list[WindowCounts] = []
        self.divide = False
        """Whether blocks are cut, for the time in which the dependence of rows is learnt."""

    def _empty(self) -> WindowCounts:
        return WindowCounts(np.zeros(self._bins, dtype=np.int64), 0)

    def _put(self, counts: Counts, rows: int) -> None:
        self._open.counts += counts
        self._open.rows += rows
        if self.divide:
            self._block.counts += counts
            self._block.rows += rows

    def _end_block(self) -> None:
        if self.divide and self._block.rows:
            self._fresh.append(self._block)
            self._block = self._empty()

    def _taken(self) -> tuple[WindowCounts, ...]:
        """The blocks that nobody has had yet."""
        blocks, self._fresh = tuple(self._fresh), []
        return blocks

    def _close(self) -> WindowCounts | None:
        """Close the open pane; the window that is now complete, or None while the ring fills for the first time."""
        self._end_block()
        self._closed.append(self._open)
        self._open = self._empty()
        if len(self._closed) < (self._closed.maxlen or 0):
            return None
        whole = _sum(self._closed, self._bins)
        whole.blocks = self._taken()
        return whole

    @property
    def full(self) -> bool:
        """Whether a whole window has been seen."""
        return len(self._closed) == self._closed.maxlen

    def partial(self) -> WindowCounts:
        """All that the ring holds, the open pane included; its blocks are those that are complete and new."""
        part = _sum([*self._closed, self._open], self._bins)
        part.blocks = self._taken()
        return part

    def snapshot(self) -> WindowCounts:
        """All that the ring holds, the open pane included; whoever looks takes nothing away."""
        return _sum([*self._closed, self._open], self._bins)

    def clear(self) -> None:
        """Forget everything."""
        self._closed.clear()
        self._open, self._block, self._fresh = self._empty(), self._empty(), []


class RowRing(_Ring):
    """Panes of a fixed number of rows."""

    def __init__(self, panes: int, bins: int, pane_rows: int) -> None:
        super().__init__(panes, bins)
        self._pane_rows = pane_rows
        least = min(LEAST_BLOCK_ROWS, pane_rows, max(1, pane_rows * panes // LEAST_BLOCKS))
        self._block_rows = max(least, -(-pane_rows * panes // BLOCKS))

    def room(self) -> int:
        """Rows that may be put at once: at least 1."""
        pane = self._pane_rows - self._open.rows
        return min(pane, max(1, self._block_rows - self._block.rows)) if self.divide else pane

    def put(self, counts: Counts, rows: int) -> WindowCounts | None:
        """Add rows, at most `room` of them; the window that they completed, if any."""
        self._put(counts, rows)
        if self._block.rows >= self._block_rows:
            self._end_block()
        # >=: a finalizer of the host that predicts while rows are counted may put its row in between.
        return self._close() if self._open.rows >= self._pane_rows else None

    def advance(self, now: float) -> list[WindowCounts]:
        """Time alone completes no window of rows."""
        del now
        return []


class TimeRing(_Ring):
    """Panes of a fixed number of seconds, the first of them starting with the first reading of the clock."""

    def __init__(self, panes: int, bins: int, pane_seconds: float) -> None:
        super().__init__(panes, bins)
        self._panes = panes
        self._seconds = pane_seconds
        self._block_seconds = max(min(LEAST_BLOCK_SECONDS, pane_seconds), pane_seconds * panes / BLOCKS)
        self._end: float | None = None
        self._block_end = 0.0

    @property
    def end(self) -> float:
        """When the open pane, or block, ends, by the clock that `advance` was told; -inf before."""
        if self._end is None:
            return -np.inf
        return min(self._end, self._block_end) if self.divide else self._end

    def room(self) -> int:
        """Any number of rows fits: time closes the pane."""
        return 2**62

    def put(self, counts: Counts, rows: int) -> None:
        """Add rows to the open pane."""
        self._put(counts, rows)

    def advance(self, now: float) -> list[WindowCounts]:
        """Close the panes that have ended by *now*; the windows that this completed, oldest first."""
        if self._end is None or now < self._end - self._seconds:
            # The first reading, or a clock that went back: start over from here rather than wait for it to catch up.
            self._end = now + self._seconds
            self._block_end = now + self._block_seconds
            return []
        if now >= self._block_end:
            if self._block.rows >= LEAST_BLOCK_ROWS:
                self._end_block()
            self._block_end = now + self._block_seconds
        passed = int((now - self._end) // self._seconds) + 1 if now >= self._end else 0
        self._end += passed * self._seconds
        # After a long silence all panes are empty: more turns than the ring has panes change nothing.
        windows = [self._close() for _ in range(min(passed, self._panes + 1))]
        return [window for window in windows if window is not None]

    def clear(self) -> None:
        """Forget everything, the time included."""
        super().clear()
        self._end = None


def make_ring(window: Window, bins: int) -> RowRing | TimeRing:
    """The ring for a window over *bins* bins."""
    if window.pane_rows is not None:
        return RowRing(window.panes, bins, window.pane_rows)
    return TimeRing(window.panes, bins, window.pane_seconds or 0.0)


def _sum(panes: deque[WindowCounts] | list[WindowCounts], bins: int) -> WindowCounts:
    counts = np.zeros(bins, dtype=np.int64)
    for pane in panes:
        counts += pane.counts
    return WindowCounts(counts, sum(pane.rows for pane in panes))


LEAST_BLOCKS = 8
"""Blocks: a variance from fewer has less than seven degrees of freedom."""
