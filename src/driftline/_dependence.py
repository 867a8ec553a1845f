"""How much more the counts of consecutive rows scatter than those of independent rows would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._components import LOCATION, MISSING, OUTSIDE, PARTS, SHAPE, SPREAD, Floats, orthonormal
from driftline._pooling import pooling
from driftline._values import Bins, Counts, NumericBins

__all__ = [
    "LEAST_BLOCKS",
    "LEAST_EXPECTED",
    "STEADY_BLOCKS",
    "Dependence",
    "Inflation",
    "block_lengths",
    "directions_of",
    "feature_dependence",
    "larger",
]

Places: TypeAlias = NDArray[np.intp]
"""A length for each feature and part, by its place; or numbers of bins."""

SHORTEST_BLOCK = 32
"""Rows: in fewer the counts of fifteen bins say little about their scatter."""

LEAST_BLOCKS = 8
"""Blocks: a variance from fewer has less than seven degrees of freedom."""

MOST_BLOCKS = 4_096
"""Blocks: enough for any variance; more would only cost memory while fitting."""

LEAST_EVENTS = 10
"""Rows out of range, or missing, in all blocks together, below which their own scatter is not to be trusted."""

LEAST_EXPECTED = 1.0
"""
Rows that a bin is to expect in a block (the least of Cochran 1954): of a rarer one the mean square is made by a few
clumps, which say nothing about the others.
"""

SIGNIFICANT = 2.5
"""Standard normal quantile of 99.4 %: beyond it scatter counts as larger than that of independent rows."""

FURTHEST = 2.0
"""
Lengths beyond the longest block to which growth is continued. A reference that is shorter than the changes in it cannot
know them: taking these for endless would silence every alarm, so it says that it is too short, and alarms come early.
"""

LIKELY = 1.3
"""Likewise of 90 %, for the median of all features."""

SEVERAL = 5
"""Features from which on that says something: of five it happens by chance once in a hundred times."""

GOES_ON = 1.0
"""Likewise of 84 %, for the scatter of longer blocks where that of shorter ones is larger already."""

TWO_ROWS = 2.0
"""The shortest length that growth from a single row can be read off: the logarithm of one row is none."""

STEADY_BLOCKS = 32
"""Blocks from which the variance of the shape is known well enough to tell how far its tail reaches."""


@dataclass(frozen=True, slots=True, eq=False)
class Inflation:
    """
    Variance of a window's counts as a multiple of that of independent rows, for one number of rows.

    Attributes:
        factor: shape (features, parts), at least 1.
        freedom: shape (features, parts), degrees of freedom of the estimate; inf where rows are independent.
        directions: shape (features,), over how many directions of equal variance the shape scatters; inf where over all
            of them alike.
        common: shape (parts,), whether half of the features show beyond doubt that their rows depend on each other:
            they are then in the order in which they came.
    """

    factor: Floats
    freedom: Floats
    directions: Floats
    common: np.ndarray[Any, np.dtype[np.bool_]] | bool = False


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

    def inflation(self, rows: float, whole: float = 0.0) -> Inflation:
        """
        What a window of so many rows is to expect.

        Args:
            rows: of the window.
            whole: rows to which growth goes on where blocks of one length are all that is known: those of a window
                whose first blocks they are.

        From the shortest length on, a longer one is taken where its variance is significantly larger: rows that are
        independent, or are so beyond some distance, are judged by many short blocks, and slow changes by few long ones.
        Where the variance has not stopped growing at the longest length it goes on with its last power to `FURTHEST`;
        where there is one length alone, with the power that has led there from a single row, which has the variance 1.
        """
        chosen, before = self._chosen()
        factor, known = _at(self.factors, chosen), _at(self._freedom(), chosen)
        full = self._grown(rows, whole, chosen, before)
        # Independent unless shown otherwise; rows next to each other cannot count for more than one.
        sigma = np.log(np.maximum(factor, 1e-300)) / np.sqrt(2.0 / known)
        # What half of the features show a little is shown: from a few blocks none of them could show it alone.
        middle = np.nanmedian(np.where(np.isnan(sigma).all(axis=0), 0.0, sigma), axis=0)
        shown = middle > (LIKELY if len(factor) >= SEVERAL else SIGNIFICANT)
        significant = (sigma > SIGNIFICANT) | (shown & (sigma > 0.0))
        # Values that depend on each other in one respect do so in all, if less.
        significant[:, : SHAPE + 1] |= significant[:, : SHAPE + 1].any(axis=1, keepdims=True)
        full = np.maximum(np.nan_to_num(np.where(significant, full, 1.0), nan=1.0), 1.0)
        freedom = np.where(significant, self.blocks[chosen], np.inf)
        # Values out of range are too rare for a scatter of their own. They come in longer clumps than the values of one
        # bin do, and in shorter ones than the drifting of the mean: the geometric mean of the two.
        between = np.sqrt(full[:, SHAPE] * np.maximum(full[:, LOCATION], full[:, SHAPE]))
        full[:, OUTSIDE] = np.fmax(full[:, OUTSIDE], between)
        freedom[:, OUTSIDE] = np.minimum(freedom[:, LOCATION], freedom[:, SHAPE])
        steady = np.flatnonzero((self.lengths <= max(rows, self.lengths[0])) & (self.blocks >= STEADY_BLOCKS))
        directions = self.directions[int(steady[-1]) if len(steady) else 0]
        return Inflation(full, freedom, np.where(significant[:, SHAPE], directions, np.inf), middle > SIGNIFICANT)

    def _grown(self, rows: float, whole: float, chosen: Places, before: Places) -> Floats:
        """The factors of so many rows, from those of the lengths that are taken and of the ones before them."""
        factor, shorter = _at(self.factors, chosen), _at(self.factors, before)
        freedom = self._freedom()
        margin = SIGNIFICANT * np.sqrt(2.0 / _at(freedom, chosen) + 2.0 / _at(freedom, before))
        longest, furthest = self.lengths[-1], FURTHEST
        with np.errstate(divide="ignore", invalid="ignore"):
            # A step that may be chance is taken, and not gone on with.
            stepped = (before < chosen) & (np.log(factor / shorter) > margin)
            doubling = np.log2(self.lengths[chosen] / self.lengths[before], where=stepped, out=np.ones_like(factor))
            # Var = I - c / length for rows that forget exponentially: two lengths give I.
            limit = np.maximum(factor, factor + (factor - shorter) / np.maximum(2**doubling - 1, 1))
            limit = np.where(stepped, limit, factor)
            growing = stepped & (chosen == len(self.lengths) - 1)
            power = np.clip(np.log2(np.maximum(factor / shorter, 1.0)) / doubling, 0.0, 1.0)
            if len(self.lengths) == 1:
                growing, furthest = np.ones_like(stepped), max(FURTHEST, whole / longest)
                power = np.clip(np.log(np.maximum(factor, 1.0)) / np.log(max(longest, TWO_ROWS)), 0.0, 1.0)
            beyond = factor * np.clip(rows / longest, 1.0, furthest) ** power
        full = np.where(growing, np.maximum(beyond, limit), limit)
        shorter_than = self.lengths[chosen] > rows
        found: Floats = np.where(shorter_than, np.fmin(self._shorter(rows, chosen), np.fmax(full, 1.0)), full)
        return found

    def _shorter(self, rows: float, chosen: Places) -> Floats:
        """The factor of a window shorter than the blocks taken: on the way there, which begins with 1 for a row."""
        longer = np.arange(len(self.lengths))[:, None, None] > chosen
        way = np.maximum.accumulate(np.where(longer, 1.0, np.fmax(self.factors, 1.0)), axis=0)
        way = np.log(np.concatenate([np.ones_like(way[:1]), way]))
        lengths = np.log(np.concatenate([[1.0], self.lengths]))
        at = np.log(max(rows, 1.0))
        place = int(np.clip(np.searchsorted(lengths, at, side="right"), 1, len(lengths) - 1))
        span = lengths[place] - lengths[place - 1]
        # Blocks of a row each are where the way begins.
        share = min(1.0, (at - lengths[place - 1]) / span) if span > 0.0 else 1.0
        found: Floats = np.exp(way[place - 1] * (1.0 - share) + way[place] * share)
        return found

    def growing(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether the scatter of a feature has not stopped growing at the longest blocks: shape (features,)."""
        chosen, _ = self._chosen()
        last = len(self.lengths) - 1
        found: np.ndarray[Any, np.dtype[np.bool_]] = (chosen[:, : SHAPE + 1] == last).any(axis=1) & (last > 0)
        return found

    def _chosen(self) -> tuple[Places, Places]:
        """Per feature and part the length that is taken, and the one before it on the way there."""
        shape = self.factors.shape[1:]
        chosen, before = np.zeros(shape, dtype=np.intp), np.zeros(shape, dtype=np.intp)
        # A factor of 0 (blocks that are all alike) is as small as one can be, and no step up from another one.
        logs = np.log(np.maximum(self.factors, 1e-12))
        freedom, current = self._freedom(), logs[0]
        for place in range(1, len(self.lengths)):
            before_it = _at(freedom, chosen)
            # Rows that depend on each other are the more alike the longer one looks: little is asked for then.
            asked = np.where(current > SIGNIFICANT * np.sqrt(2.0 / before_it), GOES_ON, SIGNIFICANT)
            margin = asked * np.sqrt(2.0 / freedom[place] + 2.0 / before_it)
            up = np.nan_to_num(logs[place] - current, nan=0.0, posinf=0.0) > margin
            before, chosen = np.where(up, chosen, before), np.where(up, place, chosen)
            current = np.where(up, logs[place], current)
        return chosen, before

    def _freedom(self) -> Floats:
        """Degrees of freedom of each factor, shape (lengths, features, parts): every direction of a block is one."""
        found = np.tile(self.blocks[:, None, None], self.factors.shape[1:])
        found[:, :, SHAPE] *= self.directions
        return found


