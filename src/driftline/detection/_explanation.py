"""What moved, in words: which part of the difference, from where to where, and which bins carry it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
    NumericBins,
)
from driftline._significance.components import CATEGORICAL, NUMERIC
from driftline.results import Component
from driftline.typing import Counts

__all__ = ["build_components", "describe_shift"]

NAMED_BINS = 2
"""Bins named in a sentence: the ones that moved most; more is a table, not a sentence."""

NAMED_COMPONENTS = 2
"""Parts named in a sentence, likewise."""

TELLING = 0.01
"""A part at or below this p-value is named beside the smallest one."""

DIRECTIONS = {
    "location": ("location down", "location up"),
    "spread": ("spread narrower", "spread wider"),
    "shape": ("shape changed", "shape changed"),
    "mix": ("mix changed", "mix changed"),
    "out of range": ("less out of range", "more out of range"),
    "unseen": ("fewer unseen categories", "unseen categories"),
    "missing": ("fewer missing", "more missing"),
}


def build_components(feature: Feature, p: NDArray[np.float64], direction: NDArray[np.float64]) -> tuple[Component, ...]:
    """The parts that apply to a feature, the most significant first."""
    names = NUMERIC if isinstance(feature.bins, NumericBins) else CATEGORICAL
    found = [
        Component(names[part], one, DIRECTIONS[names[part]][way > 0.0])
        for part, (one, way) in enumerate(zip(p.tolist(), direction.tolist(), strict=True))
        if one == one and names[part]  # noqa: PLR0124 - nan: the part does not apply
    ]
    return tuple(sorted(found, key=lambda component: component.p_value))


def describe_shift(
    feature: Feature,
    current: Counts,
    components: Sequence[Component] = (),
    *,
    labels: bool = True,
    expected: NDArray[np.float64] | None = None,
) -> str:
    """
    One line on how the counts of a window differ from the reference's.

    Args:
        feature: with the counts of the reference.
        current: of the window, over the feature's bins.
        components: the parts of the difference, the most significant first.
        labels: False: categories by their number, for what leaves the process.
        expected: counts to compare with instead of the reference's.
    """
    reference = np.array(feature.counts, dtype=np.float64) if expected is None else expected
    now = current.astype(np.float64)
    if not reference.sum() or not now.sum():
        return feature.name
    before, after = reference / reference.sum(), now / now.sum()
    parts = [_named(components)] if components else []
    if isinstance(feature.bins, NumericBins) and feature.moments is not None:
        middles = _median(feature, reference), _median(feature, now)
        if middles[0] != middles[1]:
            parts.append("median {:.4g} to {:.4g}".format(*middles))
    parts.extend(
        f"{_bin_name(feature, number, labels=labels)} from {before[number]:.1%} to {after[number]:.1%}"
        for number in np.argsort(-np.abs(after - before), kind="stable")[:NAMED_BINS].tolist()
    )
    return f"{feature.name}: {', '.join(parts)}"


def _named(components: Sequence[Component]) -> str:
    telling = [one.words for one in components[1:NAMED_COMPONENTS] if one.p_value <= TELLING]
    return " and ".join([components[0].words, *telling])


def _median(feature: Feature, counts: NDArray[np.float64]) -> float:
    """The mean of the bin that holds the median of the values that are there."""
    present = counts[:-1]
    if not present.sum():
        return float("nan")
    return feature.means[int(np.searchsorted(np.cumsum(present), present.sum() / 2))]


def _bin_name(feature: Feature, number: int, *, labels: bool) -> str:
    bins = feature.bins
    if isinstance(bins, CategoricalBins):
        if number == bins.missing:
            return "missing"
        if number >= bins.other:
            return f"{bins.label(number)} categories"
        return bins.label(number) if labels else f"category {number}"
    return bins.label(number).replace(" to ", "..")
