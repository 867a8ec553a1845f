"""
Simulated latency of calls that come as services have them, and the looks at which driftline decides about it.

The duration of a call is lognormal, with a median of 20 ms and a sigma of 0.5. Bursts of slow calls hit one process or
all of them; the first calls of the candidate's processes are slow; load slows both variants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from lumpy_rates import ALPHA, Decisions, Z, cluster_variance
from numpy.typing import NDArray

from driftline._windows.blocks import MAX_BLOCKS
from driftline._windows.totals import DURATION_EDGES
from driftline.canary._evalues.latencies import Latencies
from driftline.canary._evalues.quantile_limit import EQUAL, Limit
from driftline.canary._evalues.quantiles import QuantileComparison

MARGIN = Limit(1.1, 0.005, larger=True)
"""The default margin of latency: the larger of a tenth and 5 ms."""

MEDIAN_SECONDS, SIGMA = 0.02, 0.5
BURST_CALLS, BURST_SECONDS = 60, 0.25
COLD_SECONDS = 1.5
WARM_UP = 30
"""First calls of each process that are not compared, as of the default policy."""

LOOKS = 16
MIN_LOOK = 200
"""Calls of both variants at the first look."""

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LatencyTraffic:
    """
    Traffic of two variants.

    Attributes:
        calls: calls of both variants.
        share: the candidate's share of the calls.
        factor: factor on the candidate's durations.
        sigma: standard deviation of the logarithms of the candidate's durations.
        per_second: calls of both variants per second.
        every: mean number of calls between two bursts; 0 for no bursts.
        burst: calls of a burst, which follow each other.
        is_shared: whether a burst hits both variants. If False, it hits one process.
        cold: first calls of each of the candidate's processes that take `COLD_SECONDS` longer.
        pods: processes of each variant.
        is_seasonal: whether load rises and falls three times, and slows both variants.
    """

    calls: int
    share: float
    factor: float = 1.0
    sigma: float = SIGMA
    per_second: float = 300.0
    every: int = 0
    burst: int = BURST_CALLS
    is_shared: bool = False
    cold: int = 0
    pods: int = 1
    is_seasonal: bool = False


@dataclass(frozen=True)
class LatencyTest:
    """
    What is tested.

    Attributes:
        quantile: the quantile of the latency.
        limit: the largest allowed quantile of the candidate.
        side: 1 for a rollback, -1 for a promotion.
    """

    quantile: float
    limit: Limit = EQUAL
    side: int = 1


def simulate(traffic: LatencyTraffic, random: np.random.Generator) -> tuple[Floats, Flags, Numbers]:
    """Return time, variant, and bin of the duration of each call after the warm-up, in the order of time."""
    length = traffic.calls / traffic.per_second
    seconds = np.sort(random.uniform(0.0, length, traffic.calls * (2 if traffic.is_seasonal else 1)))
    load = np.zeros(len(seconds))
    if traffic.is_seasonal:
        load = 0.9 * np.sin(6.0 * np.pi * seconds / length)
        kept = random.random(len(seconds)) < 0.5 * (1.0 + load)
        seconds, load = seconds[kept], load[kept]
    candidate = random.random(len(seconds)) < traffic.share
    process = candidate * traffic.pods + random.integers(0, traffic.pods, len(seconds))
    sigma = np.where(candidate, traffic.sigma, SIGMA)
    taken = MEDIAN_SECONDS * np.exp(sigma * random.standard_normal(len(seconds)) + load)
    taken[candidate] *= traffic.factor
    order = _order(process)
    if traffic.every:
        own = order if not traffic.is_shared else np.arange(len(seconds))
        group = process if not traffic.is_shared else np.zeros_like(process)
        taken[_bursts(random, group, own, traffic)] += BURST_SECONDS
    taken[candidate & (order < traffic.cold)] += COLD_SECONDS
    counted = order >= WARM_UP
    bins = np.searchsorted(DURATION_EDGES, taken[counted], side="right")
    return seconds[counted], candidate[counted], bins


def _order(process: Numbers) -> Numbers:
    """Return how many calls of its process came before each call."""
    by_process = np.argsort(process, kind="stable")
    starts = np.cumsum(np.bincount(process)) - np.bincount(process)
    order = np.empty(len(process), dtype=np.int64)
    order[by_process] = np.arange(len(process)) - starts[process[by_process]]
    return order


def _bursts(random: np.random.Generator, group: Numbers, order: Numbers, traffic: LatencyTraffic) -> Flags:
    """Return which calls belong to a burst: calls of one group that follow each other."""
    by_group = np.argsort(group, kind="stable")
    position = np.arange(len(group))
    starts = random.random(len(group)) < 1.0 / traffic.every
    last = np.maximum.accumulate(np.where(starts, position, -traffic.burst))
    # A burst is in one process, so it is at most as old as the process.
    hit = np.empty(len(group), dtype=bool)
    hit[by_group] = position - last < np.minimum(traffic.burst, order[by_group] + 1)
    return hit


def decisions(traffic: LatencyTraffic, test: LatencyTest, runs: range, seed: int, *, looks: int = LOOKS) -> Decisions:
    """Simulate runs, and return what was decided at each look."""
    number = np.unique(np.geomspace(MIN_LOOK, traffic.calls, looks).astype(int))
    decided, fixed = (np.zeros((len(runs), len(number)), dtype=bool) for _ in range(2))
    calls = np.zeros((len(runs), len(number)), dtype=np.int64)
    for run, number_of_run in enumerate(runs):
        random = np.random.default_rng([seed, number_of_run])
        seconds, candidate, bins = simulate(traffic, random)
        start = random.integers(0, 2**20)
        at = np.searchsorted(seconds, number / traffic.per_second)
        for look, last in enumerate(at.tolist()):
            calls[run, look] = int(candidate[:last].sum())
            if not 0 < calls[run, look] < last:
                continue
            latencies = _latencies(start + seconds[:last], candidate[:last], bins[:last])
            if not decided[run, look]:
                comparison = QuantileComparison(latencies, test.quantile, (MARGIN,))
                log_e = comparison.log_e(test.limit, side=test.side, level=ALPHA)
                decided[run, look:] |= log_e >= -math.log(ALPHA)
            if test.side > 0:
                fixed[run, look] = _fixed_test(latencies, test, is_clustered=bool(traffic.every))
    return Decisions(decided, fixed, calls)


def _latencies(seconds: Floats, candidate: Flags, bins: Numbers) -> Latencies:
    """Return the calls by block of time, variant and bin in the form of the product."""
    second, level = seconds.astype(np.int64), 0
    first, last = int(second[0]), int(second[-1])
    while (last >> level) - (first >> level) >= MAX_BLOCKS:
        level += 1
    low, high = max(int(bins.min()) - 1, 0), min(int(bins.max()) + 2, len(DURATION_EDGES) + 1)
    block, blocks, columns = (second >> level) - (first >> level), (last >> level) - (first >> level) + 1, high - low
    cell = (candidate * blocks + block) * columns + (bins - low)
    table = np.bincount(cell, minlength=2 * blocks * columns).reshape(2, blocks, columns).astype(np.float64)
    return Latencies(*table, DURATION_EDGES[low : high - 1], block_seconds=2**level)


def _fixed_test(latencies: Latencies, test: LatencyTest, *, is_clustered: bool) -> bool:
    """Return whether a z-test of this look alone, robust to bursts within blocks, finds the candidate too slow."""
    if latencies.blocks is None:
        return False
    index = int(np.abs(latencies.weighted - (1.0 - test.quantile)).argmin())
    limit = int(np.searchsorted(latencies.edges, test.limit.of(latencies.edges[index])))
    trials, slow = latencies.blocks[:, 0], latencies.blocks[[0, 1], [index, min(limit, len(latencies.edges) - 1)]]
    rates, variance = cluster_variance(slow, trials, is_clustered=is_clustered)
    error = math.sqrt(max(float(variance.sum()), 1e-300))
    return bool(rates[1] - rates[0] > Z * error)
