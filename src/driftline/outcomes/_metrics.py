"""
Counts of outcomes to accuracy, precision, calibration, errors: each with its interval.

Intervals are of 95 % and hold for one look at independent rows; states are judged by tests that may be looked at all
the time (`driftline.outcomes._limits`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import OutcomeCounts
from driftline.outcomes._snapshot import ERROR_SIZES, SCORE_MIDDLES, ClassCounts, OutcomeSnapshot
from driftline.typing import (
    Counts,
    Floats,
    Label,
)

__all__ = ["Performance", "estimated_accuracy", "performance", "wilson"]

Z = 1.959964
"""The 97.5 % quantile of the normal distribution: two-sided intervals of 95 %."""

CALIBRATION_GROUPS = 15
"""Groups of equally many predictions that calibration is measured in, as many as in Guo et al. 2017."""

LEAST_PAIRS = 2
"""Predictions that have a variance."""


@dataclass(frozen=True, slots=True)
class Performance:
    """A number that says how right a model was, the 95 % interval around it, on how many outcomes, of which class."""

    metric: str
    value: float
    lower: float
    upper: float
    rows: int
    label: Label | None = None


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """
    The interval of a proportion (Wilson 1927, *Probable inference, the law of succession, and statistical inference*).

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    if not trials:
        return 0.0, 1.0
    p, square = successes / trials, Z * Z / trials
    middle = (p + square / 2) / (1 + square)
    half = Z * math.sqrt(p * (1 - p) / trials + square / (4 * trials)) / (1 + square)
    # Rounding must not put the proportion itself outside.
    return min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half))


def performance(counts: OutcomeSnapshot, classes: Sequence[Label]) -> tuple[Performance, ...]:
    """All that the counts can tell, precision, recall and F1 of the given classes."""
    return tuple(_all(counts, classes))


def estimated_accuracy(reference: OutcomeCounts, current: Counts) -> Performance | None:
    """
    Accuracy expected of a window from its predictions alone: Σ q_b A_b, and where the realised one will lie.

    ``q_b`` is the share of the window's predictions in bin b, ``A_b`` the reference's accuracy there: the idea of
    confidence-based performance estimation, from counts. It holds while a score goes on meaning what it meant
    (covariate shift), and knows nothing of concept shift. The interval is that of the accuracy that will be realised
    on these very rows: the reference's counts are finite, Σ q_b² A_b (1 - A_b) / (known_b + 2), and so are the
    window's, Σ q_b A_b (1 - A_b) / n; rows next to each other are alike, so both are multiplied by the dispersion that
    the reference has found. None where no prediction falls into a bin of known accuracy.

    >>> found = estimated_accuracy(OutcomeCounts((100, 100), (90, 50)), np.array([300, 100]))
    >>> round(found.value, 2), round(found.lower, 2), round(found.upper, 2)
    (0.8, 0.74, 0.86)
    """
    known = np.array(reference.known, dtype=np.float64)
    usable = (known > 0) & (current > 0)
    rows = float(current[usable].sum())
    if not rows:
        return None
    known, correct = known[usable], np.array(reference.correct, dtype=np.float64)[usable]
    share, accuracy = current[usable] / rows, correct / known
    # In the variance a bin of few outcomes, all right, is not certain: a right one and a wrong one are added (Agresti &
    # Coull 1998, their interval being about Wilson's).
    careful = (correct + 1) / (known + 2)
    noise = careful * (1 - careful)
    variance = float((share**2 * noise / (known + 2)).sum() + (share * noise).sum() / rows)
    value, half = float((share * accuracy).sum()), Z * math.sqrt(variance * reference.dispersion)
    return Performance("accuracy_estimated", value, max(0.0, value - half), min(1.0, value + half), int(rows))


def _all(counts: OutcomeSnapshot, classes: Sequence[Label]) -> Iterator[Performance]:
    if counts.known:
        low, high = wilson(counts.correct, counts.known)
        accuracy = counts.correct / counts.known
        yield Performance("accuracy", accuracy, low, high, counts.known)
        yield Performance("error_rate", 1 - accuracy, 1 - high, 1 - low, counts.known)
    for label in classes:
        found = counts.classes.get(label)
        if found is not None:
            yield from _of_class(label, found)
    scores = counts.scores
    if scores.any():
        yield from _of_scores(scores)
    if counts.errors.any():
        yield from _of_errors(counts.errors)


