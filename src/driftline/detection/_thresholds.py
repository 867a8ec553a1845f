"""The classic rule, `Thresholds`: a limit for each distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._runtime import validation as check
from driftline._windows.window import Window
from driftline.detection._explanation import describe_shift
from driftline.detection._rules import LEAVE_SHARE, MIN_ROWS, Evidence, Judge, Look
from driftline.detection._scoring import group_by_width
from driftline.distances import corrected_psi
from driftline.errors import ConfigurationError
from driftline.results import Score
from driftline.typing import Counts

__all__ = ["Thresholds"]

MAX_LIMIT = 1e9
"""Largest limit that is accepted. No distance reaches it, so a larger one is a mistake."""


@dataclass(frozen=True, slots=True, init=False)
class Thresholds:
    """
    The classic rule: a feature drifts while at least one of the named distances is at or above its limit.

    The same limit is stricter or laxer depending on the number of rows. `FalseAlarms` does not have this problem.

    Args:
        min_rows: rows below which a feature has no state.
        limits: distances by name, each with its limit: ``Thresholds(psi=0.2, mean=0.2)``.

    Raises:
        ConfigurationError: there is no limit, a limit is not a positive number, or *min_rows* is below 1.
    """

    limits: Mapping[str, float]
    min_rows: int

    def __init__(self, *, min_rows: int = MIN_ROWS, **limits: float) -> None:
        if not limits:
            msg = "Thresholds(): expected at least one limit, such as psi=0.2"
            raise ConfigurationError(msg)
        for name, limit in limits.items():
            check.number(name, limit, above=0, at_most=MAX_LIMIT)
        object.__setattr__(self, "limits", dict(limits))
        object.__setattr__(self, "min_rows", check.integer("min_rows", min_rows, at_least=1))

    @property
    def distances(self) -> tuple[str, ...]:
        """Names of the distances that have a limit."""
        return tuple(self.limits)

    @property
    def tests(self) -> bool:
        """False, because limits ignore the dependence between rows."""
        return False

    @property
    def lengths(self) -> tuple[int, ...]:
        """The length 1 only, because the same limit is laxer or stricter with another number of rows."""
        return (1,)

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """Return a function from the scores of a `Look` to the `Evidence` for each of *features*, in their order."""
        del window
        measure_effects = _EffectSizes(features, layout)

        def evaluate(look: Look) -> tuple[Evidence, ...]:
            by_feature: dict[str, list[Score]] = {feature.name: [] for feature in features}
            for score in look.scores:
                if score.distance in self.limits:
                    by_feature[score.feature].append(score)
            rows, effect = measure_effects(look.window.counts, look.expected)
            return tuple(
                self._evidence(
                    feature,
                    by_feature[feature.name],
                    int(rows[index]),
                    float(effect[index]),
                    look.window.counts[layout.slices[index]],
                    None if look.expected is None else look.expected[layout.slices[index]],
                )
                for index, feature in enumerate(features)
            )

        return evaluate

    def _evidence(
        self,
        feature: Feature,
        scores: Sequence[Score],
        rows: int,
        effect: float,
        counts: Counts,
        expected: NDArray[np.float64] | None,
    ) -> Evidence:
        enter = any(score.value >= self.limits[score.distance] for score in scores)
        near = [score for score in scores if score.value >= LEAVE_SHARE * self.limits[score.distance]]
        reason = ""
        if near:
            values = ", ".join(
                f"{score.distance} {score.value:.3g} (limit {self.limits[score.distance]:g})" for score in near
            )
            reason = f"{describe_shift(feature, counts, expected=expected)}; {values}"
        return Evidence(enter, bool(near), None, effect, rows, reason)


class _EffectSizes:
    """Computes the rows and the corrected PSI of each feature, shape (features,) each, from the counts of a window."""

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
            indices = list(group.indices)
            rows[indices] = current.sum(axis=1)
            known = group if expected is None else replace(group, reference=expected[group.bins])
            before, after, smoothing = known.compared(current)
            effect[indices] = np.atleast_1d(corrected_psi(before, after, smoothing=smoothing))
        return rows, effect
