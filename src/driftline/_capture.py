"""A call's features to an aligned, copied row (or a batch of columns): the hot path."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import numpy as np

from driftline._frames import Table, is_column, is_table, read_table
from driftline._outputs import SCALARS
from driftline._values import Column

__all__ = ["SMALL_BATCH", "Batch", "Capture", "Captured", "Report", "names_of"]

SMALL_BATCH = 32
"""Up to so many rows a batch is cheaper as single rows, binned later with others, than as columns binned at once."""

Row: TypeAlias = "tuple[object, ...]"
Report: TypeAlias = Callable[[str, str], None]
"""Told a place and a message: counts every time, logs the first."""


class Batch:
    """Columns in the order of the reference; None for a column that the call did not bring."""

    __slots__ = ("columns", "rows")

    def __init__(self, columns: Sequence[Column | None], rows: int) -> None:
        self.columns = columns
        self.rows = rows


Captured: TypeAlias = "Row | list[Row] | Batch | None"
"""One row, the rows of a small batch, a batch; None where nothing could be read."""


def names_of(features: Any) -> tuple[str, ...] | None:
    """The names that a first call's features carry, or None where they are told by their order alone."""
    if isinstance(features, Mapping):
        return tuple(str(name) for name in features)
    if is_table(features):
        return read_table(features).names
    if hasattr(features, "_fields"):
        return tuple(features._fields)
    fields = _field_names(type(features))
    if fields is not None:
        return fields
    index = getattr(features, "index", None)
    if index is not None and not callable(index) and type(index).__name__ != "RangeIndex":
        return tuple(str(name) for name in index)
    return None


