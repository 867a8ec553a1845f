"""A call's features where some are vectors: told apart from columns, and copied."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from driftline._capture.reader import Batch, Captured, FeatureReader, Report
from driftline._capture.tables import is_column
from driftline._capture.vectors import copied_vector, is_vector
from driftline.typing import Column

__all__ = ["VectorReader", "capture_of"]


def capture_of(
    names: tuple[str, ...],
    vectors: Collection[str],
    report: Report,
    dropped: Callable[[str, int], None],
    *,
    late: bool = True,
    packs: bool = False,
) -> FeatureReader:
    """The capture of rows of these columns, some of them of vectors; *late* and *packs* as in `FeatureReader`."""
    if vectors:
        return VectorReader(names, vectors, report, dropped)
    return FeatureReader(names, report, dropped, late=late, packs=packs)


class VectorReader(FeatureReader):
    """
    Reads rows of which some values are vectors.

    Args:
        names: the columns, in the order of the reference.
        vectors: those of them whose values are vectors.
        report: told of unknown, unreadable or ill-shaped input.
        dropped: told how many rows could not be read, and why.
    """

    __slots__ = ("_alone", "_places", "_vectors")

    def __init__(
        self,
        names: tuple[str, ...],
        vectors: Collection[str],
        report: Report,
        dropped: Callable[[str, int], None],
    ) -> None:
        super().__init__(names, report, dropped, late=False)
        self._vectors = frozenset(vectors)
        self._places = tuple(place for place, name in enumerate(names) if name in self._vectors)
        self._alone = len(names) == 1
        self.inline = None
        self.readers = {dict: self._sharing_none(self._align)}

    def _handler(self, features: Any) -> Callable[[Any], Captured]:
        return self._sharing_none(super()._handler(features))

    def _sharing_none(self, read: Callable[[Any], Captured]) -> Callable[[Any], Captured]:
        """Reads as *read* does, but shares no vector with the caller."""

        def copying(features: Any) -> Captured:
            if self._alone and not isinstance(features, Mapping):
                if is_vector(features):
                    return (copied_vector(features),)
                if isinstance(features, np.ndarray) and features.ndim == 2:  # noqa: PLR2004 - rows of vectors
                    return Batch([features.copy()], len(features))
            captured = read(features)
            if isinstance(captured, tuple):
                return self._copied(captured)
            if isinstance(captured, list):
                return [self._copied(row) for row in captured]
            if isinstance(captured, Batch):
                columns = list(captured.columns)
                for place in self._places:
                    columns[place] = _copied_column(columns[place])
                return Batch(columns, captured.rows)
            return captured

        return copying

    def _copied(self, row: Any) -> tuple[object, ...]:
        values = list(row)
        for place in self._places:
            values[place] = copied_vector(values[place])
        return tuple(values)

    def _mapping(self, features: Any) -> Captured:
        if features and all(self._is_column(name, value) for name, value in features.items()):
            return self._frame(features)
        return self._by_name(features)

    def _is_column(self, name: object, value: Any) -> bool:
        if name not in self._vectors:
            return is_column(value)
        if isinstance(value, np.ndarray) and value.ndim == 2:  # noqa: PLR2004 - rows of vectors
            return True
        # A column of vectors holds vectors, a vector numbers; a column may be None from its start on.
        return is_column(value) and any(one is None or is_vector(one) for one in _first(value))


def _first(column: Any) -> Any:
    """The first values of a column, whatever library it is of."""
    return [column.iloc[place] if hasattr(column, "iloc") else column[place] for place in range(min(len(column), 1))]


def _copied_column(column: Column | None) -> Column | None:
    if column is None or (isinstance(column, np.ndarray) and column.ndim == 2):  # noqa: PLR2004 - a copy already
        return column
    return [copied_vector(value) for value in column]
