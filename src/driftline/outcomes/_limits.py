"""
Evaluates limits on outcome metrics by a sequential test, which is valid however often it is evaluated.

The evidence against "the mean is at least m" after n values in [0, 1] that sum to s is

    E = ∫ q^s (1-q)^(n-s) w(q) dq / (m^s (1-m)^(n-s)),   w a Beta(½, ½) cut off at m,

the beta-binomial mixture (Robbins 1970, *Statistical methods related to the law of the iterated logarithm*; Howard,
Ramdas, McAuliffe & Sekhon 2021). It depends on counts only. If each value has a mean of at least m given the values
before it, the expectation of E is at most 1 at every time. For values strictly between 0 and 1, the formula is a lower
bound of a process with this property, because the logarithm is concave.

A test that started long ago reacts slowly when a good model turns bad. So one test starts at each pane of the window,
and the sum of their evidence is compared with a threshold. This is an e-detector (Shin, Ramdas & Rinaldo 2023,
*E-detectors: a nonparametric framework for sequential change detection*). The average number of panes until a false
alarm is at least the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import OutcomeCounts
from driftline.outcomes._metrics import wilson_interval
from driftline.outcomes._score_metrics import brier_score
from driftline.outcomes._snapshot import ClassCounts, OutcomeSnapshot
from driftline.results import (
    DriftState,
    FeatureStatus,
)
from driftline.typing import Floats, Label

__all__ = [
    "ACCURACY_STATUS",
    "LIMITABLE_METRICS",
    "Limit",
    "describe_unreadable",
    "evaluate_limit",
    "limits_for",
    "log_evidence",
    "outcomes_needed",
]


PRIOR = 0.5
"""Both parameters of the beta distribution w in E: Jeffreys' prior for a proportion."""

ACCURACY_STATUS = "prediction.accuracy"
"""The name of the state of accuracy, next to the states of the features."""

LIMITABLE_METRICS = ("accuracy", "error_rate", "precision", "recall", "f1", "brier")
"""Metrics that may have a limit. Each is a mean of values in [0, 1], as the test requires."""

MARGIN = 0.05
"""
Half the width of the 95 % interval of a metric, below which the metric may be called within its limit. It is the
default of the drop in accuracy that is allowed: an interval that is wider says nothing about such a drop.
"""

QUANTILE = 1.96
"""The quantile of the normal distribution for a 95 % interval."""

UPPER_LIMITED = frozenset({"error_rate", "brier"})
"""The metrics of `LIMITABLE_METRICS` whose limit is an upper bound. The limit of the others is a lower bound."""


@dataclass(frozen=True, slots=True)
class Limit:
    """
    A bound on a metric.

    Attributes:
        name: the name of its state in `Monitor.status`, such as ``"prediction.accuracy"``.
        metric: one of `LIMITABLE_METRICS`.
        bound: the smallest allowed value of the metric; for error rate and Brier score, the largest.
        reference_value: the metric in the reference, if the bound was derived from it, else None.
        label: the class of precision, recall and F1; None for other metrics.
    """

    name: str
    metric: str
    bound: float
    reference_value: float | None = None
    label: Label | None = None

    @property
    def title(self) -> str:
        """The metric and its class, with which a reason begins, such as ``"recall of spam"``."""
        return self.metric.replace("_", " ") + ("" if self.label is None else f" of {self.label}")

    def sum_and_rows(self, counts: OutcomeSnapshot) -> tuple[float, int]:
        """
        Return the sum and the number of the values that are tested.

        The values are in [0, 1], for example 1 for each right prediction. The limit holds while their mean is at least
        `minimum_mean`.
        """
        if self.metric in {"accuracy", "error_rate"}:
            return counts.correct, counts.known
        if self.metric == "brier":
            brier = brier_score(counts.score_errors)
            return (0.0, 0) if brier is None else ((1.0 - brier.value) * brier.rows, brier.rows)
        label_counts = counts.classes.get(self.label, ClassCounts())  # type: ignore[arg-type]
        right, wrong, missed = label_counts.true_positives, label_counts.false_positives, label_counts.false_negatives
        return right, right + {"precision": wrong, "recall": missed}.get(self.metric, wrong + missed)

    @property
    def minimum_mean(self) -> float:
        """
        The bound, converted to a lower bound on the mean of the values of `sum_and_rows`.

        If the metric has an upper bound, the mean is 1 - metric. For F1 the mean is J, where F1 = 2J / (1 + J). J is
        the share of true positives among the rows whose outcome or prediction is the class.
        """
        if self.metric == "f1":
            return self.bound / (2 - self.bound)
        return 1 - self.bound if self.metric in UPPER_LIMITED else self.bound

    def to_metric(self, mean: float) -> float:
        """Convert a mean of the values of `sum_and_rows` to the metric."""
        if self.metric == "f1":
            return 2 * mean / (1 + mean)
        return 1 - mean if self.metric in UPPER_LIMITED else mean


