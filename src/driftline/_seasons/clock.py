"""`WeekClock`: the hour of the week in which rows are served."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from driftline._seasons.calendar import CELLS, HOUR, cell_of
from driftline._seasons.zones import QUARTER, UTC, TimeZone
from driftline.typing import Counts

__all__ = ["WeekClock"]


class WeekClock:
    """
    Keeps the hour of the week in which rows are counted, until `advance` is called.

    Args:
        wall: returns the Unix time in seconds, as `time.time`.
        zone: the time zone of the hours; UTC by default.
    """

    __slots__ = ("_cell", "_end", "_start", "_wall", "_zone")

    def __init__(self, wall: Callable[[], float], zone: TimeZone | None = None) -> None:
        self._wall, self._zone = wall, zone or TimeZone(UTC)
        self.advance()

    @property
    def over(self) -> bool:
        """Whether the kept hour differs from the present one, because it ended or the clock was set back."""
        return not self._start <= self._wall() < self._end

    def advance(self) -> None:
        """Replace the kept hour by the present one. The caller has counted all rows of the earlier hour."""
        quarter = math.floor(self._wall() / QUARTER) * QUARTER
        self._cell = self._cell_at(quarter)
        # Where clocks change, a local hour may take half an hour, or two. An hour starts at any quarter of an UTC hour.
        self._start, self._end = quarter, quarter + QUARTER
        while quarter - self._start < HOUR and self._cell_at(self._start - QUARTER) == self._cell:
            self._start -= QUARTER
        while self._end - quarter < HOUR and self._cell_at(self._end) == self._cell:
            self._end += QUARTER

    def _cell_at(self, seconds: float) -> int:
        """Return the hour of the week at a Unix time."""
        return int(cell_of(np.array([seconds + self._zone.offset(seconds)]))[0])

    def append_cells(self, counts: Counts, rows: int) -> Counts:
        """
        Return *counts*, followed by one count per hour of the week, shape (bins + `CELLS`,).

        The count of the kept hour is *rows*. Those of the other hours are 0.

        Args:
            counts: shape (bins,), rows per bin.
            rows: number of rows.
        """
        longer = np.zeros(len(counts) + CELLS, dtype=np.int64)
        longer[: len(counts)] = counts
        longer[len(counts) + self._cell] = rows
        return longer
