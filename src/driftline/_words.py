"""What moved, in words: from where to where, and which bins carry it."""

from __future__ import annotations

import numpy as np

from driftline._values import CategoricalBins, Counts, Feature, NumericBins

__all__ = ["what_moved"]

NAMED_BINS = 2
"""Bins named in a sentence: the ones that moved most; more is a table, not a sentence."""


def what_moved(feature: Feature, current: Counts) -> str:
    """One line on how the counts of a window differ from the reference's."""
    reference = np.array(feature.counts, dtype=np.float64)
    now = current.astype(np.float64)
    if not reference.sum() or not now.sum():
        return feature.name
    difference = now / now.sum() - reference / reference.sum()
    share = now / now.sum()
    parts = []
    if isinstance(feature.bins, NumericBins) and feature.moments is not None:
        before, after = _median(feature, reference), _median(feature, now)
        if before != after:
            parts.append(f"median {before:.4g} to {after:.4g}")
    for number in np.argsort(-np.abs(difference))[:NAMED_BINS]:
        was, label = share[number] - difference[number], _bin_name(feature, int(number))
        parts.append(f"{label} {was:.1%} to {share[number]:.1%}")
    return f"{feature.name}: {', '.join(parts)}"


def _median(feature: Feature, counts: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """The mean of the bin that holds the median of the values that are there."""
    present = counts[:-1]
    if not present.sum():
        return float("nan")
    return feature.means[int(np.searchsorted(np.cumsum(present), present.sum() / 2))]


def _bin_name(feature: Feature, number: int) -> str:
    label = feature.bins.label(number)
    if isinstance(feature.bins, CategoricalBins) and number >= len(feature.bins.categories):
        return f"{label} categories" if label != "missing" else label
    return label
