"""The learner of dependence: differences of neighbouring blocks, seeds, and the long-run variance that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline._significance.block_pyramid import LevelSquares, PyramidSums
from driftline._significance.clumps import RATES
from driftline._significance.common import PRIOR_DIFFERENCES, Common, find_common
from driftline._significance.components import LOCATION, OUTSIDE, PARTS, SHAPE, SPREAD
from driftline._significance.dependence import Dependence
from driftline._significance.inflation import outside_factor
from driftline._significance.interpolation import Between
from driftline._significance.long_run import LongRun, long_run
from driftline.typing import Floats

__all__ = ["Learner", "Seed"]

REACH = 7
"""Doublings of a window that the longest blocks have: 128 windows, five days of hourly ones."""

PRIOR_OF_RATES = 16.0
"""
Number of differences that independent rows count for in rates. Rare events give few differences, and the window that
has them shows its own clumps.
"""

SEED_DIFFERENCES = 64.0
"""Most differences that a seed counts for, so that rows served outweigh it after some days."""

MIN_DIFFERENCES = 4.0
"""Fewest differences of a block length that are exported as known."""

NORMAL_FOURTH, FOURTH_VARIANCE = 3.0, 24.0
"""Mean fourth power of a normal value, and the variance of its estimate times the number of values."""

SURE = 2.0
"""Standard errors by which fourth powers have to exceed those of normal values."""

MOST_CORRELATED = 0.9
"""Largest correlation of rows of one clump from which the least factor of the shape follows."""

LEAST_TAIL = 16.0
"""
Fewest degrees of freedom that long tails leave. Scores are those of ranks, which are bounded, so their tails are not as
long as those of Student's t with fewer.
"""

DEPENDENT_Z = 4.5
"""Standard errors by which a factor of the reference has to exceed 1, so that its rows count as in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class Seed:
    """
    Dependence that is known before the first row is served.

    Attributes:
        dependence: the variance factors.
        features: shape (features,), which features it counts for.
        differences: whether the factors are those of differences of neighbouring blocks, as a monitor learns them. If
            False, they are those of deviations from a common mean, as of training data.
    """

    dependence: Dependence
    features: NDArray[np.bool_]
    differences: bool

    @classmethod
    def of_reference(cls, dependence: Dependence) -> Seed:
        """Return the seed of training data. It counts for features whose rows show that they are in their order."""
        factors = np.nan_to_num(dependence.factors[:, :, : SHAPE + 1], nan=1.0)
        errors = np.sqrt(2.0 / np.maximum(dependence.blocks, 1.0))[:, None, None]
        excess = np.log(np.maximum(factors, 1e-12)) - DEPENDENT_Z * errors
        return cls(dependence, excess.max(axis=(0, 2)) > 0.0, differences=False)

    @classmethod
    def of_traffic(cls, dependence: Dependence) -> Seed:
        """Return the seed that a monitor has learned from traffic."""
        return cls(dependence, np.ones(dependence.factors.shape[1], dtype=np.bool_), differences=True)

    def at(self, length: float) -> tuple[Floats, float] | None:
        """
        Return the factors of differences at a block length, and the number of differences that they count for.

        Return None if the length is more than twice the longest known one.

        Args:
            length: rows of a block.
        """
        known = self.dependence.lengths
        if length > 2.0 * known[-1]:
            return None
        number = float(np.interp(length, known, self.dependence.blocks)) / (1.0 if self.differences else 2.0)
        here = self._interpolate(length)
        if not self.differences:
            # V(n) = h(n) / 2 + V(2n), so the factor of a difference is twice that of n rows less that of 2n rows.
            twice = self._interpolate(2.0 * length)
            here = np.minimum(np.maximum(2.0 * here - twice, 0.5 * here), here)
        return here, min(number, SEED_DIFFERENCES)

    def _interpolate(self, length: float) -> Floats:
        """Return the factors at a length, linear in the logarithms; 1 at one row. Shape (features, parts)."""
        factors = np.maximum(self.dependence.factors, 1e-6)
        lengths = np.concatenate([[1.0], np.maximum(self.dependence.lengths, 1.0)])
        return Between.of(lengths, length).mean(np.concatenate([np.ones_like(factors[:1]), factors]))


