"""E-values for a difference between quantiles of latency, from binned durations alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline.canary._evalues.design_effect import FOLDS, effective_clusters, fold_blocks, time_design_effect
from driftline.canary._evalues.latencies import Latencies
from driftline.canary._evalues.rates import TINY, log_e_one_rate, log_sum_exp
from driftline.typing import Floats

__all__ = ["EQUAL", "MIN_BLOCKS", "Limit", "QuantileComparison"]

BinIndices: TypeAlias = "NDArray[np.intp]"

LOCATION_PART = 0.1
"""Part of alpha that locates the baseline's quantile if calls are not counted by time; the rest compares slow calls."""

LOCATION_ERRORS = 3.0
"""Standard errors around the baseline's quantile within which it is assumed to lie, if calls are counted by time."""

DENSITY_ERRORS = 2.0
"""
Standard errors on both sides of a quantile within which its density is estimated: of 200 calls, a p95 has about twelve.
In simulations of equal quantiles whose densities differ up to tenfold, 2 and 3 roll back at most 1 %.
"""

SHARE_PART = 0.05
"""
Part of alpha for the candidate's share alone. It decides where the baseline's calls lie in one bin, and is then so
large that a small part does.
"""

SHARE_PART_OF_BINS = 0.5
"""The same if calls are not counted by time. Both statements are then tested at the worst bin that may hold x."""

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


LARGEST_PART = 0.8
"""Part of the calls beyond a quantile that at most lie between it and the end of the range of its density."""

STEPS = np.linspace(0.0, 1.0, 13)
"""Points at which the search for a bound divides an interval. Two rounds of twelve parts do for all edges in use."""


@dataclass(frozen=True, slots=True)
class Limit:
    """
    The largest allowed quantile of the candidate, as a function of the baseline's quantile x: *slope* · x + *offset*.

    Attributes:
        slope: factor on the baseline's quantile.
        offset: seconds that are added.
        larger: if True, the limit is the larger of *slope* · x and x + *offset*.
    """

    slope: float = 1.0
    offset: float = 0.0
    larger: bool = False

    def of(self, x: Floats) -> Floats:
        """Return the limits for these quantiles of the baseline, in seconds."""
        return np.maximum(self.slope * x, x + self.offset) if self.larger else self.slope * x + self.offset


EQUAL = Limit()
"""The limit of a candidate that may not be slower at all."""


