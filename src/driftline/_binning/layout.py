"""Values to bin numbers, many rows at a time, and bin numbers to counts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import (
    Bins,
    CategoricalBins,
    Feature,
    NumericBins,
)
from driftline._binning.comparison import MOST_CUTS, Comparison
from driftline._binning.labels import is_missing, label_of
from driftline._capture.columns import (
    FLOAT_BYTES,
    CategoricalColumn,
    Row,
    as_floats,
    as_numbers,
    as_objects,
    coded,
    count_codes,
    read_matrix,
)
from driftline.typing import (
    Column,
    Counts,
)

__all__ = [
    "Binner",
    "Layout",
    "binner",
]

Binner: TypeAlias = Callable[[Column], NDArray[np.intp]]

MOST_COMPARISONS = 16
"""Sets of columns for which what their comparison needs is kept: a program sends the same ones again and again."""


def binner(bins: Bins) -> Binner:
    """The function that maps a column of values, shape (rows,), to their bin numbers, shape (rows,)."""
    return _numeric(bins) if isinstance(bins, NumericBins) else _categorical(bins)


def _numeric(bins: NumericBins) -> Binner:
    cuts = np.array(bins.cuts, dtype=np.float64)
    missing = bins.missing

    def number(column: Column) -> NDArray[np.intp]:
        values = as_floats(column)
        numbers = np.searchsorted(cuts, values, side="right")
        # nan sorts behind everything and would count as above the range.
        numbers[values != values] = missing  # noqa: PLR0124 - only nan differs from itself
        return numbers

    return number


def _categorical(bins: CategoricalBins) -> Binner:
    numbers: dict[object, int] = dict.fromkeys(bins.others, bins.other)
    numbers.update((label, place) for place, label in enumerate(bins.categories))
    unknown = bins.other if bins.open else bins.unseen
    missing = bins.missing

    def one(value: object) -> int:
        if value is None:
            return missing
        try:
            found = numbers.get(value)
            if found is not None:
                return found
            return missing if is_missing(value) else numbers.get(label_of(value), unknown)
        except Exception:  # noqa: BLE001 - a list where a label was expected; a __hash__ or __str__ that raises
            return unknown

    def number(column: Column) -> NDArray[np.intp]:
        if isinstance(column, CategoricalColumn):
            by_label: NDArray[np.intp] = np.array([*number(column.labels), missing], dtype=np.intp)
            numbered: NDArray[np.intp] = by_label[np.maximum(column.codes, -1)]
            return numbered
        values = as_objects(column)
        try:
            # The common case, all labels known, in one pass without a Python call per value.
            return np.fromiter(map(numbers.__getitem__, values), dtype=np.intp, count=len(values))
        except Exception:  # noqa: BLE001 - an unknown label, or a value that cannot be compared
            return np.fromiter(map(one, values), dtype=np.intp, count=len(values))

    return number


class Layout:
    """
    The bins of all features laid side by side in one flat vector of counts.

    Args:
        features: the features in the order of the columns that will be counted.

    Attributes:
        sizes: bins of each feature.
        offsets: where they start.
        slices: where they lie.
        total: bins of all.
        breadth: values of a row that waits to be counted.
        fingerprint: which bins these are.
    """

    __slots__ = ("_binners", "_comparisons", "_cuts", "breadth", "fingerprint", "offsets", "sizes", "slices", "total")

    defers: ClassVar[bool] = False
    """Whether batches wait to be binned, as single rows do, rather than being binned by their callers."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.sizes = tuple(feature.bins.size for feature in features)
        self.breadth = len(features)
        ends = np.cumsum([0, *self.sizes])
        self.offsets = tuple(int(end) for end in ends[:-1])
        self.total = int(ends[-1])
        self.slices = tuple(slice(start, start + size) for start, size in zip(self.offsets, self.sizes, strict=True))
        self.fingerprint = _fingerprint(features)
        self._binners = tuple(binner(feature.bins) for feature in features)
        # None where a value is looked up or searched for rather than compared.
        self._cuts = tuple(_comparable(feature.bins) for feature in features)
        self._comparisons: dict[tuple[int, ...], Comparison] = {}

    def compares(self, width: int) -> bool:
        """Whether the first so many values of a row are all compared as numbers, and may be packed as such."""
        return None not in self._cuts[:width]

    def staged(self, columns: Sequence[Column | None], rows: int) -> Sequence[Column | None]:
        """The columns that are counted of so many rows captured: here they are the same."""
        del rows
        return columns

    def count(self, columns: Sequence[Column | None], rows: int | slice) -> Counts:
        """
        Count a stretch of columns: shape (total,).

        A column that is None holds nothing but missing values. Fewer columns than features leave the rest uncounted:
        rows without a prediction are still rows.

        Args:
            columns: one per feature, in their order.
            rows: which rows of them are counted, or how many there are.
        """
        stretch = slice(0, rows) if isinstance(rows, int) else rows
        length = stretch.stop - stretch.start
        counts = np.zeros(self.total, dtype=np.int64)
        compared: dict[int, NDArray[np.generic]] = {}
        for place, column in enumerate(columns):
            if column is None:
                counts[self.slices[place].stop - 1] = length
                continue
            part = column if length == len(column) else column[stretch]
            if self._is_compared(place, part):
                compared[place] = as_numbers(part)
            else:
                counts[self.slices[place]] = self._count_alone(place, part)
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
        Count rows of values: shape (total,).

        Args:
            rows: each a tuple in the order of the features, or the same as the bytes of float64.
            outputs: the prediction of each row, as the last feature; None where no row has one.
        """
        kinds = set(map(type, rows))
        if len(kinds) == 1:
            return self._count_alike(rows, outputs, packed=bytes in kinds)
        counts = np.zeros(self.total, dtype=np.int64)
        start = 0
        for packed, group in groupby(rows, _is_packed):
            part = list(group)
            given = None if outputs is None else outputs[start : start + len(part)]
            counts += self._count_alike(part, given, packed=packed)
            start += len(part)
        return counts

    def _count_alike(self, rows: Sequence[Any], outputs: Sequence[object] | None, *, packed: bool) -> Counts:
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

    def _is_compared(self, place: int, column: Column) -> bool:
        """Whether a column is compared along with others: numbers that came as numbers."""
        if isinstance(column, np.ndarray):
            return self._cuts[place] is not None and column.dtype.kind != "b"
        return self._cuts[place] is not None and not isinstance(column, CategoricalColumn)

    def _comparison(self, places: tuple[int, ...]) -> Comparison:
        """The comparison of some of the features; the few that a program needs are kept."""
        found = self._comparisons.get(places)
        if found is None:
            if len(self._comparisons) >= MOST_COMPARISONS:
                self._comparisons.clear()
            cuts = [self._cuts[place] or () for place in places]
            found = Comparison(cuts, [self.offsets[place] for place in places])
            self._comparisons[places] = found
        return found

    def _count_alone(self, place: int, column: Column) -> Counts:
        """The counts of one column in its own bins."""
        size = self.sizes[place]
        codes = coded(column)
        if codes is not None:
            counts = np.zeros(size, dtype=np.int64)
            missing, found = count_codes(codes)
            np.add.at(counts, self._binners[place](codes.labels), found)
            counts[-1] += missing
            return counts
        return np.bincount(self._binners[place](column), minlength=size)


def _comparable(bins: Bins) -> tuple[float, ...] | None:
    return bins.cuts if isinstance(bins, NumericBins) and len(bins.cuts) <= MOST_CUTS else None


def _is_packed(row: object) -> bool:
    return row.__class__ is bytes


def _fingerprint(features: Sequence[Feature]) -> str:
    """Which bins these are: equal for equal bins of equally named features, in any process."""
    bins = repr([(feature.name, feature.bins) for feature in features])
    return hashlib.sha256(bins.encode()).hexdigest()[:16]