class Learner:
    """
    Learns how much the means of consecutive rows vary.

    Args:
        free: shape (features,), degrees of freedom of the shape of each feature.
        blocks: number of blocks of a window.
        seeds: what is known before the first row, the most trusted last.

    Attributes:
        levels: number of block lengths.
        run: the long-run variance as it is known.
        settled: the same without the latest differences, which are not learned yet.
    """

    def __init__(self, free: Floats, blocks: int, seeds: Sequence[Seed] = ()) -> None:
        self._free, self._size, self._seeds = free, len(free), tuple(seeds)
        self._prior = np.full(PARTS, PRIOR_DIFFERENCES)
        self._prior[[*RATES]] = PRIOR_OF_RATES
        self.levels = int(np.ceil(np.log2(max(blocks, 2)))) + 1 + REACH
        self.reset()

    def reset(self) -> None:
        """Forget everything that was learned, and begin with the seeds."""
        self._sums = PyramidSums(self.levels, self._size)
        self._blocks = self._rows = 0
        self._seeded = False
        self.run = self.settled = self._estimated(np.full((self._size, 2), 0.25))

    @property
    def _lengths(self) -> Floats:
        doublings: Floats = np.exp2(np.arange(self.levels, dtype=np.float64))
        lengths: Floats = max(self._rows / max(self._blocks, 1), 1.0) * doublings
        return lengths

    def count(self, blocks: int, rows: int) -> None:
        """Count blocks and their rows. The first ones say how long the blocks of the seeds are."""
        self._blocks += blocks
        self._rows += rows
        if self._seeded:
            return
        self._seeded = True
        for level, length in enumerate(self._lengths.tolist()):
            for seed in self._seeds:
                known = seed.at(length)
                if known is None:
                    continue
                factors, number = known
                use = np.isfinite(factors) & seed.features[:, None]
                use[:, RATES] = False
                self._sums.means[level] = np.where(use, factors, self._sums.means[level])
                self._sums.numbers[level] = np.where(use, number, self._sums.numbers[level])
                self._sums.fourths[level] = np.where(use, NORMAL_FOURTH * factors**2, self._sums.fourths[level])

    def learn(self, squares: LevelSquares, kept: NDArray[np.bool_]) -> None:
        """
        Add the squared differences of a level.

        Args:
            squares: their sums and numbers.
            kept: shape (features,), False for features whose differences are discarded.
        """
        level, sums, numbers, fourths = squares
        if not kept.all():
            column = kept.astype(np.float64)[:, None]
            sums, numbers, fourths = sums * column, numbers * column, fourths * column
        self._sums.add(LevelSquares(level, sums, numbers, fourths))

    def estimate(
        self, units: Floats, latest: Sequence[LevelSquares] = (), kept: NDArray[np.bool_] | None = None
    ) -> None:
        """
        Estimate `run` again.

        Args:
            units: the variances of the two rates, shape (features, 2).
            latest: differences that count this time only, because they are not learned yet.
            kept: shape (features,), False for features whose *latest* differences do not count.
        """
        self.run = self.settled = self._estimated(units)
        if not latest:
            return
        learned, self._sums = self._sums, self._sums.copy()
        for squares in latest:
            self.learn(squares, np.ones(self._size, dtype=np.bool_) if kept is None else kept)
        self.run, self._sums = self._estimated(units), learned

    def _estimated(self, units: Floats) -> LongRun:
        means, numbers, lengths = _by_part(self._sums.means), _by_part(self._sums.numbers), self._lengths
        means[:, :, OUTSIDE:] /= units
        surplus = self._surplus()
        numbers[:, :, : SHAPE + 1] /= surplus[:, None, :]
        # Blocks that hardly ever have an event say little about its variance.
        numbers[:, :, OUTSIDE:] *= np.minimum(1.0, lengths[:, None, None] * units)
        run = long_run(means, numbers, lengths, self._prior, self._common(means, numbers))
        # Of normal values, the kurtosis is 3; that of Student's t with f degrees of freedom is 6 / (f - 4) more. The
        # difference of two blocks has half of that of one.
        tail = np.maximum(4.0 + 1.5 / np.maximum(surplus - 1.0, 1e-9), LEAST_TAIL)[:, None, :]
        values = run.freedom[:, :, : SHAPE + 1]
        run.freedom[:, :, : SHAPE + 1] = values * tail / (values + tail)
        np.maximum(run.factors[:, :, SHAPE], self._least_shape(run.factors), out=run.factors[:, :, SHAPE])
        run.factors[:, :, OUTSIDE] = np.maximum(run.factors[:, :, OUTSIDE], outside_factor(run.factors))
        run.freedom[:, :, OUTSIDE] = np.minimum(run.freedom[:, :, OUTSIDE], run.freedom[:, :, SHAPE])
        return run

    def _surplus(self) -> Floats:
        """
        Return by how much more squared differences vary than those of normal values, shape (levels, parts).

        Where most rows of a block come from a single user now and then, differences have long tails, and their mean is
        known from fewer of them. All features together tell. Standard errors are subtracted.
        """
        sums = self._sums
        numbers = sums.numbers[:, :, : SHAPE + 1]
        means = sums.means[:, :, : SHAPE + 1]
        squares = np.einsum("lfp,lfp,lfp->lp", numbers, means, means)
        fourths = np.einsum("lfp,lfp->lp", numbers, sums.fourths[:, :, : SHAPE + 1])
        whole = np.maximum(numbers.sum(axis=1), 1.0)
        surplus = fourths / np.maximum(squares, 1e-12) - 1.0 - SURE * np.sqrt(FOURTH_VARIANCE / whole)
        surplus = np.maximum(0.5 * surplus, 1.0)
        for level in range(1, len(surplus)):
            # A sum of two independent blocks has half of the excess kurtosis of one block.
            surplus[level] = np.maximum(surplus[level], 1.0 + 0.5 * (surplus[level - 1] - 1.0))
        result: Floats = surplus
        return result

    def _least_shape(self, factors: Floats) -> Floats:
        """
        Return the least factor of the shape that those of location and spread allow, shape (levels, features).

        If the normal scores of rows of one clump correlate by r, those of their polynomials of degree k correlate by
        r^k (Mehler 1866). So location and spread, of degree 1 and 2, say what the others have, one after the other.
        """
        location = np.maximum(factors[:, :, LOCATION] - 1.0, 1e-9)
        spread = np.clip(factors[:, :, SPREAD] - 1.0, 0.0, MOST_CORRELATED * location)
        ratio = spread / location
        least: Floats = 1.0 + spread * ratio / (1.0 - ratio) / np.maximum(self._free, 1.0)
        return least

    def _common(self, means: Floats, numbers: Floats) -> Common:
        """Return what the features have in common. Rates have nothing: the runs of each have lengths of their own."""
        values = numbers[0, :, : SHAPE + 1].copy()
        values[:, SHAPE] *= np.maximum(self._free, 1.0)
        common = find_common(means[0, :, : SHAPE + 1], values)
        size = len(self._free), len(RATES)
        return Common(
            np.hstack([common.factor, np.ones(size)]),
            np.hstack([common.freedom, np.full(size, PRIOR_OF_RATES)]),
            np.hstack([common.alike, np.ones(size)]),
        )

    def directions(self, factor: Floats) -> Floats:
        """
        Return the effective number of independent directions in which the shape varies, shape (features,).

        Independent rows vary in all directions alike. What dependence adds is taken to lie in one of them, as it does
        if a process changes between two states. With the variance 1 in all others, this is (sum of the variances)^2
        divided by the sum of their squares (Satterthwaite 1946).

        Args:
            factor: shape (features,), variance of the shape in units of that of independent rows.
        """
        free = np.maximum(self._free, 1.0)
        alone = 1.0 + free * np.maximum(factor - 1.0, 0.0)
        directions: Floats = (free - 1.0 + alone) ** 2 / (free - 1.0 + alone**2)
        return directions

    def dependence(self, units: Floats) -> Dependence | None:
        """Return what has been learned; None if no block length has enough differences. *units* as for `estimate`."""
        numbers = self._sums.numbers[:, :, : SHAPE + 1].max(axis=2)
        typical = np.median(numbers, axis=1)
        known = np.flatnonzero(typical >= MIN_DIFFERENCES)
        if not len(known):
            return None
        means = self._sums.means[known].copy()
        means[:, :, RATES] /= units
        factors = np.where(self._sums.numbers[known] > 0.0, means, np.nan)
        lengths = self._lengths[known]
        directions = np.stack([self.directions(np.nan_to_num(each[:, SHAPE], nan=1.0)) for each in factors])
        return Dependence(lengths, typical[known], factors, directions)


def _by_part(values: Floats) -> Floats:
    """Return a copy of values, shape (levels, features, parts), with those of a part next to each other in memory."""
    copied: Floats = values.swapaxes(1, 2).copy().swapaxes(1, 2)
    return copied
