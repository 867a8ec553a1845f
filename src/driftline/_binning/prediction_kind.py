"""Kinds of predictions, and when a prediction of each kind is correct."""

from __future__ import annotations

from typing import Literal, TypeAlias

from driftline._binning.bins import CategoricalBins, Feature
from driftline.typing import Correct

__all__ = ["Kind", "default_correct", "kind_of"]


def default_correct(prediction: Feature) -> Correct | None:
    """
    Return the function that decides whether a prediction is correct; None for a quantity.

    A label is correct if it equals the outcome. Predictions that all lie in [0, 1] are probabilities: a probability is
    correct if it is at least 0.5 and the outcome is true, or below 0.5 and the outcome is false. Other numbers are
    quantities: only the user knows which error is acceptable.
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
    """Return the kind of a reference's predictions; None if it has none."""
    if prediction is None:
        return None
    if isinstance(prediction.bins, CategoricalBins):
        return "label"
    moments = prediction.moments
    probable = moments is not None and moments.minimum >= 0.0 and moments.maximum <= 1.0
    return "probability" if probable else "quantity"
