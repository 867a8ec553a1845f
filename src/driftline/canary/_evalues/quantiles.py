"""E-values for a difference between quantiles of latency, from binned durations alone."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline.canary._evalues.rates import log_e_one_rate, log_e_two_rates
from driftline.typing import Floats

__all__ = ["Latencies", "binned_quantile", "log_e_two_quantiles", "quantile_difference_bounds"]

BinIndices: TypeAlias = "NDArray[np.intp]"

LOCATION_PART = 0.1
"""Part of alpha that is used to locate the baseline's quantile; the rest is used to compare slow calls."""

BISECTIONS = 20
"""Bisection steps of a bound; twenty make it accurate to a millionth of twice the slowest call."""


def binned_quantile(durations: Floats, edges: Floats, quantile: float) -> float | None:
    """
    Return a quantile of binned durations, in seconds: the geometric middle of its bin; None without calls.

    Args:
        durations: calls per bin, shape (edges + 1,): below the first edge, between edges, above the last.
        edges: edges of the bins in seconds, ascending.
        quantile: the quantile to return, in [0, 1].
    """
    total = float(durations.sum())
    if not total:
        return None
    index = int(np.searchsorted(np.cumsum(durations), max(quantile * total, 1.0)))
    outer_edges = np.concatenate([edges[:1], edges, edges[-1:]])
    return float(np.sqrt(outer_edges[index] * outer_edges[index + 1]))


class Latencies:
    """
    For each edge of the bins, the number of calls of each variant that took at least as long.

    Args:
        baseline: calls of the baseline per bin, shape (strata, edges + 1): below the first edge, between edges, above
            the last.
        candidate: calls of the candidate per bin, same shape.
        edges: edges of the bins in seconds, ascending.

    Attributes:
        edges: the edges around durations that occur, in seconds. The first may be 0, the last may be infinity.
        baseline: the baseline's calls that took at least as long as each edge, shape (edges, strata).
        candidate: the candidate's calls that took at least as long as each edge, same shape.
        baseline_calls: all calls of the baseline, shape (strata,).
        candidate_calls: all calls of the candidate, shape (strata,).
    """

    __slots__ = ("_bins", "baseline", "baseline_calls", "candidate", "candidate_calls", "edges")

    def __init__(self, baseline: Floats, candidate: Floats, edges: Floats) -> None:
        self._bins: dict[tuple[float, float, float], BinIndices] = {}
        self.baseline_calls, self.candidate_calls = baseline.sum(axis=1), candidate.sum(axis=1)
        # The edges go from 0 to infinity; only those around the durations that occur are kept.
        used = np.flatnonzero((baseline + candidate).sum(axis=0))
        kept = slice(max(int(used[0]) - 1, 0), int(used[-1]) + 3) if len(used) else slice(0, 2)
        self.edges = np.concatenate([[0.0], edges, [np.inf]])[kept]

        self.baseline, self.candidate = (
            np.concatenate([calls[None], calls - np.cumsum(counts, axis=1).T])[kept]
            for counts, calls in ((baseline, self.baseline_calls), (candidate, self.candidate_calls))
        )

    def quantile_bins(self, quantile: float, level: float, scale: float) -> BinIndices:
        """
        Return the bins that may hold the baseline's quantile, as indices of their lower edges in *edges*.

        A share of 1 - *quantile* of the calls takes longer than the quantile. A bin is excluded if the calls that took
        longer are too few or too many for that share: Howard & Ramdas (2022), *Sequential estimation of quantiles*.

        Args:
            quantile: in (0, 1).
            level: probability that the bin of the true quantile is ever excluded.
            scale: factor on all counts, to estimate the result after more calls.
        """
        key = (quantile, level, scale)
        if key not in self._bins:
            self._bins[key] = self._locate_quantile(quantile, level, scale)
        return self._bins[key]

    def _locate_quantile(self, quantile: float, level: float, scale: float) -> BinIndices:
        beyond, calls = scale * self.baseline.sum(axis=1), scale * float(self.baseline_calls.sum())
        above = log_e_one_rate(beyond[:, None], [calls], limit=[1.0 - quantile], side=1) >= -math.log(level / 2.0)
        below = log_e_one_rate(beyond[:, None], [calls], limit=[1.0 - quantile], side=-1) >= -math.log(level / 2.0)
        # The bin between edges i and i + 1 may hold it unless too many calls lie above i + 1 or too few above i.
        return np.flatnonzero(~above[1:] & ~below[:-1])


