"""`TableReader`: reads the columns of a reference from a table, and no others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from driftline._capture.captured import Batch, Unread
from driftline._capture.libraries import count_dimensions, is_column
from driftline._capture.names import UnknownNames
from driftline._capture.outputs import is_scalar
from driftline._capture.placeholders import Unreadable
from driftline._capture.tables import OpenTable, common_length, count_rows, describe_column, open_table
from driftline._capture.vectors import is_vector
from driftline._runtime.guard import Report, UnreadableError, is_contained
from driftline.typing import Column

__all__ = ["TableReader"]


class TableReader:
    """
    Reads tables as columns in the order of the reference.

    Other columns are not touched, so that a column that is no feature cannot cost the batch. Each value of a feature
    that cannot be read becomes an `Unreadable`.

    Args:
        names: names of the columns, in the order of the reference.
        report: called with ("capture", message) for tables that cannot be read.
        unknown: reports names that the reference lacks.
        vectors: names of the columns whose values are vectors.
        inputs: names of the other columns that are no features.
        unread: names of the columns that are not read. All their values are missing.
        mixes: whether in a dict with lists a feature with a single value has this value in all rows. If False, lists
            beside single values are the values of one row.
    """

    __slots__ = ("_deciding", "_inputs", "_mixes", "_names", "_report", "_unknown", "_unread", "_vectors")

    def __init__(
        self,
        names: tuple[str, ...],
        report: Report,
        unknown: UnknownNames,
        *,
        vectors: Collection[str],
        inputs: Collection[str],
        unread: Collection[str],
        mixes: bool,
    ) -> None:
        self._names = names
        self._report = report
        self._unknown = unknown
        self._vectors, self._inputs, self._unread = frozenset(vectors), frozenset(inputs), frozenset(unread)
        self._mixes = mixes
        # A column that is no feature may hold lists. It decides nothing if there are features.
        self._deciding = frozenset(names) - self._inputs or frozenset(names)

    def holds_columns(self, features: Mapping[Any, Any]) -> bool:
        """Return whether a mapping is a dict of columns and not a single row. Only entries that are features decide."""
        known = [(name, value) for name, value in features.items() if str(name) in self._deciding]
        entries = known or list(features.items())
        columns = [value for name, value in entries if self._is_column(str(name), value)]
        if not columns or len(columns) == len(entries):
            return bool(columns)
        # Beside single values, an array or a series is a column. A list may be the value of one row.
        return self._mixes or any(
            len(value) > 1 and is_column(value) and not isinstance(value, (list, tuple)) for value in columns
        )

    def _is_column(self, name: str, value: Any) -> bool:
        if is_scalar(value):  # the common case, in a dict that lacks a feature
            return False
        if name not in self._vectors:
            return is_column(value) or count_dimensions(value) > 1
        if count_dimensions(value) == 2:  # noqa: PLR2004 - rows of vectors
            return True
        # A column of vectors holds vectors, or None; a vector holds numbers.
        return is_column(value) and any(item is None or is_vector(item) for item in _first(value))

    def __call__(self, features: Any) -> Batch | Unread:
        """Read a table. If it cannot be read, report it and return an `Unread` with its number of rows."""
        try:
            table = open_table(features)
            indices = self._indices(table)
            if indices is None and table.rows == 0:
                return Batch([None] * len(self._names), 0)
            if indices is None:
                self._report("capture", f"{table.width} columns without names: expected {len(self._names)}")
                return Unread("shape", table.rows)
            return self._read(table, indices)
        except UnreadableError as error:
            message = str(error)
        except BaseException as error:
            if not is_contained(error):
                raise
            message = f"{type(features).__name__}, {type(error).__name__}"
        self._report("capture", f"features cannot be read as a table: {message}")
        return Unread("unreadable", count_rows(features))

    def _indices(self, table: OpenTable) -> list[int | None] | None:
        """Return the index of each column of the reference in a table; None if their number is wrong."""
        if table.names is None:
            return [*range(table.width)] if table.width == len(self._names) else None
        if table.names == self._names:
            return [*range(table.width)]
        places: dict[str, int] = {}
        twice = []
        wanted = frozenset(self._names)
        for index, name in enumerate(table.names):
            if name in wanted and places.setdefault(name, index) != index:
                twice.append(name)
        if twice:
            msg = f"columns {sorted(set(twice))} appear more than once"
            raise UnreadableError(msg)
        if len(places) < table.width:
            self._unknown.report([name for name in table.names if name not in wanted])
        return [places.get(name) for name in self._names]

    def _read(self, table: OpenTable, indices: Sequence[int | None]) -> Batch:
        """
        Read the columns of a table at *indices*, which are in the order of the reference; None for an absent column.

        Raises:
            UnreadableError: the columns differ in length.
        """
        wanted = {
            name: index
            for name, index in zip(self._names, indices, strict=True)
            if index is not None and name not in self._unread
        }
        single: dict[str, object] = {}
        if table.rows is None:  # a dict, whose entries may also be single values
            values = {name: table.raw(index) for name, index in wanted.items()}
            single = {name: value for name, value in values.items() if not self._is_column(name, value)}
        columns = self._read_columns(table, {name: index for name, index in wanted.items() if name not in single})
        rows = table.rows
        if rows is None:
            lengths = {
                name: len(values[name] if isinstance(column, Unreadable) else column)
                for name, column in columns.items()
            }
            rows = common_length(lengths) if lengths else _most_frequent_length(table)
        single.update((name, column) for name, column in columns.items() if isinstance(column, Unreadable))
        aligned = [[single[name]] * rows if name in single else columns.get(name) for name in self._names]
        return Batch(aligned, rows)  # type: ignore[arg-type] # no column is an Unreadable

    def _read_columns(self, table: OpenTable, wanted: Mapping[str, int]) -> dict[str, Column | Unreadable]:
        """Return name to column, or to an `Unreadable` that stands for each of its values."""
        columns: dict[str, Column | Unreadable] = {}
        try:
            columns.update(zip(wanted, table.read(list(wanted.values())), strict=True))
        except BaseException as error:
            if not is_contained(error):
                raise
            for name, index in wanted.items():
                columns[name] = _read_alone(table, index)
        for name, column in columns.items():
            if getattr(column, "ndim", 1) != 1 and name not in self._inputs:
                columns[name] = self._fit(name, column)
        return columns

    def _fit(self, name: str, column: Any) -> Column | Unreadable:
        """Return an array of several dimensions as a column of vectors or of numbers, if it is one."""
        if name in self._vectors and column.ndim == 2:  # noqa: PLR2004 - rows of vectors
            return column  # type: ignore[no-any-return]
        if column.ndim == 2 and column.shape[1] == 1:  # noqa: PLR2004 - rows of one value
            return column[:, 0]  # type: ignore[no-any-return]
        return Unreadable(None, f"a column of shape {column.shape}")


def _read_alone(table: OpenTable, index: int) -> Column | Unreadable:
    """Return one column of a table, or an `Unreadable` if reading it raises."""
    try:
        return table.read([index])[0]
    except BaseException as error:
        if not is_contained(error):
            raise
        return Unreadable(None, f"a column of {describe_column(table, index)}, which raises {type(error).__name__}")


def _first(column: Any) -> Any:
    """Return a list of a column's first value; an empty list if the column is empty."""
    if not len(column):
        return []
    return [column.iloc[0] if hasattr(column, "iloc") else column[0]]


def _most_frequent_length(table: OpenTable) -> int:
    """Return the most frequent length of the columns in a dict, none of which is a feature."""
    lengths = Counter(len(value) for value in map(table.raw, range(table.width)) if is_column(value))
    return lengths.most_common(1)[0][0] if lengths else 0