def limits_for(
    bounds: Mapping[str, float], max_drop: float | None, reference: OutcomeCounts | None, classes: Sequence[Label]
) -> tuple[Limit, ...]:
    """
    Return the limits of a monitor's outcome metrics, from the bounds of the policy and the reference's accuracy.

    Args:
        bounds: bounds by metric, as `OutcomePolicy.limits`.
        max_drop: how far accuracy may fall below that of the reference, if *bounds* has no accuracy. It is counted from
            the lower end of the 95 % interval, because the reference has a finite number of outcomes. If None, accuracy
            gets no such limit.
        reference: outcomes of the reference. If None, accuracy gets no such limit.
        classes: labels that each get a limit on precision, recall and F1, if *bounds* has these metrics.
    """
    limits = []
    for metric, bound in bounds.items():
        name = f"prediction.{metric}"
        if metric in {"precision", "recall", "f1"}:
            several = len(classes) > 1
            limits += [Limit(f"{name}:{label}" if several else name, metric, bound, None, label) for label in classes]
        else:
            limits.append(Limit(name, metric, bound))
    if max_drop is not None and reference is not None and "accuracy" not in bounds:
        known, correct = sum(reference.known), sum(reference.correct)
        if known:
            bound = wilson_interval(correct, known)[0] - max_drop
            if bound > 0.0:
                limits.append(Limit(ACCURACY_STATUS, "accuracy", bound, correct / known))
    return tuple(limits)


def log_evidence(total: Floats, rows: Floats, minimum_mean: float) -> Floats:
    """
    Return the natural logarithm of the evidence E against a mean of at least *minimum_mean*, shape (n,).

    The module's docstring has the formula.

    Args:
        total: shape (n,), sums of values in [0, 1].
        rows: shape (n,), numbers of values, above 0.
        minimum_mean: the bound m.

    >>> bool(log_evidence(np.array([700.0]), np.array([1000.0]), 0.8)[0] > 10)
    True
    >>> bool(log_evidence(np.array([800.0]), np.array([1000.0]), 0.8)[0] < 0)
    True
    """
    from scipy.special import betainc, betaln  # noqa: PLC0415 - half a second, paid when a limit is configured

    a, b = total + PRIOR, rows - total + PRIOR
    # If all evidence supports the limit, the integral underflows to 0: no evidence against it.
    with np.errstate(divide="ignore"):
        inside = np.log(betainc(a, b, minimum_mean))
    prior = betaln(PRIOR, PRIOR) + math.log(betainc(PRIOR, PRIOR, minimum_mean))
    log_mean, log_rest = math.log(minimum_mean), math.log1p(-minimum_mean)
    evidence: Floats = betaln(a, b) + inside - prior - total * log_mean - (rows - total) * log_rest
    return evidence


def outcomes_needed(limit: Limit, window_rows: int) -> int:
    """
    Return the number of outcomes from which a metric may be called within its limit.

    It is the number at which the 95 % interval of a metric at its bound is at most `MARGIN` to each side; at most the
    number of outcomes in a window.
    """
    mean = limit.minimum_mean
    return min(window_rows, math.ceil(QUANTILE**2 * mean * (1.0 - mean) / MARGIN**2))


