"""Baseline and candidate to a verdict: promote, roll back, or not enough to say."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from driftline._values import CanaryState, Counts, Criterion, Verdict
from driftline.distances import corrected_psi
from driftline.errors import ConfigurationError

__all__ = ["Canary", "CanaryPolicy", "VariantEvidence", "judge_canary"]


LARGEST_LIMIT = 1e9
"""A larger limit allows everything: None says that in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryPolicy:
    """
    What a candidate may do worse than its baseline; a limit of None leaves its criterion out.

    Args:
        min_accuracy: least accuracy of the candidate, on outcomes that have arrived.
        allowed_latency_delta: seconds that the candidate's latency quantile may lie above the baseline's.
        latency_quantile: which quantile of latency is compared.
        max_error_ratio: the candidate's error rate may be at most the baseline's times this.
        max_prediction_drift: corrected PSI between the predictions of the two must stay below this.
        min_rows: predictions of each variant before anything is said.
        min_outcomes: outcomes of the candidate before its accuracy counts.

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
        ranges = {
            "min_accuracy": (0.0, 1.0),
            "allowed_latency_delta": (0.0, LARGEST_LIMIT),
            "latency_quantile": (0.0, 1.0),
            "max_error_ratio": (0.0, LARGEST_LIMIT),
            "max_prediction_drift": (0.0, LARGEST_LIMIT),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ranges:
                low, high = ranges[field.name]
                optional = field.name != "latency_quantile"
                if value is None and optional:
                    continue
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                    msg = f"{field.name}={value!r}: expected a number from {low:g} to {high:g}{' or None' * optional}"
                    raise ConfigurationError(msg)
            elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
                msg = f"{field.name}={value!r}: expected a whole number of at least 1"
                raise ConfigurationError(msg)
        limits = (
            self.min_accuracy,
            self.allowed_latency_delta,
            self.max_error_ratio,
            self.max_prediction_drift,
        )
        if all(limit is None for limit in limits):
            msg = "CanaryPolicy: every limit is None, expected at least one criterion"
            raise ConfigurationError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class VariantEvidence:
    """What one variant has done since its canary began: counts, which add up over processes."""

    served: int
    failed: int
    durations: Counts
    edges: tuple[float, ...]
    known: int
    correct: int
    predictions: Counts | None
    bins: str | None = None
    """The fingerprint of the bins of the prediction."""

    def __sub__(self, earlier: VariantEvidence) -> VariantEvidence:
        predictions = self.predictions
        # Of other bins all counts are newer: the reference was replaced meanwhile.
        if predictions is not None and earlier.predictions is not None and self.bins == earlier.bins:
            predictions = predictions - earlier.predictions
        return VariantEvidence(
            self.served - earlier.served,
            self.failed - earlier.failed,
            self.durations - earlier.durations,
            self.edges,
            self.known - earlier.known,
            self.correct - earlier.correct,
            predictions,
            self.bins,
        )

    @property
    def calls(self) -> int:
        """Predictions, made or failed."""
        return self.served + self.failed

    @property
    def error_rate(self) -> float:
        """Share of predictions that failed."""
        return self.failed / self.calls if self.calls else 0.0

    def latency(self, quantile: float) -> float | None:
        """A quantile of the seconds a call took, read from the bins (geometric middle); None without calls."""
        total = int(self.durations.sum())
        if not total:
            return None
        bin_number = int(np.searchsorted(np.cumsum(self.durations), max(quantile * total, 1.0)))
        edges = (self.edges[0], *self.edges, self.edges[-1])
        return float(np.sqrt(edges[bin_number] * edges[bin_number + 1]))


def judge_canary(baseline: VariantEvidence, candidate: VariantEvidence, policy: CanaryPolicy) -> Verdict:
    """
    Judge a candidate: a pure function of counts.

    Any criterion that is violated rolls back; any that lacks rows is inconclusive; else promote. The thresholds are
    those of `driftline.oneshot.evaluate_canary`, in its order, and the drift between the two variants' predictions.
    """
    rows = min(baseline.calls, candidate.calls)
    criteria = []
    if policy.min_accuracy is not None:
        criteria.append(_accuracy(candidate, policy.min_accuracy, policy.min_outcomes))
    if policy.allowed_latency_delta is not None:
        criteria.append(_latency(baseline, candidate, policy, policy.allowed_latency_delta))
    if policy.max_error_ratio is not None:
        ours, theirs = candidate.error_rate, baseline.error_rate
        limit = theirs * policy.max_error_ratio
        words = f"error rate {ours:.2%} against {theirs:.2%}, allowed {limit:.2%}"
        criteria.append(_criterion("error_rate", ours, limit, ours > limit, rows, policy.min_rows, words))
    if policy.max_prediction_drift is not None and baseline.bins != candidate.bins:
        words = "predictions over different bins, the reference of one was replaced: not compared"
        criteria.append(Criterion("prediction_drift", "inconclusive", None, policy.max_prediction_drift, 0, words))
    elif (
        policy.max_prediction_drift is not None
        and baseline.predictions is not None
        and candidate.predictions is not None
    ):
        a, b = baseline.predictions, candidate.predictions
        counted = int(min(a.sum(), b.sum()))
        psi = float(corrected_psi(a, b)) if counted else 0.0
        words = f"predictions differ by a corrected PSI of {psi:.3g}, allowed below {policy.max_prediction_drift:g}"
        over = psi >= policy.max_prediction_drift
        criteria.append(
            _criterion("prediction_drift", psi, policy.max_prediction_drift, over, counted, policy.min_rows, words)
        )
    return _combined(tuple(criteria), candidate)


def _combined(criteria: tuple[Criterion, ...], candidate: VariantEvidence) -> Verdict:
    if not criteria:
        return Verdict("inconclusive", "nothing to judge: the predictions are not watched", ())
    for state, head in (("rollback", ""), ("inconclusive", "too early to say: ")):
        found = [criterion for criterion in criteria if criterion.state == state]
        if found:
            return Verdict(found[0].state, head + "; ".join(criterion.reason for criterion in found), criteria)
    reasons = "; ".join(criterion.reason for criterion in criteria)
    return Verdict("promote", f"canary healthy on {candidate.calls} predictions: {reasons}", criteria)


def _accuracy(candidate: VariantEvidence, limit: float, least: int) -> Criterion:
    accuracy = candidate.correct / candidate.known if candidate.known else 0.0
    words = f"accuracy {accuracy:.2%}, at least {limit:.0%} asked, on {candidate.known} outcomes"
    return _criterion("accuracy", accuracy, limit, accuracy < limit, candidate.known, least, words, "outcomes")


def _latency(baseline: VariantEvidence, candidate: VariantEvidence, policy: CanaryPolicy, allowed: float) -> Criterion:
    quantile = policy.latency_quantile
    ours, theirs = candidate.latency(quantile), baseline.latency(quantile)
    calls = int(min(baseline.durations.sum(), candidate.durations.sum()))
    # A call may hold many rows: enough rows is what is asked, and at least as many calls as tell a quantile.
    enough = min(baseline.served, candidate.served) if calls >= 1 / (1 - min(quantile, 0.999)) else 0
    if ours is None or theirs is None:
        return _criterion("latency", 0.0, allowed, False, 0, policy.min_rows, "")  # noqa: FBT003
    words = (
        f"p{100 * quantile:g} latency {ours * 1e3:.3g} ms against {theirs * 1e3:.3g} ms, allowed +{allowed * 1e3:g} ms"
    )
    return _criterion("latency", ours - theirs, allowed, ours - theirs > allowed, enough, policy.min_rows, words)


def _criterion(
    name: str,
    value: float,
    limit: float,
    violated: bool,  # noqa: FBT001 - called in this module only
    rows: int,
    least: int,
    words: str,
    unit: str = "rows",
) -> Criterion:
    if rows < least:
        return Criterion(name, "inconclusive", None, limit, rows, f"{name} on {rows} of {least} {unit} needed")
    state: CanaryState = "rollback" if violated else "promote"
    return Criterion(name, state, value, limit, rows, words)


class Variant(Protocol):
    """What a canary needs of a monitor."""

    @property
    def variant_attributes(self) -> Mapping[str, str]:
        """Model, version and variant."""
        ...

    @property
    def prediction_bins(self) -> str | None:
        """The fingerprint of the bins of the prediction; None where it is not watched."""
        ...

    def evidence(self) -> VariantEvidence:
        """Counts since the start of the process."""
        ...

    def attach(self, canary: Canary) -> None:
        """Judge this canary along with the features, and export its state."""
        ...

    def canary_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Tell of a verdict that differs from the one before."""
        ...


