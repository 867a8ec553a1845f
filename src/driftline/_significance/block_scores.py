"""Scores of bins: what a block of rows says of each part of a feature's distribution, as sums over its counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.components import (
    LOCATION,
    MISSING,
    OUTSIDE,
    PARTS,
    SHAPE,
    SPREAD,
    FeatureMatrix,
    Numbers,
    group_features,
    orthonormal_polynomials,
)
from driftline.typing import Counts, Floats

__all__ = ["BlockScores"]

MIN_FREE = 0.05
"""Smallest variance of a shape that differences are divided by. Below it nearly all rows are in one or two bins."""


@dataclass(frozen=True, slots=True, eq=False)
class _MatrixScores:
    """
    The scores of the bins of one `FeatureMatrix`.

    Attributes:
        matrix: the features.
        scores: shape (3, features, bins): the polynomials of location and spread, and the square of the first. 0 for
            categories.
        shares: shape (features, bins), shares of the reference, smoothed.
        outside: shape (2, features), columns of the bins out of range; twice that of unseen categories.
    """

    matrix: FeatureMatrix
    scores: Floats
    shares: Floats
    outside: NDArray[np.intp]

    @classmethod
    def of(cls, matrix: FeatureMatrix) -> _MatrixScores:
        shares = matrix.smoothed_shares
        scores = np.zeros((3, *shares.shape))
        if matrix.ordered:
            location, spread = orthonormal_polynomials(shares)
            scores = np.stack([location, spread, location**2])
        last = matrix.real.sum(axis=1) - 1
        outside = np.stack([np.zeros_like(last), last]) if matrix.ordered else np.stack([matrix.unseen, matrix.unseen])
        return cls(matrix, scores, shares, outside)


class BlockScores:
    """
    Computes the scores of blocks of rows.

    Args:
        features: the features, in the order of *layout*.
        layout: the layout of their bins.
    """

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        self._matrices = tuple(map(_MatrixScores.of, group_features(features, layout)))
        self._size = len(features)
        self._offsets = np.array(layout.offsets, dtype=np.intp)
        self._missing = np.zeros(self._size, dtype=np.intp)
        self._outside = np.full((2, self._size), layout.total, dtype=np.intp)
        for each in self._matrices:
            matrix = each.matrix
            self._missing[matrix.indices] = matrix.missing
            self._outside[0, matrix.indices] = matrix.outside[:, 0]
            if matrix.ordered:
                self._outside[1, matrix.indices] = matrix.outside[:, 1]

    def within(self, counts: Counts) -> Floats:
        """
        Return the variance within each block: of the location score, and of a value being missing.

        Args:
            counts: shape (blocks, bins + 1), the last bin is padding.

        Returns:
            shape (blocks, features, 3): the variance of location (nan for categories and for blocks without values),
            that of a value being missing as r (1 - r) with the rate r (nan without rows), and the mean location score.
        """
        within = np.full((len(counts), self._size, 3), np.nan)
        for each in self._matrices:
            matrix = each.matrix
            present = counts.astype(np.float64).take(matrix.bins, axis=1)
            rows = present @ np.ones(matrix.bins.shape[1])
            missing = counts[:, matrix.missing]
            with np.errstate(invalid="ignore", divide="ignore"):
                rate = missing / (rows + missing)
                within[:, matrix.indices, 1] = rate * (1.0 - rate)
                if matrix.ordered:
                    mean = np.einsum("kfb,fb->kf", present, each.scores[0]) / rows
                    within[:, matrix.indices, 0] = np.einsum("kfb,fb->kf", present, each.scores[2]) / rows - mean**2
                    within[:, matrix.indices, 2] = mean
        return within

    def expected_variance(self, shares: Floats) -> Floats:
        """
        Return the variances that expected shares have: of location, and of a value being missing, shape (features, 2).

        Args:
            shares: shape (bins + 1,), 1 in sum over the bins of each feature.
        """
        variance = np.zeros((self._size, 2))
        for each in self._matrices:
            matrix = each.matrix
            missing = shares[matrix.missing]
            variance[matrix.indices, 1] = missing * (1.0 - missing)
            if matrix.ordered:
                present = shares[matrix.bins]
                present = present / np.maximum(present.sum(axis=1, keepdims=True), 1e-12)
                sums = np.einsum("fb,sfb->sf", present, each.scores)
                variance[matrix.indices, 0] = sums[2] - sums[0] ** 2
        return variance

    def unknown_share(self, counts: Counts, state: float) -> Floats:
        """
        Return the share of the rows that no state of the reference explains, shape (features,); 0 for categories.

        Args:
            counts: shape (bins + 1,), the last bin is padding.
            state: share of the reference's rows that come from the state.
        """
        unknown = np.zeros(self._size)
        for each in self._matrices:
            if each.matrix.ordered:
                present = counts[each.matrix.bins]
                shares = present / np.maximum(present.sum(axis=1, keepdims=True), 1)
                unknown[each.matrix.indices] = np.maximum(shares - each.shares / state, 0.0).sum(axis=1)
        return unknown

    def rates(self, counts: Numbers) -> Floats:
        """
        Return the rates of values out of range (or unseen) and missing, shape (features, 2).

        Args:
            counts: shape (bins + 1,). A rate without rows is 0.
        """
        counts = counts.astype(np.float64)
        rates = np.empty((self._size, 2))
        whole, missing = np.add.reduceat(counts, self._offsets), counts[self._missing]
        rates[:, 0] = counts[self._outside].sum(axis=0) / np.maximum(whole - missing, 1)
        rates[:, 1] = missing / np.maximum(whole, 1)
        return rates

    def events(self, blocks: Counts, rows: int) -> Floats:
        """Return the events of each rate in blocks of *rows* rows together, shape (blocks, features, 2)."""
        return np.stack([self.rates(block) for block in blocks]) * (rows / len(blocks))

    def compare(
        self, first: Counts, second: Counts, served: Numbers, expected: tuple[Floats, Floats] | None = None
    ) -> Floats:
        """
        Return the squared differences of pairs of neighbouring blocks, shape (pairs, features, parts).

        They are divided by 1/n + 1/m, where n and m are the rows of the two. For location and spread, the unit is the
        variance of one row of the reference. For the shape it is the variance of independent rows, for rates that of a
        share. nan where a block has no values of the feature.

        Args:
            first: shape (pairs, bins + 1), counts of the first blocks. The last bin is padding.
            second: the same of the second blocks.
            served: shape (bins + 1,), counts of all rows served so far.
            expected: shape (pairs, bins + 1) each, the shares that the season of each block expects. If None, both
                expect the same.
        """
        squares = np.zeros((len(first), self._size, PARTS))
        for each in self._matrices:
            squares[:, each.matrix.indices] = _compare_matrix(each, first, second, served, expected)
        return squares


def _compare_matrix(
    scores: _MatrixScores,
    first: Counts,
    second: Counts,
    served: Numbers,
    expected: tuple[Floats, Floats] | None,
) -> Floats:
    matrix = scores.matrix
    # Products with ones add up short rows eight times as fast as `sum`, and counts without rounding.
    difference, other = (counts.astype(np.float64).take(matrix.bins, axis=1) for counts in (first, second))
    ones = np.ones(matrix.bins.shape[1])
    n, m = difference @ ones, other @ ones
    known = (n > 0) & (m > 0)
    here, there = np.maximum(n, 1.0), np.maximum(m, 1.0)
    # In place, because these are the largest arrays of an evaluation.
    difference /= here[:, :, None]
    other /= there[:, :, None]
    difference -= other
    missing = first[:, matrix.missing], second[:, matrix.missing]
    rows, other_rows = np.maximum(n + missing[0], 1.0), np.maximum(m + missing[1], 1.0)
    gap = missing[0] / rows - missing[1] / other_rows
    if expected is not None:
        shares = tuple(part[:, matrix.bins] for part in expected)
        shares = tuple(part / np.maximum(part.sum(axis=2, keepdims=True), 1e-12) for part in shares)
        difference -= shares[0] - shares[1]
        gap -= expected[0][:, matrix.missing] - expected[1][:, matrix.missing]
    scale = 1.0 / here + 1.0 / there
    squares = np.empty((*n.shape, PARTS))
    live = served[matrix.bins]
    live = live / np.maximum(live @ ones, 1.0)[:, None]
    # A bin that expects less than a row in the smaller block would dominate with one row of weight 1 / share.
    least = 1.0 / np.minimum(here, there).max(axis=1)[:, None, None]
    weight = np.maximum(scores.shares, least, out=other)
    np.divide(1.0, weight, out=weight)
    free = np.einsum("kfb,fb->kf", weight, live * (1.0 - live))
    weight *= difference
    rest = np.einsum("kfb,kfb->kf", weight, difference)
    if matrix.ordered:
        for part, polynomial in zip((LOCATION, SPREAD), scores.scores[: SPREAD + 1], strict=True):
            along = np.einsum("kfb,fb->kf", difference, polynomial) ** 2
            squares[:, :, part] = along / scale
            rest -= along
            weighed = live * polynomial
            free -= np.einsum("fb,fb->f", weighed, polynomial) - (weighed @ ones) ** 2
        outside = difference[:, np.arange(n.shape[1]), scores.outside].sum(axis=1)
    else:
        squares[:, :, : SPREAD + 1] = 0.0
        outside = difference[:, np.arange(n.shape[1]), scores.outside[0]]
    squares[:, :, SHAPE] = np.where(free > MIN_FREE, np.maximum(rest, 0.0) / scale / np.maximum(free, MIN_FREE), np.nan)
    squares[:, :, OUTSIDE] = outside**2 / scale
    squares[:, :, MISSING] = gap**2 / (1.0 / rows + 1.0 / other_rows)
    if not known.all():
        squares[~known, : OUTSIDE + 1] = np.nan
    return squares
