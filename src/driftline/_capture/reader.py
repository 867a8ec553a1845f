"""`FeatureReader`: reads the features of a call as a row or as a batch of columns. It is a part of the hot path."""

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
from driftline._runtime.guard import Report, UnreadableError, returning_on_error
from driftline.typing import Column

__all__ = ["SMALL_BATCH", "Batch", "Captured", "FeatureReader", "first_names", "names_of"]

SMALL_BATCH = 32
"""Most rows of a batch that is captured as single rows, because this is cheaper than columns for small batches."""

MAX_CLASSES = 32
"""
Most classes of features whose reader is kept. ``DataFrame.itertuples`` and ``make_dataclass`` may make a class per
request, and a reader that is kept would keep its class in memory.
"""

FLOAT64 = np.dtype(np.float64)


class Batch:
    """
    The captured columns of a batch.

    Attributes:
        columns: one column per name, in the order of the reference; None for a column that the call does not have.
        rows: number of rows.
    """

    __slots__ = ("columns", "rows")

    def __init__(self, columns: Sequence[Column | None], rows: int) -> None:
        self.columns = columns
        self.rows = rows

    def __len__(self) -> int:
        return self.rows


Captured: TypeAlias = "Row | dict[str, object] | list[Row] | Batch | None"
"""
What a reader returns for one call.

A row (a dict is put in order later), a list of rows for a small batch, a `Batch`, or None for unreadable features.
"""


def names_of(features: Any) -> tuple[str, ...] | None:
    """Return the names of the features of a call, in their order; None if they have no names, as in an array."""
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
    """Return the names of the features of a call, in their order: ``"0"``, ``"1"``, … if they have no names."""
    names = names_of(features)
    if names is None:
        shape = getattr(features, "shape", None)
        names = tuple(str(index) for index in range(shape[-1] if shape else len(features)))
    return names


