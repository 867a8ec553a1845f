"""A call's features to an aligned, copied row (or a batch of columns): the hot path."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import starmap
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import numpy as np

from driftline._capture.columns import CategoricalColumn, Row, as_objects, read_column
from driftline._capture.outputs import SCALARS
from driftline._capture.tables import Table, is_column, is_table, read_table
from driftline.typing import Column

__all__ = ["SMALL_BATCH", "Batch", "Captured", "FeatureReader", "Report", "first_names", "names_of"]

SMALL_BATCH = 32
"""Up to so many rows a batch is cheaper as single rows, binned later with others, than as columns binned at once."""

FLOAT64 = np.dtype(np.float64)

Report: TypeAlias = Callable[[str, str], None]
"""Told a place and a message: counts every time, logs the first."""


class Batch:
    """Columns in the order of the reference; None for a column that the call did not bring."""

    __slots__ = ("columns", "rows")

    def __init__(self, columns: Sequence[Column | None], rows: int) -> None:
        self.columns = columns
        self.rows = rows

    def __len__(self) -> int:
        return self.rows


Captured: TypeAlias = "Row | dict[str, object] | list[Row] | Batch | None"
"""One row, or a dict of it; the rows of a small batch; a batch; None where nothing could be read."""


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


def first_names(features: Any) -> tuple[str, ...]:
    """The names of the columns of a first call's features: places where there are no names."""
    names = names_of(features)
    if names is None:
        shape = getattr(features, "shape", None)
        names = tuple(str(place) for place in range(shape[-1] if shape else len(features)))
    return names


