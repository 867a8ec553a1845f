"""The outputs of two models as one label or one number per row, so that they can be compared."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import CategoricalColumn, NullableColumn
from driftline._capture.libraries import is_column, origin, read_column
from driftline._runtime.guard import UnreadableError

__all__ = ["Scores", "read_output"]

SUM_TOLERANCE = 0.01
"""Largest distance from 1 of the sum of a row of probabilities. Those of half precision are off by up to 0.005."""

NUMBERS = "fiub"
"""Kinds of numpy's types that are numbers or booleans."""

MATRIX = 2
"""Number of dimensions of an output with several numbers per row."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """
    One number per class and row.

    Attributes:
        values: shape (rows, classes).
        labels: the label of each column; None if the output names none.
    """

    values: NDArray[np.float64]
    labels: tuple[Hashable, ...] | None

    @property
    def are_probabilities(self) -> bool:
        """Whether the numbers of each row lie in [0, 1] and add up to 1. Rows with a missing number do not count."""
        known = self.values[~np.isnan(self.values).any(axis=1)]
        within = bool(((known >= 0.0) & (known <= 1.0)).all())
        return within and bool((np.abs(known.sum(axis=1) - 1.0) <= SUM_TOLERANCE).all())

    def ordered_as(self, other: Scores) -> Scores:
        """Return the columns in the order that they have in *other*, if both have the same labels."""
        if self.labels is None or other.labels is None or set(self.labels) != set(other.labels):
            return self
        return Scores(self.values[:, [self.labels.index(label) for label in other.labels]], other.labels)


def read_output(value: Any) -> NDArray[Any] | Scores:
    """
    Read the output of a call.

    Args:
        value: a number or label, a column of them, an array of shape (rows,), (rows, 1) or (rows, classes), a frame
            with a column per class, a dict of label to number or to column, or a list of such dicts.

    Returns:
        An array of shape (rows,) of numbers or objects, or `Scores` for several numbers per row. A row with a missing
        number is nan as a number, and None as an object.

    Raises:
        UnreadableError: the output has another form.
    """
    if isinstance(value, Mapping):
        return _read_mapping(value)
    package, kind = origin(value)
    if package and kind in {"DataFrame", "Table", "RecordBatch"}:
        return _read_frame(value)
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Mapping) for row in value):
        return _read_rows(value)
    if package or isinstance(value, (CategoricalColumn, NullableColumn)):
        return _as_array(read_column(value))
    return _from_array(_as_array(value))


def _from_array(array: NDArray[Any]) -> NDArray[Any] | Scores:
    if array.ndim <= 1:
        return array.reshape(-1)
    if array.ndim == MATRIX and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim == MATRIX and array.dtype.kind in NUMBERS:
        return Scores(array.astype(np.float64), None)
    msg = f"an output of shape {array.shape} and type {array.dtype} is not comparable: pass agree="
    raise UnreadableError(msg)


def _as_array(value: Any) -> NDArray[Any]:
    """Return a value as an array, in which missing numbers are nan."""
    if isinstance(value, CategoricalColumn):
        return _objects(value)
    if isinstance(value, NullableColumn):
        return np.where(value.missing, np.nan, value.values)
    if isinstance(value, np.ma.MaskedArray):
        kind, missing = (np.float64, np.nan) if value.dtype.kind in "fiu" else (object, None)
        filled: NDArray[Any] = np.ma.filled(value.astype(kind), missing)
        return filled
    if isinstance(value, (set, frozenset, bytes)):
        return _objects([value])
    if hasattr(type(value), "detach") and hasattr(value, "requires_grad"):  # a tensor of torch
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
    except ValueError:
        array = None
    if array is None or (array.dtype == object and array.ndim > 1):
        msg = f"an output of type {type(value).__name__} whose rows differ in length is not comparable: pass agree="
        raise UnreadableError(msg)
    if array.dtype.kind in "US" and isinstance(value, (list, tuple)):
        # numpy has turned the numbers and None among the strings into strings.
        return _objects(value)
    return array


def _objects(values: Sequence[object]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = list(values)
    return array


def _read_mapping(value: Mapping[Any, Any]) -> NDArray[Any] | Scores:
    """Read a dict of label to number as one row, and a dict of label to column as a frame."""
    values = list(value.values())
    if values and all(is_column(column) for column in values):
        return _scores(tuple(value), [_as_array(read_column(column)) for column in values])
    if values and all(_is_number(number) for number in values):
        return _scores(tuple(value), [np.asarray([number], dtype=np.float64) for number in values])
    if not any(_is_number(number) for number in values):
        return _objects([value])
    msg = "a dict of numbers and other values is not comparable: pass agree="
    raise UnreadableError(msg)


def _read_frame(value: Any) -> NDArray[Any] | Scores:
    names = tuple(getattr(value, "column_names", value.columns))
    columns = [_as_array(read_column(value[name])) for name in names]
    if len(columns) == 1:
        return columns[0]
    return _scores(names, columns)


def _read_rows(rows: Sequence[Mapping[Any, Any]]) -> NDArray[Any] | Scores:
    """Read a list of dicts, one per row. A label that a row lacks has the number 0 there."""
    if not any(_is_number(number) for row in rows for number in row.values()):
        return _objects(rows)
    if not all(_is_number(number) for row in rows for number in row.values()):
        msg = "dicts of numbers and other values are not comparable: pass agree="
        raise UnreadableError(msg)
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return _scores(names, [np.asarray([row.get(name, 0.0) for row in rows], dtype=np.float64) for name in names])


def _scores(names: tuple[Hashable, ...], columns: list[NDArray[Any]]) -> Scores:
    if len({len(column) for column in columns}) > 1 or any(column.dtype.kind not in NUMBERS for column in columns):
        msg = f"an output of {len(columns)} columns that are not all numbers of one length: pass agree="
        raise UnreadableError(msg)
    return Scores(np.column_stack(columns).astype(np.float64), names)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))
