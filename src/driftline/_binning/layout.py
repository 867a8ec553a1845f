"""`Layout`: the bins of all features in one vector, and the functions that count rows in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from itertools import groupby
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, CategoricalBins, Feature, NumericBins
from driftline._binning.comparison import MAX_CUTS, Comparison
from driftline._binning.rejects import Rejects
from driftline._capture.columns import (
    FLOAT64,
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
from driftline._capture.labels import is_missing, label_of, old_bytes_label
from driftline._runtime.guard import is_contained
from driftline.typing import Column, Counts

__all__ = ["Binner", "Layout", "binner", "hash_bins"]

Binner: TypeAlias = Callable[[Column], NDArray[np.intp]]

MAX_COMPARISONS = 16
"""Most sets of columns whose `Comparison` is cached, because batches often have the same columns."""

FIELDS_OF_0_1 = frozenset({"cuts", "categories", "others", "open"})
"""Fields of bins in release 0.1, whose hash contains them even if they are empty."""


def binner(bins: Bins) -> Binner:
    """Return a function that maps a column of *rows* values to the number of each value's bin, shape (rows,)."""
    return _numeric_binner(bins) if isinstance(bins, NumericBins) else _categorical_binner(bins)


def _numeric_binner(bins: NumericBins) -> Binner:
    cuts = np.array(bins.cuts, dtype=np.float64)
    missing = bins.missing

    def bin_column(column: Column) -> NDArray[np.intp]:
        values = as_floats(column)
        numbers = np.searchsorted(cuts, values, side="right")
        # The search sorts nan after all numbers, as if it were above the range.
        numbers[values != values] = missing  # noqa: PLR0124 - only nan differs from itself
        return numbers

    return bin_column


def _categorical_binner(bins: CategoricalBins) -> Binner:
    numbers = _numbers_by_label(bins)
    unknown = bins.other if bins.open else bins.unseen
    missing = bins.missing

    def bin_value(value: object) -> int:
        if value is None or value is np.ma.masked:
            return missing
        try:
            # With -bb, Python raises where bytes are compared with strings.
            number = None if isinstance(value, bytes) else numbers.get(value)
            if number is not None:
                return number
            return missing if is_missing(value) else _number_of(value, numbers, unknown)
        except BaseException as error:
            if not is_contained(error):
                raise
            # a list where a label was expected; a __hash__ or __str__ that raises
            return unknown

    def bin_column(column: Column) -> NDArray[np.intp]:
        if isinstance(column, CategoricalColumn):
            by_code: NDArray[np.intp] = np.array([*bin_column(column.labels), missing], dtype=np.intp)
            result: NDArray[np.intp] = by_code[np.maximum(column.codes, -1)]
            return result
        values = as_objects(column)
        try:
            # In the common case all labels are known. This is one pass without a Python call per value.
            return np.fromiter(map(numbers.__getitem__, values), dtype=np.intp, count=len(values))
        except BaseException as error:
            if not is_contained(error):
                raise
            # an unknown label, or a value that cannot be compared
            return np.fromiter(map(bin_value, values), dtype=np.intp, count=len(values))

    return bin_column


def _number_of(value: object, numbers: Mapping[object, int], unknown: int) -> int:
    """Return the number of the bin of a value by its label, or *unknown*."""
    number = numbers.get(label_of(value))
    if number is None and isinstance(value, Enum):
        # The training data may have the value of a member in place of the member.
        number = numbers.get(label_of(value.value))
    return unknown if number is None else number


def _numbers_by_label(bins: CategoricalBins) -> dict[object, int]:
    """Return the number of the bin of each known label, and of each value that has such a label as a narrower float."""
    numbers: dict[object, int] = dict.fromkeys(bins.others, bins.other)
    numbers.update((label, number) for number, label in enumerate(bins.categories))
    for label, number in tuple(numbers.items()):
        # A reference of 0.1 may hold labels that are longer, or that have the digits of a float32.
        numbers.setdefault(label_of(label), number)
        if (text := old_bytes_label(label)) is not None:
            numbers.setdefault(text, number)
        if isinstance(label, float):
            with np.errstate(all="ignore"):
                narrower = [float(np.float16(label)), float(np.float32(label))]
            numbers.update({value: number for value in narrower if value not in numbers and label_of(value) == label})
    return numbers


