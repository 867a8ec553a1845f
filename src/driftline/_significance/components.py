"""The parts of the difference of two distributions: location, spread, shape, and what has no place in the order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import (
    Feature,
    NumericBins,
)
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
    "Floats",
    "Matrix",
    "Numbers",
    "matrices",
    "orthonormal",
]


Numbers: TypeAlias = NDArray[Any]
"""Counts, which are whole numbers, or expected ones, which are not."""

LOCATION, SPREAD, SHAPE, OUTSIDE, MISSING = range(5)
"""Places of the parts. A feature without an order has no location and no spread: all of its difference is shape."""

PARTS = 5

NUMERIC = ("location", "spread", "shape", "out of range", "missing")
CATEGORICAL = ("", "", "mix", "unseen", "missing")
"""What the parts are called."""

WIDTHS = (24, 64, 256, 1024)
"""Features of similar width share a matrix: one of a thousand categories must not widen those of fifteen bins."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """
    Features whose counts form a matrix, padded on the right with empty bins.

    Attributes:
        places: the features, as places in the reference's order.
        ordered: whether the bins lie in order.
        bins: shape (features, bins), places in the flat vector of counts with one more bin, always empty, at its end.
        real: shape (features, bins), False where a bin is padding.
        missing: shape (features,), the bin of missing values in the flat vector.
        outside: shape (features, 2), the bins below and above the range; for categories twice that of the unseen ones.
        reference: shape (features, bins), counts of the present values of the reference.
        reference_missing: shape (features,).
        reference_outside: shape (features,).
        edges: shape (features,), rows outside that the reference stands for by having edges (see `_beyond_edges`).
        certain: shape (features,), which share of its rows stands behind that (see `_certain`).
    """

    places: NDArray[np.intp]
    ordered: bool
    bins: NDArray[np.intp]
    real: NDArray[np.bool_]
    missing: NDArray[np.intp]
    outside: NDArray[np.intp]
    reference: Numbers
    reference_missing: Numbers
    reference_outside: Numbers
    edges: Numbers
    certain: Floats

    def outside_of(self, counts: Numbers) -> Numbers:
        """How many rows lie out of range, or hold unseen categories: shape (features,)."""
        found: Numbers = counts[self.outside].sum(axis=1) if self.ordered else counts[self.outside[:, 0]]
        return found

    def against(self, reference: Floats) -> Matrix:
        """
        The same features with other counts of the reference, such as those of a season.

        Args:
            reference: over all bins, and one more that is empty.
        """
        bins, missing = reference[self.bins], reference[self.missing]
        # The range is as wide as the rows that made it; of categories seen once there is a share.
        rows = self.reference.sum(axis=1) + self.reference_missing
        worth = 1.0 if self.ordered else (bins.sum(axis=1) + missing) / np.maximum(rows, 1)
        return replace(
            self,
            reference=bins,
            reference_missing=missing,
            reference_outside=self.outside_of(reference),
            edges=self.edges * worth,
        )


def matrices(features: Sequence[Feature], layout: Layout) -> tuple[Matrix, ...]:
    """Group features by whether they are ordered and by how wide they are."""
    kinds: dict[tuple[bool, int], list[int]] = {}
    for place, feature in enumerate(features):
        width = next((one for one in WIDTHS if feature.bins.size <= one), feature.bins.size)
        kinds.setdefault((isinstance(feature.bins, NumericBins), width), []).append(place)
    return tuple(_matrix(features, layout, places, ordered=kind[0]) for kind, places in kinds.items())


def _matrix(features: Sequence[Feature], layout: Layout, places: list[int], *, ordered: bool) -> Matrix:
    present = [layout.sizes[place] - 1 for place in places]
    width = max(present)
    bins = np.full((len(places), width), layout.total, dtype=np.intp)
    for row, (place, size) in enumerate(zip(places, present, strict=True)):
        bins[row, :size] = np.arange(layout.offsets[place], layout.offsets[place] + size)
    missing = np.array([layout.offsets[place] + size for place, size in zip(places, present, strict=True)])
    outside = np.stack([bins[:, 0] if ordered else missing - 1, missing - 1], axis=1)
    flat = np.concatenate([*(np.array(feature.counts, dtype=np.int64) for feature in features), [0]])
    once = Matrix(
        np.array(places),
        ordered,
        bins,
        bins < layout.total,
        missing,
        outside,
        flat[bins],
        flat[missing],
        np.zeros(len(places), dtype=np.int64),
        _beyond_edges([features[place] for place in places], ordered=ordered),
        _certain([features[place] for place in places], ordered=ordered),
    )
    return Matrix(
        once.places,
        ordered,
        bins,
        once.real,
        missing,
        outside,
        once.reference,
        once.reference_missing,
        once.outside_of(flat),
        once.edges,
        once.certain,
    )


def _beyond_edges(features: Sequence[Feature], *, ordered: bool) -> Counts:
    """
    Rows that the reference would have had outside of itself, had it been drawn from the same source as the window.

    Its own smallest and largest value are the range, and none of its categories is unseen: taken as they are, its rows
    outside would be none by construction. Of the rows beyond the extremes of m others j or more lie on one side with
    the chance (n / (n + m))^j, which is the conditional test with no event in the reference; two sides make it one. Of
    categories those seen once tell (Good 1953).
    """
    return np.array([1 if ordered else feature.once for feature in features], dtype=np.int64)


def _certain(features: Sequence[Feature], *, ordered: bool) -> Floats:
    """
    The share of the reference's rows that its guess of the rows outside is worth.

    For categories seen once that guess has a variance of f1 + 2 f2 where that of a count of f1 is f1, with f1 of them
    seen once and f2 seen twice (Good 1953): whether a category of five rows was missed or not is a matter of luck, and
    all of its rows come with it. One more on each side keeps the share of those that have neither at 1.
    """
    return np.array([1.0 if ordered else (one.once + 1.0) / (one.once + 1.0 + 2.0 * one.twice) for one in features])


def orthonormal(shares: Floats) -> tuple[Floats, Floats]:
    """
    The first two polynomials over the mid-ranks of bins that are orthonormal under *shares*, shape (..., bins).

    Σ π l = Σ π q = Σ π l q = 0 and Σ π l² = Σ π q² = 1; all zero where the bins filled are too few. With them the
    two-sample chi-square splits: (Σ l d)² / s is its part of location, (Σ q d)² / s that of spread.

    Source: Best & Rayner (1996), *Nonparametric analysis for doubly ordered two-way contingency tables*, after Neyman's
    smooth tests (1937).

    >>> l, q = orthonormal(np.array([0.25, 0.5, 0.25]))
    >>> l.round(3).tolist(), q.round(3).tolist()
    ([-1.414, 0.0, 1.414], [1.0, -1.0, 1.0])
    """
    ranks = np.cumsum(shares, axis=-1) - shares / 2
    location = _normed(ranks - 0.5, shares)
    square = location**2
    skew = (shares * square * location).sum(axis=-1, keepdims=True)
    filled = (shares * square).sum(axis=-1, keepdims=True)
    return location, _normed(square - filled - skew * location, shares)


TINY = 1e-9
"""A polynomial whose norm is below it is rounding: there were too few bins to hold it."""


def _normed(values: Floats, shares: Floats) -> Floats:
    norm = np.sqrt((shares * values**2).sum(axis=-1, keepdims=True))
    return np.where(norm > TINY, values / np.maximum(norm, TINY), 0.0)
