"""Fits the features of a reference to training data: their bins, and the counts of the data in them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from driftline._binning.bins import MAX_FEATURES, PREDICTION, Feature, OutcomeCounts
from driftline._binning.categories import describe_identifiers
from driftline._binning.fitting import fit_feature
from driftline._binning.label_scheme import LabelScheme
from driftline._derived.fitting import DerivedRequest, fit_derived
from driftline._derived.spec import Derived
from driftline.errors import ConfigurationError
from driftline.reference._outcomes import count_outcomes, fit_labels
from driftline.reference._training import TrainingData
from driftline.typing import Column

__all__ = ["FittedFeatures", "fit_features"]

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
        labels: how outcomes are read; None if nothing is known about them.
        derived: the description of the derived features; None if there are none.
        seasons: kinds of season by which windows are compared.
    """

    features: tuple[Feature, ...]
    columns: tuple[Column, ...]
    prediction: Feature | None
    outcomes: OutcomeCounts | None
    labels: LabelScheme | None
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
    labels = fit_labels(training, prediction)
    outcomes = count_outcomes(training, prediction, labels)
    return FittedFeatures(features, tuple(counted), prediction, outcomes, labels, derived, training.seasons)


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
