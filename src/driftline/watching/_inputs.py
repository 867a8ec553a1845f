"""The features of a call of a watched object, in a form that a monitor reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from driftline._capture.libraries import count_dimensions, is_column, origin
from driftline._capture.names import is_named, names_of
from driftline._capture.tables import is_table
from driftline._runtime.guard import returning_on_error
from driftline.reference import Reference

__all__ = ["first_argument", "read_inputs"]

MAX_DENSE = 4_000_000
"""Most values of a sparse matrix that are read as a dense one of 32 MB. A larger matrix counts as unreadable."""

MATRIX = 2
"""Dimensions of a table of rows and columns."""


def first_argument(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return the first argument of a call without ``self``; None if there is none."""
    return arguments[0] if arguments else next(iter(keywords.values()), None)


def read_inputs(data: Any, reference: Reference | None, names: Callable[[], tuple[str, ...] | None]) -> Any:
    """
    Return the features in a form that a monitor reads. They are not changed, and an iterator is not consumed.

    A matrix of xgboost, a pool of catboost and a sparse matrix of scipy become dense. The columns of an array have the
    names of the model's features if these are the features of the reference, so that the two may differ in order.

    Args:
        data: the first argument of a call.
        reference: the reference at work, or None while one is learned.
        names: returns the names of the model's features in their order, or None if they have none.
    """
    package = type(data).__module__.partition(".")[0]
    own: tuple[str, ...] | None = None
    if package == "xgboost" and hasattr(data, "get_data"):
        own, data = data.feature_names and tuple(data.feature_names), _dense_matrix(data)
    elif package == "catboost" and hasattr(data, "get_features"):
        own, data = tuple(data.get_feature_names()), data.get_features()
    elif package == "scipy" and hasattr(data, "toarray"):
        data = data.toarray() if data.ndim == MATRIX and data.shape[0] * data.shape[1] <= MAX_DENSE else data
    if _is_single_column(data):
        return _as_column(data)
    return _named(data, reference, own or names())


def _named(data: Any, reference: Reference | None, names: tuple[str, ...] | None) -> Any:
    """Return rows without names as a dict of columns if their order is not that of the reference."""
    if names is None or (reference is not None and not _differ(names, reference.columns)):
        return data
    columns = _unnamed_columns(data, len(names))
    return data if columns is None else dict(zip(names, columns, strict=True))


def _differ(names: tuple[str, ...], known: tuple[str, ...]) -> bool:
    """Return whether a model and a reference have features in common, but not in the same order."""
    return names != known and not set(names).isdisjoint(known)


def _unnamed_columns(data: Any, width: int) -> Any:
    """Return the columns of a matrix or a list of rows; None if it has names, no rows, or another width."""
    if isinstance(data, (list, tuple)):
        plain = data and all(is_column(row) and not is_named(row) and len(row) == width for row in data)
        return [*map(list, zip(*data, strict=True))] if plain else None
    if not is_table(data) or names_of(data) is not None:
        return None
    matrix = np.asarray(data)
    return matrix.T if matrix.ndim == MATRIX and matrix.shape[1] == width and len(matrix) else None


def _dense_matrix(data: Any) -> Any:
    """Return the values of a ``DMatrix`` as an array. Values that it does not store are missing, not 0."""
    rows, columns = data.num_row(), data.num_col()
    if rows * columns > MAX_DENSE:
        return data
    sparse = data.get_data()
    dense = np.full((rows, columns), np.nan)
    dense[np.repeat(np.arange(rows), np.diff(sparse.indptr)), sparse.indices] = sparse.data
    return dense


@returning_on_error(False)  # noqa: FBT003 - the default
def _is_single_column(data: Any) -> bool:
    """Return whether the rows are single values, such as texts, and no rows of several values."""
    if not is_column(data) or not len(data):
        return False
    if isinstance(data, (list, tuple)):
        row = data[0]
        return not (isinstance(row, Mapping) or count_dimensions(row) or is_column(row) or is_named(row))
    return count_dimensions(data) == 1 or bool(origin(data)[0])


def _as_column(data: Any) -> Any:
    """Return a column as a table of one column, which has the name of a series."""
    name = getattr(data, "name", None)
    if isinstance(name, str):
        return {name: data}
    column = np.empty((len(data), 1), dtype=object)
    column[:, 0] = list(data)
    return column
