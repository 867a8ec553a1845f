"""The classic rule, `Thresholds`: a limit for each distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, Feature, NumericBins
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

MAX_CHANGE = 0.1
"""
Default limit of the share of missing values, and of unseen categories. Ten points of a hundred are more than chance in
any window of `MIN_ROWS` rows, and more than the usual limits of PSI allow.
"""

MAX_LIMIT = 1e9
"""Largest limit that is accepted. No distance reaches it, so a larger one is a mistake."""


@dataclass(frozen=True, slots=True, init=False)
class Thresholds:
    """
    The classic rule: a feature drifts while at least one of the named distances is at or above its limit.

    The same limit is stricter or laxer depending on the number of rows. `FalseAlarms` does not have this problem.

    Distances such as ``ks`` and ``mean`` do not see missing values, and are not defined for categories. So the shares
    of missing and of unseen values have limits too. A feature for which no named distance is defined has the state
    ``insufficient_data``, unless one of these shares is at or above its limit.

    Args:
        min_rows: rows below which a feature has no state.
        missing: limit of the difference between the shares of missing values in the window and in the reference, in
            (0, 1]. If None, there is no such limit.
        unseen: limit of the share of unseen categories, less the share to be expected of new rows, in (0, 1]. If None,
            there is no such limit.
        limits: distances by name, each with its limit: ``Thresholds(psi=0.2, mean=0.2)``.

    Raises:
        ConfigurationError: no distance has a limit, a limit is out of range, or *min_rows* is below 1.
    """

    limits: Mapping[str, float]
    min_rows: int
    missing: float | None
    unseen: float | None

    def __init__(
        self,
        *,
        min_rows: int = MIN_ROWS,
        missing: float | None = MAX_CHANGE,
        unseen: float | None = MAX_CHANGE,
        **limits: float,
    ) -> None:
        if not limits:
            msg = "Thresholds(): expected at least one limit, such as psi=0.2"
            raise ConfigurationError(msg)
        for name, limit in limits.items():
            check.number(name, limit, above=0, at_most=MAX_LIMIT)
        object.__setattr__(self, "limits", dict(limits))
        object.__setattr__(self, "min_rows", check.integer("min_rows", min_rows, at_least=1))
        for name, share in (("missing", missing), ("unseen", unseen)):
            limit_of_share = None if share is None else float(check.number(name, share, above=0, at_most=1))
            object.__setattr__(self, name, limit_of_share)

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
        values = [(score.distance, score.value, self.limits[score.distance]) for score in scores]
        if rows:
            reference = np.array(feature.counts) if expected is None else expected
            shares = (("missing", _missing_change, self.missing), ("unseen", _unseen_excess, self.unseen))
            values.extend((name, of(feature, counts, reference), limit) for name, of, limit in shares if limit)
        near = [(name, value, limit) for name, value, limit in values if value >= LEAVE_SHARE * limit]
        enter = any(value >= limit for _, value, limit in near)
        if near:
            words = ", ".join(f"{name} {value:.3g} (limit {limit:g})" for name, value, limit in near)
            reason = f"{describe_shift(feature, counts, expected=expected)}; {words}"
            return Evidence(enter, stay=True, p_value=None, effect=effect, rows=rows, reason=reason)
        unusable = "" if scores or rows < self.min_rows else self._undefined(feature)
        return Evidence(enter, stay=False, p_value=None, effect=effect, rows=rows, reason="", unusable=unusable)

    def _undefined(self, feature: Feature) -> str:
        """Return why no distance with a limit is known for a feature, and what to do."""
        names = " and ".join(sorted(self.limits))
        verb = "is" if len(self.limits) == 1 else "are"
        if isinstance(feature.bins, CategoricalBins):
            return f"{names} {verb} not defined for categories: add a limit such as psi=0.2 to Thresholds"
        return f"{names} {verb} not defined for the values of this window or of the training data"


def _missing_change(feature: Feature, counts: Counts, reference: NDArray[Any]) -> float:
    """
    Return the difference of the shares of missing values.

    Args:
        feature: the feature.
        counts: shape (bins,), counts of the window, which has rows.
        reference: shape (bins,), counts to compare with.
    """
    missing = feature.bins.missing
    return abs(float(counts[missing] / counts.sum()) - float(reference[missing] / max(reference.sum(), 1)))


def _unseen_excess(feature: Feature, counts: Counts, reference: NDArray[Any]) -> float:
    """
    Return the share of unseen categories, less that to be expected of new rows; 0 if the feature is numeric.

    The expected share is that of categories seen once in the training data (Good 1953).

    Args:
        feature: the feature.
        counts: shape (bins,), counts of the window, which has rows.
        reference: shape (bins,), counts to compare with.
    """
    bins = feature.bins
    if isinstance(bins, NumericBins):
        return 0.0
    present = max(float(reference.sum() - reference[bins.missing]), 1.0)
    return float(counts[bins.unseen] / counts.sum()) - min(feature.once / present, 1.0)


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
