"""Reads tables of any library as named columns, without importing any of those libraries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftline._capture.columns import without_mask
from driftline._capture.libraries import count_dimensions, is_column, origin, read_column
from driftline._capture.placeholders import describe_type
from driftline._runtime.guard import UnreadableError, is_contained, returning_on_error
from driftline.typing import Column

__all__ = ["OpenTable", "Table", "count_rows", "describe", "is_table", "open_table", "read_table"]

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


@dataclass(frozen=True, slots=True)
class OpenTable:
    """
    A table of which no column has been read.

    Attributes:
        names: name of each column; None if the columns have no names.
        width: number of columns.
        rows: number of rows; None for a dict of columns, which may differ in length.
        raw: returns the column at an index as its library has it.
        read: reads the columns at some indices.
    """

    names: tuple[str, ...] | None
    width: int
    rows: int | None
    raw: Callable[[int], Any]
    read: Callable[[Sequence[int]], Sequence[Column]]


def is_table(data: object) -> bool:
    """Return whether *data* has rows and columns: a frame, a 2-D or structured array or tensor, a dict of columns."""
    if count_dimensions(data) == 2:  # noqa: PLR2004 - rows and columns
        return True
    if isinstance(data, np.ndarray):
        return data.ndim == 1 and data.dtype.names is not None
    if isinstance(data, Mapping):
        return bool(data) and all(is_column(value) for value in data.values())
    library, kind = origin(data)
    return (library in {"pandas", "polars"} and kind == "DataFrame") or (
        library == "pyarrow" and kind in _ARROW_BATCHES
    )


@returning_on_error(None)
def count_rows(data: Any) -> int | None:
    """
    Return the number of rows of a table or of a list of rows, without reading them; None if *data* is neither.

    A sparse matrix and the frames of other libraries are not read, but their shape says how many rows they have.
    """
    if isinstance(data, (list, tuple)) and data and (isinstance(data[0], Mapping) or is_column(data[0])):
        return len(data)
    if isinstance(data, Mapping):
        return max((len(value) for value in data.values() if is_column(value)), default=None)
    if is_table(data) and not count_dimensions(data):
        return open_table(data).rows
    shape: tuple[Any, ...] = getattr(data, "shape", ())
    return int(shape[0]) if len(shape) > 1 else None


def describe(value: object) -> str:
    """Return the type of a value and its size, as `describe_type`; for a column of a library its length too."""
    if is_column(value) and origin(value)[0]:
        return f"{type(value).__name__} of {len(value)} values"  # type: ignore[arg-type]
    return describe_type(value)


def open_table(data: Any) -> OpenTable:
    """
    Open a table: a dict of columns, a pandas or polars frame, a pyarrow table, a 2-D or a structured numpy array.

    Raises:
        UnreadableError: *data* is none of these.
    """
    if isinstance(data, np.ndarray) or count_dimensions(data):
        return _open_array(np.asanyarray(data))
    if isinstance(data, Mapping):
        values = list(data.values())
        return _opened([str(name) for name in data], None, values.__getitem__)
    library, _ = origin(data) if is_table(data) else ("", "")
    if library == "pandas":
        # A frame without column names has a RangeIndex of columns. Like an array, it is aligned by order.
        names = None if _unnamed(data.columns) else tuple(map(str, data.columns.tolist()))
        rows, width = data.shape
        return OpenTable(
            names, width, rows, lambda index: data.iloc[:, index], lambda indices: _read_pandas(data, indices)
        )
    if library == "polars":
        return _opened(data.columns, data.height, data.to_series)
    if library == "pyarrow":
        return _opened(data.schema.names, data.num_rows, data.column)
    msg = (
        f"got {type(data).__name__}, expected a dict of columns, a pandas or polars DataFrame, "
        "a pyarrow Table or a 2-D numpy array"
    )
    raise UnreadableError(msg)


def _opened(names: Sequence[str], rows: int | None, raw: Callable[[int], Any]) -> OpenTable:
    return OpenTable(
        tuple(names), len(names), rows, raw, lambda indices: [read_column(raw(index)) for index in indices]
    )


def _open_array(data: Any) -> OpenTable:
    if data.dtype.names is not None and data.ndim == 1:
        names = data.dtype.names
        return _opened(names, len(data), lambda index: data[names[index]])
    if data.ndim != 2:  # noqa: PLR2004 - rows and columns
        msg = f"expected a 2-D array of rows and columns, got {data.ndim} dimension(s)"
        raise UnreadableError(msg)
    columns = data.T
    return OpenTable(
        None,
        data.shape[1],
        data.shape[0],
        columns.__getitem__,
        lambda indices: [without_mask(columns[index]) for index in indices],
    )


def _unnamed(columns: Any) -> bool:
    """Return whether a pandas index of columns is 0, 1, 2, …, which pandas makes if there are no names."""
    return type(columns).__name__ == "RangeIndex" and (columns.start, columns.step) == (0, 1)


def _read_pandas(frame: Any, indices: Sequence[int]) -> Sequence[Column]:
    """Read the columns of a pandas frame at *indices*."""
    dtypes = frame.dtypes.tolist()
    kinds = {dtypes[index] for index in indices}
    if len(kinds) == 1:
        kind = kinds.pop()
        if isinstance(kind, np.dtype) and kind.kind in "fiub":
            part = frame if len(indices) == len(dtypes) else frame.iloc[:, list(indices)]
            columns = part.to_numpy().T  # without a copy, and without making a Series per column
            return list(columns) if part is not frame else [columns[index] for index in indices]
    return [read_column(frame.iloc[:, index]) for index in indices]


def read_table(data: Any, *, unread: Collection[str] = (), inputs: Collection[str] = ()) -> Table:
    """
    Read a table: a dict of columns, a pandas or polars frame, a pyarrow table, a 2-D or a structured numpy array.

    Args:
        data: the table.
        unread: names of columns that are not read. All their values are missing.
        inputs: names of columns whose values may be of any kind, because only user functions read them.

    Raises:
        UnreadableError: *data* is none of these, the columns differ in length, two of them share a name, or one cannot
            be read.
    """
    table = open_table(data)
    names = table.names
    if names is not None and len(set(names)) != len(names):
        twice = sorted(name for name, times in Counter(names).items() if times > 1 and name not in unread)
        if twice:
            msg = f"columns {twice} appear more than once"
            raise UnreadableError(msg)
    wanted = [index for index in range(table.width) if names is None or names[index] not in unread]
    columns: dict[int, Column] = {}
    try:
        columns.update(zip(wanted, table.read(wanted), strict=True))
    except BaseException as error:
        if not is_contained(error):
            raise
        _read_one_by_one(table, wanted, columns)
    for index, column in columns.items():
        if isinstance(column, np.ndarray) and column.shape[1:] == (1,) and column.dtype.kind not in "fiub":
            columns[index] = column[:, 0]  # numbers would be vectors of one number
    named = {str(index) if names is None else names[index]: column for index, column in columns.items()}
    for name, column in named.items():
        if getattr(column, "ndim", 1) not in {1, 2} and name not in inputs:
            msg = f"column {name!r} is a {describe(column)}: expected one value, or one vector, for each row"
            raise UnreadableError(msg)
    rows = common_length({name: len(column) for name, column in named.items()}) if named else count_rows(data) or 0
    absent = np.broadcast_to(np.array(np.nan), rows)
    return Table(names, tuple(columns.get(index, absent) for index in range(table.width)), rows)


def _read_one_by_one(table: OpenTable, wanted: Sequence[int], columns: dict[int, Column]) -> None:
    """Read columns into *columns*; raise UnreadableError for the first that cannot be read."""
    for index in wanted:
        try:
            columns[index] = table.read([index])[0]
        except BaseException as error:  # noqa: PERF203 - as rare as such columns
            if not is_contained(error):
                raise
            name = index if table.names is None else table.names[index]
            msg = (
                f"column {name!r} cannot be read ({describe_column(table, index)}, {type(error).__name__}): "
                "expected numbers, strings or booleans (ignore= skips a column)"
            )
            raise UnreadableError(msg) from error


def describe_column(table: OpenTable, index: int) -> str:
    """Return the library and the type of the values of a column that cannot be read."""
    raw = returning_on_error(None)(table.raw)(index)
    dtype = returning_on_error(None)(lambda: getattr(raw, "dtype", None) or getattr(raw, "type", None))()
    library, _ = origin(raw)
    return " ".join(filter(None, (library, describe(raw) if dtype is None else str(dtype)[:60])))


def common_length(lengths: Mapping[str, int]) -> int:
    """
    Return the common length of columns, 0 if there are none.

    Args:
        lengths: name of each column to its length.

    Raises:
        UnreadableError: the lengths differ.
    """
    if len(set(lengths.values())) > 1:
        examples: dict[int, str] = {}
        for name, length in lengths.items():
            examples.setdefault(length, name)
        shown = ", ".join(f"{name!r} has {length}" for length, name in [*examples.items()][:3])
        msg = f"columns differ in length: {shown} rows"
        raise UnreadableError(msg)
    return next(iter(lengths.values()), 0)
