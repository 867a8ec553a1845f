"""How two references differ, feature by feature: in figures that both files hold, without a test."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from driftline._binning.bins import CategoricalBins, Feature
from driftline.detection._least_effects import DEFAULT, LEAST_MISSING, LEAST_MIX, LEAST_SPREAD, MISSING_SHARE
from driftline.reference import Reference

__all__ = ["FeatureDifference", "compare"]

LEAST_SHIFT: Final = math.sqrt(DEFAULT)
"""Smallest shift of the mean that counts, in standard deviations: the default of `FalseAlarms`."""


@dataclass(frozen=True, slots=True)
class FeatureDifference:
    """
    How a feature of one reference differs from that of another.

    Attributes:
        name: name of the feature.
        changed: whether it differs by as much as counts as a drift by default.
        words: how it differs, in words; empty if it does not differ.
        figures: the figures behind the words, by name.
    """

    name: str
    changed: bool
    words: str
    figures: Mapping[str, float]


def compare(before: Reference, after: Reference) -> tuple[FeatureDifference, ...]:
    """Return how each feature of two references differs, in the order of *before*, then those that only *after* has."""
    new = {feature.name: feature for feature in after.watched}
    old = {feature.name: feature for feature in before.watched}
    differences = []
    for name, feature in old.items():
        if name not in new:
            differences.append(FeatureDifference(name, changed=True, words="removed", figures={}))
        else:
            differences.append(_difference(feature, new[name]))
    differences += [FeatureDifference(name, changed=True, words="added", figures={}) for name in new if name not in old]
    return tuple(differences)


def _difference(before: Feature, after: Feature) -> FeatureDifference:
    """Return how a feature differs from the one of the same name."""
    kinds = tuple("categorical" if isinstance(each.bins, CategoricalBins) else "numeric" for each in (before, after))
    if kinds[0] != kinds[1]:
        return FeatureDifference(before.name, changed=True, words=f"{kinds[0]} to {kinds[1]}", figures={})
    parts = _categories(before, after) if kinds[0] == "categorical" else _numbers(before, after)
    parts.update(_missing(before, after))
    figures = {name: figure for name, (figure, _) in parts.items()}
    words = "; ".join(text for _, text in parts.values() if text)
    return FeatureDifference(before.name, bool(words), words, figures)


def _numbers(before: Feature, after: Feature) -> dict[str, tuple[float, str]]:
    """Return the parts in which two numeric features differ: the figure, and words if it is large enough to count."""
    old, new = before.moments, after.moments
    if old is None or new is None:
        return {"range": (math.nan, "" if old is new else "no finite value in one of them")}
    scale = old.std or 1.0
    shift = (new.mean - old.mean) / scale
    parts = {"shift": (shift, "")}
    if abs(shift) >= LEAST_SHIFT:
        parts["shift"] = shift, f"mean {old.mean:.6g} to {new.mean:.6g} ({shift:+.2f} standard deviations)"
    factor = new.std / old.std if old.std else (1.0 if not new.std else math.inf)
    wider = factor >= LEAST_SPREAD or factor <= 1.0 / LEAST_SPREAD
    parts["spread"] = factor, f"standard deviation {old.std:.6g} to {new.std:.6g}" if wider else ""
    return parts


def _categories(before: Feature, after: Feature) -> dict[str, tuple[float, str]]:
    """Return the parts in which two categorical features differ, as `_numbers` does. The words name no category."""
    old, new = _shares(before), _shares(after)
    gone, added = old.keys() - new.keys(), new.keys() - old.keys()
    moved = 0.5 * sum(abs(old.get(label, 0.0) - new.get(label, 0.0)) for label in old.keys() | new.keys())
    share = sum(new[label] for label in added)
    return {
        "mix": (moved, f"{moved:.1%} of the rows in other categories" if moved >= LEAST_MIX else ""),
        "added": (float(len(added)), f"{len(added)} new categories with {share:.2%} of the rows" if added else ""),
        "removed": (float(len(gone)), f"{len(gone)} categories less" if gone else ""),
    }


def _shares(feature: Feature) -> dict[object, float]:
    """Return the share of the rows with each category that a feature lists. Rare ones that are not listed have none."""
    bins = feature.bins
    if not isinstance(bins, CategoricalBins):
        return {}
    rows = max(sum(feature.counts), 1)
    # True and 1 are different categories, and equal keys.
    listed = [((type(label), label), rows_of / rows) for label, rows_of in zip(bins.categories, feature.counts)]  # noqa: B905
    rare = [((type(label), label), rows_of / rows) for label, rows_of in zip(bins.others, feature.rare)]  # noqa: B905
    return dict(listed + rare)


def _missing(before: Feature, after: Feature) -> dict[str, tuple[float, str]]:
    old, new = (each.counts[each.bins.missing] / max(sum(each.counts), 1) for each in (before, after))
    least = max(LEAST_MISSING, MISSING_SHARE * min(old, 1.0 - old))
    return {"missing": (new - old, f"missing {old:.2%} to {new:.2%}" if abs(new - old) >= least else "")}
