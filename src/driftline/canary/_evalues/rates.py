"""
E-values for rates, as pure functions of counts.

An *e-value* is a number of at least 0 whose expectation is at most 1 under the null hypothesis. A sequence of e-values
stays below 1/alpha for ever with a probability of at least 1 - alpha (Ville 1939). It may therefore be read at any time
and as often as you like. All functions return natural logarithms of e-values.

The last axis of counts has one entry per *stratum*, which is a time in which the candidate had one share of the calls.
Other axes broadcast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from driftline.typing import Floats

__all__ = ["log_e_one_rate", "log_e_two_rates", "log_mean_exp", "rate_difference", "rate_difference_bounds"]


EFFECT_SCALE = 0.5
"""Scale of the mixture over effects, in log odds: a rise from 2 % to 3.2 %, which is typical of a bad candidate."""

EFFECTS = np.concatenate([np.arange(0.05, 1.25, 0.08), [1.4, 1.75, 2.25, 3.0, 4.0, 5.5]])
"""Effects in the mixture, in log odds from the allowed rate."""

HEAVY_TAIL = 0.1
"""Weight of large effects (a Cauchy tail) in evidence for harm, so that a hundred rows prove a disaster."""

RATES, RATE_WEIGHTS = (0.003, 0.3), (0.9, 0.1)
"""
Baseline rates in the mixture for a test without a margin, and their weights. If events are rare, the evidence depends
only on the ratio of the two rates, so one rare rate represents all of them.
"""

MARGIN_RATES = (0.0005, 0.002, 0.006, 0.02, 0.05, 0.12, 0.25, 0.45, 0.7)
"""Baseline rates in the mixture for a test with a margin; all have the same weight."""

MAX_STEPS = 60
"""Most Newton steps of a projection; about six are needed."""

STEP_TOLERANCE = 1e-13
"""Largest relative Newton step of a projection that counts as converged."""

TINY = 1e-12
"""Smallest distance of a rate from 0 and 1, so that logarithms are finite."""

BISECTIONS = 16
"""Bisection steps of a bound; sixteen make it accurate to 2⁻¹⁶ of the first interval, on its outer side."""


@lru_cache(maxsize=2)
def _effect_weights(side: int) -> Floats:
    """
    Return the weights of `EFFECTS`, same shape, which sum to 1; *side* is 1 for harm, -1 for safety.

    For harm the weights follow half a normal distribution with a heavy tail, for safety half a Cauchy distribution.
    Safety needs the tail more, because a candidate without any errors is as far from an allowed 0.5 % as possible.
    """
    steps = np.gradient(EFFECTS)
    normal, cauchy = steps * np.exp(-0.5 * (EFFECTS / EFFECT_SCALE) ** 2), steps / (1.0 + (EFFECTS / EFFECT_SCALE) ** 2)
    tail = HEAVY_TAIL if side > 0 else 1.0
    weights: Floats = (1.0 - tail) * normal / normal.sum() + tail * cauchy / cauchy.sum()
    return weights


@lru_cache(maxsize=1_024)
def _alternatives(slope: float, offset: float, side: int) -> tuple[Floats, Floats, Floats]:
    """
    Return the alternatives in the mixture of `log_e_two_rates`, for the same *slope*, *offset* and *side*.

    Returns:
        (rates of the baseline, rates of the candidate, logarithms of the weights), three arrays of the same length.
    """
    equal = slope == 1.0 and offset == 0.0
    rates = np.array(RATES if equal else MARGIN_RATES)
    weights = np.array(RATE_WEIGHTS) if equal else np.full(len(rates), 1.0 / len(rates))
    effects = _effect_weights(side)
    baseline = np.repeat(rates, len(EFFECTS))
    allowed = slope * baseline + offset
    inside = (allowed > TINY) & (allowed < 1.0 - TINY)
    baseline, allowed = baseline[inside], allowed[inside]
    shift = side * np.tile(EFFECTS, len(rates))[inside]
    odds = allowed / (1.0 - allowed) * np.exp(shift)
    # Weights of rates outside (0, 1) are not shared among the others. This can only lower the evidence.
    return baseline, np.clip(odds / (1.0 + odds), TINY, 1.0 - TINY), np.log(np.outer(weights, effects).ravel()[inside])


def _project(baseline: Floats, candidate: Floats, share: Floats, slope: float, offset: float) -> Floats:
    """
    Return, for each alternative, the baseline rate q of the nearest point of the null hypothesis.

    The points of the null hypothesis are the pairs of rates (q, slope · q + offset). The distance is the
    Kullback-Leibler divergence, weighted by the shares of trials: this is the reverse information projection.

    Args:
        baseline: the baseline's rate in each alternative.
        candidate: the candidate's rate in each alternative.
        share: the candidate's share of the trials in each stratum; it broadcasts with the alternatives.
        slope: slope of the edge of the null hypothesis.
        offset: offset of that edge.
    """
    if slope == 1.0 and offset == 0.0:
        return (1.0 - share) * baseline + share * candidate
    lowest, highest = max(TINY, (TINY - offset) / slope), min(1.0 - TINY, (1.0 - TINY - offset) / slope)
    inverse = np.clip((candidate - offset) / slope, lowest, highest)
    shape = np.broadcast_shapes(baseline.shape, share.shape)
    low, high = (np.broadcast_to(end, shape) for end in (np.minimum(baseline, inverse), np.maximum(baseline, inverse)))
    baseline_weight, candidate_weight = 1.0 - share, slope * share
    q = baseline_weight * baseline + share * inverse
    for _ in range(MAX_STEPS):
        # The first and second derivative of the divergence. It is convex, so its minimum stays between low and high.
        c = slope * q + offset
        u, v = q * (1.0 - q), c * (1.0 - c)
        first = baseline_weight * (q - baseline) / u + candidate_weight * (c - candidate) / v
        second = baseline_weight * (u + (q - baseline) * (2.0 * q - 1.0)) / (u * u)
        second += candidate_weight * slope * (v + (c - candidate) * (2.0 * c - 1.0)) / (v * v)
        low, high = np.where(first < 0.0, q, low), np.where(first < 0.0, high, q)
        step = q - first / second
        step = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        converged = np.abs(step - q) <= STEP_TOLERANCE * q
        q = step
        if converged.all():
            break
    return q


def log_e_two_rates(
    bad_baseline: ArrayLike,
    baseline: ArrayLike,
    bad_candidate: ArrayLike,
    candidate: ArrayLike,
    *,
    slope: float = 1.0,
    offset: float = 0.0,
    side: int = 1,
) -> Any:
    """
    Return the log e-value for a candidate's rate above, or below, slope · the baseline's rate + offset.

    The e-value is a mixture over alternatives. Each part is the likelihood ratio of an alternative to its reverse
    information projection onto the null hypothesis: Turner, Ly & Grünwald (2024), *Generic e-variables for exact
    sequential k-sample tests that allow for optional stopping*. For a slope other than 1 or an offset other than 0:
    Turner & Grünwald (2023), *Exact anytime-valid confidence intervals for contingency tables and beyond*.

    The alternatives are fixed instead of learned, so the product over rows depends on the counts alone. Counts of
    several processes may therefore be added. The rates may change from row to row, as long as they change
    for both variants.

    Args:
        bad_baseline: bad events of the baseline, shape (..., strata).
        baseline: trials of the baseline, same shape.
        bad_candidate: bad events of the candidate, same shape.
        candidate: trials of the candidate, same shape.
        slope: factor on the baseline's rate.
        offset: number that is added to slope · the baseline's rate.
        side: 1 for evidence that the candidate's rate is higher (harm), -1 for lower (safety).

    Returns:
        The natural logarithm of the e-value, shape (...).

    >>> round(float(log_e_two_rates([20], [1000], [60], [1000])), 2)
    8.46
    """
    rates_b, rates_c, weights = _alternatives(float(slope), float(offset), side)
    n, m = np.asarray(baseline, dtype=np.float64)[..., None], np.asarray(candidate, dtype=np.float64)[..., None]
    k, j = np.asarray(bad_baseline, dtype=np.float64)[..., None], np.asarray(bad_candidate, dtype=np.float64)[..., None]
    if not len(weights):
        return np.zeros(np.broadcast_shapes(n.shape, m.shape, k.shape, j.shape)[:-2])
    near_b = _project(rates_b, rates_c, m / np.maximum(n + m, 1.0), slope, offset)
    near_c = slope * near_b + offset
    terms = (
        k * np.log(rates_b / near_b)
        + (n - k) * np.log((1.0 - rates_b) / (1.0 - near_b))
        + j * np.log(rates_c / near_c)
        + (m - j) * np.log((1.0 - rates_c) / (1.0 - near_c))
    )
    return _log_sum_exp(terms.sum(axis=-2) + weights)


def log_e_one_rate(bad: ArrayLike, trials: ArrayLike, *, limit: ArrayLike, side: int = 1) -> Any:
    """
    Return the log e-value for a rate above, below, or different from a known limit.

    The e-value is a discrete mixture of likelihood ratios: Robbins (1970), *Statistical methods related to the law of
    the iterated logarithm*; Howard, Ramdas, McAuliffe & Sekhon (2021). All strata have the same effect in log odds.

    Args:
        bad: bad events, shape (..., strata).
        trials: trials, same shape.
        limit: the limit of each stratum, in (0, 1).
        side: 1 for evidence that the rate is above the limit, -1 for below, 0 for either.

    Returns:
        The natural logarithm of the e-value, shape (...).

    >>> round(float(log_e_one_rate([80], [1000], limit=0.05)), 2)
    6.81
    """
    k, n = np.asarray(bad, dtype=np.float64)[..., None], np.asarray(trials, dtype=np.float64)[..., None]
    edge = np.clip(np.asarray(limit, dtype=np.float64)[..., None], TINY, 1.0 - TINY)
    effects = {1: EFFECTS, -1: -EFFECTS, 0: np.concatenate([EFFECTS, -EFFECTS])}[side]
    weights = np.tile(_effect_weights(1 if side >= 0 else -1), len(effects) // len(EFFECTS))
    odds = edge / (1.0 - edge) * np.exp(effects)
    rates = np.clip(odds / (1.0 + odds), TINY, 1.0 - TINY)
    terms = k * np.log(rates / edge) + (n - k) * np.log((1.0 - rates) / (1.0 - edge))
    return _log_sum_exp(terms.sum(axis=-2) + np.log(weights / weights.sum()))


def _log_sum_exp(terms: Floats) -> Any:
    """Return ln(sum(exp(terms))) over the last axis, without overflow."""
    top = terms.max(axis=-1, keepdims=True)
    return (top + np.log(np.exp(terms - top).sum(axis=-1, keepdims=True)))[..., 0]


def log_mean_exp(terms: Floats) -> float:
    """
    Return the logarithm of the mean of e-values; *terms* are the logarithms of the e-values.

    The mean is an e-value against the hypothesis that all null hypotheses hold (Vovk & Wang 2021).
    """
    return float(_log_sum_exp(np.ravel(terms)) - np.log(np.size(terms)))


def rate_difference(
    bad_baseline: ArrayLike, baseline: ArrayLike, bad_candidate: ArrayLike, candidate: ArrayLike
) -> float | None:
    """
    Return candidate's rate - baseline's rate, averaged over strata; None if no stratum has trials of both.

    Strata have the weights n·m/(n + m) of Cochran (1954) and Mantel & Haenszel (1959); n and m are their trials. Strata
    are compared separately, because the baseline's rate and the candidate's share may change together.

    Args:
        bad_baseline: bad events of the baseline, shape (strata,).
        baseline: trials of the baseline, same shape.
        bad_candidate: bad events of the candidate, same shape.
        candidate: trials of the candidate, same shape.
    """
    n, m = np.asarray(baseline, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    used = (n > 0) & (m > 0)
    if not used.any():
        return None
    n, m, k, j = n[used], m[used], np.asarray(bad_baseline)[used], np.asarray(bad_candidate)[used]
    weights = n * m / (n + m)
    return float((weights * (j / m - k / n)).sum() / weights.sum())


def rate_difference_bounds(
    bad_baseline: ArrayLike,
    baseline: ArrayLike,
    bad_candidate: ArrayLike,
    candidate: ArrayLike,
    *,
    lower: float,
    upper: float,
) -> tuple[float, float]:
    """
    Return (lower bound, upper bound) of candidate's rate - baseline's rate, which may be read at any time.

    Args:
        bad_baseline: bad events of the baseline, shape (strata,).
        baseline: trials of the baseline, same shape.
        bad_candidate: bad events of the candidate, same shape.
        candidate: trials of the candidate, same shape.
        lower: probability that the lower bound is ever wrong, in (0, 1).
        upper: probability that the upper bound is ever wrong, in (0, 1).

    Returns:
        Both bounds; -1 and 1 if no stratum has trials of both variants.
    """

    def excludes(offset: float, side: int, level: float) -> bool:
        log_e = log_e_two_rates(bad_baseline, baseline, bad_candidate, candidate, offset=offset, side=side)
        return bool(log_e >= -np.log(level))

    difference = rate_difference(bad_baseline, baseline, bad_candidate, candidate)
    if difference is None:
        return -1.0, 1.0
    low = _bisect_bound(-1.0, difference, lambda offset: excludes(offset, 1, lower))
    high = _bisect_bound(1.0, difference, lambda offset: excludes(offset, -1, upper))
    # The test of equality has its own mixture, so the bounds are adjusted to agree with that test.
    return (
        max(low, 0.0) if excludes(0.0, 1, lower) else min(low, 0.0),
        min(high, 0.0) if excludes(0.0, -1, upper) else max(high, 0.0),
    )


def _bisect_bound(outside: float, inside: float, excludes: Any) -> float:
    """
    Return by bisection the excluded value nearest to *inside*; *outside* if none is excluded.

    Args:
        outside: end of the searched interval. Excluded values, if any, lie between it and the bound.
        inside: other end of the searched interval, which is not excluded.
        excludes: called with a value, returns whether it is excluded.
    """
    bound = outside
    for _ in range(BISECTIONS):
        middle = round(0.5 * (outside + inside), 12)
        if excludes(middle):
            outside = bound = middle
        else:
            inside = middle
    return bound
