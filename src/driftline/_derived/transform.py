"""Captured columns to the columns that are counted: what is made of them is made here, many rows at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

import numpy as np

from driftline._binning.bins import (
    Feature,
    NumericBins,
)
from driftline._binning.layout import Layout
from driftline._capture.columns import FLOAT_BYTES, as_floats, read_matrix
from driftline._capture.vectors import as_matrix
from driftline._derived.spec import Derive, Derived, Projections, Row, VectorColumn
from driftline.typing import (
    Column,
    Counts,
    Floats,
)

__all__ = ["Caught", "Columns", "Deriver", "StagedLayout", "fingerprint_of", "project", "project_vectors"]

Columns: TypeAlias = "Sequence[Column | None]"
"""Columns of equal length; None for one that holds nothing but missing values."""

Caught: TypeAlias = Callable[[str, Exception], None]
"""Told the name of a function of the user's and what it raised."""


CHUNK_ROWS = 4_096
"""Rows projected at once: a large batch must not be held as floats as a whole."""


class Deriver:
    """
    Makes the columns that are counted of those that were captured.

    Args:
        derived: what is captured and what is made of it.
        functions: the user's, by the names that *derived* has.
        caught: told of a function that raises; its value is missing then.
    """

    def __init__(self, derived: Derived, functions: Derive, caught: Caught) -> None:
        self._derived = derived
        self._width = len(derived.columns)
        places = {name: place for place, name in enumerate(derived.columns)}
        self._plain = tuple(places[name] for name in derived.plain)
        self._functions = tuple((name, functions[name]) for name in derived.functions)
        self._vectors = tuple((places[vector.column], Vectors(vector)) for vector in derived.vectors)
        self._projected = () if derived.projections is None else tuple(places[c] for c in derived.projections.columns)
        self._projector = None if derived.projections is None else Projector(derived.projections)
        self._caught = caught

    def __call__(self, columns: Columns, rows: int) -> list[Column | None]:
        """
        The plain columns, the derived ones, and whatever followed the captured ones (the prediction).

        Args:
            columns: those captured, in their order.
            rows: how many rows they have.
        """
        given, rest = list(columns[: self._width]), columns[self._width :]
        made: list[Column | None] = list(self._computed(given, rows)) if self._functions else []
        for place, vectors in self._vectors:
            column = given[place]
            made.extend([None] * len(vectors.names) if column is None else vectors(column))
        if self._projector is not None:
            for place in self._projected:
                column = given[place]
                # Binned as floats too: they are read once, and lie side by side for both.
                given[place] = None if column is None else np.ascontiguousarray(as_floats(column))
            made.extend(self._projector([given[place] for place in self._projected], rows))
        return [*(given[place] for place in self._plain), *made, *rest]

    def _computed(self, given: Columns, rows: int) -> Iterable[list[object]]:
        names = self._derived.columns
        values = [repeat(None, rows) if column is None else _values(column) for column in given]
        results: list[list[object]] = [[] for _ in self._functions]
        for row in zip(*values, strict=True):
            # Read-only: one function must not change what the next one sees.
            view = MappingProxyType(dict(zip(names, row, strict=True)))
            for (name, function), result in zip(self._functions, results, strict=True):
                result.append(self._result(name, function, view))
        return results

    def _result(self, name: str, function: Callable[[Row], object], row: Row) -> object:
        try:
            return function(row)
        except Exception as error:  # noqa: BLE001 - the user's function: its value is missing
            self._caught(name, error)
            return None


def _values(column: Column) -> Iterable[object]:
    if isinstance(column, np.ndarray) and column.ndim == 1:
        values: list[object] = column.tolist()
        return values
    return column


class Projector:
    """Rows to what `driftline._derived.spec.Projections` says, one column per name."""

    def __init__(self, projections: Projections) -> None:
        self._scales = tuple(
            (np.array(knots), np.array(scores))
            for knots, scores in zip(projections.knots, projections.scores, strict=True)
        )
        self._directions = np.array(projections.directions).T
        self._leading = projections.leading

    def __call__(self, columns: Columns, rows: int) -> list[Column | None]:
        """The projections and the reconstruction error of p columns of floats, shape (rows,) each."""
        made = np.empty((self._directions.shape[1] + 1, rows))
        for start in range(0, rows, CHUNK_ROWS):
            part = slice(start, min(rows, start + CHUNK_ROWS))
            scaled = np.zeros((part.stop - start, len(self._scales)))
            for place, (column, (knots, scores)) in enumerate(zip(columns, self._scales, strict=True)):
                if column is not None:
                    scaled[:, place] = np.interp(as_floats(column[part]), knots, scores)
            np.nan_to_num(scaled, copy=False)
            made[:, part] = project(scaled, self._directions, self._leading)
        return list(made)


