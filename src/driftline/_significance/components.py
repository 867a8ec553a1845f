"""The parts of the difference between two distributions: location, spread, shape, out of range and missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature, NumericBins
from driftline._binning.groups import BinGroups
from driftline._binning.layout import Layout
from driftline._binning.selection import NewRows, expected_rows, known_bins
from driftline.distances import SMOOTHING
from driftline.typing import Floats

__all__ = [
    "CATEGORICAL",
    "LOCATION",
    "MISSING",
    "NUMERIC",
    "OUTSIDE",
    "PARTS",
    "SHAPE",
    "SPREAD",
    "FeatureMatrix",
    "Numbers",
    "group_features",
    "leading_parts",
    "orthonormal_polynomials",
]


Numbers: TypeAlias = NDArray[Any]
"""Counts, which are whole numbers, or expected counts, which are not."""

LOCATION, SPREAD, SHAPE, OUTSIDE, MISSING = range(5)
"""
Indices of the parts. The categories of a feature have no order, so it has no location and no spread. Its whole
difference is shape.
"""

PARTS = 5
"""Number of parts of a difference."""

NUMERIC = ("location", "spread", "shape", "out of range", "missing")
"""Names of the parts of a numeric feature."""

CATEGORICAL = ("", "", "mix", "unseen", "missing")
"""Names of the parts of a categorical feature. An empty name marks a part that it does not have."""

LATENT_NUMBERS = 1
"""
Values of a reference that would be out of range if its range came from other rows.

