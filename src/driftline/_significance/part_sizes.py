"""`PartSizes`: how large each part of a difference is, whether or not it is significant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, Feature
from driftline._binning.groups import BinGroups
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
from driftline._significance.effect import NO_ROWS
from driftline._significance.two_sample import SHIFT_SPREADS
from driftline.typing import Counts, Floats

__all__ = ["PartSizes"]

NOISE_REACH = 2.0
"""Standard errors up to which a part of the change of a bin is subtracted, because chance alone looks like it."""

NOISE_WEIGHT = 0.6546
"""
Part that is subtracted of the distance between `NOISE_REACH` and the change, in standard errors.

It makes the expectation 0 without a change: E|z| = 0.6546 E max(0, 2 - |z|) for a standard normal z. For a true change
of two standard errors the expectation is 1.75.
"""

MAX_RANK = 0.9999
"""
Largest shift of the ranks, as a part of the greatest possible one. A normal feature that moves by 5.5 standard
deviations shifts its ranks as far.
"""

MIN_SQUARE = 1e-4
"""
Smallest distance of the mean squared rank from its bounds, 0 and 1. It bounds the factor of the spread to between 0.01
and 80.
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """
    The features of a matrix, with what depends only on their reference.

    Attributes:
        matrix: the features.
        groups: the groups of bins of numbers that count as one bin; None if there are none.
        polynomials: shape (2, features, bins), the polynomials of location and spread over the ranks; 0 for categories.
        weighted: shape (2, features, bins), the same times the shares of the bins.
        has: shape (features, parts), whether a feature has the part.
        variance: shape (features, bins), variance of the indicator of a bin, relative to the bin's share, that location
            and spread do not explain.
        usual: shape (features, bins), the comparable counts of the reference.
    """

    matrix: FeatureMatrix
    groups: BinGroups | None
    polynomials: Floats
    weighted: Floats
    has: NDArray[np.bool_]
    variance: Floats
    usual: Numbers

    def comparable(self, counts: Numbers) -> Numbers:
        """Return counts, shape (features, bins), without unseen categories and with the bins of groups added up."""
        return self.matrix.without_unseen(counts) if self.groups is None else self.groups.merge(counts)


class PartSizes:
    """
    Measures the size of each part of the difference between a window and the reference, each in its unit.

    - Location: standard deviations. A normal feature that moves by as many shifts its ranks as far.
    - Spread: logarithm of a factor. A normal feature that becomes wider or narrower by it spreads its ranks as much.
    - Shape, mix: share of all rows that are in another bin, beyond those that location and spread explain.
    - Out of range, unseen: share of rows beyond the share that is to be expected.
    - Missing: change of the share of missing values.

    Each size is corrected for chance, as the corrected PSI is. Without drift it is about 0 on average, and below 0 in
    about half of all windows. The correction grows with the variance inflation, so a clump of dependent rows in a small
    window is no large effect.

    Sources: McGraw & Wong (1992), *A common language effect size statistic*: a row of a normal feature that moved by d
    exceeds a row of the reference with the probability Φ(d / √2). By Sheppard's formula for the orthants of a normal
    distribution, a spread by the factor f has the mean squared rank 2 / π · arcsin(f² / (1 + f²)), with ranks from -1
    to 1.

    Args:
        features: the features, in the order of *layout*.
        layout: the layout of their bins.
    """

    __slots__ = ("_bins", "_groups", "_size", "_special")

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

        self._special: Any = special
        self._size = len(features)
        self._bins = layout.total
        self._groups = tuple(
            _prepare(matrix, [features[index].bins for index in matrix.indices])
            for matrix in group_features(features, layout)
        )

    def __call__(self, counts: Counts, expected: Floats | None = None, factor: Floats | None = None) -> Floats:
        """
        Return the size of each part, shape (features, parts); nan where a part does not apply or has no rows.

        Args:
            counts: flat counts over the bins of all features. Entries after the bins are ignored.
            expected: shape (bins,), counts to compare with. If None, those of the reference.
            factor: shape (features, parts), variance inflation of the difference. If None, rows are independent.
        """
        sizes = np.full((self._size, PARTS), np.nan)
        padded = np.concatenate([counts[: self._bins], [0]])
        reference = None if expected is None else np.concatenate([expected[: self._bins], [0.0]])
        with np.errstate(invalid="ignore", divide="ignore"):
            for group in self._groups:
                indices = group.matrix.indices
                inflation = np.ones((len(indices), PARTS)) if factor is None else factor[indices]
                sizes[indices] = self._measure(group, padded, reference, inflation)
        return sizes

    def _measure(self, group: _Group, counts: Counts, reference: Floats | None, factor: Floats) -> Floats:
        """Return the sizes of the features of one group, shape (features, parts)."""
        matrix = group.matrix if reference is None else group.matrix.with_reference(reference)
        current, missing = counts[matrix.bins], counts[matrix.missing]
        n, m = current.sum(axis=1), matrix.reference.sum(axis=1)
        rows, reference_rows = n + missing, m + matrix.reference_missing
        sizes = np.full((len(n), PARTS), np.nan)
        sizes[:, MISSING] = _size_of_rate(
            missing, matrix.reference_missing, rows, reference_rows, reference_rows, factor[:, MISSING]
        )
        latent, new = matrix.latent_outside, matrix.count_outside(counts)
        usual = matrix.reference_outside + latent
        sizes[:, OUTSIDE] = np.where(
            new * m >= usual * n,
            _size_of_rate(new, usual, n, m + latent, m * matrix.reliability, factor[:, OUTSIDE]),
            new / n - usual / m,
        )
        self._measure_distribution(group, matrix, current, factor, sizes)
        return np.where((rows > 0)[:, None] & group.has, sizes, np.nan)

    def _measure_distribution(
        self, group: _Group, matrix: FeatureMatrix, current: Counts, factor: Floats, sizes: Floats
    ) -> None:
        """Write location, spread and shape. They compare the values that are neither missing nor unseen."""
        now = group.comparable(current)
        before = group.usual if matrix is group.matrix else group.comparable(matrix.reference)
        n, m = now.sum(axis=1), before.sum(axis=1)
        scale = 1.0 / n + 1.0 / m
        difference = now / n[:, None] - before / m[:, None]
        if matrix.ordered:
            changes = np.einsum("kij,ij->ki", group.polynomials, difference)
            difference = difference - np.einsum("kij,ki->ij", group.weighted, changes)
            shift, widening = changes
            sizes[:, LOCATION] = self._as_deviations(_without_chance(shift, scale * factor[:, LOCATION]))
            widening = widening - np.minimum(SHIFT_SPREADS * shift**2, np.maximum(widening, 0.0))
            sizes[:, SPREAD] = _as_log_factor(_without_chance(widening, scale * factor[:, SPREAD]), widening > 0)
        shares = (now + before) / (n + m)[:, None]
        errors = np.sqrt(shares * group.variance * (scale * factor[:, SHAPE])[:, None])
        moved = np.abs(difference)
        moved -= NOISE_WEIGHT * np.maximum(NOISE_REACH * errors - moved, 0.0)
        sizes[:, SHAPE] = moved.sum(axis=1) / 2.0

    def _as_deviations(self, shift: Floats) -> Floats:
        """Return the standard deviations by which a normal feature moves if its standardised ranks move by *shift*."""
        rank = np.clip(shift / np.sqrt(3.0), -MAX_RANK, MAX_RANK)
        deviations: Floats = np.sqrt(2.0) * self._special.ndtri((1.0 + rank) / 2.0)
        return deviations


