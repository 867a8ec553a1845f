"""How much more the counts of consecutive rows scatter than those of independent rows would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import (
    Bins,
    NumericBins,
)
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, PARTS, SHAPE, SPREAD, orthonormal
from driftline._significance.inflation import Inflation, InflationCurve
from driftline._significance.pooling import pool_bins
from driftline._windows.ring import LEAST_BLOCKS
from driftline.typing import Counts, Floats

__all__ = [
    "LEAST_EXPECTED",
    "Dependence",
    "choose_block_lengths",
    "effective_directions",
    "measure_dependence",
]

Places: TypeAlias = NDArray[np.intp]
"""A length for each feature and part, by its place; or numbers of bins."""

SHORTEST_BLOCK = 32
"""Rows: in fewer the counts of fifteen bins say little about their scatter."""

MOST_BLOCKS = 4_096
"""Blocks: enough for any variance; more would only cost memory while fitting."""

LEAST_EVENTS = 10
"""Rows out of range, or missing, in all blocks together, below which their own scatter is not to be trusted."""

LEAST_EXPECTED = 1.0
"""
Rows that a bin is to expect in a block (the least of Cochran 1954): of a rarer one the mean square is made by a few
clumps, which say nothing about the others.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """
    Scatter of blocks of consecutive rows, at several lengths of block.

    The variance of blocks is compared with that of independent rows: Rao & Scott (1981, 1984), with the blocks of the
    reference in the part of clusters. All of it are sums over blocks, so that those of two stretches of data add up.

    Attributes:
        lengths: shape (lengths,), rows per block, ascending.
        blocks: shape (lengths,), degrees of freedom: blocks less one for every stretch that they came from.
        factors: shape (lengths, features, parts), mean variance of a block's counts over that of independent rows.
        directions: shape (lengths, features), over how many directions of equal variance the shape scatters.
    """

    lengths: Floats
    blocks: Floats
    factors: Floats
    directions: Floats

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dependence):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name), equal_nan=True) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name).tobytes() for name in self.__slots__))

    def merged(self, other: Dependence) -> Dependence:
        """The scatter of the blocks of both; of lengths that only one of them has, that one's."""
        lengths = np.union1d(self.lengths, other.lengths)
        rows = [(self._at(length), other._at(length)) for length in lengths]
        blocks, factors, directions = [], [], []
        for ours, theirs in rows:
            one, two = ours or theirs, theirs or ours
            if one is None or two is None:
                msg = "unreachable: each length is one of either"
                raise AssertionError(msg)
            share = 0.0 if ours is None or theirs is None else two[0] / (one[0] + two[0])
            blocks.append(one[0] + (two[0] if share else 0.0))
            factors.append(_blend(one[1], two[1], share))
            # Of the mean of two covariances the eigenvalues are at most as uneven as those of each on average.
            directions.append(1.0 / ((1 - share) / one[2] + share / two[2]))
        return Dependence(lengths, np.array(blocks), np.array(factors), np.array(directions))

    def _at(self, length: float) -> tuple[float, Floats, Floats] | None:
        found = np.flatnonzero(self.lengths == length)
        if not len(found):
            return None
        place = int(found[0])
        return float(self.blocks[place]), self.factors[place], self.directions[place]

    def inflation_curve(self) -> InflationCurve:
        """What windows of any number of rows are to expect."""
        return InflationCurve(self.lengths, self.blocks, self.factors, self.directions)

    def inflation(self, rows: float, whole: float = 0.0) -> Inflation:
        """What a window of so many rows is to expect: see `driftline._significance.inflation.InflationCurve`."""
        return self.inflation_curve()(rows, whole)


def _blend(ours: Floats, theirs: Floats, share: float) -> Floats:
    """The weighted mean, or what is known where only one of the two is."""
    mixed = ours * (1 - share) + theirs * share
    return np.where(np.isnan(ours), theirs, np.where(np.isnan(theirs), ours, mixed))


def choose_block_lengths(rows: int) -> tuple[int, ...]:
    """Lengths of blocks for so many rows, each twice the one before; none where there are too few rows."""
    lengths = []
    length = SHORTEST_BLOCK
    while rows // length >= LEAST_BLOCKS:
        if rows // length <= MOST_BLOCKS:
            lengths.append(length)
        length *= 2
    return tuple(lengths)