def evaluate_limit(
    limit: Limit,
    panes: Sequence[OutcomeSnapshot],
    previous: FeatureStatus | None,
    threshold: float,
    expected_accuracy: Callable[[OutcomeSnapshot], float | None],
    needed: int = 1,
) -> FeatureStatus:
    """
    Return the state of one limit after new outcomes.

    The state becomes ``drifting`` when the metric of the window violates the limit and the evidence summed over all
    starts reaches *threshold*. It becomes ``stable`` when the metric of the window is within the limit again. With
    fewer than *needed* outcomes it is ``insufficient_data``, unless they suffice for ``drifting``.

    Args:
        limit: the limit.
        panes: the counts of the panes in the window, oldest first, with the open pane last.
        previous: the state before; None at the first evaluation.
        threshold: smallest average number of panes between two false alarms.
        expected_accuracy: estimates the accuracy of a window from the bins of its predictions, for the reason. It
            returns None if it cannot.
        needed: the result of `outcomes_needed`.
    """
    whole = panes[-1]
    for pane in panes[-2::-1]:
        whole += pane
    sums = np.array([limit.sum_and_rows(pane) for pane in panes], dtype=np.float64)
    if whole.unreadable:
        rows = whole.known + whole.unreadable
        return FeatureStatus("insufficient_data", None, None, rows, describe_unreadable(whole))
    # A test that starts at a pane uses all values from that pane to the end.
    totals, rows = np.cumsum(sums[::-1], axis=0).T
    starts = rows > 0
    if not starts.any():
        return FeatureStatus("insufficient_data", None, None, 0, f"0 outcomes, needs {needed}")
    evidence = log_evidence(totals[starts], rows[starts], limit.minimum_mean)
    log_total = float(np.logaddexp.reduce(evidence))
    mean, count = totals[-1] / rows[-1], int(rows[-1])
    below = bool(mean < limit.minimum_mean)
    still_drifting = previous is not None and previous.state == "drifting" and below
    drifting = still_drifting or (below and log_total >= math.log(threshold))
    if not drifting and count < needed:
        return FeatureStatus("insufficient_data", None, None, count, f"{count} outcomes, needs {needed}")
    state: DriftState = "drifting" if drifting else "stable"
    value = limit.to_metric(mean)
    baseline = limit.bound if limit.reference_value is None else limit.reference_value
    effect = value - baseline if limit.metric in UPPER_LIMITED else baseline - value
    p_value = min(1.0, len(evidence) * math.exp(-log_total)) if log_total > 0 else 1.0
    reason = _reason(limit, value, count, whole, expected_accuracy) if drifting else "within its limit"
    return FeatureStatus(state, p_value, float(effect), count, reason)


def describe_unreadable(window: OutcomeSnapshot) -> str:
    """Return the sentence which says that outcomes could not be read, so that there are no metrics."""
    return (
        f"{window.unreadable} outcomes of the window could not be read or compared with their predictions, so metrics "
        f"of the others would be biased: see the log and ml.monitor.errors (place outcome); positive=, classes= and "
        f"kind= of OutcomePolicy say how to read them"
    )


def _reason(
    limit: Limit,
    value: float,
    rows: int,
    whole: OutcomeSnapshot,
    expected_accuracy: Callable[[OutcomeSnapshot], float | None],
) -> str:
    number = ".3f" if limit.metric == "brier" else ".1%"
    allowed = f"at {'most' if limit.metric in UPPER_LIMITED else 'least'} {limit.bound:{number}} allowed"
    baseline = "" if limit.reference_value is None else f", the reference had {limit.reference_value:{number}}"
    reason = f"{limit.title} {value:{number}} on {rows} outcomes, {allowed}{baseline}"
    expected = expected_accuracy(whole) if limit.metric in {"accuracy", "error_rate"} else None
    if expected is None:
        return reason
    realised = whole.accuracy or 0.0
    low, high = wilson_interval(whole.correct, whole.known)
    if expected > high:
        return f"{reason}; {expected:.1%} was expected for these predictions, so their relation to outcomes has changed"
    if expected < low:
        return f"{reason}; only {expected:.1%} was expected for these predictions"
    return f"{reason}; {realised:.1%} agrees with what was expected for these predictions, so the inputs have changed"
