"""One column of any library as numbers, as codes and their labels or as Python values, copied only where it must be."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from itertools import starmap
from numbers import Real
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from driftline._runtime.guard import returning_on_error
from driftline.typing import (
    Column,
)

__all__ = [
    "FLOAT_BYTES",
    "CategoricalColumn",
    "Row",
    "as_floats",
    "as_numbers",
    "as_objects",
    "coded",
    "count_codes",
    "origin",
    "read_column",
    "read_matrix",
]

FLOAT_BYTES = 8
"""Bytes of a float64."""

SMALL_RANGE = 1_024
"""Whole numbers that lie so close together are counted by their distance from the smallest, without sorting."""

MOST_PLACES = 1_000_000
"""Labels that a process may have had in polars' categoricals for a table over all of them to be worth it."""


FEW_LABELS = 8
"""Labels up to which codes are compared with each rather than tallied."""


class CategoricalColumn(Sequence[object]):
    """
    A column kept as codes: how pandas' categoricals, arrow's dictionaries and polars' enumerations come.

    Args:
        codes: the place in *labels* of each row's value, shape (rows,); negative where it is missing.
        labels: the values that the codes stand for, as plain Python values.
    """

    __slots__ = ("codes", "labels")

    def __init__(self, codes: NDArray[np.signedinteger[Any]], labels: Sequence[object]) -> None:
        self.codes = codes
        self.labels = labels

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, place: int) -> object: ...
    @overload
    def __getitem__(self, place: slice) -> CategoricalColumn: ...
    def __getitem__(self, place: int | slice) -> object:
        if isinstance(place, slice):
            return CategoricalColumn(self.codes[place], self.labels)
        code = int(self.codes[place])
        return None if code < 0 else self.labels[code]

    def __iter__(self) -> Iterator[object]:
        values = [*self.labels, None]  # a missing value is the last one: code -1
        return map(values.__getitem__, np.maximum(self.codes, -1).tolist())

    def copy(self) -> CategoricalColumn:
        """A column that later changes of the original's codes do not reach."""
        return CategoricalColumn(self.codes.copy(), self.labels)


def coded(column: Column) -> CategoricalColumn | None:
    """The column as codes where that is cheaper than looking at each value: booleans, whole numbers close together."""
    if isinstance(column, CategoricalColumn):
        return column
    if not isinstance(column, np.ndarray) or not len(column):
        return None
    if column.dtype.kind == "b":
        return CategoricalColumn(column.view(np.int8), (False, True))
    if column.dtype.kind in "iu":
        low, high = int(column.min()), int(column.max())
        if high - low < SMALL_RANGE:
            # Subtracted modulo the width of the type, which the small range makes exact.
            first: Any = column.dtype.type(low)
            codes = np.subtract(column, first).astype(np.int16)
            return CategoricalColumn(codes, range(low, high + 1))
    return None


def count_codes(column: CategoricalColumn) -> tuple[int, NDArray[np.int64]]:
    """How many rows are missing, and how many have each label."""
    codes, labels = column.codes, len(column.labels)
    if labels <= FEW_LABELS:
        found = np.array([np.count_nonzero(codes == code) for code in range(labels)], dtype=np.int64)
    else:
        found = np.bincount(np.maximum(codes, -1).astype(np.intp) + 1, minlength=labels + 1)[1:]
    return len(codes) - int(found.sum()), found


