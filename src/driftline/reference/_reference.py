"""`Reference`: the bins of every feature, and the counts of the training data in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from driftline._binning.bins import MAX_BINS, Feature, OutcomeCounts
from driftline._binning.fitting import count_like
from driftline._binning.label_scheme import LabelArguments, LabelScheme
from driftline._derived.fitting import DerivedRequest, check_projections, derive_columns
from driftline._derived.spec import Derive, Derived, check_functions
from driftline._derived.transform import fingerprint_of
from driftline._runtime import validation as check
from driftline._runtime.files import read_file, write_file
from driftline._runtime.floats import without_float_errors
from driftline._seasons.fitting import kinds_like, zone_like
from driftline._seasons.seasons import Seasons, add_seasons
from driftline._significance.dependence import Dependence
from driftline.errors import ConfigurationError, ReferenceError
from driftline.reference._clusters import Clusters, fit_clusters, merge_clusters
from driftline.reference._dependence import fit_dependence
from driftline.reference._features import FittedFeatures, fit_features
from driftline.reference._html import draw_reference
from driftline.reference._learn import MAX_LEARNED, MIN_LEARNED, Learn
from driftline.reference._merging import merge_dependence, merge_features, merge_outcomes, without_rare
from driftline.reference._outcomes import count_outcomes, fit_labels
from driftline.reference._self_check import SelfCheck, log_check
from driftline.reference._training import TrainingData, column_names
from driftline.typing import Correct, Label

if TYPE_CHECKING:
    import os

__all__ = ["Reference"]

MAX_FILE_BYTES = 64 * 2**20
"""Most bytes of a reference's file. A reference of 10,000 features takes about 10 MB."""


