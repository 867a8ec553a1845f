"""Reads the probabilities of several classes: arrays as of ``predict_proba``, and frames with a column per class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from driftline._capture.columns import as_floats, as_objects
from driftline._capture.labels import label_of
from driftline._capture.libraries import count_dimensions, is_column, origin, read_column
from driftline._capture.tables import is_table, open_table
from driftline._runtime.guard import UnreadableError
from driftline.typing import Column, Floats, Label

__all__ = [
    "ANY_FORM",
    "ClassScores",
    "OutputForm",
    "ScoredLabel",
    "are_distribution",
    "as_rows",
    "has_class_columns",
    "read_class_scores",
    "single_column",
    "split_scores",
    "to_column",
]

BINARY = 2
"""Columns of a binary classifier's ``predict_proba``. By default the second one is that of the positive class."""

SUM_TOLERANCE = 0.01
"""
Largest difference between 1 and the sum of the probabilities of a row. The sum of 10 numbers of type float16 may differ
by 0.005. Outputs that differ by more are no probabilities of classes, but several outputs.
"""


@dataclass(frozen=True, slots=True)
class OutputForm:
    """
    What an output of the model may be.

    Attributes:
        labels: whether it may be a label. If False, every label and dict is unreadable.
        classes: the labels of the columns of ``predict_proba``, in order; empty if they are not known.
        positive: column of the positive label in the probabilities of two classes.
        scores: whether a label with a probability is returned as a `ScoredLabel`, and not alone.
    """

    labels: bool = True
    classes: tuple[Label, ...] = ()
    positive: int = 1
    scores: bool = False


ANY_FORM = OutputForm()
"""The form of outputs of which nothing is known."""


class ScoredLabel(NamedTuple):
    """
    The most probable label of an output.

    Attributes:
        label: the label.
        score: its probability.
    """

    label: Any
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class ClassScores:
    """
    A matrix of outputs with a column per class.

    Attributes:
        scores: shape (rows, classes).
        names: the labels of the columns; None if they have none.
    """

    scores: Floats
    names: tuple[Label, ...] | None


def single_column(values: Any) -> Column | None:
    """Return the column of an array of shape (rows, 1), or of a frame with one column; None for other values."""
    if isinstance(values, np.ndarray):
        return values[:, 0] if values.ndim == BINARY and values.shape[1] == 1 else None
    if isinstance(values, Mapping) or is_column(values) or count_dimensions(values) or not is_table(values):
        return None
    table = open_table(values)
    return table.read([0])[0] if table.width == 1 else None


def has_class_columns(values: Any) -> bool:
    """Return whether outputs are a matrix, a frame or a dict of columns, with a column per class."""
    if isinstance(values, Mapping):
        return len(values) >= BINARY and is_table(values)
    return (not is_column(values) and is_table(values)) or _is_nested(values)


def _is_nested(values: Any) -> bool:
    """Return whether a list holds a list or array of several numbers in its first item."""
    if not isinstance(values, (list, tuple)) or not values:
        return False
    first = values[0]
    if isinstance(first, np.ndarray):
        return first.ndim == 1 and len(first) >= BINARY
    return isinstance(first, (list, tuple)) and len(first) >= BINARY


def read_class_scores(values: Any) -> ClassScores:
    """
    Read a matrix, a frame, a dict of columns or a list of lists, with a row per prediction.

    Raises:
        UnreadableError: the values are none of these, or not numbers.
    """
    names: tuple[Label, ...] | None = None
    if count_dimensions(values) or isinstance(values, (list, tuple)):
        matrix = _as_matrix(values)
    else:
        table = open_table(values)
        matrix = np.column_stack([as_floats(column) for column in table.read(range(table.width))])
        if isinstance(values, Mapping):
            names = tuple(map(label_of, values))
        elif table.names is not None:
            pandas = origin(values)[0] == "pandas"
            names = tuple(map(label_of, values.columns.tolist() if pandas else table.names))
    return ClassScores(matrix, names)


