"""What the first windows served say about the dependence of rows: training data are shuffled, traffic is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._seasons.expectation import Expectation
from driftline._significance.components import LOCATION, MISSING, PARTS, SHAPE, SPREAD, Matrix, matrices, orthonormal
from driftline._significance.dependence import (
    LEAST_EXPECTED,
    Dependence,
    effective_directions,
)
from driftline._significance.inflation import STEADY_BLOCKS
from driftline._significance.pooling import pool_bins, sum_groups
from driftline._windows.ring import LEAST_BLOCKS, WindowCounts
from driftline.typing import Counts, Floats

__all__ = ["BURN_IN_WINDOWS", "BurnIn"]

BURN_IN_WINDOWS = 32
"""
Windows after which the dependence is taken as known: eight blocks of four windows, the least that say anything. It
ends, for a drift that lasts must not become what is normal.
"""

DIFFERENCES = 2.0 / 3.0
"""Degrees of freedom per difference of neighbours (von Neumann 1941): each block stands in two of them."""


TRIMMED = 2
"""
Differences left out at each length, the largest: a drift that sets in at once within a block makes that block differ
from both of its neighbours, and nothing else.
"""


FEWEST_DIRECTIONS = 0.1
"""So few that the tail of the shape reaches as far as any: where no difference has told yet."""


FEWEST_CUT = 2.0
"""
Directions at least, in what the largest differences take away: about as many as rows have that forget slowly (1.6 to 3
in simulated AR(1) of 0.97, in blocks of 60 to 500).
"""


MOST_COMPARED = 2**15
"""Counts of a block times pairs of blocks that are compared at once: some megabytes of intermediate results."""


class _Level:
    """Blocks of one length: the one that fills, the one before it, and sums over the differences of neighbours."""

    __slots__ = ("before", "blocks", "half", "heard", "known", "largest", "rest_squared", "rows", "sums")

    def __init__(self, features: int) -> None:
        self.half: WindowCounts | None = None
        self.before: WindowCounts | None = None
        self.blocks = 0
        self.rows = 0
        # Differences that count, of each feature: what drifts is not heard.
        self.heard = np.zeros(features)
        self.sums = np.zeros((features, PARTS))
        # What the sums would be of independent rows: about 1 a difference, of the shape its degrees of freedom.
        self.known = np.zeros((features, PARTS))
        self.rest_squared = np.zeros(features)
        # The largest of each, which the sums are without.
        self.largest = np.zeros((TRIMMED, features, PARTS))

    def directions(self) -> Floats:
        """Number of directions of equal variance that the shape varies over: see `dependence.effective_directions`."""
        differences = np.maximum(self.heard, 1.0)
        free = self.known[:, SHAPE] / differences
        mean = (self.sums[:, SHAPE] + self.largest[:, :, SHAPE].sum(axis=0)) / differences
        squared = self.rest_squared + (self.largest[:, :, SHAPE] ** 2).sum(axis=0)
        variance = squared / differences - mean**2
        directions: Floats = np.maximum(effective_directions(mean, variance, free), FEWEST_DIRECTIONS)
        return directions


_Pair: TypeAlias = "tuple[_Level, Counts, Counts, Counts]"
"""The length of two neighbouring blocks, the counts of both, and all counts served before them and with them."""


class BurnIn:
    """
    Learns the dependence of rows from blocks of consecutive rows as they are served.

    Each block is compared with the one before it, and the largest differences are left out: a drift that sets in
    meanwhile touches two comparisons of many, while the scatter around a common mean would take all of it for
    dependence. Two blocks are one of twice the length.

    Args:
        features: what is watched, in the order of *layout*.
        layout: where their bins lie.
        windows: after how many windows it ends.
        seasonal: what blocks are to expect by the hours they fall into; None: the same at all times.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        layout: Layout,
        windows: int = BURN_IN_WINDOWS,
        seasonal: Expectation | None = None,
    ) -> None:
        from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

        self._special: Any = special
        self._matrices = matrices(features, layout)
        self._size = len(features)
        self._bins, self._seasonal = layout.total, seasonal
        self.of = windows
        self.reset()

    def reset(self) -> None:
        """Start anew: the child of a fork has served nothing yet."""
        self._levels: list[_Level] = []
        self._served: Counts | None = None
        self._heard: Floats = np.ones(self._size)
        self.windows = self._rows = 0
        self.dependence: Dependence | None = None

    @property
    def complete(self) -> bool:
        """Whether all windows have been seen: what is known stays as it is."""
        return self.windows >= self.of

    @property
    def window_rows(self) -> float:
        """Rows of a window, on average over those seen."""
        return self._rows / max(self.windows, 1)

    def learn(
        self, blocks: Sequence[WindowCounts], drifting: NDArray[np.bool_] | None = None, *, window: bool = True
    ) -> None:
        """
        Take in consecutive blocks.

        Args:
            blocks: of rows as they were served.
            drifting: shape (features,): features that are drifting, from which nothing is learnt meanwhile.
            window: whether they complete a window.
        """
        if self.complete:
            return
        self._heard = np.ones(self._size) if drifting is None else np.where(drifting, 0.0, 1.0)
        pairs: list[_Pair] = []
        for block in blocks:
            if block.rows:
                self._rows += block.rows
                # The bin that is always empty comes after the others, and the hours of the week after it.
                counts = np.concatenate([block.counts[: self._bins], [0], block.counts[self._bins :]])
                self._served = counts if self._served is None else self._served + counts
                self._add(0, WindowCounts(counts, block.rows), self._served, pairs)
        self._compare(pairs)
        self.windows += window
        self.dependence = self._found()
        if self.complete:
            self._levels = []

    def _add(self, number: int, block: WindowCounts, served: Counts, pairs: list[_Pair]) -> None:
        if number == len(self._levels):
            self._levels.append(_Level(self._size))
        level = self._levels[number]
        level.blocks += 1
        level.rows += block.rows
        if level.before is not None:
            pairs.append((level, level.before.counts, block.counts, served))
        level.before = block
        if level.half is None:
            level.half = block
            return
        pair = WindowCounts(level.half.counts + block.counts, level.half.rows + block.rows)
        level.half = None
        self._add(number + 1, pair, served, pairs)

    def _compare(self, pairs: Sequence[_Pair]) -> None:
        """Compare blocks, as many pairs of them at once as their counts are few: most of it is calling numpy."""
        for matrix in self._matrices:
            most = max(1, MOST_COMPARED // matrix.bins.size)
            for start in range(0, len(pairs), most):
                part = pairs[start : start + most]
                levels, first, second, served = zip(*part, strict=True)
                expected = self._expected(first), self._expected(second)
                compared = _squares(matrix, np.stack(first), np.stack(second), np.stack(served), expected)
                heard = self._heard[matrix.places, None]
                for level, squares, known in zip(levels, *(one * heard for one in compared), strict=True):
                    _take(level, matrix.places, heard[:, 0], squares, known)

    def _expected(self, counts: Sequence[Counts]) -> Floats | None:
        """The shares that blocks are to have, over all bins and the empty one, shape (pairs, bins + 1)."""
        if self._seasonal is None:
            return None
        seasonal = self._seasonal
        return np.stack([np.append(seasonal.floored(seasonal.shares(one[self._bins + 1 :])), 0.0) for one in counts])

    def _kept(self, freedom: Floats, differences: Floats) -> Floats:
        """What is left of a sum of so many chi-squares without the largest: E[X; X <= q] / E[X], shape (features,)."""
        cut = self._special.chdtri(freedom, TRIMMED / np.maximum(differences, TRIMMED + 1.0))
        left: Floats = self._special.chdtr(freedom + 2.0, cut)
        return left

    def _found(self) -> Dependence | None:
        levels = [level for level in self._levels if level.blocks >= LEAST_BLOCKS]
        if not levels:
            return None
        factors: list[Floats] = []
        directions: list[Floats] = []
        for level in levels:
            # From few blocks the variance of a sum of squares is not known: shorter ones tell.
            if not directions or level.blocks >= STEADY_BLOCKS:
                directions.append(level.directions())
            else:
                directions.append(directions[-1])
            kept = np.repeat(self._kept(np.ones(self._size), level.heard)[:, None], PARTS, axis=1)
            # A drift that sets in makes the scatter look as uneven as can be: that must not make up for what was cut.
            kept[:, SHAPE] = self._kept(np.maximum(directions[-1], FEWEST_CUT), level.heard)
            told = (level.known > 0) & (level.heard >= LEAST_BLOCKS - 1)[:, None]
            with np.errstate(invalid="ignore", divide="ignore"):
                factors.append(np.where(told, level.sums / kept / level.known, np.nan))
        return Dependence(
            np.array([level.rows / level.blocks for level in levels]),
            np.array([DIFFERENCES * (level.blocks - 1) for level in levels]),
            np.array(factors),
            np.array(directions),
        )


def _take(level: _Level, places: NDArray[np.intp], heard: Floats, squares: Floats, known: Floats) -> None:
    """Add one comparison of some of the features to those of its level."""
    level.heard[places] += heard
    level.known[places] += known
    kept = level.largest[:, places]
    for rank in range(TRIMMED):
        kept[rank], squares = np.maximum(kept[rank], squares), np.minimum(kept[rank], squares)
    level.largest[:, places] = kept
    level.sums[places] += squares
    level.rest_squared[places] += squares[:, SHAPE] ** 2


def _squares(
    matrix: Matrix,
    first: Counts,
    second: Counts,
    live: Counts,
    expected: tuple[Floats | None, Floats | None] = (None, None),
) -> tuple[Floats, Floats]:
    """
    Parts of the chi-square of the difference of two blocks, and what independent rows give: both (pairs, features,
    parts).

    The difference is standardised by shares half-way between the reference's and those served so far: bins that are
    empty in both blocks count too, and a bin that the reference hardly knows does not make a drift look like
    dependence. What independent rows give is computed for the shares served.

    Of blocks that are to differ by their season, by *expected* shares, the rest of their difference is taken, and
    standardised by what both are to have: within a season rows vary less than over all of it.
    """
    a, b = first[:, matrix.bins], second[:, matrix.bins]
    n, m = a.sum(axis=-1), b.sum(axis=-1)
    squares, known = np.zeros((*n.shape, PARTS)), np.zeros((*n.shape, PARTS))
    both = (n > 0) & (m > 0)
    served = _normed(live[:, matrix.bins])
    shares: Floats = (_normed(matrix.reference) + served) / 2
    difference = np.where(both[..., None], _normed(a) - _normed(b), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved: Floats = np.zeros(n.shape)
        if expected[0] is not None and expected[1] is not None:
            one, other = (_normed(part[:, matrix.bins]) for part in (expected[0], expected[1]))
            moved = expected[0][:, matrix.missing] - expected[1][:, matrix.missing]
            shares = served = (one + other) / 2
            difference = difference - (one - other)
        scale = 1 / n + 1 / m
        groups = pool_bins(_flat(shares * np.minimum(n, m)[..., None]), LEAST_EXPECTED)
        shares, served, difference = (
            sum_groups(_flat(part), groups).reshape(part.shape) for part in (shares, served, difference)
        )
        rest = np.where(shares > 0, difference**2 / shares, 0.0).sum(axis=-1) / scale
        free = np.where(shares > 0, served * (1 - served) / shares, 0.0).sum(axis=-1)
    if matrix.ordered:
        for part, polynomial in zip((LOCATION, SPREAD), orthonormal(shares), strict=True):
            has = both & polynomial.any(axis=-1)
            with np.errstate(invalid="ignore", divide="ignore"):
                square = (polynomial * difference).sum(axis=-1) ** 2 / scale
            variance = (served * polynomial**2).sum(axis=-1) - (served * polynomial).sum(axis=-1) ** 2
            squares[has, part], known[has, part] = square[has], variance[has]
            rest, free = rest - np.where(has, square, 0.0), free - np.where(has, variance, 0.0)
    has = both & (free > 0)
    squares[has, SHAPE], known[has, SHAPE] = np.maximum(rest[has], 0.0), free[has]
    missing = first[:, matrix.missing], second[:, matrix.missing]
    of, other_of = n + missing[0], m + missing[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (missing[0] + missing[1]) / (of + other_of)
        apart = missing[0] / of - missing[1] / other_of - moved
        square = apart**2 / (rate * (1 - rate) * (1 / of + 1 / other_of))
    has = np.isfinite(square)
    squares[has, MISSING], known[has, MISSING] = square[has], 1.0
    return squares, known


def _normed(counts: NDArray[Any]) -> Floats:
    """Shares; 0 of nothing."""
    rows = counts.sum(axis=-1, keepdims=True)
    found: Floats = counts / np.where(rows > 0, rows, 1)
    return found


def _flat(values: Floats) -> Floats:
    """One row for each feature of each pair."""
    return values.reshape(-1, values.shape[-1])
