"""The parts of the difference between two distributions: location, spread, shape, out of range and missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature, NumericBins
from driftline._binning.layout import Layout
from driftline.typing import Counts, Floats

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
    "orthonormal_polynomials",
]


Numbers: TypeAlias = NDArray[Any]
"""Counts, which are whole numbers, or expected counts, which are not."""

LOCATION, SPREAD, SHAPE, OUTSIDE, MISSING = range(5)
"""
Indices of the parts. A categorical feature has no order, so it has no location and no spread: its whole difference is
shape.
"""

PARTS = 5
"""Number of parts."""

NUMERIC = ("location", "spread", "shape", "out of range", "missing")
"""Names of the parts of a numeric feature."""

CATEGORICAL = ("", "", "mix", "unseen", "missing")
"""Names of the parts of a categorical feature. An empty name marks a part that it does not have."""

WIDTH_CLASSES = (24, 64, 256, 1024)
"""
Largest numbers of bins of features that share a matrix. The classes keep a feature with a thousand categories from
widening the matrix of features with fifteen bins.
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
        reference: shape (features, bins), counts of the present values of the reference.
        reference_missing: shape (features,), counts of the missing values.
        reference_outside: shape (features,), counts of the values out of range.
        latent_outside: shape (features,), rows outside its own range that the reference stands for (see
            `_latent_outside`).
        reliability: shape (features,), the share of the reference's rows that supports that estimate (see
            `_reliability`).
    """

    indices: NDArray[np.intp]
    ordered: bool
    bins: NDArray[np.intp]
    real: NDArray[np.bool_]
    missing: NDArray[np.intp]
    outside: NDArray[np.intp]
    reference: Numbers
    reference_missing: Numbers
    reference_outside: Numbers
    latent_outside: Numbers
    reliability: Floats

    def count_outside(self, counts: Numbers) -> Numbers:
        """Return the rows out of range, or with unseen categories, shape (features,)."""
        rows: Numbers = counts[self.outside].sum(axis=1) if self.ordered else counts[self.outside[:, 0]]
        return rows

    def with_reference(self, reference: Floats) -> FeatureMatrix:
        """
        Return the same features with other counts of the reference, such as those of a season.

        Args:
            reference: shape (bins + 1,), counts over all bins and the empty one.
        """
        bins, missing = reference[self.bins], reference[self.missing]
        # The range comes from all rows of the reference. The categories seen once are a share of its rows.
        rows = self.reference.sum(axis=1) + self.reference_missing
        share = 1.0 if self.ordered else (bins.sum(axis=1) + missing) / np.maximum(rows, 1)
        return replace(
            self,
            reference=bins,
            reference_missing=missing,
            reference_outside=self.count_outside(reference),
            latent_outside=self.latent_outside * share,
        )


def group_features(features: Sequence[Feature], layout: Layout) -> tuple[FeatureMatrix, ...]:
    """Group features into matrices, by whether they are ordered and by the number of their bins."""
    groups: dict[tuple[bool, int], list[int]] = {}
    for index, feature in enumerate(features):
        width = next((limit for limit in WIDTH_CLASSES if feature.bins.size <= limit), feature.bins.size)
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
    flat = np.concatenate([*(np.array(feature.counts, dtype=np.int64) for feature in features), [0]])
    matrix = FeatureMatrix(
        np.array(indices),
        ordered,
        bins,
        bins < layout.total,
        missing,
        outside,
        flat[bins],
        flat[missing],
        np.zeros(len(indices), dtype=np.int64),
        _latent_outside([features[index] for index in indices], ordered=ordered),
        _reliability([features[index] for index in indices], ordered=ordered),
    )
    return replace(matrix, reference_outside=matrix.count_outside(flat))


def _latent_outside(features: Sequence[Feature], *, ordered: bool) -> Counts:
    """
    Return the rows that the reference would have outside its range if the range were not made from those rows.

    The reference's smallest and largest values are its range, and none of its categories is unseen. So its own rows
    outside are zero by construction, which is too few to compare a window with. Of the rows beyond the extremes of m
    others, j or more are on one side with the probability (n / (n + m))^j. That is the conditional test with no event
    in the reference, and two sides make it one. For categories, the number of categories seen once is the estimate
    (Good 1953).
    """
    return np.array([1 if ordered else feature.once for feature in features], dtype=np.int64)


def _reliability(features: Sequence[Feature], *, ordered: bool) -> Floats:
    """
    Return the share of the reference's rows that supports its estimate of the rows outside.

    With f1 categories seen once and f2 seen twice, the estimate for categories has the variance f1 + 2 f2, where a
    count of f1 has the variance f1 (Good 1953). The reason is that chance decides whether a category of five rows was
    missed, and all of its rows come with it. Adding one to both sides keeps the share at 1 if there are neither.
    """
    return np.array(
        [1.0 if ordered else (feature.once + 1.0) / (feature.once + 1.0 + 2.0 * feature.twice) for feature in features]
    )


def orthonormal_polynomials(shares: Floats) -> tuple[Floats, Floats]:
    """
    Return the first two polynomials over the mid-ranks of bins, orthonormal under *shares*, shape (..., bins).

    Σ π l = Σ π q = Σ π l q = 0 and Σ π l² = Σ π q² = 1. A polynomial is all zero if too few bins are filled. They split
    the two-sample chi-square: (Σ l d)² / s is its part of location, (Σ q d)² / s its part of spread.

    Source: Best & Rayner (1996), *Nonparametric analysis for doubly ordered two-way contingency tables*, after Neyman's
    smooth tests (1937).

    >>> l, q = orthonormal_polynomials(np.array([0.25, 0.5, 0.25]))
    >>> l.round(3).tolist(), q.round(3).tolist()
    ([-1.414, 0.0, 1.414], [1.0, -1.0, 1.0])
    """
    ranks = np.cumsum(shares, axis=-1) - shares / 2
    location = _normalise(ranks - 0.5, shares)
    square = location**2
    skew = (shares * square * location).sum(axis=-1, keepdims=True)
    filled = (shares * square).sum(axis=-1, keepdims=True)
    return location, _normalise(square - filled - skew * location, shares)


MIN_NORM = 1e-9
"""Smallest norm of a polynomial. Below it there are too few bins, and the values are rounding errors."""


def _normalise(values: Floats, shares: Floats) -> Floats:
    norm = np.sqrt((shares * values**2).sum(axis=-1, keepdims=True))
    return np.where(norm > MIN_NORM, values / np.maximum(norm, MIN_NORM), 0.0)