def _of_class(label: Label, counts: ClassCounts) -> Iterator[Performance]:
    right, wrong, missed = counts.true_positives, counts.false_positives, counts.false_negatives
    if right + wrong:
        yield Performance("precision", right / (right + wrong), *wilson(right, right + wrong), right + wrong, label)
    if right + missed:
        yield Performance("recall", right / (right + missed), *wilson(right, right + missed), right + missed, label)
    rows = right + wrong + missed
    if rows:
        # F1 = 2J / (1 + J), with J the share of the rightly predicted among all that were the class or called so. As it
        # grows with J, the interval of that proportion becomes its own.
        low, high = (2 * bound / (1 + bound) for bound in wilson(right, rows))
        yield Performance("f1", 2 * right / (rows + right), low, high, rows, label)


def _of_scores(scores: Counts) -> Iterator[Performance]:
    rows = int(scores.sum())
    yield _mean("brier", np.stack([SCORE_MIDDLES**2, (1 - SCORE_MIDDLES) ** 2], axis=1).ravel(), scores.ravel(), (0, 1))
    yield _calibration_error(scores, rows)
    negatives, positives = (int(total) for total in scores.sum(axis=0))
    if min(negatives, positives) >= LEAST_PAIRS:
        yield _auc(scores[:, 0].astype(np.float64), scores[:, 1].astype(np.float64))


def _mean(metric: str, values: Floats, counts: Counts, bounds: tuple[float, float]) -> Performance:
    rows = int(counts.sum())
    mean = float(values @ counts) / rows
    variance = float((values - mean) ** 2 @ counts) / max(rows - 1, 1)
    half = Z * math.sqrt(variance / rows)
    return Performance(metric, mean, max(bounds[0], mean - half), min(bounds[1], mean + half), rows)


def _calibration_error(scores: Counts, rows: int) -> Performance:
    """
    Expected calibration error over groups of about equally many predictions.

    Naeini, Cooper & Hauskrecht 2015; groups of equal mass are less biased than those of equal width (Roelofs et al.
    2022, *Mitigating bias in calibration error estimation*). Of a perfect model it is not 0 but about the mean of the
    groups' noise, Σ w s √(2/π); the interval reaches that much lower.
    """
    totals = scores.sum(axis=1)
    group = np.minimum((np.cumsum(totals) - totals / 2) * CALIBRATION_GROUPS // rows, CALIBRATION_GROUPS - 1).astype(
        int
    )
    size, said, true = (
        np.bincount(group, weights=weights, minlength=CALIBRATION_GROUPS)
        for weights in (totals, totals * SCORE_MIDDLES, scores[:, 1])
    )
    size, said, true = (one[size > 0] for one in (size, said, true))
    weight, share = size / rows, true / size
    noise = np.sqrt(np.maximum(share * (1 - share), said / size * (1 - said / size)) / size)
    value = float((weight * np.abs(share - said / size)).sum())
    half = Z * math.sqrt(float((weight**2 * noise**2).sum()))
    bias = float((weight * noise).sum()) * math.sqrt(2 / math.pi)
    return Performance("calibration_error", value, max(0.0, value - half - bias), min(1.0, value + half), rows)


def _auc(negatives: Floats, positives: Floats) -> Performance:
    """
    The area under the ROC curve, ties within a bin counting half.

    Its variance from the placements (DeLong, DeLong & Clarke-Pearson 1988), which are the same within a bin.
    """
    n, m = negatives.sum(), positives.sum()
    below = (np.cumsum(negatives) - negatives / 2) / n
    above = (m - np.cumsum(positives) + positives / 2) / m
    area = float(below @ positives / m)
    variance = ((below - area) ** 2 @ positives) / (m - 1) / m + ((above - area) ** 2 @ negatives) / (n - 1) / n
    half = Z * math.sqrt(float(variance))
    return Performance("auc", area, max(0.0, area - half), min(1.0, area + half), int(n + m))


def _of_errors(errors: Counts) -> Iterator[Performance]:
    everywhere = (-math.inf, math.inf)
    yield _mean("mae", np.abs(ERROR_SIZES), errors, (0.0, math.inf))
    yield _mapped(_mean("mse", ERROR_SIZES**2, errors, (0.0, math.inf)), "rmse", math.sqrt)
    yield _mean("bias", ERROR_SIZES, errors, everywhere)


def _mapped(one: Performance, metric: str, function: Callable[[float], float]) -> Performance:
    """A number that grows with another one: so do the bounds."""
    return Performance(metric, function(one.value), function(one.lower), function(one.upper), one.rows, one.label)