def project(scaled: Floats, directions: Floats, leading: int) -> Floats:
    """
    Rows on directions, and the root mean square of what the leading ones leave: shape (directions + 1, rows).

    Args:
        scaled: shape (rows, p).
        directions: shape (p, directions).
        leading: how many of them, from the first on, are orthonormal.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # numbers whose squares overflow are out of any range
        projected = scaled @ directions
        left = np.square(scaled).sum(axis=1) - np.square(projected[:, :leading]).sum(axis=1)
        return np.vstack([projected.T, np.sqrt(np.maximum(left, 0.0) / scaled.shape[1])])


class Vectors:
    """A column of vectors to the columns that `driftline._derived.spec.VectorColumn` names."""

    def __init__(self, vector: VectorColumn) -> None:
        self.names = vector.names
        self._centre = np.array(vector.centre)
        self._directions = np.array(vector.directions).T
        self._leading = vector.leading

    def __call__(self, column: Column) -> list[Column | None]:
        """The norm, the projections and the reconstruction error; nan for what is no vector of this length."""
        parts = [
            project_vectors(
                as_matrix(column[start : start + CHUNK_ROWS], len(self._centre)),
                self._centre,
                self._directions,
                self._leading,
            )
            for start in range(0, len(column), CHUNK_ROWS)
        ]
        return list(np.hstack(parts)) if parts else [np.empty(0)] * len(self.names)


def project_vectors(matrix: Floats, centre: Floats, directions: Floats, leading: int) -> Floats:
    """Norm, projections and reconstruction error of vectors, shape (directions + 2, rows)."""
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(matrix, axis=1)
        return np.vstack([norms[None], project(matrix - centre, directions, leading)])


class StagedLayout(Layout):
    """
    A layout over columns that go through further hands before they are binned.

    Args:
        features: the features, those that are made of others included, in the order in which they are counted.
        stages: each takes columns and their number of rows and gives columns.
        derived: what is derived of the captured columns.
    """

    __slots__ = ("_numeric", "_stages")

    defers: ClassVar[bool] = True

    def __init__(
        self,
        features: Sequence[Feature],
        stages: Sequence[Callable[[Columns, int], Columns]],
        derived: Derived | None,
    ) -> None:
        super().__init__(features)
        self._stages = tuple(stages)
        self.fingerprint = fingerprint_of(self, derived)
        if derived is not None:
            self.breadth = len(derived.columns) + sum(len(vector.centre) for vector in derived.vectors)
        # Whether rows can be read as one matrix of numbers is told by what is captured.
        as_it_is = derived is None or not (derived.inputs or derived.functions or derived.vectors)
        self._numeric = as_it_is and all(isinstance(one.bins, NumericBins) for one in features)

    def compares(self, width: int) -> bool:
        """Whether rows are read as one matrix of numbers."""
        del width
        return self._numeric

    def staged(self, columns: Columns, rows: int) -> Columns:
        """The columns that are counted, made of those captured: each row goes through the stages once."""
        for stage in self._stages:
            columns = stage(columns, rows)
        return columns

    def _count_alike(self, rows: Sequence[Any], outputs: Sequence[object] | None, *, packed: bool) -> Counts:
        width = len(rows[0]) // FLOAT_BYTES if packed else len(rows[0])
        matrix = read_matrix(rows, width) if packed or self.compares(width) else None
        columns: list[Column] = list(zip(*rows, strict=True)) if matrix is None else list(matrix.T)
        return self.count(self.staged(columns if outputs is None else [*columns, outputs], len(rows)), len(rows))


def fingerprint_of(layout: Layout, derived: Derived | None) -> str:
    """Which bins of which columns these are: the same bins over other directions count something else."""
    if derived is None:
        return layout.fingerprint
    return hashlib.sha256(f"{layout.fingerprint} {derived!r}".encode()).hexdigest()[:16]
