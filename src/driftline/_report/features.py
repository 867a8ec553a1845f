"""Makes the values of features: from their bins, their states and the evidence of each window length."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftline._binning.bins import PREDICTION, CategoricalBins, Feature, NumericBins
from driftline._binning.layout import Layout
from driftline._report.values import (
    BinValues,
    CourseValues,
    FeatureValues,
    LengthValues,
    PartValues,
    ScoreValues,
    Where,
)
from driftline.detection._bin_names import name_bin
from driftline.detection._evaluation import EvaluatedLength, Evaluation
from driftline.detection._quantiles import estimate_quantile
from driftline.reference import Reference
from driftline.results import WORST_FIRST, FeatureStatus, Score
from driftline.typing import Counts, Floats

__all__ = ["Slices", "feature_values", "in_order"]

MAX_COURSES = 60
"""Features whose course is computed, of those that matter most. Each takes milliseconds and some kilobytes."""

MAX_POINTS = 40
"""Latest windows of a course. A page is too narrow for more."""

ORDER: Mapping[str, int] = {state: rank for rank, state in enumerate(WORST_FIRST)}
"""The states by how much they matter."""


@dataclass(frozen=True, slots=True, eq=False)
class Slices:
    """
    Counts of consecutive windows, or slices of a data set, the earliest first.

    Attributes:
        counts: shape (bins,) each.
        rows: the rows of each.
        start: a description of the first.
        end: a description of the last.
    """

    counts: Sequence[Counts]
    rows: Sequence[int]
    start: str
    end: str


def in_order(features: Sequence[FeatureValues]) -> tuple[FeatureValues, ...]:
    """Return features in the order in which they matter: by state, then by effect, then by p-value."""

    def rank(feature: FeatureValues) -> tuple[int, float, float]:
        effect = -math.inf if feature.effect is None or math.isnan(feature.effect) else feature.effect
        return ORDER.get(feature.state, 1), -effect, 1.0 if feature.p_value is None else feature.p_value

    return tuple(sorted(features, key=rank))


def feature_values(
    reference: Reference,
    states: Mapping[str, FeatureStatus],
    evaluation: Evaluation | None,
    counts: Counts | None,
    slices: Slices | None,
    *,
    labels: bool,
) -> tuple[FeatureValues, ...]:
    """
    Return the values of all features of a reference, those that matter most first.

    Args:
        reference: the reference.
        states: the state of each feature by name, redacted.
        evaluation: what the states follow from; None if nothing has been evaluated.
        counts: shape (bins,), the counts to show of features that no rule has evaluated. If None, they have none.
        slices: the counts over time; None if they are not known.
        labels: whether to name categories.
    """
    layout = Layout(reference.watched)
    scores: dict[str, list[Score]] = {}
    for score in () if evaluation is None else evaluation.scores:
        scores.setdefault(score.feature, []).append(score)
    unknown = FeatureStatus("insufficient_data", None, None, 0, "no window yet")
    result = []
    for index, feature in enumerate(reference.watched):
        look = None if evaluation is None else _explaining(evaluation, index)
        status = states.get(feature.name, unknown)
        result.append(
            _feature(feature, index, layout, status, evaluation, look, counts, scores.get(feature.name, ()), labels)
        )
    if slices is None or len(slices.counts) < 2:  # noqa: PLR2004 - a single window is no course
        return in_order(result)
    position = {feature.name: index for index, feature in enumerate(reference.watched)}
    ordered = list(in_order(result))
    for rank, values in enumerate(ordered[:MAX_COURSES]):
        index = position[values.name]
        course = _course(reference.watched[index], layout.slices[index], values, slices, labels=labels)
        ordered[rank] = replace(values, course=course)
    return tuple(ordered)


def _explaining(evaluation: Evaluation, index: int) -> EvaluatedLength | None:
    """Return the window length that the state of a feature follows from; None before the first evaluation."""
    explained = evaluation.explained[index]
    if explained in evaluation.lengths:
        return evaluation.lengths[explained]
    return next(iter(evaluation.lengths.values()), None)


def _feature(
    feature: Feature,
    index: int,
    layout: Layout,
    status: FeatureStatus,
    evaluation: Evaluation | None,
    look: EvaluatedLength | None,
    counts: Counts | None,
    scores: Sequence[Score],
    labels: bool,  # noqa: FBT001 - as the others
) -> FeatureValues:
    bins = layout.slices[index]
    current = counts[bins] if look is None and counts is not None else None
    expected: Floats | None = None
    if look is not None:
        current = look.window.counts[bins]
        expected = None if look.expected is None else look.expected[bins]
    before = np.array(feature.counts, dtype=np.float64) if expected is None else expected
    moments = feature.moments
    return FeatureValues(
        name=feature.name,
        kind="numeric" if isinstance(feature.bins, NumericBins) else "categorical",
        output=feature.name == PREDICTION,
        state=status.state,
        reason=status.reason,
        rows=status.rows,
        p_value=status.p_value,
        effect=status.effect,
        length="the window so far" if look is None else look.label,
        seasonal=expected is not None,
        parts=tuple(PartValues(part.name, part.words, part.p_value, part.size) for part in status.components),
        lengths=() if evaluation is None else tuple(_lengths(evaluation, index, look)),
        scores=tuple(ScoreValues(each.distance, each.value, each.corrected, each.rows, each.length) for each in scores),
        bins=tuple(_bins(feature, before, current, labels=labels)),
        medians=(_median(feature, before), None if current is None else _median(feature, current)),
        mean=None if moments is None else moments.mean,
        deviation=None if moments is None else moments.std,
        minimum=None if moments is None else moments.minimum,
        maximum=None if moments is None else moments.maximum,
        course=None,
    )


def _lengths(evaluation: Evaluation, index: int, explaining: EvaluatedLength | None) -> Sequence[LengthValues]:
    result = []
    for look in evaluation.lengths.values():
        if index < len(look.evidence):
            item = look.evidence[index]
            effect = None if math.isnan(item.effect) else item.effect
            result.append(LengthValues(look.label, item.rows, item.p_value, effect, item.enter, look is explaining))
    return result


def _median(feature: Feature, counts: Floats | Counts) -> float | None:
    """Return the median of the values that counts hold; None if it is beyond the range, or not known."""
    if isinstance(feature.bins, CategoricalBins) or not counts.sum():
        return None
    quantile = estimate_quantile(feature, counts, 0.5)
    if quantile is None or math.isinf(quantile.low) or math.isinf(quantile.high):
        return None
    return quantile.value


def _bins(feature: Feature, before: Floats, current: Counts | None, *, labels: bool) -> Sequence[BinValues]:
    total = float(before.sum())
    rows = 0 if current is None else int(current.sum())
    result = []
    for number in range(feature.bins.size):
        where, low, high, single = _extent(feature, number)
        share = float(before[number]) / total if total else 0.0
        now = None if current is None or not rows else int(current[number]) / rows
        name = name_bin(feature, number, labels=labels)
        result.append(BinValues(name, where, low, high, single, share, now))
    return result


def _extent(feature: Feature, number: int) -> tuple[Where, float | None, float | None, bool]:
    """Return what a bin holds, its ends, and whether it holds a single value of the reference."""
    bins = feature.bins
    if number == bins.missing:
        return "missing", None, None, False
    if isinstance(bins, CategoricalBins):
        where: Where = "category" if number < bins.other else "other" if number == bins.other else "unseen"
        return where, None, None, False
    if not bins.cuts:
        return "present", None, None, False
    last = len(bins.cuts)
    if number in (0, last):
        return ("below", None, bins.cuts[0], False) if number == 0 else ("above", bins.cuts[-1], None, False)
    low, high = bins.cuts[number - 1 : number + 1]
    return "within", low, high, any(low <= value < high for value in bins.known_values)


def _course(
    feature: Feature, bins: slice, values: FeatureValues, slices: Slices, *, labels: bool
) -> CourseValues | None:
    """Return a feature over time: its quartiles, or the share of the bin that changed most."""
    counts = [each[bins] for each in slices.counts[-MAX_POINTS:]]
    rows = tuple(int(each.sum()) for each in counts)
    before = np.array(feature.counts, dtype=np.float64)
    changed = max(values.bins, key=lambda each: abs((each.current or 0.0) - each.reference), default=None)
    numeric = isinstance(feature.bins, NumericBins)
    lead = values.parts[0].name if values.parts else ""
    if numeric and lead not in {"missing", "out of range"}:
        usual = [_quantile(feature, before, share) for share in (0.25, 0.5, 0.75)]
        if usual[1] is None:
            return None
        low, middle, high = ([_quantile(feature, each, share) for each in counts] for share in (0.25, 0.5, 0.75))
        band = None if usual[0] is None or usual[2] is None else (usual[0], usual[2])
        return CourseValues(
            *("median", False, tuple(middle), tuple(low), tuple(high), usual[1], band, rows, slices.start, slices.end)
        )
    if changed is None or not before.sum():
        return None
    number = values.bins.index(changed)
    if numeric:
        number = feature.bins.missing if lead == "missing" else _outside(values)
    shares = tuple(int(each[number]) / size if size else None for each, size in zip(counts, rows, strict=True))
    name = name_bin(feature, number, labels=labels)
    usual_share = float(before[number] / before.sum())
    return CourseValues(name, True, shares, (), (), usual_share, None, rows, slices.start, slices.end)  # noqa: FBT003


def _outside(values: FeatureValues) -> int:
    """Return the number of the bin below or above the range whose share changed most."""
    ends = [index for index, each in enumerate(values.bins) if each.where in {"below", "above"}]
    return max(ends, key=lambda index: abs((values.bins[index].current or 0.0) - values.bins[index].reference))


def _quantile(feature: Feature, counts: Floats | Counts, share: float) -> float | None:
    """Return a quantile; None without values. Beyond the range of the reference it is the end of the range."""
    quantile = estimate_quantile(feature, counts, share)
    return None if quantile is None else quantile.value
