"""Reads the outputs of a model as one value per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np

from driftline._capture.libraries import is_column, read_column
from driftline._capture.placeholders import Unreadable, describe_type
from driftline._runtime.guard import UnreadableError, is_contained, returning_on_error
from driftline.typing import Column

__all__ = [
    "SCALARS",
    "as_output",
    "as_outputs",
    "is_hashable",
    "is_probabilities",
    "is_scalar",
    "rows_in",
    "unreadable_output",
]

SCALARS = frozenset({float, int, str, bool, type(None), np.float64, np.float32, np.int64, np.bool_, np.str_})
"""Types whose values are single predictions or features. They are the common case, and a lookup by class is fast."""

ABSENT = frozenset({"NAType", "NaTType"})
"""Names of the types of missing values in pandas."""

MAX_PROBABILITY = 1.0 + 1e-6
"""Largest number that counts as a probability, because sums of float32 may exceed 1 by rounding."""

NUMBERS = frozenset("fiub")
"""Kinds of arrays whose items are numbers or booleans."""

FLAT = frozenset({(), (1,), (1, 1), (1, 2)})
"""Shapes of arrays that hold the output of one row as their last item; see `as_outputs`. Most models return one."""

PROBABILITY_COLUMNS = 2
"""Columns of a binary classifier's ``predict_proba``; the second has the probability of the positive class."""


@returning_on_error(False)  # noqa: FBT003 - the default
def is_hashable(kind: type) -> bool:
    """Return whether a class has a hash. A metaclass that defines ``__eq__`` alone gives its classes none."""
    hash(kind)
    return True


def is_scalar(value: object) -> bool:
    """Return whether the class of a value is one of `SCALARS`. The class that a lazy proxy pretends is not asked."""
    try:
        return type(value) in SCALARS
    except BaseException as error:
        if not is_contained(error):
            raise
        return False  # a class without a hash, as in `is_hashable`


def as_outputs(values: Any, rows: int, *, labels: bool = True) -> Column | None:
    """
    Return the outputs of *rows* rows as one column; None if they are not one value per row.

    An array of shape (rows, 1) is flattened, and so is a list of as many lists with one value. An array of shape
    (rows, 2) holds the probabilities of a binary classifier, so its second column is returned. A dict of labels and
    their probabilities becomes its most probable label; any other dict becomes an `Unreadable`.

    Args:
        values: the outputs.
        rows: number of rows.
        labels: whether an output may be a label. If False, every dict becomes an `Unreadable`.
    """
    if type(values) is np.ndarray and values.ndim == 1:
        return values if len(values) == rows else None
    return _one_per_row(values, rows, labels)


@returning_on_error(1)
def rows_in(outputs: Any) -> int:
    """Return the number of predictions in the outputs of a call: the length of a column or array, else 1."""
    if _is_proxy(type(outputs)):
        return 1
    return len(outputs) if is_column(outputs) or (isinstance(outputs, np.ndarray) and outputs.ndim) else 1


def _is_proxy(kind: type) -> bool:
    """
    Return whether objects of a class pretend to be of another class, as lazy objects and proxies do.

    ``isinstance`` asks them for that class, and a lazy object then computes its value.
    """
    for base in kind.__mro__[:-1]:  # noqa: SIM110 - a generator would take as long as the rest
        if "__class__" in base.__dict__:
            return True
    return False


@returning_on_error(None)
def _one_per_row(values: Any, rows: int, labels: bool) -> Column | None:  # noqa: FBT001 - as above
    if _is_proxy(type(values)):
        return None
    if not isinstance(values, np.ndarray) and not is_column(values):
        column: Column | None = _without_dicts([values], labels) if rows == 1 else None
    else:
        column = _flat(read_column(values), labels)
    return column if column is not None and len(column) == rows else None


def _flat(column: Column, labels: bool) -> Column | None:  # noqa: FBT001 - as above
    """Return a column of outputs with one value per row; None if it has several."""
    if isinstance(column, np.ndarray):
        if column.ndim == PROBABILITY_COLUMNS and 1 <= column.shape[1] <= PROBABILITY_COLUMNS:
            column = column[:, -1]
        return column if column.ndim == 1 else None
    if len(column) and isinstance(column[0], (list, tuple, np.ndarray)):
        return _unpacked(column)
    return _without_dicts(column, labels) if len(column) and isinstance(column[0], Mapping) else column


