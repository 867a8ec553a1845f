"""The kind of a prediction, and when a prediction of that kind is right."""

from __future__ import annotations

from typing import Literal, TypeAlias

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
)
from driftline.typing import (
    Correct,
)

__all__ = [
    "Kind",
    "default_correct",
    "kind_of",
]


def default_correct(prediction: Feature) -> Correct | None:
    """
    When a prediction is right, as far as the reference's predictions tell.

    Labels are compared. Numbers that all lie in [0, 1] are probabilities: right when the outcome is true and it is at
    least 0.5, or false and it is below. Any other number is a quantity, and None is returned: how near is near enough
    is for the user to say.
    """
    if isinstance(prediction.bins, CategoricalBins):
        return _same
    moments = prediction.moments
    if moments is not None and moments.minimum >= 0.0 and moments.maximum <= 1.0:
        return _probability
    return None


def _same(prediction: object, actual: object) -> bool:
    return bool(prediction == actual)


def _probability(prediction: object, actual: object) -> bool:
    return (float(prediction) >= 0.5) == bool(actual)  # type: ignore[arg-type]  # noqa: PLR2004 - the usual cut


Kind: TypeAlias = Literal["probability", "label", "quantity"]
"""What a prediction is: the probability of the outcome being true, the name of a class, or a number to come near to."""


def kind_of(prediction: Feature | None) -> Kind | None:
    """What the reference's predictions are; None where it has none."""
    if prediction is None:
        return None
    if isinstance(prediction.bins, CategoricalBins):
        return "label"
    moments = prediction.moments
    probable = moments is not None and moments.minimum >= 0.0 and moments.maximum <= 1.0
    return "probability" if probable else "quantity"
