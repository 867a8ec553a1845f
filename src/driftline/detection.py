"""Scores and counts to a drift state per feature: the rules, and the hysteresis that keeps a state from flickering."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning import Layout
from driftline._durations import seconds_of
from driftline._scoring import group_by_width
from driftline._significance import benjamini_hochberg, two_sample_p_values
from driftline._values import Counts, DriftState, Feature, FeatureStatus, Score, Window
from driftline._window import WindowCounts
from driftline._words import what_moved
from driftline.distances import corrected_psi
from driftline.errors import ConfigurationError

__all__ = [
    "Evidence",
    "FalseAlarms",
    "Judge",
    "Rule",
    "Thresholds",
    "check_rule",
    "next_status",
]

MIN_ROWS = 200
"""Rows below which nothing is judged: at 15 bins a window of 200 has about 13 rows a bin, enough for chi-square."""

LEAVE_LEVEL = 10.0
"""Hysteresis of the budget: a drift is over when its p-value exceeds ten times the level that raised it …"""

LEAVE_SHARE = 0.5
"""… or when its effect has fallen to half of the least effect; for `Thresholds`, to half the limit."""

DAY = 86_400.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one window says about one feature: whether to start calling it drifting, and whether to keep doing so."""

    enter: bool
    stay: bool
    p_value: float | None
    effect: float
    rows: int
    reason: str


Judge: TypeAlias = Callable[[WindowCounts, Sequence[Score], float], "tuple[Evidence, ...]"]
"""(window, its scores, seconds since the last judgement) to evidence per feature."""


