"""Tests of distributions: quantiles of latency, drift of the predictions, means of guardrails."""

from __future__ import annotations

import numpy as np

from driftline._binning.bins import PREDICTION
from driftline.canary._evalues.histograms import largest_difference, log_e_two_histograms
from driftline.canary._evalues.means import Moments, log_e_two_means, mean_difference_bounds
from driftline.canary._evalues.quantiles import Latencies, log_e_two_quantiles, quantile_difference_bounds
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._tests import OTHER_BINS, CriterionTest, empty_test, format_points, share_bounds

__all__ = ["latency_test", "mean_test", "prediction_drift_test"]


def latency_test(
    evidence: CanaryEvidence, quantile: float, margin: Margin, quantiles: int, design_effect: float
) -> CriterionTest:
    """
    Return a test of whether a quantile of the candidate's latency exceeds the baseline's by more than allowed.

    Without calls of both variants, the test is inconclusive.

    Args:
        evidence: the counts.
        quantile: the tested quantile, in (0, 1).
        margin: seconds by which the candidate's quantile may exceed the baseline's.
        quantiles: number of tested quantiles; each gets an equal part of the margin's weight.
        design_effect: variance inflation by which all counts are divided.
    """
    name = f"latency_p{100 * quantile:g}"
    durations = [
        np.array([getattr(stratum, side).durations for stratum in evidence.strata], dtype=np.float64)
        for side in ("baseline", "candidate")
    ]
    calls = int(min((counts.sum() for counts in durations), default=0)) if evidence.strata else 0
    if not calls:
        return empty_test(name, "calls", margin, quantiles)
    edges = np.array(evidence.strata[0].baseline.edges)
    latencies = Latencies(durations[0] / design_effect, durations[1] / design_effect, edges)
    pooled = evidence.pooled()
    baseline = candidate = None
    if pooled is not None:
        baseline, candidate = pooled[0].latency(quantile), pooled[1].latency(quantile)
    if candidate is None or baseline is None:
        return empty_test(name, "calls", margin, quantiles)
    allowed = (1.0 + margin.relative, margin.absolute)
    harm_edge = (1.0, 0.0) if margin.any_harm else allowed

    def log_e(scale: float, level: float, edge: tuple[float, float], side: int) -> float:
        return log_e_two_quantiles(
            latencies, quantile, slope=edge[0], offset=edge[1], side=side, level=level, scale=scale
        )

    return CriterionTest(
        name,
        f"p{100 * quantile:g} latency {_format_milliseconds(candidate)} against {_format_milliseconds(baseline)}",
        candidate - baseline,
        margin.allowed(baseline),
        calls,
        "calls",
        margin.any_harm,
        margin.weight / quantiles,
        lambda scale, level: log_e(scale, level, harm_edge, 1),
        lambda scale, level: log_e(scale, level, allowed, -1),
        lambda lower, upper: quantile_difference_bounds(latencies, quantile, lower=lower, upper=upper),
        _format_milliseconds,
    )


def _format_milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"


def prediction_drift_test(evidence: CanaryEvidence, margin: Margin, design_effect: float) -> CriterionTest:
    """
    Return a test of whether the predictions of the two variants differ by more than allowed.

    Without predictions, or if the variants count them over different bins, the test is inconclusive.

    Args:
        evidence: the counts; in each stratum both variants have counts of their predictions.
        margin: the largest allowed difference; `largest_difference` defines it.
        design_effect: variance inflation by which all counts are divided.
    """
    last = evidence.strata[-1]
    if not last.candidate.comparable(PREDICTION, last.baseline):
        return empty_test("prediction_drift", "predictions", margin, obstacle=OTHER_BINS)
    baseline, candidate = (
        np.array([getattr(stratum, side).predictions for stratum in evidence.strata], dtype=np.float64) / design_effect
        for side in ("baseline", "candidate")
    )
    rows = int(min(baseline.sum() * design_effect, candidate.sum() * design_effect))
    if not rows:
        return empty_test("prediction_drift", "predictions", margin)
    ordered = PREDICTION not in evidence.strata[0].baseline.unordered
    limit = margin.absolute
    difference = largest_difference(baseline, candidate, ordered=ordered)

    def log_e(scale: float, allowed: float, side: int) -> float:
        return log_e_two_histograms(baseline, candidate, ordered=ordered, allowed=allowed, side=side, scale=scale)

    return CriterionTest(
        "prediction_drift",
        f"shares of the predictions differ by up to {format_points(difference)}",
        difference,
        limit,
        rows,
        "predictions",
        margin.any_harm,
        margin.weight,
        lambda scale, _: log_e(scale, 0.0 if margin.any_harm else limit, 1),
        lambda scale, _: log_e(scale, limit, -1),
        lambda lower, upper: share_bounds(log_e, difference, lower, upper),
        format_points,
        "a difference of",
    )


def mean_test(
    name: str, pairs: list[tuple[Moments, Moments]], guardrail: Guardrail, design_effect: float
) -> CriterionTest:
    """
    Return a test of whether the candidate's mean of a guardrail is worse than allowed.

    Args:
        name: name of the guardrail.
        pairs: (baseline's moments, candidate's moments) of each stratum.
        guardrail: has the margin, and whether higher or lower values are better.
        design_effect: variance inflation by which all counts are divided.
    """
    margin = guardrail.margin
    baseline = sum((pair[0] for pair in pairs), start=Moments())
    candidate = sum((pair[1] for pair in pairs), start=Moments())
    trials = min(baseline.count, candidate.count)
    sign = 1.0 if guardrail.better == "lower" else -1.0
    if guardrail.better == "higher":
        pairs = [(_negate(a), _negate(b)) for a, b in pairs]
    # The margin is relative to the size of the baseline's mean, whatever its sign.
    slope = 1.0 + (margin.relative if sign * baseline.mean >= 0.0 else -margin.relative)
    harm_edge = (1.0, 0.0) if margin.any_harm else (slope, margin.absolute)

    def log_e(scale: float, edge: tuple[float, float], side: int) -> float:
        return log_e_two_means(pairs, slope=edge[0], offset=edge[1], side=side, scale=scale / design_effect)

    return CriterionTest(
        name,
        f"{name} {candidate.mean:.4g} against {baseline.mean:.4g}",
        sign * (candidate.mean - baseline.mean) if trials else None,
        margin.allowed(baseline.mean),
        trials,
        "observations",
        margin.any_harm,
        margin.weight,
        lambda scale, _: log_e(scale, harm_edge, 1),
        lambda scale, _: log_e(scale, (slope, margin.absolute), -1),
        lambda lower, upper: mean_difference_bounds(pairs, lower=lower, upper=upper, scale=1.0 / design_effect),
        lambda harm: f"{harm:.3g}",
    )


def _negate(moments: Moments) -> Moments:
    """Return the moments of the same numbers with opposite signs."""
    return Moments(moments.count, -moments.mean, moments.squares, -moments.cubes)
