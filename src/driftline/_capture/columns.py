"""Columns as numbers, as codes with labels, or as Python values; copies only if necessary."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, starmap
from numbers import Real
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from driftline._runtime.guard import is_contained, returning_on_error
from driftline.typing import Column

__all__ = [
    "FLOAT64",
    "FLOAT_BYTES",
    "CategoricalColumn",
    "NullableColumn",
    "Row",
    "as_codes",
    "as_floats",
    "as_numbers",
    "as_objects",
    "count_codes",
    "holds_numbers",
    "read_matrix",
    "without_mask",
]

Row: TypeAlias = "tuple[object, ...] | bytes"
"""The values of one row in the order of the reference: a tuple, or the bytes of as many float64."""

FLOAT64 = np.dtype(np.float64)
"""The dtype of most arrays. numpy has one such object, so that ``is`` tells it fast; another is read all the same."""

FLOAT_BYTES = 8
"""Bytes of a float64."""

SMALL_RANGE = 1_024
"""Largest range (maximum - minimum) of integers that are read as codes: their distances from the minimum."""

PLAIN = frozenset({float, int, bool, np.float64, np.float32, np.float16, np.longdouble, np.bool_})
"""Types of a sum of numbers. The sum of one complex number or duration and any numbers has another type."""

DECEPTIVE = (np.complexfloating, np.datetime64, np.timedelta64, np.ndarray)
"""Types that have ``__float__`` and need not be numbers: it drops imaginary parts, units and masks."""

FEW_LABELS = 8
"""Most labels for which comparing all codes with each code is faster than `numpy.bincount`."""


class CategoricalColumn(Sequence[object]):
    """
    A column of codes and their labels, such as a pandas categorical, an arrow dictionary or a polars enumeration.

    Args:
        codes: index in *labels* of each row's value, shape (rows,); negative if the value is missing.
        labels: the labels as plain Python values.
    """

    __slots__ = ("codes", "labels")

    def __init__(self, codes: NDArray[np.signedinteger[Any]], labels: Sequence[object]) -> None:
        self.codes = codes
        self.labels = labels

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> CategoricalColumn: ...
    def __getitem__(self, index: int | slice) -> object:
        if isinstance(index, slice):
            return CategoricalColumn(self.codes[index], self.labels)
        code = int(self.codes[index])
        return None if code < 0 else self.labels[code]

    def __iter__(self) -> Iterator[object]:
        values = [*self.labels, None]  # code -1, a missing value, is the last item
        return map(values.__getitem__, np.maximum(self.codes, -1).tolist())

    def copy(self) -> CategoricalColumn:
        """Return a column with a copy of the codes and the same labels."""
        return CategoricalColumn(self.codes.copy(), self.labels)


class NullableColumn(Sequence[object]):
    """
    A column of integers of which some are missing. As float64 they would not be exact above 2**53.

    Args:
        values: the integers, shape (rows,); any integer where the value is missing.
        missing: whether the value of each row is missing, shape (rows,).
    """

    __slots__ = ("missing", "values")

    def __init__(self, values: NDArray[np.integer[Any]], missing: NDArray[np.bool_]) -> None:
        self.values = values
        self.missing = missing

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> NullableColumn: ...
    def __getitem__(self, index: int | slice) -> object:
        if isinstance(index, slice):
            return NullableColumn(self.values[index], self.missing[index])
        return None if self.missing[index] else int(self.values[index])

    def __iter__(self) -> Iterator[object]:
        objects = self.values.astype(object)
        objects[self.missing] = None
        return iter(objects.tolist())

    def copy(self) -> NullableColumn:
        """Return a column with copies of the integers."""
        return NullableColumn(self.values.copy(), self.missing.copy())

    def as_floats(self) -> NDArray[np.float64]:
        """Return the integers as float64, shape (rows,), with nan for missing values."""
        floats = self.values.astype(np.float64)
        floats[self.missing] = np.nan
        return floats


def without_mask(values: NDArray[Any]) -> Column:
    """Return an array of any subclass as a plain array, or as another column if a mask hides some of its values."""
    if type(values) is np.ndarray:
        return values
    data: NDArray[Any] = np.asarray(np.ma.getdata(values))
    if not np.ma.is_masked(values):
        return data
    mask = np.ma.getmaskarray(values)
    kind = data.dtype.kind
    if kind == "b" and data.ndim == 1:
        return CategoricalColumn(np.where(mask, np.int8(-1), data.view(np.int8)), (False, True))
    if kind in "iu" and data.ndim == 1:
        return NullableColumn(data, mask)
    if kind in "fiub":
        floats = data.astype(data.dtype if kind == "f" else np.float64)
        floats[mask] = np.nan
        return floats
    if kind in "cmMV":
        return data
    objects = data.astype(object)
    objects[mask] = None
    return objects


def as_codes(column: Column) -> CategoricalColumn | None:
    """Return a column as codes if it is categorical, boolean, or of integers in a small range; else None."""
    if isinstance(column, CategoricalColumn):
        return column
    if isinstance(column, NullableColumn):
        present = as_codes(column.values[~column.missing])
        if present is None:
            return None
        codes = np.full(len(column), -1, dtype=np.int16)
        codes[~column.missing] = present.codes
        return CategoricalColumn(codes, present.labels)
    if not isinstance(column, np.ndarray) or not len(column):
        return None
    if column.dtype.kind == "b":
        return CategoricalColumn(column.view(np.int8), (False, True))
    if column.dtype.kind in "iu":
        low, high = int(column.min()), int(column.max())
        if high - low < SMALL_RANGE:
            # The subtraction may wrap around at the width of the type, but the small range makes it exact.
            first: Any = column.dtype.type(low)
            codes = np.subtract(column, first).astype(np.int16)
            return CategoricalColumn(codes, range(low, high + 1))
    return None


def count_codes(column: CategoricalColumn) -> tuple[int, NDArray[np.int64]]:
    """Return the number of missing values, and the number of rows with each label, shape (labels,)."""
    codes, labels = column.codes, len(column.labels)
    if labels <= FEW_LABELS:
        counts = np.array([np.count_nonzero(codes == code) for code in range(labels)], dtype=np.int64)
    else:
        counts = np.bincount(np.maximum(codes, -1).astype(np.intp) + 1, minlength=labels + 1)[1:]
    return len(codes) - int(counts.sum()), counts


def as_numbers(column: Column) -> NDArray[np.generic]:
    """Return an array of integers or floats as it is, and any other column as float64 (see `as_floats`)."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu" and column.dtype.itemsize <= FLOAT_BYTES:
        return column
    return as_floats(column)


