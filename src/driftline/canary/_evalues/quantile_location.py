"""
Where the baseline's quantile of latency may lie, and what a test of it pays for not knowing that.

A class each for calls that are counted by blocks of time and for calls that are not. `QuantileComparison` uses either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline.canary._evalues.design_effect import FOLDS, effective_clusters, fold_blocks, time_design_effect
from driftline.canary._evalues.latencies import Latencies
from driftline.canary._evalues.quantile_limit import EQUAL, Limit
from driftline.canary._evalues.rates import TINY, log_e_one_rate
from driftline.typing import Floats

__all__ = ["BinIndices", "QuantileLocation", "TimedLocation", "UntimedLocation", "farther_edges"]

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

LARGEST_PART = 0.8
"""Part of the calls beyond a quantile that at most lie between it and the end of the range of its density."""


class QuantileLocation(Protocol):
    """
    Where the baseline's quantile x may lie.

    Attributes:
        blocks: blocks of time in effect, such as 12.5; infinity if calls are not counted by time.
        design_effect: variance inflation by which all counts are divided.
        both_part: part of alpha for the comparison of both variants' slow calls.
        share_part: part of alpha for the candidate's share of slow calls alone.
    """

    @property
    def blocks(self) -> float: ...
    @property
    def design_effect(self) -> float: ...
    @property
    def both_part(self) -> float: ...
    @property
    def share_part(self) -> float: ...

    def bins(self, level: float, scale: float) -> BinIndices:
        """
        Return the bins that may hold x, as indices of their lower edges; none if that is not known.

        A share of 1 - quantile of the calls takes longer than the quantile. A bin is excluded if the calls that took
        longer are too few or too many for that share.

        Args:
            level: probability that the result of the comparison is wrong.
            scale: factor on all counts, to estimate the result after more calls.
        """

    def slow_edges(self, bins: BinIndices, side: int) -> tuple[BinIndices, Floats]:
        """
        Return the edges beyond which the baseline's calls are slow, as indices, and the value of x for each of them.

        Args:
            bins: the bins that may hold x.
            side: 1 for evidence of harm, -1 for evidence of safety.
        """

    def effect(self, limit: Limit) -> float:
        """Return the variance inflation of the difference between shares of slow calls because x is estimated."""


class UntimedLocation:
    """
    The location where calls are independent.

    The quantile may be anywhere in bins that an exact test does not exclude. They have a level of `LOCATION_PART` times
    that of the comparison. Source: Howard & Ramdas (2022), *Sequential estimation of quantiles*.

    Args:
        latencies: the durations.
        quantile: the compared quantile, in (0, 1).
        inflation: the variance inflation, at least 1.
    """

    __slots__ = ("_bins", "_latencies", "_quantile", "design_effect")

    blocks = math.inf
    both_part = (1.0 - SHARE_PART_OF_BINS) * (1.0 - LOCATION_PART)
    share_part = SHARE_PART_OF_BINS * (1.0 - LOCATION_PART)

    def __init__(self, latencies: Latencies, quantile: float, inflation: float) -> None:
        self._latencies, self._quantile, self.design_effect = latencies, quantile, inflation
        self._bins: dict[tuple[float, float], BinIndices] = {}

    def bins(self, level: float, scale: float) -> BinIndices:
        """Return the bins that may hold the quantile: see `QuantileLocation`."""
        if (key := (level, scale)) not in self._bins:
            self._bins[key] = self._not_excluded(level, scale / self.design_effect * self._latencies.weighted_calls)
        return self._bins[key]

    def _not_excluded(self, level: float, calls: float) -> BinIndices:
        if not calls:
            return np.zeros(0, dtype=np.intp)
        beyond, limit = calls * self._latencies.weighted[:, None], [1.0 - self._quantile]
        needed = -math.log(0.5 * LOCATION_PART * level)
        above, below = (log_e_one_rate(beyond, [calls], limit=limit, side=side) >= needed for side in (1, -1))
        return _bins_between(above, below)

    def slow_edges(self, bins: BinIndices, side: int) -> tuple[BinIndices, Floats]:
        """
        Return the edges on both sides of each bin: see `QuantileLocation`.

        x may be anywhere in its bin. The evidence for harm is smallest if the baseline's calls beyond the lower edge
        count as slow, and the candidate's beyond the upper edge.
        """
        return bins if side > 0 else bins + 1, self._latencies.edges[farther_edges(bins, side)]

    def effect(self, limit: Limit) -> float:
        """Return 1: the quantile is tested at all of its bins, and not estimated."""
        del limit
        return 1.0


class TimedLocation:
    """
    The location where calls are counted by block of time.

    The quantile is estimated, and assumed to lie within `LOCATION_ERRORS` of that. Its error adds to the variance. If
    the candidate's density at its quantile is *r* times the baseline's, then the baseline's calls count as if their
    variance were r² times as large. See Serfling (1980), *Approximation theorems of mathematical statistics*, 2.3.3.

    Args:
        latencies: the durations, of which both variants have some.
        counts: the counts by block, shape (2, edges, blocks): `Latencies.blocks`.
        quantile: the compared quantile, in (0, 1).
        limits: limits that will be tested. The design effect is the largest of calls beyond x and beyond their values.
        inflation: the least variance inflation, at least 1.
    """

    __slots__ = ("_around", "_bins", "_effects", "_latencies", "_quantile", "blocks", "design_effect")

    both_part = 1.0 - SHARE_PART
    share_part = SHARE_PART

    def __init__(
        self, latencies: Latencies, counts: Floats, quantile: float, limits: Sequence[Limit], inflation: float
    ) -> None:
        self._latencies, self._quantile = latencies, quantile
        self._bins: dict[float, BinIndices] = {}
        self._effects: dict[Limit, float] = {}
        trials, edges = counts[:, 0], latencies.edges
        index = int(np.abs(latencies.weighted - (1.0 - quantile)).argmin())
        shifted = [int(np.searchsorted(edges, limit.of(edges[index]))) for limit in (EQUAL, *limits)]
        slow = np.stack([counts[[0, 1], [index, min(shift, len(edges) - 1)]] for shift in sorted(set(shifted))])
        share = trials[1] / np.maximum(trials.sum(axis=0), 1.0)
        self.blocks = float(effective_clusters(share * trials[0]))
        # The largest over 64, 32 and 16 blocks: bursts of calls may be longer than the shortest blocks.
        effects = [1.0]
        for fold in range(FOLDS + 1):
            if fold:
                slow, trials = fold_blocks(slow), fold_blocks(trials)
            effects.append(float(time_design_effect(slow, trials).max()))
        self.design_effect = max(inflation, *effects)
        estimate = self._bins_within(0.0, latencies.weighted_calls)
        self._around = np.arange(estimate[0], estimate[-1] + 2)

    def bins(self, level: float, scale: float) -> BinIndices:
        """Return the bins that may hold the quantile: see `QuantileLocation`. They depend on no *level*."""
        del level
        if scale not in self._bins:
            calls = scale / self.design_effect * self._latencies.weighted_calls
            self._bins[scale] = self._bins_within(LOCATION_ERRORS, calls)
        return self._bins[scale]

    def _bins_within(self, errors: float, calls: float) -> BinIndices:
        """Return the bins that hold the quantile if its estimate is wrong by at most *errors* standard errors."""
        limit = 1.0 - self._quantile
        reach = errors * math.sqrt(limit * self._quantile / max(calls, TINY))
        beyond = self._latencies.weighted
        return _bins_between(beyond > limit + reach, beyond < limit - reach)

    def slow_edges(self, bins: BinIndices, side: int) -> tuple[BinIndices, Floats]:
        """Return the edges around the estimate: see `QuantileLocation`."""
        del bins, side
        return self._around, self._latencies.edges[self._around]

    def effect(self, limit: Limit) -> float:
        """
        Return the variance inflation because the quantile is estimated: see `QuantileLocation`.

        The ratio of the densities is that of the distances between two quantiles around each variant's own: Siddiqui
        (1960), *Distribution of quantiles in samples from a bivariate population*; Bloch & Gastwirth (1968).
        """
        if limit not in self._effects:
            latencies, tail = self._latencies, 1.0 - self._quantile
            calls = latencies.weighted_calls, float(latencies.compared[0])
            reach = DENSITY_ERRORS * math.sqrt(tail * self._quantile * self.design_effect / min(calls))
            tails = tail + min(reach, LARGEST_PART * tail) * np.array([-1.0, 1.0])
            baseline = limit.of(_durations_at(tails, latencies.weighted, latencies.edges))
            candidate = _durations_at(tails, latencies.compared / calls[1], latencies.edges)
            ratio = max(1.0, float((baseline[0] - baseline[1]) / max(candidate[0] - candidate[1], TINY)))
            variances = 1.0 / calls[0], 1.0 / calls[1]
            self._effects[limit] = (ratio**2 * variances[0] + variances[1]) / sum(variances)
        return self._effects[limit]


def farther_edges(bins: BinIndices, side: int) -> BinIndices:
    """Return the edge of each bin at which the evidence of a *side* is smaller: the upper one for harm."""
    return bins + 1 if side > 0 else bins


def _bins_between(above: NDArray[np.bool_], below: NDArray[np.bool_]) -> BinIndices:
    """Return the bins between edges that are too low, *above*, and edges that are too high, *below*."""
    # The bin between edges i and i + 1 may hold a quantile unless too many calls lie above i + 1 or too few above i.
    return np.flatnonzero(~above[1:] & ~below[:-1])


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
