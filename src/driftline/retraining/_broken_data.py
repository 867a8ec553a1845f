"""Data that are broken rather than changed: values that go missing, leave the range suddenly, or change their unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from driftline._binning.bins import PREDICTION, CategoricalBins, Feature
from driftline.results import FeatureStatus
from driftline.retraining._unit_change import find_unit_change
from driftline.typing import Counts

__all__ = ["LEAST_ROWS", "BrokenData", "Findings"]

LEAST_ROWS = 100
"""Fewest rows of a window that are examined."""

MISSING = 0.25
"""Rise of the share of missing values that counts as broken. Without a quarter of its values no feature is the same."""

OUTSIDE = 0.5
"""Share of values that are out of range, or of unseen categories, from which a feature may be broken."""

BEFORE = 0.1
"""Largest share of them in the rows before. A real change passes through the shares between."""

HARDLY = 0.9
"""Share of missing values from which a feature is broken, whether or not the rows suffice for a state."""


class Findings(NamedTuple):
    """
    What is wrong with the data.

    Attributes:
        broken: why a feature's data are broken, as a sentence by name. The feature drifts, or hardly has values.
        suspected: why they may be, although no state says so yet: a window is not complete, or says too little.
    """

    broken: dict[str, str]
    suspected: dict[str, str]


class BrokenData:
    """
    Examines the rows since the last examination.

    Args:
        features: the features of the reference, in the order of their bins.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = tuple(features)
        self._outside: dict[str, float] = {}
        self._left: set[str] = set()

    def examine(self, counts: Counts, status: Mapping[str, FeatureStatus], *, thorough: bool = True) -> Findings:
        """
        Return what is wrong with the data.

        A feature that left its range suddenly is broken until it is back.

        Args:
            counts: shape (bins,), the latest rows over the bins of all features.
            status: the state of each feature.
            thorough: whether a change of unit is looked for in features that do not drift, too.
        """
        findings = Findings({}, {})
        start = 0
        for feature in self._features:
            own = counts[start : start + feature.bins.size]
            start += feature.bins.size
            if feature.name == PREDICTION or own.sum() < LEAST_ROWS:
                continue
            state = status[feature.name].state if feature.name in status else "insufficient_data"
            drifts = state == "drifting"
            missing = _missing(feature, own)
            left, is_new = self._has_left(feature, own)
            reason = missing or left
            if not reason and (drifts or thorough):
                reason = _unit(feature, own)
            if not reason:
                continue
            if drifts or (missing and own[-1] >= HARDLY * own.sum()):
                findings.broken[feature.name] = reason
            elif is_new or not left:
                findings.suspected[feature.name] = reason
        return findings

    def _has_left(self, feature: Feature, counts: Counts) -> tuple[str, bool]:
        """Return that the values of a feature have left its range suddenly, if so, and whether this is new."""
        present = int(counts[:-1].sum())
        if present < LEAST_ROWS:
            return "", False
        name = feature.name
        outside = _outside(feature, counts) / present
        before, self._outside[name] = self._outside.get(name, 0.0), outside
        if outside < OUTSIDE or outside <= 2.0 * _outside_share(feature):
            self._left.discard(name)
            return "", False
        is_new = before <= BEFORE and name not in self._left
        if is_new:
            self._left.add(name)
        if name not in self._left:
            return "", False
        what = "of unseen categories" if isinstance(feature.bins, CategoricalBins) else "out of range"
        return f"{name}: suddenly {outside:.0%} are {what}", is_new


def _missing(feature: Feature, counts: Counts) -> str:
    """Return that values are missing, or an empty string."""
    missing, expected = float(counts[-1]) / float(counts.sum()), feature.counts[-1] / max(sum(feature.counts), 1)
    if missing - expected < MISSING:
        return ""
    return f"{feature.name}: {missing:.0%} are missing, {expected:.0%} in the reference"


def _unit(feature: Feature, counts: Counts) -> str:
    """Return that values have another unit, or an empty string."""
    change = find_unit_change(feature, counts)
    if change is None:
        return ""
    conversion = change.conversion
    formula = f"x × {conversion.factor:.4g}" + (f" {conversion.offset:+.4g}" if conversion.offset else "")
    return f"{feature.name}: as after a change of unit, such as {conversion.words} ({formula})"


def _outside(feature: Feature, counts: Counts) -> int:
    """Return the rows out of range, or of unseen categories."""
    if isinstance(feature.bins, CategoricalBins):
        return int(counts[feature.bins.unseen])
    if not feature.bins.cuts:
        return 0
    return int(counts[0]) + int(counts[-2])


def _outside_share(feature: Feature) -> float:
    """Return the share of the training data out of range, which is 0 unless they were merged."""
    present = max(sum(feature.counts[:-1]), 1)
    return _outside(feature, np.array(feature.counts)) / present
