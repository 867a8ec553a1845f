"""Reads the predictions and outcomes of training data: a column, or a matrix or frame with a column per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from driftline._binning.label_scheme import PAIR, LabelArguments, find_pair, is_text
from driftline._capture.class_scores import (
    ClassScores,
    OutputForm,
    ScoredLabel,
    are_distribution,
    has_class_columns,
    read_class_scores,
    single_column,
    split_scores,
    to_column,
)
from driftline._capture.labels import is_missing, label_of
from driftline._capture.libraries import is_column, read_column
from driftline._capture.outputs import as_outputs
from driftline._capture.tables import describe
from driftline._runtime.guard import UnreadableError, returning_on_error
from driftline.errors import ConfigurationError
from driftline.typing import Column, Floats, Label

__all__ = ["read_outputs", "read_predictions"]


FORM = OutputForm(scores=True)
"""The form of the predictions: anything, and labels with their probabilities."""


def read_outputs(values: Any, rows: int, argument: str) -> Column:
    """
    Return an argument with a value per row as a column.

    Raises:
        ConfigurationError: it has not one value per row.
    """
    several = argument == "outcomes" and has_class_columns(values) and single_column(values) is None
    column = None if several else as_outputs(values, rows, FORM)
    if column is None:
        msg = f"{argument}: expected one value for each of the {rows} rows, got {describe(values)}"
        raise ConfigurationError(msg)
    return column


def read_predictions(
    values: Any, rows: int, asked: LabelArguments, outcomes: Sequence[object] | None
) -> tuple[Column, Floats | None, LabelArguments]:
    """
    Return the predictions as a column of labels or numbers, the probabilities of labels, and the arguments.

    The probabilities are nan where they are not known, or None if none is. The arguments about labels have what a frame
    says about its columns.

    Args:
        values: the predictions.
        rows: number of rows.
        asked: the arguments about labels.
        outcomes: the outcomes; None if they are not known.

    Raises:
        ConfigurationError: there is not one prediction per row, or the labels of the columns are not known.
    """
    lists = _as_lists(values)
    values = values if lists is None else lists
    if not has_class_columns(values) or single_column(values) is not None:
        return *_without_scores(read_outputs(values, rows, "predictions")), asked
    try:
        matrix = read_class_scores(values)
    except UnreadableError as error:
        msg = f"predictions: {error}"
        raise ConfigurationError(msg) from None
    height, width = matrix.scores.shape
    if height != rows:
        msg = f"predictions: expected one value for each of the {rows} rows, got {height} rows of {width} columns"
        raise ConfigurationError(msg)
    if width > 1 and not are_distribution(matrix.scores):
        msg = (
            f"predictions: {width} columns that do not add up to 1 in each row: expected one value per row, or "
            f"probabilities of classes. A model of several outputs needs a monitor for each"
        )
        raise ConfigurationError(msg)
    asked = _with_classes(matrix, asked, outcomes)
    form = OutputForm(labels=width > PAIR, classes=asked.classes, positive=_positive_column(asked), scores=True)
    column = to_column(matrix, form)
    if column is None:
        msg = (
            f"predictions: {width} columns, and classes={list(asked.classes)!r}: expected classes=, the label of each "
            f"column in order"
        )
        raise ConfigurationError(msg)
    return *_without_scores(column), asked


def _without_scores(column: Column) -> tuple[Column, Floats | None]:
    """Return a column with a label in place of each `ScoredLabel`, and the probabilities; None if there are none."""
    if not isinstance(column, (list, tuple)) or ScoredLabel not in set(map(type, column)):
        return column, None
    return split_scores(column)


@returning_on_error(None)
def _as_lists(values: Any) -> Any:
    """Return a column of lists, each with the probabilities of a row, as a list; None for other values."""
    if not is_column(values):
        return None
    column = read_column(values)
    if isinstance(column, np.ndarray) and column.dtype.kind == "O":
        column = column.tolist()
    return column if has_class_columns(column) else None


def _positive_column(asked: LabelArguments) -> int:
    return asked.classes.index(asked.positive) if len(asked.classes) == PAIR and asked.positive in asked.classes else 1


def _with_classes(matrix: ClassScores, asked: LabelArguments, outcomes: Sequence[object] | None) -> LabelArguments:
    """Return the arguments with the labels of the columns, if these or the outcomes say them."""
    if asked.classes:
        return asked
    width = matrix.scores.shape[1]
    labels = {label_of(value) for value in outcomes or () if not is_missing(value)}
    classes = _column_labels(matrix, labels)
    if classes is None and width > PAIR and labels and not any(map(is_text, labels)):
        # scikit-learn, LightGBM and XGBoost number the classes so. A column with missing labels holds floats.
        classes = tuple(range(width)) if labels <= set(range(width)) else None
    if classes is None:
        return asked
    if width == PAIR and asked.positive is None:
        pair = find_pair(classes)
        return replace(asked, classes=classes, positive=classes[1] if pair is None else pair[1])
    return replace(asked, classes=classes)


def _column_labels(matrix: ClassScores, labels: set[Label]) -> tuple[Label, ...] | None:
    """Return the names of the columns as labels; None if there are none, or they are only numbers of columns."""
    names = matrix.names
    if names is None:
        return None
    if labels and not any(map(is_text, labels)) and all(is_text(name) and str(name).isdecimal() for name in names):
        # The columns of polars and pyarrow have names that are strings.
        names = tuple(int(name) for name in names)
    if not set(names) >= labels and set(map(str, names)) == set(map(str, range(len(names)))):
        return None
    return names if len(names) > 1 else None
