"""Counts to scores: every distance of every feature, many features at once."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline import distances as builtin
from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._capture.reader import Report
from driftline._windows.ring import WindowCounts
from driftline.detection._explanation import describe_shift
from driftline.detection._lazy import LazySequence
from driftline.errors import ConfigurationError
from driftline.results import Score
from driftline.typing import Counts, Distance

__all__ = ["Group", "NamedDistance", "Scorer", "group_by_width", "named_distances"]


@dataclass(frozen=True, slots=True)
class NamedDistance:
    """A distance, the name that it is exported under, and whether it wants to know where the bins lie."""

    name: str
    function: Callable[..., Any]
    positioned: bool
    vectorised: bool


def named_distances(distances: Sequence[str | Distance]) -> tuple[NamedDistance, ...]:
    """
    Resolve a user's list of names and functions.

    Raises:
        ConfigurationError: an unknown name, something that cannot be called with two vectors of counts, a name twice.
    """
    if isinstance(distances, str) or not isinstance(distances, Sequence):
        msg = f"distances={distances!r}: expected a sequence of names and functions, such as ('psi', 'js')"
        raise ConfigurationError(msg)
    named = tuple(_named(distance) for distance in distances)
    names = [distance.name for distance in named]
    if len(set(names)) != len(names):
        msg = f"distances={names!r}: expected each name once"
        raise ConfigurationError(msg)
    return named


def _named(distance: str | Distance) -> NamedDistance:
    if isinstance(distance, str):
        if distance not in builtin.BY_NAME:
            msg = f"distances: {distance!r} is unknown, expected one of {sorted(builtin.BY_NAME)} or a function"
            raise ConfigurationError(msg)
        function: Callable[..., Any] = builtin.BY_NAME[distance]
        return NamedDistance(distance, function, _is_positioned(function), vectorised=True)
    if not callable(distance):
        msg = f"distances: {distance!r}: expected a name or a function of two vectors of counts"
        raise ConfigurationError(msg)
    name = getattr(distance, "__name__", type(distance).__name__)
    positioned = _is_positioned(distance)
    probe = np.array([3, 5, 2], dtype=np.int64)
    try:
        # Tried once here, so that a function of another form is a mistake in configuration and not one at run time.
        value = distance(probe, probe, positions=np.array([-1.0, 0.0, 1.0])) if positioned else distance(probe, probe)  # type: ignore[call-arg]
        float(value)
    except Exception as error:
        msg = f"distances: {name}([3, 5, 2], [3, 5, 2]) raised {error!r}: expected a number"
        raise ConfigurationError(msg) from error
    return NamedDistance(name, distance, positioned, vectorised=False)


def _is_positioned(function: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return "positions" in parameters


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Features with equally many bins, so that they form a matrix of shape (features, bins)."""

    places: tuple[int, ...]
    bins: NDArray[np.intp]
    reference: NDArray[Any]
    positions: NDArray[np.float64]


def group_by_width(features: Sequence[Feature], layout: Layout) -> tuple[Group, ...]:
    """Group features by their number of bins; ``bins`` are places in the flat vector of counts."""
    groups = []
    for width in sorted(set(layout.sizes)):
        places = tuple(place for place, size in enumerate(layout.sizes) if size == width)
        groups.append(
            Group(
                places,
                np.array([np.arange(layout.offsets[place], layout.offsets[place] + width) for place in places]),
                np.array([features[place].counts for place in places], dtype=np.int64),
                np.array([features[place].positions() for place in places]),
            )
        )
    return tuple(groups)


class Scorer:
    """
    Scores windows against a reference.

    Args:
        features: the features watched, in the order of *layout*.
        layout: where their bins lie in the counts.
        distances: what to compute.
        report: told of a user's distance that raises.
    """

    __slots__ = ("_distances", "_features", "_groups", "_report")

    def __init__(
        self, features: Sequence[Feature], layout: Layout, distances: Sequence[NamedDistance], report: Report
    ) -> None:
        self._features = tuple(features)
        self._groups = group_by_width(features, layout)
        self._distances = tuple(distances)
        self._report = report

    def __call__(
        self, window: WindowCounts, length: str, expected: NDArray[np.float64] | None = None
    ) -> Sequence[Score]:
        """
        All distances of all features that are defined; none where the feature has no rows.

        The built-in ones are computed when somebody looks at them: windows may be many between two exports.

        Args:
            window: the counts.
            length: of the window, in words.
            expected: counts to compare with instead of the reference's, over all bins.
        """
        groups = self._groups
        if expected is not None:
            groups = tuple(replace(group, reference=expected[group.bins]) for group in groups)
        # A function of the user's is asked now, by whoever judges: it may take its time, and may raise.
        given = {
            distance.name: [self._asked(distance, group, window.counts[group.bins]) for group in groups]
            for distance in self._distances
            if not distance.vectorised
        }
        return LazySequence(self._scores, groups, window.counts, length, expected is not None, given)

    def _scores(
        self,
        groups: Sequence[Group],
        counts: Counts,
        length: str,
        expected: bool,  # noqa: FBT001 - of `LazySequence`, which knows no keywords
        given: Mapping[str, Sequence[Sequence[float]]],
    ) -> tuple[Score, ...]:
        found: dict[tuple[int, int], Score] = {}
        for number, group in enumerate(groups):
            current = counts[group.bins]
            rows = current.sum(axis=1).tolist()
            for order, distance in enumerate(self._distances):
                values = given[distance.name][number] if distance.name in given else _computed(distance, group, current)
                corrected: Sequence[float | None] = [None] * len(group.places)
                if distance.name == "psi":
                    corrected = np.atleast_1d(builtin.corrected_psi(group.reference, current)).tolist()
                for index, place in enumerate(group.places):
                    if math.isfinite(values[index]):
                        feature = self._features[place]
                        compared = group.reference[index] if expected else None
                        moved = partial(describe_shift, feature, current[index], expected=compared)
                        found[place, order] = Score(
                            feature.name, distance.name, values[index], corrected[index], rows[index], length, moved
                        )
        return tuple(found[key] for key in sorted(found))

    def _asked(self, distance: NamedDistance, group: Group, current: Counts) -> Sequence[float]:
        return [self._value(distance, group, current, index) for index in range(len(group.places))]

    def _value(self, distance: NamedDistance, group: Group, current: Counts, index: int) -> float:
        keywords = {"positions": group.positions[index].copy()} if distance.positioned else {}
        try:
            return float(distance.function(group.reference[index].copy(), current[index].copy(), **keywords))
        except Exception as error:  # noqa: BLE001 - a user's function; the other distances go on
            self._report("distance", f"distance {distance.name} raised {error!r}")
            return math.nan


def _computed(distance: NamedDistance, group: Group, current: Counts) -> Sequence[float]:
    keywords = {"positions": group.positions} if distance.positioned else {}
    values: list[float] = np.atleast_1d(distance.function(group.reference, current, **keywords)).tolist()
    return values
