"""The dependence of consecutive rows: how much the counts of blocks vary relative to those of independent rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, NumericBins
from driftline._significance.components import (
    LOCATION,
    MISSING,
    OUTSIDE,
    PARTS,
    SHAPE,
    SPREAD,
    orthonormal_polynomials,
)
from driftline._significance.inflation import Inflation, InflationCurve
from driftline._significance.pooling import pool_bins
from driftline._windows.ring import MIN_BLOCKS
from driftline.typing import Counts, Floats

__all__ = [
    "MIN_BLOCK_EXPECTED",
    "Dependence",
    "choose_block_lengths",
    "effective_directions",
    "have_equal_arrays",
    "measure_dependence",
]

BinNumbers: TypeAlias = NDArray[np.intp]

MIN_BLOCK_ROWS = 32
"""Rows of the shortest block. In a shorter one, most of fifteen bins would hold too few rows."""

MAX_BLOCKS = 4_096
"""Largest number of blocks of one length. It is enough for any variance, and more would cost memory while fitting."""

MIN_EVENTS = 10
"""
Smallest number of rows out of range (or with missing values) in all blocks together, for which the variance of their
rate is estimated.
"""

MIN_BLOCK_EXPECTED = 1.0
"""
Smallest expected number of rows of a bin in a block (the minimum of Cochran 1954). Rarer bins are pooled with their
neighbours, because a few clumps of rows would dominate their mean square.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """
    Variance of the counts of blocks of consecutive rows, at several block lengths, relative to independent rows.

    Source: Rao & Scott (1981, 1984), with blocks of the reference as the clusters. Everything here is a sum over
    blocks, so the dependence of two stretches of data can be merged.

    Attributes:
        lengths: shape (lengths,), rows per block, ascending.
        blocks: shape (lengths,), degrees of freedom: the number of blocks, less one for each stretch of data.
        factors: shape (lengths, features, parts), variance of a block's counts divided by that of independent rows; nan
            if unknown.
        directions: shape (lengths, features), effective number of independent directions in which the shape varies
            (see `effective_directions`).
    """

    lengths: Floats
    blocks: Floats
    factors: Floats
    directions: Floats

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Dependence):
            return NotImplemented
        return have_equal_arrays(self, other, self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name).tobytes() for name in self.__slots__))

    def merge(self, other: Dependence) -> Dependence:
        """
        Return the dependence of the blocks of both, for the same features.

        Each length is weighted by its degrees of freedom. A length that only one of them has is kept as it is.
        """
        lengths = np.union1d(self.lengths, other.lengths)
        pairs = [(self._at(length), other._at(length)) for length in lengths]
        blocks, factors, directions = [], [], []
        for own, others in pairs:
            first, second = own or others, others or own
            if first is None or second is None:
                msg = "unreachable: each length comes from one of the two"
                raise AssertionError(msg)
            share = 0.0 if own is None or others is None else second[0] / (first[0] + second[0])
            blocks.append(first[0] + (second[0] if share else 0.0))
            factors.append(_blend(first[1], second[1], share))
            # The mean of two covariances has eigenvalues that are at most as uneven as those of both on average. So the
            # harmonic mean does not overstate the number of directions.
            directions.append(1.0 / ((1 - share) / first[2] + share / second[2]))
        return Dependence(lengths, np.array(blocks), np.array(factors), np.array(directions))

    def _at(self, length: float) -> tuple[float, Floats, Floats] | None:
        """Return the degrees of freedom, factors and directions of a block length; None if there is no such length."""
        matches = np.flatnonzero(self.lengths == length)
        if not len(matches):
            return None
        index = int(matches[0])
        return float(self.blocks[index]), self.factors[index], self.directions[index]

    def inflation_curve(self) -> InflationCurve:
        """Return the variance inflation as a function of the number of rows."""
        return InflationCurve(self.lengths, self.blocks, self.factors, self.directions)

    def inflation(self, rows: float, whole: float = 0.0) -> Inflation:
        """Return the variance inflation of a window of *rows* rows: see `InflationCurve.__call__`."""
        return self.inflation_curve()(rows, whole)


