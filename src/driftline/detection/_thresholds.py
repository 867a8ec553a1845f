"""Scores and counts to evidence: the classic rule of thresholds, and the check of a rule that a user gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._windows.window import Window
from driftline.detection._explanation import describe_shift
from driftline.detection._rules import LEAVE_SHARE, MIN_ROWS, Evidence, Judge, Look, check_count
from driftline.detection._scoring import group_by_width
from driftline.distances import corrected_psi
from driftline.errors import ConfigurationError
from driftline.results import Score
from driftline.typing import Counts

__all__ = ["Thresholds"]


@dataclass(frozen=True, slots=True, init=False)
class Thresholds:
    """
    The classic rule: a feature drifts while any of the named distances is at or above its limit.

    The same limit means something else at every number of rows; `FalseAlarms` does not have this trouble.

    Args:
        min_rows: rows below which a feature is not judged.
        limits: distances by name, each with its limit: ``Thresholds(psi=0.2, mean=0.2)``.

    Raises:
        ConfigurationError: no limit, a limit that is no positive number, *min_rows* below 1.
    """

    limits: Mapping[str, float]
    min_rows: int

    def __init__(self, *, min_rows: int = MIN_ROWS, **limits: float) -> None:
        if not limits:
            msg = "Thresholds(): expected at least one limit, such as psi=0.2"
            raise ConfigurationError(msg)
        for name, limit in limits.items():
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0.0 < limit <= MOST:
                msg = f"{name}={limit!r}: expected a positive limit"
                raise ConfigurationError(msg)
        object.__setattr__(self, "limits", dict(limits))
        object.__setattr__(self, "min_rows", check_count(min_rows, "min_rows"))

    @property
    def distances(self) -> tuple[str, ...]:
        """Distances that the rule looks at, by name."""
        return tuple(self.limits)

    @property
    def tests(self) -> bool:
        """A limit is no test."""
        return False

    @property
    def lengths(self) -> tuple[int, ...]:
        """One length: a limit means something else at every number of rows."""
        return (1,)

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """The judge for windows over these features."""
        del window
        effects = _Effects(features, layout)

        def judge(look: Look) -> tuple[Evidence, ...]:
            by_feature: dict[str, list[Score]] = {feature.name: [] for feature in features}
            for score in look.scores:
                if score.distance in self.limits:
                    by_feature[score.feature].append(score)
            rows, effect = effects(look.window.counts, look.expected)
            return tuple(
                self._evidence(
                    feature,
                    by_feature[feature.name],
                    int(rows[place]),
                    float(effect[place]),
                    look.window.counts[layout.slices[place]],
                    None if look.expected is None else look.expected[layout.slices[place]],
                )
                for place, feature in enumerate(features)
            )

        return judge

    def _evidence(
        self,
        feature: Feature,
        scores: Sequence[Score],
        rows: int,
        effect: float,
        counts: Counts,
        expected: NDArray[np.float64] | None,
    ) -> Evidence:
        over = [score for score in scores if score.value >= self.limits[score.distance]]
        near = [score for score in scores if score.value >= LEAVE_SHARE * self.limits[score.distance]]
        reason = ""
        if near:
            named = ", ".join(
                f"{score.distance} {score.value:.3g} (limit {self.limits[score.distance]:g})" for score in near
            )
            reason = f"{describe_shift(feature, counts, expected=expected)}; {named}"
        return Evidence(bool(over), bool(near), None, effect, rows, reason)


class _Effects:
    """Rows and corrected PSI of every feature, in the order of the features."""

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        self._groups = group_by_width(features, layout)
        self._size = len(features)

    def __call__(
        self, counts: Counts, expected: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rows = np.zeros(self._size, dtype=np.int64)
        effect = np.full(self._size, np.nan)
        for group in self._groups:
            current = counts[group.bins]
            places = list(group.places)
            rows[places] = current.sum(axis=1)
            effect[places] = np.atleast_1d(
                corrected_psi(group.reference if expected is None else expected[group.bins], current)
            )
        return rows, effect


MOST = 1e9
"""A larger limit allows everything."""
