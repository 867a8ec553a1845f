"""`Comparison`: counts values per bin by comparing them with all cuts, which is faster than a search per value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Counts

__all__ = ["MAX_CUTS", "Comparison"]

MAX_ROWS = 2_040
"""Most rows of one comparison: each of eight bytes counts an eighth of the rows, and a byte holds at most 255."""

FEW_ROWS = 96
"""Most rows for which numpy's usual buffer is faster. The sum of this number of booleans fits one byte."""

MIN_ROWS = 256
"""Fewest rows of one comparison, if there are enough; with fewer, the overhead of numpy's calls dominates."""

MAX_BOOLEANS = 2**19
"""Most booleans of one comparison, if it has at least `MIN_ROWS`; half a megabyte stays in the processor's cache."""

MAX_CUTS = 64
"""Most cuts of a feature for which comparing with each cut is cheaper than a binary search for each value."""

LANES = 8
"""Booleans in one 64-bit word."""

BUFFER = 16
"""
Elements of numpy's buffer during a comparison.

With the usual 8,192 elements, numpy 2.3 and later copy the edges into the buffer once for every row that fits. This
takes three times as long as the comparison. With 16, the smallest size that numpy allows, no row fits.
"""

_EVEN_BYTES, _ONES = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0001000100010001)
_BYTE_ONES = np.uint64(0x0101010101010101)
_BYTE, _THREE_PAIRS, _SEVEN_BYTES = np.uint64(8), np.uint64(48), np.uint64(56)


class Comparison:
    """
    Counts the values of several columns by comparing them with all cuts in one step.

    Args:
        cuts: the cuts of each column, in increasing order.
        offsets: the index of each column's first bin in the vector of counts.

    Attributes:
        width: number of columns.
        rows: most rows that one call of `count` may have.
    """

    __slots__ = ("_edges", "_from", "_missing", "_to", "rows", "width")

    def __init__(self, cuts: Sequence[Sequence[float]], offsets: Sequence[int]) -> None:
        self.width = len(cuts)
        # Every value but nan is at or above the first edge. No value is above the spare edges, which are nan.
        edges = np.full((len(cuts), 1 + max(map(len, cuts))), np.nan)
        edges[:, 0] = -np.inf
        for row, own in zip(edges, cuts, strict=True):
            row[1 : 1 + len(own)] = own
        self._edges = edges[:, :, np.newaxis]
        self.rows = min(MAX_ROWS, max(MIN_ROWS, MAX_BOOLEANS // edges.size // LANES * LANES))
        self._from = np.flatnonzero(~np.isnan(edges))
        self._to = np.concatenate([offset + np.arange(1 + len(own)) for offset, own in zip(offsets, cuts, strict=True)])
        self._missing = np.array([offset + 1 + len(own) for offset, own in zip(offsets, cuts, strict=True)])

    def empty_block(self, rows: int) -> NDArray[np.float64]:
        """
        Return an array for the values of *rows* rows, shape (columns, *rows* rounded up to a multiple of 8).

        The caller fills ``[:, :rows]``. Further rows are nan, and `count` ignores them.
        """
        block = np.empty((self.width, rows + -rows % LANES))
        block[:, rows:] = np.nan
        return block

    def count(self, block: NDArray[np.float64], rows: int, counts: Counts) -> None:
        """
        Add the number of values in each bin to *counts*.

        Args:
            block: the values, in an array from `empty_block`.
            rows: number of rows, at most the attribute *rows*.
            counts: the counts of all features, shape (bins,), which are changed.
        """
        # One addition of 64-bit words adds eight booleans, because each byte sums its own eighth of the rows.
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
        """Return whether each value is at or above each edge (-inf or a cut), shape (columns, edges, rows)."""
        if rows <= FEW_ROWS:
            return block[:, np.newaxis, :] >= self._edges
        usual = np.setbufsize(BUFFER)
        try:
            return block[:, np.newaxis, :] >= self._edges
        finally:
            np.setbufsize(usual)