def _at(values: Floats, places: Places) -> Floats:
    """Of an array (lengths, features, parts) the values at one length of each feature and part."""
    found: Floats = np.take_along_axis(values, places[None], axis=0)[0]
    return found


def _blend(ours: Floats, theirs: Floats, share: float) -> Floats:
    """The weighted mean, or what is known where only one of the two is."""
    mixed = ours * (1 - share) + theirs * share
    return np.where(np.isnan(ours), theirs, np.where(np.isnan(theirs), ours, mixed))


def larger(one: Inflation, other: Inflation) -> Inflation:
    """
    The larger of two inflations, with its degrees of freedom; never less than the first.

    Where the first has rows in their order and knows them from more blocks, the other counts if it is significantly
    larger: the first few blocks served must not outweigh the thousands of such a reference.
    """
    margin = np.where(
        one.common & np.isfinite(one.freedom) & (other.freedom < one.freedom),
        SIGNIFICANT * np.sqrt(2.0 / one.freedom + 2.0 / other.freedom),
        0.0,
    )
    first = np.log(other.factor / one.factor) <= margin
    return Inflation(
        np.where(first, one.factor, other.factor),
        # Of equal ones the estimate that is known better.
        np.where(
            one.factor == other.factor,
            np.maximum(one.freedom, other.freedom),
            np.where(first, one.freedom, other.freedom),
        ),
        np.minimum(one.directions, other.directions),
        one.common | other.common,
    )