def measure_dependence(
    numbers: Places,
    bins: Bins,
    lengths: Sequence[int],
    freedom: Sequence[float],
    expected: Sequence[Floats] | None = None,
) -> tuple[Floats, Floats]:
    """
    Scatter of a feature in blocks of consecutive rows: factors (lengths, parts), directions (lengths,).

    Args:
        numbers: its bin numbers, shape (rows,).
        bins: their bins.
        lengths: rows per block.
        freedom: degrees of freedom of the blocks of each length.
        expected: per length the shares that each block is to have, shape (blocks, bins), all above 0 where the feature
            has rows at all; by default those of all blocks together.
    """
    factors, directions = np.full((len(lengths), PARTS), np.nan), np.ones(len(lengths))
    blocks: Counts | None = None
    for place, length in enumerate(lengths):
        if blocks is None or length != 2 * lengths[place - 1]:
            k = len(numbers) // length
            which = np.repeat(np.arange(k), length)
            blocks = np.bincount(which * bins.size + numbers[: k * length], minlength=k * bins.size)
            blocks = blocks.reshape(k, bins.size)
        else:
            k = len(blocks) // 2
            blocks = blocks[: 2 * k].reshape(k, 2, bins.size).sum(axis=1)
        shares = None if expected is None else expected[place][: len(blocks)]
        factors[place], directions[place] = _scatter(
            blocks, freedom[place], shares, ordered=isinstance(bins, NumericBins)
        )
    return factors, directions


def _scatter(blocks: Counts, freedom: float, expected: Floats | None, *, ordered: bool) -> tuple[Floats, float]:
    """Mean squares of the standardised deviations of blocks, shape (blocks, bins), from what each is to have."""
    found = np.full(PARTS, np.nan)
    if expected is None:
        expected = np.broadcast_to(blocks.sum(axis=0) / blocks.sum(), blocks.shape)
    present, rows = blocks[:, :-1], blocks.sum(axis=1)
    sizes = present.sum(axis=1)
    filled = sizes > 0
    missing = int(blocks[:, -1].sum())
    if LEAST_EVENTS <= missing <= rows.sum() - LEAST_EVENTS:
        found[MISSING] = _rate_scatter(blocks[:, -1], rows, expected[:, -1], freedom)
    if filled.sum() < LEAST_BLOCKS:
        return found, 1.0
    present, sizes, expected = present[filled], sizes[filled], expected[filled, :-1]
    used = present.any(axis=0)
    shares = expected / expected.sum(axis=1, keepdims=True)
    outer = present[:, 0] + present[:, -1] if ordered else present[:, -1]
    if LEAST_EVENTS <= outer.sum() <= sizes.sum() - LEAST_EVENTS:
        rate = shares[:, 0] + shares[:, -1] if ordered else shares[:, -1]
        found[OUTSIDE] = _rate_scatter(outer, sizes, rate, freedom)
    present, shares = _pooled(present[:, used], shares[:, used])
    deviations = (present / sizes[:, None] - shares) * np.sqrt(sizes)[:, None]
    free = shares.shape[1] - 1
    standard = deviations / np.sqrt(shares)
    if ordered:
        for part, polynomial in zip((LOCATION, SPREAD), orthonormal(shares), strict=True):
            if polynomial.any():
                scores = (deviations * polynomial).sum(axis=1)
                found[part] = (scores**2).sum() / freedom
                standard -= scores[:, None] * (polynomial * np.sqrt(shares))
                free -= 1
    if free < 1:
        return found, 1.0
    found[SHAPE] = float((standard**2).sum()) / freedom / free
    sums = (standard**2).sum(axis=1)
    return found, float(effective_directions(sums.mean(), sums.var(ddof=1), np.array(float(free))))


def _pooled(present: Counts, shares: Floats) -> tuple[Counts, Floats]:
    """Blocks over bins, neighbours taken together where a block expects less than a row of them."""
    expected = (shares * present.sum(axis=1, keepdims=True)).mean(axis=0, keepdims=True)
    starts = np.flatnonzero(np.diff(pool_bins(expected, LEAST_EXPECTED)[0], prepend=-1))
    return np.add.reduceat(present, starts, axis=1), np.add.reduceat(shares, starts, axis=1)


def _rate_scatter(events: Counts, rows: Counts, expected: Floats, freedom: float) -> float:
    """Variance of a rate over blocks around what each is to have, over that of independent rows."""
    some = (rows > 0) & (expected > 0) & (expected < 1)
    rate = expected[some]
    squares = (events[some] / rows[some] - rate) ** 2 * rows[some] / (rate * (1 - rate))
    return float(squares.sum() / freedom)


def effective_directions(mean: Floats, variance: Floats, free: Floats) -> Floats:
    """
    Degrees of freedom of a scaled chi-square with the mean and the variance of sums of squares; at most *free*.

    Satterthwaite (1946), as in the second-order correction of Rao & Scott (1984): free / (1 + u) of them, where u is
    the squared coefficient of variation of the eigenvalues of the covariance. From the sums themselves it also has the
    part that is not Gaussian: rows in a rare bin come in clumps.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(variance > 0.0, np.minimum(2.0 * mean**2 / variance, free), free)
    return found
