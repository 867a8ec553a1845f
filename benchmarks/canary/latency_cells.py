"""
Simulate how often canaries are wrong about latency, and how soon they are right.

Calls come at random times. The duration of a call is lognormal, 20 ms with a sigma of 0.5. There are also bursts of
slow calls of one process or of both, and slow first calls of the candidate.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from driftline._windows.totals import DURATION_EDGES
from driftline.canary._evalues.latencies import Latencies
from driftline.canary._evalues.quantiles import EQUAL, Limit, QuantileComparison

Numbers = NDArray[np.float64]
MAX_BLOCKS = 64
MARGIN = Limit(1.1, 0.005, larger=True)
"""The default margin of the policy."""
LOOKS = 60
"""Looks of a run, evenly spaced on a logarithmic scale."""


@dataclass(frozen=True)
class Cell:
    """
    Traffic of two variants.

    Attributes:
        share: the candidate's share of the calls.
        calls: calls of both variants.
        per_second: calls of both variants per second.
        factor: factor on the candidate's durations.
        burst: calls of one process in a burst.
        every: mean number of calls of a process between two bursts; 0 for no bursts.
        shared: whether bursts hit both processes at the same time.
        cold: first calls of the candidate that take 1.5 s.
        warm_up: first calls of each variant that are not counted.
    """

    share: float = 0.5
    calls: int = 40_000
    per_second: float = 300.0
    factor: float = 1.0
    burst: int = 60
    every: float = 0.0
    shared: bool = False
    cold: int = 0
    warm_up: int = 30


def first_look(
    cell: Cell, quantile: float, limit: Limit = EQUAL, *, seed: int, side: int = 1, alpha: float = 0.05
) -> int:
    """Return the calls of the smaller variant at the first look that decides; 0 if none does."""
    random = np.random.default_rng(seed)
    times = np.cumsum(random.exponential(1.0 / cell.per_second, cell.calls)) + random.uniform(0, 1e6)
    candidate = random.random(cell.calls) < cell.share
    seconds = 0.02 * random.lognormal(0.0, 0.5, cell.calls)
    seconds[candidate] *= cell.factor
    if cell.every:
        groups = [np.arange(cell.calls)] if cell.shared else [np.flatnonzero(candidate), np.flatnonzero(~candidate)]
        for group in groups:
            starts = np.flatnonzero(random.random(len(group)) < 1.0 / cell.every)
            hit = np.zeros(len(group) + cell.burst)
            for start in starts.tolist():
                hit[start : start + cell.burst] = 1
            seconds[group[hit[: len(group)] > 0]] += 0.25
    order = np.where(candidate, np.cumsum(candidate), np.cumsum(~candidate))
    seconds[candidate & (order <= cell.cold)] += 1.5
    counted = order > cell.warm_up
    bins = np.searchsorted(DURATION_EDGES, seconds, side="right")
    low, high = int(bins.min()) - 1, int(bins.max()) + 2
    edges, columns = DURATION_EDGES[low:high], high - low + 1
    flat, times, side_of = (bins - low)[counted], times[counted], candidate[counted].astype(int)
    smaller = np.cumsum(side_of if cell.share <= 0.5 else 1 - side_of)
    for look in np.unique(np.geomspace(100, len(times), LOOKS).astype(int)).tolist():
        level = 0
        while (int(times[look - 1]) >> level) - (int(times[0]) >> level) >= MAX_BLOCKS:
            level += 1
        block = (times[:look].astype(np.int64) >> level) - (int(times[0]) >> level)
        blocks = int(block[-1]) + 1
        table = np.bincount((side_of[:look] * blocks + block) * columns + flat[:look], minlength=2 * blocks * columns)
        table = table.reshape(2, blocks, columns).astype(float)
        if not table.sum(axis=(1, 2)).all():
            continue
        comparison = QuantileComparison(Latencies(*table, edges, block_seconds=2**level), quantile, (limit,))
        if comparison.log_e(limit, side=side, level=alpha) >= -math.log(alpha):
            return int(smaller[look - 1])
    return 0


def run(cell: Cell, quantile: float, limit: Limit = EQUAL, *, runs: int, seed: int, side: int = 1) -> NDArray[np.int64]:
    """Return `first_look` of several runs, whose seeds follow each other."""
    return np.array([first_look(cell, quantile, limit, seed=seed + number, side=side) for number in range(runs)])


def interval(wrong: int, runs: int) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson (1934) of 95 % for a share."""
    low = 0.0 if wrong == 0 else float(beta.ppf(0.025, wrong, runs - wrong + 1))
    return low, 1.0 if wrong == runs else float(beta.ppf(0.975, wrong + 1, runs - wrong))


BURSTS = {f"bursts every {every:,} calls": {"every": float(every)} for every in (1_000, 2_000)}
CELLS: dict[str, Cell] = {
    "no bursts": Cell(),
    "no bursts 95/5": Cell(share=0.05, calls=100_000),
    **{
        f"own {name} {split}": replace(base, **change)
        for name, change in BURSTS.items()
        for split, base in (("50/50", Cell()), ("95/5", Cell(share=0.05, calls=200_000)))
    },
    **{
        f"shared {name} {split}": replace(base, shared=True, **change)
        for name, change in BURSTS.items()
        for split, base in (("50/50", Cell()), ("95/5", Cell(share=0.05, calls=200_000)))
    },
    **{f"cold {cold} 95/5": Cell(share=0.05, calls=200_000, cold=cold) for cold in (20, 60, 150, 400)},
    **{f"cold {cold} 50/50": Cell(cold=cold) for cold in (20, 60, 150, 400)},
}
"""Equal candidates."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table of wrong rollbacks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=9_000_000)
    parser.add_argument("--only", default="")
    options = parser.parse_args(arguments)
    for name, cell in CELLS.items():
        if options.only not in name:
            continue
        for quantile in (0.95, 0.99):
            wrong = int((run(cell, quantile, runs=options.runs, seed=options.seed) > 0).sum())
            low, high = interval(wrong, options.runs)
            print(f"{name:36s} p{100 * quantile:g}: {wrong / options.runs:6.1%} [{low:.1%}, {high:.1%}]", flush=True)


if __name__ == "__main__":
    main()