@returning_on_error(None)
def read_matrix(rows: Sequence[Any], width: int) -> NDArray[np.float64] | None:
    """
    Return rows as one matrix, shape (rows, width); None if a value is not a number.

    Args:
        rows: tuples of Python numbers, or the bytes of float64; all of one kind.
        width: values of a row.
    """
    if isinstance(rows[0], bytes):
        packed = b"".join(rows)
    elif holds_numbers(lambda: chain.from_iterable(rows)):
        packed = b"".join(starmap(struct.Struct(f"{width}d").pack, rows))
    else:
        return None
    return np.frombuffer(packed).reshape(len(rows), width)


def holds_numbers(values: Callable[[], Iterable[Any]]) -> bool:
    """
    Return whether no value is of a type in `DECEPTIVE`, so that ``float(value)`` is right where it does not raise.

    Args:
        values: returns an iterator over the values. It may be called twice.
    """
    # Of Python numbers, the sum takes half the time of a look at each type. It fails or has another type if it matters.
    if type(next(iter(values()), None)) in {float, int}:
        with np.errstate(all="ignore"):
            if type(_sum(values())) in PLAIN:
                return True
    return not any(issubclass(kind, DECEPTIVE) for kind in set(map(type, values())))


@returning_on_error(None)
def _sum(values: Iterable[Any]) -> object:
    return sum(values)


def as_floats(column: Column) -> NDArray[np.float64]:
    """
    Return a column as float64, shape (rows,).

    None, NA, dates and other values that are not numbers become nan. Integers too large for a float become ±inf.
    """
    if isinstance(column, np.ndarray):
        column = without_mask(column)
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "fiub":
            with np.errstate(all="ignore"):  # a longdouble may be too large
                return column.astype(np.float64, copy=False)
        if column.dtype.kind in "cmMV":  # numpy would convert dates to numbers of days
            return np.full(len(column), np.nan)
    if isinstance(column, NullableColumn):
        return column.as_floats()
    if isinstance(column, CategoricalColumn):
        by_code = np.array([*as_floats(column.labels), np.nan], dtype=np.float64)
        floats: NDArray[np.float64] = by_code[np.maximum(column.codes, -1)]
        return floats
    values: Sequence[object] = column.tolist() if isinstance(column, np.ndarray) else column
    packed = _packed(values)
    if packed is None:
        packed = _packed([np.nan if value is None else value for value in values])
    if packed is not None:
        return packed
    # If any value is not a number, values are read one at a time.
    return np.fromiter(map(_as_float, values), dtype=np.float64, count=len(values))


def as_objects(column: Column) -> Sequence[object]:
    """Return the values of a column as Python objects, so that equal values of any library have equal hashes."""
    if type(column) is not np.ndarray and isinstance(column, np.ndarray):
        column = without_mask(column)
    if isinstance(column, np.ndarray):
        # As Python values, dates in nanoseconds would be integers.
        return list(column) if column.dtype.kind in "mM" else column.tolist()
    return list(column) if isinstance(column, (CategoricalColumn, NullableColumn)) else column


@returning_on_error(None)
def _packed(values: Sequence[object]) -> NDArray[np.float64] | None:
    """Return Python numbers as float64; None if a value is not a number. Five times as fast as `numpy.array`."""
    return np.frombuffer(struct.pack(f"{len(values)}d", *values)) if holds_numbers(lambda: values) else None


def _as_float(value: Any) -> float:
    """Return a value as a float; nan if it is not a number, ±inf if it is too large."""
    if isinstance(value, np.ndarray):
        if value.size != 1:
            return float("nan")
        value = as_objects(value.reshape(1))[0]
    if isinstance(value, DECEPTIVE):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("-inf") if isinstance(value, Real) and value < 0 else float("inf")
    except BaseException as error:  # the values are the host's: their __float__ may raise anything
        if is_contained(error):
            return float("nan")
        raise