class Capture:
    """
    Turns what a predict function takes into rows aligned to the reference.

    How a type is read is decided the first time it comes, then looked up by class.

    Args:
        names: the features, in the order of the reference.
        report: told of unknown, unreadable or ill-shaped input.
        dropped: told how many rows could not be read, and why (``"shape"`` or ``"unreadable"``).
    """

    __slots__ = ("_dropped", "_handlers", "_known", "_report", "names")

    def __init__(self, names: tuple[str, ...], report: Report, dropped: Callable[[str, int], None]) -> None:
        self.names = names
        self._known = frozenset(names)
        self._report = report
        self._dropped = dropped
        self._handlers: dict[type, Callable[[Any], Captured]] = {dict: self._dict_handler()}

    def __call__(self, features: Any) -> Captured:
        """Read one call's features."""
        handler = self._handlers.get(features.__class__)
        if handler is None:
            handler = self._handler(features)
            self._handlers[features.__class__] = handler
        return handler(features)

    def table(self, data: Any) -> Batch | None:
        """Read a batch, whatever its size."""
        try:
            return self._aligned(read_table(data))
        except (TypeError, ValueError) as error:
            self._drop("unreadable", 1, f"features cannot be read as a table: {error}")
            return None

    # --- one handler per kind of argument ----------------------------------------------------------------------------

    def _handler(self, features: Any) -> Callable[[Any], Captured]:
        if isinstance(features, Mapping):
            return self._mapping
        if isinstance(features, np.ndarray):
            return self._array
        if is_table(features):
            return self._frame
        if hasattr(features, "_fields"):  # a namedtuple is a tuple with names
            return self._attributes(features._fields)
        if isinstance(features, (list, tuple)):
            return self._sequence
        fields = _field_names(type(features))
        if fields is not None:
            return self._attributes(fields)
        if is_column(features):
            return self._series
        return self._unreadable

    def _dict_handler(self) -> Callable[[Any], Captured]:
        names, width = self.names, len(self.names)
        get: Callable[[Any], Row] = (
            itemgetter(*names) if width > 1 else lambda features, name=names[0]: (features[name],)  # type: ignore[misc]
        )
        slow, note = self._mapping, self._note_unknown

        def read(features: Any) -> Captured:
            try:
                row = get(features)
            except KeyError:
                return slow(features)
            if row[0].__class__ not in SCALARS:
                return slow(features)  # perhaps a dict of columns
            if len(features) != width:
                note(features)
            return row

        return read

    def _mapping(self, features: Any) -> Captured:
        if features and all(is_column(value) for value in features.values()):
            return self._frame(features)
        self._note_unknown(features)
        return tuple(features.get(name) for name in self.names)

    def _attributes(self, fields: Sequence[str]) -> Callable[[Any], Captured]:
        names = self.names
        self._note_unknown(fields)
        if len(names) > 1 and all(name in fields for name in names):
            return attrgetter(*names)
        return lambda features: tuple(getattr(features, name, None) for name in names)

    def _array(self, features: Any) -> Captured:
        width = len(self.names)
        if features.ndim == 1:
            if len(features) != width:
                return self._wrong_width(len(features), 1)
            return tuple(features.tolist())
        if features.ndim != 2:  # noqa: PLR2004 - rows and columns
            return self._drop("shape", 1, f"features are an array of {features.ndim} dimensions: expected 1 or 2")
        if features.shape[1] != width:
            return self._wrong_width(features.shape[1], features.shape[0])
        if features.shape[0] <= SMALL_BATCH:
            return [tuple(row) for row in features.tolist()]
        return Batch(tuple(features.T), features.shape[0])

    def _sequence(self, features: Any) -> Captured:
        if features and isinstance(features[0], (list, tuple, np.ndarray)):
            try:
                matrix = np.array(features, dtype=object)
            except ValueError:
                return self._drop("shape", len(features), "features are rows of different lengths")
            return self._array(matrix)
        if features and isinstance(features[0], Mapping):
            rows = [self(row) for row in features]
            return [row for row in rows if isinstance(row, tuple)]
        if len(features) != len(self.names):
            return self._wrong_width(len(features), 1)
        return tuple(features)

    def _series(self, features: Any) -> Captured:
        names = names_of(features)
        if names is not None:
            return self._mapping(dict(zip(names, features.tolist(), strict=True)))
        return self._sequence(features.to_list() if hasattr(features, "to_list") else list(features))

    def _frame(self, features: Any) -> Captured:
        batch = self.table(features)
        if batch is None or batch.rows > SMALL_BATCH:
            return batch
        absent: list[object] = [None] * batch.rows
        plain = [
            absent if column is None else column.tolist() if isinstance(column, np.ndarray) else column
            for column in batch.columns
        ]
        return list(zip(*plain, strict=True))

    def _unreadable(self, features: Any) -> Captured:
        return self._drop(
            "unreadable",
            1,
            f"features are a {type(features).__name__}: expected a dict, a row, a frame, a dataclass or a model; "
            "say features= to take them from the arguments",
        )

    # --- alignment ---------------------------------------------------------------------------------------------------

    def _aligned(self, table: Table) -> Batch | None:
        if table.names is None:
            if len(table.columns) != len(self.names):
                self._wrong_width(len(table.columns), table.rows)
                return None
            return Batch(table.columns, table.rows)
        self._note_unknown(table.names)
        columns = dict(zip(table.names, table.columns, strict=True))
        return Batch([columns.get(name) for name in self.names], table.rows)

    def _note_unknown(self, names: Any) -> None:
        unknown = [str(name) for name in names if name not in self._known]
        if unknown:
            self._report("unknown_feature", f"features {unknown[:10]} are not in the reference: not counted")

    def _wrong_width(self, width: int, rows: int) -> Captured:
        return self._drop("shape", rows, f"{width} features in a row without names: expected {len(self.names)}")

    def _drop(self, reason: str, rows: int, message: str) -> Captured:
        self._dropped(reason, rows)
        self._report("capture", message)
        return None


def _field_names(kind: type) -> tuple[str, ...] | None:
    """Fields of a dataclass, a pydantic model or an attrs class."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        return tuple(fields)
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else tuple(attribute.name for attribute in attributes)
