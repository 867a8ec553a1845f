"""The bins of all features in one vector, and the counts of many rows in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, CategoricalBins, Feature, NumericBins
from driftline._binning.comparison import MOST_CUTS, Comparison
from driftline._binning.labels import is_missing, label_of
from driftline._capture.columns import (
    FLOAT_BYTES,
    CategoricalColumn,
    Row,
    as_codes,
    as_floats,
    as_numbers,
    as_objects,
    count_codes,
    read_matrix,
)
from driftline.typing import Column, Counts

__all__ = ["Binner", "Layout", "binner"]

Binner: TypeAlias = Callable[[Column], NDArray[np.intp]]

MOST_COMPARISONS = 16
"""Sets of columns whose `Comparison` is kept. A program sends batches with the same columns again and again."""


def binner(bins: Bins) -> Binner:
    """Return the function that maps a column of values, shape (rows,), to bin numbers, shape (rows,)."""
    return _numeric_binner(bins) if isinstance(bins, NumericBins) else _categorical_binner(bins)


def _numeric_binner(bins: NumericBins) -> Binner:
    cuts = np.array(bins.cuts, dtype=np.float64)
    missing = bins.missing

    def bin_column(column: Column) -> NDArray[np.intp]:
        values = as_floats(column)
        numbers = np.searchsorted(cuts, values, side="right")
        # nan sorts after all numbers: it would be counted as above the range.
        numbers[values != values] = missing  # noqa: PLR0124 - only nan differs from itself
        return numbers

    return bin_column


def _categorical_binner(bins: CategoricalBins) -> Binner:
    numbers: dict[object, int] = dict.fromkeys(bins.others, bins.other)
    numbers.update((label, number) for number, label in enumerate(bins.categories))
    unknown = bins.other if bins.open else bins.unseen
    missing = bins.missing

    def bin_value(value: object) -> int:
        if value is None:
            return missing
        try:
            number = numbers.get(value)
            if number is not None:
                return number
            return missing if is_missing(value) else numbers.get(label_of(value), unknown)
        except Exception:  # noqa: BLE001 - a list where a label was expected; a __hash__ or __str__ that raises
            return unknown

    def bin_column(column: Column) -> NDArray[np.intp]:
        if isinstance(column, CategoricalColumn):
            by_code: NDArray[np.intp] = np.array([*bin_column(column.labels), missing], dtype=np.intp)
            result: NDArray[np.intp] = by_code[np.maximum(column.codes, -1)]
            return result
        values = as_objects(column)
        try:
            # The common case: all labels are known. This is one pass without a Python call per value.
            return np.fromiter(map(numbers.__getitem__, values), dtype=np.intp, count=len(values))
        except Exception:  # noqa: BLE001 - an unknown label, or a value that cannot be compared
            return np.fromiter(map(bin_value, values), dtype=np.intp, count=len(values))

    return bin_column


class Layout:
    """
    The bins of all features side by side in one vector of counts.

    Args:
        features: the features, in the order of the columns that are counted.

    Attributes:
        sizes: number of bins of each feature.
        offsets: index of the first bin of each feature.
        slices: indices of the bins of each feature.
        total: number of bins of all features.
        breadth: values of a captured row, which is what a pending row costs in memory.
        fingerprint: a hash of the bins and of the names of the features.
    """

    __slots__ = ("_binners", "_comparisons", "_cuts", "breadth", "fingerprint", "offsets", "sizes", "slices", "total")

    defers: ClassVar[bool] = False
    """Whether batches are buffered as single rows are, rather than binned on the caller's thread."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.sizes = tuple(feature.bins.size for feature in features)
        self.breadth = len(features)
        ends = np.cumsum([0, *self.sizes])
        self.offsets = tuple(int(end) for end in ends[:-1])
        self.total = int(ends[-1])
        self.slices = tuple(slice(start, start + size) for start, size in zip(self.offsets, self.sizes, strict=True))
        self.fingerprint = _fingerprint(features)
        self._binners = tuple(binner(feature.bins) for feature in features)
        # None for a feature whose values are looked up, or searched for, rather than compared.
        self._cuts = tuple(_comparable(feature.bins) for feature in features)
        self._comparisons: dict[tuple[int, ...], Comparison] = {}

    def compares(self, width: int) -> bool:
        """Return whether the first *width* values of a row are all compared as numbers, and may be packed as floats."""
        return None not in self._cuts[:width]

    def derive(self, columns: Sequence[Column | None], rows: int) -> Sequence[Column | None]:
        """Return the columns that are counted, for captured columns of *rows* rows: here they are the same."""
        del rows
        return columns

    def count(self, columns: Sequence[Column | None], rows: int | slice) -> Counts:
        """
        Return the counts of columns, shape (total,).

        All values of a column that is None are missing. If there are fewer columns than features, the other features
        are not counted: rows may have no prediction.

        Args:
            columns: one column per feature, in the order of the features.
            rows: the rows that are counted, as a slice or as the number of all rows.
        """
        selection = slice(0, rows) if isinstance(rows, int) else rows
        length = selection.stop - selection.start
        counts = np.zeros(self.total, dtype=np.int64)
        compared: dict[int, NDArray[np.generic]] = {}
        for index, column in enumerate(columns):
            if column is None:
                counts[self.slices[index].stop - 1] = length
                continue
            part = column if length == len(column) else column[selection]
            if self._is_compared(index, part):
                compared[index] = as_numbers(part)
            else:
                counts[self.slices[index]] = self._count_column(index, part)
        if compared:
            comparison = self._comparison(tuple(compared))
            for start in range(0, length, comparison.rows):
                rows = min(comparison.rows, length - start)
                block = comparison.room(rows)
                for row, values in zip(block, compared.values(), strict=True):
                    row[:rows] = values[start : start + rows]
                comparison.count(block, rows, counts)
        return counts

    def count_rows(self, rows: Sequence[Row], outputs: Sequence[object] | None = None) -> Counts:
        """
        Return the counts of rows, shape (total,).

        Args:
            rows: tuples of values in the order of the features, or the bytes of as many float64.
            outputs: the prediction of each row, which is the last feature; None if the rows have no prediction.
        """
        kinds = set(map(type, rows))
        if len(kinds) == 1:
            return self._count_rows_of_one_kind(rows, outputs, packed=bytes in kinds)
        counts = np.zeros(self.total, dtype=np.int64)
        start = 0
        for packed, group in groupby(rows, _is_packed):
            part = list(group)
            predictions = None if outputs is None else outputs[start : start + len(part)]
            counts += self._count_rows_of_one_kind(part, predictions, packed=packed)
            start += len(part)
        return counts

    def _count_rows_of_one_kind(self, rows: Sequence[Any], outputs: Sequence[object] | None, *, packed: bool) -> Counts:
        width = len(rows[0]) // FLOAT_BYTES if packed else len(rows[0])
        matrix = read_matrix(rows, width) if packed or self.compares(width) else None
        if matrix is None or None in self._cuts[: width + 1]:
            columns: list[Column] = list(zip(*rows, strict=True)) if matrix is None else list(matrix.T)
            return self.count(columns if outputs is None else [*columns, outputs], len(rows))
        counts = np.zeros(self.total, dtype=np.int64)
        comparison = self._comparison(tuple(range(width if outputs is None else width + 1)))
        predictions = None if outputs is None else as_floats(outputs)
        for start in range(0, len(rows), comparison.rows):
            stop = min(start + comparison.rows, len(rows))
            block = comparison.room(stop - start)
            block[:width, : stop - start] = matrix[start:stop].T
            if predictions is not None:
                block[width, : stop - start] = predictions[start:stop]
            comparison.count(block, stop - start, counts)
        return counts

    def _is_compared(self, index: int, column: Column) -> bool:
        """Return whether a column is counted by a `Comparison`, together with others: its values are numbers."""
        if isinstance(column, np.ndarray):
            return self._cuts[index] is not None and column.dtype.kind != "b"
        return self._cuts[index] is not None and not isinstance(column, CategoricalColumn)

    def _comparison(self, indices: tuple[int, ...]) -> Comparison:
        """Return the comparison of some of the features, a kept one if there is one."""
        comparison = self._comparisons.get(indices)
        if comparison is None:
            if len(self._comparisons) >= MOST_COMPARISONS:
                self._comparisons.clear()
            cuts = [self._cuts[index] or () for index in indices]
            comparison = Comparison(cuts, [self.offsets[index] for index in indices])
            self._comparisons[indices] = comparison
        return comparison

    def _count_column(self, index: int, column: Column) -> Counts:
        """Return the counts of one column in its own bins."""
        size = self.sizes[index]
        codes = as_codes(column)
        if codes is not None:
            counts = np.zeros(size, dtype=np.int64)
            missing, by_label = count_codes(codes)
            np.add.at(counts, self._binners[index](codes.labels), by_label)
            counts[-1] += missing
            return counts
        return np.bincount(self._binners[index](column), minlength=size)


def _comparable(bins: Bins) -> tuple[float, ...] | None:
    return bins.cuts if isinstance(bins, NumericBins) and len(bins.cuts) <= MOST_CUTS else None


def _is_packed(row: object) -> bool:
    return row.__class__ is bytes


def _fingerprint(features: Sequence[Feature]) -> str:
    """Return a hash that is equal for equal bins of equally named features, in any process."""
    bins = repr([(feature.name, feature.bins) for feature in features])
    return hashlib.sha256(bins.encode()).hexdigest()[:16]
