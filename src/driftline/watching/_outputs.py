"""The outputs of a watched object as predictions of one kind: labels, probabilities, quantities or scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np

from driftline._binning.bins import CategoricalBins, Feature
from driftline._binning.label_scheme import LabelScheme
from driftline._binning.prediction_kind import kind_of
from driftline._capture.libraries import count_dimensions
from driftline._recording.buffer import NO_OUTPUT
from driftline._runtime.guard import UnreadableError, returning_on_error
from driftline.reference import Reference

__all__ = ["Outputs", "explains"]

OutputKind: TypeAlias = Literal["label", "probability", "quantity", "score"]

Classes: TypeAlias = tuple[Any, ...]
"""The labels of a classifier in the order of the columns of its probabilities."""

PROBABILITIES = frozenset({"predict_proba", "predict_log_proba"})

SCORES = frozenset({"decision_function", "score_samples"})

EXPLANATIONS = ("pred_contribs", "pred_contrib", "pred_leaf", "pred_interactions", "approx_contribs")
"""Arguments of xgboost and lightgbm that return an explanation or the leaves, and no prediction."""

MARGINS = ("output_margin", "raw_score")
"""Arguments of xgboost and lightgbm that return the sum of the trees, and no probability."""

MATRIX, BINARY = 2, 2


def explains(keywords: Mapping[str, Any]) -> bool:
    """Return whether the arguments of a call ask for an explanation in place of a prediction."""
    return any(keywords.get(name) for name in EXPLANATIONS) if keywords else False


class Outputs:
    """
    Reads the outputs of all methods of one object as predictions of the kind that the reference has.

    While a reference is learned, the first call decides the kind. An output that cannot be brought to that
    kind is skipped: its call counts, and its features.
    """

    __slots__ = ("_kind",)

    def __init__(self) -> None:
        self._kind: OutputKind | None = None

    def read(
        self, method: str, model: Any, result: Any, keywords: Mapping[str, Any], reference: Reference | None
    ) -> Any:
        """
        Return the predictions in the result of a call, or `NO_OUTPUT`.

        Args:
            method: the name of the method.
            model: the object.
            result: what the method returned.
            keywords: the keyword arguments of the call.
            reference: the reference at work, or None while one is learned.

        Raises:
            UnreadableError: the result holds several outputs.
        """
        if _is_late(result):
            return NO_OUTPUT
        if isinstance(result, tuple) and result and not hasattr(result, "_fields"):
            result = result[0]  # (mean, standard deviation) of a Gaussian process
        classes = _classes(model)
        kind = _kind(method, keywords, has_classes=classes is not None)
        prediction = None if reference is None else reference.prediction
        wanted = self._wanted(kind, prediction, classes)
        if kind == "probability":
            return _probabilities(method, result, classes, wanted, None if reference is None else reference.labels)
        if classes is None and kind == "quantity":
            return result  # of a model that does not say what it predicts
        return result if kind == wanted or {kind, wanted} == {"quantity", "score"} else NO_OUTPUT

    def _wanted(self, kind: OutputKind, prediction: Feature | None, classes: Classes | None) -> OutputKind:
        """Return the kind of the predictions: that of the first call while a reference is learned, else its own."""
        if self._kind is None and prediction is None:
            self._kind = kind
        if self._kind is not None:
            return self._kind
        if classes is not None and _holds_labels(prediction, classes):
            return "label"
        return kind_of(prediction) or kind


def _kind(method: str, keywords: Mapping[str, Any], *, has_classes: bool) -> OutputKind:
    form = keywords.get("prediction_type") if keywords else None  # of catboost
    if method in PROBABILITIES or form == "Probability":
        return "probability"
    if method in SCORES or form == "RawFormulaVal" or any(keywords.get(name) for name in MARGINS):
        return "score"
    return "label" if has_classes else "quantity"


def _holds_labels(prediction: Feature | None, classes: Classes) -> bool:
    """Return whether the predictions of the training data are classes, also if these are numbers."""
    if prediction is None or isinstance(prediction.bins, CategoricalBins):
        return prediction is not None
    known, moments = prediction.bins.known_values, prediction.moments
    if known:
        return set(classes).issuperset(known)
    extremes = {} if moments is None else {moments.minimum, moments.maximum}
    return len(classes) > BINARY and bool(extremes) and set(classes).issuperset(extremes)


def _probabilities(
    method: str, result: Any, classes: Classes | None, wanted: OutputKind, labels: LabelScheme | None
) -> Any:
    """Return probabilities as the reference has the predictions: of the positive class, or the most probable labels."""
    if isinstance(result, list) and result and all(count_dimensions(each) == MATRIX for each in result):
        msg = (
            f"{method} returned a list of {len(result)} arrays, as a model of several outputs does: expected "
            "output= of watch, a function that returns the predictions of one of them"
        )
        raise UnreadableError(msg)
    if method == "predict_log_proba":
        result = np.exp(result)
    if count_dimensions(result) != MATRIX or classes is None or result.shape[1] != len(classes):
        return result if wanted == "probability" or classes is None else NO_OUTPUT
    if wanted == "probability" and len(classes) == BINARY:
        positive = None if labels is None else labels.positive
        return result[:, classes.index(positive) if positive in classes else 1]
    if wanted not in {"label", "probability"}:
        return NO_OUTPUT
    ordered = () if labels is None else labels.classes
    if len(ordered) == len(classes) > BINARY and set(ordered) == set(classes):
        return result[:, [classes.index(label) for label in ordered]]  # the monitor reads the confidence as well
    return _most_probable(result, classes)


def _most_probable(result: Any, classes: Classes) -> Any:
    scores = np.asarray(result)
    return [classes[index] for index in scores.argmax(axis=1).tolist()]


@returning_on_error(None)
def _classes(model: Any) -> Classes | None:
    """Return the labels of a classifier in the order of its probabilities; None for other models."""
    classes = getattr(model, "classes_", None)
    if classes is None or isinstance(classes, (str, Mapping)) or count_dimensions(classes) > 1 or not len(classes):
        return None
    if isinstance(classes, list) and count_dimensions(classes[0]):
        return None  # of several outputs
    return tuple(classes.tolist() if isinstance(classes, np.ndarray) else classes)


def _is_late(result: Any) -> bool:
    """Return whether a result is awaited or iterated after the call. Reading it would consume it."""
    return hasattr(type(result), "__await__") or hasattr(type(result), "__next__")