def block_lengths(rows: int) -> tuple[int, ...]:
    """Lengths of blocks for so many rows, each twice the one before; none where there are too few rows."""
    lengths = []
    length = SHORTEST_BLOCK
    while rows // length >= LEAST_BLOCKS:
        if rows // length <= MOST_BLOCKS:
            lengths.append(length)
        length *= 2
    return tuple(lengths)


def feature_dependence(
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
    return found, float(directions_of(sums.mean(), sums.var(ddof=1), np.array(float(free))))


def _pooled(present: Counts, shares: Floats) -> tuple[Counts, Floats]:
    """Blocks over bins, neighbours taken together where a block expects less than a row of them."""
    expected = (shares * present.sum(axis=1, keepdims=True)).mean(axis=0, keepdims=True)
    starts = np.flatnonzero(np.diff(pooling(expected, LEAST_EXPECTED)[0], prepend=-1))
    return np.add.reduceat(present, starts, axis=1), np.add.reduceat(shares, starts, axis=1)


def _rate_scatter(events: Counts, rows: Counts, expected: Floats, freedom: float) -> float:
    """Variance of a rate over blocks around what each is to have, over that of independent rows."""
    some = (rows > 0) & (expected > 0) & (expected < 1)
    rate = expected[some]
    squares = (events[some] / rows[some] - rate) ** 2 * rows[some] / (rate * (1 - rate))
    return float(squares.sum() / freedom)


def directions_of(mean: Floats, variance: Floats, free: Floats) -> Floats:
    """
    Degrees of freedom of a scaled chi-square with the mean and the variance of sums of squares; at most *free*.

    Satterthwaite (1946), as in the second-order correction of Rao & Scott (1984): free / (1 + u) of them, where u is
    the squared coefficient of variation of the eigenvalues of the covariance. From the sums themselves it also has the
    part that is not Gaussian: rows in a rare bin come in clumps.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(variance > 0.0, np.minimum(2.0 * mean**2 / variance, free), free)
    return found