def have_equal_arrays(first: object, second: object, names: Sequence[str]) -> bool:
    """Return whether the attributes *names* of two objects, which are arrays, are equal; nan is equal to nan."""
    return all(np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True) for name in names)


def _blend(first: Floats, second: Floats, share: float) -> Floats:
    """Return the mean of two arrays, the second weighted with *share*. Where one of them is nan, take the other."""
    mixed = first * (1 - share) + second * share
    return np.where(np.isnan(first), second, np.where(np.isnan(second), first, mixed))


def choose_block_lengths(rows: int) -> tuple[int, ...]:
    """Return the block lengths, in rows, for a number of rows: each twice the one before. Empty for too few rows."""
    lengths = []
    length = MIN_BLOCK_ROWS
    while rows // length >= MIN_BLOCKS:
        if rows // length <= MAX_BLOCKS:
            lengths.append(length)
        length *= 2
    return tuple(lengths)


def measure_dependence(
    numbers: BinNumbers,
    bins: Bins,
    lengths: Sequence[int],
    freedom: Sequence[float],
    expected: Sequence[Floats] | None = None,
) -> tuple[Floats, Floats]:
    """
    Measure how much the counts of blocks of one feature vary relative to independent rows, for each block length.

    Return the variance factors, shape (lengths, parts), and the effective numbers of directions, shape (lengths,). They
    are columns of `Dependence.factors` and `Dependence.directions`.

    Args:
        numbers: shape (rows,), bin numbers of consecutive rows.
        bins: the bins of the feature.
        lengths: rows per block.
        freedom: degrees of freedom of the blocks of each length.
        expected: for each length, shape (blocks, bins), the expected shares of each block, above 0 in filled bins. If
            None, the shares of all blocks together are expected.
    """
    factors, directions = np.full((len(lengths), PARTS), np.nan), np.ones(len(lengths))
    blocks: Counts | None = None
    for index, length in enumerate(lengths):
        if blocks is None or length != 2 * lengths[index - 1]:
            k = len(numbers) // length
            block_numbers = np.repeat(np.arange(k), length)
            blocks = np.bincount(block_numbers * bins.size + numbers[: k * length], minlength=k * bins.size)
            blocks = blocks.reshape(k, bins.size)
        else:
            k = len(blocks) // 2
            blocks = blocks[: 2 * k].reshape(k, 2, bins.size).sum(axis=1)
        shares = None if expected is None else expected[index][: len(blocks)]
        factors[index], directions[index] = _block_variance(
            blocks, freedom[index], shares, ordered=isinstance(bins, NumericBins)
        )
    return factors, directions


