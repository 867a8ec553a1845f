"""The shares of bins that the reference, or the season of some rows, lets expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._binning.selection import NewRows
from driftline._seasons.calendar import CELLS
from driftline._seasons.expectation import Expectation
from driftline.typing import Counts, Floats

__all__ = ["ExpectedShares"]

KEPT_HOURS = 3
"""Hours of the week whose shares are kept. The blocks of a window mostly lie in one or two."""


class ExpectedShares:
    """
    Computes expected shares: 1 in sum over the bins of each feature, missing values included.

    Args:
        features: the features, in the order of *layout*.
        layout: the layout of their bins.
        seasonal: computes the expected counts of rows from the hours of the week. If None, they do not depend on it.

    Attributes:
        usual: shape (bins,), the shares of the reference over all hours.
    """

    __slots__ = ("_bins", "_by_hour", "_new_rows", "_offsets", "_seasonal", "_sizes", "usual")

    def __init__(self, features: Sequence[Feature], layout: Layout, seasonal: Expectation | None) -> None:
        self._bins, self._seasonal = layout.total, seasonal
        self._offsets = np.array(layout.offsets, dtype=np.intp)
        self._sizes = np.array(layout.sizes, dtype=np.intp)
        self._new_rows = NewRows(features)
        self._by_hour: dict[int, tuple[Floats, Floats]] = {}
        counts = np.concatenate([np.array(feature.counts, dtype=np.float64) for feature in features])
        self.usual = self._divide(np.asarray(self._new_rows(counts), dtype=np.float64))[0]

    def of_hours(self, hours: Counts) -> Floats:
        """Return the shares to expect of rows with these hours of the week, shape (`CELLS`,): shape (bins,)."""
        if self._seasonal is None:
            return self.usual
        return self._expect(self._seasonal, hours)[0]

    def of_blocks(self, counts: Counts) -> Floats:
        """
        Return the shares to expect of blocks, shape (blocks, bins + 1).

        Args:
            counts: shape (blocks, bins + 1 + `CELLS`): counts, padding, and rows by hour of the week.
        """
        return np.stack([np.append(self.of_hours(block[self._bins + 1 :]), 0.0) for block in counts])

    def of_look(self, counts: Counts, reference_rows: float) -> tuple[Floats, Floats]:
        """
        Return the shares to expect of a look, shape (bins,), and the rows behind them, shape (features,).

        Args:
            counts: the counts of the look, followed by its rows by hour of the week if there are seasons.
            reference_rows: rows of the reference.
        """
        if self._seasonal is None:
            return self.usual, np.full(len(self._sizes), reference_rows)
        hours = counts[self._bins : self._bins + CELLS]
        # A feature whose days have courses of their own has fewer effective rows.
        shares, rows = self._expect(self._seasonal, hours)
        return shares, np.maximum(rows, 1.0)

    def _expect(self, seasonal: Expectation, hours: Counts) -> tuple[Floats, Floats]:
        """Return the expected shares and their rows, from the cache if all rows are of one hour of the week."""
        used = np.flatnonzero(hours)
        hour = int(used[0]) if len(used) == 1 else None
        if hour is not None and hour in self._by_hour:
            return self._by_hour[hour]
        expected = self._divide(np.asarray(self._new_rows(seasonal(hours)), dtype=np.float64))
        if hour is not None:
            if len(self._by_hour) >= KEPT_HOURS:
                self._by_hour.clear()
            self._by_hour[hour] = expected
        return expected

    def _divide(self, counts: Floats) -> tuple[Floats, Floats]:
        """Return counts divided by their sum over the bins of each feature, and these sums."""
        rows = np.add.reduceat(counts, self._offsets)
        shares: Floats = counts / np.repeat(np.maximum(rows, 1e-12), self._sizes)
        return shares, rows
