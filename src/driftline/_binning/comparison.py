"""How many values of each column lie at or above each of its cuts: counts of bins without a bin number per value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Counts

__all__ = ["MOST_CUTS", "Comparison"]

MOST_ROWS = 2_040
"""Rows compared at once at most: a byte counts an eighth of them, and holds 255."""

FEW_ROWS = 96
"""Rows up to which numpy's usual buffer is the faster one; a byte holds all of their booleans added up."""

FEWEST_ROWS = 256
"""Rows compared at once where there are as many: with fewer, much of the time is calling numpy."""

MOST_BOOLEANS = 2**19
"""Comparisons made at once, as far as the rows allow: half a megabyte, which the cache holds until it is added up."""

MOST_CUTS = 64
"""Cuts beyond which comparing with each of them is dearer than a search for each value."""

LANES = 8
"""Booleans in one 64-bit word."""

BUFFER = 16
"""
Elements in numpy's buffer while it compares.

With the usual 8,192 numpy (from 2.3 on) copies the edges into it, as often as there are rows that fit: three times the
work of comparing. The smallest buffer there can be leaves it nothing to copy into.
"""

_EVEN_BYTES, _ONES = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0001000100010001)
_BYTE_ONES = np.uint64(0x0101010101010101)
_BYTE, _THREE_PAIRS, _SEVEN_BYTES = np.uint64(8), np.uint64(48), np.uint64(56)


class Comparison:
    """
    Columns that are compared with all of their cuts at once.

    Args:
        cuts: of each column, in rising order.
        offsets: where the bins of each column start in the vector of counts.

    Attributes:
        width: number of columns.
        rows: how many rows are compared at once at most.
    """

    __slots__ = ("_edges", "_from", "_missing", "_to", "rows", "width")

    def __init__(self, cuts: Sequence[Sequence[float]], offsets: Sequence[int]) -> None:
        self.width = len(cuts)
        # The first edge has everything above it but nan. A column with fewer cuts has nan for the rest: nothing is.
        edges = np.full((len(cuts), 1 + max(map(len, cuts))), np.nan)
        edges[:, 0] = -np.inf
        for row, own in zip(edges, cuts, strict=True):
            row[1 : 1 + len(own)] = own
        self._edges = edges[:, :, np.newaxis]
        self.rows = min(MOST_ROWS, max(FEWEST_ROWS, MOST_BOOLEANS // edges.size // LANES * LANES))
        self._from = np.flatnonzero(~np.isnan(edges))
        self._to = np.concatenate([offset + np.arange(1 + len(own)) for offset, own in zip(offsets, cuts, strict=True)])
        self._missing = np.array([offset + 1 + len(own) for offset, own in zip(offsets, cuts, strict=True)])

    def room(self, rows: int) -> NDArray[np.float64]:
        """Room for the values, shape (columns, rows and a little more): what is not filled in counts as nothing."""
        block = np.empty((self.width, rows + -rows % LANES))
        block[:, rows:] = np.nan
        return block

    def count(self, block: NDArray[np.float64], rows: int, counts: Counts) -> None:
        """
        Add the number of values in each bin to *counts*.

        Args:
            block: from `room`, filled in.
            rows: at most `rows`.
            counts: of all features.
        """
        # Eight booleans are added at a time: each byte of a word counts its own eighth of the rows.
        words = np.einsum("ijk->ij", self._above(block, rows).view(np.uint64))
        if rows <= FEW_ROWS:
            sums = (words * _BYTE_ONES) >> _SEVEN_BYTES
        else:
            pairs = (words & _EVEN_BYTES) + ((words >> _BYTE) & _EVEN_BYTES)
            sums = (pairs * _ONES) >> _THREE_PAIRS
        totals = sums.view(np.int64)
        counts[self._missing] += rows - totals[:, 0]
        totals[:, :-1] -= totals[:, 1:]
        counts[self._to] += totals.ravel()[self._from]

    def _above(self, block: NDArray[np.float64], rows: int) -> NDArray[np.bool_]:
        """Whether each value is at or above each edge, shape (columns, edges, rows)."""
        if rows <= FEW_ROWS:
            return block[:, np.newaxis, :] >= self._edges
        usual = np.setbufsize(BUFFER)
        try:
            return block[:, np.newaxis, :] >= self._edges
        finally:
            np.setbufsize(usual)
