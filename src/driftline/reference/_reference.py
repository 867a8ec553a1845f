"""The reference: the bins of every feature, fixed once, and the counts of the training data in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from driftline._binning.bins import MAX_BINS, PREDICTION, Feature, OutcomeCounts
from driftline._binning.fitting import count_feature
from driftline._binning.layout import Layout
from driftline._derived.fitting import DerivedRequest, check_projections, derive_columns
from driftline._derived.spec import Derive, Derived, check_functions
from driftline._derived.transform import fingerprint_of
from driftline._runtime import validation as check
from driftline._seasons.expectation import Seasons, add_seasons
from driftline._seasons.fitting import kinds_like
from driftline._significance.dependence import Dependence
from driftline.errors import ConfigurationError, ReferenceError
from driftline.reference._dependence import fit_dependence
from driftline.reference._features import FittedFeatures, count_outcomes, fit_features
from driftline.reference._json import Document, read_reference, write_reference
from driftline.reference._merging import merge_dependence, merge_features, merge_outcomes
from driftline.reference._self_check import SelfCheck
from driftline.reference._training import TrainingData, column_names
from driftline.typing import Correct

if TYPE_CHECKING:
    import os

__all__ = ["Learn", "Reference"]

_log = logging.getLogger("driftline")

MAX_FILE_BYTES = 64 * 2**20
"""A reference of 10,000 features is about 10 MB: a larger file is none of ours."""

LEAST_LEARNT = 100
"""Rows that a reference is learnt from at least: with fewer, each bin would hold a few values only."""

MOST_LEARNT = 1_000_000
"""Rows that a reference is learnt from at most: they are held in memory until the reference is fitted."""


@dataclass(frozen=True, slots=True)
class Learn:
    """A reference that is yet to be learnt from the first *rows* rows served."""

    rows: int
    categorical: tuple[str, ...] = ()
    projections: int = 0
    ignore: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """
    The bins of every feature and the counts of the training data in them.

    Made by `fit`, `load` or `merge`; its only raw values are cuts, category labels and moments.

    ``dependence`` says how rows of the training data next to each other depend on each other, ``check`` what that means
    (print it), ``traffic`` how rows that are served do, where that has been learnt; ``seasons`` holds the counts by
    hour of the day and day of the week, where they were asked for.
    """

    features: tuple[Feature, ...]
    rows: int
    prediction: Feature | None = None
    outcomes: OutcomeCounts | None = None
    dependence: Dependence | None = None
    check: SelfCheck | None = None
    traffic: Dependence | None = None
    derived: Derived | None = None
    seasons: Seasons | None = None

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
        projections: bool | int = False,
        derive: Derive | None = None,
        ignore: Sequence[str] = (),
        like: Reference | None = None,
        time: Any = None,
        seasons: Sequence[str] = (),
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
            projections: watch directions through the numeric features as well, so that a relation between features
                that breaks is found: True, or how many directions at most (``driftline._derived.spec.Projections``).
            derive: functions of a row (a mapping of captured columns to values) by the name of the feature that they
                make, a number or a label; the monitor is given the same ones. A row for which one raises lacks it.
            ignore: columns that are no features: only *derive* sees them, such as free text.
            like: a reference whose bins are used instead of fitting new ones, for data that do not fit in memory: fit
                the first part, count each other part ``like`` it, and `merge`. Directions and *ignore* are its own
                too; *derive* is given again.
            time: when the rows came to be: the name of a column (then no feature), or a time for each row: datetimes
                (naive ones are UTC), datetime64 or UNIX seconds. Rows are put in that order to see how they depend on
                each other, and which seasons they show.
            seasons: compare windows with the hours of the day (``"hour"``) and the days of the week (``"weekday"``)
                that their rows fall into, in UTC; needs *time*.

        Raises:
            ConfigurationError: no rows or columns, lengths that differ, unknown column names, dates, no times.
        """
        training = TrainingData.read(
            data,
            categorical=categorical,
            numeric=numeric,
            derive=derive,
            predictions=predictions,
            outcomes=outcomes,
            correct=correct,
            time=time,
            seasons=seasons,
        )
        most_categories = check.integer("max_categories", max_categories, at_least=1, at_most=MAX_BINS - 3)
        if like is None:
            ignored = column_names(ignore, "ignore")
            request = DerivedRequest.checked(training.columns, projections, training.functions, ignored)
            fitted = fit_features(training, request, most_categories)
        else:
            fitted = _count_features(training, check.instance("like", like, Reference, "a Reference"))
        dependence = fit_dependence(training, fitted)
        _log.info("reference of %d rows: %s", training.rows, dependence.check.words)
        return cls(
            fitted.features,
            training.rows,
            fitted.prediction,
            fitted.outcomes,
            dependence.dependence,
            dependence.check,
            derived=fitted.derived,
            seasons=dependence.seasons,
        )

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
    def learn(
        rows: int = 10_000,
        *,
        categorical: Sequence[str] = (),
        projections: bool | int = False,
        ignore: Sequence[str] = (),
        vectors: Sequence[str] = (),
    ) -> Learn:
        """
        Ask a monitor to learn its reference from the first *rows* rows served: no training data at hand.

        Until then nothing is judged; the rows are kept in memory and are not part of any window.

        Args:
            rows: how many rows to learn from.
            categorical: as for `fit`, and so are *projections* and *ignore*; the functions of *derive* are the
                monitor's.
            projections: as for `fit`.
            ignore: as for `fit`.
            vectors: columns whose values are vectors, such as embeddings; `fit` sees that for itself.

        Raises:
            ConfigurationError: fewer than 100 rows (bins of a few values each say nothing) or more than 1,000,000.
        """
        return Learn(
            check.integer("rows", rows, at_least=LEAST_LEARNT, at_most=MOST_LEARNT),
            column_names(categorical, "categorical"),
            check_projections(projections),
            column_names(ignore, "ignore"),
            column_names(vectors, "vectors"),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Reference:
        """
        Read a reference from a JSON file.

        Raises:
            ReferenceError: the file is absent, too large, damaged, or of a newer schema; the message says where.
        """
        file = check.path("path", path)
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
        return _from_document(read_reference(text, str(file)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the reference as JSON: the same bytes for the same reference."""
        check.path("path", path).write_bytes(self.to_json().encode("utf-8"))

    def to_json(self) -> str:
        """The reference as JSON text, in the form of the shipped ``reference.schema.json``."""
        return write_reference(Document(**{field.name: getattr(self, field.name) for field in fields(self)}))

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
        return _from_document(read_reference(text, "reference"))

    @property
    def watched(self) -> tuple[Feature, ...]:
        """All that is counted: the features, then the prediction where there is one."""
        return self.features if self.prediction is None else (*self.features, self.prediction)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a row is captured as: the features, unless some are derived."""
        return self.derived.columns if self.derived is not None else tuple(feature.name for feature in self.features)

    @property
    def fingerprint(self) -> str:
        """Which bins these are: references and snapshots of equal fingerprint add up."""
        return fingerprint_of(Layout(self.watched), self.derived)

    def merge(self, other: Reference) -> Reference:
        """
        Add a reference over the same bins.

        Raises:
            ConfigurationError: the bins, or the seasons, differ.
        """
        if not isinstance(other, Reference) or self.fingerprint != other.fingerprint:
            msg = f"merge({type(other).__name__}): expected a Reference over the same bins (fit it with like=)"
            raise ConfigurationError(msg)
        merged = tuple(merge_features(*pair) for pair in zip(self.features, other.features, strict=True))
        prediction = self.prediction
        if prediction is not None and other.prediction is not None:
            prediction = merge_features(prediction, other.prediction)
        return replace(
            self,
            features=merged,
            rows=self.rows + other.rows,
            prediction=prediction,
            outcomes=merge_outcomes(self.outcomes, other.outcomes),
            dependence=merge_dependence(self.dependence, other.dependence),
            check=None,
            traffic=merge_dependence(self.traffic, other.traffic),
            seasons=add_seasons(self.seasons, other.seasons),
        )


def _count_features(training: TrainingData, like: Reference) -> FittedFeatures:
    """Count training data in the bins of another reference."""
    seasons = kinds_like(training.seasons, like.seasons, timed=training.times is not None)
    functions = check_functions(like.derived, training.functions)
    columns = training.columns
    if like.derived is not None:
        columns = derive_columns(like.derived, functions, columns, training.rows)
    if absent := [feature.name for feature in like.features if feature.name not in columns]:
        msg = f"data: columns {absent} of the reference given as like= are absent"
        raise ConfigurationError(msg)
    if (like.prediction is None) != (training.predictions is None):
        msg = "predictions= must be given exactly when the reference given as like= has predictions"
        raise ConfigurationError(msg)
    features = tuple(count_feature(feature.name, feature.bins, columns[feature.name]) for feature in like.features)
    counted = [columns[feature.name] for feature in like.features]
    prediction = None
    if like.prediction is not None and training.predictions is not None:
        prediction = count_feature(PREDICTION, like.prediction.bins, training.predictions)
        counted.append(training.predictions)
    outcomes = count_outcomes(training, prediction)
    return FittedFeatures(features, tuple(counted), prediction, outcomes, like.derived, seasons)


def _from_document(document: Document) -> Reference:
    return Reference(**{field.name: getattr(document, field.name) for field in fields(document)})
