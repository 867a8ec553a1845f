"""Training data to a reference: the bins of every feature, fixed once, and what the training data put into them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline._binning import Layout, binner, is_missing
from driftline._dependence import Dependence
from driftline._fitting import count_feature, fit_dependence, fit_feature
from driftline._frames import Table, as_objects, read_table
from driftline._outputs import as_outputs, default_correct
from driftline._reference_json import MAX_BINS, MAX_FEATURES, Document, dumps, loads
from driftline._self_check import SelfCheck
from driftline._values import (
    PREDICTION,
    Column,
    Correct,
    Feature,
    Moments,
    OutcomeCounts,
)
from driftline.errors import ConfigurationError, ReferenceError

if TYPE_CHECKING:
    import os


__all__ = ["Learn", "Reference"]

_log = logging.getLogger("driftline")

MAX_FILE_BYTES = 64 * 2**20
"""A reference of 10,000 features is about 10 MB: a larger file is none of ours."""


@dataclass(frozen=True, slots=True)
class Learn:
    """A reference that is yet to be learnt from the first *rows* rows served."""

    rows: int
    categorical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """
    The bins of every feature and the counts of the training data in them.

    Made by `fit`, `load` or `merge`; its only raw values are cuts, category labels and moments.

    ``dependence`` says how rows of the training data next to each other depend on each other, ``check`` what that means
    (print it), ``traffic`` how rows that are served do, where that has been learnt.
    """

    features: tuple[Feature, ...]
    rows: int
    prediction: Feature | None = None
    outcomes: OutcomeCounts | None = None
    dependence: Dependence | None = None
    check: SelfCheck | None = None
    traffic: Dependence | None = None

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        categorical: Sequence[str] = (),
        numeric: Sequence[str] = (),
        predictions: Any = None,
        outcomes: Any = None,
        correct: Correct | None = None,
        max_categories: int = 50,
        like: Reference | None = None,
    ) -> Reference:
        """
        Fit a reference to training data.

        The rows are best given in the order in which they came to be: how rows next to each other depend on each other
        is then known from the start, and what it means stands in ``check``. Of shuffled rows it cannot be known, and is
        learnt from the first windows served.

        Args:
            data: a dict of columns, a pandas or polars DataFrame, a pyarrow Table, or a 2-D numpy array (its columns
                are then named ``"0"``, ``"1"``, … and served rows are aligned by order).
            categorical: columns whose numbers are codes. Texts and booleans are categorical anyway, integers of at
                most ten distinct values too.
            numeric: columns that are quantities all the same.
            predictions: the model's outputs for these rows, one per row.
            outcomes: what turned out to be true, one per row (None or nan: unknown); needs *predictions*.
            correct: decides whether a prediction was right; by default a probability of at least 0.5 stands for true,
                and labels are compared.
            max_categories: categories with a bin of their own.
            like: a reference whose bins are used instead of fitting new ones, for data that do not fit in memory: fit
                the first part, count each other part ``like`` it, and `merge`.

        Raises:
            ConfigurationError: no rows or columns, lengths that differ, unknown column names, dates.
        """
        table = _table(data)
        names = table.names or tuple(str(place) for place in range(len(table.columns)))
        _check_names(names, categorical, numeric)
        if like is not None and not isinstance(like, Reference):
            msg = f"like={like!r}: expected a Reference"
            raise ConfigurationError(msg)
        if correct is not None and not callable(correct):
            msg = f"correct={correct!r}: expected a function of a prediction and an outcome"
            raise ConfigurationError(msg)
        if (
            isinstance(max_categories, bool)
            or not isinstance(max_categories, int)
            or not 1 <= max_categories <= MAX_BINS - 3
        ):
            msg = f"max_categories={max_categories!r}: expected a whole number from 1 to {MAX_BINS - 3}"
            raise ConfigurationError(msg)
        outputs = None if predictions is None else _outputs(predictions, table.rows, "predictions")
        if like is not None:
            return _count_like(
                like, dict(zip(names, table.columns, strict=True)), table.rows, outputs, outcomes, correct
            )
        kinds = {**dict.fromkeys(categorical, True), **dict.fromkeys(numeric, False)}
        features = tuple(
            fit_feature(name, column, kinds.get(name), max_categories)
            for name, column in zip(names, table.columns, strict=True)
        )
        prediction = None if outputs is None else fit_feature(PREDICTION, outputs, None, max_categories)
        known = _outcome_counts(prediction, outputs, outcomes, correct, table.rows)
        return _with_dependence(cls(features, table.rows, prediction, known), table.columns, outputs)

    def with_traffic(self, dependence: Dependence | None) -> Reference:
        """
        With the dependence of rows that a monitor has learnt (`Monitor.dependence`), so that the next one knows it.

        Raises:
            ConfigurationError: it is that of another number of features.
        """
        if dependence is None:
            return self
        if not isinstance(dependence, Dependence) or dependence.factors.shape[1] != len(self.watched):
            msg = f"dependence={dependence!r}: expected that of a monitor of these {len(self.watched)} features"
            raise ConfigurationError(msg)
        return replace(self, traffic=dependence)

    @staticmethod
    def learn(rows: int = 10_000, *, categorical: Sequence[str] = ()) -> Learn:
        """
        Ask a monitor to learn its reference from the first *rows* rows served: no training data at hand.

        Until then nothing is judged; the rows are kept in memory and are not part of any window.

        Raises:
            ConfigurationError: fewer than 100 rows (bins of a few values each say nothing) or more than 1,000,000.
        """
        if isinstance(rows, bool) or not isinstance(rows, int) or not 100 <= rows <= 1_000_000:  # noqa: PLR2004
            msg = f"rows={rows!r}: expected a whole number from 100 to 1000000"
            raise ConfigurationError(msg)
        return Learn(rows, _names(categorical, "categorical"))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Reference:
        """
        Read a reference from a JSON file.

        Raises:
            ReferenceError: the file is absent, too large, damaged, or of a newer schema; the message says where.
        """
        file = _file(path)
        try:
            size = file.stat().st_size
            with file.open("rb") as stream:
                # Devices and pipes have no size: no more than the limit is read of anything.
                data = stream.read(MAX_FILE_BYTES + 1) if size <= MAX_FILE_BYTES else b""
            text = data.decode("utf-8")
        except (OSError, ValueError) as error:
            msg = f"{file}: cannot be read: {error}"
            raise ReferenceError(msg) from error
        if max(size, len(data)) > MAX_FILE_BYTES:
            msg = f"{file}: {max(size, len(data))} bytes, expected at most {MAX_FILE_BYTES}"
            raise ReferenceError(msg)
        return _from(loads(text, str(file)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the reference as JSON: the same bytes for the same reference."""
        _file(path).write_bytes(self.to_json().encode("utf-8"))

    def to_json(self) -> str:
        """The reference as JSON text, in the form of the shipped ``reference.schema.json``."""
        return dumps(Document(**{field.name: getattr(self, field.name) for field in fields(self)}))

    @classmethod
    def from_json(cls, text: str) -> Reference:
        """
        Read a reference from JSON text.

        Raises:
            ReferenceError: the text is damaged, of a newer schema, or no text.
        """
        if not isinstance(text, str):
            msg = f"reference: a {type(text).__name__}, expected JSON text"
            raise ReferenceError(msg)
        return _from(loads(text, "reference"))

    @property
    def watched(self) -> tuple[Feature, ...]:
        """All that is counted: the features, then the prediction where there is one."""
        return self.features if self.prediction is None else (*self.features, self.prediction)

    @property
    def fingerprint(self) -> str:
        """Which bins these are: references and snapshots of equal fingerprint add up."""
        return Layout(self.watched).fingerprint

    def merge(self, other: Reference) -> Reference:
        """
        Add a reference over the same bins.

        Raises:
            ConfigurationError: the bins differ.
        """
        if not isinstance(other, Reference) or self.fingerprint != other.fingerprint:
            msg = f"merge({type(other).__name__}): expected a Reference over the same bins (fit it with like=)"
            raise ConfigurationError(msg)
        outcomes = self.outcomes
        if outcomes is not None and other.outcomes is not None:
            outcomes = OutcomeCounts(
                _added(outcomes.known, other.outcomes.known), _added(outcomes.correct, other.outcomes.correct)
            )
        merged = tuple(_merged(*pair) for pair in zip(self.features, other.features, strict=True))
        prediction = self.prediction
        if prediction is not None and other.prediction is not None:
            prediction = _merged(prediction, other.prediction)
        return replace(
            self,
            features=merged,
            rows=self.rows + other.rows,
            prediction=prediction,
            outcomes=outcomes or other.outcomes,
            dependence=_together(self.dependence, other.dependence),
            check=None,
            traffic=_together(self.traffic, other.traffic),
        )


