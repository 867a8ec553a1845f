"""Explanations of a drift: which part of a distribution changed, how far its median moved, and in which bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, Feature, NumericBins
from driftline._binning.selection import NewRows
from driftline._significance.components import CATEGORICAL, NUMERIC
from driftline.results import Component
from driftline.typing import Counts

__all__ = ["build_components", "describe_shift"]

NAMED_BINS = 2
"""Number of bins that an explanation names: those whose share changed most. More would make the sentence a table."""

NAMED_COMPONENTS = 2
"""Largest number of parts of the difference that an explanation names, the most significant first."""

NAMED_P = 0.01
"""Largest p-value at which an explanation names a second part. It always names the first."""

UNSEEN = "unseen categories"
"""The name of the bin of unseen categories, and the words for more of them."""

DIRECTIONS = {
    "location": ("location down", "location up"),
    "spread": ("spread narrower", "spread wider"),
    "shape": ("shape changed", "shape changed"),
    "mix": ("mix changed", "mix changed"),
    "out of range": ("less out of range", "more out of range"),
    "unseen": ("fewer unseen categories", UNSEEN),
    "missing": ("fewer missing", "more missing"),
}
"""The words for each part of the difference, by its name: for a negative direction, and for a positive one."""


def build_components(feature: Feature, p: NDArray[np.float64], direction: NDArray[np.float64]) -> tuple[Component, ...]:
    """
    Return the parts of the difference between a window and the reference for one feature, the most significant first.

    Args:
        feature: the feature. Parts that its kind of bins does not have are dropped.
        p: shape (parts,), p-values in the order of `_significance.components`; nan where a part does not apply.
        direction: shape (parts,), above 0 for up, wider or more; 0 or below for the opposite.
    """
    names = NUMERIC if isinstance(feature.bins, NumericBins) else CATEGORICAL
    components = [
        Component(names[part], p_value, DIRECTIONS[names[part]][sign > 0.0])
        for part, (p_value, sign) in enumerate(zip(p.tolist(), direction.tolist(), strict=True))
        if p_value == p_value and names[part]  # noqa: PLR0124 - nan: the part does not apply
    ]
    return tuple(sorted(components, key=lambda component: component.p_value))


def describe_shift(
    feature: Feature,
    current: Counts,
    components: Sequence[Component] = (),
    *,
    labels: bool = True,
    expected: NDArray[np.float64] | None = None,
) -> str:
    """
    Return one line that describes how the counts of a window differ from those of the reference.

    The line starts with the feature's name. If either side has no rows, the name is all of it.

    Args:
        feature: the feature, with its counts in the reference.
        current: shape (bins,), counts of the window over the bins of the feature.
        components: the parts of the difference, the most significant first. If empty, the line names none.
        labels: whether to name categories. If False, the line has the numbers of their bins instead. Such a
            line may leave the process.
        expected: shape (bins,), counts to compare with. If None, compare with the counts of the reference.
    """
    reference = np.array(feature.counts, dtype=np.float64) if expected is None else expected
    now = current.astype(np.float64)
    if not reference.sum() or not now.sum():
        return feature.name
    usual = NewRows([feature])(reference) if expected is None else expected
    before, after, usual = reference / reference.sum(), now / now.sum(), usual / usual.sum()
    order = np.argsort(-np.abs(after - usual), kind="stable").tolist()
    unseen = feature.bins.unseen if isinstance(feature.bins, CategoricalBins) else -1
    words = _name_components(components)
    if UNSEEN in words:
        # The share of the bin says it, with figures.
        words.remove(UNSEEN)
        order.sort(key=lambda index: index != unseen)
    parts = [" and ".join(words)] if words else []
    if isinstance(feature.bins, NumericBins) and feature.moments is not None:
        medians = _median(feature, reference), _median(feature, now)
        if medians[0] != medians[1]:
            parts.append("median {:.4g} to {:.4g}".format(*medians))
    for index in order[:NAMED_BINS]:
        name = _name_bin(feature, index, labels=labels)
        if index == unseen and usual[index] > 0:
            # The training data have none. Some are to be expected of new rows.
            parts.append(f"{name} {after[index]:.1%} where {usual[index]:.1%} are expected")
        else:
            parts.append(f"{name} from {before[index]:.1%} to {after[index]:.1%}")
    return f"{feature.name}: {', '.join(parts)}"


def _name_components(components: Sequence[Component]) -> list[str]:
    """Return the words for the components that an explanation names: the first, and further significant ones."""
    further = [component.words for component in components[1:NAMED_COMPONENTS] if component.p_value <= NAMED_P]
    return [component.words for component in components[:1]] + further


def _median(feature: Feature, counts: NDArray[np.float64]) -> float:
    """
    Return the approximate median of the values that *counts* holds, missing values excluded.

    It is the reference's mean of the bin in which the median lies; nan if all values are missing.
    """
    present = counts[:-1]
    if not present.sum():
        return float("nan")
    return feature.means[int(np.searchsorted(np.cumsum(present), present.sum() / 2))]


def _name_bin(feature: Feature, index: int, *, labels: bool) -> str:
    bins = feature.bins
    if isinstance(bins, CategoricalBins):
        if index == bins.missing:
            return "missing"
        if index >= bins.other:
            return f"{bins.label(index)} categories"
        return bins.label(index) if labels else f"category {index}"
    return bins.label(index).replace(" to ", "..")
