"""What a reference is fitted to, as callers give it: read, and checked before anything is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from driftline._binning.bins import (
    MAX_FEATURES,
    PREDICTION,
    Feature,
    OutcomeCounts,
)
from driftline._binning.labels import is_missing
from driftline._binning.layout import binner
from driftline._binning.prediction_kind import default_correct
from driftline._capture.columns import as_objects
from driftline._capture.outputs import as_outputs
from driftline._capture.tables import Table, read_table
from driftline._derived.spec import Derive, as_functions
from driftline._significance.dispersion import dispersion
from driftline.errors import ConfigurationError
from driftline.typing import Column, Correct

__all__ = ["check_names", "names_given", "outcome_counts", "training_outputs", "training_table"]


def training_table(data: Any) -> Table:
    """
    Read training data.

    Raises:
        ConfigurationError: no table, no rows or columns, or too many columns.
    """
    try:
        table = read_table(data)
    except (TypeError, ValueError) as error:
        msg = f"data: {error}"
        raise ConfigurationError(msg) from error
    if not table.rows or not table.columns:
        msg = f"data: {table.rows} rows and {len(table.columns)} columns, expected at least one of each"
        raise ConfigurationError(msg)
    if len(table.columns) > MAX_FEATURES:
        msg = f"data: {len(table.columns)} columns, expected at most {MAX_FEATURES}"
        raise ConfigurationError(msg)
    return table


def check_names(
    columns: Sequence[str], categorical: Sequence[str], numeric: Sequence[str], derive: Derive | None
) -> None:
    """
    Check the names that the arguments of a fit give to columns and to derived features.

    Raises:
        ConfigurationError: a name that is no column, an empty one, one that is taken, or one given twice.
    """
    names = [*columns, *as_functions(derive)]
    if "" in names:
        msg = "data: a column is named '': expected a text that is not empty"
        raise ConfigurationError(msg)
    if PREDICTION in names:
        msg = f"data: a column is named {PREDICTION!r}, the name of the model's output: expected another name"
        raise ConfigurationError(msg)
    for what, asked in (("categorical", categorical), ("numeric", numeric)):
        if unknown := [name for name in names_given(asked, what) if name not in names]:
            msg = f"{what}={unknown!r}: no such columns, expected names out of {list(names)}"
            raise ConfigurationError(msg)
    if both := sorted(set(categorical) & set(numeric)):
        msg = f"{both!r}: named both as categorical and as numeric"
        raise ConfigurationError(msg)


def names_given(asked: Sequence[str], what: str) -> tuple[str, ...]:
    """
    The names that the argument *what* gives.

    Raises:
        ConfigurationError: it is no sequence of texts.
    """
    msg = f"{what}={asked!r}: expected a sequence of column names"
    if isinstance(asked, (str, bytes)):
        raise ConfigurationError(msg)
    try:
        names = tuple(asked)
    except TypeError:
        raise ConfigurationError(msg) from None
    if odd := [name for name in names if not isinstance(name, str)]:
        msg = f"{what}={odd!r}: expected column names, which are texts"
        raise ConfigurationError(msg)
    return names


def training_outputs(values: Any, rows: int, what: str) -> Column:
    """
    The column of *rows* values that the argument *what* gives.

    Raises:
        ConfigurationError: it is not one value per row.
    """
    column = as_outputs(values, rows)
    if column is None:
        msg = f"{what}: expected one value for each of the {rows} rows, got {type(values).__name__}"
        raise ConfigurationError(msg)
    return column


def outcome_counts(
    prediction: Feature | None, outputs: Column | None, outcomes: Any, correct: Correct | None, rows: int
) -> OutcomeCounts | None:
    """
    What is known of the outcomes in each bin of the prediction; None without outcomes.

    Raises:
        ConfigurationError: outcomes without predictions, of another length, or without a way to compare.
    """
    if outcomes is None:
        return None
    if prediction is None or outputs is None:
        msg = "outcomes= without predictions=: expected both, accuracy needs something to compare"
        raise ConfigurationError(msg)
    truth = as_objects(training_outputs(outcomes, rows, "outcomes"))
    right = correct or default_correct(prediction)
    if right is None:
        msg = "outcomes= for a prediction that is a quantity: expected correct=, a function that says when it is right"
        raise ConfigurationError(msg)
    numbers = binner(prediction.bins)(outputs)
    bins, hit = [], []
    for number, output, actual in zip(numbers, as_objects(outputs), truth, strict=True):
        if not is_missing(actual) and not is_missing(output):
            bins.append(number)
            hit.append(bool(right(output, actual)))
    places, correct_ones = np.array(bins, dtype=np.intp), np.array(hit, dtype=np.bool_)
    known = np.bincount(places, minlength=prediction.bins.size)
    hits = np.bincount(places[correct_ones], minlength=prediction.bins.size)
    return OutcomeCounts(tuple(known.tolist()), tuple(hits.tolist()), dispersion(places, correct_ones))
