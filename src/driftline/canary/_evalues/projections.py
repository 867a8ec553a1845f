"""
Alternatives to the null hypothesis of a test of two rates, and their projections onto it.

The null hypothesis is that the candidate's rate is at most (or at least) slope · the baseline's rate + offset. The test
has a fixed set of *alternatives*, which are pairs of rates beyond that edge, with weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Floats

__all__ = [
    "EFFECTS",
    "MARGIN_RATES",
    "TINY",
    "Indices",
    "LogRatios",
    "alternatives",
    "effect_weights",
    "log_ratios",
    "possible_alternatives",
    "project",
    "with_rates",
]

Indices: TypeAlias = "NDArray[np.intp]"

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

TINY = 1e-12
"""Smallest distance of a rate from 0 and 1, so that logarithms are finite."""


@lru_cache(maxsize=2)
def effect_weights(side: int) -> Floats:
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


@lru_cache(maxsize=8)
def _mixture(*, equal: bool, side: int) -> tuple[Floats, Floats, Floats]:
    """
    Return the baseline's rates in the mixture, the candidate's factors on the allowed odds, and logarithms of weights.

    Args:
        equal: whether the edge of the null hypothesis is equality.
        side: 1 for harm, -1 for safety.

    Returns:
        Three arrays of the same length, one entry for each pair of a rate and one of `EFFECTS`.
    """
    rates = np.array(RATES if equal else MARGIN_RATES)
    weights = np.array(RATE_WEIGHTS) if equal else np.full(len(rates), 1.0 / len(rates))
    factors = np.tile(np.exp(side * EFFECTS), len(rates))
    return np.repeat(rates, len(EFFECTS)), factors, np.log(np.outer(weights, effect_weights(side)).ravel())


@lru_cache(maxsize=8)
def with_rates(rates: tuple[float, ...]) -> Indices:
    """Return the indices of the alternatives of a test with a margin that have some of `MARGIN_RATES`."""
    return np.flatnonzero(np.isin(_mixture(equal=False, side=1)[0], rates))


def possible_alternatives(slope: float, offset: float, side: int) -> tuple[Floats, NDArray[np.bool_]]:
    """
    Return the baseline's rates of all alternatives of a test with a margin, and whether the edge allows them.

    Args:
        slope: slope of the edge.
        offset: offset of the edge.
        side: 1 for harm, -1 for safety.
    """
    baseline = _mixture(equal=False, side=side)[0]
    allowed = slope * baseline + offset
    return baseline, (allowed > TINY) & (allowed < 1.0 - TINY)


def alternatives(slope: float, offset: float, side: int, kept: Indices | None = None) -> tuple[Floats, Floats, Floats]:
    """
    Return the alternatives of a test, for the *slope* and *offset* of its edge, and its *side* (1 for harm, -1).

    Args:
        slope: slope of the edge.
        offset: offset of the edge.
        side: 1 for harm, -1 for safety.
        kept: indices of the alternatives that are used; None for all. Without the others, the evidence can only be
            lower. It is ignored for the slope 1 and offset 0.

    Returns:
        (rates of the baseline, rates of the candidate, logarithms of the weights), three arrays of the same length.
    """
    equal = slope == 1.0 and offset == 0.0
    baseline, factors, weights = _mixture(equal=equal, side=side)
    if kept is not None and not equal:
        baseline, factors, weights = baseline[kept], factors[kept], weights[kept]
    allowed = slope * baseline + offset
    # Weights of rates outside (0, 1) are not shared among the others. This can only lower the evidence.
    inside = (allowed > TINY) & (allowed < 1.0 - TINY)
    if not inside.all():
        baseline, factors, weights, allowed = (part[inside] for part in (baseline, factors, weights, allowed))
    odds = allowed / (1.0 - allowed) * factors
    return baseline, np.minimum(np.maximum(odds / (1.0 + odds), TINY), 1.0 - TINY), weights


def project(baseline: Floats, candidate: Floats, share: Floats, slope: float, offset: float) -> Floats:
    """
    Return, for each alternative, the baseline rate q of the nearest point of the null hypothesis.

    The points of its edge are the pairs of rates (q, slope · q + offset). The distance is the Kullback-Leibler
    divergence, weighted by the shares of trials: this is the reverse information projection.

    The derivative of the divergence, times q (1 - q) c (1 - c) with c = slope · q + offset, is a cubic polynomial in q.
    It has one root below the feasible rates, one among them and one above, so the wanted root is the middle of three
    real roots. A Newton step removes the rounding error of its trigonometric form.

    Args:
        baseline: the baseline's rate in each alternative.
        candidate: the candidate's rate in each alternative.
        share: the candidate's share of the trials in each stratum; it broadcasts with the alternatives.
        slope: slope of the edge.
        offset: offset of the edge.
    """
    if slope == 1.0 and offset == 0.0:
        return (1.0 - share) * baseline + share * candidate
    # The polynomial, divided by -slope², has the coefficients 1, square, linear, constant. All are linear in the share.
    rest = 1.0 - share
    square = rest * ((2.0 * offset - 1.0) / slope - baseline) + share * ((offset - candidate) / slope - 1.0)
    linear = rest * ((offset * (offset - 1.0) / slope + (1.0 - 2.0 * offset) * baseline) / slope)
    linear += share * ((candidate - offset) / slope)
    constant = rest * (baseline * (offset * (1.0 - offset) / slope**2))
    third = square / 3.0
    depressed = np.minimum(linear - square * third, -TINY)
    height = (2.0 * third * third - linear) * third + constant
    radius = 2.0 * np.sqrt(depressed / -3.0)
    sine = np.minimum(np.maximum(-3.0 * height / (radius * depressed), -1.0), 1.0)
    q = radius * np.sin(np.arcsin(sine) / 3.0) - third
    q -= (((q + square) * q + linear) * q + constant) / ((3.0 * q + 2.0 * square) * q + linear)
    least, most = _feasible(slope, offset)
    inverse = np.minimum(np.maximum((candidate - offset) / slope, least), most)
    return np.minimum(np.maximum(q, np.minimum(baseline, inverse)), np.maximum(baseline, inverse))


def _feasible(slope: float, offset: float) -> tuple[float, float]:
    """Return the smallest and the largest baseline rate on the edge."""
    return max(TINY, (TINY - offset) / slope), min(1.0 - TINY, (1.0 - TINY - offset) / slope)


@dataclass(frozen=True, slots=True, eq=False)
class LogRatios:
    """
    Logarithms of the likelihood ratios of one trial, for each stratum and alternative of `log_e_two_rates`.

    They do not depend on the counts, so the evidence about many events in the same trials is a product of matrices.

    Attributes:
        bad_baseline: of a bad event of the baseline, shape (..., strata, alternatives).
        good_baseline: of a trial of the baseline without one, same shape.
        bad_candidate: of a bad event of the candidate, same shape.
        good_candidate: of a trial of the candidate without one, same shape.
        weights: logarithms of the alternatives' weights, shape (alternatives,).
    """

    bad_baseline: Floats
    good_baseline: Floats
    bad_candidate: Floats
    good_candidate: Floats
    weights: Floats

    def of(self, bad_baseline: Floats, baseline: Floats, bad_candidate: Floats, candidate: Floats) -> Floats:
        """
        Return the log likelihood ratios of all trials, shape (..., alternatives).

        Args:
            bad_baseline: bad events of the baseline, shape (..., strata).
            baseline: trials of the baseline, same shape.
            bad_candidate: bad events of the candidate, same shape.
            candidate: trials of the candidate, same shape.
        """
        terms: Floats = (
            _sum_strata(bad_baseline, self.bad_baseline - self.good_baseline)
            + _sum_strata(baseline, self.good_baseline)
            + _sum_strata(bad_candidate, self.bad_candidate - self.good_candidate)
            + _sum_strata(candidate, self.good_candidate)
        )
        return terms


def _sum_strata(counts: Floats, ratios: Floats) -> Any:
    """Return the sum of counts · ratios over strata."""
    if ratios.ndim > 2:  # noqa: PLR2004 - strata and alternatives
        return (counts[..., None, :] @ ratios)[..., 0, :]
    return counts @ ratios


def log_ratios(
    share: Floats,
    *,
    slope: float = 1.0,
    offset: float = 0.0,
    side: int = 1,
    kept: Indices | None = None,
) -> LogRatios:
    """
    Return the log likelihood ratios of the alternatives of a test.

    Args:
        share: the candidate's share of the trials, shape (..., strata).
        slope: see `alternatives`.
        offset: see `alternatives`.
        side: see `alternatives`.
        kept: see `alternatives`.
    """
    rates_b, rates_c, weights = alternatives(float(slope), float(offset), side, kept)
    near_b = project(rates_b, rates_c, share[..., None], slope, offset)
    of_b = np.log(near_b), np.log(1.0 - near_b)
    if slope == 1.0 and offset == 0.0:
        of_c = of_b
    else:
        near_c = slope * near_b + offset
        of_c = np.log(near_c), np.log(1.0 - near_c)
    return LogRatios(
        np.log(rates_b) - of_b[0],
        np.log(1.0 - rates_b) - of_b[1],
        np.log(rates_c) - of_c[0],
        np.log(1.0 - rates_c) - of_c[1],
        weights,
    )
