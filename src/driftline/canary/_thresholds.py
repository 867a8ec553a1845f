"""Fixed thresholds, as in the lesson that driftline grew from: simple, and wrong often when looked at often."""

from __future__ import annotations

from dataclasses import dataclass, fields

from driftline._binning.bins import PREDICTION
from driftline.canary._tests import OTHER_BINS
from driftline.canary._variant_evidence import VariantEvidence
from driftline.canary._verdict import Criterion, Verdict, combined
from driftline.distances import corrected_psi
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["ThresholdPolicy", "judge_thresholds"]


LARGEST_LIMIT = 1e9
"""A larger limit allows everything: None says that in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdPolicy:
    """
    Fixed limits on what a candidate may do worse than its baseline; a limit of None leaves its criterion out.

    Nothing here knows chance: an equal candidate that is looked at again and again crosses a limit sooner or later
    (`docs/canary.md` has how often). `CanaryPolicy` does.

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
            msg = "ThresholdPolicy: every limit is None, expected at least one criterion"
            raise ConfigurationError(msg)


def judge_thresholds(baseline: VariantEvidence, candidate: VariantEvidence, policy: ThresholdPolicy) -> Verdict:
    """
    Judge a candidate: a pure function of counts.

    Any criterion that is violated rolls back; any that lacks rows is inconclusive; else promote. The thresholds are
    those of `driftline.oneshot.evaluate_canary`, in its order, and the drift between the two variants' predictions.
    """
    rows = min(baseline.rows, candidate.rows)
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
    if policy.max_prediction_drift is not None and not candidate.comparable(PREDICTION, baseline):
        criteria.append(Criterion("prediction_drift", "inconclusive", None, policy.max_prediction_drift, 0, OTHER_BINS))
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
    return combined(criteria, candidate.rows, "nothing to judge: the predictions are not watched")


def _accuracy(candidate: VariantEvidence, limit: float, least: int) -> Criterion:
    accuracy = candidate.correct / candidate.known if candidate.known else 0.0
    words = f"accuracy {accuracy:.2%}, at least {limit:.0%} asked, on {candidate.known} outcomes"
    return _criterion("accuracy", accuracy, limit, accuracy < limit, candidate.known, least, words, "outcomes")


def _latency(
    baseline: VariantEvidence, candidate: VariantEvidence, policy: ThresholdPolicy, allowed: float
) -> Criterion:
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