def _unpacked(column: Sequence[object]) -> Column | None:
    """
    Return a column of arrays or lists of one value each as these values; None if they have several.

    A list in a list is no output of a single row, because a model that answers so may answer with several values.
    """
    values = np.array(column)
    nested = isinstance(column[0], (list, tuple)) and (values.ndim > 2 or len(column) == 1)  # noqa: PLR2004
    return values.reshape(-1) if values.size == len(column) and not nested else None


def _without_dicts(column: Sequence[object], labels: bool) -> Column | None:  # noqa: FBT001 - as above
    """Return a column with the most probable label in place of each dict of probabilities; None if no dict is one."""
    values = [_most_probable(value, labels=labels) for value in column]
    return None if all(isinstance(value, Unreadable) for value in values) else values


def is_probabilities(value: Mapping[Any, Any]) -> bool:
    """Return whether a dict holds the probabilities of labels: numbers from 0 to 1."""
    return bool(value) and all(
        isinstance(each, (float, int, np.floating, np.integer)) and 0.0 <= each <= MAX_PROBABILITY
        for each in value.values()
    )


def _most_probable(value: Any, *, labels: bool) -> Any:
    """Return the most probable label of a dict of probabilities, `Unreadable` for other dicts, other values as is."""
    if not isinstance(value, Mapping):
        return value
    return max(value, key=value.__getitem__) if labels and is_probabilities(value) else Unreadable(value)


def as_output(value: Any, *, labels: bool = True) -> object:
    """
    Return the output of a call with one row as a number, string, boolean or None.

    Args:
        value: the output.
        labels: whether it may be a label, as for `as_outputs`.

    Raises:
        UnreadableError: the output is not a single value.
    """
    if is_scalar(value):
        return value
    if type(value) is np.ndarray and value.dtype.kind in NUMBERS and value.shape in FLAT:
        return value.item(-1)
    if type(value) is list and len(value) == 1 and is_scalar(value[0]):
        return _item(value[0])
    return _rare_output(value, labels=labels)


def _rare_output(value: Any, *, labels: bool) -> object:
    """Return the output of a call with one row, as `as_output` does, whatever its type and shape."""
    if _is_proxy(type(value)):
        msg = f"the output is a {type(value).__name__}, a proxy: expected a plain value (output= extracts one)"
        raise UnreadableError(msg)
    if isinstance(value, np.generic):
        return _item(value)
    column = as_outputs(value, 1, labels=labels) if is_column(value) or isinstance(value, np.ndarray) else None
    if column is None:
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return _item(value[()])
        if isinstance(value, (str, bytes, int, float, Decimal, Fraction, Enum)):
            return value
        if type(value).__name__ in ABSENT:
            return None
        first = _most_probable(value, labels=labels) if isinstance(value, Mapping) else Unreadable(value)
    else:
        first = column[0]
    if isinstance(first, Unreadable):
        raise unreadable_output(value, 1)
    return _item(first)


def _item(value: Any) -> object:
    """Return a scalar of numpy as a Python value; None for a masked one, and dates as they are."""
    if value is np.ma.masked:
        return None
    # The item of a date in nanoseconds would be an integer.
    is_date = isinstance(value, (np.datetime64, np.timedelta64))
    return value.item() if isinstance(value, np.generic) and not is_date else value


def unreadable_output(value: Any, rows: int) -> UnreadableError:
    """Return the error that says what came in place of the output of *rows* rows, what was expected, how to mend it."""
    came = describe_type(value)
    if rows == 1:
        return UnreadableError(
            f"the output is a {came}: expected a number, string or boolean (output= of instrument extracts one)"
        )
    first = value[0] if type(value) in {list, tuple} and value else None
    if type(first) in {list, tuple, dict, np.ndarray}:
        came = f"{came}, the first a {describe_type(first)}"
    return UnreadableError(
        f"the output for {rows} rows is a {came}: expected one value per row (output= of instrument extracts them)"
    )
