"""The classes that have precision, recall and F1 if the user names none."""

from __future__ import annotations

from collections.abc import Sequence

from driftline._binning.bins import CategoricalBins, Feature
from driftline._binning.prediction_kind import kind_of
from driftline.outcomes._snapshot import OutcomeSnapshot
from driftline.typing import Label

__all__ = ["default_classes", "frequent_classes"]

MAX_DEFAULT_CLASSES = 10
"""Number of the most frequent classes that have precision, recall and F1 if the user names no classes."""


def default_classes(prediction: Feature | None) -> tuple[Label, ...]:
    """Return the classes of a prediction: its first categories, or True for a probability, or else none."""
    if prediction is None or not isinstance(prediction.bins, CategoricalBins):
        return (True,) if kind_of(prediction) == "probability" else ()
    return prediction.bins.categories[:MAX_DEFAULT_CLASSES]


def frequent_classes(window: OutcomeSnapshot) -> Sequence[Label]:
    """Return at most `MAX_DEFAULT_CLASSES` classes of a window, the most frequent outcomes first."""
    classes = window.classes
    by_frequency = sorted(
        classes,
        key=lambda label: (-classes[label].true_positives - classes[label].false_negatives, str(label)),
    )
    return by_frequency[:MAX_DEFAULT_CLASSES]