def _as_matrix(values: Any) -> Floats:
    try:
        matrix = np.asarray(values)
    except ValueError:
        matrix = np.empty(0, dtype=object)
    if matrix.ndim != BINARY or matrix.dtype.kind not in "fiub":
        msg = f"the outputs are a {type(values).__name__} of unequal or unreadable rows: expected numbers"
        raise UnreadableError(msg)
    return matrix.astype(np.float64)


def are_distribution(scores: Floats) -> bool:
    """Return whether each row holds probabilities that add up to 1, or a missing value."""
    with np.errstate(all="ignore"):
        sums = scores.sum(axis=1)
        wrong = (np.abs(sums - 1.0) > SUM_TOLERANCE) | (scores < -SUM_TOLERANCE).any(axis=1)
    return not (wrong & ~np.isnan(sums)).any()


def to_column(matrix: ClassScores, form: OutputForm) -> Column | None:
    """
    Return a value per row: the probability of the positive class of two, or the most probable label of several.

    None if the rows are no probabilities, or the labels of the columns are not known.
    """
    scores = ordered(matrix, form)
    width = scores.shape[1]
    if width == 1:
        return scores[:, 0]
    if width < BINARY or not are_distribution(scores):
        return None
    if width == BINARY and not (form.labels and form.classes):
        return scores[:, form.positive]
    if width != len(form.classes):
        return None
    missing = np.asarray(np.isnan(scores).any(axis=1)).tolist()
    columns = np.nan_to_num(scores).argmax(axis=1)
    best = columns.tolist()
    if not form.scores:
        return [None if gone else form.classes[index] for index, gone in zip(best, missing, strict=True)]
    highest = scores[np.arange(len(scores)), columns].tolist()
    return [
        None if gone else ScoredLabel(form.classes[index], score)
        for index, score, gone in zip(best, highest, missing, strict=True)
    ]


def split_scores(outputs: Sequence[object]) -> tuple[list[object], Floats]:
    """Return the outputs with a label in place of each `ScoredLabel`, and the probabilities; nan for other outputs."""
    # By its class, because an output may be any object of the host, such as another tuple.
    pairs = [value if type(value) is ScoredLabel else (value, np.nan) for value in outputs]
    return [label for label, _ in pairs], np.array([score for _, score in pairs], dtype=np.float64)


def ordered(matrix: ClassScores, form: OutputForm) -> Floats:
    """Return the columns in the order of the known classes, or of their numbers if their names are 0, 1, …."""
    names, classes = matrix.names, form.classes
    if names is None or names == classes:
        return matrix.scores
    if set(names) != set(classes):
        names = tuple(map(str, names))
        classes = tuple(map(str, classes))
    if set(names) != set(classes):
        # Names that are numbers from 0 on say the order too.
        names, classes = tuple(map(str, names)), tuple(map(str, range(len(names))))
    if set(names) != set(classes):
        return matrix.scores
    return matrix.scores[:, [names.index(label) for label in classes]]


def as_rows(outputs: Any, form: OutputForm) -> Iterable[object]:
    """
    Return the outputs of a batch one by one.

    A row of a matrix is an array of its probabilities. A row of a frame whose columns have other names than the known
    classes is a dict of labels and probabilities.
    """
    column = single_column(outputs)
    if column is not None:
        outputs = as_objects(column)
    elif is_column(outputs) and not isinstance(outputs, (list, tuple, np.ndarray)):
        # Of some libraries the iterator of a column yields objects of the library.
        outputs = as_objects(read_column(outputs))
    if not has_class_columns(outputs):
        return outputs  # type: ignore[no-any-return] # an iterable
    matrix = read_class_scores(outputs)
    names = matrix.names
    if names is None or form.classes or set(names) == set(range(len(names))):
        return ordered(matrix, form)
    return [dict(zip(names, row, strict=True)) for row in matrix.scores.tolist()]
