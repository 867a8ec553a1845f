"""
Evidence about rates that may be looked at all the time, as pure functions of counts.

An *e-value* is a number that is at least 0 and, under the null hypothesis, at most 1 on average; a sequence of them
stays below 1/alpha for ever with probability 1 - alpha at least (Ville 1939), so that it may be read at any time and as
often as one likes. All functions return natural logarithms of e-values.

Counts have a last axis of *strata*: stretches of time with one share of the candidate each. Other axes broadcast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from driftline.typing import Floats

__all__ = ["bounds_of_difference", "difference_of_rates", "log_e_one_rate", "log_e_two_rates", "log_mean_exp"]


EFFECT_SCALE = 0.5
"""Scale of the mixture over effects, in log odds: between 2 % and 3.2 %, what canaries are made to find."""

EFFECTS = np.concatenate([np.arange(0.05, 1.25, 0.08), [1.4, 1.75, 2.25, 3.0, 4.0, 5.5]])
"""Effects that are mixed, in log odds, beyond the rate that is allowed."""

HEAVY_TAIL = 0.1
"""Weight of the heavy tail in evidence for harm: enough on disasters to see them within a hundred rows."""

RATES, RATE_WEIGHTS = (0.003, 0.3), (0.9, 0.1)
"""
Baseline rates that are mixed where nothing beyond equality is allowed. The evidence then depends on the ratio alone as
long as events are rare, so that one rare rate does for all of them.
"""

MARGIN_RATES = (0.0005, 0.002, 0.006, 0.02, 0.05, 0.12, 0.25, 0.45, 0.7)
"""Baseline rates that are mixed beside a margin."""

STEPS, NEAR = 60, 1e-13
"""Newton steps of a projection at most, and the relative step at which it has arrived: about six are needed."""

TINY = 1e-12


@lru_cache(maxsize=2)
def _effect_weights(side: int) -> Floats:
    """
    Weights of the effects: for harm half a normal distribution with a heavy tail, for safety half a Cauchy one.

    A candidate without any errors is as far from an allowed 0.5 % as can be: safety needs the tail more.
    """
    steps = np.gradient(EFFECTS)
    normal, cauchy = steps * np.exp(-0.5 * (EFFECTS / EFFECT_SCALE) ** 2), steps / (1.0 + (EFFECTS / EFFECT_SCALE) ** 2)
    tail = HEAVY_TAIL if side > 0 else 1.0
    mixed: Floats = (1.0 - tail) * normal / normal.sum() + tail * cauchy / cauchy.sum()
    return mixed


@lru_cache(maxsize=1_024)
def _alternatives(slope: float, offset: float, side: int) -> tuple[Floats, Floats, Floats]:
    """Rates of baseline and candidate that are mixed, and the logarithms of their weights, each of shape (grid,)."""
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
    # Weights of rates that have no place beside the margin are lost, not shared out: that can only lower the evidence.
    return baseline, np.clip(odds / (1.0 + odds), TINY, 1.0 - TINY), np.log(np.outer(weights, effects).ravel()[inside])


def _projected(baseline: Floats, candidate: Floats, share: Floats, slope: float, offset: float) -> Floats:
    """
    The baseline rate q of the null hypothesis's point (q, slope·q + offset) that is nearest to each alternative.

    Nearest in Kullback-Leibler divergence, weighted by the shares of the two: the reverse information projection.
    """
    if slope == 1.0 and offset == 0.0:
        return (1.0 - share) * baseline + share * candidate
    least, most = max(TINY, (TINY - offset) / slope), min(1.0 - TINY, (1.0 - TINY - offset) / slope)
    inverse = np.clip((candidate - offset) / slope, least, most)
    shape = np.broadcast_shapes(baseline.shape, share.shape)
    low, high = (np.broadcast_to(one, shape) for one in (np.minimum(baseline, inverse), np.maximum(baseline, inverse)))
    ours, theirs = 1.0 - share, slope * share
    q = ours * baseline + share * inverse
    for _ in range(STEPS):
        # The derivative of the divergence and its own; the divergence is convex, so that the bracket stays one.
        c = slope * q + offset
        u, v = q * (1.0 - q), c * (1.0 - c)
        first = ours * (q - baseline) / u + theirs * (c - candidate) / v
        second = ours * (u + (q - baseline) * (2.0 * q - 1.0)) / (u * u)
        second += theirs * slope * (v + (c - candidate) * (2.0 * c - 1.0)) / (v * v)
        low, high = np.where(first < 0.0, q, low), np.where(first < 0.0, high, q)
        step = q - first / second
        step = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        arrived = np.abs(step - q) <= NEAR * q
        q = step
        if arrived.all():
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
    Evidence that the candidate's rate lies beyond slope · the baseline's + offset, which is the null hypothesis's edge.

    A mixture, over alternatives, of the likelihood ratio of each to its reverse information projection onto the null
    hypothesis: Turner, Ly & Grünwald (2024), *Generic e-variables for exact sequential k-sample tests that allow for
    optional stopping*; Turner & Grünwald (2023), *Exact anytime-valid confidence intervals for contingency tables and
    beyond*, for edges other than equality. With fixed alternatives instead of learnt ones the product over rows depends
    on the counts alone, so it may be merged. The base rate may change from row to row, as long as it does for both.

    Args:
        bad_baseline: bad events of the baseline, shape (..., strata).
        baseline: its trials.
        bad_candidate: bad events of the candidate.
        candidate: its trials.
        slope: with *offset* the edge of the null hypothesis.
        offset: see *slope*.
        side: 1: the null hypothesis is at most the edge, and evidence is for harm; -1: at least, evidence for safety.

    Returns:
        The logarithm of the e-value, shape (...).

    >>> round(float(log_e_two_rates([20], [1000], [60], [1000])), 2)
    8.46
    """
    rates_b, rates_c, weights = _alternatives(float(slope), float(offset), side)
    n, m = np.asarray(baseline, dtype=np.float64)[..., None], np.asarray(candidate, dtype=np.float64)[..., None]
    k, j = np.asarray(bad_baseline, dtype=np.float64)[..., None], np.asarray(bad_candidate, dtype=np.float64)[..., None]
    if not len(weights):
        return np.zeros(np.broadcast_shapes(n.shape, m.shape, k.shape, j.shape)[:-2])
    near_b = _projected(rates_b, rates_c, m / np.maximum(n + m, 1.0), slope, offset)
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
    Evidence that a rate lies above (*side* 1), below (-1) or on either side (0) of a known limit in (0, 1).

    A discrete mixture of likelihood ratios: Robbins (1970), *Statistical methods related to the law of the iterated
    logarithm*; Howard, Ramdas, McAuliffe & Sekhon (2021). Shapes as in `log_e_two_rates`; strata share the effect.

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
    top = terms.max(axis=-1, keepdims=True)
    return (top + np.log(np.exp(terms - top).sum(axis=-1, keepdims=True)))[..., 0]