class QuantileComparison:
    """
    Evidence about the difference between one quantile of the two variants' latencies.

    Let x be the baseline's quantile. Slow calls of the candidate take longer than the limit of x, slow calls of the
    baseline longer than x. The null hypothesis of no harm implies two statements:

    1. The candidate's share of slow calls is at most the baseline's.
    2. It is at most 1 - quantile. This keeps its power if all of the baseline's calls lie in one bin.

    Each e-value is multiplied by its part of alpha, and the larger one counts. It is at most their weighted mean, which
    is an e-value.

    Without blocks of time, calls are independent. The evidence is the smallest over the bins that may hold x, which
    have a level of `LOCATION_PART` times that of the test.

    With blocks of time, all counts are divided by the design effect of time. The second statement is tested over the
    bins within `LOCATION_ERRORS` of x. The first one is tested at the estimate of x, whose error adds to the variance.
    If the candidate's density at its quantile is *r* times the baseline's, then the baseline's calls count as if their
    variance were r² times as large. See Serfling (1980), *Approximation theorems of mathematical statistics*, 2.3.3.

    Edges of bins are rounded so that the evidence gets smaller.

    Args:
        latencies: the durations.
        quantile: the compared quantile, in (0, 1).
        limits: limits that will be tested. The design effect is the largest of calls beyond x and beyond their values.
        inflation: the least variance inflation, at least 1.

    Attributes:
        blocks: blocks of time in effect, such as 12.5; infinity if calls are not counted by time.
        calls: calls of the variant that has fewer.
        ready: whether there are enough calls for evidence. If calls are counted by time, `MIN_BLOCKS` and `MIN_CALLS`
            are needed.
        design_effect: variance inflation by which all counts are divided.
    """

    __slots__ = (
        "_around",
        "_bins",
        "_latencies",
        "_location_effects",
        "_of_share",
        "_quantile",
        "blocks",
        "calls",
        "design_effect",
        "ready",
    )

    def __init__(
        self, latencies: Latencies, quantile: float, limits: Sequence[Limit] = (), *, inflation: float = 1.0
    ) -> None:
        self._latencies, self._quantile = latencies, quantile
        self._bins: dict[tuple[float, float], BinIndices] = {}
        self._of_share: dict[int, Floats] = {}
        self._location_effects: dict[Limit, float] = {}
        self._around: BinIndices | None = None
        self.blocks, self.design_effect = math.inf, inflation
        self.calls = int(min(latencies.baseline_calls.sum(), latencies.candidate_calls.sum()))
        self.ready = latencies.weighted_calls > 0.0
        if latencies.blocks is not None and self.ready:
            self._estimate_design_effect(latencies.blocks, (EQUAL, *limits))
            self.ready = self.blocks >= MIN_BLOCKS and self.calls >= MIN_CALLS

    def _estimate_design_effect(self, blocks: Floats, limits: Sequence[Limit]) -> None:
        edges = self._latencies.edges
        index = int(np.abs(self._latencies.weighted - (1.0 - self._quantile)).argmin())
        shifted = [int(np.searchsorted(edges, limit.of(edges[index]))) for limit in limits]
        trials = blocks[:, 0]
        slow = np.stack([blocks[[0, 1], [index, min(shift, len(edges) - 1)]] for shift in sorted(set(shifted))])
        share = trials[1] / np.maximum(trials.sum(axis=0), 1.0)
        self.blocks = float(effective_clusters(share * trials[0]))
        # The largest over 64, 32 and 16 blocks: bursts of calls may be longer than the shortest blocks.
        effects = [1.0]
        for fold in range(FOLDS + 1):
            if fold:
                slow, trials = fold_blocks(slow), fold_blocks(trials)
            effects.append(float(time_design_effect(slow, trials).max()))
        self.design_effect = max(self.design_effect, *effects)

    def bins(self, level: float, scale: float) -> BinIndices:
        """
        Return the bins that may hold the baseline's quantile, as indices of their lower edges.

        A share of 1 - quantile of the calls takes longer than the quantile. A bin is excluded if the calls that took
        longer are too few or too many for that share. Without blocks of time: Howard & Ramdas (2022), *Sequential
        estimation of quantiles*.

        Args:
            level: probability that the result of `log_e` is wrong.
            scale: factor on all counts, to estimate the result after more calls.
        """
        key = (level if self._latencies.blocks is None else 0.0, scale)
        if key not in self._bins:
            calls = scale / self.design_effect * self._latencies.weighted_calls
            if self._latencies.blocks is not None:
                self._bins[key] = self._bins_within(LOCATION_ERRORS, calls)
            else:
                self._bins[key] = self._bins_of_level(level, calls)
        return self._bins[key]

    def _bins_within(self, errors: float, calls: float) -> BinIndices:
        """Return the bins that hold the quantile if its estimate is wrong by at most *errors* standard errors."""
        limit = 1.0 - self._quantile
        reach = errors * math.sqrt(limit * self._quantile / max(calls, TINY))
        beyond = self._latencies.weighted
        return _bins_between(beyond > limit + reach, beyond < limit - reach)

    def _bins_of_level(self, level: float, calls: float) -> BinIndices:
        """Return the bins that an exact test does not exclude; none without calls."""
        if not calls:
            return np.zeros(0, dtype=np.intp)
        beyond, limit = calls * self._latencies.weighted[:, None], [1.0 - self._quantile]
        needed = -math.log(0.5 * LOCATION_PART * level)
        above, below = (log_e_one_rate(beyond, [calls], limit=limit, side=side) >= needed for side in (1, -1))
        return _bins_between(above, below)

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
        bins = self.bins(level, scale)
        if not len(bins):
            return 0.0
        slow, x = self._slow(bins, side)
        of_both = self._log_e_of_both(slow, self._shifted(limit.of(x), side), limit, side, scale)
        of_share = self._log_e_of_share(self._shifted(limit.of(self._farthest(bins, side)), side), side, scale)
        return float(max(of_both.min(), of_share[0]))

    def _farthest(self, bins: BinIndices, side: int) -> Floats:
        """
        Return the value of x at which the evidence of the second statement is smallest, shape (1,).

        The evidence for harm falls with x, and that for safety grows, so it is one end of the bins.
        """
        return self._latencies.edges[_far(bins[-1:] if side > 0 else bins[:1], side)]

    def _slow(self, bins: BinIndices, side: int) -> tuple[BinIndices, Floats]:
        """
        Return the edges beyond which the baseline's calls are slow, as indices, and the value of x for each of them.

        Without blocks of time, x may be anywhere in its bin. The evidence for harm is smallest if the baseline's calls
        beyond the lower edge count as slow, and the candidate's beyond the upper edge.
        """
        edges = self._latencies.edges
        if self._latencies.blocks is None:
            return _near(bins, side), edges[_far(bins, side)]
        if self._around is None:
            estimate = self._bins_within(0.0, self._latencies.weighted_calls)
            self._around = np.arange(estimate[0], estimate[-1] + 2)
        return self._around, edges[self._around]

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
        factor, part = scale / self.design_effect, (1.0 - SHARE_PART_OF_BINS) * (1.0 - LOCATION_PART)
        if self._latencies.blocks is not None:
            factor, part = factor / self.location_effect(limit), 1.0 - SHARE_PART
        baseline, candidate, weights = self._latencies.terms(side)
        log_e: Floats = log_sum_exp(factor * (baseline[slow] + candidate[shifted]) + weights)
        return log_e + math.log(part)

    def location_effect(self, limit: Limit) -> float:
        """
        Return the variance inflation of the difference between shares because x is estimated; at least 1.

        Both variants have calls, counted by time.

        The ratio of the densities is that of the distances between two quantiles around each variant's own: Siddiqui
        (1960), *Distribution of quantiles in samples from a bivariate population*; Bloch & Gastwirth (1968).
        """
        if limit not in self._location_effects:
            latencies, tail = self._latencies, 1.0 - self._quantile
            calls = latencies.weighted_calls, float(latencies.compared[0])
            reach = DENSITY_ERRORS * math.sqrt(tail * self._quantile * self.design_effect / min(calls))
            tails = tail + min(reach, LARGEST_PART * tail) * np.array([-1.0, 1.0])
            baseline = limit.of(_durations_at(tails, latencies.weighted, latencies.edges))
            candidate = _durations_at(tails, latencies.compared / calls[1], latencies.edges)
            ratio = max(1.0, float((baseline[0] - baseline[1]) / max(candidate[0] - candidate[1], TINY)))
            variances = 1.0 / calls[0], 1.0 / calls[1]
            self._location_effects[limit] = (ratio**2 * variances[0] + variances[1]) / sum(variances)
        return self._location_effects[limit]

    def _log_e_of_share(self, shifted: BinIndices, side: int, scale: float) -> Floats:
        """Return the log e-values of the second statement, multiplied by its part of alpha."""
        calls, factor = self._latencies.compared, scale / self.design_effect
        part = SHARE_PART if self._latencies.blocks is not None else SHARE_PART_OF_BINS * (1.0 - LOCATION_PART)

        def log_e(slow: Floats) -> Floats:
            result: Floats = log_e_one_rate(
                factor * slow[..., None], [factor * calls[0]], limit=[1.0 - self._quantile], side=side
            )
            return result + math.log(part)

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
        bins = self.bins(level, 1.0)
        if not len(bins) or not self.ready:
            return -side * math.inf
        both = self._bound_of_both(*self._slow(bins, side), side, -math.log(level))
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


def _bins_between(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> BinIndices:
    """Return the bins between edges that are too low, *above*, and edges that are too high, *below*."""
    # The bin between edges i and i + 1 may hold a quantile unless too many calls lie above i + 1 or too few above i.
    return np.flatnonzero(~above[1:] & ~below[:-1])


def _near(bins: BinIndices, side: int) -> BinIndices:
    return bins if side > 0 else bins + 1


def _far(bins: BinIndices, side: int) -> BinIndices:
    return bins + 1 if side > 0 else bins


def _durations_at(tails: Floats, beyond: Floats, edges: Floats) -> Floats:
    """
    Return the durations that these shares of the calls exceed, in seconds.

    Args:
        tails: shares in (0, 1), shape (n,).
        beyond: share of the calls that took at least as long as each edge, falling from 1 to 0.
        edges: in seconds, ascending; the last may be infinity.
    """
    finite = edges if np.isfinite(edges[-1]) else np.append(edges[:-1], 2.0 * edges[-2])
    result: Floats = np.interp(tails, beyond[::-1], finite[::-1])
    return result
