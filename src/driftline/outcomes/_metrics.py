"""
Computes metrics with 95 % intervals from outcome counts: accuracy, precision, calibration, errors and others.

The intervals are valid for a single evaluation of independent rows. The states of limits come from sequential tests
instead, which are valid however often they are evaluated (`driftline.outcomes._limits`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import Bins, OutcomeCounts
from driftline._binning.groups import add_up_groups
from driftline.outcomes._snapshot import ERROR_VALUES, SCORE_MIDDLES, ClassCounts, OutcomeSnapshot
from driftline.typing import (
    Counts,
    Floats,
    Label,
)

__all__ = ["Performance", "estimated_accuracy", "performance", "wilson_interval"]

Z = 1.959964
"""The 97.5 % quantile of the normal distribution: two-sided intervals of 95 %."""

CALIBRATION_GROUPS = 15
"""Number of groups of predictions in the calibration error, from Guo et al. 2017."""

MIN_CLASS_ROWS = 2
"""Smallest number of true and of false outcomes for an AUC, because the variance of one value is undefined."""


@dataclass(frozen=True, slots=True)
class Performance:
    """
    A metric of a model with its 95 % interval.

    Attributes:
        metric: the name of the metric, such as ``"accuracy"``, ``"recall"`` or ``"rmse"``.
        value: the value of the metric.
        lower: the lower end of the interval.
        upper: the upper end of the interval.
        rows: the number of outcomes from which the value is computed.
        label: the class of precision, recall and F1; None for other metrics.
    """

    metric: str
    value: float
    lower: float
    upper: float
    rows: int
    label: Label | None = None


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """
    Return the lower and upper end of the 95 % interval of a proportion.

    Source: Wilson 1927, *Probable inference, the law of succession, and statistical inference*.

    >>> [round(bound, 3) for bound in wilson_interval(8, 10)]
    [0.49, 0.943]
    """
    if not trials:
        return 0.0, 1.0
    p, square = successes / trials, Z * Z / trials
    middle = (p + square / 2) / (1 + square)
    half = Z * math.sqrt(p * (1 - p) / trials + square / (4 * trials)) / (1 + square)
    # Rounding must not leave the proportion itself outside the interval.
    return min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half))


def performance(counts: OutcomeSnapshot, classes: Sequence[Label]) -> tuple[Performance, ...]:
    """Return each metric that has enough counts. Only *classes* get precision, recall and F1."""
    return tuple(_iter_metrics(counts, classes))


def estimated_accuracy(reference: OutcomeCounts, current: Counts, bins: Bins | None = None) -> Performance | None:
    """
    Estimate the accuracy of a window from its predictions alone, before any outcome arrives.

    The estimate is Σ q_b A_b. ``q_b`` is the window's share of predictions in bin b, ``A_b`` the reference's accuracy
    in that bin. This is confidence-based performance estimation, computed from counts. It is valid as long as the
    accuracy within each bin stays the same (covariate shift). It does not notice a change of that accuracy (concept
    shift).

    The interval is for the accuracy that these rows will have once all outcomes are known. Its variance is the sum of
    the reference's part, Σ q_b² A_b (1 - A_b) / (known_b + 2), and the window's part, Σ q_b A_b (1 - A_b) / n. Both are
    multiplied by the dispersion of the reference, because neighbouring rows depend on each other.

    Args:
        reference: outcomes and correct predictions of the reference by bin of the prediction.
        current: shape (bins,), predictions of the window by bin.
        bins: the bins of the prediction. A prediction close to a known one then has the accuracy of that one (see
            `NumericBins.groups`). If None, each bin is by itself.

    Returns:
        The estimate, or None if no prediction falls into a bin of known accuracy.

    >>> estimate = estimated_accuracy(OutcomeCounts((100, 100), (90, 50)), np.array([300, 100]))
    >>> round(estimate.value, 2), round(estimate.lower, 2), round(estimate.upper, 2)
    (0.8, 0.74, 0.86)
    """
    known, correct = (np.array(counts, dtype=np.float64) for counts in (reference.known, reference.correct))
    if bins is not None:
        known, correct, current = (add_up_groups(bins, counts) for counts in (known, correct, current))
    usable = (known > 0) & (current > 0)
    rows = float(current[usable].sum())
    if not rows:
        return None
    known, correct = known[usable], correct[usable]
    share, accuracy = current[usable] / rows, correct / known
    # A bin with few outcomes, all right, is not certain. So the variance adds one right and one wrong outcome
    # (Agresti & Coull 1998, whose interval is close to Wilson's).
    smoothed = (correct + 1) / (known + 2)
    noise = smoothed * (1 - smoothed)
    variance = float((share**2 * noise / (known + 2)).sum() + (share * noise).sum() / rows)
    value, half = float((share * accuracy).sum()), Z * math.sqrt(variance * reference.dispersion)
    return Performance("accuracy_estimated", value, max(0.0, value - half), min(1.0, value + half), int(rows))


def _iter_metrics(counts: OutcomeSnapshot, classes: Sequence[Label]) -> Iterator[Performance]:
    if counts.known:
        low, high = wilson_interval(counts.correct, counts.known)
        accuracy = counts.correct / counts.known
        yield Performance("accuracy", accuracy, low, high, counts.known)
        yield Performance("error_rate", 1 - accuracy, 1 - high, 1 - low, counts.known)
    for label in classes:
        class_counts = counts.classes.get(label)
        if class_counts is not None:
            yield from _class_metrics(label, class_counts)
    scores = counts.scores
    if scores.any():
        yield from _score_metrics(scores)
    if counts.errors.any():
        yield from _error_metrics(counts.errors)


def _class_metrics(label: Label, counts: ClassCounts) -> Iterator[Performance]:
    right, wrong, missed = counts.true_positives, counts.false_positives, counts.false_negatives
    if right + wrong:
        yield Performance(
            "precision", right / (right + wrong), *wilson_interval(right, right + wrong), right + wrong, label
        )
    if right + missed:
        yield Performance(
            "recall", right / (right + missed), *wilson_interval(right, right + missed), right + missed, label
        )
    rows = right + wrong + missed
    if rows:
        # F1 = 2J / (1 + J). J is the share of true positives among all rows of the class or predicted as it. F1 grows
        # with J, so the interval of that proportion maps to the interval of F1.
        low, high = (2 * bound / (1 + bound) for bound in wilson_interval(right, rows))
        yield Performance("f1", 2 * right / (rows + right), low, high, rows, label)


def _score_metrics(scores: Counts) -> Iterator[Performance]:
    rows = int(scores.sum())
    yield _mean_metric(
        "brier", np.stack([SCORE_MIDDLES**2, (1 - SCORE_MIDDLES) ** 2], axis=1).ravel(), scores.ravel(), (0, 1)
    )
    yield _calibration_error(scores, rows)
    negatives, positives = (int(total) for total in scores.sum(axis=0))
    if min(negatives, positives) >= MIN_CLASS_ROWS:
        yield _auc(scores[:, 0].astype(np.float64), scores[:, 1].astype(np.float64))


def _mean_metric(metric: str, values: Floats, counts: Counts, bounds: tuple[float, float]) -> Performance:
    """Return the mean of *values*, each weighted by its count. The interval is cut off at *bounds*."""
    rows = int(counts.sum())
    mean = float(values @ counts) / rows
    variance = float((values - mean) ** 2 @ counts) / max(rows - 1, 1)
    half = Z * math.sqrt(variance / rows)
    return Performance(metric, mean, max(bounds[0], mean - half), min(bounds[1], mean + half), rows)


def _calibration_error(scores: Counts, rows: int) -> Performance:
    """
    Return the expected calibration error over groups of about equally many predictions.

    Source: Naeini, Cooper & Hauskrecht 2015. Groups of equal size are less biased than groups of equal width (Roelofs
    et al. 2022, *Mitigating bias in calibration error estimation*). A perfectly calibrated model has an error of about
    Σ w s √(2/π). Here w is a group's share of the rows, and s its standard error. So the interval extends down by that
    amount.

    Args:
        scores: shape (186, 2), outcomes that were false, and true, by bin of the probability.
        rows: number of outcomes.
    """
    totals = scores.sum(axis=1)
    group = np.minimum((np.cumsum(totals) - totals / 2) * CALIBRATION_GROUPS // rows, CALIBRATION_GROUPS - 1).astype(
        int
    )
    size, score_sum, positives = (
        np.bincount(group, weights=weights, minlength=CALIBRATION_GROUPS)
        for weights in (totals, totals * SCORE_MIDDLES, scores[:, 1])
    )
    size, score_sum, positives = (values[size > 0] for values in (size, score_sum, positives))
    weight, share, mean_score = size / rows, positives / size, score_sum / size
    noise = np.sqrt(np.maximum(share * (1 - share), mean_score * (1 - mean_score)) / size)
    value = float((weight * np.abs(share - mean_score)).sum())
    half = Z * math.sqrt(float((weight**2 * noise**2).sum()))
    bias = float((weight * noise).sum()) * math.sqrt(2 / math.pi)
    return Performance("calibration_error", value, max(0.0, value - half - bias), min(1.0, value + half), rows)


def _auc(negatives: Floats, positives: Floats) -> Performance:
    """
    Return the area under the ROC curve. Pairs of a false and a true outcome in the same bin count half.

    Source of the variance: DeLong, DeLong & Clarke-Pearson 1988, with equal placements within a bin.

    Args:
        negatives: shape (bins,), outcomes that were false, by bin of the probability.
        positives: shape (bins,), outcomes that were true.
    """
    n, m = negatives.sum(), positives.sum()
    below = (np.cumsum(negatives) - negatives / 2) / n
    above = (m - np.cumsum(positives) + positives / 2) / m
    area = float(below @ positives / m)
    variance = ((below - area) ** 2 @ positives) / (m - 1) / m + ((above - area) ** 2 @ negatives) / (n - 1) / n
    half = Z * math.sqrt(float(variance))
    return Performance("auc", area, max(0.0, area - half), min(1.0, area + half), int(n + m))


def _error_metrics(errors: Counts) -> Iterator[Performance]:
    unbounded = (-math.inf, math.inf)
    yield _mean_metric("mae", np.abs(ERROR_VALUES), errors, (0.0, math.inf))
    yield _transform(_mean_metric("mse", ERROR_VALUES**2, errors, (0.0, math.inf)), "rmse", math.sqrt)
    yield _mean_metric("bias", ERROR_VALUES, errors, unbounded)


def _transform(source: Performance, metric: str, increasing: Callable[[float], float]) -> Performance:
    """Return a metric that is an increasing function of *source*. The function is applied to value and interval."""
    return Performance(
        metric, increasing(source.value), increasing(source.lower), increasing(source.upper), source.rows, source.label
    )
