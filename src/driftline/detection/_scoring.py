"""Computes the distances of all features of a window from the reference, for many features in one step."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline import distances as builtin
from driftline._binning.bins import Feature
from driftline._binning.groups import BinGroups, add_up_groups
from driftline._binning.layout import Layout
from driftline._binning.selection import NewRows
from driftline._runtime import validation as check
from driftline._runtime.guard import Report, is_contained
from driftline._windows.ring import WindowCounts
from driftline.detection._explanation import describe_shift
from driftline.detection._lazy import LazySequence
from driftline.errors import ConfigurationError
from driftline.results import Score
from driftline.typing import Counts, Distance, Floats

__all__ = ["DEFAULT_DISTANCES", "Group", "NamedDistance", "Scorer", "group_by_width", "resolve_distances"]

DEFAULT_DISTANCES = ("psi", "js", "wasserstein", "mean")
"""The distances of a monitor and of a fleet, unless others are given."""

_log = logging.getLogger("driftline")


@dataclass(frozen=True, slots=True)
class NamedDistance:
    """
    A distance with the name under which it is exported.

    Attributes:
        name: the value of ``ml.drift.distance``.
        function: takes the counts of the reference and of the window, and returns a number for each feature.
        positioned: whether the function takes the positions of the bins as ``positions``.
        vectorised: whether the function takes counts of shape (features, bins), as the built-in ones do. If False, it
            takes one feature, shape (bins,).
        smoothed: whether the function takes a pseudo-count for each bin as ``smoothing``; never a user function.
    """

    name: str
    function: Callable[..., Any]
    positioned: bool
    vectorised: bool
    smoothed: bool = False


def resolve_distances(distances: Sequence[str | Distance]) -> tuple[NamedDistance, ...]:
    """
    Return the distance for each item, which is the name of a built-in distance or a user function.

    Raises:
        ConfigurationError: a name is unknown or occurs twice, or an item cannot be called with two vectors of counts.
    """
    if isinstance(distances, str) or not isinstance(distances, Sequence):
        msg = f"distances={distances!r}: expected a sequence of names and functions, such as ('psi', 'js')"
        raise ConfigurationError(msg)
    resolved = tuple(_resolve(distance) for distance in distances)
    names = [distance.name for distance in resolved]
    if len(set(names)) != len(names):
        msg = f"distances={names!r}: expected each name once"
        raise ConfigurationError(msg)
    return resolved


def _resolve(distance: str | Distance) -> NamedDistance:
    if isinstance(distance, str):
        if distance not in builtin.BY_NAME:
            msg = f"distances: {distance!r} is unknown, expected one of {sorted(builtin.BY_NAME)} or a function"
            raise ConfigurationError(msg)
        function: Callable[..., Any] = builtin.BY_NAME[distance]
        return NamedDistance(
            distance, function, _takes(function, "positions"), vectorised=True, smoothed=_takes(function, "smoothing")
        )
    if not callable(distance):
        msg = f"distances: {distance!r}: expected a name or a function of two vectors of counts"
        raise ConfigurationError(msg)
    name = getattr(distance, "__name__", type(distance).__name__)
    positioned = _takes(distance, "positions")
    counts = np.array([3, 5, 2], dtype=np.int64)
    keywords = {"positions": np.array([-1.0, 0.0, 1.0])} if positioned else {}
    # Call it here, so that a function with a wrong signature fails at configuration and not while serving.
    with check.trial(lambda error: f"distances: {name}([3, 5, 2], [3, 5, 2]) raised {error!r}: expected a number"):
        float(distance(counts, counts, **keywords))
    return NamedDistance(name, distance, positioned, vectorised=False)


def _takes(function: Callable[..., object], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return name in parameters


Compared: TypeAlias = "tuple[NDArray[Any], NDArray[Any], Floats | float]"
"""Counts of the reference, counts of a window, and the pseudo-count of each bin, as `Group.compared` returns them."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """
    Features with the same number of bins, as matrices of shape (features, bins).

    Attributes:
        indices: index of each feature in the layout, one per row of the matrices.
        bins: shape (features, bins), indices of each feature's bins in the counts of a window.
        reference: shape (features, bins), counts of the reference. For categories, they are those to expect of as many
            new rows (see `NewRows`), so that categories that the training data cannot have seen are no drift.
        positions: shape (features, bins), positions of the bins in standard deviations; nan where a bin has none.
        groups: the groups of bins that count as one bin; None if there are none.
    """

    indices: tuple[int, ...]
    bins: NDArray[np.intp]
    reference: NDArray[Any]
    positions: NDArray[np.float64]
    groups: BinGroups | None

    def compared(self, current: Counts) -> Compared:
        """
        Return the counts for a distance that compares bin by bin, and the pseudo-count of each bin.

        Args:
            current: shape (features, bins), counts of a window.

        Returns:
            (counts of the reference, counts of the window, pseudo-counts). Each group is in its first bin.
        """
        if self.groups is None:
            return self.reference, current, builtin.SMOOTHING
        before, after = self.groups.merge(self.reference), self.groups.merge(current)
        return before, after, self.groups.smoothing(before, after)


def group_by_width(features: Sequence[Feature], layout: Layout) -> tuple[Group, ...]:
    """Return one `Group` for each number of bins that occurs among *features*, in ascending order of that number."""
    groups = []
    counts = [np.array(feature.counts, dtype=np.int64) for feature in features]
    expected = NewRows(features)(np.concatenate(counts))
    for width in sorted(set(layout.sizes)):
        indices = tuple(index for index, size in enumerate(layout.sizes) if size == width)
        bins = np.array([np.arange(layout.offsets[index], layout.offsets[index] + width) for index in indices])
        groups.append(
            Group(
                indices,
                bins,
                expected[bins],
                np.array([features[index].positions() for index in indices]),
                BinGroups.of([features[index].bins for index in indices], width),
            )
        )
    return tuple(groups)


class Scorer:
    """
    Computes the distances of windows from a reference.

    Args:
        features: the watched features, in the order of *layout*.
        layout: the layout of their bins in the counts.
        distances: the distances to compute.
        report: called with a value of ``ml.monitor.place`` and a message when a user function raises.
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
        Return a score for each distance of each feature. Distances that are nan have no score.

        Built-in distances are computed at the first access, because there may be many windows between two exports.

        Args:
            window: the counts of the window.
            length: the label of the window's length, for the scores.
            expected: shape (bins,), counts over all bins to compare with. If None, compare with the reference.
        """
        groups = self._groups
        if expected is not None:
            groups = tuple(replace(group, reference=expected[group.bins]) for group in groups)
        # A user function runs now, in the evaluating thread, because it may be slow and may raise.
        user_values = {
            distance.name: [self._call_user_function(distance, group, window.counts[group.bins]) for group in groups]
            for distance in self._distances
            if not distance.vectorised
        }
        return LazySequence(self._scores, groups, window.counts, length, expected is not None, user_values)

    def _scores(
        self,
        groups: Sequence[Group],
        counts: Counts,
        length: str,
        expected: bool,  # noqa: FBT001 - `LazySequence` passes no keywords
        user_values: Mapping[str, Sequence[Sequence[float]]],
    ) -> tuple[Score, ...]:
        scores: dict[tuple[int, int], Score] = {}
        for number, group in enumerate(groups):
            current = counts[group.bins]
            rows = current.sum(axis=1).tolist()
            before, after, smoothing = compared = group.compared(current)
            for order, distance in enumerate(self._distances):
                name = distance.name
                values = (
                    user_values[name][number] if name in user_values else _compute(distance, group, current, compared)
                )
                corrected: Sequence[float | None] = [None] * len(group.indices)
                if name == "psi":
                    corrected = np.atleast_1d(builtin.corrected_psi(before, after, smoothing=smoothing)).tolist()
                for row, index in enumerate(group.indices):
                    if math.isfinite(values[row]):
                        feature = self._features[index]
                        usual = group.reference[row] if expected else None
                        explain = partial(describe_shift, feature, current[row], expected=usual)
                        scores[index, order] = Score(
                            feature.name, name, values[row], corrected[row], rows[row], length, explain
                        )
        return tuple(scores[key] for key in sorted(scores))

    def _call_user_function(self, distance: NamedDistance, group: Group, current: Counts) -> Sequence[float]:
        return [self._call_for_feature(distance, group, current, row) for row in range(len(group.indices))]

    def _call_for_feature(self, distance: NamedDistance, group: Group, current: Counts, row: int) -> float:
        # Copies, so that a user function cannot change the counts.
        before, after = group.reference[row].copy(), current[row].copy()
        keywords = {"positions": group.positions[row].copy()} if distance.positioned else {}
        if not distance.positioned:
            bins = self._features[group.indices[row]].bins
            before, after = add_up_groups(bins, before), add_up_groups(bins, after)
        try:
            return float(distance.function(before, after, **keywords))
        except BaseException as error:
            if not is_contained(error):
                raise
            # a user function may raise anything; the other distances go on
            # The class alone: the message of a user function may quote a value.
            self._report("distance", f"distance {distance.name} raised {type(error).__name__}")
            _log.debug("distance %s: %r", distance.name, error)
            return math.nan


def _compute(distance: NamedDistance, group: Group, current: Counts, compared: Compared) -> Sequence[float]:
    """Return a built-in distance of each feature of a group. *compared* is the result of `Group.compared`."""
    if distance.positioned:
        values = distance.function(group.reference, current, positions=group.positions)
    else:
        before, after, smoothing = compared
        values = distance.function(before, after, **({"smoothing": smoothing} if distance.smoothed else {}))
    numbers: list[float] = np.atleast_1d(values).tolist()
    return numbers