class FeatureReader:
    """
    Turns what a predict function takes into rows aligned to the reference.

    How a type is read is decided the first time it comes, then looked up by class.

    Args:
        names: the features, in the order of the reference.
        report: told of unknown, unreadable or ill-shaped input.
        dropped: told how many rows could not be read, and why (``"shape"`` or ``"unreadable"``).
        copies: whether a batch is copied. A model may work in place on its input, and a batch is counted when the call
            has returned; what is counted at once needs no copy.
        late: whether a dict may be copied whole, which costs half of taking its values or less, to be put in order by
            *align* when it is counted. One with more in it than features is not.
        packs: whether *align* may make floats of what such dicts hold: all of it is compared as numbers.

    Attributes:
        inline: dict where a copy is all that this does with one of as many values as there are features, the first of
            them there and no column; else None.
        readers: how features of a class are read, for each that has been seen.
    """

    __slots__ = (
        "_align",
        "_copies",
        "_dropped",
        "_known",
        "_pack",
        "_report",
        "_values_of",
        "inline",
        "names",
        "readers",
    )

    def __init__(
        self,
        names: tuple[str, ...],
        report: Report,
        dropped: Callable[[str, int], None],
        *,
        copies: bool = True,
        late: bool = True,
        packs: bool = False,
    ) -> None:
        self.names = names
        self._copies = copies
        self._known = frozenset(names)
        self._report = report
        self._dropped = dropped
        self._values_of = _values_of(names)
        self._pack = struct.Struct(f"{len(names)}d").pack if packs else None
        self._align = self._dict_handler()
        self.inline: type[dict[Any, Any]] | None = dict if late else None
        self.readers: dict[type, Callable[[Any], Captured]] = {dict: self._dict_copier() if late else self._align}

    def __call__(self, features: Any) -> Captured:
        """Read one call's features."""
        reader = self.readers.get(features.__class__)
        if reader is None:
            reader = self._handler(features)
            self.readers[features.__class__] = reader
        return reader(features)

    def align(self, rows: Sequence[Any]) -> Sequence[Row]:
        """
        Captured rows, those that are dicts put in the order of the reference.

        Numbers become bytes at once: a thousand tuples of them would not fit the core's cache until they are counted.
        """
        try:
            if self._pack is not None:
                return [*starmap(self._pack, map(self._values_of, rows))]
        except Exception:  # noqa: BLE001, S110 - or something is no number, or missing
            pass
        try:
            return [*map(self._values_of, rows)]
        except Exception:  # noqa: BLE001 - not all are dicts, a feature is missing, names are no texts
            return [self._align(row) if row.__class__ is dict else row for row in rows]  # type: ignore[misc]

    # --- one handler per kind of argument ----------------------------------------------------------------------------

    def _handler(self, features: Any) -> Callable[[Any], Captured]:
        if isinstance(features, Mapping):
            return self._mapping
        if isinstance(features, np.ndarray):
            return self._array if type(features) is np.ndarray else self._other_array
        if is_table(features):
            return self._frame
        if hasattr(features, "_fields"):  # a namedtuple is a tuple with names
            return self._attributes(features._fields)
        if isinstance(features, (list, tuple)):
            return self._sequence
        fields = _field_names(type(features))
        if fields is not None:
            return self._model(fields) if hasattr(type(features), "model_fields") else self._attributes(fields)
        if is_column(features):
            return self._series
        return self._unreadable

    def _dict_handler(self) -> Callable[[Any], Captured]:
        get, width = self._values_of, len(self.names)
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

    def _dict_copier(self) -> Callable[[Any], Captured]:
        first, align, width = self.names[0], self._align, len(self.names)

        def read(features: Any) -> Captured:
            # What is no single value may be a column, which a copy of the dict would share with the caller. So may be
            # any in a dict without the first feature: the default is no value either.
            plain = len(features) == width and features.get(first, align).__class__ in SCALARS
            return features.copy() if plain else align(features)

        return read

    def _mapping(self, features: Any) -> Captured:
        if features and all(is_column(value) for value in features.values()):
            return self._frame(features)
        return self._by_name(features)

    def _by_name(self, features: Mapping[Any, Any]) -> Row:
        if not all(isinstance(name, str) for name in features):
            # A reference names its features by texts, also those that were numbers in the training data.
            features = {str(name): value for name, value in features.items()}
        self._note_unknown(features)
        return tuple([features.get(name) for name in self.names])

    def _attributes(self, fields: Sequence[str]) -> Callable[[Any], Captured]:
        names = self.names
        self._note_unknown(fields)
        if len(names) > 1 and all(name in fields for name in names):
            return attrgetter(*names)
        return lambda features: tuple([getattr(features, name, None) for name in names])

    def _model(self, fields: Sequence[str]) -> Callable[[Any], Captured]:
        """A pydantic model keeps its fields in a dict: half the time of asking for each."""
        slow = self._attributes(fields)
        if len(self.names) < 2 or not set(self.names) <= set(fields):  # noqa: PLR2004 - of one name it gets no tuple
            return slow
        get = itemgetter(*self.names)

        def read(features: Any) -> Captured:
            try:
                return get(features.__dict__)  # type: ignore[no-any-return]
            except KeyError:  # made without validation, and without this field
                return slow(features)

        return read

    def _other_array(self, features: Any) -> Captured:
        """A subclass, such as a masked array, knows best what its values are."""
        return self._array(features) if features.ndim != 1 else self._sequence(features.tolist())

    def _array(self, features: Any) -> Captured:
        width = len(self.names)
        if features.ndim == 1:
            if len(features) != width:
                return self._wrong_width(len(features), 1)
            # Bytes are the cheaper copy, and are binned as they are; other types keep their values as Python has them.
            return features.tobytes() if features.dtype is FLOAT64 else tuple(features.tolist())
        if features.ndim != 2:  # noqa: PLR2004 - rows and columns
            return self._drop("shape", 1, f"features are an array of {features.ndim} dimensions: expected 1 or 2")
        if features.shape[1] != width:
            return self._wrong_width(features.shape[1], features.shape[0])
        if features.shape[0] <= SMALL_BATCH:
            return [tuple(row) for row in features.tolist()]
        # The copy has its columns in one piece, which is what counting wants.
        return Batch(tuple(features.T.copy() if self._copies else features.T), features.shape[0])

    def _sequence(self, features: Any) -> Captured:
        if features and features[0].__class__ not in SCALARS:
            if all(map(_is_named, features)):
                return self._rows([self._by_name(row) if isinstance(row, Mapping) else self(row) for row in features])
            if all(isinstance(row, (list, tuple)) or (isinstance(row, np.ndarray) and row.ndim) for row in features):
                wrong = next((len(row) for row in features if len(row) != len(self.names)), None)
                if wrong is not None:
                    return self._wrong_width(wrong, len(features))
                return self._rows([tuple(row.tolist() if isinstance(row, np.ndarray) else row) for row in features])
        if len(features) != len(self.names):
            return self._wrong_width(len(features), 1)
        return tuple(features)

    def _rows(self, rows: list[Any]) -> Captured:
        return rows if len(rows) <= SMALL_BATCH else Batch(tuple(zip(*rows, strict=True)), len(rows))

    def _series(self, features: Any) -> Captured:
        names, values = names_of(features), as_objects(read_column(features))
        return self._sequence(values) if names is None else self._by_name(dict(zip(names, values, strict=True)))

    def _frame(self, features: Any) -> Captured:
        try:
            batch = self._aligned(read_table(features))
        except (TypeError, ValueError) as error:
            return self._drop("unreadable", 1, f"features cannot be read as a table: {error}")
        if batch is None:
            return None
        if batch.rows > SMALL_BATCH and not self._copies:
            return batch
        if batch.rows > SMALL_BATCH:
            return Batch([None if column is None else _copied(column) for column in batch.columns], batch.rows)
        absent: Sequence[object] = [None] * batch.rows
        plain = [absent if column is None else as_objects(column) for column in batch.columns]
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


def _values_of(names: tuple[str, ...]) -> Callable[[Any], Row]:
    """Takes the values of all features from a dict, as a tuple in their order."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda features: (features[name],)


def _copied(column: Column) -> Column:
    return column.copy() if isinstance(column, (np.ndarray, CategoricalColumn)) else tuple(column)


def _is_named(row: object) -> bool:
    """Whether a row says which value belongs to which feature."""
    if isinstance(row, Mapping) or hasattr(row, "_fields") or _field_names(type(row)) is not None:
        return True
    return is_column(row) and not isinstance(row, (list, tuple, np.ndarray)) and names_of(row) is not None


def _field_names(kind: type) -> tuple[str, ...] | None:
    """Fields of a dataclass, a pydantic model or an attrs class."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        return tuple(fields)
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else tuple(attribute.name for attribute in attributes)