def log_e_two_quantiles(
    latencies: Latencies,
    quantile: float,
    *,
    slope: float = 1.0,
    offset: float = 0.0,
    side: int = 1,
    level: float = 0.05,
    scale: float = 1.0,
) -> float:
    """
    Return the log e-value for a candidate's quantile above, or below, slope · the baseline's quantile + offset.

    Let x be the baseline's quantile. Slow calls of the candidate take longer than slope · x + offset, slow calls of the
    baseline longer than x. For *side* 1 the null hypothesis implies two statements. The candidate's share of slow calls
    is at most the baseline's. It is also at most 1 - quantile. For *side* -1, read "at least" for "at most". The mean
    of the e-values of both statements is an e-value.

    The baseline's calls give a range for x, at a level of `LOCATION_PART` times *level*. The result is the smallest
    evidence over that range. Edges are rounded so that the evidence gets smaller. The second statement keeps its power
    if all of the baseline's calls lie in one bin.

    Args:
        latencies: the durations.
        quantile: in (0, 1).
        slope: factor on the baseline's quantile.
        offset: seconds that are added to slope · the baseline's quantile.
        side: 1 for evidence that the candidate's quantile is longer, -1 for shorter.
        level: the result will be compared with ln(1 / *level*).
        scale: factor on all counts, to estimate the evidence after more calls.

    Returns:
        The natural logarithm of the e-value, reduced by the cost of locating x; 0 if either variant has no calls. Under
        the null hypothesis, it ever reaches ln(1 / *level*) with a probability of at most *level*.
    """
    bins = latencies.quantile_bins(quantile, LOCATION_PART * level, scale)
    if not len(bins) or not latencies.candidate_calls.sum():
        return 0.0
    last = len(latencies.edges) - 1
    if side > 0:
        # x may be anywhere in its bin. The evidence is smallest if the baseline's calls beyond the lower edge count as
        # slow, and the candidate's beyond the upper edge.
        shifted = np.searchsorted(latencies.edges, slope * latencies.edges[bins + 1] + offset)
        slow_baseline = latencies.baseline[bins]
    else:
        shifted = np.searchsorted(latencies.edges, slope * latencies.edges[bins] + offset, side="right") - 1
        slow_baseline = latencies.baseline[bins + 1]
    slow_candidate = np.where((shifted <= last)[:, None], latencies.candidate[np.clip(shifted, 0, last)], 0.0)
    slow_candidate = np.where((shifted < 0)[:, None], latencies.candidate_calls, slow_candidate)
    against_baseline = log_e_two_rates(
        scale * slow_baseline,
        scale * latencies.baseline_calls[None],
        scale * slow_candidate,
        scale * latencies.candidate_calls[None],
        side=side,
    )
    against_share = log_e_one_rate(
        scale * slow_candidate, scale * latencies.candidate_calls[None], limit=[1.0 - quantile], side=side
    )
    return float(np.logaddexp(against_baseline, against_share).min()) + math.log(0.5 * (1.0 - LOCATION_PART))


def quantile_difference_bounds(
    latencies: Latencies, quantile: float, *, lower: float, upper: float
) -> tuple[float, float]:
    """
    Return (lower bound, upper bound) of candidate's quantile - baseline's quantile, in seconds.

    Args:
        latencies: the durations.
        quantile: in (0, 1).
        lower: probability that the lower bound is ever wrong, in (0, 1).
        upper: probability that the upper bound is ever wrong, in (0, 1).

    Returns:
        Both bounds. A bound is infinite if there are too few calls for it.
    """
    reach = 2.0 * float(latencies.edges[np.isfinite(latencies.edges)][-1])
    bounds = []
    for side, level in ((1, lower), (-1, upper)):
        inside, outside, bound = side * reach, -side * reach, -side * math.inf
        for _ in range(BISECTIONS):
            middle = 0.5 * (inside + outside)
            if log_e_two_quantiles(latencies, quantile, offset=middle, side=side, level=level) >= -math.log(level):
                outside = bound = middle
            else:
                inside = middle
        bounds.append(bound)
    return bounds[0], bounds[1]