@dataclass(frozen=True, slots=True)
class Reference:
    """
    The bins of every feature and the counts of the training data in them.

    `fit`, `load`, `from_json` and `merge` return references. The only raw values in a reference are cuts, labels of
    categories and moments.

    Attributes:
        features: name, bins, counts and moments of each feature.
        rows: number of rows of the training data.
        prediction: the model's output as a feature; None if the predictions are not known.
        outcomes: outcomes per bin of the prediction; None if they are not known.
        dependence: how consecutive rows of the training data depend on each other; None if there are too few rows.
        check: the result of testing blocks of rows against the rest; ``check.words`` is a sentence about it.
        traffic: how consecutive rows of served traffic depend on each other, if a monitor has learned it.
        derived: the description of the derived features; None if there are none.
        seasons: the counts by hour of the day and day of the week; None if the times of the rows are not known.
        labels: how outcomes are read: the kind of the predictions, their labels and the threshold. None if neither
            outcomes nor *positive*, *threshold* and *classes* of `fit` say it.
        clusters: how much the rows of one key depend on each other; None without *cluster* of `fit`.
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
    labels: LabelScheme | None = None
    clusters: Clusters | None = None
    _repr_html_ = draw_reference

    @classmethod
    @without_float_errors
    def fit(
        cls,
        data: Any,
        *,
        categorical: Sequence[str] = (),
        numeric: Sequence[str] = (),
        predictions: Any = None,
        outcomes: Any = None,
        correct: Correct | None = None,
        positive: Label | None = None,
        threshold: float | None = None,
        classes: Sequence[Label] = (),
        max_categories: int = 50,
        projections: bool | int = False,
        derive: Derive | None = None,
        ignore: Sequence[str] = (),
        like: Reference | None = None,
        time: Any = None,
        seasons: Sequence[str] = (),
        timezone: str | None = None,
        cluster: str | Callable[[Any], object] | None = None,
    ) -> Reference:
        """
        Fit a reference to training data.

        Pass the rows in the order in which they occurred, or pass *time*. The reference then knows from the start how
        consecutive rows depend on each other (see ``check``). With shuffled rows, the monitor learns it from the first
        windows served.

        Args:
            data: a dict of columns, a pandas or polars DataFrame, a pyarrow Table, or a 2-D numpy array. The columns of
                an array are named ``"0"``, ``"1"``, …, and served rows are aligned by their order.
            categorical: columns whose numbers are codes. Strings, booleans, and integers of at most ten distinct values
                are categorical by default.
            numeric: columns that are quantities although they would be categorical by default.
            predictions: the model's output for each row: labels, quantities, or probabilities of the positive label. An
                array or frame of shape (rows, 2), as of ``predict_proba``, has the probability of the positive label
                in its second column. With k > 2 columns the prediction is the most probable label, and *classes* or
                the names of the columns say which it is.
            outcomes: the true value for each row; None or nan if it is unknown. Needs *predictions*.
            correct: called with (prediction, outcome), returns whether the prediction is correct. By default labels are
                compared, and a probability of at least *threshold* predicts the positive label.
            positive: the label whose probability is predicted. By default the outcomes decide: True, 1, the greater of
                two numbers, or the positive word of a pair such as "yes" and "no".
            threshold: smallest probability that predicts the positive label, above 0 and at most 1. By default 0.5.
            classes: the labels in the order of the columns of ``predict_proba``. Of two, the second is positive unless
                *positive* is the first.
            max_categories: most categories of one feature that get their own bin, 1 to 4093. The others share a bin.
            projections: also watch directions through the numeric features, which show that a relation between features
                breaks. True, or the largest number of directions (see ``docs/derived.md``).
            derive: name of a derived feature to the function that computes it. A function gets a row, which is a
                mapping of captured columns to values, and returns a number or a label. If it raises, the value is
                missing. Pass the same functions to the monitor.
            ignore: columns that are not features, such as free text. Only the functions in *derive* read them.
            like: a reference whose bins and directions are used instead of fitting new ones. For data that do not fit
                in memory, fit the first part, fit each other part with ``like=`` the first, and `merge` them. Pass
                *derive* again; *ignore* and *projections* come from the reference.
            time: the time of each row: datetimes, datetime64 or Unix times in seconds. Or the name of the column of
                times, which is then not a feature. The rows are sorted by it.
            seasons: compare windows with the training data of the same hours of the day (``"hour"``) and days of the
                week (``"weekday"``). Needs *time*.
            timezone: the time zone of these hours and days, and of times without one, such as ``"Europe/Berlin"``. By
                default that of *like*, or UTC. Needs *time*.
            cluster: whose rows belong together: the name of a column, such as ``"user_id"``, or a function of a row (as
                for *derive*). The column is no feature, unless *categorical*, *numeric* or *ignore* name it.

        Raises:
            ConfigurationError: there are no rows or columns, lengths differ, a column is unknown, or a value is wrong.
        """
        if like is None:
            ignored = column_names(ignore, "ignore")
        else:
            derived = check.instance("like", like, Reference, "a Reference").derived
            ignored = () if derived is None else derived.other_inputs
        labels = LabelArguments.checked(positive, threshold, classes, MAX_BINS - 3)
        if like is not None and like.labels is not None and predictions is not None and labels == LabelArguments():
            labels = like.labels.arguments
        training = TrainingData.read(
            data,
            categorical=categorical,
            numeric=numeric,
            derive=derive,
            predictions=predictions,
            outcomes=outcomes,
            correct=correct,
            labels=labels,
            time=time,
            seasons=seasons,
            timezone=zone_like(timezone, None if like is None else like.seasons, timed=time is not None),
            ignored=ignored,
            cluster=cluster,
            captured=() if like is None else like.columns,
        )
        most = check.integer("max_categories", max_categories, at_least=1, at_most=MAX_BINS - 3)
        if like is None:
            request = DerivedRequest.checked(training.columns, projections, training.functions, ignored)
            fitted = fit_features(training, request, most)
        else:
            fitted = _count_features(training, like)
        dependence = fit_dependence(training, fitted)
        clusters, self_check = fit_clusters(training.keys, fitted.watched, fitted.columns, dependence.check)
        log_check(self_check, training.rows)
        return cls(
            fitted.features,
            training.rows,
            fitted.prediction,
            fitted.outcomes,
            dependence.dependence,
            self_check,
            derived=fitted.derived,
            seasons=dependence.seasons,
            labels=fitted.labels,
            clusters=clusters,
        )

    def with_traffic(self, dependence: Dependence | None) -> Reference:
        """
        Return a copy of the reference whose *traffic* is the dependence that a monitor has learned.

        A monitor of the copy then knows from the start how rows depend on each other.

        Args:
            dependence: ``Monitor.dependence``. If None, the reference is returned as it is.

        Raises:
            ConfigurationError: the dependence has another number of features.
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
        Return a request for a monitor to learn its reference from the first rows served, without training data.

        Until then the monitor keeps the rows in memory, and evaluates no windows. No window contains these rows.

        Args:
            rows: number of rows to learn from, 100 to 1,000,000.
            categorical: as in `fit`. The functions of *derive* are those of the monitor.
            projections, ignore: as in `fit`.
            vectors: columns whose values are vectors, such as embeddings. (`fit` detects them.)

        Raises:
            ConfigurationError: an argument has a wrong value.
        """
        return Learn(
            check.integer("rows", rows, at_least=MIN_LEARNED, at_most=MAX_LEARNED),
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
            ReferenceError: the file is absent, too large, damaged, or of a newer schema. The message names the part.
        """
        file = check.path("path", path)
        try:
            text = read_file(file, MAX_FILE_BYTES).decode("utf-8")
        except (OSError, ValueError) as error:
            msg = f"{file}: cannot be read: {error}"
            raise ReferenceError(msg) from error
        return _read(text, str(file))

    def save(self, path: str | os.PathLike[str]) -> None:
        """
        Write the reference to a JSON file; equal references give the same bytes.

        The file is written in one step: a full disk or a power failure leaves the old one. Its mode stays. A new file
        gets the mode that the umask allows.

        Raises:
            ReferenceError: `load` would refuse the file. Nothing is written.
            OSError: the folder cannot be written to, or the disk is full.
        """
        file, text = check.path("path", path), self.to_json()
        data = text.encode("utf-8")
        if len(data) > MAX_FILE_BYTES:
            msg = f"{file}: {len(data)} bytes, expected at most {MAX_FILE_BYTES} (fit fewer features or categories)"
            raise ReferenceError(msg)
        # Read it back here, where the training data are at hand, and not only where the model is served.
        _read(text, str(file))
        write_file(file, data)

    def to_json(self) -> str:
        """Return the reference as a JSON string, which the file ``reference.schema.json`` of this package describes."""
        from driftline.reference._json import Document, write_reference  # noqa: PLC0415 - as in `_read`

        return write_reference(Document(**{field.name: getattr(self, field.name) for field in fields(self)}))

    @classmethod
    def from_json(cls, text: str) -> Reference:
        """
        Read a reference from a JSON string.

        Raises:
            ReferenceError: the string is damaged or of a newer schema, or *text* is not a string.
        """
        if not isinstance(text, str):
            msg = f"reference: a {type(text).__name__}, expected a JSON string"
            raise ReferenceError(msg)
        return _read(text, "reference")

    def __repr__(self) -> str:
        optional = ("prediction", "outcomes", "derived", "seasons")
        known = "".join(f", {name}" for name in optional if getattr(self, name) is not None)
        return f"Reference(rows={self.rows}, features={len(self.features)}{known}, fingerprint={self.fingerprint})"

    @property
    def watched(self) -> tuple[Feature, ...]:
        """All that a window counts: the features, then the prediction if it is known."""
        return self.features if self.prediction is None else (*self.features, self.prediction)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the captured columns. They are the names of the features if no feature is derived."""
        return self.derived.columns if self.derived is not None else tuple(feature.name for feature in self.features)

    @property
    def fingerprint(self) -> str:
        """A hash of names, bins and derived features. Counts of references and snapshots that share it may be added."""
        return fingerprint_of(self.watched, self.derived)

    @property
    def _own_bins(self) -> str:
        """A hash of names, bins and derived features, without the rare categories that have no bin of their own."""
        return fingerprint_of(tuple(map(without_rare, self.watched)), self.derived)

    def merge(self, other: Reference) -> Reference:
        """
        Return the reference of the rows of both this reference and *other*, which has the same bins.

        Rare categories may differ: the result has those of both. It is the reference that one fit with ``like=`` to all
        rows returns.

        Raises:
            ConfigurationError: the bins or the seasons differ.
        """
        if not isinstance(other, Reference) or self._own_bins != other._own_bins:
            msg = f"merge({type(other).__name__}): expected a Reference over the same bins (fit it with like=)"
            raise ConfigurationError(msg)
        if self.labels is not None and other.labels is not None and self.labels != other.labels:
            msg = f"merge: outcomes are read as {other.labels}, expected {self.labels} (fit it with like=)"
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
            labels=self.labels or other.labels,
            clusters=merge_clusters(self.clusters, other.clusters, (self.rows, other.rows)),
        )


def _count_features(training: TrainingData, like: Reference) -> FittedFeatures:
    """
    Count training data in the bins of another reference.

    Args:
        training: the training data, with the columns of the other reference.
        like: the other reference.

    Raises:
        ConfigurationError: a column is absent, or only one of the two has times, seasons or predictions.
    """
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
    features = tuple(count_like(feature, columns[feature.name]) for feature in like.features)
    counted = [columns[feature.name] for feature in like.features]
    prediction = None
    if like.prediction is not None and training.predictions is not None:
        prediction = count_like(like.prediction, training.predictions)
        counted.append(training.predictions)
    labels = like.labels or fit_labels(training, prediction)
    outcomes = count_outcomes(training, prediction, labels, like.outcomes)
    return FittedFeatures(features, tuple(counted), prediction, outcomes, labels, like.derived, seasons)


def _read(text: str, source: str) -> Reference:
    """Return the reference that JSON describes. *source* names the JSON in errors."""
    # Three modules that only files need. Programs that fit their reference at the start do not pay for them.
    from driftline.reference._json import read_reference  # noqa: PLC0415

    document = read_reference(text, source)
    return Reference(**{field.name: getattr(document, field.name) for field in fields(document)})
