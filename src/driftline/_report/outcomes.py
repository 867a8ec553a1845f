"""Makes the values of outcomes: results, metrics, and predicted probabilities against what came true."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from driftline._report.values import MetricValues, OutcomeValues, ReliabilityValues
from driftline.outcomes import OutcomeSnapshot, Performance
from driftline.outcomes._metrics import wilson_interval
from driftline.outcomes._score_bins import mean_scores
from driftline.reference import Reference

__all__ = ["metric_values", "outcome_values"]

GROUPS = 10
"""Ranges of probabilities in a diagram of reliability."""


def metric_values(performance: Performance) -> MetricValues:
    """Return the values of a metric."""
    label = None if performance.label is None else str(performance.label)
    return MetricValues(
        performance.metric, label, performance.value, performance.lower, performance.upper, performance.rows
    )


def outcome_values(
    outcomes: OutcomeSnapshot,
    metrics: Sequence[Performance],
    estimated: Performance | None,
    reference: Reference | None,
) -> OutcomeValues | None:
    """
    Return the values of outcomes; None if there are neither outcomes nor an estimate.

    Args:
        outcomes: the counts since the start.
        metrics: the metrics of the latest outcomes, redacted.
        estimated: the accuracy that is expected of the current rows.
        reference: the reference; None if there is none.
    """
    if not any(outcomes.results.values()) and not outcomes.known and estimated is None:
        return None
    counts = None if reference is None else reference.outcomes
    known = 0 if counts is None else sum(counts.known)
    return OutcomeValues(
        results={name: number for name, number in outcomes.results.items() if number},
        known=outcomes.known,
        correct=outcomes.correct,
        accuracy=outcomes.accuracy,
        reference=sum(counts.correct) / known if counts is not None and known else None,
        estimated=None if estimated is None else metric_values(estimated),
        metrics=tuple(map(metric_values, metrics)),
        reliability=tuple(_reliability(outcomes)),
    )


def _reliability(outcomes: OutcomeSnapshot) -> Sequence[ReliabilityValues]:
    """Return the mean prediction and the share of true outcomes in each tenth of the range of probabilities."""
    numbers = outcomes.scores[:, :, 0]
    if not numbers.any() or (numbers < 0).any():
        return ()
    means = mean_scores(outcomes.scores)
    result = []
    groups = np.minimum((np.nan_to_num(means) * GROUPS).astype(int), GROUPS - 1)
    for group in range(GROUPS):
        chosen = (groups == group) & (numbers.sum(axis=1) > 0)
        rows, true = int(numbers[chosen].sum()), int(numbers[chosen, 1].sum())
        if rows:
            predicted = float((means[chosen] * numbers[chosen].sum(axis=1)).sum() / rows)
            lower, upper = wilson_interval(true, rows)
            result.append(
                ReliabilityValues(group / GROUPS, (group + 1) / GROUPS, predicted, true / rows, lower, upper, rows)
            )
    return result if all(math.isfinite(each.predicted) for each in result) else ()
