"""Reads the outputs of a model as one value per row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np

from driftline._capture.class_scores import (
    ANY_FORM,
    BINARY,
    SUM_TOLERANCE,
    ClassScores,
    OutputForm,
    ScoredLabel,
    has_class_columns,
    read_class_scores,
    single_column,
    to_column,
)
from driftline._capture.labels import MAX_LABEL, plain_label, shorten_label
from driftline._capture.libraries import is_column, read_column
from driftline._capture.placeholders import ABSENT, Unreadable, describe_type
from driftline._runtime.guard import UnreadableError, is_contained, returning_on_error
from driftline.typing import Column, Floats

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

MAX_PROBABILITY = 1.0 + 1e-6
"""Largest number that counts as a probability, because sums of float32 may exceed 1 by rounding."""

NUMBERS = frozenset("fiub")
"""Kinds of arrays whose items are numbers or booleans."""

FLAT = frozenset({(), (1,), (1, 1)})
"""Shapes of arrays that hold the output of one row as their only item. Most models return one of these."""

FLOATS = frozenset({float})
"""The types of the values in a dict of probabilities, in the common case."""

SEVERAL_VALUES = (Mapping, list, tuple, np.ndarray)
"""Types of outputs that may hold the probabilities of several labels."""

PAIR = (1, BINARY)
"""Shape of the probabilities of two classes of one row."""


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


def as_outputs(values: Any, rows: int, form: OutputForm = ANY_FORM) -> Column | None:
    """
    Return the outputs of *rows* rows as one column; None if they are not one value per row.

    An array of shape (rows, 1) is flattened, and so is a list of as many lists with one value. An array or frame of
    shape (rows, 2) holds the probabilities of a binary classifier, so the column of the positive class is returned: the
    second, unless *form* names another. With more columns, the most probable label is returned if *form* has the labels
    of the columns. A dict of labels and their probabilities becomes its most probable label, or the probability of the
    positive label if *form* says that an output may be no label. Any other dict becomes an `Unreadable`.

    Args:
        values: the outputs.
        rows: number of rows.
        form: what an output may be.
    """
    if type(values) is np.ndarray and values.ndim == 1 and (rows != 1 or len(values) == 1):
        if values.dtype.kind != "O" or not isinstance(_first_present(values), SEVERAL_VALUES):
            return values if len(values) == rows else None
        values = values.tolist()
    return _one_per_row(values, rows, form)


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
def _one_per_row(values: Any, rows: int, form: OutputForm) -> Column | None:
    if _is_proxy(type(values)):
        return None
    column: Column | None = single_column(values)
    if column is not None:
        return column if len(column) == rows else None
    # A list in a list is no output of a single row, because a model that answers so may answer with several values.
    if has_class_columns(values) and (rows != 1 or not isinstance(values, (list, tuple))):
        column = to_column(read_class_scores(values), form)
    elif rows == 1 and (isinstance(values, np.ndarray) or form.classes) and (row := _as_row(values)) is not None:
        column = to_column(ClassScores(row, None), form)
    elif not isinstance(values, np.ndarray) and not is_column(values):
        column = _without_dicts([values], form) if rows == 1 else None
    else:
        values = read_column(values)
        # A column of lists has the probabilities of a row in each.
        nested = rows != 1 and has_class_columns(values)
        column = to_column(read_class_scores(values), form) if nested else _flat(values, form)
    return column if column is not None and len(column) == rows else None


def _as_row(values: Any) -> Floats | None:
    """Return the probabilities of one row that are no matrix, as an array of shape (1, classes); None for others."""
    if isinstance(values, np.ndarray):
        several = values.ndim == 1 and len(values) >= BINARY and values.dtype.kind == "f"
    else:
        several = type(values) in {list, tuple} and len(values) >= BINARY and all(type(v) is float for v in values)
    return np.asarray(values, dtype=np.float64).reshape(1, -1) if several else None


def _flat(column: Column, form: OutputForm) -> Column | None:
    """Return a column of outputs with one value per row; None if it has several."""
    if isinstance(column, np.ndarray):
        return column if column.ndim == 1 else None
    if len(column) and isinstance(column[0], (list, tuple, np.ndarray)):
        return _unpacked(column)
    return _without_dicts(column, form) if isinstance(_first_present(column), Mapping) else column


def _first_present(column: Column) -> object:
    """Return the first value of a column that is not None; None if there is none."""
    if not len(column) or column[0] is not None:
        return column[0] if len(column) else None
    return next((value for value in column if value is not None), None)


def _unpacked(column: Sequence[object]) -> Column | None:
    """
    Return a column of arrays or lists of one value each as these values; None if they have several.

    A list in a list is no output of a single row, because a model that answers so may answer with several values.
    """
    values = np.array(column)
    nested = isinstance(column[0], (list, tuple)) and (values.ndim > 2 or len(column) == 1)  # noqa: PLR2004
    return values.reshape(-1) if values.size == len(column) and not nested else None


def _without_dicts(column: Iterable[object], form: OutputForm) -> Column | None:
    """Return a column with the most probable label in place of each dict of probabilities; None if no dict is one."""
    values = [_most_probable(value, form) for value in column]
    return None if all(isinstance(value, Unreadable) for value in values) else values


def is_probabilities(value: Mapping[Any, Any]) -> bool:
    """Return whether a dict holds the probabilities of labels: numbers from 0 to 1."""
    return bool(value) and all(
        isinstance(each, (float, int, np.floating, np.integer)) and 0.0 <= each <= MAX_PROBABILITY
        for each in value.values()
    )


def _most_probable(value: Any, form: OutputForm) -> Any:
    """
    Return the most probable label of a dict of probabilities, other values as they are.

    If the output may be no label, return the probability of the positive one. Other dicts become an `Unreadable`.
    """
    if not isinstance(value, Mapping):
        return value
    if not is_probabilities(value):
        return Unreadable(value)
    if not form.labels:
        positive = form.classes[form.positive] if len(form.classes) == BINARY else None
        return float(value[positive]) if positive is not None and positive in value else Unreadable(value)
    best = max(value, key=value.__getitem__)
    if not form.scores:
        return best
    score = float(value[best])
    return ScoredLabel(shorten_label(best) if isinstance(best, str) and len(best) > MAX_LABEL else best, score)


def as_output(value: Any, form: OutputForm = ANY_FORM) -> object:
    """
    Return the output of a call with one row as a number, string, boolean or None.

    Args:
        value: the output.
        form: what it may be, as for `as_outputs`.

    Raises:
        UnreadableError: the output is not a single value.
    """
    if is_scalar(value):
        return value
    if type(value) is np.ndarray and value.dtype.kind in NUMBERS:
        if value.shape in FLAT:
            return value.item()
        if value.shape == PAIR and not (form.labels and form.classes):
            pair = value[0].tolist()
            if abs(pair[0] + pair[1] - 1.0) <= SUM_TOLERANCE:
                return pair[form.positive]
    if type(value) is dict and set(map(type, value.values())) == FLOATS:
        label = _most_probable(value, form)
        if type(label) is Unreadable:
            raise unreadable_output(value, 1)
        return _item(label)
    if type(value) is list and len(value) == 1 and is_scalar(value[0]):
        return _item(value[0])
    return _rare_output(value, form)


def _rare_output(value: Any, form: OutputForm) -> object:
    """Return the output of a call with one row, as `as_output` does, whatever its type and shape."""
    if _is_proxy(type(value)):
        msg = f"the output is a {type(value).__name__}, a proxy: expected a plain value (output= extracts one)"
        raise UnreadableError(msg)
    if isinstance(value, np.generic):
        return _item(value)
    several = is_column(value) or isinstance(value, np.ndarray) or has_class_columns(value)
    column = as_outputs(value, 1, form) if several else None
    if column is None:
        if isinstance(value, np.ndarray) and value.ndim == 0:
            return _item(value[()])
        if isinstance(value, (str, bytes, int, float, Decimal, Fraction, Enum)):
            return value
        if type(value).__name__ in ABSENT:
            return None
        plain = plain_label(value)
        if plain is not value:
            return as_output(plain, form)
        first = _most_probable(value, form) if isinstance(value, Mapping) else Unreadable(value)
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


@returning_on_error(False)  # noqa: FBT003 - the default
def _has_several(value: Any) -> bool:
    """Return whether an output has several numbers per row."""
    kind = type(value)
    numeric = issubclass(kind, np.ndarray) and value.dtype != object
    return numeric and value.ndim in {1, BINARY} and value.shape[-1] >= BINARY


def unreadable_output(value: Any, rows: int) -> UnreadableError:
    """Return the error that says what came in place of the output of *rows* rows, what was expected, how to mend it."""
    came = describe_type(value)
    if _has_several(value):
        return UnreadableError(
            f"the output is a {came}: expected one value per row, or probabilities of classes that add up to 1 (and "
            f"classes= of Reference.fit or OutcomePolicy for more than two); a model of several outputs needs a "
            f"monitor for each"
        )
    if rows == 1:
        return UnreadableError(
            f"the output is a {came}: expected a number, string or boolean (output= of instrument extracts one)"
        )
    is_array = type(value) is np.ndarray and value.ndim == 1
    first = value[0] if (type(value) in {list, tuple} or is_array) and len(value) else None
    if type(first) in {list, tuple, dict, np.ndarray}:
        came = f"{came}, the first a {describe_type(first)}"
    return UnreadableError(
        f"the output for {rows} rows is a {came}: expected one value per row (output= of instrument extracts them)"
    )
