"""Reads tables of any library as named columns, without importing any of those libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftline._capture.columns import CategoricalColumn, origin, read_column
from driftline._runtime.guard import UnreadableError
from driftline.typing import Column

__all__ = ["Table", "is_column", "is_table", "read_table"]

_ARROW_BATCHES = frozenset({"Table", "RecordBatch"})


@dataclass(frozen=True, slots=True)
class Table:
    """
    Columns of equal length.

    Attributes:
        names: name of each column; None if the columns have no names.
        columns: the columns.
        rows: number of rows.
    """

    names: tuple[str, ...] | None
    columns: tuple[Column, ...]
    rows: int


def is_table(data: object) -> bool:
    """Return whether *data* has rows and columns: a frame, a 2-D array, or a dict whose values are columns."""
    if isinstance(data, np.ndarray):
        return data.ndim == 2  # noqa: PLR2004 - rows and columns
    if isinstance(data, Mapping):
        return bool(data) and all(is_column(value) for value in data.values())
    library, kind = origin(data)
    return (library in {"pandas", "polars"} and kind == "DataFrame") or (
        library == "pyarrow" and kind in _ARROW_BATCHES
    )


def is_column(value: object) -> bool:
    """Return whether *value* is a column: a list, tuple, 1-D array, `CategoricalColumn` or series of a library."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    if isinstance(value, (list, tuple, CategoricalColumn)):
        return True
    library, kind = origin(value)
    return (
        (library in {"pandas", "polars"} and (kind == "Series" or kind.endswith("Index")))
        or (library == "pandas" and kind.endswith("Array"))
        or (library == "pyarrow" and kind.endswith("Array"))
    )


def read_table(data: Any) -> Table:
    """
    Read a table: a dict of columns, a pandas or polars frame, a pyarrow table or a 2-D numpy array.

    Raises:
        UnreadableError: *data* is none of these, the columns differ in length, or two of them share a name.
    """
    if isinstance(data, np.ndarray):
        if data.ndim != 2:  # noqa: PLR2004 - rows and columns
            msg = f"expected a 2-D array of rows and columns, got {data.ndim} dimension(s)"
            raise UnreadableError(msg)
        return Table(None, tuple(data.T), data.shape[0])
    names: tuple[str, ...] | None
    if isinstance(data, Mapping):
        names = tuple(str(name) for name in data)
        columns = tuple(read_column(value) for value in data.values())
        dimensions = [getattr(column, "ndim", 1) for column in columns]
        if wrong := [name for name, number in zip(names, dimensions, strict=True) if number not in {1, 2}]:
            msg = f"columns {wrong} are arrays of no or of more than two dimensions, expected values or vectors"
            raise UnreadableError(msg)
    elif is_table(data):
        library, _ = origin(data)
        if library == "pandas":
            # A frame without column names has a RangeIndex of columns. Like an array, it is aligned by order.
            names = None if _unnamed(data.columns) else tuple(str(name) for name in data.columns)
            columns = _pandas_columns(data)
        elif library == "polars":
            names = tuple(data.columns)
            columns = tuple(read_column(series) for series in data.get_columns())
        else:
            names = tuple(data.schema.names)
            columns = tuple(read_column(data.column(index)) for index in range(data.num_columns))
    else:
        msg = (
            f"got {type(data).__name__}, expected a dict of columns, a pandas or polars DataFrame, "
            "a pyarrow Table or a 2-D numpy array"
        )
        raise UnreadableError(msg)
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        msg = f"columns differ in length: {sorted(lengths)}"
        raise UnreadableError(msg)
    if names is not None and len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        msg = f"columns {twice} appear more than once"
        raise UnreadableError(msg)
    return Table(names, columns, lengths.pop() if lengths else 0)


def _unnamed(columns: Any) -> bool:
    """Return whether a pandas index of columns is 0, 1, 2, …, which pandas makes if there are no names."""
    return type(columns).__name__ == "RangeIndex" and (columns.start, columns.step) == (0, 1)


def _pandas_columns(frame: Any) -> tuple[Column, ...]:
    kinds = set(frame.dtypes.tolist())
    if len(kinds) == 1:
        kind = kinds.pop()
        if isinstance(kind, np.dtype) and kind.kind in "fiub":
            return tuple(frame.to_numpy().T)  # without a copy, and without making a Series per column
    return tuple(read_column(series) for _, series in frame.items())
