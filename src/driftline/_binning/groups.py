"""Adds up the counts of bins that belong together: sums per group, and `BinGroups` for distances bin by bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, CategoricalBins, NumericBins
from driftline.distances import SMOOTHING
from driftline.typing import Floats

__all__ = ["BinGroups", "add_up_groups", "sum_groups"]


def add_up_groups(bins: Bins, counts: NDArray[Any]) -> NDArray[Any]:
    """
    Return the sum of the counts of each group of bins, then the count of missing values, shape (groups + 1,).

    Args:
        bins: the bins of one feature. If they have no groups, the counts are returned as they are.
        counts: shape (bins,).
    """
    groups = bins.groups if isinstance(bins, NumericBins) else ()
    if not groups:
        return counts
    starts = np.flatnonzero(np.diff((*groups, groups[-1] + 1), prepend=-1))
    return np.add.reduceat(counts, starts)


def sum_groups(values: NDArray[Any], groups: NDArray[np.intp]) -> Floats:
    """
    Return the sums of each row of a matrix over the groups of its columns, in the same shape.

    Column g holds the sums of group g. Other columns are 0.

    >>> sum_groups(np.array([[1, 2, 3, 4]]), np.array([[0, 0, 1, 1]])).tolist()
    [[3.0, 7.0, 0.0, 0.0]]
    """
    return _sum_places(values, _places(groups))


def _places(groups: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the index in a flattened matrix to which each of its values is added, shape (features · bins,)."""
    size, width = groups.shape
    flat: NDArray[np.intp] = (groups + np.arange(size)[:, None] * width).ravel()
    return flat


def _sum_places(values: NDArray[Any], flat: NDArray[np.intp]) -> Floats:
    sums: Floats = np.bincount(flat, weights=values.ravel(), minlength=values.size).astype(np.float64)
    return sums.reshape(values.shape)


class BinGroups:
    """
    The groups of the bins of several features (see `NumericBins.groups`), for counts of shape (features, bins).

    Args:
        bins: the bins of each feature.
        width: number of columns of the counts. Columns after the last group are groups by themselves.
    """

    __slots__ = ("_flat", "_inner", "_smoothing")

    def __init__(self, bins: Sequence[Bins], width: int) -> None:
        owners = np.tile(np.arange(width), (len(bins), 1))
        self._inner = np.zeros(owners.shape, dtype=np.bool_)
        for row, each in enumerate(bins):
            groups = each.groups if isinstance(each, NumericBins) else ()
            if groups:
                owners[row, : len(groups)] = np.searchsorted(groups, groups)
                self._inner[row, 1 : len(groups) - 1] = True
            if isinstance(each, CategoricalBins) and _is_selected(each):
                self._inner[row, : each.other] = True
        self._flat = _places(owners)
        self._smoothing = np.where(owners == np.arange(width), SMOOTHING, 0.0)

    @classmethod
    def of(cls, bins: Sequence[Bins], width: int) -> BinGroups | None:
        """Return the groups; None if each bin of each feature is a group by itself."""
        grouped = any((isinstance(each, NumericBins) and each.groups) or _is_selected(each) for each in bins)
        return cls(bins, width) if grouped else None

    def merge(self, counts: NDArray[Any]) -> Floats:
        """Return counts in which the first bin of each group has the sum of the group, and its other bins have 0."""
        return _sum_places(counts, self._flat)

    def smoothing(self, reference: Floats, current: Floats) -> Floats:
        """
        Return the pseudo-count of each bin of merged counts.

        It is 0 for a bin between known values that is empty on both sides, and for a category of many that is. Else a
        window of few rows would seem to differ from the reference, by the many bins that neither fills.
        """
        return np.where(self._inner & (reference + current == 0), 0.0, self._smoothing)


def _is_selected(bins: Bins) -> bool:
    """Return whether the categories that have bins are some of many, so that new rows may have none of them."""
    return isinstance(bins, CategoricalBins) and bool(bins.others or bins.open)
