"""Data that are broken rather than changed: values that go missing, leave the range suddenly, or change their unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from driftline._binning.bins import PREDICTION, CategoricalBins, Feature
from driftline.results import FeatureStatus
from driftline.retraining._unit_change import find_unit_change
from driftline.typing import Counts

__all__ = ["BrokenData"]

LEAST_ROWS = 100
"""Fewest rows of a window that are examined."""

MISSING = 0.25
"""Rise of the share of missing values that counts as broken. Without a quarter of its values no feature is the same."""

OUTSIDE = 0.5
"""Share of values that are out of range, or of unseen categories, from which a feature may be broken."""

BEFORE = 0.1
"""Largest share of them in the window before. A real change passes through the shares between."""


class BrokenData:
    """
    Examines one window after the other.

    Args:
        features: the features of the reference, in the order of their bins.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = tuple(features)
        self._outside: dict[str, float] = {}
        self._broken: dict[str, str] = {}

    def examine(self, counts: Counts, status: Mapping[str, FeatureStatus]) -> dict[str, str]:
        """
        Return why the data of each broken feature are broken, as a sentence by name; empty if none are.

        A feature that fell out of range suddenly is broken until it is back.

        Args:
            counts: shape (bins,), the rows of the latest window over the bins of all features.
            status: the state of each feature. A change of unit is looked for in those that drift.
        """
        broken = {}
        start = 0
        for feature in self._features:
            own = counts[start : start + feature.bins.size]
            start += feature.bins.size
            if feature.name == PREDICTION or own.sum() < LEAST_ROWS:
                continue
            state = status[feature.name].state if feature.name in status else "insufficient_data"
            reason = self._reason(feature, own, is_drifting=state == "drifting")
            if reason:
                broken[feature.name] = reason
        self._broken = broken
        return broken

    def _reason(self, feature: Feature, counts: Counts, *, is_drifting: bool) -> str:
        """Return why the data of a feature are broken; empty if they are not."""
        rows, usual = float(counts.sum()), float(max(sum(feature.counts), 1))
        missing, expected = float(counts[-1]) / rows, feature.counts[-1] / usual
        if missing - expected >= MISSING:
            return f"{feature.name}: {missing:.0%} are missing, {expected:.0%} in the reference"
        present = counts[:-1].sum()
        if present < LEAST_ROWS:
            return ""
        outside = float(_outside(feature, np.asarray(counts)) / present)
        before, self._outside[feature.name] = self._outside.get(feature.name, 0.0), outside
        was_broken = feature.name in self._broken
        if outside >= OUTSIDE and (before <= BEFORE or was_broken) and outside > 2.0 * _outside_share(feature):
            what = "of unseen categories" if isinstance(feature.bins, CategoricalBins) else "out of range"
            return f"{feature.name}: suddenly {outside:.0%} are {what}"
        change = find_unit_change(feature, counts) if is_drifting else None
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