def _as_log_factor(widening: Floats, wider: NDArray[np.bool_]) -> Floats:
    """
    Return the logarithm of the factor of the spread of a normal feature, negative if *widening* is.

    Args:
        widening: shape (features,), size of the change of the standardised squared rank; below 0 for less than chance.
        wider: shape (features,), whether the spread became wider. If not, the factor is inverted.
    """
    signed = np.where(wider, np.abs(widening), -np.abs(widening))
    square = np.clip((1.0 + signed * (2.0 / np.sqrt(5.0))) / 3.0, MIN_SQUARE, 1.0 - MIN_SQUARE)
    sine = np.sin(np.pi / 2.0 * square)
    size: Floats = np.copysign(0.5 * np.log(sine / (1.0 - sine)), widening)
    return size


def _size_of_rate(
    events: Numbers,
    reference_events: Numbers,
    rows: Numbers,
    reference_rows: Numbers,
    known_rows: Numbers,
    factor: Floats,
) -> Floats:
    """
    Return the size of the difference between two rates, shape (features,).

    Args:
        events: shape (features,), events of the window.
        reference_events: shape (features,), events of the reference.
        rows: shape (features,), rows of the window.
        reference_rows: shape (features,), rows of the reference.
        known_rows: shape (features,), rows of the reference that support its rate.
        factor: shape (features,), variance inflation.
    """
    now, before = events / rows, reference_events / reference_rows
    # The variance of each side by its own rate: a single clump then has the size 0, also if the event was never seen.
    chance = factor * (now * (1.0 - now) / rows + before * (1.0 - before) / known_rows)
    return _without_chance(now - before, chance)


def _without_chance(change: Floats, variance: Floats) -> Floats:
    """Return the size of a change whose square is lower by *variance*; below 0 for a square that is smaller than it."""
    excess = change**2 - variance
    size: Floats = np.copysign(np.sqrt(np.abs(excess)), excess)
    return size


def _prepare(matrix: FeatureMatrix, bins: Sequence[Bins]) -> _Group:
    """Return the features of a matrix, whose bins are *bins*, with their polynomials."""
    size, width = matrix.bins.shape
    zeros = np.zeros((2, size, width))
    has = np.ones((size, PARTS), dtype=np.bool_)
    groups = BinGroups.of(bins, width) if matrix.ordered else None
    group = _Group(matrix, groups, zeros, zeros, has, zeros[0], matrix.reference)
    counts = group.comparable(matrix.reference)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), NO_ROWS)
    polynomials = np.stack(orthonormal_polynomials(shares)) if matrix.ordered else zeros
    has[:, [LOCATION, SPREAD]] = polynomials.any(axis=2).T
    explained = shares * (1.0 + (polynomials**2).sum(axis=0))
    return replace(
        group,
        polynomials=polynomials,
        weighted=polynomials * shares,
        variance=np.clip(1.0 - explained, 0.0, 1.0),
        usual=counts,
    )
