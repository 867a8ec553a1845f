"""Reads columns of ids and of outcomes, of which a row of each belongs together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import Any

import numpy as np

from driftline._capture.class_scores import has_class_columns, single_column
from driftline._capture.labels import is_missing
from driftline._runtime.guard import UnreadableError

__all__ = ["MISSING_ID", "is_missing_id", "read_columns", "rows_of"]

MISSING_ID = "an id is missing (None, nan or NA): expected a value that the prediction and its outcome share"
"""Message for a prediction or an outcome without an id, which is not joined."""


def is_missing_id(prediction_id: object) -> bool:
    """Return whether an id is None, nan or NA. Predictions with such ids would have the outcomes of each other."""
    return prediction_id.__class__ is not str and is_missing(prediction_id)


def read_columns(ids: Any, actuals: Any) -> Iterable[tuple[object, object]]:
    """
    Return the (id, outcome) pairs of two columns.

    Raises:
        UnreadableError: one of them is no column, or they are known to differ in length.
    """
    ids, actuals = rows_of(ids, "ids"), rows_of(actuals, "outcomes")
    if isinstance(ids, Sized) and isinstance(actuals, Sized) and len(ids) != len(actuals):
        msg = f"{len(ids)} ids and {len(actuals)} outcomes: expected as many"
        raise UnreadableError(msg)
    return zip(ids, actuals, strict=True)


def rows_of(values: Any, noun: str) -> Iterable[object]:
    """
    Return the values of a column, also of an array of shape (n, 1) and of a frame with one column.

    Raises:
        UnreadableError: the values are a dict, or a frame with more columns. Iteration would return their names.
    """
    if type(values) in {list, tuple}:
        return values  # type: ignore[no-any-return]
    if isinstance(values, Mapping):
        msg = f"{noun} are a {type(values).__name__}: expected a column, such as list(table.values())"
        raise UnreadableError(msg)
    column = single_column(values)
    if column is not None:
        return column
    if has_class_columns(values) and not isinstance(values, np.ndarray):
        msg = f"{noun} are a table of several columns: expected one of its columns"
        raise UnreadableError(msg)
    return values  # type: ignore[no-any-return]
