"""`VectorReader`: reads the features of a call if some values are vectors, such as embeddings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from driftline._capture.captured import Batch, Captured
from driftline._capture.libraries import count_dimensions
from driftline._capture.names import UnknownNames
from driftline._capture.ownership import Ownership
from driftline._capture.reader import FeatureReader
from driftline._capture.vectors import copied_vector, is_vector
from driftline._runtime.guard import Report
from driftline.typing import Column

__all__ = ["VectorReader", "make_reader"]


def make_reader(
    names: tuple[str, ...],
    vectors: Collection[str],
    report: Report,
    *,
    unknown: UnknownNames | None = None,
    inputs: Collection[str] = (),
    unread: Collection[str] = (),
    late: bool = True,
    packs: bool = False,
    ownership: Ownership | None = None,
) -> FeatureReader:
    """
    Return a `VectorReader` if some columns hold vectors, else a `FeatureReader`.

    Args:
        names: names of the columns, in the order of the reference.
        vectors: names of the columns whose values are vectors.
        report: see `FeatureReader`.
        unknown: see `FeatureReader`.
        inputs: see `FeatureReader`.
        unread: see `FeatureReader`.
        late: see `FeatureReader`; without effect if there are vectors.
        packs: see `FeatureReader`; without effect if there are vectors.
        ownership: see `FeatureReader`.
    """
    if vectors:
        return VectorReader(names, vectors, report, unknown, inputs, unread, ownership)
    return FeatureReader(
        names, report, unknown=unknown, inputs=inputs, unread=unread, late=late, packs=packs, ownership=ownership
    )


class VectorReader(FeatureReader):
    """
    Reads rows in which some values are vectors, and copies the vectors, which the model may change.

    Args:
        names: names of the columns, in the order of the reference.
        vectors: names of the columns whose values are vectors.
        report: see `FeatureReader`.
        unknown: see `FeatureReader`.
        inputs: see `FeatureReader`.
        unread: see `FeatureReader`.
        ownership: see `FeatureReader`.
    """

    __slots__ = ("_indices", "_only", "_vectors")

    def __init__(
        self,
        names: tuple[str, ...],
        vectors: Collection[str],
        report: Report,
        unknown: UnknownNames | None,
        inputs: Collection[str],
        unread: Collection[str],
        ownership: Ownership | None,
    ) -> None:
        super().__init__(
            names,
            report,
            unknown=unknown,
            vectors=vectors,
            inputs=inputs,
            unread=unread,
            late=False,
            ownership=ownership,
        )
        self._vectors = frozenset(vectors)
        self._indices = tuple(index for index, name in enumerate(names) if name in self._vectors)
        self._only = len(names) == 1
        self._read_dict = self._copying(self._align)
        self._inspect_reads(inspects=True)

    def _make_reader(self, features: Any) -> Callable[[Any], Captured]:
        return self._copying(super()._make_reader(features))

    def _copying(self, read: Callable[[Any], Captured]) -> Callable[[Any], Captured]:
        """Return a function that returns what *read* returns, with copies of the vectors."""

        def read_copy(features: Any) -> Captured:
            if self._only and not isinstance(features, Mapping):
                if is_vector(features):
                    return (copied_vector(features),)
                if count_dimensions(features) == 2:  # noqa: PLR2004 - rows of vectors
                    return Batch([np.array(features)], len(features))
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


def _copied_column(column: Column | None) -> Column | None:
    if column is None or (isinstance(column, np.ndarray) and column.ndim == 2):  # noqa: PLR2004 - a copy already
        return column
    return [copied_vector(value) for value in column]