def _block_variance(blocks: Counts, freedom: float, expected: Floats | None, *, ordered: bool) -> tuple[Floats, float]:
    """
    Return the variance factor of each part, shape (parts,), and the effective number of directions of the shape.

    A factor is the mean squared standardised deviation of blocks from their expected shares. It is nan for parts with
    too few rows. Without a factor for the shape, the number of directions is 1.

    Args:
        blocks: shape (blocks, bins), counts of consecutive blocks. The last bin holds missing values.
        freedom: degrees of freedom of the blocks.
        expected: shape (blocks, bins), the expected shares. If None, those of all blocks together.
        ordered: whether the bins are in order, so that location and spread exist.
    """
    factors = np.full(PARTS, np.nan)
    if expected is None:
        expected = np.broadcast_to(blocks.sum(axis=0) / blocks.sum(), blocks.shape)
    present, rows = blocks[:, :-1], blocks.sum(axis=1)
    sizes = present.sum(axis=1)
    filled = sizes > 0
    missing = int(blocks[:, -1].sum())
    if MIN_EVENTS <= missing <= rows.sum() - MIN_EVENTS:
        factors[MISSING] = _rate_variance(blocks[:, -1], rows, expected[:, -1], freedom)
    if filled.sum() < MIN_BLOCKS:
        return factors, 1.0
    present, sizes, expected = present[filled], sizes[filled], expected[filled, :-1]
    used = present.any(axis=0)
    shares = expected / expected.sum(axis=1, keepdims=True)
    outer = present[:, 0] + present[:, -1] if ordered else present[:, -1]
    if MIN_EVENTS <= outer.sum() <= sizes.sum() - MIN_EVENTS:
        rate = shares[:, 0] + shares[:, -1] if ordered else shares[:, -1]
        factors[OUTSIDE] = _rate_variance(outer, sizes, rate, freedom)
    present, shares = _pool_blocks(present[:, used], shares[:, used])
    deviations = (present / sizes[:, None] - shares) * np.sqrt(sizes)[:, None]
    free = shares.shape[1] - 1
    standardised = deviations / np.sqrt(shares)
    if ordered:
        for part, polynomial in zip((LOCATION, SPREAD), orthonormal_polynomials(shares), strict=True):
            if polynomial.any():
                scores = (deviations * polynomial).sum(axis=1)
                factors[part] = (scores**2).sum() / freedom
                standardised -= scores[:, None] * (polynomial * np.sqrt(shares))
                free -= 1
    if free < 1:
        return factors, 1.0
    factors[SHAPE] = float((standardised**2).sum()) / freedom / free
    sums = (standardised**2).sum(axis=1)
    return factors, float(effective_directions(sums.mean(), sums.var(ddof=1), np.array(float(free))))


def _pool_blocks(present: Counts, shares: Floats) -> tuple[Counts, Floats]:
    """
    Pool neighbouring bins until each expects at least `MIN_BLOCK_EXPECTED` rows in a block on average.

    Return the counts *present* and the expected *shares* over the pooled bins, shape (blocks, pooled bins) each.
    """
    expected = (shares * present.sum(axis=1, keepdims=True)).mean(axis=0, keepdims=True)
    starts = np.flatnonzero(np.diff(pool_bins(expected, MIN_BLOCK_EXPECTED)[0], prepend=-1))
    return np.add.reduceat(present, starts, axis=1), np.add.reduceat(shares, starts, axis=1)


def _rate_variance(events: Counts, rows: Counts, expected: Floats, freedom: float) -> float:
    """
    Return the variance of a rate over blocks around its expected value, divided by the variance of independent rows.

    Args:
        events: shape (blocks,), rows that count toward the rate.
        rows: shape (blocks,), all rows. Blocks without rows are skipped.
        expected: shape (blocks,), expected rates. Blocks that expect 0 or 1 are skipped.
        freedom: degrees of freedom of the blocks.
    """
    usable = (rows > 0) & (expected > 0) & (expected < 1)
    rate = expected[usable]
    squares = (events[usable] / rows[usable] - rate) ** 2 * rows[usable] / (rate * (1 - rate))
    return float(squares.sum() / freedom)


def effective_directions(mean: Floats, variance: Floats, free: Floats) -> Floats:
    """
    Return the effective number of independent directions in which sums of squares vary, at most *free*.

    It is 2 mean² / variance, the degrees of freedom of the scaled chi-square that has the same mean and variance. Where
    the variance is 0, it is *free*.

    Source: Satterthwaite (1946). The second-order correction of Rao & Scott (1984) computes it as free / (1 + u), where
    u is the squared coefficient of variation of the covariance's eigenvalues. The observed variance also includes that
    rows in a rare bin come in clumps, which the eigenvalues do not show.

    Args:
        mean: mean of the sums of squares. All arguments have the same shape, which is that of the result.
        variance: variance of the sums of squares.
        free: degrees of freedom of independent rows.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        directions: Floats = np.where(variance > 0.0, np.minimum(2.0 * mean**2 / variance, free), free)
    return directions
