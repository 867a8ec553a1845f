"""`FeatureReader`: reads the features of a call as a row or as a batch of columns. It is a part of the hot path."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain, starmap
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np

from driftline._capture.captured import Batch, Captured, Unread
from driftline._capture.columns import (
    FLOAT64,
    CategoricalColumn,
    NullableColumn,
    Row,
    as_objects,
    holds_numbers,
    without_mask,
)
from driftline._capture.libraries import is_column, read_column
from driftline._capture.names import MAX_UNKNOWN, UnknownNames, field_names, is_named, names_of
from driftline._capture.outputs import SCALARS
from driftline._capture.ownership import Ownership
from driftline._capture.table_reader import TableReader
from driftline._capture.tables import count_rows, is_table
from driftline._runtime.guard import Report, returning_on_error
from driftline.typing import Column

__all__ = ["SMALL_BATCH", "FeatureReader"]

SMALL_BATCH = 32
"""Most rows of a batch that is captured as single rows, because this is cheaper than columns for small batches."""

MAX_CLASSES = 32
"""
Most classes of features whose reader is kept. ``DataFrame.itertuples`` and ``make_dataclass`` may make a class per
request, and a reader that is kept would keep its class in memory.
"""


class FeatureReader:
    """
    Reads the features of a call as rows in the order of the reference.

    The first object of a class decides how objects of that class are read; *readers* keeps the function. It keeps few
    classes, so that memory does not grow with the number of classes.

    Args:
        names: names of the columns, in the order of the reference.
        report: called with ("unknown_feature" or "capture", message) for features that are unknown or cannot be read.
        unknown: reports unknown names. By default each is reported once by this reader.
        vectors: names of the columns whose values are vectors.
        inputs: names of the other columns that are no features. Only user functions read them.
        unread: names of the columns that not even user functions read.
        copies: whether a batch is copied. A model may change its input in place before the batch is counted. A batch
            that is counted immediately needs no copy.
        late: whether a dict is copied as a whole, and put in order by `align` when it is counted. The copy takes at
            most half as long as reading the values in order. A dict with more items than features is not copied.
        packs: whether `align` may pack the values of such dicts as floats, because all features are numeric.
        ownership: makes the values independent of the caller. By default, `Ownership` of *names*.

    Attributes:
        inline: `dict` if the recorder may copy a dict itself instead of calling the reader, else None. The dict must
            have as many items as there are features, and a single value for the first feature. None until the reader
            is trusted to get plain values, and again once it got others.
        late: whether rows may be dicts, as above.
        names: names of the columns, as above.
        readers: the function that reads a class of features, for the latest `MAX_CLASSES` classes.
    """

    __slots__ = (
        "_align",
        "_copies",
        "_inspects",
        "_known",
        "_ownership",
        "_pack",
        "_read_dict",
        "_report",
        "_tables",
        "_unknown",
        "_values_of",
        "inline",
        "late",
        "names",
        "readers",
    )

    def __init__(
        self,
        names: tuple[str, ...],
        report: Report,
        *,
        unknown: UnknownNames | None = None,
        vectors: Collection[str] = (),
        inputs: Collection[str] = (),
        unread: Collection[str] = (),
        copies: bool = True,
        late: bool = True,
        packs: bool = False,
        ownership: Ownership | None = None,
    ) -> None:
        self.names, self.late, self._copies, self._report = names, late, copies, report
        self._ownership = Ownership(names, vectors=vectors) if ownership is None else ownership
        self._known: set[object] = set(names)
        self._unknown = UnknownNames(report) if unknown is None else unknown
        self._tables = TableReader(
            names, report, self._unknown, vectors=vectors, inputs=inputs, unread=unread, mixes=not copies
        )
        self._values_of = _values_of(names)
        self._pack = struct.Struct(f"{len(names)}d").pack if packs else None
        self._align = self._make_dict_reader()
        self._read_dict = self._make_dict_copier() if late else self._align
        self.readers: dict[type, Callable[[Any], Captured]] = {}
        self._inspect_reads(inspects=True)

    def _inspect_reads(self, *, inspects: bool) -> None:
        """Reset all readers: with an inspection of the values, or without one."""
        self._inspects = inspects
        self.inline: type[dict[Any, Any]] | None = dict if self.late and not inspects else None
        self.readers[dict] = self._owning(self._read_dict) if inspects else self._read_dict
        for kind in [known for known in tuple(self.readers) if known is not dict]:
            self.readers.pop(kind, None)

    def _owning(self, read: Callable[[Any], Captured]) -> Callable[[Any], Captured]:
        """Return a function that returns what *read* returns, with values that the caller cannot change."""
        ownership, align = self._ownership, self._align

        def read_owned(features: Any) -> Captured:
            captured = ownership.own(read(features), align)
            if ownership.trusted and self._inspects:
                self._inspect_reads(inspects=False)
            return captured

        return read_owned

    def inspect(self, captured: Captured) -> None:
        """Inspect all reads from now on, if a captured row has large values, or values that the caller may change."""
        if not self._inspects and not self._ownership.is_plain(captured):
            self._ownership.distrust()
            self._inspect_reads(inspects=True)

    def __call__(self, features: Any) -> Captured:
        """Read the features of one call. If they cannot be read, report it and return an `Unread`."""
        kind = type(features)
        reader = self.readers.get(kind)
        if reader is None:
            read = self._make_reader(features)
            reader = self._owning(read) if self._inspects else read
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
        aligned = self._align_dicts(rows) if aligned is None else aligned
        if aligned is not None:
            return aligned
        return [self._align(row) if type(row) is dict else row for row in rows]  # type: ignore[misc]

    @returning_on_error(None)
    def _align_numbers(self, rows: Sequence[Any]) -> Sequence[Row] | None:
        """Return dicts as the bytes of their values as float64; None if a value is missing or not a number."""
        if not holds_numbers(lambda: chain.from_iterable(map(dict.values, rows))):
            return None
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
        fields = field_names(type(features))
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

        if self._copies:
            return read

        def read_values(features: Any) -> Captured:
            row = read(features)
            # A caller of `observe` has many rows more often than one, and the first value may be that of all rows.
            plain = row.__class__ is not tuple or SCALARS.issuperset(map(type, row))
            return row if plain else slow(features)

        return read_values

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
        return self._read_frame(features) if self._tables.holds_columns(features) else self._read_by_name(features)

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
        """Read a subclass of `numpy.ndarray`, such as a masked array, whose masked values are missing."""
        plain = without_mask(features)
        if isinstance(plain, np.ndarray) and not np.ma.is_masked(features):
            return self._read_array(plain)
        if features.ndim == 2 and features.shape[1] == len(self.names):  # noqa: PLR2004 - rows and columns
            return self._as_batch(Batch([without_mask(column) for column in features.T], len(features)))
        return self._read_sequence(as_objects(plain)) if features.ndim == 1 else self._read_array(plain)

    def _read_array(self, features: Any) -> Captured:
        width = len(self.names)
        if features.dtype.names is not None:
            return self._read_frame(features)
        if features.ndim == 1:
            if len(features) != width:
                return self._drop_width(len(features), None)
            # Bytes are the cheapest copy, and need no conversion when they are binned.
            return features.tobytes() if features.dtype is FLOAT64 else tuple(as_objects(features))
        if features.ndim != 2:  # noqa: PLR2004 - rows and columns
            return self._drop(
                "shape", None, f"features are an array of shape {features.shape}: expected 1 or 2 dimensions"
            )
        if not len(features):
            return []
        if features.shape[1] != width:
            return self._drop_width(features.shape[1], features.shape[0])
        if features.dtype.kind in "mM":
            return self._as_rows([tuple(as_objects(row)) for row in features])
        if features.shape[0] <= SMALL_BATCH:
            return [*map(tuple, features.tolist())]
        # In the copy each column is contiguous, which makes counting fast.
        return Batch(tuple(features.T.copy() if self._copies else features.T), features.shape[0])

    def _read_sequence(self, features: Any) -> Captured:
        """Read a list or tuple: the values of one row, or rows that are sequences or have names."""
        if features and type(features[0]) not in SCALARS:
            if all(map(is_named, features)):
                return self._as_rows(
                    [self._read_by_name(row) if isinstance(row, Mapping) else self(row) for row in features]
                )
            if all(is_column(row) or (isinstance(row, np.ndarray) and row.ndim) for row in features):
                wrong = next((len(row) for row in features if len(row) != len(self.names)), None)
                if wrong is not None:
                    return self._drop_width(wrong, len(features))
                return self._as_rows([_values_in(row) for row in features])
        if not features:
            return []
        if len(features) != len(self.names):
            return self._drop_width(len(features), None)
        return tuple(features)

    def _as_rows(self, rows: list[Any]) -> Captured:
        return rows if len(rows) <= SMALL_BATCH else Batch(tuple(zip(*rows, strict=True)), len(rows))

    def _read_series(self, features: Any) -> Captured:
        names, values = names_of(features), as_objects(read_column(features))
        return (
            self._read_sequence(values) if names is None else self._read_by_name(dict(zip(names, values, strict=True)))
        )

    def _read_frame(self, features: Any) -> Captured:
        batch = self._tables(features)
        return self._as_batch(batch) if isinstance(batch, Batch) else batch

    def _as_batch(self, batch: Batch) -> Captured:
        """Return a batch as rows if it is small; else copy it, if this reader copies."""
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
            count_rows(features),
            f"features are a {type(features).__name__}: expected a dict, a row, a frame, a dataclass or a model; "
            "pass features= to extract them from the arguments",
        )

    # --- problems ----------------------------------------------------------------------------------------------------

    def _report_unknown(self, names: Any) -> None:
        known = self._known
        if not known.issuperset(names):
            unknown = [name for name in names if name not in known]
            self._unknown.report(map(str, unknown))
            if len(known) < len(self.names) + MAX_UNKNOWN:
                known.update(unknown)  # later calls with the same names then take one lookup for all

    def _drop_width(self, width: int, rows: int | None) -> Captured:
        return self._drop("shape", rows, f"{width} features in a row without names: expected {len(self.names)}")

    def _drop(self, reason: str, rows: int | None, message: str) -> Captured:
        """Report that features cannot be read, and return the result of the reader. *rows* is None if unknown."""
        self._report("capture", message)
        return Unread(reason, rows)


def _values_of(names: tuple[str, ...]) -> Callable[[Any], Row]:
    """Return a function that returns a dict's values for *names* as a tuple, and raises KeyError if one is missing."""
    if len(names) > 1:
        return itemgetter(*names)
    name = names[0]
    return lambda features: (features[name],)


def _values_in(row: Any) -> tuple[object, ...]:
    """Return the values of a row without names: a list, a tuple, an array, a series or a tensor."""
    return tuple(row if isinstance(row, (list, tuple)) else as_objects(read_column(row)))


def _copied(column: Column) -> Column:
    return column.copy() if isinstance(column, (np.ndarray, CategoricalColumn, NullableColumn)) else tuple(column)
