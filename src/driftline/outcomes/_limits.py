"""
Counts of outcomes to states: what fell below its limit, by a test that may be looked at all the time.

The evidence against "the mean is at least m" after n values in [0, 1] that sum to s is

    E = ∫ q^s (1-q)^(n-s) w(q) dq / (m^s (1-m)^(n-s)),   w a Beta(½, ½) cut off at m,

the beta-binomial mixture (Robbins 1970, *Statistical methods related to the law of the iterated logarithm*; Howard,
Ramdas, McAuliffe & Sekhon 2021). It depends on counts only, and its expectation is at most 1 at every time, whatever
made the values, as long as each one's mean is at least m given those before. For values between 0 and 1 it is a lower
bound of such a process, since the logarithm is concave.

A test that started long ago is slow to see a model that was good until yesterday. So one starts at every pane that the
window still holds, and their sum is compared with a threshold: an e-detector (Shin, Ramdas & Rinaldo 2023,
*E-detectors: a nonparametric framework for sequential change detection*). Its average run length to a false alarm is at
least the threshold, counted in panes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from driftline._binning.bins import OutcomeCounts
from driftline.outcomes._metrics import wilson
from driftline.outcomes._snapshot import SCORE_MIDDLES, ClassCounts, OutcomeSnapshot
from driftline.results import (
    DriftState,
    FeatureStatus,
)
from driftline.typing import Floats, Label

__all__ = ["LIMITED", "Limit", "judge", "limits_for", "log_evidence"]


PRIOR = 0.5
"""Both parameters of the mixture's beta distribution: Jeffreys' prior for a proportion."""

ACCURACY = "prediction.accuracy"
"""The name under which accuracy has a state, beside those of the features."""

LIMITED = ("accuracy", "error_rate", "precision", "recall", "f1", "brier")
"""Metrics that may have a limit: means of values in [0, 1], which the test above is exact for."""

LARGE_IS_BAD = frozenset({"error_rate", "brier"})


@dataclass(frozen=True, slots=True)
class Limit:
    """
    What a metric must keep to.

    Attributes:
        name: the name under which it has a state.
        metric: one of `LIMITED`.
        bound: the least value allowed (of error rate and Brier score, the largest).
        usual: what the reference had; None: the bound was given.
        label: the class, of precision, recall and F1.
    """

    name: str
    metric: str
    bound: float
    usual: float | None = None
    label: Label | None = None

    @property
    def words(self) -> str:
        """The metric, and of which class, as a reason begins with it."""
        return self.metric.replace("_", " ") + ("" if self.label is None else f" of {self.label}")

    def mean(self, counts: OutcomeSnapshot) -> tuple[float, int]:
        """Sum and number of the values in [0, 1] whose mean must be at least `least`."""
        if self.metric in {"accuracy", "error_rate"}:
            return counts.correct, counts.known
        if self.metric == "brier":
            squares = np.stack([SCORE_MIDDLES**2, (1 - SCORE_MIDDLES) ** 2], axis=1)
            return float((counts.scores * (1 - squares)).sum()), int(counts.scores.sum())
        found = counts.classes.get(self.label, ClassCounts())  # type: ignore[arg-type]
        right, wrong, missed = found.true_positives, found.false_positives, found.false_negatives
        return right, right + {"precision": wrong, "recall": missed}.get(self.metric, wrong + missed)

    @property
    def least(self) -> float:
        """The bound in terms of that mean; F1 = 2J / (1 + J) is bounded by bounding J."""
        if self.metric == "f1":
            return self.bound / (2 - self.bound)
        return 1 - self.bound if self.metric in LARGE_IS_BAD else self.bound

    def shown(self, mean: float) -> float:
        """The mean in terms of the metric."""
        if self.metric == "f1":
            return 2 * mean / (1 + mean)
        return 1 - mean if self.metric in LARGE_IS_BAD else mean


def limits_for(
    given: Mapping[str, float], max_drop: float | None, reference: OutcomeCounts | None, classes: Sequence[Label]
) -> tuple[Limit, ...]:
    """
    The limits of a monitor: those given, and for accuracy, where none is, the reference's own less *max_drop*.

    The reference's accuracy is known from finitely many outcomes: the lower end of its interval counts.
    """
    found = []
    for metric, bound in given.items():
        name = f"prediction.{metric}"
        if metric in {"precision", "recall", "f1"}:
            named = len(classes) > 1
            found += [Limit(f"{name}:{one}" if named else name, metric, bound, None, one) for one in classes]
        else:
            found.append(Limit(name, metric, bound))
    if max_drop is not None and reference is not None and "accuracy" not in given:
        known, correct = sum(reference.known), sum(reference.correct)
        if known:
            bound = wilson(correct, known)[0] - max_drop
            if bound > 0.0:
                found.append(Limit(ACCURACY, "accuracy", bound, correct / known))
    return tuple(found)


def log_evidence(total: Floats, rows: Floats, least: float) -> Floats:
    """
    The logarithm of the evidence against a mean of at least *least*, of sums and numbers of values in [0, 1].

    >>> bool(log_evidence(np.array([700.0]), np.array([1000.0]), 0.8)[0] > 10)
    True
    >>> bool(log_evidence(np.array([800.0]), np.array([1000.0]), 0.8)[0] < 0)
    True
    """
    from scipy.special import betainc, betaln  # noqa: PLC0415 - half a second, paid when a limit is configured

    a, b = total + PRIOR, rows - total + PRIOR
    # Where the evidence is all for the limit the integral vanishes: that is no evidence against it.
    with np.errstate(divide="ignore"):
        inside = np.log(betainc(a, b, least))
    prior = betaln(PRIOR, PRIOR) + math.log(betainc(PRIOR, PRIOR, least))
    found: Floats = betaln(a, b) + inside - prior - total * math.log(least) - (rows - total) * math.log1p(-least)
    return found


def judge(
    limit: Limit,
    panes: Sequence[OutcomeSnapshot],
    before: FeatureStatus | None,
    threshold: float,
    expected: Callable[[OutcomeSnapshot], float | None],
) -> FeatureStatus:
    """
    The state of one limit.

    It is entered when the evidence summed over all starts reaches *threshold*, and left when the mean over the whole
    window is within the limit again.

    Args:
        limit: what is asked.
        panes: the counts of the panes that the window holds, oldest first, the one that fills included.
        before: the state before.
        threshold: panes between two false alarms, on average at least.
        expected: what accuracy would be expected of the predictions of a window, from their bins.
    """
    whole = panes[-1]
    for pane in panes[-2::-1]:
        whole += pane
    means = np.array([limit.mean(pane) for pane in panes], dtype=np.float64)
    # The values since each start: the sums from there to the end.
    totals, rows = np.cumsum(means[::-1], axis=0).T
    starts = rows > 0
    if not starts.any():
        return FeatureStatus("insufficient_data", None, None, 0, "no outcomes yet")
    evidence = log_evidence(totals[starts], rows[starts], limit.least)
    together = float(np.logaddexp.reduce(evidence))
    mean, count = totals[-1] / rows[-1], int(rows[-1])
    below = bool(mean < limit.least)
    kept = before is not None and before.state == "drifting" and below
    drifting = kept or (below and together >= math.log(threshold))
    state: DriftState = "drifting" if drifting else "stable"
    value = limit.shown(mean)
    usual = limit.bound if limit.usual is None else limit.usual
    effect = value - usual if limit.metric in LARGE_IS_BAD else usual - value
    p_value = min(1.0, len(evidence) * math.exp(-together)) if together > 0 else 1.0
    reason = _reason(limit, value, count, whole, expected) if drifting else "within its limit"
    return FeatureStatus(state, p_value, float(effect), count, reason)


def _reason(
    limit: Limit,
    value: float,
    rows: int,
    whole: OutcomeSnapshot,
    expected: Callable[[OutcomeSnapshot], float | None],
) -> str:
    form = ".3f" if limit.metric == "brier" else ".1%"
    asked = f"at {'most' if limit.metric in LARGE_IS_BAD else 'least'} {limit.bound:{form}}"
    usual = "" if limit.usual is None else f", the reference had {limit.usual:{form}}"
    words = f"{limit.words} {value:{form}} on {rows} outcomes, {asked} allowed{usual}"
    likely = expected(whole) if limit.metric in {"accuracy", "error_rate"} else None
    if likely is None:
        return words
    realised = whole.accuracy or 0.0
    low, high = wilson(whole.correct, whole.known)
    if likely > high:
        return f"{words}; of these predictions {likely:.1%} was expected to be right: they no longer mean what they did"
    if likely < low:
        return f"{words}; of these predictions only {likely:.1%} was expected to be right"
    return f"{words}; {realised:.1%} is what was expected of these predictions: the inputs have moved"
