"""Fits the features of a reference to training data: their bins, and the counts of the data in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import MAX_FEATURES, PREDICTION, Feature, OutcomeCounts
from driftline._binning.categories import describe_identifiers
from driftline._binning.fitting import fit_feature
from driftline._binning.layout import binner
from driftline._binning.prediction_kind import default_correct
from driftline._capture.columns import as_objects
from driftline._capture.labels import is_missing
from driftline._derived.fitting import DerivedRequest, fit_derived
from driftline._derived.spec import Derived
from driftline._significance.dispersion import dispersion
from driftline.errors import ConfigurationError
from driftline.reference._training import TrainingData
from driftline.typing import Column

__all__ = ["FittedFeatures", "count_outcomes", "fit_features"]

_log = logging.getLogger("driftline")


@dataclass(frozen=True, slots=True, eq=False)
class FittedFeatures:
    """
    The features of a reference, and the columns of values that are counted in their bins.

    Attributes:
        features: the features, the derived ones last.
        columns: the values of each feature, then the predictions if they are known.
        prediction: the model's output as a feature; None if the predictions are not known.
        outcomes: outcomes per bin of the prediction; None if they are not known.
        derived: the description of the derived features; None if there are none.
        seasons: kinds of season by which windows are compared.
    """

    features: tuple[Feature, ...]
    columns: tuple[Column, ...]
    prediction: Feature | None
    outcomes: OutcomeCounts | None
    derived: Derived | None
    seasons: tuple[str, ...]

    @property
    def watched(self) -> tuple[Feature, ...]:
        """The features, then the prediction if it is known."""
        return self.features if self.prediction is None else (*self.features, self.prediction)


def fit_features(training: TrainingData, request: DerivedRequest, max_categories: int) -> FittedFeatures:
    """
    Fit the bins of every feature, and count the training data in them.

    Args:
        training: the training data.
        request: the features to derive.
        max_categories: most categories of one feature that get their own bin.

    Raises:
        ConfigurationError: a column holds values of an unsupported type, or there are no features or too many.
    """
    columns = training.columns
    features = tuple(
        fit_feature(name, column, training.categorical.get(name), max_categories)
        for name, column in columns.items()
        if name not in request.inputs
    )
    derived = None
    if not request.is_empty:
        derived, derived_features, columns = fit_derived(
            request, columns, training.rows, features, training.categorical, max_categories
        )
        features = (*features, *derived_features)
    if not 0 < len(features) <= MAX_FEATURES:
        msg = f"data: {len(features)} features, expected 1 to {MAX_FEATURES}"
        raise ConfigurationError(msg)
    counted = [columns[feature.name] for feature in features]
    prediction = None
    if training.predictions is not None:
        prediction = fit_feature(PREDICTION, training.predictions, None, max_categories)
        counted.append(training.predictions)
    _warn_of_identifiers(features, prediction)
    outcomes = count_outcomes(training, prediction)
    return FittedFeatures(features, tuple(counted), prediction, outcomes, derived, training.seasons)


def _warn_of_identifiers(features: Sequence[Feature], prediction: Feature | None) -> None:
    """Log a warning for each feature whose labels should not be in a file, and the warning that names the remedy."""
    for feature in (*features, *(() if prediction is None else (prediction,))):
        if why := describe_identifiers(feature):
            is_output = feature is prediction
            remedy = "predictions= of classes or numbers" if is_output else f"ignore=[{feature.name!r}]"
            _log.warning(
                "%s %r looks like an identifier or personal data: %s. Its labels are part of the reference and of its "
                "file; expected %s if they should not be",
                "the output" if is_output else "column",
                feature.name,
                why,
                remedy,
            )


def count_outcomes(training: TrainingData, prediction: Feature | None) -> OutcomeCounts | None:
    """
    Count known outcomes and correct predictions of training data, in each bin of the prediction.

    Args:
        training: the training data.
        prediction: the prediction as a feature; None if the predictions are not known.

    Returns:
        The counts; None if outcomes or predictions are not known.

    Raises:
        ConfigurationError: the prediction is a quantity, and there is no function that says whether it is correct.
    """
    if training.outcomes is None or training.predictions is None or prediction is None:
        return None
    correct = training.correct or default_correct(prediction)
    if correct is None:
        msg = (
            "outcomes= of a prediction that is a quantity: expected correct=, a function that decides if it is correct"
        )
        raise ConfigurationError(msg)
    bins, hits = [], []
    values = zip(
        binner(prediction.bins)(training.predictions), as_objects(training.predictions), training.outcomes, strict=True
    )
    for number, predicted, actual in values:
        if not is_missing(actual) and not is_missing(predicted):
            bins.append(number)
            hits.append(bool(correct(predicted, actual)))
    known_bins, is_hit = np.array(bins, dtype=np.intp), np.array(hits, dtype=np.bool_)
    known = np.bincount(known_bins, minlength=prediction.bins.size)
    correct_counts = np.bincount(known_bins[is_hit], minlength=prediction.bins.size)
    return OutcomeCounts(tuple(known.tolist()), tuple(correct_counts.tolist()), dispersion(known_bins, is_hit))
