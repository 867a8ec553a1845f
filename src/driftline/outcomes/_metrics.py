"""
Computes metrics with 95 % intervals from outcome counts: accuracy, precision, calibration, errors and others.

The intervals are valid for a single evaluation of independent rows. The states of limits come from sequential tests
instead, which are valid however often they are evaluated (`driftline.outcomes._limits`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from driftline.outcomes._exact_sums import error_moments, unusable_errors
from driftline.outcomes._intervals import Z, mean_interval, positive_mean_interval, proportion_interval
from driftline.outcomes._performance import Performance
from driftline.outcomes._score_metrics import score_metrics
from driftline.outcomes._snapshot import ClassCounts, OutcomeSnapshot
from driftline.typing import Counts, Label

__all__ = ["Performance", "performance", "wilson_interval"]

MIN_ERRORS = 2
"""Smallest number of errors of quantities for their metrics, because the variance of one value is undefined."""


RARE_ABSOLUTE, RARE_SQUARE, RARE_TAIL, RARE_BIAS, RARE_ROWS = 2.0, 6.0, 4.0, 6.0, 20
"""
Sizes of a rare error in the intervals of MAE, RMSE (also in proportion to its kurtosis) and bias, in units of the mean,
and rows below which those of RMSE are smaller. Without them the interval of RMSE covers 66 to 93 % with 10 to 30 rows,
with them at least 93 % (`benchmarks/outcomes/coverage.py`).
"""


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
    """
    Return each metric that has enough counts. Only *classes* get precision, recall and F1.

    If some outcomes could not be read, there are no metrics, because those of the others would be biased.
    """
    return () if counts.unreadable else tuple(_iter_metrics(counts, classes))


def _iter_metrics(counts: OutcomeSnapshot, classes: Sequence[Label]) -> Iterator[Performance]:
    if counts.known:
        low, high = proportion_interval(counts.correct, counts.known)
        accuracy = counts.correct / counts.known
        yield Performance("accuracy", accuracy, low, high, counts.known)
        yield Performance("error_rate", 1 - accuracy, 1 - high, 1 - low, counts.known)
    for label in classes:
        class_counts = counts.classes.get(label)
        if class_counts is not None:
            yield from _class_metrics(label, class_counts)
    yield from score_metrics(counts.scores, counts.score_errors)
    yield from _error_metrics(counts.errors)


def _class_metrics(label: Label, counts: ClassCounts) -> Iterator[Performance]:
    right, wrong, missed = counts.true_positives, counts.false_positives, counts.false_negatives
    for metric, trials in (("precision", right + wrong), ("recall", right + missed)):
        if trials:
            yield Performance(metric, right / trials, *proportion_interval(right, trials), trials, label)
    rows = right + wrong + missed
    if rows:
        # F1 = 2J / (1 + J). J is the share of true positives among all rows of the class or predicted as it. F1 grows
        # with J, so the interval of that proportion maps to the interval of F1.
        low, high = (2 * bound / (1 + bound) for bound in proportion_interval(right, rows))
        value = 2 * right / (rows + right)
        yield Performance("f1", value, min(low, value), max(high, value), rows, label)


def _error_metrics(errors: Counts) -> Iterator[Performance]:
    """Yield the metrics of quantities that are floats; none if an error is infinite, or the variance is unknown."""
    moments = error_moments(errors)
    if moments is None or unusable_errors(errors) or moments.rows < MIN_ERRORS:
        return
    rows = moments.rows
    # A large error that has not occurred yet is allowed for: in each variance, as one value more of this size.
    rare_absolute = RARE_ABSOLUTE * moments.absolute
    tails = moments.fourth / moments.square if moments.square else 0.0
    rare_squares = ((RARE_SQUARE * moments.square) ** 2 + (RARE_TAIL * tails) ** 2) * min(1.0, rows / RARE_ROWS) ** 2
    square_variance = max(0.0, moments.fourth - moments.square**2) + rare_squares / rows
    absolute_variance = max(0.0, moments.square - moments.absolute**2) + rare_absolute**2 / rows
    variance = max(0.0, moments.square - moments.mean**2) * (1.0 + RARE_BIAS / rows)
    root = math.sqrt(moments.square)
    for metric, value, interval in (
        ("mae", moments.absolute, positive_mean_interval(moments.absolute, absolute_variance, rows)),
        ("rmse", root, map(math.sqrt, positive_mean_interval(moments.square, square_variance, rows))),
        ("bias", moments.mean, mean_interval(moments.mean, variance, rows)),
    ):
        low, high = interval
        lower, upper = moments.scaled(min(low, value)), moments.scaled(max(high, value))
        # A number too large for a float is not exported.
        if math.isfinite(lower) and math.isfinite(upper):
            yield Performance(metric, moments.scaled(value), lower, upper, rows)