The range is the reference's smallest and largest value, so no value of it is out of range, which is too few to compare
a window with. j or more of n new rows are beyond one extreme of m rows with the probability (n / (n + m))^j. This
equals the test of a rate with no event in the reference, and the two extremes add one event.
"""

WIDTH_CLASSES = (24, 64, 256, 1024)
"""
Largest number of bins of the features that share a matrix, for each matrix. So a feature with a thousand categories
does not widen the matrix of features with fifteen bins.
"""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMatrix:
    """
    Features of similar width whose counts form a matrix, padded on the right with empty bins.

    Attributes:
        indices: shape (features,), the features by their index in the reference.
        ordered: whether the bins are in order.
        bins: shape (features, bins), indices into the flat vector of counts. That vector ends with one more bin, which
            is always empty and serves as padding.
        real: shape (features, bins), False where a bin is padding.
        missing: shape (features,), index of the bin of missing values in the flat vector.
        outside: shape (features, 2), indices of the bins below and above the range. For categories, both are the bin of
            unseen ones.
        unseen: shape (features,), column of the bin of unseen categories; 0 for numbers, which have none.
        selected: shape (features,), whether the categories with bins are the most frequent of more in the reference.
        known: shape (features,), bins whose rows in the reference are free of chance (see `known_bins`).
        reference: shape (features, bins), counts of the reference without missing values. For categories, they are
            those to expect of as many new rows (see `NewRows`).
        reference_missing: shape (features,), missing values of the reference.
        reference_outside: shape (features,), values of the reference out of range; for categories, unseen rows to
            expect of as many new rows.
        latent_outside: shape (features,), rows of the reference out of range if its range came from other rows: 1 for
            numbers (see `LATENT_NUMBERS`); 0 for categories, because *reference_outside* holds the estimate.
        reliability: shape (features,), the share of the reference's rows that supports *reference_outside* (see
            `_reliability`).
        groups: the groups of bins that count as one bin in the effect. Their counts have one more column, for missing
            values. None if there are none.
    """

    indices: NDArray[np.intp]
    ordered: bool
    bins: NDArray[np.intp]
    real: NDArray[np.bool_]
    missing: NDArray[np.intp]
    outside: NDArray[np.intp]
    unseen: NDArray[np.intp]
    selected: NDArray[np.bool_]
    known: Floats
    reference: Numbers
    reference_missing: Numbers
    reference_outside: Numbers
    latent_outside: Numbers
    reliability: Floats
    groups: BinGroups | None

    def count_outside(self, counts: Numbers) -> Numbers:
        """
        Return the rows out of range, or with unseen categories, shape (features,).

        Args:
            counts: flat counts over all bins.
        """
        rows: Numbers = counts[self.outside].sum(axis=1) if self.ordered else counts[self.outside[:, 0]]
        return rows

    @property
    def smoothed_shares(self) -> Floats:
        """The shares of the reference without missing values, shape (features, bins), above 0 in all real bins."""
        smoothed = self.reference + SMOOTHING * self.real
        shares: Floats = smoothed / smoothed.sum(axis=1, keepdims=True)
        return shares

    def with_reference(self, reference: Floats) -> FeatureMatrix:
        """
        Return a copy with other counts of the reference, such as those of a season.

        Args:
            reference: flat counts over all bins, with the empty bin for padding at the end. They need not be whole.
        """
        return replace(
            self,
            reference=reference[self.bins],
            reference_missing=reference[self.missing],
            reference_outside=self.count_outside(reference),
        )

    def without_unseen(self, counts: Numbers) -> Numbers:
        """
        Return counts, shape (features, bins), without those of unseen categories; numbers stay as they are.

        So the shares of known categories are compared, and *unseen* is tested by itself.
        """
        if self.ordered:
            return counts
        known: Numbers = counts.copy()
        known[np.arange(len(counts)), self.unseen] = 0
        return known


def leading_parts(features: Sequence[Feature]) -> NDArray[np.intp]:
    """Return the part that shows a shift of each feature, shape (features,): location, or the mix of categories."""
    return np.array(
        [LOCATION if isinstance(feature.bins, NumericBins) else SHAPE for feature in features], dtype=np.intp
    )


def group_features(features: Sequence[Feature], layout: Layout) -> tuple[FeatureMatrix, ...]:
    """Return matrices that together hold all features, grouped by whether they are ordered and by `WIDTH_CLASSES`."""
    groups: dict[tuple[bool, int], list[int]] = {}
    for index, feature in enumerate(features):
        size = layout.sizes[index]
        width = next((limit for limit in WIDTH_CLASSES if size <= limit), size)
        groups.setdefault((isinstance(feature.bins, NumericBins), width), []).append(index)
    return tuple(_build_matrix(features, layout, indices, ordered=key[0]) for key, indices in groups.items())


def _build_matrix(features: Sequence[Feature], layout: Layout, indices: list[int], *, ordered: bool) -> FeatureMatrix:
    present = [layout.sizes[index] - 1 for index in indices]
    width = max(present)
    bins = np.full((len(indices), width), layout.total, dtype=np.intp)
    for row, (index, size) in enumerate(zip(indices, present, strict=True)):
        bins[row, :size] = np.arange(layout.offsets[index], layout.offsets[index] + size)
    missing = np.array([layout.offsets[index] + size for index, size in zip(indices, present, strict=True)])
    outside = np.stack([bins[:, 0] if ordered else missing - 1, missing - 1], axis=1)
    counts = np.concatenate([np.array(feature.counts, dtype=np.int64) for feature in features])
    flat = np.append(NewRows(features)(counts), 0)
    matrix = FeatureMatrix(
        np.array(indices),
        ordered,
        bins,
        bins < layout.total,
        missing,
        outside,
        np.zeros(len(indices), dtype=np.intp) if ordered else np.array(present, dtype=np.intp) - 1,
        np.array([len(expected_rows(features[index])) > 0 for index in indices]),
        np.array([known_bins(features[index]) for index in indices]),
        flat[bins],
        flat[missing],
        np.zeros(len(indices), dtype=np.int64),
        np.full(len(indices), LATENT_NUMBERS if ordered else 0, dtype=np.int64),
        _reliability([features[index] for index in indices]),
        BinGroups.of([features[index].bins for index in indices], width + 1),
    )
    return replace(matrix, reference_outside=matrix.count_outside(flat))


def _reliability(features: Sequence[Feature]) -> Floats:
    """
    Return the share of the reference's rows that supports its number of rows out of range, shape (features,).

    It is 1 for numbers. For categories, the number of rows that should be unseen has a larger variance than a count,
    because a category is unseen with all of its rows. Of f1 categories seen once, f2 seen twice and m rows, the
    variance is f1 (1 - f1 / m) + 2 f2, where that of a count of f1 is f1 (1 - f1 / m) (Esty 1983, *A normal limit law
    for a nonparametric estimator of the coverage of a random sample*). The share is the quotient of the two. An added 1
    keeps it at 1 if f1 and f2 are 0.

    Where most new rows are unseen, the estimate has heavier tails than a normal law. There the part of f2 is up to
    twice as large. So the rate of false alarms is 0.1 to 0.9 of the level, where it was up to 2.4 of it (simulated:
    references of 1,000 and 2,000 rows, 1,000 to 20,000 equally frequent categories).
    """
    shares = []
    for feature in features:
        share = feature.unseen_share
        variance = feature.once * (1.0 - share) + 1.0
        further = 2.0 * feature.twice * (1.0 + share**4) + 4.0 * share
        shares.append(variance / (variance + further) if share else 1.0)
    return np.array(shares)


def orthonormal_polynomials(shares: Floats) -> tuple[Floats, Floats]:
    """
    Return the first two polynomials over the mid-ranks of bins, orthonormal under *shares*, shape (..., bins).

    They are l, of the first degree, and q, of the second. With the shares π, Σ π l = Σ π q = Σ π l q = 0 and Σ π l² =
    Σ π q² = 1. A polynomial is 0 everywhere if too few bins are filled. They split the two-sample chi-square of a
    difference d with the scale s = 1/n + 1/m: its part of location is (Σ l d)² / s, that of spread (Σ q d)² / s.

    Source: Best & Rayner (1996), *Nonparametric analysis for doubly ordered two-way contingency tables*, after Neyman's
    smooth tests (1937).

    >>> l, q = orthonormal_polynomials(np.array([0.25, 0.5, 0.25]))
    >>> l.round(3).tolist(), q.round(3).tolist()
    ([-1.414, 0.0, 1.414], [1.0, -1.0, 1.0])
    """
    location = _normalise(_mid_ranks(shares) - 0.5, shares)
    square = location**2
    weighed = shares * square
    skew = np.einsum("...b,...b->...", weighed, location)[..., None]
    filled = weighed.sum(axis=-1, keepdims=True)
    return location, _normalise(square - filled - skew * location, shares)


NARROW = 64
"""Largest number of bins whose cumulative sums a product with a matrix computes faster than `numpy.cumsum`."""


def _mid_ranks(shares: Floats) -> Floats:
    """Return the share of rows below the middle of each bin, shape (..., bins)."""
    width = shares.shape[-1]
    if width > NARROW:
        ranks: Floats = np.cumsum(shares, axis=-1) - shares / 2
        return ranks
    below: Floats = shares @ _half_below(width)
    return below


@lru_cache(maxsize=NARROW)
def _half_below(width: int) -> Floats:
    """Return the matrix that adds up all bins below a bin and half of it, shape (width, width)."""
    return np.triu(np.ones((width, width)), 1) + 0.5 * np.eye(width)


MIN_NORM = 1e-9
"""Smallest norm of a polynomial. Below it, too few bins are filled, and the values are rounding errors."""


def _normalise(values: Floats, shares: Floats) -> Floats:
    norm = np.sqrt(np.einsum("...b,...b->...", shares * values, values))[..., None]
    normal: Floats = values / np.where(norm > MIN_NORM, norm, np.inf)
    return normal
