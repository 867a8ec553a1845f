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
from driftline.canary._evalues.rates import log_e_one_rate, log_sum_exp
from driftline.typing import Floats

__all__ = ["EQUAL", "MIN_BLOCKS", "Limit", "QuantileComparison"]

BinIndices: TypeAlias = "NDArray[np.intp]"

LOCATION_PART = 0.1
"""Part of alpha that is used to locate the baseline's quantile; the rest is used to compare slow calls."""

LOCATION_ERRORS = 3.0
"""Standard errors around the baseline's quantile within which it is assumed to lie, if calls are counted by time."""

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
    baseline longer than x. The null hypothesis of no harm implies two statements. The candidate's share of slow calls
    is at most the baseline's. It is also at most 1 - quantile. The mean of the e-values of both statements is an
    e-value. The second statement keeps its power if all of the baseline's calls lie in one bin.

    The evidence is the smallest over the bins that may hold x. Edges are rounded so that the evidence gets smaller.

    Without blocks of time, calls are independent. The bins have a level of `LOCATION_PART` times that of the test. With
    blocks of time, all counts are divided by the design effect of time, and the bins lie within `LOCATION_ERRORS`.

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

    __slots__ = ("_bins", "_latencies", "_of_share", "_quantile", "blocks", "calls", "design_effect", "ready")

    def __init__(
        self, latencies: Latencies, quantile: float, limits: Sequence[Limit] = (), *, inflation: float = 1.0
    ) -> None:
        self._latencies, self._quantile = latencies, quantile
        self._bins: dict[tuple[float, float], BinIndices] = {}
        self._of_share: dict[int, Floats] = {}
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
            self._bins[key] = self._locate(level, scale / self.design_effect)
        return self._bins[key]

    def _locate(self, level: float, factor: float) -> BinIndices:
        calls, limit = factor * self._latencies.weighted_calls, 1.0 - self._quantile
        if not calls:
            return np.zeros(0, dtype=np.intp)
        beyond = calls * self._latencies.weighted
        if self._latencies.blocks is not None:
            reach = LOCATION_ERRORS * math.sqrt(limit * self._quantile * calls)
            above, below = beyond > limit * calls + reach, beyond < limit * calls - reach
        else:
            needed = -math.log(0.5 * LOCATION_PART * level)
            above = log_e_one_rate(beyond[:, None], [calls], limit=[limit], side=1) >= needed
            below = log_e_one_rate(beyond[:, None], [calls], limit=[limit], side=-1) >= needed
        # The bin between edges i and i + 1 may hold it unless too many calls lie above i + 1 or too few above i.
        return np.flatnonzero(~above[1:] & ~below[:-1])

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
        bins, edges = self.bins(level, scale), self._latencies.edges
        if not len(bins) or not self.ready:
            return 0.0
        if side > 0:
            # x may be anywhere in its bin. The evidence is smallest if the baseline's calls beyond the lower edge count
            # as slow, and the candidate's beyond the upper edge.
            slow, shifted = bins, np.searchsorted(edges, limit.of(edges[bins + 1]))
        else:
            slow, shifted = bins + 1, np.searchsorted(edges, limit.of(edges[bins]), side="right") - 1
        return float(self._log_e_of_edges(slow, np.clip(shifted, 0, len(edges) - 1), side, scale).min())

    def _log_e_of_edges(self, slow: BinIndices, shifted: BinIndices, side: int, scale: float) -> Floats:
        """
        Return the log e-values for calls of the baseline beyond edges, and of the candidate beyond other edges.

        Args:
            slow: indices of the baseline's edges.
            shifted: indices of the candidate's edges, same shape.
            side: see `log_e`.
            scale: see `log_e`.
        """
        factor = scale / self.design_effect
        baseline, candidate, weights = self._latencies.terms(side)
        against_baseline = log_sum_exp(factor * (baseline[slow] + candidate[shifted]) + weights)
        part = 1.0 if self._latencies.blocks is not None else 1.0 - LOCATION_PART
        log_e: Floats = np.logaddexp(against_baseline, self._log_e_of_share(shifted, side, factor))
        return log_e + math.log(0.5 * part)

    def _log_e_of_share(self, shifted: BinIndices, side: int, factor: float) -> Floats:
        """Return the log e-values for a share of the candidate's calls beyond edges that is not 1 - quantile."""
        calls = self._latencies.compared

        def log_e(slow: Floats) -> Floats:
            result: Floats = log_e_one_rate(
                factor * slow[..., None], [factor * calls[0]], limit=[1.0 - self._quantile], side=side
            )
            return result

        if factor != 1.0 / self.design_effect:
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
        """
        Return the bound that `log_e` excludes at this level.

        The evidence for harm grows with the candidate's slow calls, so it falls from edge to edge. For each bin of x,
        a search finds the last edge that is certainly exceeded. The bound is the smallest over the bins.
        """
        bins, edges = self.bins(level, 1.0), self._latencies.edges
        if not len(bins) or not self.ready:
            return -side * math.inf
        slow = bins if side > 0 else bins + 1
        start, needed = edges[bins + 1] if side > 0 else edges[bins], -math.log(level)
        certain = np.full(len(bins), 0 if side > 0 else len(edges) - 1)
        uncertain = np.full(len(bins), len(edges) - 1 if side > 0 else 0)
        if (self._log_e_of_edges(slow, certain, side, 1.0) < needed).any():
            return -side * math.inf
        rows = np.arange(len(bins))
        while (np.abs(certain - uncertain) > 1).any():
            points = certain[:, None] + np.rint(np.outer(uncertain - certain, STEPS)).astype(np.intp)
            log_e = self._log_e_of_edges(np.broadcast_to(slow[:, None], points.shape), points, side, 1.0)
            # The first point is certain, and the last is not.
            last = (log_e[:, 1:-1] >= needed).sum(axis=1)
            certain, uncertain = points[rows, last], points[rows, last + 1]
        differences = edges[certain] - start
        return float(differences.min() if side > 0 else differences.max())
