"""`OutcomePanes`: the counts of graded outcomes in the panes of a window, and which pairs each pane has."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from driftline.outcomes._grading import GRADED, UNGRADED
from driftline.typing import Counts

__all__ = ["OutcomePanes", "SerialRange"]

SerialRange: TypeAlias = "tuple[int, int]"
"""First and last serial number of pairs. None in between belongs to another pane of the same ledger."""


class OutcomePanes:
    """
    The counts of graded outcomes in the panes of a window. Its owner holds a lock, and adds to the open pane.

    Args:
        size: numbers in the counts of a pane.
        panes: closed panes that the window has.
        rows: outcomes that fill a pane.

    Attributes:
        closed: the counts of the closed panes, the oldest first.
        open: the counts of the open pane.
        open_serials: the serial numbers of its pairs.
    """

    __slots__ = ("_closed_serials", "_rows", "_size", "closed", "open", "open_serials")

    def __init__(self, size: int, panes: int, rows: int) -> None:
        self._size, self._rows = size, rows
        self.closed: deque[Counts] = deque(maxlen=panes)
        self.open: Counts = np.zeros(size, dtype=np.int64)
        self._closed_serials: deque[Sequence[SerialRange]] = deque(maxlen=panes)
        self.open_serials: Sequence[SerialRange] = ()

    @property
    def room(self) -> int:
        """Number of outcomes until the open pane is full, at least 1."""
        return max(1, self._rows - self._open_rows)

    @property
    def _open_rows(self) -> int:
        # Ungraded pairs count too: the errors of a regression without a user function also need a window.
        return int(self.open[GRADED] + self.open[UNGRADED])

    def serials_with(self, new: SerialRange | None) -> Sequence[SerialRange]:
        """Return the serial numbers of the open pane with new ones, which extend the last range if they follow it."""
        ranges = self.open_serials
        if new is None:
            return ranges
        if ranges and ranges[-1][1] + 1 == new[0]:
            return (*ranges[:-1], (ranges[-1][0], new[1]))
        return (*ranges, new)

    def find(self, serial: int) -> Counts | None:
        """Return the counts of the pane that has the pair of this serial number; None if it has left the window."""
        closed = zip(self.closed, self._closed_serials, strict=True)
        for pane, ranges in ((self.open, self.open_serials), *closed):
            if any(first <= serial <= last for first, last in ranges):
                return pane
        return None

    def close_if_full(self) -> None:
        """Close the open pane if it is full, and open an empty one."""
        if self._open_rows >= self._rows:
            closed = deque([*self.closed, self.open], self.closed.maxlen)
            serials = deque([*self._closed_serials, self.open_serials], self.closed.maxlen)
            empty = np.zeros(self._size, dtype=np.int64)
            # Without a call, so that no interrupt comes between.
            self.closed, self.open = closed, empty
            self._closed_serials, self.open_serials = serials, ()
