"""Explanations of a drift: which part of a distribution changed, how far its median moved, and in which bins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, Feature, NumericBins
from driftline._binning.selection import NewRows
from driftline._significance.components import CATEGORICAL, LOCATION, NUMERIC
from driftline.detection._bin_names import name_bin
from driftline.detection._numbers import format_share
from driftline.detection._part_effects import measure_parts, measure_rank_shift
from driftline.detection._quantiles import Quantile, estimate_quantile, fitted_quantiles
from driftline.results import Component
from driftline.typing import Counts

__all__ = ["build_components", "describe_shift"]

NAMED_BINS = 2
"""Number of bins that an explanation names: those whose share changed most. More would make the sentence a table."""

NAMED_COMPONENTS = 2
"""Largest number of parts of the difference that an explanation names, the largest first."""

NAMED_P = 0.05
"""Largest p-value of a part that is significant. The largest of these leads, or else the part with the smallest p."""

NAMED_SHARE = 1 / 3
"""Smallest size of a second part that an explanation names, as a share of the size of the first."""

MOVED = "location"
"""The part of a difference that says that the median moved."""

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


def build_components(
    feature: Feature,
    p: NDArray[np.float64],
    direction: NDArray[np.float64],
    current: Counts | None = None,
    expected: NDArray[np.float64] | None = None,
    counting: NDArray[np.bool_] | None = None,
) -> tuple[Component, ...]:
    """
    Return the parts of the difference between a window and the reference for one feature.

    Parts that are significant (`NAMED_P`) and count come first, the largest of them first. The others follow by their
    p-values.

    Args:
        feature: the feature. Parts that its kind of bins does not have are dropped.
        p: shape (parts,), p-values in the order of `_significance.components`; nan where a part does not apply.
        direction: shape (parts,), above 0 for up, wider or more; 0 or below for the opposite.
        current: shape (bins,), counts of the window, from which the sizes follow. If None, sizes are not known.
        expected: shape (bins,), counts to compare with. If None, compare with the counts of the reference.
        counting: shape (parts,), whether a part is large enough to count as drift. If None, all parts are.
    """
    names = NUMERIC if isinstance(feature.bins, NumericBins) else CATEGORICAL
    sizes: Sequence[float | None] = [None] * len(names)
    if current is not None:
        usual, now = _usual(feature, expected), current.astype(np.float64)
        sizes = measure_parts(feature, usual, now).tolist()
        if names is NUMERIC and (shift := measure_rank_shift(usual, now)):
            # The test pools rare bins, so that its direction may be that of the other bins alone.
            direction = np.where(np.arange(len(direction)) == LOCATION, shift, direction)
    components = {
        part: Component(names[part], p_value, DIRECTIONS[names[part]][sign > 0.0], sizes[part])
        for part, (p_value, sign) in enumerate(zip(p.tolist(), direction.tolist(), strict=True))
        if p_value == p_value and names[part]  # noqa: PLR0124 - nan: the part does not apply
    }

    def rank(part: int) -> tuple[bool, float, float]:
        component = components[part]
        first = component.p_value <= NAMED_P and (counting is None or bool(counting[part]))
        return not first, -(component.size or 0.0) if first else 0.0, component.p_value

    return tuple(components[part] for part in sorted(components, key=rank))


def _usual(feature: Feature, expected: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the counts to expect of new rows: *expected*, or if it is None those of the reference (see `NewRows`)."""
    if expected is not None:
        return expected
    return NewRows([feature])(np.array(feature.counts, dtype=np.float64))


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
        components: the parts of the difference, as `build_components` returns them. If empty, the line names none.
        labels: whether to name categories. If False, the line has the numbers of their bins instead. Such a
            line may leave the process.
        expected: shape (bins,), counts to compare with, such as those of a season. The line then says what is
            expected. If None, it says what is in the reference.
    """
    if not current.sum() or not sum(feature.counts) or (expected is not None and not expected.sum()):
        return feature.name
    named = _named(components)
    words = " and ".join([component.words for component in named if component.words != UNSEEN])
    figures = [_medians(feature, current, named, expected), *_shares(feature, current, named, expected, labels=labels)]
    parts = [part for part in (words, *figures) if part]
    return f"{feature.name}: {', '.join(parts)}" if parts else feature.name


def _named(components: Sequence[Component]) -> list[Component]:
    """Return the components that an explanation names: the first, and a significant one that is large enough."""
    least = NAMED_SHARE * (components[0].size or 0.0) if components else 0.0
    further = [
        component
        for component in components[1:NAMED_COMPONENTS]
        if component.p_value <= NAMED_P and (component.size is None or component.size >= least)
    ]
    return [*components[:1], *further]


def _medians(
    feature: Feature, current: Counts, named: Sequence[Component], expected: NDArray[np.float64] | None
) -> str:
    """Return the medians of both sides; empty if they may be the same or are not known."""
    if feature.moments is None:
        return ""
    if expected is None and feature.quartiles:
        before: Quantile | None = fitted_quantiles(feature)[1]
    else:
        before = estimate_quantile(feature, np.array(feature.counts) if expected is None else expected, 0.5)
    after = estimate_quantile(feature, current, 0.5)
    if before is None or after is None:
        return ""
    error = max(after.value - after.low, after.high - after.value)  # as the sentence states it
    may_be_same = after.low <= before.value <= after.high or abs(after.value - before.value) <= error < math.inf
    moved = next((component for component in named if component.name == MOVED), None)
    if moved is None and may_be_same:
        # The counts do not show whether the median moved, and no test says that it did.
        return ""
    if moved is not None and moved.words != DIRECTIONS[MOVED][after.value > before.value]:
        # All values together moved the other way, so that the median only adds doubt.
        return ""
    scale = _scale(feature)
    a, b = (_write(feature, each, scale) for each in (before, after))
    if not a or not b or a == b.partition(" (")[0]:
        return ""
    return f"median {a} to {b}" if expected is None else f"median {b} where {a} is expected"


def _write(feature: Feature, quantile: Quantile, scale: float) -> str:
    """Return a quantile as a string; empty if it is not known."""
    for number, end, edge in (
        (0, quantile.low, quantile.high),
        (feature.bins.missing - 1, quantile.high, quantile.low),
    ):
        if math.isinf(end) and quantile.value == edge:
            return name_bin(feature, number, labels=True)
    return quantile.format(scale, feature.step)


def _scale(feature: Feature) -> float:
    """Return the interquartile range of a feature in the reference, or another range of its usual values."""
    counts = np.array(feature.counts)
    fitted = fitted_quantiles(feature)
    low, high = (
        (fitted[0], fitted[2]) if fitted else (estimate_quantile(feature, counts, share) for share in (0.25, 0.75))
    )
    if low is not None and high is not None and high.value > low.value:
        return high.value - low.value
    return 0.0 if feature.moments is None else feature.moments.std or abs(feature.moments.mean)


def _shares(
    feature: Feature,
    current: Counts,
    named: Sequence[Component],
    expected: NDArray[np.float64] | None,
    *,
    labels: bool,
) -> Iterator[str]:
    """Yield the shares of `NAMED_BINS` bins on both sides: those of the named parts, then those that changed most."""
    usual = _usual(feature, expected)
    before = np.array(feature.counts, dtype=np.float64) if expected is None else expected
    before, after, usual = before / before.sum(), current / current.sum(), usual / usual.sum()
    change = np.abs(after - usual)
    first = {index for component in named for index in _bins_of(feature, component, change)}
    order = sorted(np.argsort(-change, kind="stable").tolist(), key=lambda index: index not in first)
    unseen = feature.bins.unseen if isinstance(feature.bins, CategoricalBins) else -1
    for index in [index for index in order if before[index] != after[index]][:NAMED_BINS]:
        name = name_bin(feature, index, labels=labels)
        now = format_share(float(after[index]))
        if expected is None and not (index == unseen and usual[index] > 0):
            yield f"{name} from {format_share(float(before[index]))} to {now}"
        else:
            # Of new rows some are unseen, although the training data have no unseen category.
            yield f"{name} {now} where {format_share(float(usual[index]))} are expected"


def _bins_of(feature: Feature, component: Component, change: NDArray[np.float64]) -> list[int]:
    """Return the bin that a part of the difference is about; none if it is about all of them."""
    if component.name == "missing":
        return [feature.bins.missing]
    if isinstance(feature.bins, CategoricalBins):
        return [feature.bins.unseen] if component.name == "unseen" else []
    ends = (0, feature.bins.missing - 1)
    return [max(ends, key=lambda index: float(change[index]))] if component.name == "out of range" else []
