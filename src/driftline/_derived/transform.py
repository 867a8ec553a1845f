"""Computes derived features from captured columns, many rows at a time; and `StagedLayout`, which counts them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

import numpy as np

from driftline._binning.bins import Feature, NumericBins
from driftline._binning.layout import Layout, hash_bins
from driftline._binning.rejects import Rejects
from driftline._capture.columns import FLOAT_BYTES, as_floats, read_matrix
from driftline._capture.vectors import as_matrix
from driftline._derived.spec import Derive, Derived, NamedRow, Projections, VectorColumn
from driftline._runtime.guard import is_contained
from driftline.typing import Column, Counts, Floats

__all__ = ["Columns", "Deriver", "OnError", "StagedLayout", "fingerprint_of", "project", "project_vectors"]

Columns: TypeAlias = "Sequence[Column | None]"
"""Columns of equal length; None for a column whose values are all missing."""

OnError: TypeAlias = Callable[[str, BaseException], None]
"""A callback that gets the name of a user function and the exception that the function raised."""


CHUNK_ROWS = 4_096
"""Most rows that are projected in one step, to bound the memory that a large batch takes as floats."""


class Deriver:
    """
    Computes the columns of all features, derived or not, from the captured columns.

    Args:
        derived: the description of the captured columns and the derived features.
        functions: the user functions, by the names in *derived*.
        on_error: called when a user function raises. The value of the derived feature is then missing.
    """

    def __init__(self, derived: Derived, functions: Derive, on_error: OnError) -> None:
        self._derived = derived
        self._width = len(derived.columns)
        indices = {name: index for index, name in enumerate(derived.columns)}
        self._plain = tuple(indices[name] for name in derived.plain)
        self._functions = tuple((name, functions[name]) for name in derived.functions)
        self._vectors = tuple((indices[vector.column], VectorProjector(vector)) for vector in derived.vectors)
        self._projected = () if derived.projections is None else tuple(indices[c] for c in derived.projections.columns)
        self._projector = None if derived.projections is None else Projector(derived.projections)
        self._on_error = on_error

    def __call__(self, columns: Columns, rows: int) -> list[Column | None]:
        """
        Return the captured columns that are features, then the derived columns, then any further columns.

        Args:
            columns: the captured columns in the order of the reference, and perhaps further ones: the predictions.
            rows: number of rows.
        """
        captured, rest = list(columns[: self._width]), columns[self._width :]
        derived: list[Column | None] = list(self._call_functions(captured, rows)) if self._functions else []
        for index, project_column in self._vectors:
            column = captured[index]
            derived.extend([None] * len(project_column.names) if column is None else project_column(column))
        if self._projector is not None:
            floats = [None if (column := captured[i]) is None else as_floats(column) for i in self._projected]
            derived.extend(self._projector(floats, rows))
            for index, numbers in zip(self._projected, floats, strict=True):
                # Floats are read once, because they are both projected and binned. A column with values that are no
                # numbers stays as it is, so that wrong types are not mistaken for missing values.
                if numbers is not None and not np.isnan(numbers).any():
                    captured[index] = np.ascontiguousarray(numbers)
        return [*(captured[index] for index in self._plain), *derived, *rest]

    def _call_functions(self, captured: Columns, rows: int) -> Iterable[list[object]]:
        """Call every user function with every row; return a column of results per function."""
        names = self._derived.columns
        values = [repeat(None, rows) if column is None else _values(column) for column in captured]
        results: list[list[object]] = [[] for _ in self._functions]
        for row in zip(*values, strict=True):
            # The row is read-only, so that a function cannot change it for the next function.
            view = MappingProxyType(dict(zip(names, row, strict=True)))
            for (name, function), result in zip(self._functions, results, strict=True):
                result.append(self._call(name, function, view))
        return results

    def _call(self, name: str, function: Callable[[NamedRow], object], row: NamedRow) -> object:
        try:
            return function(row)
        except BaseException as error:
            if not is_contained(error):
                raise
            # a user function: its value is missing
            self._on_error(name, error)
            return None


def _values(column: Column) -> Iterable[object]:
    if isinstance(column, np.ndarray) and column.ndim == 1:
        values: list[object] = column.tolist()
        return values
    return column


class Projector:
    """Computes the derived features that `Projections` describes, one column per name."""

    def __init__(self, projections: Projections) -> None:
        self._scales = tuple(
            (np.array(knots), np.array(scores))
            for knots, scores in zip(projections.knots, projections.scores, strict=True)
        )
        self._directions = np.array(projections.directions).T
        self._leading = projections.leading

    def __call__(self, columns: Columns, rows: int) -> list[Column | None]:
        """
        Return a column per direction, and last the reconstruction error; each of shape (rows,).

        Args:
            columns: the p projected features, in the order of `Projections.columns`. If a column is None, all its
                values are missing.
            rows: number of rows.
        """
        projected = np.empty((self._directions.shape[1] + 1, rows))
        for start in range(0, rows, CHUNK_ROWS):
            part = slice(start, min(rows, start + CHUNK_ROWS))
            scaled = np.zeros((part.stop - start, len(self._scales)))
            for index, (column, (knots, scores)) in enumerate(zip(columns, self._scales, strict=True)):
                if column is not None:
                    scaled[:, index] = np.interp(as_floats(column[part]), knots, scores)
            np.nan_to_num(scaled, copy=False)
            projected[:, part] = project(scaled, self._directions, self._leading)
        return list(projected)


def project(scaled: Floats, directions: Floats, leading: int) -> Floats:
    """
    Return the projections of rows on directions, then their reconstruction error: shape (directions + 1, rows).

    The reconstruction error is the root mean square of the part of a row that the leading directions do not span.

    Args:
        scaled: the rows on the scale of the directions, shape (rows, p).
        directions: the directions, shape (p, directions).
        leading: number of leading directions, which are orthonormal.
    """
    with np.errstate(all="ignore"):  # the squares of huge numbers overflow
        projected = scaled @ directions
        rest = np.square(scaled).sum(axis=1) - np.square(projected[:, :leading]).sum(axis=1)
        return np.vstack([projected.T, np.sqrt(np.maximum(rest, 0.0) / scaled.shape[1])])


class VectorProjector:
    """Computes the derived features that `VectorColumn` describes, one column per name in *names*."""

    def __init__(self, vector: VectorColumn) -> None:
        self.names = vector.names
        self._centre = np.array(vector.centre)
        self._directions = np.array(vector.directions).T
        self._leading = vector.leading

    def __call__(self, column: Column) -> list[Column | None]:
        """
        Return the columns of the norm, of each projection and of the reconstruction error.

        A value that is not a vector of the right length becomes nan in all of them.
        """
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
    """
    Return norm, projections and reconstruction error of vectors, shape (directions + 2, rows).

    Args:
        matrix: the vectors, shape (rows, length).
        centre: vector that is subtracted before the projection, shape (length,).
        directions: the directions, shape (length, directions).
        leading: number of leading directions, which are orthonormal.
    """
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(matrix, axis=1)
        return np.vstack([norms[None], project(matrix - centre, directions, leading)])


class StagedLayout(Layout):
    """
    A `Layout` that transforms the captured columns before it bins them, for instance to derive features.

    Args:
        features: the features, derived ones included, in the order in which they are counted.
        stages: functions that are applied one after the other: each gets (columns, number of rows), returns columns.
        derived: the description of the derived features; None if there are none.
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
        self.fingerprint = fingerprint_of(features, derived)
        if derived is not None:
            self.breadth = len(derived.columns) + sum(len(vector.centre) for vector in derived.vectors)
        # Rows can be read as one matrix if all captured columns are numeric features.
        only_projected = derived is None or not (derived.inputs or derived.functions or derived.vectors)
        self._numeric = only_projected and all(isinstance(feature.bins, NumericBins) for feature in features)

    def can_pack(self, width: int) -> bool:
        """Return whether all columns are numeric features, so that a row may be stored as bytes of float64."""
        del width
        return self._numeric

    def derive(self, columns: Columns, rows: int) -> Columns:
        """Apply the stages to captured columns of *rows* rows, and return the columns that are counted."""
        for stage in self._stages:
            columns = stage(columns, rows)
        return columns

    def _count_rows_of_one_kind(
        self, rows: Sequence[Any], outputs: Sequence[object] | None, rejects: Rejects | None, *, packed: bool
    ) -> Counts:
        width = len(rows[0]) // FLOAT_BYTES if packed else len(rows[0])
        matrix = read_matrix(rows, width) if packed or self.can_pack(width) else None
        columns: list[Column] = list(zip(*rows, strict=True)) if matrix is None else list(matrix.T)
        columns = columns if outputs is None else [*columns, outputs]
        return self.count(self.derive(columns, len(rows)), len(rows), rejects)


def fingerprint_of(features: Sequence[Feature], derived: Derived | None) -> str:
    """Return a hash of bins and of the description of derived features; if that is None, of the bins alone."""
    fingerprint = hash_bins(features)
    return fingerprint if derived is None else hashlib.sha256(f"{fingerprint} {derived!r}".encode()).hexdigest()[:16]
