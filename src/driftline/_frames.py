"""Tabular data of any library as named columns, without importing any of those libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._values import Column

__all__ = ["Table", "as_floats", "as_objects", "is_column", "is_table", "read_column", "read_table"]

_ARROW_BATCHES = frozenset({"Table", "RecordBatch"})


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, with their names where there are any."""

    names: tuple[str, ...] | None
    columns: tuple[Column, ...]
    rows: int


def is_table(data: object) -> bool:
    """Whether *data* is something with rows and columns (a dict counts when its values are columns)."""
    if isinstance(data, np.ndarray):
        return data.ndim == 2  # noqa: PLR2004 - rows and columns
    if isinstance(data, Mapping):
        return bool(data) and all(is_column(value) for value in data.values())
    library, kind = _origin(data)
    return (library in {"pandas", "polars"} and kind == "DataFrame") or (
        library == "pyarrow" and kind in _ARROW_BATCHES
    )


def is_column(value: object) -> bool:
    """Whether *value* holds one value per row."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    if isinstance(value, (list, tuple)):
        return True
    library, kind = _origin(value)
    return (
        (library in {"pandas", "polars"} and (kind == "Series" or kind.endswith("Index")))
        or (library == "pandas" and kind.endswith("Array"))
        or (library == "pyarrow" and kind.endswith("Array"))
    )


def read_table(data: Any) -> Table:
    """
    Read a dict of columns, a pandas or polars frame, a pyarrow table or a 2-D numpy array.

    Raises:
        TypeError: *data* is none of these.
        ValueError: the columns differ in length, or two of them share a name.
    """
    if isinstance(data, np.ndarray):
        if data.ndim != 2:  # noqa: PLR2004 - rows and columns
            msg = f"expected a 2-D array of rows and columns, got {data.ndim} dimension(s)"
            raise ValueError(msg)
        return Table(None, tuple(data.T), data.shape[0])
    names: tuple[str, ...] | None
    if isinstance(data, Mapping):
        names = tuple(str(name) for name in data)
        columns = tuple(read_column(value) for value in data.values())
        if deep := [name for name, one in zip(names, columns, strict=True) if getattr(one, "ndim", 1) not in {1, 2}]:
            msg = f"columns {deep} are arrays of no or of more than two dimensions, expected values or vectors"
            raise ValueError(msg)
    elif is_table(data):
        library, _ = _origin(data)
        if library == "pandas":
            # An unnamed frame has a RangeIndex of columns: it is aligned by order, as an array is.
            names = None if _unnamed(data.columns) else tuple(str(name) for name in data.columns)
            columns = tuple(read_column(data.iloc[:, place]) for place in range(data.shape[1]))
        elif library == "polars":
            names = tuple(data.columns)
            columns = tuple(read_column(series) for series in data.get_columns())
        else:
            names = tuple(data.schema.names)
            columns = tuple(read_column(data.column(place)) for place in range(data.num_columns))
    else:
        msg = (
            f"got {type(data).__name__}, expected a dict of columns, a pandas or polars DataFrame, "
            "a pyarrow Table or a 2-D numpy array"
        )
        raise TypeError(msg)
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        msg = f"columns differ in length: {sorted(lengths)}"
        raise ValueError(msg)
    if names is not None and len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        msg = f"columns {twice} appear more than once"
        raise ValueError(msg)
    return Table(names, columns, lengths.pop() if lengths else 0)


def as_floats(column: Column) -> NDArray[np.float64]:
    """The column as float64, shape (rows,): None, NA and what is no number become nan, too large becomes ±inf."""
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "fiub":
            return column.astype(np.float64, copy=False)
        if column.dtype.kind in "cmMV":  # numpy would make numbers of them: of dates their days, say
            return np.full(len(column), np.nan)
    try:
        floats = np.array(column, dtype=np.float64)
    except Exception:  # noqa: BLE001 - the values are the host's: their __float__ may raise anything
        floats = None
    if floats is not None and floats.ndim == 1:
        return floats
    # Something is no number, or a list of numbers of its own: value by value.
    return np.fromiter(map(_as_float, column), dtype=np.float64, count=len(column))


def as_objects(column: Column) -> Sequence[object]:
    """The column as plain Python values, so that they hash alike wherever they came from."""
    return column.tolist() if isinstance(column, np.ndarray) else column


def _as_float(value: object) -> float:
    if isinstance(value, np.ndarray) and value.ndim:
        return float("nan")
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return float("-inf") if isinstance(value, Real) and value < 0 else float("inf")
    except Exception:  # noqa: BLE001 - as above
        return float("nan")


def _origin(value: object) -> tuple[str, str]:
    kind = type(value)
    return kind.__module__.partition(".")[0], kind.__name__


def _unnamed(columns: Any) -> bool:
    return type(columns).__name__ == "RangeIndex" and (columns.start, columns.step) == (0, 1)


def read_column(values: Any) -> Column:
    """One column as a numpy array of numbers where it is one, else as a list of Python values (None for missing)."""
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, (list, tuple)):
        return values
    library, _ = _origin(values)
    if library == "pandas":
        return _pandas_column(values)
    if library == "polars":
        return values.to_numpy() if values.dtype.is_numeric() else values.to_list()  # type: ignore[no-any-return]
    if library == "pyarrow":
        return _arrow_column(values)
    return list(values)


def _pandas_column(values: Any) -> Column:
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        array: NDArray[np.generic] = values.to_numpy()
        return array if dtype.kind in "fiubmM" else array.tolist()
    if getattr(dtype, "kind", "O") in "fiu" and getattr(dtype, "_is_numeric", False):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)  # type: ignore[no-any-return]
    return values.astype(object).where(values.notna(), None).tolist()  # type: ignore[no-any-return]


def _arrow_column(values: Any) -> Column:
    kind = str(values.type)
    if kind.startswith(("int", "uint", "float", "double", "halffloat")):
        return values.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return values.to_pylist()  # type: ignore[no-any-return]