class FeatureReader:
    """
    Reads the features of a call as rows in the order of the reference.

    The first object of a class decides how objects of that class are read; *readers* keeps the function. It keeps few
    classes, so that memory does not grow with the number of classes.

    Args:
        names: names of the columns, in the order of the reference.
        report: called with ("unknown_feature" or "capture", message) for features that are unknown or cannot be read.
        dropped: called with ("shape" or "unreadable", number of rows) for rows that cannot be read.
        copies: whether a batch is copied. A model may change its input in place before the batch is counted. A batch
            that is counted immediately needs no copy.
        late: whether a dict is copied as a whole, and put in order by `align` when it is counted. The copy takes at
            most half as long as reading the values in order. A dict with more items than features is not copied.
        packs: whether `align` may pack the values of such dicts as floats, because all features are numeric.

    Attributes:
        inline: `dict` if the recorder may copy a dict itself instead of calling the reader, else None. The dict must
            have as many items as there are features, and a single value for the first feature.
        names: names of the columns, as above.
        readers: the function that reads a class of features, for the latest `MAX_CLASSES` classes.
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
        self._align = self._make_dict_reader()
        self.inline: type[dict[Any, Any]] | None = dict if late else None
        self.readers: dict[type, Callable[[Any], Captured]] = {dict: self._make_dict_copier() if late else self._align}

    def __call__(self, features: Any) -> Captured:
        """Read the features of one call; if they cannot be read, report it and return None."""
        kind = type(features)
        reader = self.readers.get(kind)
        if reader is None:
            reader = self._make_reader(features)
            self._keep_reader(kind, reader)
        return reader(features)

    def _keep_reader(self, kind: type, reader: Callable[[Any], Captured]) -> None:
        """Keep the reader of a class. If there are `MAX_CLASSES`, forget the oldest class other than `dict`."""
        readers = self.readers
        if len(readers) >= MAX_CLASSES:
            # A copy of the keys, because another thread may add a class meanwhile.
            for oldest in [known for known in tuple(readers) if known is not dict][: len(readers) - MAX_CLASSES + 1]:
                readers.pop(oldest, None)
        readers[kind] = reader

    def align(self, rows: Sequence[Any]) -> Sequence[Row]:
        """
        Return captured rows as tuples, with the values of dicts in the order of the reference.

        If the reader was built with ``packs=True``, dicts of numbers become packed float64 bytes. A thousand tuples
        would not fit the processor's cache.
        """
        aligned = None if self._pack is None else self._align_numbers(rows)
        if aligned is None:
            aligned = self._align_dicts(rows)
        if aligned is None:
            aligned = [self._align(row) if type(row) is dict else row for row in rows]  # type: ignore[misc]
        return aligned

    @returning_on_error(None)
    def _align_numbers(self, rows: Sequence[Any]) -> Sequence[Row]:
        """Return dicts as the bytes of their values as float64; None if a value is missing or not a number."""
        return [*starmap(self._pack, map(self._values_of, rows))]  # type: ignore[arg-type] # there is a struct

    @returning_on_error(None)
    def _align_dicts(self, rows: Sequence[Any]) -> Sequence[Row]:
        """Return dicts as tuples of their values; None if a row is not a dict, or a feature is missing."""
        return [*map(self._values_of, rows)]

    # --- one reader per class of features ----------------------------------------------------------------------------

    def _make_reader(self, features: Any) -> Callable[[Any], Captured]:
        """Return the function that reads objects of the class of *features*."""
        if isinstance(features, Mapping):
            return self._read_mapping
        if isinstance(features, np.ndarray):
            return self._read_array if type(features) is np.ndarray else self._read_array_subclass
        if is_table(features):
            return self._read_frame
        if hasattr(features, "_fields"):  # a namedtuple is a tuple with names
            return self._make_attribute_reader(features._fields)
        if isinstance(features, (list, tuple)):
            return self._read_sequence
        fields = _field_names(type(features))
        if fields is not None:
            is_pydantic = hasattr(type(features), "model_fields")
            return self._make_pydantic_reader(fields) if is_pydantic else self._make_attribute_reader(fields)
        if is_column(features):
            return self._read_series
        return self._drop_unreadable

    def _make_dict_reader(self) -> Callable[[Any], Captured]:
        """Return a function that reads a dict as a tuple in the order of the reference."""
        get, width = self._values_of, len(self.names)
        slow, report = self._read_mapping, self._report_unknown

        def read(features: Any) -> Captured:
            try:
                row = get(features)
            except KeyError:
                return slow(features)
            if type(row[0]) not in SCALARS:
                return slow(features)  # perhaps a dict of columns
            if len(features) != width:
                report(features)
            return row

        return read

    def _make_dict_copier(self) -> Callable[[Any], Captured]:
        """Return a function that copies a dict of single values, and reads other dicts as `_make_dict_reader` does."""
        first, align, width = self.names[0], self._align, len(self.names)

        def read(features: Any) -> Captured:
            # If the first feature is not a single value, or is missing, values may be columns. A copy of the dict would
            # share them with the caller.
            plain = len(features) == width and type(features.get(first, align)) in SCALARS
            return features.copy() if plain else align(features)

        return read

    def _read_mapping(self, features: Any) -> Captured:
        if features and all(is_column(value) for value in features.values()):
            return self._read_frame(features)
        return self._read_by_name(features)

    def _read_by_name(self, features: Mapping[Any, Any]) -> Row:
        if not all(isinstance(name, str) for name in features):
            # The names of a reference are strings, even if they were numbers in the training data.
            features = {str(name): value for name, value in features.items()}
        self._report_unknown(features)
        return tuple([features.get(name) for name in self.names])

    def _make_attribute_reader(self, fields: Sequence[str]) -> Callable[[Any], Captured]:
        names = self.names
        self._report_unknown(fields)
        if len(names) > 1 and all(name in fields for name in names):
            return attrgetter(*names)
        return lambda features: tuple([getattr(features, name, None) for name in names])

    def _make_pydantic_reader(self, fields: Sequence[str]) -> Callable[[Any], Captured]:
        """Return a reader of pydantic models by their ``__dict__``, which takes half the time of `getattr`."""
        slow = self._make_attribute_reader(fields)
        if len(self.names) < 2 or not set(self.names) <= set(fields):  # noqa: PLR2004 - one name would yield no tuple
            return slow
        get = itemgetter(*self.names)

        def read(features: Any) -> Captured:
            try:
                return get(features.__dict__)  # type: ignore[no-any-return]
            except KeyError:  # a model made without validation, and without this field
                return slow(features)

        return read

    def _read_array_subclass(self, features: Any) -> Captured:
        """Read a subclass of `numpy.ndarray`, such as a masked array, by its own ``tolist``."""
        return self._read_array(features) if features.ndim != 1 else self._read_sequence(features.tolist())

    def _read_array(self, features: Any) -> Captured:
        width = len(self.names)
        if features.ndim == 1:
            if len(features) != width:
                return self._drop_width(len(features), 1)
            # Bytes are the cheapest copy, and need no conversion when they are binned.
            return features.tobytes() if features.dtype is FLOAT64 else tuple(features.tolist())
        if features.ndim != 2:  # noqa: PLR2004 - rows and columns
            return self._drop("shape", 1, f"features are an array of {features.ndim} dimensions: expected 1 or 2")
        if features.shape[1] != width:
            return self._drop_width(features.shape[1], features.shape[0])
        if features.shape[0] <= SMALL_BATCH:
            return [tuple(row) for row in features.tolist()]
        # In the copy each column is contiguous, which makes counting fast.
        return Batch(tuple(features.T.copy() if self._copies else features.T), features.shape[0])

    def _read_sequence(self, features: Any) -> Captured:
        """Read a list or tuple: the values of one row, or rows that are sequences or have names."""
        if features and type(features[0]) not in SCALARS:
            if all(map(_is_named, features)):
                return self._as_rows(
                    [self._read_by_name(row) if isinstance(row, Mapping) else self(row) for row in features]
                )
            if all(isinstance(row, (list, tuple)) or (isinstance(row, np.ndarray) and row.ndim) for row in features):
                wrong = next((len(row) for row in features if len(row) != len(self.names)), None)
                if wrong is not None:
                    return self._drop_width(wrong, len(features))
                return self._as_rows([tuple(row.tolist() if isinstance(row, np.ndarray) else row) for row in features])
        if len(features) != len(self.names):
            return self._drop_width(len(features), 1)
        return tuple(features)

    def _as_rows(self, rows: list[Any]) -> Captured:
        return rows if len(rows) <= SMALL_BATCH else Batch(tuple(zip(*rows, strict=True)), len(rows))

    def _read_series(self, features: Any) -> Captured:
        names, values = names_of(features), as_objects(read_column(features))
        return (
            self._read_sequence(values) if names is None else self._read_by_name(dict(zip(names, values, strict=True)))
        )

    def _read_frame(self, features: Any) -> Captured:
        try:
            batch = self._align_table(read_table(features))
        except UnreadableError as error:
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

    def _drop_unreadable(self, features: Any) -> Captured:
        return self._drop(
            "unreadable",
            1,
            f"features are a {type(features).__name__}: expected a dict, a row, a frame, a dataclass or a model; "
            "pass features= to extract them from the arguments",
        )

    # --- alignment ---------------------------------------------------------------------------------------------------

    def _align_table(self, table: Table) -> Batch | None:
        """Return the columns of a table in the order of the reference; None if their number is wrong."""
        if table.names is None:
            if len(table.columns) != len(self.names):
                self._drop_width(len(table.columns), table.rows)
                return None
            return Batch(table.columns, table.rows)
        self._report_unknown(table.names)
        columns = dict(zip(table.names, table.columns, strict=True))
        return Batch([columns.get(name) for name in self.names], table.rows)

    def _report_unknown(self, names: Any) -> None:
        unknown = [str(name) for name in names if name not in self._known]
        if unknown:
            self._report("unknown_feature", f"features {unknown[:10]} are not in the reference: not counted")

    def _drop_width(self, width: int, rows: int) -> Captured:
        return self._drop("shape", rows, f"{width} features in a row without names: expected {len(self.names)}")

    def _drop(self, reason: str, rows: int, message: str) -> Captured:
        """Report that *rows* rows cannot be read, and return None, the result of the reader."""
        self._dropped(reason, rows)
        self._report("capture", message)
        return None


def _values_of(names: tuple[str, ...]) -> Callable[[Any], Row]:
    """Return a function that returns a dict's values for *names* as a tuple, and raises KeyError if one is missing."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda features: (features[name],)


def _copied(column: Column) -> Column:
    return column.copy() if isinstance(column, (np.ndarray, CategoricalColumn)) else tuple(column)


def _is_named(row: object) -> bool:
    """Return whether a row names its values: a dict, namedtuple, dataclass, pydantic or attrs object, or series."""
    if isinstance(row, Mapping) or hasattr(row, "_fields") or _field_names(type(row)) is not None:
        return True
    return is_column(row) and not isinstance(row, (list, tuple, np.ndarray)) and names_of(row) is not None


def _field_names(kind: type) -> tuple[str, ...] | None:
    """Return the names of the fields of a dataclass, a pydantic model or an attrs class; None for other classes."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    fields = getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        return tuple(fields)
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else tuple(attribute.name for attribute in attributes)
