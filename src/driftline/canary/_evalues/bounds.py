"""Bounds of a harm: the values that an e-value has not excluded."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from driftline.canary._evalues.projections import Indices, log_ratios, possible_alternatives
from driftline.canary._evalues.rates import candidate_share, log_e_two_rates, log_sum_exp, rate_difference
from driftline.typing import Floats

__all__ = ["rate_difference_bound", "rate_difference_bounds", "search_bound"]

MAX_EVALUATIONS = 40
"""Most evaluations of the evidence for a bound; three to five are usual."""

MIXTURE_COST = 2.0
"""Logarithm by which a mixture is usually below its best alternative. It only makes the search for a bound shorter."""

SURPLUS = 0.2
"""Surplus of the logarithm of an e-value at which a search ends: the bound is then at most 2 % too wide."""

PRECISION = 2.0**-16
"""Largest error of a bound, as a share of the searched interval, if the evidence has a step where it must be found."""

LAST_PART = 2.0**-4
"""Part of the searched interval, at its end, in which no bound is searched: the end itself is then the bound."""

NEGLIGIBLE = 7.0
"""
Logarithm by which alternatives are below the best before a search for a bound ignores them. Two hundred ignored ones
lower the logarithm of an e-value by 0.02 if all others are as good as the best, and by 0.2 at most.
"""

RARE = 0.25
"""Part of the baseline's observed rate below which rates of the mixture have no part in the evidence."""


GROUPS = 16
"""Most groups of strata by the candidate's share, whose sums show which alternatives have a part in the evidence."""


def search_bound(
    log_e: Callable[[float], float], observed: float, outside: float, needed: float, error: float
) -> float:
    """
    Return the excluded value nearest to the observed one; *outside* if none is excluded.

    The result is excluded, so it lies on the outer side of the true bound.

    Args:
        log_e: called with a value, returns the logarithm of the e-value against it. It grows with the distance from
            *observed*, about as the square of the distance.
        observed: the observed value, which is not excluded.
        outside: end of the searched interval.
        needed: the logarithm of the e-value that excludes a value.
        error: estimated standard error of the observed value, for a first guess.
    """
    sign, reach = math.copysign(1.0, outside - observed), abs(outside - observed)
    near, near_height = 0.0, 0.0
    far, far_height = math.inf, 0.0
    target = math.sqrt(needed + 0.5 * SURPLUS + MIXTURE_COST)
    last = (1.0 - LAST_PART) * reach
    distance = min(max(_first_distance(needed, error), PRECISION * reach), last)
    for _ in range(MAX_EVALUATIONS):
        value = log_e(observed + sign * distance)
        height = math.sqrt(max(value + MIXTURE_COST, 0.0))
        if value >= needed:
            far, far_height = distance, height
            if value <= needed + SURPLUS:
                break
        else:
            near, near_height = distance, height
        if math.isinf(far):
            if near >= last:
                break
            grown = 1.03 * near * target / near_height if near_height > 0.0 else math.inf
            distance = min(max(grown, 1.05 * near), 2.0 * near, last)
        elif far - near <= PRECISION * reach:
            break
        else:
            part = (target - near_height) / (far_height - near_height) if far_height > near_height else 0.5
            distance = near + min(max(part, 0.05), 0.95) * (far - near)
    return outside if math.isinf(far) else observed + sign * far


def _first_distance(needed: float, error: float) -> float:
    """Return the distance at which a normal distribution has the evidence that is needed."""
    return math.sqrt(2.0 * (needed + MIXTURE_COST)) * error


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
    counts = np.array([bad_baseline, baseline, bad_candidate, candidate], dtype=np.float64)
    return rate_difference_bound(counts, 1, lower), rate_difference_bound(counts, -1, upper)


def rate_difference_bound(counts: Floats, side: int, level: float) -> float:
    """
    Return one bound of candidate's rate - baseline's rate; -*side* if no stratum has trials of both variants.

    Args:
        counts: (bad events of the baseline, its trials, bad events of the candidate, its trials), shape (4, strata).
        side: 1 for the lower bound, -1 for the upper bound.
        level: probability that the bound is ever wrong, in (0, 1).
    """
    difference = rate_difference(*counts)
    if difference is None:
        return -float(side)
    # Strata without trials of both variants have no evidence.
    k, n, j, m = counts[:, (counts[1] > 0.0) & (counts[3] > 0.0)]
    share, error, needed = candidate_share(n, m), _standard_error(k, n, j, m), -math.log(level)
    guess = difference - side * _first_distance(needed, error) or -side * error
    kept = _alternatives_that_matter(np.stack([k, n, j, m]), guess, side)

    def log_e(offset: float) -> float:
        ratios = log_ratios(share, offset=offset, side=side, kept=kept)
        return float(log_sum_exp(ratios.of(k, n, j, m) + ratios.weights)) if len(ratios.weights) else 0.0

    bound = search_bound(log_e, difference, -float(side), needed, error)
    # The test of equality has its own mixture, so the bound is adjusted to agree with that test.
    excluded = side * difference > 0.0 and float(log_e_two_rates(k, n, j, m, side=side)) >= needed
    return side * max(side * bound, 0.0) if excluded else side * min(side * bound, 0.0)


def _standard_error(k: Floats, n: Floats, j: Floats, m: Floats) -> float:
    """Return a rough standard error of `rate_difference`, which is positive also without bad events."""
    weights = n * m / (n + m)
    rates_b, rates_c = (k.sum() + 0.5) / (n.sum() + 1.0), (j.sum() + 0.5) / (m.sum() + 1.0)
    variances = rates_b * (1.0 - rates_b) / n + rates_c * (1.0 - rates_c) / m
    return float(np.sqrt((weights**2 * variances).sum()) / weights.sum())


def _alternatives_that_matter(counts: Floats, offset: float, side: int) -> Indices:
    """
    Return the indices of the alternatives that have a part in the evidence, by sums over strata of similar shares.

    Where the candidate's share is the same, the evidence of strata is that of their sum. If it differs, the overall
    rates may be far from those that are compared (Simpson's paradox).

    Args:
        counts: see `rate_difference_bound`.
        offset: a guess of the bound, other than 0.
        side: 1 for evidence of harm, -1 for safety.
    """
    order = np.argsort(candidate_share(counts[1], counts[3]))
    groups = np.array_split(counts[:, order], min(GROUPS, order.size), axis=1)
    k, n, j, m = np.stack([group.sum(axis=1) for group in groups], axis=1)
    rates, possible = possible_alternatives(1.0, offset, side)
    # Rates that this edge excludes may have a part at another one, unless they are far below the observed rate.
    kept = ~possible & (rates > RARE * ((k + 0.5) / (n + 1.0)).min())
    if possible.any():
        ratios = log_ratios(m / (n + m), offset=offset, side=side)
        terms = ratios.of(k, n, j, m) + ratios.weights
        kept[possible] = terms >= terms.max() - NEGLIGIBLE
    return np.flatnonzero(kept)