def _from(document: Document) -> Reference:
    return Reference(**{field.name: getattr(document, field.name) for field in fields(document)})


def _table(data: Any) -> Table:
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


def _check_names(names: Sequence[str], categorical: Sequence[str], numeric: Sequence[str]) -> None:
    if PREDICTION in names:
        msg = f"data: a column is named {PREDICTION!r}, the name of the model's output: expected another name"
        raise ConfigurationError(msg)
    for what, asked in (("categorical", categorical), ("numeric", numeric)):
        if unknown := [name for name in _names(asked, what) if name not in names]:
            msg = f"{what}={unknown!r}: no such columns, expected names out of {list(names)}"
            raise ConfigurationError(msg)
    if both := sorted(set(categorical) & set(numeric)):
        msg = f"{both!r}: named both as categorical and as numeric"
        raise ConfigurationError(msg)


def _names(asked: Sequence[str], what: str) -> tuple[str, ...]:
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


def _file(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path)
    except TypeError as error:
        msg = f"path={path!r}: expected the path of a file"
        raise ConfigurationError(msg) from error


def _outputs(values: Any, rows: int, what: str) -> Column:
    column = as_outputs(values, rows)
    if column is None:
        msg = f"{what}: expected one value for each of the {rows} rows, got {type(values).__name__}"
        raise ConfigurationError(msg)
    return column


