"""`ThresholdPolicy`: decisions by fixed thresholds, which are simple but often wrong when they are read often."""

from __future__ import annotations

from dataclasses import dataclass

from driftline._binning.bins import PREDICTION
from driftline._runtime import validation as check
from driftline.canary._tests import OTHER_BINS
from driftline.canary._variant_evidence import VariantEvidence, describe_unreadable
from driftline.canary._verdict import Criterion, Verdict, combine_criteria
from driftline.distances import corrected_psi
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["ThresholdPolicy", "judge_thresholds"]


MAX_LIMIT = 1e9
"""Largest value of a limit. A larger limit would allow everything; None says that plainly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdPolicy:
    """
    Fixed limits on the harm that a candidate may do; None for a limit switches its criterion off.

    The limits ignore chance. A candidate that equals the baseline crosses a limit sooner or later if it is checked
    again and again (`docs/results/canary.md` has the figures). `CanaryPolicy` takes chance into account.

    Args:
        min_accuracy: smallest allowed accuracy of the candidate, in [0, 1], on outcomes that have arrived.
        allowed_latency_delta: seconds by which the candidate's latency quantile may exceed the baseline's.
        latency_quantile: the quantile of the duration of a call that is compared, in [0, 1].
        max_error_ratio: largest allowed ratio of the candidate's error rate to the baseline's.
        max_prediction_drift: limit that the bias-corrected PSI between the variants' predictions must stay below.
        min_rows: predictions that each variant needs before a decision.
        min_outcomes: outcomes that the candidate needs before its accuracy counts.

    Raises:
        ConfigurationError: a limit is of the wrong type or out of range, or all are None.
    """

    min_accuracy: float | None = 0.8
    allowed_latency_delta: float | None = 0.05
    latency_quantile: float = 0.95
    max_error_ratio: float | None = 1.2
    max_prediction_drift: float | None = 0.2
    min_rows: int = 500
    min_outcomes: int = 100

    def __post_init__(self) -> None:
        check.optional(check.probability, "min_accuracy", self.min_accuracy)
        check.probability("latency_quantile", self.latency_quantile)
        for name in ("allowed_latency_delta", "max_error_ratio", "max_prediction_drift"):
            check.optional(check.number, name, getattr(self, name), at_least=0, at_most=MAX_LIMIT)
        for name in ("min_rows", "min_outcomes"):
            check.integer(name, getattr(self, name), at_least=1)
        limits = (
            self.min_accuracy,
            self.allowed_latency_delta,
            self.max_error_ratio,
            self.max_prediction_drift,
        )
        if all(limit is None for limit in limits):
            msg = "ThresholdPolicy: every limit is None, expected at least one criterion"
            raise ConfigurationError(msg)


def judge_thresholds(baseline: VariantEvidence, candidate: VariantEvidence, policy: ThresholdPolicy) -> Verdict:
    """
    Return the verdict on a candidate by fixed thresholds, as a pure function of counts.

    The verdict is a rollback if any criterion with enough rows or outcomes exceeds its limit. Else it is inconclusive
    if any criterion has too few. Else it is a promotion. The criteria have the order of
    `driftline.oneshot.evaluate_canary`; the drift of the predictions follows as the last.
    """
    rows = min(baseline.rows, candidate.rows)
    criteria = []
    if policy.min_accuracy is not None:
        criteria.append(_accuracy(candidate, policy.min_accuracy, policy.min_outcomes))
    if policy.allowed_latency_delta is not None:
        criteria.append(_latency(baseline, candidate, policy, policy.allowed_latency_delta))
    if policy.max_error_ratio is not None:
        rate, limit = candidate.error_rate, baseline.error_rate * policy.max_error_ratio
        reason = f"error rate {rate:.2%} against {baseline.error_rate:.2%}, allowed {limit:.2%}"
        criteria.append(_criterion("error_rate", rate, limit, rate > limit, rows, policy.min_rows, reason))
    if policy.max_prediction_drift is not None:
        drift = _prediction_drift(baseline, candidate, policy.max_prediction_drift, policy.min_rows)
        if drift is not None:
            criteria.append(drift)
    return combine_criteria(criteria, candidate.rows, "nothing to decide: the predictions are not watched")


def _accuracy(candidate: VariantEvidence, limit: float, needed: int) -> Criterion:
    if unreadable := describe_unreadable(candidate=candidate.unreadable):
        return Criterion("accuracy", "inconclusive", None, limit, candidate.known, f"accuracy: {unreadable}")
    accuracy = candidate.correct / candidate.known if candidate.known else 0.0
    reason = f"accuracy {accuracy:.2%}, at least {limit:.0%} asked, on {candidate.known} outcomes"
    return _criterion("accuracy", accuracy, limit, accuracy < limit, candidate.known, needed, reason, "outcomes")


def _latency(
    baseline: VariantEvidence, candidate: VariantEvidence, policy: ThresholdPolicy, allowed: float
) -> Criterion:
    quantile = policy.latency_quantile
    seconds, baseline_seconds = candidate.latency(quantile), baseline.latency(quantile)
    calls = int(min(baseline.durations.sum(), candidate.durations.sum()))
    # A call may hold many rows, so enough rows do not ensure enough calls to estimate the quantile.
    rows = min(baseline.served, candidate.served) if calls >= 1 / (1 - min(quantile, 0.999)) else 0
    if seconds is None or baseline_seconds is None:
        return _criterion("latency", 0.0, allowed, False, 0, policy.min_rows, "")  # noqa: FBT003
    reason = (
        f"p{100 * quantile:g} latency {seconds * 1e3:.3g} ms against {baseline_seconds * 1e3:.3g} ms, "
        f"allowed +{allowed * 1e3:g} ms"
    )
    difference = seconds - baseline_seconds
    return _criterion("latency", difference, allowed, difference > allowed, rows, policy.min_rows, reason)


def _prediction_drift(
    baseline: VariantEvidence, candidate: VariantEvidence, limit: float, needed: int
) -> Criterion | None:
    """Return the criterion "prediction_drift", a PSI; None if either variant has no counts of predictions."""
    if not candidate.comparable(PREDICTION, baseline):
        return Criterion("prediction_drift", "inconclusive", None, limit, 0, OTHER_BINS)
    a, b = baseline.predictions, candidate.predictions
    if a is None or b is None:
        return None
    rows = int(min(a.sum(), b.sum()))
    psi = float(corrected_psi(a, b)) if rows else 0.0
    reason = f"predictions differ by a corrected PSI of {psi:.3g}, allowed below {limit:g}"
    return _criterion("prediction_drift", psi, limit, psi >= limit, rows, needed, reason)


def _criterion(
    name: str,
    value: float,
    limit: float,
    violated: bool,  # noqa: FBT001 - called in this module only
    rows: int,
    needed: int,
    reason: str,
    unit: str = "rows",
) -> Criterion:
    """Return a criterion: inconclusive on fewer than *needed* rows, else a rollback if *violated*, else promote."""
    if rows < needed:
        return Criterion(name, "inconclusive", None, limit, rows, f"{name} on {rows} of {needed} {unit} needed")
    state: CanaryState = "rollback" if violated else "promote"
    return Criterion(name, state, value, limit, rows, reason)
