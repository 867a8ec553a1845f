"""`Expectation`: the counts that a window should have without drift, given the hours of the week of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._seasons.calendar import CELLS
from driftline._seasons.models import Model, OneSeason, TwoSeasons
from driftline._seasons.seasons import Seasons
from driftline.typing import Counts, Floats

__all__ = ["Expectation", "OrderedRows"]

FLOOR = 0.1
"""
Smallest expected share of a bin by which variances are standardised, as a part of the bin's share of all rows. A rare
bin may have no rows in a small cell, and a new row in it must not get an infinite weight.
"""


class Expectation:
    """
    Computes the counts that a window should have without drift, given the hours of the week of its rows.

    Args:
        seasons: the seasons of the reference, of at least one kind.
        features: the features, in the order of *layout*.
        layout: the bins of the features.

    Attributes:
        overall: share of each bin in all rows of the reference, shape (bins,).
    """

    __slots__ = ("_model", "_offsets", "_rows", "_sizes", "overall")

    def __init__(self, seasons: Seasons, features: Sequence[Feature], layout: Layout) -> None:
        counts = np.concatenate([np.array(feature.counts, dtype=np.int64) for feature in features])
        self._sizes, self._offsets = layout.sizes, layout.offsets
        self._rows = float(counts[: layout.sizes[0]].sum())
        self.overall: Floats = counts / self._rows
        model = OneSeason if len(seasons.kinds) == 1 else TwoSeasons
        self._model: Model = model(seasons, self.overall, layout)

    def of_feature(self, bins: slice, cells: Counts) -> Floats:
        """
        Return the expected shares of one feature's bins in blocks of rows, shape (blocks, bins).

        A share is at least `FLOOR` times the overall share. The shares of each block sum to 1.

        Args:
            bins: indices of the feature's bins.
            cells: rows of each block by hour of the week, shape (blocks, `CELLS`).
        """
        overall = self.overall[bins]
        rows = cells.sum(axis=1, keepdims=True)
        mixed = cells / np.maximum(rows, 1) @ self._model.profiles(np.arange(CELLS), bins)
        raised = np.maximum(mixed, FLOOR * overall)
        expected: Floats = raised / raised.sum(axis=1, keepdims=True)
        return expected

    def freedom(self, cells: Counts) -> Floats:
        """
        Return the degrees of freedom of the variance of blocks around their expected counts, shape (features,).

        They are the number of blocks, less the lost ones. A block loses some because it is a part of the reference,
        from which its expectation is computed: its rows times the variance of its expected shares. Blocks that each
        hold a whole season lose one degree together.

        Args:
            cells: rows of each block by hour of the week, shape (blocks, `CELLS`).
        """
        rows = cells.sum(axis=1, keepdims=True)
        freedom: Floats = len(cells) - (rows * self._model.variances(cells / np.maximum(rows, 1))).sum(axis=0)
        return freedom

    def shares(self, cells: Counts) -> Floats:
        """
        Return the expected shares of a window, shape (bins,); the overall shares if it has no rows.

        Args:
            cells: rows of the window by hour of the week, shape (`CELLS`,).
        """
        used = np.flatnonzero(cells)
        if not used.size:
            return self.overall
        mixed: Floats = cells[used] / cells.sum() @ self._model.profiles(used, slice(None))
        return mixed

    def __call__(self, cells: Counts) -> Floats:
        """
        Return the counts with which a window is compared, shape (bins,): expected shares times effective rows.

        The effective rows of a feature are 1 / the variance of its expected shares, in units of that of one row. For a
        window without rows, return the counts of the reference.

        Args:
            cells: rows of the window by hour of the week, shape (`CELLS`,).
        """
        total = int(cells.sum())
        if not total:
            return self.overall * self._rows
        return self.shares(cells) / np.repeat(self._model.variances(cells / total), self._sizes)

    def floored(self, shares: Floats) -> Floats:
        """
        Return *shares*, shape (..., bins), each at least `FLOOR` times the overall share.

        The result is scaled to sum to 1 per feature. Variances are standardised by the result.
        """
        raised = np.maximum(shares, FLOOR * self.overall)
        norm = np.add.reduceat(raised, self._offsets, axis=-1)
        floored: Floats = raised / np.repeat(norm, self._sizes, axis=-1)
        return floored


@dataclass(frozen=True, slots=True, eq=False)
class OrderedRows:
    """
    The order of rows of training data by time, and their hours of the week.

    Attributes:
        order: indices that sort the rows by time, shape (rows,).
        cells: hour of the week of each row in this order, shape (rows,).
        expectation: computes expected counts of blocks of rows; None if windows are not compared by seasons.
    """

    order: NDArray[np.intp]
    cells: NDArray[np.intp]
    expectation: Expectation | None

    def cell_counts(self, length: int) -> Counts:
        """
        Return the number of rows per hour of the week in each block of *length* rows, shape (blocks, `CELLS`).

        Rows after the last whole block are ignored.
        """
        blocks = len(self.cells) // length
        block_of_row = np.repeat(np.arange(blocks), length)
        counts = np.bincount(block_of_row * CELLS + self.cells[: blocks * length], minlength=blocks * CELLS)
        return counts.reshape(blocks, CELLS)