def _outcome_counts(
    prediction: Feature | None, outputs: Column | None, outcomes: Any, correct: Correct | None, rows: int
) -> OutcomeCounts | None:
    if outcomes is None:
        return None
    if prediction is None or outputs is None:
        msg = "outcomes= without predictions=: expected both, accuracy needs something to compare"
        raise ConfigurationError(msg)
    truth = as_objects(_outputs(outcomes, rows, "outcomes"))
    right = correct or default_correct(prediction)
    if right is None:
        msg = "outcomes= for a prediction that is a quantity: expected correct=, a function that says when it is right"
        raise ConfigurationError(msg)
    numbers = binner(prediction.bins)(outputs)
    known = np.zeros(prediction.bins.size, dtype=np.int64)
    hits = np.zeros(prediction.bins.size, dtype=np.int64)
    for number, output, actual in zip(numbers, as_objects(outputs), truth, strict=True):
        if not is_missing(actual) and not is_missing(output):
            known[number] += 1
            hits[number] += bool(right(output, actual))
    return OutcomeCounts(tuple(known.tolist()), tuple(hits.tolist()))


def _count_like(
    like: Reference,
    columns: dict[str, Column],
    rows: int,
    outputs: Column | None,
    outcomes: Any,
    correct: Correct | None,
) -> Reference:
    if absent := [feature.name for feature in like.features if feature.name not in columns]:
        msg = f"data: columns {absent} of the reference given as like= are absent"
        raise ConfigurationError(msg)
    if (like.prediction is None) != (outputs is None):
        msg = "predictions= must be given exactly when the reference given as like= has predictions"
        raise ConfigurationError(msg)
    features = tuple(count_feature(feature.name, feature.bins, columns[feature.name]) for feature in like.features)
    prediction = None
    if like.prediction is not None and outputs is not None:
        prediction = count_feature(PREDICTION, like.prediction.bins, outputs)
    known = _outcome_counts(prediction, outputs, outcomes, correct, rows)
    watched = [columns[feature.name] for feature in like.features]
    return _with_dependence(Reference(features, rows, prediction, known), watched, outputs)


def _with_dependence(reference: Reference, columns: Sequence[Column], outputs: Column | None) -> Reference:
    """With what the rows of the training data say about each other."""
    watched = columns if outputs is None else (*columns, outputs)
    dependence, check = fit_dependence(reference.watched, watched, reference.rows)
    _log.info("reference of %d rows: %s", reference.rows, check.words)
    return replace(reference, dependence=dependence, check=check)


def _together(ours: Dependence | None, theirs: Dependence | None) -> Dependence | None:
    return ours.merged(theirs) if ours is not None and theirs is not None else ours or theirs


def _added(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(ours, theirs, strict=True))


def _merged(ours: Feature, theirs: Feature) -> Feature:
    counts = _added(ours.counts, theirs.counts)
    if ours.moments is None or theirs.moments is None:
        return replace(ours if theirs.moments is None else theirs, counts=counts, once=ours.once + theirs.once)
    a, b = ours.moments, theirs.moments
    count = a.count + b.count
    share = b.count / count
    mean = a.mean + (b.mean - a.mean) * share
    # Chan, Golub & LeVeque 1979: the variance of two samples from their own.
    variance = a.std**2 * (1 - share) + b.std**2 * share + (b.mean - a.mean) ** 2 * share * (1 - share)
    means = tuple(
        (one * n + other * m) / (n + m) if n + m else one
        for one, other, n, m in zip(ours.means, theirs.means, ours.counts, theirs.counts, strict=True)
    )
    low, high = min(a.minimum, b.minimum), max(a.maximum, b.maximum)
    return replace(ours, counts=counts, means=means, moments=Moments(count, mean, float(variance**0.5), low, high))
