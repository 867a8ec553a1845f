"""`Comparison`: counts values per bin by comparing them with all cuts, which is faster than a search per value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Counts

__all__ = ["MAX_CUTS", "Comparison", "padded"]

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

WIDTH_CLASSES = (24, MAX_CUTS + 1)
"""
Largest number of edges of the columns that are compared together. So a column with sixty cuts does not widen the
comparison of columns with fifteen. Each class costs the overhead of numpy's calls once per block.
"""

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
    Counts the values of several columns by comparing them with all cuts, columns of similar width in one step.

    Args:
        cuts: the cuts of each column, in increasing order.
        offsets: the index of each column's first bin in the vector of counts.

    Attributes:
        width: number of columns.
        rows: most rows that one call of `count` may have.
    """

    __slots__ = ("_parts", "rows", "width")

    def __init__(self, cuts: Sequence[Sequence[float]], offsets: Sequence[int]) -> None:
        self.width = len(cuts)
        classes: dict[int, list[int]] = {}
        for column, own in enumerate(cuts):
            edges = 1 + len(own)
            classes.setdefault(next((limit for limit in WIDTH_CLASSES if edges <= limit), edges), []).append(column)
        self._parts = tuple(
            _Part(
                None if len(classes) == 1 else np.array(columns),
                [cuts[column] for column in columns],
                [offsets[column] for column in columns],
            )
            for columns in classes.values()
        )
        booleans = max(part.edges.size for part in self._parts)
        self.rows = min(MAX_ROWS, max(MIN_ROWS, MAX_BOOLEANS // booleans // LANES * LANES))

    def empty_block(self, rows: int) -> NDArray[np.float64]:
        """
        Return an array for the values of *rows* rows, shape (columns, *rows* rounded up to a multiple of 8).

        The caller fills ``[:, :rows]``. Further rows are nan, and `count` ignores them.
        """
        block = np.empty((self.width, padded(rows)))
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
        self.count_parts(block, (rows,), counts[np.newaxis])

    def count_parts(self, block: NDArray[np.float64], sizes: Sequence[int], counts: Counts) -> None:
        """
        Add the number of values in each bin to the counts of the part of the batch that they are in.

        Args:
            block: the values, shape (columns, rows). Each part begins at a multiple of 8, and is followed by nan.
            sizes: number of rows of each part. With the padding, they are at most the attribute *rows*.
            counts: the counts of all features for each part, shape (parts, bins), which are changed.
        """
        for part in self._parts:
            part.count(block if part.columns is None else block[part.columns], sizes, counts)


def padded(rows: int) -> int:
    """Return *rows* rounded up to a multiple of 8."""
    return rows + -rows % LANES


class _Part:
    """
    The columns of a `Comparison` that are compared together.

    Args:
        columns: their indices; None for all columns.
        cuts: the cuts of each of them.
        offsets: the index of each one's first bin in the vector of counts.

    Attributes:
        columns: see above.
        edges: shape (columns, edges, 1), -inf and the cuts.
    """

    __slots__ = ("_from", "_missing", "_to", "columns", "edges")

    def __init__(
        self, columns: NDArray[np.intp] | None, cuts: Sequence[Sequence[float]], offsets: Sequence[int]
    ) -> None:
        self.columns = columns
        # Every value but nan is at or above the first edge. No value is above the spare edges, which are nan.
        edges = np.full((len(cuts), 1 + max(map(len, cuts))), np.nan)
        edges[:, 0] = -np.inf
        for row, own in zip(edges, cuts, strict=True):
            row[1 : 1 + len(own)] = own
        self.edges = edges[:, :, np.newaxis]
        self._from = np.flatnonzero(~np.isnan(edges))
        self._to = np.concatenate([offset + np.arange(1 + len(own)) for offset, own in zip(offsets, cuts, strict=True)])
        self._missing = np.array([offset + 1 + len(own) for offset, own in zip(offsets, cuts, strict=True)])

    def count(self, block: NDArray[np.float64], sizes: Sequence[int], counts: Counts) -> None:
        """Add the number of values in each bin to *counts*; see `Comparison.count_parts`."""
        words = self._above(block).view(np.uint64)
        start = 0
        for rows, of_part in zip(sizes, counts, strict=True):
            stop = start + padded(rows) // LANES
            self._add(words[:, :, start:stop], rows, of_part)
            start = stop

    def _add(self, words: NDArray[np.uint64], rows: int, counts: Counts) -> None:
        """Add the *words* of some rows, each of which holds eight booleans, to *counts*, shape (bins,)."""
        # One addition of 64-bit words adds eight booleans, because each byte sums its own eighth of the rows.
        words = np.einsum("ijk->ij", words)
        if rows <= FEW_ROWS:
            sums = (words * _BYTE_ONES) >> _SEVEN_BYTES
        else:
            pairs = (words & _EVEN_BYTES) + ((words >> _BYTE) & _EVEN_BYTES)
            sums = (pairs * _ONES) >> _THREE_PAIRS
        totals = sums.view(np.int64)
        counts[self._missing] += rows - totals[:, 0]
        totals[:, :-1] -= totals[:, 1:]
        counts[self._to] += totals.ravel()[self._from]

    def _above(self, block: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether each value is at or above each edge (-inf or a cut), shape (columns, edges, rows)."""
        if block.shape[1] <= FEW_ROWS:
            return block[:, np.newaxis, :] >= self.edges
        usual = np.setbufsize(BUFFER)
        try:
            return block[:, np.newaxis, :] >= self.edges
        finally:
            np.setbufsize(usual)
