"""`LeastEffects`: how large each part of a difference has to be to count as drift, by part and by feature."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature, NumericBins
from driftline._runtime import validation as check
from driftline._significance.components import CATEGORICAL, LOCATION, MISSING, NUMERIC, OUTSIDE, PARTS, SHAPE, SPREAD
from driftline.typing import Floats

__all__ = ["LeastEffects", "MinEffect", "PartLimits"]

MinEffect: TypeAlias = "float | Mapping[str, float | Mapping[str, float]]"
"""The argument ``min_effect``."""

ALL = "all"
"""Key of the number that scales all parts together."""

DEFAULT = 0.05
"""
Default of `ALL`, a corrected PSI. Its square root is the least shift, 0.22 standard deviations, because the PSI of a
normal feature that moves is the square of the shift.
"""

LEAST_SPREAD = 1.15
"""
Least factor of the spread at `DEFAULT`. A normal feature that becomes wider by it shows in as many rows as one that
moves by 0.22 standard deviations.
"""

LEAST_MOVED = 0.05
"""Least share of rows of a numeric feature that are in another bin at `DEFAULT`, beside location and spread."""

LEAST_MIX = 0.03
"""
Least share of rows that are in another category at `DEFAULT`. Five points then show in most windows, also if they come
from all other categories, whose single losses look like chance.
"""

LEAST_NEW = 0.003
"""Least share of rows that are out of range or unseen, beyond those to be expected: three in a thousand."""

LEAST_MISSING = 0.005
"""Least change of the share of missing values at `DEFAULT`: half a point."""

MISSING_SHARE = 0.2
"""
Least change of the share of missing values, relative to that share or to the rest. If ten of a hundred values are
missing, two more count. It is between `LEAST_MISSING` and `LEAST_MIX`.
"""

MAX_EFFECT = 1e9
"""Largest accepted number. A larger one is a mistake."""

PART_INDICES = {
    "location": LOCATION,
    "spread": SPREAD,
    "shape": SHAPE,
    "mix": SHAPE,
    "out of range": OUTSIDE,
    "unseen": OUTSIDE,
    "missing": MISSING,
}
"""The index of each part, by the names of `NUMERIC` and `CATEGORICAL`."""

BOUNDS: dict[str, dict[str, float]] = {
    ALL: {"at_least": 0, "at_most": MAX_EFFECT},
    "location": {"at_least": 0, "at_most": MAX_EFFECT},
    "spread": {"at_least": 1, "at_most": MAX_EFFECT},
}
"""Bounds of a PSI, of standard deviations and of a factor. All other limits are shares."""

SHARE = {"at_least": 0, "at_most": 1}
"""Bounds of a share of rows."""

SHOWN = 20
"""Number of features that an error message names."""

_log = logging.getLogger("driftline")


class _FrozenMapping(Mapping[str, Any]):
    """A mapping that cannot change, so that a rule that holds it has a hash."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


@dataclass(frozen=True, slots=True, eq=False)
class PartLimits:
    """
    The least effects of the parts of each feature.

    Attributes:
        sizes: shape (features, parts), in the units of `PartSizes`.
        whole: shape (features, parts), corrected PSI of the whole feature from which a part counts whatever its size;
            infinite where the user gave the part its own limit.
    """

    sizes: Floats
    whole: Floats

    def counting(self, sizes: Floats, effect: Floats, share: float = 1.0) -> NDArray[np.bool_]:
        """
        Return which parts are large enough to count, shape (features, parts).

        Args:
            sizes: shape (features, parts), what `PartSizes` measured; nan for a part that does not apply.
            effect: shape (features,), corrected PSI; nan for a feature without rows.
            share: multiplies the limits of PSI. Those of sizes are multiplied by its square root, because PSI is about
                the square of a size.
        """
        large: NDArray[np.bool_] = (sizes >= math.sqrt(share) * self.sizes) | (effect[:, None] >= share * self.whole)
        # A limit of 0 lets every part count, even one that is smaller than chance.
        large |= self.sizes == 0.0
        return large