def log_mean_exp(terms: Floats) -> float:
    """The logarithm of the mean of e-values, which is an e-value for their hypotheses together (Vovk & Wang 2021)."""
    return float(_log_sum_exp(np.ravel(terms)) - np.log(np.size(terms)))


BISECTIONS = 16
"""Bisections of a bound, which is found from outside to 2⁻¹⁶ of where it starts."""


def difference_of_rates(
    bad_baseline: ArrayLike, baseline: ArrayLike, bad_candidate: ArrayLike, candidate: ArrayLike
) -> float | None:
    """
    Candidate's rate less baseline's, shapes (strata,); None where nothing can be compared.

    Strata weigh n·m/(n + m), as by Cochran (1954) and Mantel & Haenszel (1959): a base rate that moves while the share
    of the candidate does must not look like a difference between the two.
    """
    n, m = np.asarray(baseline, dtype=np.float64), np.asarray(candidate, dtype=np.float64)
    used = (n > 0) & (m > 0)
    if not used.any():
        return None
    n, m, k, j = n[used], m[used], np.asarray(bad_baseline)[used], np.asarray(bad_candidate)[used]
    weights = n * m / (n + m)
    return float((weights * (j / m - k / n)).sum() / weights.sum())


def bounds_of_difference(
    bad_baseline: ArrayLike,
    baseline: ArrayLike,
    bad_candidate: ArrayLike,
    candidate: ArrayLike,
    *,
    lower: float,
    upper: float,
) -> tuple[float, float]:
    """
    Bounds of (candidate's rate - baseline's rate): all the differences that no test has excluded.

    Args:
        bad_baseline: as in `log_e_two_rates`, shape (strata,), and so are the next three.
        baseline: trials.
        bad_candidate: bad events.
        candidate: trials.
        lower: level of the lower bound, in (0, 1).
        upper: level of the upper bound.
    """

    def excluded(offset: float, side: int, level: float) -> bool:
        found = log_e_two_rates(bad_baseline, baseline, bad_candidate, candidate, offset=offset, side=side)
        return bool(found >= -np.log(level))

    seen = difference_of_rates(bad_baseline, baseline, bad_candidate, candidate)
    if seen is None:
        return -1.0, 1.0
    least = _outermost(-1.0, seen, lambda offset: excluded(offset, 1, lower))
    most = _outermost(1.0, seen, lambda offset: excluded(offset, -1, upper))
    # Equality has a mixture of its own: the bounds follow its test, as verdicts do.
    return (
        max(least, 0.0) if excluded(0.0, 1, lower) else min(least, 0.0),
        min(most, 0.0) if excluded(0.0, -1, upper) else max(most, 0.0),
    )


def _outermost(outside: float, inside: float, excluded: Any) -> float:
    """The value nearest to *inside* that is still excluded, or *outside* when none is; by bisection."""
    best = outside
    for _ in range(BISECTIONS):
        middle = round(0.5 * (outside + inside), 12)
        if excluded(middle):
            outside = best = middle
        else:
            inside = middle
    return best