def as_numbers(column: Column) -> NDArray[np.generic]:
    """The column as it is where it is an array of numbers, of whatever width; else as `as_floats` reads it."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
        return column
    return as_floats(column)


@returning_on_error(None)
def read_matrix(rows: Sequence[Any], width: int) -> NDArray[np.float64] | None:
    """
    Rows as one matrix, shape (rows, width); None where one of their values is no number.

    Args:
        rows: all of them tuples of Python numbers, or all of them the bytes of float64.
        width: values of a row.
    """
    packed = b"".join(rows if isinstance(rows[0], bytes) else starmap(struct.Struct(f"{width}d").pack, rows))
    return np.frombuffer(packed).reshape(len(rows), width)


def as_floats(column: Column) -> NDArray[np.float64]:
    """The column as float64, shape (rows,): None, NA and what is no number become nan, too large becomes ±inf."""
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "fiub":
            return column.astype(np.float64, copy=False)
        if column.dtype.kind in "cmMV":  # numpy would make numbers of them: of dates their days, say
            return np.full(len(column), np.nan)
    if isinstance(column, CategoricalColumn):
        by_label = np.array([*as_floats(column.labels), np.nan], dtype=np.float64)
        floats: NDArray[np.float64] = by_label[np.maximum(column.codes, -1)]
        return floats
    values: Sequence[object] = column.tolist() if isinstance(column, np.ndarray) else column
    packed = _packed(values)
    if packed is None:
        packed = _packed([np.nan if value is None else value for value in values])
    if packed is not None:
        return packed
    # Something is no number: value by value.
    return np.fromiter(map(_as_float, values), dtype=np.float64, count=len(values))


def as_objects(column: Column) -> Sequence[object]:
    """The column as plain Python values, so that they hash alike wherever they came from."""
    if isinstance(column, np.ndarray):
        return column.tolist()  # type: ignore[no-any-return]
    return list(column) if isinstance(column, CategoricalColumn) else column


@returning_on_error(None)
def _packed(values: Sequence[object]) -> NDArray[np.float64] | None:
    """Python numbers as float64, five times as fast as numpy reads them; None where one of them is no number."""
    return np.frombuffer(struct.pack(f"{len(values)}d", *values))


def _as_float(value: Any) -> float:
    if isinstance(value, np.ndarray) and value.ndim:
        if value.size != 1:
            return float("nan")
        value = value.item()
    try:
        return float(value)
    except OverflowError:
        return float("-inf") if isinstance(value, Real) and value < 0 else float("inf")
    except Exception:  # noqa: BLE001 - the values are the host's: their __float__ may raise anything
        return float("nan")


def origin(value: object) -> tuple[str, str]:
    """The library that a value comes from, and the name of its class."""
    kind = type(value)
    return kind.__module__.partition(".")[0], kind.__name__


def read_column(values: Any) -> Column:
    """One column as a numpy array of numbers where it is one, as codes, or as a list of values (None for missing)."""
    if isinstance(values, (np.ndarray, list, tuple, CategoricalColumn)):
        return values
    library, _ = origin(values)
    if library == "pandas":
        return _pandas_column(values)
    if library == "polars":
        return _polars_column(values)
    if library == "pyarrow":
        return _arrow_column(values)
    return list(values)


def _pandas_column(values: Any) -> Column:
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        array: NDArray[np.generic] = values.to_numpy()
        return array if dtype.kind in "fiubmM" else array.tolist()
    name = type(dtype).__name__
    if name == "CategoricalDtype":
        categorical = getattr(values, "array", values)
        return CategoricalColumn(categorical.codes, _plain(categorical.categories))
    if getattr(dtype, "kind", "O") in "fiu" and getattr(dtype, "_is_numeric", False):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)  # type: ignore[no-any-return]
    if name == "BooleanDtype":
        return CategoricalColumn(values.to_numpy(dtype=np.int8, na_value=-1), (False, True))
    if (name == "ArrowDtype" or getattr(dtype, "storage", None) == "pyarrow") and "pyarrow" in sys.modules:
        return _arrow_column(sys.modules["pyarrow"].array(getattr(values, "array", values)))
    return values.astype(object).where(values.notna(), None).tolist()  # type: ignore[no-any-return]


def _plain(labels: Any) -> Sequence[object]:
    """An index of categories as Python values: an interval or a date stays the object that it is."""
    return labels.astype(object).tolist()  # type: ignore[no-any-return]


def _polars_column(values: Any) -> Column:
    dtype = values.dtype
    if dtype.is_numeric() and not dtype.is_decimal():
        return values.to_numpy()  # type: ignore[no-any-return]
    kind = (dtype if isinstance(dtype, type) else type(dtype)).__name__
    library = sys.modules["polars"]
    if kind == "Boolean":
        return CategoricalColumn(_whole(values, library.Int8), (False, True))
    if kind == "Enum":
        return CategoricalColumn(_whole(values, library.Int64), dtype.categories.to_list())
    if kind == "Categorical":
        return _polars_categorical(values, library)
    if kind == "String":
        # An enumeration of what is there: unlike Categorical it leaves nothing behind in a table of the process.
        labels = values.drop_nulls().unique()
        return CategoricalColumn(_whole(values.cast(library.Enum(labels)), library.Int64), labels.to_list())
    return values.to_list()  # type: ignore[no-any-return]


def _polars_categorical(values: Any, library: Any) -> Column:
    labels = values.drop_nulls().unique()
    places = _whole(labels, library.Int64)
    if len(places) and places.max() >= MOST_PLACES:
        return values.to_list()  # type: ignore[no-any-return]
    # The codes count all labels that the process has ever had: here they are those of this column.
    table = np.full(int(places.max(initial=-1)) + 2, -1, dtype=np.int32)
    table[places] = np.arange(len(places))
    return CategoricalColumn(table[_whole(values, library.Int64)], labels.cast(library.String).to_list())


def _whole(values: Any, kind: Any) -> NDArray[np.signedinteger[Any]]:
    """The numbers behind a polars column, -1 where one is missing."""
    physical = values if values.dtype == sys.modules["polars"].Boolean else values.to_physical()
    return physical.cast(kind).fill_null(-1).to_numpy()  # type: ignore[no-any-return]


def _arrow_column(values: Any) -> Column:
    kind = str(values.type)
    if kind.startswith(("int", "uint", "float", "double", "halffloat")):
        return values.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    if kind in {"string", "large_string"}:
        values = values.dictionary_encode()
        kind = str(values.type)
    if kind.startswith("dictionary"):
        if hasattr(values, "chunks"):
            values = values.unify_dictionaries().combine_chunks() if values.num_chunks else values
            if hasattr(values, "chunks"):  # more than one chunk is left only where there is none
                return values.to_pylist()  # type: ignore[no-any-return]
        codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        return CategoricalColumn(codes, values.dictionary.to_pylist())
    if kind == "bool":
        return CategoricalColumn(values.cast("int8").fill_null(-1).to_numpy(zero_copy_only=False), (False, True))
    return values.to_pylist()  # type: ignore[no-any-return]


Row: TypeAlias = "tuple[object, ...] | bytes"
"""The values of one row in the order of the features: a tuple, or the bytes of as many float64."""
