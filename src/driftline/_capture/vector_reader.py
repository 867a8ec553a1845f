"""`VectorReader`: reads the features of a call if some values are vectors, such as embeddings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from driftline._capture.reader import Batch, Captured, FeatureReader
from driftline._capture.tables import is_column
from driftline._capture.vectors import copied_vector, is_vector
from driftline._runtime.guard import Report
from driftline.typing import Column

__all__ = ["VectorReader", "make_reader"]


def make_reader(
    names: tuple[str, ...],
    vectors: Collection[str],
    report: Report,
    dropped: Callable[[str, int], None],
    *,
    late: bool = True,
    packs: bool = False,
) -> FeatureReader:
    """
    Return a `VectorReader` if some columns hold vectors, else a `FeatureReader`.

    Args:
        names: names of the columns, in the order of the reference.
        vectors: names of the columns whose values are vectors.
        report: see `FeatureReader`.
        dropped: see `FeatureReader`.
        late: see `FeatureReader`; without effect if there are vectors.
        packs: see `FeatureReader`; without effect if there are vectors.
    """
    if vectors:
        return VectorReader(names, vectors, report, dropped)
    return FeatureReader(names, report, dropped, late=late, packs=packs)


class VectorReader(FeatureReader):
    """
    Reads rows in which some values are vectors, and copies the vectors, which the model may change.

    Args:
        names: names of the columns, in the order of the reference.
        vectors: names of the columns whose values are vectors.
        report: see `FeatureReader`.
        dropped: see `FeatureReader`.
    """

    __slots__ = ("_indices", "_only", "_vectors")

    def __init__(
        self,
        names: tuple[str, ...],
        vectors: Collection[str],
        report: Report,
        dropped: Callable[[str, int], None],
    ) -> None:
        super().__init__(names, report, dropped, late=False)
        self._vectors = frozenset(vectors)
        self._indices = tuple(index for index, name in enumerate(names) if name in self._vectors)
        self._only = len(names) == 1
        self.inline = None
        self.readers = {dict: self._copying(self._align)}

    def _make_reader(self, features: Any) -> Callable[[Any], Captured]:
        return self._copying(super()._make_reader(features))

    def _copying(self, read: Callable[[Any], Captured]) -> Callable[[Any], Captured]:
        """Return a function that returns what *read* returns, with copies of the vectors."""

        def read_copy(features: Any) -> Captured:
            if self._only and not isinstance(features, Mapping):
                if is_vector(features):
                    return (copied_vector(features),)
                if isinstance(features, np.ndarray) and features.ndim == 2:  # noqa: PLR2004 - rows of vectors
                    return Batch([features.copy()], len(features))
            captured = read(features)
            if isinstance(captured, tuple):
                return self._copy_vectors(captured)
            if isinstance(captured, list):
                return [self._copy_vectors(row) for row in captured]
            if isinstance(captured, Batch):
                columns = list(captured.columns)
                for index in self._indices:
                    columns[index] = _copied_column(columns[index])
                return Batch(columns, captured.rows)
            return captured

        return read_copy

    def _copy_vectors(self, row: Any) -> tuple[object, ...]:
        values = list(row)
        for index in self._indices:
            values[index] = copied_vector(values[index])
        return tuple(values)

    def _read_mapping(self, features: Any) -> Captured:
        if features and all(self._is_column(name, value) for name, value in features.items()):
            return self._read_frame(features)
        return self._read_by_name(features)

    def _is_column(self, name: object, value: Any) -> bool:
        if name not in self._vectors:
            return is_column(value)
        if isinstance(value, np.ndarray) and value.ndim == 2:  # noqa: PLR2004 - rows of vectors
            return True
        # A column of vectors holds vectors, or None; a vector holds numbers.
        return is_column(value) and any(item is None or is_vector(item) for item in _first(value))


def _first(column: Any) -> Any:
    """Return a list of a column's first value; an empty list if the column is empty."""
    if not len(column):
        return []
    return [column.iloc[0] if hasattr(column, "iloc") else column[0]]


def _copied_column(column: Column | None) -> Column | None:
    if column is None or (isinstance(column, np.ndarray) and column.ndim == 2):  # noqa: PLR2004 - a copy already
        return column
    return [copied_vector(value) for value in column]
