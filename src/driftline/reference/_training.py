"""`TrainingData`: the checked arguments of `Reference.fit`, as columns of equal length."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driftline._binning.bins import MAX_FEATURES, PREDICTION
from driftline._binning.label_scheme import LabelArguments
from driftline._capture.clusters import Cluster, check_cluster
from driftline._capture.columns import as_objects
from driftline._capture.labels import plain_label
from driftline._capture.tables import Table, read_table
from driftline._derived.spec import Derive, as_functions
from driftline._runtime import validation as check
from driftline._seasons.fitting import check_kinds, drop_time_column
from driftline._seasons.times import time_column
from driftline._seasons.zones import TimeZone
from driftline.errors import ConfigurationError
from driftline.reference._clusters import KeyColumn, read_keys, without_column
from driftline.reference._predictions import read_outputs, read_predictions
from driftline.typing import Column, Correct, Floats

__all__ = ["TrainingData", "column_names"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """
    Training data as columns of equal length.

    Attributes:
        rows: number of rows.
        columns: name to column, in the order in which rows are captured. The column of times is not among them.
        categorical: True for each name in the argument ``categorical=``, False for each name in ``numeric=``.
        functions: name of a derived feature to the user function that computes it from a row.
        predictions: the model's output for each row, a label or number; None if it is not known.
        scores: the probability of each predicted label, shape (rows,), nan where it is not known. None if no label has
            one, and for numbers.
        outcomes: the true value for each row, as Python objects; None if they are not known.
        correct: the user function of (prediction, outcome) that says whether the prediction is correct; None if there
            is none.
        labels: the arguments that say how outcomes are read.
        times: Unix time of each row in seconds, shape (rows,); None if the times are not known.
        time_column: name of the column of times; None if the times are not a column of the data.
        seasons: kinds of season by which windows are compared: some of ``"hour"`` and ``"weekday"``.
        zone: the time zone of hours and days.
        keys: the keys of the rows; None if they are not known.
    """

    rows: int
    columns: Mapping[str, Column]
    categorical: Mapping[str, bool]
    functions: Derive
    predictions: Column | None
    scores: Floats | None
    outcomes: Sequence[object] | None
    correct: Correct | None
    labels: LabelArguments
    times: Floats | None
    time_column: str | None
    seasons: tuple[str, ...]
    zone: TimeZone
    keys: KeyColumn | None

    @classmethod
    def read(
        cls,
        data: Any,
        *,
        categorical: Sequence[str],
        numeric: Sequence[str],
        derive: Derive | None,
        predictions: Any,
        outcomes: Any,
        correct: Correct | None,
        labels: LabelArguments,
        time: Any,
        seasons: Sequence[str],
        timezone: str,
        ignored: Collection[str],
        cluster: object,
        captured: Collection[str],
    ) -> TrainingData:
        """
        Read and check the arguments of `Reference.fit`, which describes them.

        *captured* are the names of columns that are captured even if they hold the keys.

        Raises:
            ConfigurationError: an argument is of the wrong type, names an unknown column, or has another length than
                the data.
        """
        # Columns that are no features are read only if there are functions that may read them.
        source: Cluster | None = check.optional(check_cluster, "cluster", cluster)
        unread = () if derive or callable(source) else [name for name in ignored if name != source]
        table = _read_table(data, unread=unread, inputs=ignored)
        names = table.names or tuple(str(index) for index in range(len(table.columns)))
        times = None
        zone = TimeZone(timezone)
        if time is not None:
            times = time_column(time, names, table.columns, table.rows, zone)
            names, table = drop_time_column(table, names, time)
        keys = None
        if source is not None:
            captured = {*captured, *ignored, *categorical, *numeric}
            keys = read_keys(source, names, table.columns, table.rows, captured)
            if keys.index is not None:
                names, table = without_column(table, names, names[keys.index])
        functions = as_functions(derive)
        _check_names((*names, *functions), categorical, numeric)
        check.encodable("data: column", (*names, *functions))
        kinds = check_kinds(seasons, timed=times is not None)
        if correct is not None:
            check.function("correct", correct, "a function of a prediction and an outcome")
        if outcomes is not None and predictions is None:
            msg = "outcomes= without predictions=: expected both, accuracy needs something to compare"
            raise ConfigurationError(msg)
        if predictions is None and labels != LabelArguments():
            msg = f"{labels.words} without predictions=: expected both"
            raise ConfigurationError(msg)
        truths = None if outcomes is None else _plain_outcomes(read_outputs(outcomes, table.rows, "outcomes"))
        column: Column | None = None
        scores: Floats | None = None
        if predictions is not None:
            column, scores, labels = read_predictions(predictions, table.rows, labels, truths)
        return cls(
            rows=table.rows,
            columns=dict(zip(names, table.columns, strict=True)),
            categorical={**dict.fromkeys(categorical, True), **dict.fromkeys(numeric, False)},
            functions=functions,
            predictions=column,
            scores=scores,
            outcomes=truths,
            correct=correct,
            labels=labels,
            times=times,
            time_column=time if isinstance(time, str) else None,
            seasons=kinds,
            zone=zone,
            keys=keys,
        )


def column_names(names: Sequence[str], argument: str) -> tuple[str, ...]:
    """
    Return the names of columns in an argument as a tuple.

    Args:
        names: the value of the argument.
        argument: the name of the argument, for the message of an error.

    Raises:
        ConfigurationError: the argument is not a sequence of strings.
    """
    msg = f"{argument}={names!r}: expected a sequence of column names"
    if isinstance(names, (str, bytes)):
        raise ConfigurationError(msg)
    try:
        checked = tuple(names)
    except TypeError:
        raise ConfigurationError(msg) from None
    if wrong := [name for name in checked if not isinstance(name, str)]:
        msg = f"{argument}={wrong!r}: expected column names, which are strings"
        raise ConfigurationError(msg)
    return checked


def _plain_outcomes(column: Column) -> Sequence[object]:
    """Return outcomes as Python objects. A list may hold scalars of pyarrow, such as ``list(table["label"])``."""
    values = as_objects(column)
    has_scalars = any(hasattr(kind, "as_py") for kind in set(map(type, values)))
    return [plain_label(value) for value in values] if has_scalars else values


def _read_table(data: Any, *, unread: Collection[str], inputs: Collection[str]) -> Table:
    try:
        table = read_table(data, unread=unread, inputs=inputs)
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


def _check_names(names: Sequence[str], categorical: Sequence[str], numeric: Sequence[str]) -> None:
    """
    Check the names of columns and derived features, and the arguments that refer to them.

    Raises:
        ConfigurationError: a name is empty or `PREDICTION`, *categorical* or *numeric* has an unknown name, or both
            have the same name.
    """
    if "" in names:
        msg = "data: a column is named '': expected a string that is not empty"
        raise ConfigurationError(msg)
    if PREDICTION in names:
        msg = f"data: a column is named {PREDICTION!r}, the name of the model's output: expected another name"
        raise ConfigurationError(msg)
    for argument, listed in (("categorical", categorical), ("numeric", numeric)):
        if unknown := [name for name in column_names(listed, argument) if name not in names]:
            msg = f"{argument}={unknown!r}: no such columns, expected names from {list(names)}"
            raise ConfigurationError(msg)
    if both := sorted(set(categorical) & set(numeric)):
        msg = f"{both!r}: named both as categorical and as numeric"
        raise ConfigurationError(msg)