class Canary:
    """
    Compares two monitored variants of a model from the moment it is made.

    Args:
        baseline: the monitor of the variant that is trusted.
        candidate: the monitor of the variant on trial; its telemetry carries the state.
        policy: what the candidate may do worse.

    Raises:
        ConfigurationError: not two different monitors, predictions over different bins, no policy.
    """

    def __init__(self, baseline: Variant, candidate: Variant, policy: CanaryPolicy | None = None) -> None:
        for what, variant in (("baseline", baseline), ("candidate", candidate)):
            if not hasattr(variant, "evidence") or not hasattr(variant, "attach"):
                msg = f"{what}={variant!r}: expected a Monitor"
                raise ConfigurationError(msg)
        if baseline is candidate:
            msg = "baseline and candidate are one monitor: expected two, with different version= or variant="
            raise ConfigurationError(msg)
        if policy is not None and not isinstance(policy, CanaryPolicy):
            msg = f"policy={policy!r}: expected a CanaryPolicy"
            raise ConfigurationError(msg)
        if dict(baseline.variant_attributes) == dict(candidate.variant_attributes):
            msg = f"both monitors are {dict(candidate.variant_attributes)}: expected different version= or variant="
            raise ConfigurationError(msg)
        if baseline.prediction_bins != candidate.prediction_bins:
            msg = "the monitors watch their predictions over different bins: expected one reference for both"
            raise ConfigurationError(msg)
        self._baseline, self._candidate = baseline, candidate
        self._policy = policy or CanaryPolicy()
        self._began = baseline.evidence(), candidate.evidence()
        self._lock = threading.Lock()
        self._last: CanaryState | None = None
        candidate.attach(self)

    def verdict(self) -> Verdict:
        """Judge what both variants have done so far."""
        baseline, candidate = (
            self._baseline.evidence() - self._began[0],
            self._candidate.evidence() - self._began[1],
        )
        verdict = judge_canary(baseline, candidate, self._policy)
        with self._lock:
            previous, self._last = self._last, verdict.state
        if previous is not None and previous != verdict.state:
            self._candidate.canary_changed(previous, verdict)
        return verdict

    @property
    def state(self) -> CanaryState | None:
        """The state of the last verdict; None before the first."""
        return self._last

    def restart(self) -> None:
        """Begin anew from here: the child of a fork has made no prediction yet."""
        self._lock = threading.Lock()
        self._last = None
        self._began = self._baseline.evidence(), self._candidate.evidence()
