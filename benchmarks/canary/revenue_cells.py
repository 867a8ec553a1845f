"""
Simulate how often canaries are wrong about revenue per visit, and how soon they are right.

Three per cent of the visits have an order, whose value is lognormal. The candidate has fewer orders or smaller ones.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline.canary._evalues.capped_means import CappedMeans, ValueSums
from driftline.canary._value_tables import BINS_PER_OCTAVE, SMALLEST_EXPONENT, value_edges

SLICES = 512
"""Slices of time of a run, of which some are one block."""
MAX_BLOCKS = 64
BUCKETS = 128


@dataclass(frozen=True)
class Cell:
    """
    Visits of two variants.

    Attributes:
        sigma: standard deviation of the logarithm of an order.
        visits: visits of both variants.
        share: the candidate's share of the visits.
        conversion: share of the visits with an order.
        fewer: part by which the candidate has fewer orders.
        smaller: part by which the candidate's orders are smaller.
        per_key: mean number of visits of a customer, who always orders or never does; 0 for visits without keys.
    """

    sigma: float = 1.0
    visits: int = 1_000_000
    share: float = 0.5
    conversion: float = 0.03
    fewer: float = 0.0
    smaller: float = 0.0
    per_key: int = 0


def first_look(
    cell: Cell, *, seed: int, side: int = -1, margin: float = 0.0, alpha: float = 0.05, looks: int = 60
) -> int:
    """
    Return the visits of the smaller variant at the first look that decides; 0 if none does.

    Args:
        cell: the visits.
        seed: seed of the random numbers.
        side: -1 for a rollback (less revenue is harm), 1 for a promotion.
        margin: allowed loss, as a share of the baseline's revenue.
        alpha: level.
        looks: looks of the run, evenly spaced on a logarithmic scale from a 200th on.
    """
    random = np.random.default_rng(seed)
    candidate = (random.random(cell.visits) < cell.share).astype(np.int64)
    rates = cell.conversion * np.where(candidate, 1.0 - cell.fewer, 1.0)
    if cell.per_key:
        keys = random.integers(0, cell.visits // cell.per_key, cell.visits)
        chosen = random.random(cell.visits // cell.per_key)
        candidate = (random.random(cell.visits // cell.per_key) < cell.share).astype(np.int64)[keys]
        rates = cell.conversion * np.where(candidate, 1.0 - cell.fewer, 1.0)
        ordered = chosen[keys] < rates
        buckets = random.integers(0, BUCKETS, cell.visits // cell.per_key)[keys]
    else:
        ordered = random.random(cell.visits) < rates
        buckets = np.zeros(cell.visits, dtype=np.int64)
    orders = np.flatnonzero(ordered)
    values = random.lognormal(3.0, cell.sigma, len(orders)) * np.where(candidate[orders], 1.0 - cell.smaller, 1.0)
    mantissas, exponents = np.frexp(values)
    bins = BINS_PER_OCTAVE * (exponents - SMALLEST_EXPONENT) + (mantissas >= math.sqrt(0.5))
    numbers, columns = np.unique(bins, return_inverse=True)
    numbers, columns = np.append(0, numbers), columns + 1
    near, far = value_edges(numbers)
    slices = np.arange(cell.visits) * SLICES // cell.visits
    shape = (2, SLICES, len(numbers), 2)
    table = np.zeros(shape)
    cells = (candidate[orders] * SLICES + slices[orders]) * len(numbers) + columns
    for kind, weights in enumerate((None, values)):
        table[..., kind] = np.bincount(cells, weights, math.prod(shape[:3])).reshape(shape[:3])
    visits = np.bincount(candidate * SLICES + slices, minlength=2 * SLICES).reshape(2, SLICES)
    table[:, :, 0, 0] = visits - table[..., 0].sum(axis=-1)
    squares_of = np.bincount(cells, (values - near[columns]) ** 2, math.prod(shape[:3])).reshape(shape[:3])
    smaller = int(visits.sum(axis=1).argmin())
    for end in np.unique(np.geomspace(max(SLICES // 200, 2), SLICES, looks).astype(int)).tolist():
        width = 1
        while -(-end // width) > MAX_BLOCKS:
            width *= 2
        blocks = -(-end // width)
        padded = np.zeros((2, blocks * width, *shape[2:]))
        padded[:, :end] = table[:, :end]
        by_block = padded.reshape(2, blocks, width, *shape[2:]).sum(axis=2)
        by_key = np.zeros((2, 0, len(numbers), 2))
        if cell.per_key:
            by_key = _by_key(slices < end, candidate, buckets, orders, columns, values, len(numbers))
        means = CappedMeans(ValueSums(by_block, by_key, squares_of[:, :end].sum(axis=1), near, far))
        slope = 1.0 - margin * means.attenuation
        if means.log_e(slope=slope, side=side) >= -math.log(alpha):
            return int(visits[smaller, :end].sum())
    return 0


def _by_key(
    seen: NDArray[np.bool_],
    candidate: NDArray[np.int64],
    buckets: NDArray[np.int64],
    orders: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: NDArray[np.float64],
    bins: int,
) -> NDArray[np.float64]:
    """Return the visits and their revenue by variant, bucket of keys and bin."""
    table = np.zeros((2, BUCKETS, bins, 2))
    now = seen[orders]
    cells = (candidate[orders][now] * BUCKETS + buckets[orders][now]) * bins + columns[now]
    for kind, weights in enumerate((None, values[now])):
        table[..., kind] = np.bincount(cells, weights, 2 * BUCKETS * bins).reshape(2, BUCKETS, bins)
    visits = np.bincount(candidate[seen] * BUCKETS + buckets[seen], minlength=2 * BUCKETS).reshape(2, BUCKETS)
    table[:, :, 0, 0] = visits - table[..., 0].sum(axis=-1)
    return table


def run(cell: Cell, *, runs: int, seed: int, side: int = -1, margin: float = 0.0) -> NDArray[np.int64]:
    """Return `first_look` of several runs, whose seeds follow each other."""
    return np.array([first_look(cell, seed=seed + number, side=side, margin=margin) for number in range(runs)])


def fixed_size(cell: Cell) -> float:
    """
    Return the visits per variant at which a z-test of the raw means with two sides of 5 % has a power of 80 %.

    The variance is that of the distribution, and the shares of the variants are equal.
    """
    mean = cell.conversion * math.exp(3.0 + cell.sigma**2 / 2)
    square = cell.conversion * math.exp(6.0 + 2 * cell.sigma**2)
    loss = mean * (1.0 - (1.0 - cell.fewer) * (1.0 - cell.smaller))
    factor = (1.0 - cell.fewer) * (1.0 - cell.smaller) ** 2
    variances = square - mean**2 + factor * square - (mean - loss) ** 2
    return variances * ((1.959964 + 0.841621) / loss) ** 2


CELLS: dict[str, Cell] = {
    f"sigma {sigma:g} {split}": Cell(sigma=sigma, share=share)
    for sigma in (1.0, 1.5, 2.0)
    for split, share in (("50/50", 0.5), ("95/5", 0.05))
}
"""Equal candidates."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print wrong verdicts, and the visits per variant to a rollback."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=8_000_000)
    options = parser.parse_args(arguments)
    for name, cell in CELLS.items():
        wrong = int((run(cell, runs=options.runs, seed=options.seed) > 0).sum())
        edge = Cell(sigma=cell.sigma, share=cell.share, smaller=0.05)
        promoted = int((run(edge, runs=options.runs, seed=options.seed, side=1, margin=0.05) > 0).sum())
        print(f"{name}: rolled back {wrong}, promoted at the edge {promoted}, of {options.runs}", flush=True)
    for sigma in (1.0, 1.5):
        for change in ("fewer", "smaller"):
            cell = Cell(sigma=sigma, visits=3_000_000, **{change: 0.05})
            rollbacks = run(cell, runs=max(options.runs // 2, 5), seed=options.seed).astype(float)
            rollbacks[rollbacks == 0] = np.inf
            print(
                f"sigma {sigma:g} {change}: {np.median(rollbacks):,.0f}, fixed size {fixed_size(cell):,.0f}", flush=True
            )


if __name__ == "__main__":
    main()
