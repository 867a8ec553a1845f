"""The kind of a model's predictions."""

from __future__ import annotations

from typing import Literal, TypeAlias

from driftline._binning.bins import CategoricalBins, Feature

__all__ = ["Kind", "is_probable", "kind_of"]

ROUNDING = 1e-6
"""By how much a probability may leave the range from 0 to 1, because sums of float32 do."""


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
    return "probability" if is_probable(prediction) else "quantity"


def is_probable(prediction: Feature) -> bool:
    """Return whether all predictions of the training data lie in [0, 1], as probabilities do."""
    moments = prediction.moments
    return moments is not None and moments.minimum >= -ROUNDING and moments.maximum <= 1.0 + ROUNDING