@dataclass(frozen=True, slots=True, init=False)
class LeastEffects:
    """
    The least effect of each part, for all features and for single ones.

    A number under the name of a part, or under "all", is for all features. A number under another name, and a mapping
    under any name, is for the feature of that name. Limits of a feature come before those of all features. Among them,
    that of a part comes before "all".

    Args:
        min_effect: a number, or a mapping.

    Attributes:
        stated: the argument. A mapping is copied, and the copy cannot change.

    Raises:
        ConfigurationError: a name or a number is of the wrong type or out of range.
    """

    stated: float | Mapping[str, float | Mapping[str, float]]

    def __init__(self, min_effect: object) -> None:
        stated: float | _FrozenMapping
        if isinstance(min_effect, Mapping):
            stated = _FrozenMapping({name: _limit_of(name, limit) for name, limit in min_effect.items()})
        else:
            stated = _number("min_effect", min_effect, ALL)
        object.__setattr__(self, "stated", stated)

    def check_fit(self, features: Sequence[Feature]) -> None:
        """
        Check that the features that the mapping names exist and have the parts that it names.

        Args:
            features: all features of the reference.

        Raises:
            ConfigurationError: a feature is unknown, or its kind does not have a part.
        """
        by_name = {feature.name: feature for feature in features}
        for name, limits in self._of_features().items():
            if name not in by_name:
                check.reject("min_effect", name, f"a part ({', '.join(PART_INDICES)}), 'all' or {_name_some(by_name)}")
            own = _parts_of(by_name[name])
            for part in limits:
                if part not in {*own, ALL}:
                    check.reject(f"min_effect[{name!r}]", part, f"a part of this feature ({', '.join(own)}) or 'all'")

    def limits(self, features: Sequence[Feature]) -> PartLimits:
        """
        Return the limits of each part of each feature.

        Names of unknown features are ignored, because a reference that was learned from traffic may lack some.
        """
        general, special = self._of_all(), self._of_features()
        sizes, whole = np.empty((2, len(features), PARTS))
        for row, feature in enumerate(features):
            own = dict(special.get(feature.name, {}))
            # A number for all parts of one feature comes before one for a part of all features.
            limits = own if ALL in own else {**general, **own}
            whole[row] = limits.get(ALL, DEFAULT)
            sizes[row] = _scaled_defaults(feature, whole[row, 0])
            for part in _parts_of(feature):
                if part in limits:
                    index = PART_INDICES[part]
                    sizes[row, index] = math.log(limits[part]) if part == "spread" else limits[part]
                    whole[row, index] = np.inf
            if feature.name in general:
                _log.warning(
                    "min_effect: the number under %r is for all features. For the feature of that name, write %r",
                    feature.name,
                    {feature.name: {ALL: general[feature.name]}},
                )
        return PartLimits(sizes, whole)

    def _of_all(self) -> dict[str, float]:
        """Return the limits for all features, by part or `ALL`."""
        if not isinstance(self.stated, Mapping):
            return {ALL: self.stated}
        return {name: limit for name, limit in self.stated.items() if _is_general(name) and isinstance(limit, float)}

    def _of_features(self) -> dict[str, Mapping[str, float]]:
        """Return the limits for single features, each by part or `ALL`."""
        if not isinstance(self.stated, Mapping):
            return {}
        general = self._of_all()
        return {
            name: limit if isinstance(limit, Mapping) else {ALL: limit}
            for name, limit in self.stated.items()
            if name not in general
        }


def _limit_of(name: object, limit: object) -> float | _FrozenMapping:
    """Return the checked limit of a part, of `ALL` or of a feature."""
    if not isinstance(name, str):
        check.reject("min_effect", name, "the name of a part or of a feature")
    if not isinstance(limit, Mapping):
        return _number(f"min_effect[{name!r}]", limit, name if _is_general(name) else ALL)
    checked = {}
    for part, value in limit.items():
        if not (isinstance(part, str) and _is_general(part)):
            check.reject(f"min_effect[{name!r}]", part, f"a part ({', '.join(PART_INDICES)}) or 'all'")
        checked[part] = _number(f"min_effect[{name!r}][{part!r}]", value, part)
    return _FrozenMapping(checked)


def _number(argument: str, value: object, part: str) -> float:
    return float(check.number(argument, value, **BOUNDS.get(part, SHARE)))


def _is_general(name: str) -> bool:
    return name == ALL or name in PART_INDICES


def _parts_of(feature: Feature) -> list[str]:
    """Return the names of the parts that a feature has."""
    names = NUMERIC if isinstance(feature.bins, NumericBins) else CATEGORICAL
    return [name for name in names if name]


def _scaled_defaults(feature: Feature, effect: float) -> list[float]:
    """Return the least size of each part at a corrected PSI of *effect*, in the order of the parts."""
    scale = math.sqrt(effect / DEFAULT)
    missing = feature.counts[-1] / max(sum(feature.counts), 1)
    least_missing = min(max(MISSING_SHARE * min(missing, 1.0 - missing), LEAST_MISSING), LEAST_MIX)
    moved = LEAST_MOVED if isinstance(feature.bins, NumericBins) else LEAST_MIX
    sizes = (math.sqrt(DEFAULT), math.log(LEAST_SPREAD), moved, LEAST_NEW, least_missing)
    return [scale * size for size in sizes]


def _name_some(names: Mapping[str, object]) -> str:
    """Return words for the known features, of which a message names the first."""
    shown = ", ".join(repr(name) for name in [*names][:SHOWN])
    others = len(names) - SHOWN
    return f"a feature: {shown}" + (f" and {others} others" if others > 0 else "")
