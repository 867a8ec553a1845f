"""The kind of a model's predictions, and the rule by which a prediction of that kind is correct."""

from __future__ import annotations

from typing import Literal, TypeAlias

from driftline._binning.bins import CategoricalBins, Feature
from driftline.typing import Correct

__all__ = ["Kind", "default_correct", "kind_of"]


def default_correct(prediction: Feature) -> Correct | None:
    """
    Return a function of a prediction and its outcome that says whether the prediction is correct.

    A label is correct if it equals the outcome. If all predictions of the training data lie in [0, 1], they are
    probabilities. A probability of at least 0.5 predicts that the outcome is true. For other numbers, return None,
    because only the user knows which error is acceptable.

    Args:
        prediction: the prediction, as the reference describes it.
    """
    if isinstance(prediction.bins, CategoricalBins):
        return _equal
    moments = prediction.moments
    if moments is not None and moments.minimum >= 0.0 and moments.maximum <= 1.0:
        return _agrees_with_probability
    return None


def _equal(prediction: object, actual: object) -> bool:
    return bool(prediction == actual)


def _agrees_with_probability(prediction: object, actual: object) -> bool:
    return (float(prediction) >= 0.5) == bool(actual)  # type: ignore[arg-type]  # noqa: PLR2004 - the usual cut


Kind: TypeAlias = Literal["probability", "label", "quantity"]
"""Kinds of predictions: the probability that the outcome is true, the name of a class, or an estimate of a number."""


def kind_of(prediction: Feature | None) -> Kind | None:
    """
    Return the kind of the predictions that the feature *prediction* describes; None if it is None.

    Categories are labels. Numbers are probabilities if those of the training data lie in [0, 1], else quantities.
    """
    if prediction is None:
        return None
    if isinstance(prediction.bins, CategoricalBins):
        return "label"
    moments = prediction.moments
    probable = moments is not None and moments.minimum >= 0.0 and moments.maximum <= 1.0
    return "probability" if probable else "quantity"
