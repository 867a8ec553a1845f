"""E-values for a difference between quantiles of latency, from binned durations alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from driftline.canary._evalues.latencies import Latencies
from driftline.canary._evalues.quantile_limit import EQUAL, Limit
from driftline.canary._evalues.quantile_location import (
    BinIndices,
    QuantileLocation,
    TimedLocation,
    UntimedLocation,
    farther_edges,
)
from driftline.canary._evalues.rates import log_e_one_rate, log_sum_exp
from driftline.typing import Floats

__all__ = ["MIN_BLOCKS", "MIN_CALLS", "QuantileComparison"]

MIN_BLOCKS = 16.0
"""
Blocks of time in effect that a comparison needs. With fewer, a slow start of a process looks like a slow candidate. In
simulations of 120 slow calls after the warm-up, 8 blocks roll back 98 %, 16 blocks none.
"""

MIN_CALLS = 200.0
"""
Calls of each variant that a comparison by time needs, for the same reason. Where calls are rare, a slow start fills all
blocks of the first minutes. In simulations of 30 to 120 slow calls after the warm-up, at 3 to 300 calls a second, 200
calls roll back none.
"""

STEPS = np.linspace(0.0, 1.0, 13)
"""Points at which the search for a bound divides an interval. Two rounds of twelve parts do for all edges in use."""


class QuantileComparison:
    """
    Evidence about the difference between one quantile of the two variants' latencies.

    Let x be the baseline's quantile. Slow calls of the candidate take longer than the limit of x, slow calls of the
    baseline longer than x. The null hypothesis of no harm implies two statements:

    1. The candidate's share of slow calls is at most the baseline's.
    2. It is at most 1 - quantile. This keeps its power if all of the baseline's calls lie in one bin.

    Each e-value is multiplied by its part of alpha, and the larger one counts. It is at most their weighted mean, which
    is an e-value.

    `UntimedLocation` and `TimedLocation` say where x may lie. Without blocks of time, both statements are tested at all
    bins that may hold x, and the smallest evidence counts. With blocks of time, all counts are divided by the design
    effect of time, and the first statement is tested at the estimate of x.

    Edges of bins are rounded so that the evidence gets smaller.

    Args:
        latencies: the durations.
        quantile: the compared quantile, in (0, 1).
        limits: limits that will be tested. The design effect is the largest of calls beyond x and beyond their values.
        inflation: the least variance inflation, at least 1.

    Attributes:
        location: where x may lie, with the design effect and the blocks of time in effect.
        calls: calls of the variant that has fewer.
        ready: whether there are enough calls for evidence. If calls are counted by time, `MIN_BLOCKS` and `MIN_CALLS`
            are needed.
    """

    __slots__ = (
        "_latencies",
        "_of_share",
        "_quantile",
        "calls",
        "location",
        "ready",
    )

    def __init__(
        self, latencies: Latencies, quantile: float, limits: Sequence[Limit] = (), *, inflation: float = 1.0
    ) -> None:
        self._latencies, self._quantile = latencies, quantile
        self._of_share: dict[int, Floats] = {}
        self.calls = int(min(latencies.baseline_calls.sum(), latencies.candidate_calls.sum()))
        self.ready = latencies.weighted_calls > 0.0
        if latencies.blocks is None or not self.ready:
            self.location: QuantileLocation = UntimedLocation(latencies, quantile, inflation)
            return
        self.location = TimedLocation(latencies, latencies.blocks, quantile, limits, inflation)
        self.ready = self.location.blocks >= MIN_BLOCKS and self.calls >= MIN_CALLS

    def log_e(self, limit: Limit = EQUAL, *, side: int = 1, level: float = 0.05, scale: float = 1.0) -> float:
        """
        Return the log e-value for a candidate's quantile above, or below, the limit.

        Args:
            limit: the largest allowed quantile of the candidate.
            side: 1 for evidence that the candidate's quantile is longer, -1 for shorter.
            level: the result will be compared with ln(1 / *level*).
            scale: factor on all counts, to estimate the evidence after more calls.

        Returns:
            The natural logarithm of the e-value, reduced by the cost of locating x; 0 if the comparison is not *ready*.
            Under the null hypothesis, it ever reaches ln(1 / *level*) with a probability of at most *level*.
        """
        if not self.ready:
            return 0.0
        bins = self.location.bins(level, scale)
        if not len(bins):
            return 0.0
        slow, x = self.location.slow_edges(bins, side)
        of_both = self._log_e_of_both(slow, self._shifted(limit.of(x), side), limit, side, scale)
        of_share = self._log_e_of_share(self._shifted(limit.of(self._farthest(bins, side)), side), side, scale)
        return float(max(of_both.min(), of_share[0]))

    def _farthest(self, bins: BinIndices, side: int) -> Floats:
        """
        Return the value of x at which the evidence of the second statement is smallest, shape (1,).

        The evidence for harm falls with x, and that for safety grows, so it is one end of the bins.
        """
        return self._latencies.edges[farther_edges(bins[-1:] if side > 0 else bins[:1], side)]

    def _shifted(self, limits: Floats, side: int) -> BinIndices:
        """Return the edges beyond which the candidate's calls are slow: the next ones above limits, or below them."""
        edges = self._latencies.edges
        index = np.searchsorted(edges, limits) if side > 0 else np.searchsorted(edges, limits, side="right") - 1
        return np.clip(index, 0, len(edges) - 1)

    def _log_e_of_both(self, slow: BinIndices, shifted: BinIndices, limit: Limit, side: int, scale: float) -> Floats:
        """
        Return the log e-values of the first statement, multiplied by its part of alpha.

        Args:
            slow: indices of the baseline's edges.
            shifted: indices of the candidate's edges, same shape.
            limit: the limit, for the densities on its two sides.
            side: see `log_e`.
            scale: see `log_e`.
        """
        factor = scale / self.location.design_effect / self.location.effect(limit)
        baseline, candidate, weights = self._latencies.terms(side)
        log_e: Floats = log_sum_exp(factor * (baseline[slow] + candidate[shifted]) + weights)
        return log_e + math.log(self.location.both_part)

    def _log_e_of_share(self, shifted: BinIndices, side: int, scale: float) -> Floats:
        """Return the log e-values of the second statement, multiplied by its part of alpha."""
        calls, factor = self._latencies.compared, scale / self.location.design_effect

        def log_e(slow: Floats) -> Floats:
            result: Floats = log_e_one_rate(
                factor * slow[..., None], [factor * calls[0]], limit=[1.0 - self._quantile], side=side
            )
            return result + math.log(self.location.share_part)

        if scale != 1.0:
            return log_e(calls[shifted])
        # The search for a bound needs many edges, and the present counts.
        if side not in self._of_share:
            self._of_share[side] = log_e(calls)
        return self._of_share[side][shifted]

    def bounds(self, lower: float, upper: float) -> tuple[float, float]:
        """
        Return (lower bound, upper bound) of candidate's quantile - baseline's quantile, in seconds.

        Args:
            lower: probability that the lower bound is ever wrong, in (0, 1).
            upper: probability that the upper bound is ever wrong, in (0, 1).

        Returns:
            Both bounds, at edges of bins. A bound is infinite if there are too few calls for it.
        """
        return self._bound(1, lower), self._bound(-1, upper)

    def _bound(self, side: int, level: float) -> float:
        """Return the bound that `log_e` excludes at this level: the better one of both statements."""
        bins = self.location.bins(level, 1.0)
        if not len(bins) or not self.ready:
            return -side * math.inf
        both = self._bound_of_both(*self.location.slow_edges(bins, side), side, -math.log(level))
        share = self._bound_of_share(float(self._farthest(bins, side)[0]), side, -math.log(level))
        return max(both, share) if side > 0 else min(both, share)

    def _bound_of_share(self, x: float, side: int, needed: float) -> float:
        """Return the bound of the second statement, for the value of x at which its evidence is smallest."""
        edges = self._latencies.edges
        excluded = np.flatnonzero(self._log_e_of_share(np.arange(len(edges)), side, 1.0) >= needed)
        if not len(excluded):
            return -side * math.inf
        return float(edges[excluded[-1 if side > 0 else 0]]) - x

    def _bound_of_both(self, slow: BinIndices, x: Floats, side: int, needed: float) -> float:
        """
        Return the bound of the first statement.

        The evidence for harm grows with the candidate's slow calls, so it falls from edge to edge. For each edge of the
        baseline, a search finds the last edge that is certainly exceeded. The bound is the smallest over all.
        """
        edges, rows = self._latencies.edges, np.arange(len(slow))
        certain = np.full(len(slow), 0 if side > 0 else len(edges) - 1)
        uncertain = np.full(len(slow), len(edges) - 1 if side > 0 else 0)
        if (self._log_e_of_both(slow, certain, EQUAL, side, 1.0) < needed).any():
            return -side * math.inf
        while (np.abs(certain - uncertain) > 1).any():
            points = certain[:, None] + np.rint(np.outer(uncertain - certain, STEPS)).astype(np.intp)
            log_e = self._log_e_of_both(np.broadcast_to(slow[:, None], points.shape), points, EQUAL, side, 1.0)
            # The first point is certain, and the last is not.
            last = (log_e[:, 1:-1] >= needed).sum(axis=1)
            certain, uncertain = points[rows, last], points[rows, last + 1]
        differences = edges[certain] - x
        return float(differences.min() if side > 0 else differences.max())
