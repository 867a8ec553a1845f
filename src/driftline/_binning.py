"""Values to bin numbers, many rows at a time, and bin numbers to counts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._frames import as_floats, as_objects
from driftline._values import Bins, CategoricalBins, Column, Counts, Feature, Label, NumericBins

__all__ = ["Binner", "Layout", "binner", "is_missing", "label_of"]

Binner: TypeAlias = Callable[[Column], NDArray[np.intp]]


def binner(bins: Bins) -> Binner:
    """The function that maps a column of values, shape (rows,), to their bin numbers, shape (rows,)."""
    return _numeric(bins) if isinstance(bins, NumericBins) else _categorical(bins)


def is_missing(value: object) -> bool:
    """Whether a value is None, nan, NaT or NA: missing values do not equal themselves, or do not want to say."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124
    except Exception:  # noqa: BLE001 - pandas.NA; the values are the host's and may raise anything
        return True


def label_of(value: object) -> Label:
    """The label under which a value is remembered, the same before and after it was written as JSON."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    # A member of an enumeration may be a text or a number too: it is that.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    return str(value)


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
    """

    __slots__ = ("_all_numeric", "_binners", "fingerprint", "offsets", "sizes", "slices", "total")

    defers: ClassVar[bool] = False
    """Whether batches wait to be binned, as single rows do, rather than being binned by their callers."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.sizes = tuple(feature.bins.size for feature in features)
        ends = np.cumsum([0, *self.sizes])
        self.offsets = tuple(int(end) for end in ends[:-1])
        self.total = int(ends[-1])
        self.slices = tuple(slice(start, start + size) for start, size in zip(self.offsets, self.sizes, strict=True))
        self._binners = tuple(binner(feature.bins) for feature in features)
        self._all_numeric = all(isinstance(feature.bins, NumericBins) for feature in features)
        self.fingerprint = _fingerprint(features)

    def count(self, columns: Sequence[Column | None], rows: int) -> Counts:
        """
        Count columns of *rows* values each: shape (total,).

        A column that is None holds nothing but missing values. Fewer columns than features leave the rest uncounted:
        rows without a prediction are still rows.
        """
        counts = np.zeros(self.total, dtype=np.int64)
        for place, column in zip(self.slices, columns, strict=False):
            if column is None:
                counts[place.stop - 1] = rows
        for place, number, column in zip(self.slices, self._binners, columns, strict=False):
            if column is not None:
                counts[place] = np.bincount(number(column), minlength=place.stop - place.start)
        return counts

    def numbers(self, columns: Sequence[Column | None], rows: int) -> tuple[NDArray[np.uint16], ...]:
        """
        The bin numbers of each column, shape (rows,), small and independent of the columns they came from.

        The caller may change its frame afterwards: this is the copy.
        """
        return tuple(
            np.full(rows, size - 1, dtype=np.uint16) if column is None else number(column).astype(np.uint16)
            for size, number, column in zip(self.sizes, self._binners, columns, strict=False)
        )

    def tally(self, numbers: Sequence[NDArray[np.uint16]], rows: slice) -> Counts:
        """Count a stretch of rows that are bin numbers already: shape (total,)."""
        counts = np.zeros(self.total, dtype=np.int64)
        for place, column in zip(self.slices, numbers, strict=False):
            counts[place] = np.bincount(column[rows], minlength=place.stop - place.start)
        return counts

    def count_rows(self, rows: Sequence[tuple[object, ...]]) -> Counts:
        """Count rows of values, each a tuple in the order of the features (shorter by the prediction at most)."""
        if self._all_numeric:
            try:
                matrix = np.array(rows, dtype=np.float64)
            except Exception:  # noqa: BLE001 - a text, a list, a __float__ that raises
                matrix = None
            if matrix is not None and matrix.ndim == 2:  # noqa: PLR2004 - rows and columns
                return self.count(tuple(matrix.T), len(rows))
        return self.count(tuple(zip(*rows, strict=True)), len(rows))


def _fingerprint(features: Sequence[Feature]) -> str:
    """Which bins these are: equal for equal bins of equally named features, in any process."""
    bins = repr([(feature.name, feature.bins) for feature in features])
    return hashlib.sha256(bins.encode()).hexdigest()[:16]
