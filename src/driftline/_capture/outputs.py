"""Reads the outputs of a model as one value per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from driftline._capture.libraries import is_column, read_column
from driftline._runtime.guard import returning_on_error
from driftline.typing import Column

__all__ = ["SCALARS", "as_output", "as_outputs", "is_hashable", "is_scalar", "rows_in"]

SCALARS = frozenset({float, int, str, bool, type(None), np.float64, np.float32, np.int64, np.bool_, np.str_})
"""Types whose values are single predictions or features. They are the common case, and a lookup by class is fast."""

PROBABILITY_COLUMNS = 2
"""Columns of a binary classifier's ``predict_proba``; the second has the probability of the positive class."""


@returning_on_error(False)  # noqa: FBT003 - the default
def is_hashable(kind: type) -> bool:
    """Return whether a class has a hash. A metaclass that defines ``__eq__`` alone gives its classes none."""
    hash(kind)
    return True


def is_scalar(value: object) -> bool:
    """Return whether the class of a value is one of `SCALARS`. The class that a lazy proxy pretends is not asked."""
    return is_hashable(type(value)) and type(value) in SCALARS


@returning_on_error(None)
def as_outputs(values: Any, rows: int) -> Column | None:
    """
    Return the outputs of *rows* rows as one column; None if they are not one value per row.

    An array of shape (rows, 1) is flattened. An array of shape (rows, 2) holds the probabilities of a binary
    classifier, so its second column is returned. A dict of labels and their probabilities becomes its most probable
    label.
    """
    return _one_per_row(values, rows)


@returning_on_error(1)
def rows_in(outputs: Any) -> int:
    """Return the number of predictions in the outputs of a call: the length of a column, 1 for anything else."""
    return len(outputs) if not _is_proxy(type(outputs)) and is_column(outputs) else 1


def _is_proxy(kind: type) -> bool:
    """
    Return whether objects of a class pretend to be of another class, as lazy objects and proxies do.

    ``isinstance`` asks them for that class, and a lazy object then computes its value.
    """
    return any("__class__" in vars(base) for base in kind.__mro__[:-1])


def _one_per_row(values: Any, rows: int) -> Column | None:
    if _is_proxy(type(values)):
        return None
    if rows == 1 and not is_column(values) and not isinstance(values, np.ndarray):
        return [_most_probable(values)]
    if not isinstance(values, np.ndarray):
        if not is_column(values):
            return None
        column = read_column(values)
    else:
        column = values
    if isinstance(column, np.ndarray):
        if column.ndim == PROBABILITY_COLUMNS and 1 <= column.shape[1] <= PROBABILITY_COLUMNS:
            column = column[:, -1]
        if column.ndim != 1:
            return None
    elif len(column) and isinstance(column[0], (list, tuple, np.ndarray)):
        return None
    elif len(column) and isinstance(column[0], Mapping):
        column = [_most_probable(value) for value in column]
    return column if len(column) == rows else None


def _most_probable(value: Any) -> Any:
    """Return the most probable label of a dict of labels and probabilities; any other value as it is."""
    return max(value, key=value.__getitem__) if isinstance(value, Mapping) and value else value


def as_output(value: Any) -> object:
    """
    Return the output of a call with one row as a number, string, boolean or None.

    Raises:
        TypeError: the output is not a single value.
    """
    if is_scalar(value):
        return value
    if _is_proxy(type(value)):
        msg = f"the output is a {type(value).__name__}, a proxy: expected a plain value (output= extracts one)"
        raise TypeError(msg)
    if isinstance(value, np.generic):
        return value.item()
    column = as_outputs(value, 1) if is_column(value) or isinstance(value, np.ndarray) else None
    if column is None:
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return value.item()
        if isinstance(value, (str, int, float)):
            return value
        if isinstance(value, Mapping) and value:
            return _most_probable(value)
        msg = f"the output is a {type(value).__name__}: expected a number, string or boolean (output= extracts one)"
        raise TypeError(msg)
    first = column[0]
    return first.item() if isinstance(first, np.generic) else first
