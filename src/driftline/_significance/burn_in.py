"""Learns the dependence of rows from the first windows served, because the rows of a reference may be shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._seasons.expectation import Expectation
from driftline._significance.components import (
    LOCATION,
    MISSING,
    PARTS,
    SHAPE,
    SPREAD,
    FeatureMatrix,
    group_features,
    orthonormal_polynomials,
)
from driftline._significance.dependence import MIN_BLOCK_EXPECTED, Dependence, effective_directions
from driftline._significance.inflation import RELIABLE_BLOCKS
from driftline._significance.pooling import pool_bins, sum_groups
from driftline._windows.ring import MIN_BLOCKS, WindowCounts
from driftline.typing import Counts, Floats

__all__ = ["BURN_IN_WINDOWS", "BurnIn"]

BURN_IN_WINDOWS = 32
"""
Number of windows after which the dependence counts as known. They give eight blocks of four windows, the fewest that
allow an estimate. The burn-in ends there so that a lasting drift does not become normal.
"""

FREEDOM_PER_DIFFERENCE = 2.0 / 3.0
"""
Degrees of freedom per difference between neighbouring blocks (von Neumann 1941). It is less than 1 because each block
is part of two differences.
"""

TRIMMED = 2
"""
Number of largest differences between neighbouring blocks that are excluded at each block length. A drift that begins
suddenly within a block makes that block differ from both of its neighbours, and changes no other difference.
"""

MIN_DIRECTIONS = 0.1
"""
Smallest effective number of directions of the shape (see `Dependence.directions`), for features without any difference
so far. A smaller number makes the tail of the test longer.
"""

MIN_TRIM_DIRECTIONS = 2.0
"""
Smallest number of directions that the correction for `TRIMMED` assumes. It is about that of rows whose correlation
decays slowly: 1.6 to 3 in simulated AR(1) series of coefficient 0.97, in blocks of 60 to 500 rows.
"""

MAX_BATCH = 2**15
"""
Largest product of a block's number of counts and the number of pairs of blocks compared in one step. Intermediate
results take a few megabytes.
"""


class _BlockLevel:
    """
    The latest blocks of one length, and sums over the differences between neighbouring blocks.

    Attributes:
        half: the pending first half of a block of twice the length; None if no block is pending.
        before: the latest block, with which the next one is compared; None before the first.
        blocks: number of blocks so far.
        rows: number of rows so far.
        differences: shape (features,), number of differences, without those of drifting features.
        sums: shape (features, parts), sums of the squared differences without the *largest* ones.
        independent: shape (features, parts), the sums that independent rows would have, the largest ones included.
            Each difference adds about 1 to a part, but to the shape its degrees of freedom.
        shape_squares: shape (features,), sums of the fourth powers of the differences in shape, without the largest.
        largest: shape (TRIMMED, features, parts), the largest squared differences.
    """

    __slots__ = (
        "before",
        "blocks",
        "differences",
        "half",
        "independent",
        "largest",
        "rows",
        "shape_squares",
        "sums",
    )

    def __init__(self, features: int) -> None:
        self.half: WindowCounts | None = None
        self.before: WindowCounts | None = None
        self.blocks = 0
        self.rows = 0
        self.differences = np.zeros(features)
        self.sums = np.zeros((features, PARTS))
        self.independent = np.zeros((features, PARTS))
        self.shape_squares = np.zeros(features)
        self.largest = np.zeros((TRIMMED, features, PARTS))

    def directions(self) -> Floats:
        """Return the effective number of directions of the shape, shape (features,): see `effective_directions`."""
        differences = np.maximum(self.differences, 1.0)
        free = self.independent[:, SHAPE] / differences
        mean = (self.sums[:, SHAPE] + self.largest[:, :, SHAPE].sum(axis=0)) / differences
        squared = self.shape_squares + (self.largest[:, :, SHAPE] ** 2).sum(axis=0)
        variance = squared / differences - mean**2
        directions: Floats = np.maximum(effective_directions(mean, variance, free), MIN_DIRECTIONS)
        return directions


_Pair: TypeAlias = "tuple[_BlockLevel, Counts, Counts, Counts]"
"""
Two neighbouring blocks to compare: their level, counts of the first, counts of the second, and all counts served up to
and including them, shape (bins + 1 + hours,) each.
"""


class BurnIn:
    """
    Learns the dependence of rows from blocks of consecutive rows, in the order in which they were served.

    It compares each block with the one before and excludes the largest differences. So a drift that begins during the
    burn-in affects two comparisons out of many. The variance around a common mean would mistake the whole drift for
    dependence. Two blocks together form one block of twice the length.

    Args:
        features: the watched features, in the order of *layout*.
        layout: the layout of their bins.
        windows: number of windows after which the burn-in ends.
        seasonal: computes the expected shares of a block from the hours of the week of its rows. If None, the expected
            shares are the same at all times.

    Attributes:
        total: number of windows after which the burn-in ends.
        windows: number of windows so far.
        dependence: the dependence estimated so far; None until there are enough blocks.
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
        self._matrices = group_features(features, layout)
        self._size = len(features)
        self._bins, self._seasonal = layout.total, seasonal
        self.total = windows
        self.reset()

    def reset(self) -> None:
        """Delete everything that was learned, as the child of a fork must."""
        self._levels: list[_BlockLevel] = []
        self._served: Counts | None = None
        self._weights: Floats = np.ones(self._size)
        self.windows = self._rows = 0
        self.dependence: Dependence | None = None

    @property
    def complete(self) -> bool:
        """Whether the burn-in has seen all of its windows. If True, `learn` does nothing."""
        return self.windows >= self.total

    @property
    def window_rows(self) -> float:
        """Mean number of rows of the windows so far; before the first, the rows so far."""
        return self._rows / max(self.windows, 1)

    def learn(
        self, blocks: Sequence[WindowCounts], drifting: NDArray[np.bool_] | None = None, *, window: bool = True
    ) -> None:
        """
        Add consecutive blocks, and update `dependence`.

        Args:
            blocks: counts of consecutive rows, in the order in which they were served.
            drifting: shape (features,), whether each feature drifts. Drifting features are not learned from. If None,
                no feature drifts.
            window: whether the blocks complete a window, which counts toward the end of the burn-in.
        """
        if self.complete:
            return
        self._weights = np.ones(self._size) if drifting is None else np.where(drifting, 0.0, 1.0)
        pairs: list[_Pair] = []
        for block in blocks:
            if block.rows:
                self._rows += block.rows
                # The padding bin comes after the bins of the layout, and the hours of the week after it.
                counts = np.concatenate([block.counts[: self._bins], [0], block.counts[self._bins :]])
                self._served = counts if self._served is None else self._served + counts
                self._add(0, WindowCounts(counts, block.rows), self._served, pairs)
        self._compare(pairs)
        self.windows += window
        self.dependence = self._estimate()
        if self.complete:
            self._levels = []

    def _add(self, number: int, block: WindowCounts, served: Counts, pairs: list[_Pair]) -> None:
        """
        Add a block to the level with index *number*, and each completed block of twice the length to the next level.

        Append to *pairs* each block that has a block before it, for `_compare`.
        """
        if number == len(self._levels):
            self._levels.append(_BlockLevel(self._size))
        level = self._levels[number]
        level.blocks += 1
        level.rows += block.rows
        if level.before is not None:
            pairs.append((level, level.before.counts, block.counts, served))
        level.before = block
        if level.half is None:
            level.half = block
            return
        double = WindowCounts(level.half.counts + block.counts, level.half.rows + block.rows)
        level.half = None
        self._add(number + 1, double, served, pairs)

    def _compare(self, pairs: Sequence[_Pair]) -> None:
        """Add the differences of pairs of blocks to their levels, in batches, because numpy calls are the main cost."""
        for matrix in self._matrices:
            batch = max(1, MAX_BATCH // matrix.bins.size)
            for start in range(0, len(pairs), batch):
                levels, first, second, served = zip(*pairs[start : start + batch], strict=True)
                expected = self._expected(first), self._expected(second)
                compared = _compare_blocks(matrix, np.stack(first), np.stack(second), np.stack(served), expected)
                weights = self._weights[matrix.indices, None]
                weighted = (values * weights for values in compared)
                for level, squares, independent in zip(levels, *weighted, strict=True):
                    _add_comparison(level, matrix.indices, weights[:, 0], squares, independent)

    def _expected(self, counts: Sequence[Counts]) -> Floats | None:
        """Return the expected shares of each block, shape (pairs, bins + 1), the last 0; None without seasons."""
        if self._seasonal is None:
            return None
        seasonal = self._seasonal
        return np.stack(
            [np.append(seasonal.floored(seasonal.shares(block[self._bins + 1 :])), 0.0) for block in counts]
        )

    def _kept_share(self, freedom: Floats, differences: Floats) -> Floats:
        """
        Return the share of a sum of squared differences that is expected to remain without the `TRIMMED` largest ones.

        It is E[X; X <= q] / E[X] of a chi-square X, where q is the quantile beyond which the excluded ones lie.

        Args:
            freedom: shape (features,), degrees of freedom of each squared difference.
            differences: shape (features,), number of differences.
        """
        cut = self._special.chdtri(freedom, TRIMMED / np.maximum(differences, TRIMMED + 1.0))
        share: Floats = self._special.chdtr(freedom + 2.0, cut)
        return share

    def _estimate(self) -> Dependence | None:
        """Return the dependence from the levels with enough blocks; None if there is no such level."""
        levels = [level for level in self._levels if level.blocks >= MIN_BLOCKS]
        if not levels:
            return None
        factors: list[Floats] = []
        directions: list[Floats] = []
        for level in levels:
            # Few blocks cannot estimate the variance of a sum of squares. Use the directions of the shorter blocks.
            if not directions or level.blocks >= RELIABLE_BLOCKS:
                directions.append(level.directions())
            else:
                directions.append(directions[-1])
            kept = np.repeat(self._kept_share(np.ones(self._size), level.differences)[:, None], PARTS, axis=1)
            # A drift that begins makes the squares as uneven as possible, which lowers the number of directions. The
            # correction for the excluded differences must not grow from that.
            kept[:, SHAPE] = self._kept_share(np.maximum(directions[-1], MIN_TRIM_DIRECTIONS), level.differences)
            known = (level.independent > 0) & (level.differences >= MIN_BLOCKS - 1)[:, None]
            with np.errstate(invalid="ignore", divide="ignore"):
                factors.append(np.where(known, level.sums / kept / level.independent, np.nan))
        return Dependence(
            np.array([level.rows / level.blocks for level in levels]),
            np.array([FREEDOM_PER_DIFFERENCE * (level.blocks - 1) for level in levels]),
            np.array(factors),
            np.array(directions),
        )


def _add_comparison(
    level: _BlockLevel, indices: NDArray[np.intp], weights: Floats, squares: Floats, independent: Floats
) -> None:
    """
    Add the comparison of two blocks to their level.

    Args:
        level: the level of the blocks.
        indices: shape (compared,), indices of the compared features.
        weights: shape (compared,), 0 for drifting features and else 1.
        squares: shape (compared, parts), squared differences, already weighted.
        independent: shape (compared, parts), their expectation for independent rows, already weighted.
    """
    level.differences[indices] += weights
    level.independent[indices] += independent
    largest = level.largest[:, indices]
    for rank in range(TRIMMED):
        largest[rank], squares = np.maximum(largest[rank], squares), np.minimum(largest[rank], squares)
    level.largest[:, indices] = largest
    level.sums[indices] += squares
    level.shape_squares[indices] += squares[:, SHAPE] ** 2


def _compare_blocks(
    matrix: FeatureMatrix,
    first: Counts,
    second: Counts,
    served: Counts,
    expected: tuple[Floats | None, Floats | None] = (None, None),
) -> tuple[Floats, Floats]:
    """
    Return the squared differences between pairs of blocks, and their expectation for independent rows.

    Both have the shape (pairs, features, parts): the parts of the two-sample chi-square. The differences are
    standardised by the mean of the reference's shares and the shares served so far. So bins that are empty in both
    blocks count too, and a bin that is rare in the reference does not make a drift look like dependence. The
    expectation uses the shares served.

    With *expected* shares, the expected difference is subtracted first, and the mean of the expected shares
    standardises the rest. The reason is that rows vary less within a season than over all seasons.

    Args:
        matrix: the features.
        first: shape (pairs, bins + 1), counts of the first blocks.
        second: shape (pairs, bins + 1), counts of the second blocks.
        served: shape (pairs, bins + 1), all counts served so far.
        expected: shape (pairs, bins + 1) each, the expected shares of the first and of the second blocks. If None, the
            expected shares do not depend on the season.
    """
    a, b = first[:, matrix.bins], second[:, matrix.bins]
    n, m = a.sum(axis=-1), b.sum(axis=-1)
    squares, independent = np.zeros((*n.shape, PARTS)), np.zeros((*n.shape, PARTS))
    both = (n > 0) & (m > 0)
    live = _shares(served[:, matrix.bins])
    shares: Floats = (_shares(matrix.reference) + live) / 2
    difference = np.where(both[..., None], _shares(a) - _shares(b), 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected_shift: Floats = np.zeros(n.shape)
        if expected[0] is not None and expected[1] is not None:
            before, after = (_shares(part[:, matrix.bins]) for part in (expected[0], expected[1]))
            expected_shift = expected[0][:, matrix.missing] - expected[1][:, matrix.missing]
            shares = live = (before + after) / 2
            difference = difference - (before - after)
        scale = 1 / n + 1 / m
        groups = pool_bins(_flatten(shares * np.minimum(n, m)[..., None]), MIN_BLOCK_EXPECTED)
        shares, live, difference = (
            sum_groups(_flatten(part), groups).reshape(part.shape) for part in (shares, live, difference)
        )
        rest = np.where(shares > 0, difference**2 / shares, 0.0).sum(axis=-1) / scale
        free = np.where(shares > 0, live * (1 - live) / shares, 0.0).sum(axis=-1)
    if matrix.ordered:
        for part, polynomial in zip((LOCATION, SPREAD), orthonormal_polynomials(shares), strict=True):
            has = both & polynomial.any(axis=-1)
            with np.errstate(invalid="ignore", divide="ignore"):
                square = (polynomial * difference).sum(axis=-1) ** 2 / scale
            variance = (live * polynomial**2).sum(axis=-1) - (live * polynomial).sum(axis=-1) ** 2
            squares[has, part], independent[has, part] = square[has], variance[has]
            rest, free = rest - np.where(has, square, 0.0), free - np.where(has, variance, 0.0)
    has = both & (free > 0)
    squares[has, SHAPE], independent[has, SHAPE] = np.maximum(rest[has], 0.0), free[has]
    missing = first[:, matrix.missing], second[:, matrix.missing]
    rows, other_rows = n + missing[0], m + missing[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = (missing[0] + missing[1]) / (rows + other_rows)
        gap = missing[0] / rows - missing[1] / other_rows - expected_shift
        square = gap**2 / (rate * (1 - rate) * (1 / rows + 1 / other_rows))
    has = np.isfinite(square)
    squares[has, MISSING], independent[has, MISSING] = square[has], 1.0
    return squares, independent


def _shares(counts: NDArray[Any]) -> Floats:
    """Return the counts divided by their sum along the last axis; 0 where the sum is 0."""
    rows = counts.sum(axis=-1, keepdims=True)
    shares: Floats = counts / np.where(rows > 0, rows, 1)
    return shares


def _flatten(values: Floats) -> Floats:
    """Return an array of shape (pairs, features, bins) as a matrix of shape (pairs * features, bins)."""
    return values.reshape(-1, values.shape[-1])