class Layout:
    """
    The bins of all features, side by side in one vector of counts.

    Args:
        features: the features, in the order of the columns that are counted.

    Attributes:
        sizes: number of bins of each feature.
        offsets: index of each feature's first bin in the vector.
        slices: slice of each feature's bins in the vector.
        total: number of bins of all features.
        breadth: number of values in a captured row, from which the memory of pending rows is estimated.
        fingerprint: a hash of the names and bins of the features.
    """

    __slots__ = (
        "_binners",
        "_bins",
        "_comparisons",
        "_cuts",
        "breadth",
        "fingerprint",
        "offsets",
        "sizes",
        "slices",
        "total",
    )

    defers: ClassVar[bool] = False
    """Whether batches are buffered like single rows; if False, the caller's thread bins them."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.sizes = tuple(feature.bins.size for feature in features)
        self.breadth = len(features)
        ends = np.cumsum([0, *self.sizes])
        self.offsets = tuple(int(end) for end in ends[:-1])
        self.total = int(ends[-1])
        self.slices = tuple(slice(start, start + size) for start, size in zip(self.offsets, self.sizes, strict=True))
        self.fingerprint = hash_bins(features)
        self._bins = tuple(feature.bins for feature in features)
        self._binners = tuple(binner(feature.bins) for feature in features)
        # None for a feature that a `Comparison` cannot count.
        self._cuts = tuple(_compared_cuts(feature.bins) for feature in features)
        self._comparisons: dict[tuple[int, ...], Comparison] = {}

    def can_pack(self, width: int) -> bool:
        """Return whether the first *width* features are numeric, so that a row may be stored as bytes of float64."""
        return None not in self._cuts[:width]

    def is_numeric(self, index: int) -> bool:
        """Return whether the feature *index* is numeric."""
        return isinstance(self._bins[index], NumericBins)

    def derive(self, columns: Sequence[Column | None], rows: int) -> Sequence[Column | None]:
        """Return the columns that are counted; here they are the captured ones. Subclasses derive further columns."""
        del rows
        return columns

    def count(
        self,
        columns: Sequence[Column | None],
        rows: int | slice,
        rejects: Rejects | None = None,
        counted: Container[int] = (),
    ) -> Counts:
        """
        Return the counts of a batch, shape (total,).

        Args:
            columns: one column per feature, in the order of the features. If a column is None, all its values are
                missing. There may be fewer columns than features; the last features are then not counted.
            rows: the number of rows, or a slice of the rows that are counted.
            rejects: counts the values of a wrong type, and moves those of categorical features from the unknown
                categories to the missing values.
            counted: indices of the features that are counted elsewhere.
        """
        selection = slice(0, rows) if isinstance(rows, int) else rows
        length = selection.stop - selection.start
        counts = np.zeros(self.total, dtype=np.int64)
        compared: dict[int, NDArray[np.generic]] = {}
        prediction = -1 if rejects is None else rejects.prediction
        all_cuts = self._cuts
        for index, column in enumerate(columns):
            if index in counted:
                continue
            if column is None:
                counts[self.slices[index].stop - 1] = length
                continue
            part = column if length == len(column) else column[selection]
            if (
                type(part) is np.ndarray
                and part.dtype is FLOAT64
                and all_cuts[index] is not None
                and index != prediction
            ):
                compared[index] = part  # the common case, which the next branch treats alike
            elif self._is_compared(index, part):
                compared[index] = numbers = as_numbers(part)
                if rejects is not None:
                    rejects.count_numbers(index, part, numbers)
            else:
                counts[self.slices[index]] = self._count_column(index, part, rejects)
        if compared:
            comparison = self.comparison(tuple(compared))
            for start in range(0, length, comparison.rows):
                block_rows = min(comparison.rows, length - start)
                block = comparison.empty_block(block_rows)
                for block_column, values in zip(block, compared.values(), strict=True):
                    block_column[:block_rows] = values[start : start + block_rows]
                comparison.count(block, block_rows, counts)
        return counts

    def count_rows(
        self, rows: Sequence[Row], outputs: Sequence[object] | None = None, rejects: Rejects | None = None
    ) -> Counts:
        """
        Count rows that were captured one at a time.

        Return one count per bin, summed over the rows, shape (bins of all features,).

        Args:
            rows: each a tuple of values in the order of the features, or the bytes of as many float64.
            outputs: the prediction of each row, which is counted as the last feature. If None, it is not counted.
            rejects: as for `count`.
        """
        kinds = set(map(type, rows))
        if len(kinds) == 1:
            return self._count_rows_of_one_kind(rows, outputs, rejects, packed=bytes in kinds)
        counts = np.zeros(self.total, dtype=np.int64)
        start = 0
        for packed, group in groupby(rows, _is_packed):
            part = list(group)
            predictions = None if outputs is None else outputs[start : start + len(part)]
            counts += self._count_rows_of_one_kind(part, predictions, rejects, packed=packed)
            start += len(part)
        return counts

    def _count_rows_of_one_kind(
        self, rows: Sequence[Any], outputs: Sequence[object] | None, rejects: Rejects | None, *, packed: bool
    ) -> Counts:
        """Return the counts of rows that are all bytes (*packed*) or all tuples; see `count_rows`."""
        width = len(rows[0]) // FLOAT_BYTES if packed else len(rows[0])
        matrix = read_matrix(rows, width) if packed or self.can_pack(width) else None
        if matrix is None or None in self._cuts[: width + 1]:
            columns: list[Column] = list(zip(*rows, strict=True)) if matrix is None else list(matrix.T)
            return self.count(columns if outputs is None else [*columns, outputs], len(rows), rejects)
        counts = np.zeros(self.total, dtype=np.int64)
        comparison = self.comparison(tuple(range(width if outputs is None else width + 1)))
        predictions = None if outputs is None else as_floats(outputs)
        if predictions is not None and outputs is not None and rejects is not None:
            rejects.count_numbers(width, outputs, predictions)
        for start in range(0, len(rows), comparison.rows):
            stop = min(start + comparison.rows, len(rows))
            block = comparison.empty_block(stop - start)
            block[:width, : stop - start] = matrix[start:stop].T
            if predictions is not None:
                block[width, : stop - start] = predictions[start:stop]
            comparison.count(block, stop - start, counts)
        return counts

    def _is_compared(self, index: int, column: Column) -> bool:
        """Return whether a `Comparison` counts this column of the feature *index*, together with other columns."""
        if isinstance(column, np.ndarray):
            return self._cuts[index] is not None and column.dtype.kind != "b"
        return self._cuts[index] is not None and not isinstance(column, CategoricalColumn)

    def comparison(self, indices: tuple[int, ...]) -> Comparison:
        """Return the comparison that counts the features *indices*, from the cache if possible."""
        comparison = self._comparisons.get(indices)
        if comparison is None:
            if len(self._comparisons) >= MAX_COMPARISONS:
                self._comparisons.clear()
            cuts = [self._cuts[index] or () for index in indices]
            comparison = Comparison(cuts, [self.offsets[index] for index in indices])
            self._comparisons[indices] = comparison
        return comparison

    def _count_column(self, index: int, column: Column, rejects: Rejects | None) -> Counts:
        """Return the counts of a column in the bins of the feature *index*, shape (bins,)."""
        size = self.sizes[index]
        codes = as_codes(column)
        counts: Counts
        if codes is not None:
            counts = np.zeros(size, dtype=np.int64)
            missing, by_label = count_codes(codes)
            labels = codes.labels
            if len(labels) > len(codes):
                # A batch is counted in parts, each with all labels of the batch. Most occur in few of its parts.
                present = np.flatnonzero(by_label)
                labels, by_label = [labels[code] for code in present.tolist()], by_label[present]
            numbers = self._binners[index](labels)
            if rejects is not None:
                numbers[rejects.find_labels(index, labels, by_label, numbers)] = size - 1
            np.add.at(counts, numbers, by_label)
            counts[-1] += missing
            return counts
        return self.count_numbers(index, column, self.bin_column(index, column), rejects)

    def bin_column(self, index: int, column: Column) -> NDArray[np.intp]:
        """Return the number of the bin of each value of the feature *index*, shape (rows,)."""
        numbers: NDArray[np.intp] = self._binners[index](column)
        return numbers

    def count_numbers(self, index: int, column: Column, numbers: NDArray[np.intp], rejects: Rejects | None) -> Counts:
        """Return the counts of values with these *numbers* of bins, which *rejects* may change, shape (bins,)."""
        if rejects is not None:
            rejects.move(index, column, numbers)
        counts: Counts = np.bincount(numbers, minlength=self.sizes[index])
        return counts

    def together(
        self, columns: Sequence[Column | None], rejects: Rejects | None
    ) -> tuple[dict[int, NDArray[Any]], dict[int, NDArray[Any]]]:
        """
        Return the columns whose values may be binned together for several parts of a batch, by the feature's index.

        Args:
            columns: as for `count`.
            rejects: as for `count`.

        Returns:
            The columns of float64 that are compared, and those of labels one by one.
        """
        prediction = -1 if rejects is None else rejects.prediction
        plain: dict[int, NDArray[Any]] = {}
        labels: dict[int, NDArray[Any]] = {}
        for index, column in enumerate(columns):
            if type(column) is not np.ndarray or index == prediction:
                continue
            if self._cuts[index] is None:
                if column.dtype.kind in "OUS":
                    labels[index] = column
            elif column.dtype is FLOAT64:
                plain[index] = column
        return plain, labels


def _compared_cuts(bins: Bins) -> tuple[float, ...] | None:
    """Return the cuts of a feature that a `Comparison` can count; None if it is categorical or has too many cuts."""
    return bins.cuts if isinstance(bins, NumericBins) and len(bins.cuts) <= MAX_CUTS else None


def _is_packed(row: object) -> bool:
    return row.__class__ is bytes


def hash_bins(features: Sequence[Feature]) -> str:
    """Return a hash of the names and bins of features, which is the same in any process."""
    bins = ", ".join(f"({feature.name!r}, {_identity(feature.bins)})" for feature in features)
    return hashlib.sha256(f"[{bins}]".encode()).hexdigest()[:16]


def _identity(bins: Bins) -> str:
    """Return bins as a string, in the form of 0.1 if they have nothing that it did not know: its counts add up."""
    known = [f"{each.name}={getattr(bins, each.name)!r}" for each in fields(bins) if each.name in FIELDS_OF_0_1]
    further = [each for each in fields(bins) if each.name not in FIELDS_OF_0_1]
    known += [f"{each.name}={value!r}" for each in further if (value := getattr(bins, each.name)) != each.default]
    return f"{type(bins).__name__}({', '.join(known)})"
