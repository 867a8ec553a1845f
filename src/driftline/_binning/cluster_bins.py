"""`ClusterBins`: fewer bins of each feature, in which rows are counted by the bucket of their key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature, NumericBins
from driftline._binning.layout import Binner, binner
from driftline.typing import Column

__all__ = ["ClusterBins"]

MAX_CLUSTER_BINS = 32
"""
Most bins of a feature that are counted by bucket. With them, 128 buckets of a feature take 16 KB, however many
categories it has.
"""

Numbers = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class ClusterBins:
    """
    The bins of features, of which at most `MAX_CLUSTER_BINS` are left, side by side in one vector.

    Neighbouring bins of numbers become one, and so do rare categories. The bins out of range, of unseen categories and
    of missing values are kept.

    Attributes:
        offsets: index of each feature's first bin in the vector.
        total: number of bins of all features.
        present: shape (features, width), indices of the bins but that of missing values, padded with *total*.
        missing: shape (features,), index of the bin of missing values.
        outside: shape (features, 2), indices of the bins below and above the range. For categories, both are that of
            unseen ones.
        ordered: shape (features,), whether the bins of a feature are in order.
        layout_bins: for each bin of the layout of the features, its index in the vector, shape (bins,).
    """

    offsets: tuple[int, ...]
    total: int
    present: Numbers
    missing: Numbers
    outside: Numbers
    ordered: NDArray[np.bool_]
    layout_bins: Numbers
    _binners: tuple[Binner, ...]
    _groups: tuple[Numbers, ...]

    @classmethod
    def of(cls, features: Sequence[Feature]) -> ClusterBins:
        """Return the bins of these features."""
        groups = tuple(_groups_of(feature) for feature in features)
        sizes = [int(group[-1]) + 1 for group in groups]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
        total, starts = int(offsets[-1]), offsets[:-1]
        width = max(sizes) - 1
        columns = np.arange(width)
        last = np.array(sizes) - 1
        present = np.where(columns < last[:, None], starts[:, None] + columns, total)
        ordered = np.array([isinstance(feature.bins, NumericBins) for feature in features])
        above = starts + np.maximum(last - 1, 0)
        outside = np.stack([np.where(ordered, starts, above), above], axis=1)
        return cls(
            tuple(starts.tolist()),
            total,
            present,
            starts + last,
            outside,
            ordered,
            np.concatenate([group + start for group, start in zip(groups, starts, strict=True)]),
            tuple(binner(feature.bins) for feature in features),
            groups,
        )

    def pooled(self, counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return the counts over the bins of a layout, shape (bins of the layout,), over these bins, shape (total,)."""
        pooled = np.zeros(self.total)
        np.add.at(pooled, self.layout_bins, counts)
        return pooled

    def numbers(self, index: int, column: Column | None, rows: int) -> Numbers:
        """Return the number of the bin of each value of the feature *index*, shape (rows,); None is all missing."""
        group = self._groups[index]
        if column is None:
            return np.full(rows, group[-1])
        return group[self._binners[index](column)]


def _groups_of(feature: Feature) -> Numbers:
    """Return for each bin of a feature the number of the bin that it belongs to. The last is that of missing values."""
    size = feature.bins.size
    if size <= MAX_CLUSTER_BINS:
        return np.arange(size)
    counts = np.array(feature.counts, dtype=np.float64)
    if isinstance(feature.bins, NumericBins):
        inner = counts[1 : size - 2]
        most = MAX_CLUSTER_BINS - 3
        ends = np.cumsum(inner) - inner / 2
        group = np.minimum((ends / max(inner.sum(), 1.0) * most).astype(np.intp), most - 1)
        _, group = np.unique(group, return_inverse=True)
        last = int(group[-1]) + 2
        return np.concatenate([[0], group + 1, [last, last + 1]]).astype(np.intp)
    most = MAX_CLUSTER_BINS - 3
    group = np.full(size, most, dtype=np.intp)
    group[np.argsort(-counts[: size - 2], kind="stable")[:most]] = np.arange(most)
    group[-2:] = most + 1, most + 2
    return group
