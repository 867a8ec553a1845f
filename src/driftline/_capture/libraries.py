"""Reads a column of pandas, polars, pyarrow, numpy and others, without importing any of those libraries."""

from __future__ import annotations

import sys
from array import array
from collections import UserList, deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import CategoricalColumn, NullableColumn, without_mask
from driftline._runtime.guard import UnreadableError, returning_on_error
from driftline.typing import Column

__all__ = ["count_dimensions", "is_column", "origin", "read_column"]

LIBRARIES = frozenset({"pandas", "polars", "pyarrow"})
"""Packages whose columns and tables are read."""

MAX_POLARS_CODES = 1_000_000
"""Most labels of all polars categoricals in this process for which a table over all of them is cheap."""

SEQUENCES = (list, tuple, CategoricalColumn, NullableColumn, range, array, deque, UserList)
"""Types of columns that need no library."""


def origin(value: object) -> tuple[str, str]:
    """
    Return the package and the name of the class that decides how a value is read, such as ("pandas", "DataFrame").

    It is the first class of `LIBRARIES` among the class of the value and its bases, because geopandas and others derive
    their frames from those of pandas. Without one, both strings are empty.
    """
    for kind in type(value).__mro__:
        package = str(kind.__module__).partition(".")[0]
        if package in LIBRARIES:
            return package, kind.__name__
    return "", ""


def is_column(value: object) -> bool:
    """Return whether *value* is a column: a list, tuple, 1-D array or tensor, or a series of a library."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    if isinstance(value, SEQUENCES):
        return True
    package, kind = origin(value)
    if not package:
        return count_dimensions(value) == 1
    if package == "pandas":
        return kind in {"Series", "Categorical"} or kind.endswith(("Index", "Array"))
    return kind == "Series" if package == "polars" else kind.endswith("Array")


@returning_on_error(0)
def count_dimensions(value: Any) -> int:
    """Return the number of dimensions of an array, or of what numpy reads as one, such as a tensor of torch; else 0."""
    if isinstance(value, np.ndarray):
        return value.ndim
    if origin(value)[0] or isinstance(value, np.generic) or not hasattr(type(value), "__array__"):
        return 0
    return len(value.shape)


def read_column(values: Any) -> Column:
    """
    Read a column of any library.

    Args:
        values: an array, a list, a tuple, a pandas, polars or pyarrow column, a tensor, or another iterable.

    Returns:
        Arrays, lists, tuples, `CategoricalColumn` and `NullableColumn` as they are. Else an array of numbers, codes,
        integers with missing ones, or a list of values in which missing ones are None.
    """
    if isinstance(values, np.ndarray):
        return without_mask(values)
    if isinstance(values, (list, tuple, CategoricalColumn, NullableColumn)):
        return values
    package, _ = origin(values)
    if package == "pandas":
        return _pandas_column(values)
    if package == "polars":
        return _polars_column(values)
    if package == "pyarrow":
        return _arrow_column(values)
    if isinstance(values, (str, bytes, Mapping)):
        msg = f"got {type(values).__name__}, expected a column: a list, an array or a series"
        raise UnreadableError(msg)
    return np.asarray(values) if hasattr(type(values), "__array__") else list(values)


# --- pandas ----------------------------------------------------------------------------------------------------------


def _pandas_column(values: Any) -> Column:
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        array: NDArray[np.generic] = values.to_numpy()
        return array if dtype.kind in "fiubmM" else array.tolist()
    name = type(dtype).__name__
    if name == "CategoricalDtype":
        categorical = getattr(values, "array", values)
        return CategoricalColumn(categorical.codes, _plain(categorical.categories))
    if (name == "ArrowDtype" or getattr(dtype, "storage", None) == "pyarrow") and "pyarrow" in sys.modules:
        return _arrow_column(sys.modules["pyarrow"].array(getattr(values, "array", values)))
    kind = getattr(dtype, "kind", "O")
    if kind in "iu" and getattr(dtype, "_is_numeric", False) and hasattr(dtype, "numpy_dtype"):
        integers: NDArray[np.integer[Any]] = values.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
        missing = np.asarray(values.isna())
        return NullableColumn(integers, missing) if missing.any() else integers
    if name == "SparseDtype":
        return np.asarray(values)
    if kind in "fiu" and getattr(dtype, "_is_numeric", False):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)  # type: ignore[no-any-return]
    if name == "BooleanDtype":
        return CategoricalColumn(values.to_numpy(dtype=np.int8, na_value=-1), (False, True))
    # Unlike a series, an array of pandas has no `where`.
    objects = np.array(values.astype(object), dtype=object)
    objects[np.asarray(values.isna())] = None
    return objects.tolist()  # type: ignore[no-any-return]


def _plain(labels: Any) -> Sequence[object]:
    """Return a pandas index of categories as Python values; intervals and dates stay objects of pandas."""
    return labels.astype(object).tolist()  # type: ignore[no-any-return]


# --- polars ----------------------------------------------------------------------------------------------------------


def _polars_column(values: Any) -> Column:
    dtype = values.dtype
    kind = (dtype if isinstance(dtype, type) else type(dtype)).__name__
    library = sys.modules["polars"]
    if dtype.is_integer() and not kind.endswith("128"):  # numpy has no integers of 128 bits
        if values.null_count():
            return NullableColumn(values.fill_null(0).to_numpy(), values.is_null().to_numpy())
        return values.to_numpy()  # type: ignore[no-any-return]
    if dtype.is_float():
        return values.to_numpy()  # type: ignore[no-any-return]
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


# --- pyarrow ---------------------------------------------------------------------------------------------------------


def _arrow_column(values: Any) -> Column:
    kind = str(values.type)
    if kind.startswith(("int", "uint")):
        if values.null_count:
            return NullableColumn(_as_numpy(values.fill_null(0)), _as_numpy(values.is_null()))
        return _as_numpy(values)  # type: ignore[no-any-return]
    if kind.startswith(("float", "double", "halffloat")):
        return _as_numpy(values)  # type: ignore[no-any-return]
    if kind in {"string", "large_string"}:
        values = values.dictionary_encode()
        kind = str(values.type)
    if kind.startswith("dictionary"):
        if hasattr(values, "chunks"):
            values = _unified(values)
            if hasattr(values, "chunks"):
                return values.to_pylist()  # type: ignore[no-any-return]
        # Signed first, because the indices of polars and DuckDB are unsigned, and -1 is a missing value.
        codes = _as_numpy(values.indices.cast("int64").fill_null(-1)).astype(np.int32, copy=False)
        return CategoricalColumn(codes, values.dictionary.to_pylist())
    if kind == "bool":
        return CategoricalColumn(_as_numpy(values.cast("int8").fill_null(-1)), (False, True))
    return values.to_pylist()  # type: ignore[no-any-return]


def _unified(values: Any) -> Any:
    """Return the chunks of a dictionary column as one array; the column itself if that is not possible."""
    unified = returning_on_error(values)(values.unify_dictionaries)()
    # Chunks with different dictionaries cannot be combined, for instance if int8 has too few indices for all labels.
    return returning_on_error(values)(unified.combine_chunks)() if values.num_chunks else values


def _as_numpy(values: Any) -> Any:
    return values.to_numpy(zero_copy_only=False)
