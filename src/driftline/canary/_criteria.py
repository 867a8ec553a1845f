"""Evidence and policy to questions: what is asked of each criterion, and of which counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from driftline._binning.bins import PREDICTION
from driftline.canary._evalues.histograms import largest_difference, log_e_shape
from driftline.canary._evalues.means import Moments, bounds_of_means, log_e_two_means
from driftline.canary._evalues.quantiles import Latencies, bounds_of_shift, log_e_quantile
from driftline.canary._evalues.rates import bounds_of_difference, difference_of_rates, log_e_one_rate, log_e_two_rates
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._margins import Guardrail, Margin
from driftline.canary._policy import CanaryPolicy
from driftline.canary._tests import OTHER_BINS, Question
from driftline.canary._variant_evidence import VariantEvidence
from driftline.typing import Floats

__all__ = ["questions"]


def questions(evidence: CanaryEvidence, policy: CanaryPolicy) -> Iterator[Question]:
    """Everything that the policy asks, in the order of its arguments."""
    if policy.allowed_error_increase is not None:
        yield _rate(
            "error_rate",
            "error rate",
            "calls",
            _pairs(evidence, lambda one: (one.failed_calls, one.calls)),
            Guardrail(_margin(policy.allowed_error_increase), "lower", "rate"),
            policy.design_effect,
        )
    if policy.allowed_accuracy_drop is not None:
        yield _rate(
            "accuracy",
            "accuracy",
            "outcomes",
            _pairs(evidence, lambda one: (one.correct, one.known)),
            Guardrail(_margin(policy.allowed_accuracy_drop), "higher", "rate"),
            policy.design_effect,
        )
    if policy.allowed_latency_delta is not None:
        several = _several(policy.latency_quantile)
        for quantile in several:
            yield _latency(
                evidence, quantile, _margin(policy.allowed_latency_delta), len(several), policy.design_effect
            )
    if policy.allowed_prediction_drift is not None and _watched(evidence):
        yield _prediction_drift(evidence, _margin(policy.allowed_prediction_drift), policy.design_effect)
    if policy.allowed_disagreement is not None:
        yield _disagreement(evidence, _margin(policy.allowed_disagreement), policy.design_effect)
    for name, rate in policy.rates.items():
        counts = _pairs(evidence, lambda one, name=name: one.rates.get(name, (0, 0)))  # type: ignore[misc]
        yield _rate(name, name, "trials", counts, rate, policy.design_effect)
    for name, guardrail in policy.guardrails.items():
        none = (Moments(), Moments())
        pairs = [stratum.guardrails.get(name, none) for stratum in evidence.strata]
        if guardrail.kind == "rate":
            counts = np.array([[(one.mean * one.count, one.count) for one in pair] for pair in pairs]).reshape(-1, 2, 2)
            yield _rate(name, name, "observations", counts, guardrail, policy.design_effect)
        else:
            yield _mean(name, pairs, guardrail, policy.design_effect)


def _margin(given: Margin | float) -> Margin:
    return given if isinstance(given, Margin) else Margin(given)


def _several(given: float | tuple[float, ...]) -> tuple[float, ...]:
    return given if isinstance(given, tuple) else (given,)


def _watched(evidence: CanaryEvidence) -> bool:
    return all(
        one.predictions is not None for stratum in evidence.strata for one in (stratum.baseline, stratum.candidate)
    )


def _pairs(evidence: CanaryEvidence, counts: Callable[[VariantEvidence], tuple[int, int]]) -> Floats:
    """(events, trials) of both variants, shape (strata, 2, 2)."""
    found = [(counts(one.baseline), counts(one.candidate)) for one in evidence.strata]
    return np.array(found, dtype=np.float64).reshape(-1, 2, 2)


def _points(share: float) -> str:
    return f"{100 * share:.2g} points"


def _rate(name: str, words: str, unit: str, counts: Floats, asked: Guardrail, design: float) -> Question:
    margin = asked.margin
    totals = counts.sum(axis=0)
    trials = int(totals[:, 1].min())
    good = np.divide(totals[:, 0], totals[:, 1], out=np.zeros(2), where=totals[:, 1] > 0)
    effective = counts / design
    baseline, candidate = effective[:, 0, 1], effective[:, 1, 1]
    bad_baseline, bad_candidate = effective[:, 0, 0], effective[:, 1, 0]
    if asked.better == "higher":
        # bad = 1 - good: good_c >= good_b (1 - relative) - absolute, in terms of what is bad.
        bad_baseline, bad_candidate = baseline - bad_baseline, candidate - bad_candidate
        slope, offset = max(1.0 - margin.relative, 1e-6), margin.relative + margin.absolute
    else:
        slope, offset = 1.0 + margin.relative, margin.absolute
    edge = (1.0, 0.0) if margin.any_harm else (slope, offset)

    def evidence(scale: float, edge: tuple[float, float], side: int) -> float:
        return float(
            log_e_two_rates(
                scale * bad_baseline,
                scale * baseline,
                scale * bad_candidate,
                scale * candidate,
                slope=edge[0],
                offset=edge[1],
                side=side,
            )
        )

    return Question(
        name,
        f"{words} {good[1]:.2%} against {good[0]:.2%}",
        difference_of_rates(bad_baseline, baseline, bad_candidate, candidate),
        margin.allowed(float(good[0])),
        trials,
        unit,
        margin.any_harm,
        margin.weight,
        lambda scale, _: evidence(scale, edge, 1) if trials else 0.0,
        lambda scale, _: evidence(scale, (slope, offset), -1) if trials else 0.0,
        lambda lower, upper: bounds_of_difference(
            bad_baseline, baseline, bad_candidate, candidate, lower=lower, upper=upper
        ),
        _points,
    )


def _latency(evidence: CanaryEvidence, quantile: float, margin: Margin, several: int, design: float) -> Question:
    name = f"latency_p{100 * quantile:g}"
    both = [
        np.array([getattr(stratum, side).durations for stratum in evidence.strata], dtype=np.float64)
        for side in ("baseline", "candidate")
    ]
    calls = int(min((one.sum() for one in both), default=0)) if evidence.strata else 0
    if not calls:
        return _nothing(name, "calls", margin, several)
    edges = np.array(evidence.strata[0].baseline.edges)
    seen = Latencies(both[0] / design, both[1] / design, edges)
    pooled = evidence.pooled()
    ours = theirs = None
    if pooled is not None:
        theirs, ours = pooled[0].latency(quantile), pooled[1].latency(quantile)
    if ours is None or theirs is None:
        return _nothing(name, "calls", margin, several)
    edge = (1.0, 0.0) if margin.any_harm else (1.0 + margin.relative, margin.absolute)
    allowed = (1.0 + margin.relative, margin.absolute)

    def found(scale: float, level: float, edge: tuple[float, float], side: int) -> float:
        return log_e_quantile(seen, quantile, slope=edge[0], offset=edge[1], side=side, level=level, scale=scale)

    return Question(
        name,
        f"p{100 * quantile:g} latency {_milliseconds(ours)} against {_milliseconds(theirs)}",
        ours - theirs,
        margin.allowed(theirs),
        calls,
        "calls",
        margin.any_harm,
        margin.weight / several,
        lambda scale, level: found(scale, level, edge, 1),
        lambda scale, level: found(scale, level, allowed, -1),
        lambda lower, upper: bounds_of_shift(seen, quantile, lower=lower, upper=upper),
        _milliseconds,
    )


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"


def _nothing(name: str, unit: str, margin: Margin, several: int = 1) -> Question:
    return Question(
        name,
        name,
        None,
        margin.absolute,
        0,
        unit,
        margin.any_harm,
        margin.weight / several,
        lambda _, __: 0.0,
        lambda _, __: 0.0,
        lambda _, __: None,
        _points,
    )


def _prediction_drift(evidence: CanaryEvidence, margin: Margin, design: float) -> Question:
    last = evidence.strata[-1]
    if not last.candidate.comparable(PREDICTION, last.baseline):
        return replace(_nothing("prediction_drift", "predictions", margin), missing=OTHER_BINS)
    both = [
        np.array([getattr(stratum, side).predictions for stratum in evidence.strata], dtype=np.float64) / design
        for side in ("baseline", "candidate")
    ]
    rows = int(min((one.sum() * design for one in both), default=0))
    if not rows:
        return _nothing("prediction_drift", "predictions", margin)
    ordered = PREDICTION not in evidence.strata[0].baseline.unordered
    limit = margin.absolute
    seen = largest_difference(both[0], both[1], ordered=ordered)

    def found(scale: float, allowed: float, side: int) -> float:
        return log_e_shape(both[0], both[1], ordered=ordered, allowed=allowed, side=side, scale=scale)

    return Question(
        "prediction_drift",
        f"shares of the predictions differ by up to {_points(seen)}",
        seen,
        limit,
        rows,
        "predictions",
        margin.any_harm,
        margin.weight,
        lambda scale, _: found(scale, 0.0 if margin.any_harm else limit, 1),
        lambda scale, _: found(scale, limit, -1),
        lambda lower, upper: _shape_bounds(found, seen, lower, upper),
        _points,
        "a difference of",
    )


def _shape_bounds(
    found: Callable[[float, float, int], float], seen: float, lower: float, upper: float
) -> tuple[float, float]:
    """Bounds of the largest difference, between 0 and 1, to a thousandth."""
    bounds = []
    for side, level, outside in ((1, lower, 0.0), (-1, upper, 1.0)):
        far, near = outside, seen
        for _ in range(10):
            middle = 0.5 * (far + near)
            if found(1.0, middle, side) >= -np.log(level):
                far = middle
            else:
                near = middle
        bounds.append(far)
    return bounds[0], bounds[1]


def _disagreement(evidence: CanaryEvidence, margin: Margin, design: float) -> Question:
    rows, limit = evidence.compared, margin.absolute
    bad = rows - evidence.agreed
    if not rows:
        return _nothing("disagreement", "rows", margin)
    known, against = [rows / design], [bad / design]

    def found(scale: float, limit: float, side: int) -> float:
        return float(log_e_one_rate(scale * np.array(against), scale * np.array(known), limit=[limit], side=side))

    return Question(
        "disagreement",
        f"the shadow disagrees on {bad / rows:.2%}",
        bad / rows,
        limit,
        rows,
        "rows",
        any_harm=False,  # two models that never disagree are one
        weight=margin.weight,
        log_e_harm=lambda scale, _: found(scale, limit, 1),
        log_e_safe=lambda scale, _: found(scale, limit, -1),
        bounds=lambda lower, upper: _shape_bounds(found, bad / rows, lower, upper),
        shown=_points,
        measure="a share of",
    )


def _mean(name: str, pairs: list[tuple[Moments, Moments]], asked: Guardrail, design: float) -> Question:
    margin = asked.margin
    ours = sum((pair[1] for pair in pairs), start=Moments())
    theirs = sum((pair[0] for pair in pairs), start=Moments())
    trials = min(ours.count, theirs.count)
    sign = 1.0 if asked.better == "lower" else -1.0
    if asked.better == "higher":
        pairs = [(_mirrored(a), _mirrored(b)) for a, b in pairs]
    # The margin is relative to the baseline's size, whatever its sign.
    slope = 1.0 + (margin.relative if sign * theirs.mean >= 0.0 else -margin.relative)
    edge = (1.0, 0.0) if margin.any_harm else (slope, margin.absolute)

    def found(scale: float, edge: tuple[float, float], side: int) -> float:
        return log_e_two_means(pairs, slope=edge[0], offset=edge[1], side=side, scale=scale / design)

    return Question(
        name,
        f"{name} {ours.mean:.4g} against {theirs.mean:.4g}",
        sign * (ours.mean - theirs.mean) if trials else None,
        margin.allowed(theirs.mean),
        trials,
        "observations",
        margin.any_harm,
        margin.weight,
        lambda scale, _: found(scale, edge, 1),
        lambda scale, _: found(scale, (slope, margin.absolute), -1),
        lambda lower, upper: bounds_of_means(pairs, lower=lower, upper=upper, scale=1.0 / design),
        lambda harm: f"{harm:.3g}",
    )


def _mirrored(one: Moments) -> Moments:
    return Moments(one.count, -one.mean, one.squares, -one.cubes)
