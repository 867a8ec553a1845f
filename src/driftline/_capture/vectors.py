"""Reads columns whose values are vectors of one length, such as embeddings, as matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._runtime.guard import returning_on_error
from driftline.typing import Column

__all__ = ["as_matrix", "as_vector", "copied_vector", "is_vector", "vector_length"]

MAX_INSPECTED = 1_000
"""Most values of a column that are inspected to decide whether it holds vectors."""


def is_vector(value: object) -> bool:
    """Return whether a value is a vector: an array, list or tuple of numbers, or a tensor that numpy can read."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "fiub"
    if isinstance(value, (list, tuple)):
        return bool(value) and isinstance(value[0], (int, float, np.number)) and not isinstance(value[0], bool)
    return hasattr(value, "__array__") and len(getattr(value, "shape", ())) == 1


def vector_length(column: Column) -> int | None:
    """
    Return the most frequent length of the vectors in a column; None if the column does not hold vectors.

    It holds vectors if each of its first `MAX_INSPECTED` values is a vector or None, and at least one is a vector. A
    numeric array holds vectors if it has two dimensions.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind != "O":
        return int(column.shape[1]) if column.ndim == 2 and column.dtype.kind in "fiub" else None  # noqa: PLR2004
    present = [value for value in column[:MAX_INSPECTED] if value is not None]
    if not present or not all(map(is_vector, present)):
        return None
    lengths: list[int] = [len(value) for value in present]  # type: ignore[arg-type]
    return max(set(lengths), key=lengths.count)


def as_matrix(column: Column, length: int) -> NDArray[np.float64]:
    """
    Return a column of vectors as a matrix of float64, shape (rows, length).

    A missing value becomes a row of nan. So does a value that is not a vector of this length, or has an entry that is
    not finite.
    """
    matrix = _as_array(column)
    if matrix is None or matrix.ndim != 2 or matrix.shape[1] != length:  # noqa: PLR2004 - rows and entries
        matrix = np.full((len(column), length), np.nan)
        for index, value in enumerate(column):
            vector = as_vector(value)
            if vector is not None and len(vector) == length:
                matrix[index] = vector
    matrix[~np.isfinite(matrix).all(axis=1)] = np.nan
    return matrix


def as_vector(value: object) -> NDArray[np.float64] | None:
    """Return a one-dimensional array or sequence of numbers as float64, shape (length,); None for any other value."""
    if value is None or isinstance(value, (str, bytes)):
        return None
    vector = _as_array(value)
    return vector if vector is not None and vector.ndim == 1 else None


@returning_on_error(None)
def _as_array(value: object) -> NDArray[np.float64] | None:
    """Return a value as an array of float64; None if numpy cannot convert it."""
    return np.array(value, dtype=np.float64)


def copied_vector(value: Any) -> object:
    """
    Return a copy of a vector, so that the caller may change the original.

    A list becomes a tuple, a tensor an array. None, tuples and strings are returned as they are; other values that are
    not vectors become None.
    """
    if isinstance(value, np.ndarray):
        return value.copy()
    if value is None or isinstance(value, Sequence):
        return tuple(value) if isinstance(value, list) else value
    return as_vector(value)
