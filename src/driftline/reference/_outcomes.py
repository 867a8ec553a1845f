"""Reads the outcomes of training data: which labels they have, and how many predictions were correct."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from driftline._binning.bins import CategoricalBins, ConfidenceBins, Feature, OutcomeCounts
from driftline._binning.label_scheme import (
    DEFAULT_THRESHOLD,
    PAIR,
    LabelArguments,
    LabelScheme,
    TruthReader,
    are_equal,
    both_kinds,
    find_pair,
    is_text,
)
from driftline._binning.layout import binner
from driftline._binning.prediction_kind import Kind, is_probable
from driftline._capture.columns import as_floats, as_objects
from driftline._capture.labels import is_missing, label_of
from driftline._runtime.guard import UnreadableError
from driftline._significance.dispersion import dispersion
from driftline.errors import ConfigurationError
from driftline.reference._confidence import confidence_bins, count_confidence
from driftline.reference._training import TrainingData
from driftline.typing import Floats, Label

__all__ = ["count_outcomes", "fit_labels"]

REVERSED = 4.0
"""
Standard errors by which the predictions of the negative label may exceed those of the positive one. A good model has
the opposite; beyond this, an order of labels that was only assumed is wrong.
"""

MAX_SHOWN = 3
"""Most labels that the message of an error shows."""


def fit_labels(training: TrainingData, prediction: Feature | None) -> LabelScheme | None:
    """
    Return how outcomes are read, decided by predictions and outcomes together.

    Args:
        training: the training data.
        prediction: the prediction as a feature; None if the predictions are not known.

    Returns:
        The scheme; None if there is nothing to say about outcomes.

    Raises:
        ConfigurationError: the outcomes do not fit the predictions, or they do not say which label is positive.
    """
    asked = training.labels
    if prediction is None or training.predictions is None:
        return None
    labels = [] if training.outcomes is None else _distinct(training.outcomes)
    if isinstance(prediction.bins, CategoricalBins):
        return _label_scheme(asked, prediction.bins, labels)
    named = asked.names_labels or len(asked.classes) > 0
    if not is_probable(prediction):
        if named:
            moments = prediction.moments
            shown = "nothing" if moments is None else f"numbers from {moments.minimum:.6g} to {moments.maximum:.6g}"
            msg = f"predictions: {shown}: expected probabilities from 0 to 1, because of {asked.words}"
            raise ConfigurationError(msg)
        if training.correct is None and any(map(is_text, labels)):
            msg = f"outcomes: strings such as {_shown(labels)}, and predictions that are numbers: {_expected_pairs()}"
            raise ConfigurationError(msg)
        return None if training.outcomes is None else LabelScheme("quantity")
    if not named and not labels:
        return None
    if not named and _are_quantities(labels):
        return LabelScheme("quantity")
    if training.correct is not None and not named and find_pair(labels) is None:
        return None
    return _probability_scheme(training, labels)


def _distinct(outcomes: Sequence[object]) -> list[Label]:
    """Return the different labels among outcomes, in order of appearance, without missing ones."""
    try:
        values = dict.fromkeys(outcomes)
    except TypeError:
        wrong = next((value for value in outcomes if isinstance(value, (list, tuple, dict, np.ndarray))), None)
        msg = (
            f"outcomes: a {type(wrong).__name__} in a row: expected one label or number per row. A model of several "
            f"outputs needs a monitor for each"
        )
        raise ConfigurationError(msg) from None
    return [*dict.fromkeys(label_of(value) for value in values if not is_missing(value))]


def _label_scheme(asked: LabelArguments, bins: CategoricalBins, labels: Sequence[Label]) -> LabelScheme:
    if asked.threshold is not None:
        msg = f"threshold={asked.threshold!r}: expected predictions that are probabilities, these are labels"
        raise ConfigurationError(msg)
    known = {*bins.categories, *bins.others}
    if labels and known and not both_kinds(known):
        texts = is_text(next(iter(known)))
        wrong = [label for label in labels if is_text(label) is not texts]
        if wrong:
            msg = (
                f"outcomes: {_shown(wrong)} of type {type(wrong[0]).__name__}, and predictions of type "
                f"{type(next(iter(known))).__name__} such as {_shown([*known])}: no such prediction could be right, "
                f"expected outcomes of the type of the predictions"
            )
            raise ConfigurationError(msg)
        if not bins.open and len(labels) > 1 and known.isdisjoint(labels):
            msg = f"outcomes: {_shown(labels)}, none of which is a label of the predictions ({_shown([*known])})"
            raise ConfigurationError(msg)
    pair, predicted = find_pair(labels), find_pair(known)
    shared = set(pair or ()) & set(predicted or ())
    if pair and predicted and len(set(labels)) == len(known) == PAIR and len(shared) == 1:
        msg = (
            f"outcomes: {_shown(list(pair))}, and predictions such as {_shown(list(predicted))}: one of each can never "
            f"be equal, expected the labels of the predictions"
        )
        raise ConfigurationError(msg)
    return LabelScheme("label", asked.classes, asked.positive)


def _are_quantities(labels: Sequence[Label]) -> bool:
    """Return whether outcomes are quantities: numbers of which there are more than two, or that are not whole."""
    if any(map(is_text, labels)):
        return False
    return len(labels) > PAIR or any(label != int(label) for label in labels)


def _probability_scheme(training: TrainingData, labels: Sequence[Label]) -> LabelScheme:
    asked = training.labels
    pair = _asked_pair(asked, labels)
    if pair is None:
        pair = find_pair(labels)
        if pair is None:
            if both_kinds(labels):
                msg = f"outcomes: strings and numbers such as {_shown(labels)}: expected labels of one type"
            elif len(labels) > PAIR:
                msg = f"outcomes: {len(labels)} labels such as {_shown(labels)}: {_expected_pairs()}"
            else:
                msg = (
                    f"outcomes: {_shown(labels)}, of which none is known to be positive: expected positive=, the label "
                    f"that the predicted probability is about"
                )
            raise ConfigurationError(msg)
    if not set(pair) <= {0, 1} and None not in pair:
        _check_order(training, pair)
    negative, positive = pair
    classes = asked.classes or (() if negative is None else (negative, positive))
    threshold = DEFAULT_THRESHOLD if asked.threshold is None else asked.threshold
    scheme = LabelScheme("probability", classes, positive, threshold)
    reader = TruthReader(scheme)
    wrong = [label for label in labels if not _is_readable(reader, label)]
    if wrong:
        known = [label for label in pair if label is not None]
        msg = f"outcomes: {_shown(wrong)}: expected one of the two labels {_shown(known)}"
        raise ConfigurationError(msg)
    return scheme


def _is_readable(reader: TruthReader, label: Label) -> bool:
    try:
        reader.read(label)
    except UnreadableError:
        return False
    return True


def _asked_pair(asked: LabelArguments, labels: Sequence[Label]) -> tuple[Label | None, Label] | None:
    """Return the negative and the positive label that the arguments name; None if they name none."""
    if asked.classes:
        if len(asked.classes) != PAIR:
            msg = f"classes={list(asked.classes)!r}: expected two for predictions that are one probability per row"
            raise ConfigurationError(msg)
        positive = asked.classes[1] if asked.positive is None else asked.positive
        return next(label for label in asked.classes if label != positive), positive
    if asked.positive is None:
        return None
    wrong = [label for label in labels if is_text(label) is not is_text(asked.positive)]
    if wrong:
        msg = (
            f"positive={asked.positive!r}: of type {type(asked.positive).__name__}, and outcomes such as "
            f"{_shown(wrong)} of type {type(wrong[0]).__name__}: no outcome could be positive, expected one of "
            f"their labels"
        )
        raise ConfigurationError(msg)
    others = [label for label in labels if not are_equal(asked.positive, label)]
    return (others[0] if others else None), asked.positive


def _check_order(training: TrainingData, pair: tuple[Label | None, Label]) -> None:
    """
    Check that predictions of the label that is assumed to be positive are not lower than those of the other one.

    Raises:
        ConfigurationError: they are lower by more than `REVERSED` standard errors.
    """
    if training.predictions is None or training.outcomes is None:
        return
    scores: Floats = as_floats(training.predictions)
    labels = np.array([PAIR if is_missing(value) else _index(pair, value) for value in training.outcomes])
    parts = [scores[(labels == number) & np.isfinite(scores)] for number in (0, 1)]
    if min(map(len, parts)) < 2:  # noqa: PLR2004 - for a variance
        return
    difference = parts[1].mean() - parts[0].mean()
    error = float(np.sqrt(sum(part.var() / len(part) for part in parts)))
    if difference < -REVERSED * error:
        msg = (
            f"outcomes: {pair[1]!r} has lower predictions ({parts[1].mean():.3g} on average) than {pair[0]!r} "
            f"({parts[0].mean():.3g}): expected positive=, the label that the predicted probability is about (of two "
            f"columns of predictions, the second has it, unless classes= names them)"
        )
        raise ConfigurationError(msg)


def _index(pair: Sequence[Label | None], value: object) -> int:
    """Return the index of a value in the pair; that after the pair if it is none of them."""
    label = label_of(value)
    return pair.index(label) if label in pair else len(pair)


def _shown(labels: Sequence[Label]) -> str:
    return ", ".join(map(repr, labels[:MAX_SHOWN])) + (", …" if len(labels) > MAX_SHOWN else "")


def _expected_pairs() -> str:
    return (
        "expected two labels and predictions that are probabilities, or labels as predictions (for probabilities of "
        "several classes pass an array of shape (rows, classes) and classes=)"
    )


def count_outcomes(
    training: TrainingData,
    prediction: Feature | None,
    labels: LabelScheme | None,
    like: OutcomeCounts | None = None,
) -> OutcomeCounts | None:
    """
    Count known outcomes and correct predictions of training data, in each bin of the prediction.

    Args:
        training: the training data.
        prediction: the prediction as a feature; None if the predictions are not known.
        labels: how outcomes are read.
        like: counts whose bins of confidences are used. If None, new ones are fitted.

    Returns:
        The counts; None if outcomes or predictions are not known.

    Raises:
        ConfigurationError: the prediction is a quantity, and there is no function that says whether it is correct.
    """
    if training.outcomes is None or training.predictions is None or prediction is None:
        return None
    bins, hits, rows = [], [], []
    unknown = all(map(is_missing, training.outcomes))
    correct = training.correct or _default_correct(labels, unknown=unknown)
    values = zip(
        binner(prediction.bins)(training.predictions), as_objects(training.predictions), training.outcomes, strict=True
    )
    for row, (number, predicted, actual) in enumerate(values):
        if not is_missing(actual) and not is_missing(predicted):
            rows.append(row)
            bins.append(number)
            hits.append(bool(correct(predicted, actual)))
    known_bins, is_hit = np.array(bins, dtype=np.intp), np.array(hits, dtype=np.bool_)
    known = np.bincount(known_bins, minlength=prediction.bins.size)
    correct_counts = np.bincount(known_bins[is_hit], minlength=prediction.bins.size)
    predictions, scores = training.predictions, training.scores
    cells = confidence_bins(prediction, predictions, scores, labels) if like is None else _confidence_bins_of(like)
    confidence = None
    if cells is not None:
        confidence = count_confidence(cells, prediction, predictions, scores, np.array(rows, dtype=np.intp), is_hit)
    return OutcomeCounts(
        tuple(known.tolist()), tuple(correct_counts.tolist()), dispersion(known_bins, is_hit), confidence
    )


def _confidence_bins_of(counts: OutcomeCounts) -> ConfidenceBins | None:
    return None if counts.confidence is None else counts.confidence.bins


def _default_correct(labels: LabelScheme | None, *, unknown: bool) -> Callable[[Any, Any], bool]:
    """
    Return the function of a prediction and its outcome that says whether the prediction is correct.

    Args:
        labels: how outcomes are read.
        unknown: whether no outcome is known, so that the function is not called.

    Raises:
        ConfigurationError: predictions are quantities, of which only the user knows which error is acceptable.
    """
    kind: Kind | None = None if labels is None else labels.kind
    if labels is not None and kind == "probability":
        reader, threshold = TruthReader(labels), labels.threshold
        return lambda predicted, actual: (float(predicted) >= threshold) == reader.read(actual)
    if kind == "label" or unknown:
        return lambda predicted, actual: label_of(predicted) == label_of(actual)
    msg = (
        "outcomes= of a prediction that is a quantity: expected correct=, a function that decides if it is correct, or "
        "outcomes= of two labels if the predictions are probabilities"
    )
    raise ConfigurationError(msg)