class Rule(Protocol):
    """What counts as drift; prepared once for a reference and a window."""

    @property
    def min_rows(self) -> int:
        """Rows below which a feature is not judged."""
        ...

    @property
    def distances(self) -> tuple[str, ...]:
        """Distances that the rule looks at, by name."""
        ...

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """The judge for windows over these features."""
        ...


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
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0.0 < limit < float("inf"):
                msg = f"{name}={limit!r}: expected a positive limit"
                raise ConfigurationError(msg)
        object.__setattr__(self, "limits", dict(limits))
        object.__setattr__(self, "min_rows", _at_least_one(min_rows, "min_rows"))

    @property
    def distances(self) -> tuple[str, ...]:
        """Distances that the rule looks at, by name."""
        return tuple(self.limits)

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """The judge for windows over these features."""
        del window
        effects = _Effects(features, layout)

        def judge(counts: WindowCounts, scores: Sequence[Score], elapsed: float) -> tuple[Evidence, ...]:
            del elapsed
            by_feature: dict[str, list[Score]] = {feature.name: [] for feature in features}
            for score in scores:
                if score.distance in self.limits:
                    by_feature[score.feature].append(score)
            rows, effect = effects(counts.counts)
            return tuple(
                self._evidence(
                    feature,
                    by_feature[feature.name],
                    int(rows[place]),
                    float(effect[place]),
                    counts,
                    layout,
                    place,
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
        counts: WindowCounts,
        layout: Layout,
        place: int,
    ) -> Evidence:
        over = [score for score in scores if score.value >= self.limits[score.distance]]
        near = [score for score in scores if score.value >= LEAVE_SHARE * self.limits[score.distance]]
        reason = ""
        if near:
            named = ", ".join(
                f"{score.distance} {score.value:.3g} (limit {self.limits[score.distance]:g})" for score in near
            )
            reason = f"{what_moved(feature, counts.counts[layout.slices[place]])}; {named}"
        return Evidence(bool(over), bool(near), None, effect, rows, reason)


@dataclass(frozen=True, slots=True, init=False)
class FalseAlarms:
    """
    A budget of false alarms: under no drift, at most so many for the whole model in so long.

    The budget becomes a level per judgement, from how often windows are judged, and is shared over the features by
    Benjamini & Hochberg (1995). A feature drifts when it is significant at that level *and* its bias-corrected PSI is
    at least *min_effect*: in a large window a difference that matters to nobody is significant too.

    Args:
        count: false alarms that are acceptable …
        per: … in this time, such as ``"30d"``.
        every: how often windows of rows are judged (windows of time know that); by default it is observed.
        min_effect: least corrected PSI; 0.05 is a shift of the mean by 0.22 standard deviations.
        min_rows: rows below which a feature is not judged.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    count: float
    per: float
    every: float | None
    min_effect: float
    min_rows: int

    def __init__(
        self,
        count: float = 1,
        *,
        per: str | float = "30d",
        every: str | float | None = None,
        min_effect: float = 0.05,
        min_rows: int = MIN_ROWS,
    ) -> None:
        if isinstance(count, bool) or not isinstance(count, (int, float)) or not 0.0 < count < float("inf"):
            msg = f"count={count!r}: expected a positive number of false alarms"
            raise ConfigurationError(msg)
        if (
            isinstance(min_effect, bool)
            or not isinstance(min_effect, (int, float))
            or not 0.0 <= min_effect < float("inf")
        ):
            msg = f"min_effect={min_effect!r}: expected a PSI of at least 0"
            raise ConfigurationError(msg)
        object.__setattr__(self, "count", float(count))
        object.__setattr__(self, "per", seconds_of(per, "per"))
        object.__setattr__(self, "every", None if every is None else seconds_of(every, "every"))
        object.__setattr__(self, "min_effect", float(min_effect))
        object.__setattr__(self, "min_rows", _at_least_one(min_rows, "min_rows"))
        # scipy costs half a second to import: paid here, at configuration, and not while serving.
        import scipy.special  # noqa: F401, PLC0415

    @property
    def distances(self) -> tuple[str, ...]:
        """The rule reads counts, not distances."""
        return ()

    def level(self, cadence: float) -> float:
        """The level of one judgement when there is one every *cadence* seconds, bounded to [1e-12, 0.05]."""
        return min(0.05, max(1e-12, self.count * cadence / self.per))

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """The judge for windows over these features."""
        stated = window.pane_seconds or self.every
        effects = _Effects(features, layout)
        p_values = two_sample_p_values(features, layout)

        def judge(counts: WindowCounts, scores: Sequence[Score], elapsed: float) -> tuple[Evidence, ...]:
            del scores
            # An unstated cadence is observed, and taken to be between a second and a day: a burst or a quiet weekend
            # must not move the level by orders of magnitude.
            level = self.level(stated or min(max(elapsed, 1.0), DAY))
            rows, effect = effects(counts.counts)
            p = p_values(counts.counts)
            judged = (rows >= self.min_rows) & np.isfinite(p)
            adjusted = np.full(len(p), np.nan)
            adjusted[judged] = benjamini_hochberg(p[judged])
            return tuple(
                self._evidence(
                    feature,
                    p[place],
                    adjusted[place],
                    level,
                    effect[place],
                    rows[place],
                    counts,
                    layout,
                    place,
                )
                for place, feature in enumerate(features)
            )

        return judge

    def _evidence(
        self,
        feature: Feature,
        p: float,
        adjusted: float,
        level: float,
        effect: float,
        rows: int,
        counts: WindowCounts,
        layout: Layout,
        place: int,
    ) -> Evidence:
        enter = bool(adjusted <= level and effect >= self.min_effect)
        stay = bool(adjusted <= LEAVE_LEVEL * level and effect >= LEAVE_SHARE * self.min_effect)
        reason = ""
        if stay:
            moved = what_moved(feature, counts.counts[layout.slices[place]])
            reason = f"{moved}; corrected PSI {effect:.3g}, p {_shown(p)} (level {level:.2g}), n = {rows}"
        return Evidence(enter, stay, float(p), float(effect), int(rows), reason)


def next_status(previous: FeatureStatus | None, evidence: Evidence, min_rows: int) -> FeatureStatus:
    """
    The state of a feature after a window, given the one before it.

    A state is entered on *enter* and left only when *stay* is false too; a window with too few rows ends it:
    what is not known is said.
    """
    if evidence.rows < min_rows:
        reason = f"{evidence.rows} rows, needs {min_rows}"
        return FeatureStatus("insufficient_data", None, None, evidence.rows, reason)
    drifting = evidence.enter or (previous is not None and previous.state == "drifting" and evidence.stay)
    state: DriftState = "drifting" if drifting else "stable"
    return FeatureStatus(
        state,
        evidence.p_value,
        evidence.effect,
        evidence.rows,
        evidence.reason if drifting else "as the reference",
    )


class _Effects:
    """Rows and corrected PSI of every feature, in the order of the features."""

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        self._groups = group_by_width(features, layout)
        self._size = len(features)

    def __call__(self, counts: Counts) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rows = np.zeros(self._size, dtype=np.int64)
        effect = np.full(self._size, np.nan)
        for group in self._groups:
            current = counts[group.bins]
            places = list(group.places)
            rows[places] = current.sum(axis=1)
            effect[places] = np.atleast_1d(corrected_psi(group.reference, current))
        return rows, effect


def check_rule(rule: Any) -> Rule:
    """
    Check a rule given by the user.

    Raises:
        ConfigurationError: it is no rule, or names a distance that is not built in.
    """
    if isinstance(rule, type) or not all(hasattr(rule, name) for name in ("min_rows", "distances", "prepare")):
        msg = f"rule={rule!r}: expected FalseAlarms(...), Thresholds(...) or an object like these"
        raise ConfigurationError(msg)
    return rule  # type: ignore[no-any-return]


def _shown(p: float) -> str:
    """A p-value in words: none is 0, some are smaller than a float can say."""
    return f"{p:.2g}" if p > 0.0 else "< 1e-300"


def _at_least_one(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        msg = f"{what}={value!r}: expected a whole number of at least 1"
        raise ConfigurationError(msg)
    return int(value)
