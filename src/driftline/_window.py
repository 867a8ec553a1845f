"""Panes of counts in a ring, and the windows that are cut from it."""

from __future__ import annotations

from collections import deque

import numpy as np

from driftline._values import Counts, Window

__all__ = ["RowRing", "TimeRing", "WindowCounts", "make_ring"]


class WindowCounts:
    """The counts of a window and the number of rows in it."""

    __slots__ = ("counts", "rows")

    def __init__(self, counts: Counts, rows: int) -> None:
        self.counts = counts
        self.rows = rows


class _Ring:
    """
    The last panes, the newest of them still filling.

    Not locked: whoever owns it does that. A window of k panes is the sum of the k newest closed ones; as all are whole
    numbers, the sum is exact however it is made.
    """

    def __init__(self, panes: int, bins: int) -> None:
        self._bins = bins
        self._closed: deque[WindowCounts] = deque(maxlen=panes)
        self._open = WindowCounts(np.zeros(bins, dtype=np.int64), 0)

    def _put(self, counts: Counts, rows: int) -> None:
        self._open.counts += counts
        self._open.rows += rows

    def _close(self) -> WindowCounts | None:
        """Close the open pane; the window that is now complete, or None while the ring fills for the first time."""
        self._closed.append(self._open)
        self._open = WindowCounts(np.zeros(self._bins, dtype=np.int64), 0)
        return _sum(self._closed, self._bins) if len(self._closed) == self._closed.maxlen else None

    @property
    def full(self) -> bool:
        """Whether a whole window has been seen."""
        return len(self._closed) == self._closed.maxlen

    def partial(self) -> WindowCounts:
        """All that the ring holds, the open pane included."""
        return _sum([*self._closed, self._open], self._bins)

    def clear(self) -> None:
        """Forget everything."""
        self._closed.clear()
        self._open = WindowCounts(np.zeros(self._bins, dtype=np.int64), 0)


class RowRing(_Ring):
    """Panes of a fixed number of rows."""

    def __init__(self, panes: int, bins: int, pane_rows: int) -> None:
        super().__init__(panes, bins)
        self._pane_rows = pane_rows

    def room(self) -> int:
        """Rows that still fit into the open pane: at least 1."""
        return self._pane_rows - self._open.rows

    def put(self, counts: Counts, rows: int) -> WindowCounts | None:
        """Add rows, at most `room` of them; the window that they completed, if any."""
        self._put(counts, rows)
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
        self._end: float | None = None

    @property
    def end(self) -> float:
        """When the open pane ends, by the clock that `advance` was told; -inf before."""
        return -np.inf if self._end is None else self._end

    def room(self) -> int:
        """Any number of rows fits: time closes the pane."""
        return 2**62

    def put(self, counts: Counts, rows: int) -> None:
        """Add rows to the open pane."""
        self._put(counts, rows)

    def advance(self, now: float) -> list[WindowCounts]:
        """Close the panes that have ended by *now*; the windows that this completed, oldest first."""
        if self._end is None:
            self._end = now + self._seconds
            return []
        if now < self._end - self._seconds:
            # The clock went back: start over from here rather than wait for it to catch up.
            self._end = now + self._seconds
            return []
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
