"""Metrics of probabilities from their bins and sums: Brier score, calibration error, AUC."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from driftline.outcomes._exact_sums import error_moments, unusable_errors
from driftline.outcomes._intervals import Z, bounded_mean_interval, solve
from driftline.outcomes._performance import Performance
from driftline.outcomes._score_bins import mean_scores, spread_scores
from driftline.typing import Counts, Floats

__all__ = ["brier_score", "score_metrics"]

CALIBRATION_GROUPS = 15
"""Largest number of groups of predictions in the calibration error, from Guo et al. 2017."""

MIN_GROUP_ROWS = 20
"""Average number of predictions in a group at least, so that the noise of its share is close to normal."""

WITHIN_BINS = 0.15
"""
Error of an area, at most, as a share of what only the positions within bins add to it. For scores of one bin whose
shape is far from normal, such as two clusters, it is 0.12 (`benchmarks/outcomes/coverage.py`).
"""

MIN_CLASS_ROWS = 2
"""Smallest number of true and of false outcomes for an AUC, because the variance of one value is undefined."""


def score_metrics(scores: Counts, errors: Counts) -> Iterator[Performance]:
    """
    Yield the metrics of probabilities; none if a probability was out of range, because the others are a biased part.

    Args:
        scores: shape (bins, 2, 3), as `OutcomeSnapshot.scores`.
        errors: shape (ERRORS_SIZE,), as `OutcomeSnapshot.score_errors`.
    """
    if unusable_errors(errors):
        return
    brier = brier_score(errors)
    if brier is not None:
        yield brier
    rows = int(scores[:, :, 0].sum())
    if not rows:
        return
    yield calibration_error(scores)
    if int(scores[:, :, 0].sum(axis=0).min()) >= MIN_CLASS_ROWS:
        coarse = _area(*scores[:, :, 0].T.astype(np.float64))
        yield area_under_curve(*spread_scores(scores), coarse)


def brier_score(errors: Counts) -> Performance | None:
    """Return the mean of the squared errors of probabilities. It is exact. None without probabilities."""
    moments = error_moments(errors)
    if moments is None:
        return None
    value = math.ldexp(moments.square, 2 * moments.exponent)
    fourth = math.ldexp(moments.fourth, 4 * moments.exponent)
    low, high = bounded_mean_interval(value, max(0.0, fourth - value * value), moments.rows)
    return Performance("brier", value, low, high, moments.rows)


def calibration_error(scores: Counts) -> Performance:
    """
    Return the expected calibration error over groups of about equally many predictions, without its bias.

    Source: Naeini, Cooper & Hauskrecht 2015. Groups of equal size are less biased than groups of equal width (Roelofs
    et al. 2022, *Mitigating bias in calibration error estimation*). The share of true outcomes of a group has noise, so
    that the absolute differences to the mean scores are too large on average. With a true difference of t in each group
    they have the mean and the variance of folded normal variables (Leone, Nelson & Nottingham 1961). The value is the t
    whose mean is the measured one, and the interval holds each t from which that is at most `Z` deviations away.
    """
    totals, positives = scores[:, :, 0].sum(axis=1), scores[:, 1, 0]
    rows = int(totals.sum())
    groups = max(1, min(CALIBRATION_GROUPS, rows // MIN_GROUP_ROWS))
    group = np.minimum((np.cumsum(totals) - totals / 2) * groups // rows, groups - 1).astype(int)
    sums = np.nan_to_num(mean_scores(scores)) * totals
    size, score_sum, positive = (
        np.bincount(group, weights=weights, minlength=groups) for weights in (totals, sums, positives)
    )
    size, score_sum, positive = (values[size > 0] for values in (size, score_sum, positive))
    weight, share, score = size / rows, positive / size, score_sum / size
    difference = share - score
    # Of a share of 0 or 1 the variance is not 0. With one true and one false outcome more it is close to the truth.
    smoothed = (positive + score) / (size + 1)
    noise = np.sqrt(np.maximum(smoothed * (1 - smoothed), score * (1 - score)) / size)
    measured = float((weight * np.abs(difference)).sum())
    noises = noise.tolist()
    # The mix of scores in the sample has noise too.
    typical = np.array([_folded_mean(0.0, each) for each in noises])
    mix = max(0.0, float((weight * ((np.abs(difference) - measured) ** 2 - noise**2 + typical**2)).sum())) / rows

    def is_below(true: float, deviations: float = 0.0) -> bool:
        """Return whether the measured error exceeds its mean for this true one by more than *deviations*."""
        means = np.array([_folded_mean(true, each) for each in noises])
        variance = float((weight**2 * (true**2 + noise**2 - means**2)).sum()) + mix
        return measured > float((weight * means).sum()) + deviations * math.sqrt(max(0.0, variance))

    value, low, high = (
        solve(partial(is_below, deviations=deviations), 0.0, 1.0) if is_below(0.0, deviations) else 0.0
        for deviations in (0.0, Z, -Z)
    )
    return Performance("calibration_error", value, min(low, value), max(high, value), rows)


def _folded_mean(mean: float, deviation: float) -> float:
    """Return the mean of the absolute value of a normal variable."""
    if deviation <= 0.0:
        return mean
    ratio = mean / deviation
    return deviation * math.sqrt(2 / math.pi) * math.exp(-ratio * ratio / 2) + mean * math.erf(ratio / math.sqrt(2))


def _area(negatives: Floats, positives: Floats) -> float:
    """Return the area under the ROC curve. Pairs of a false and a true outcome in the same cell count half."""
    below = (np.cumsum(negatives) - negatives / 2) / negatives.sum()
    return min(1.0, max(0.0, float(below @ positives / positives.sum())))


def area_under_curve(negatives: Floats, positives: Floats, coarse: float) -> Performance:
    """
    Return the area under the ROC curve. Pairs of a false and a true outcome in the same cell count half.

    The interval holds the areas from which the estimate is at most `Z` standard errors away (Newcombe 2006, *Confidence
    intervals for an effect size measure based on the Mann-Whitney statistic*, method 5). If the variance of DeLong,
    DeLong & Clarke-Pearson 1988 is larger at the estimate, it is larger by the same factor everywhere. Of scores within
    one bin only the mean and the variance are known, so that `WITHIN_BINS` of what they add is the error to each side.

    Args:
        negatives: shape (cells,), outcomes that were false, by cell of the probability.
        positives: shape (cells,), outcomes that were true.
        coarse: the area if the scores of a bin had no order.
    """
    n, m = float(negatives.sum()), float(positives.sum())
    below = (np.cumsum(negatives) - negatives / 2) / n
    above = (m - np.cumsum(positives) + positives / 2) / m
    area = _area(negatives, positives)
    measured = ((below - area) ** 2 @ positives) / (m - 1) / m + ((above - area) ** 2 @ negatives) / (n - 1) / n
    assumed = _area_variance(area, n, m)
    factor = max(1.0, float(measured) / assumed) if assumed > 0.0 else 1.0

    def is_far(theta: float) -> bool:
        return (area - theta) ** 2 > Z * Z * factor * _area_variance(theta, n, m)

    low = 0.0 if area <= 0.0 else solve(is_far, 0.0, area)
    high = 1.0 if area >= 1.0 else solve(lambda theta: not is_far(theta), area, 1.0)
    error = WITHIN_BINS * abs(area - coarse)
    return Performance("auc", area, max(0.0, min(low, area) - error), min(1.0, max(high, area) + error), round(n + m))


def _area_variance(area: float, n: float, m: float) -> float:
    """Return the variance of an estimated area, from Hanley & McNeil 1982 with Newcombe's balanced numbers."""
    half = (n + m) / 2 - 1
    return area * (1 - area) * (1 + half * (1 - area) / (2 - area) + half * area / (1 + area)) / (n * m)
