"""Reads one column of any library as numbers, as codes with labels, or as Python values; copies only if necessary."""

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
from driftline.typing import Column

__all__ = [
    "FLOAT_BYTES",
    "CategoricalColumn",
    "Row",
    "as_codes",
    "as_floats",
    "as_numbers",
    "as_objects",
    "count_codes",
    "origin",
    "read_column",
    "read_matrix",
]

Row: TypeAlias = "tuple[object, ...] | bytes"
"""The values of one row in the order of the reference: a tuple, or the bytes of as many float64."""

FLOAT_BYTES = 8
"""Bytes of a float64."""

SMALL_RANGE = 1_024
"""Largest range (maximum - minimum) of integers that are read as codes: their distances from the minimum."""

MAX_POLARS_CODES = 1_000_000
"""Most labels of all polars categoricals in this process for which a table over all of them is cheap."""

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


def as_codes(column: Column) -> CategoricalColumn | None:
    """Return a column as codes if it is categorical, boolean, or of integers in a small range; else None."""
    if isinstance(column, CategoricalColumn):
        return column
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
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
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
    packed = b"".join(rows if isinstance(rows[0], bytes) else starmap(struct.Struct(f"{width}d").pack, rows))
    return np.frombuffer(packed).reshape(len(rows), width)


def as_floats(column: Column) -> NDArray[np.float64]:
    """
    Return a column as float64, shape (rows,).

    None, NA, dates and other values that are not numbers become nan. Integers too large for a float become ±inf.
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "fiub":
            return column.astype(np.float64, copy=False)
        if column.dtype.kind in "cmMV":  # numpy would convert dates to numbers of days
            return np.full(len(column), np.nan)
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
    if isinstance(column, np.ndarray):
        return column.tolist()  # type: ignore[no-any-return]
    return list(column) if isinstance(column, CategoricalColumn) else column


@returning_on_error(None)
def _packed(values: Sequence[object]) -> NDArray[np.float64] | None:
    """Return Python numbers as float64; None if a value is not a number. Five times as fast as `numpy.array`."""
    return np.frombuffer(struct.pack(f"{len(values)}d", *values))


def _as_float(value: Any) -> float:
    """Return a value as a float; nan if it is not a number, ±inf if it is too large."""
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
    """Return (name of the top package of a value's class, name of the class), such as ("pandas", "DataFrame")."""
    kind = type(value)
    return kind.__module__.partition(".")[0], kind.__name__


def read_column(values: Any) -> Column:
    """
    Read a column of any library.

    Args:
        values: an array, a list, a tuple, a pandas, polars or pyarrow column, or another iterable.

    Returns:
        Arrays, lists, tuples and `CategoricalColumn` as they are. Else an array of numbers, codes, or a list of values
        in which missing ones are None.
    """
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
    """Return a pandas index of categories as Python values; intervals and dates stay objects of pandas."""
    return labels.astype(object).tolist()  # type: ignore[no-any-return]


def _polars_column(values: Any) -> Column:
    dtype = values.dtype
    if dtype.is_numeric() and not dtype.is_decimal():
        return values.to_numpy()  # type: ignore[no-any-return]
    kind = (dtype if isinstance(dtype, type) else type(dtype)).__name__
    library = sys.modules["polars"]
    if kind == "Boolean":
        return CategoricalColumn(_integers(values, library.Int8), (False, True))
    if kind == "Enum":
        return CategoricalColumn(_integers(values, library.Int64), dtype.categories.to_list())
    if kind == "Categorical":
        return _polars_categorical(values, library)
    if kind == "String":
        # Unlike a Categorical, an Enum of these labels adds nothing to a table of the process.
        labels = values.drop_nulls().unique()
        return CategoricalColumn(_integers(values.cast(library.Enum(labels)), library.Int64), labels.to_list())
    return values.to_list()  # type: ignore[no-any-return]


def _polars_categorical(values: Any, library: Any) -> Column:
    labels = values.drop_nulls().unique()
    codes = _integers(labels, library.Int64)
    if len(codes) and codes.max() >= MAX_POLARS_CODES:
        return values.to_list()  # type: ignore[no-any-return]
    # These codes number all labels of the process. The table maps them to indices of the labels of this column.
    table = np.full(int(codes.max(initial=-1)) + 2, -1, dtype=np.int32)
    table[codes] = np.arange(len(codes))
    return CategoricalColumn(table[_integers(values, library.Int64)], labels.cast(library.String).to_list())


def _integers(values: Any, kind: Any) -> NDArray[np.signedinteger[Any]]:
    """Return the integers that a polars column stores, as the type *kind*, with -1 for missing values."""
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
            if hasattr(values, "chunks"):  # there are no chunks
                return values.to_pylist()  # type: ignore[no-any-return]
        codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
        return CategoricalColumn(codes, values.dictionary.to_pylist())
    if kind == "bool":
        return CategoricalColumn(values.cast("int8").fill_null(-1).to_numpy(zero_copy_only=False), (False, True))
    return values.to_pylist()  # type: ignore[no-any-return]
