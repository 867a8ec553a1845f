"""The default rule: a budget of false alarms becomes a level for every look, shared by features and lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._runtime import validation as check
from driftline._significance.two_sample import Findings, TwoSample, benjamini_hochberg
from driftline._windows.window import Window
from driftline.detection._explanation import build_components, describe_shift
from driftline.detection._lazy import LazySequence
from driftline.detection._rules import LEAVE_SHARE, MIN_ROWS, Evidence, Judge, Look, check_count
from driftline.errors import ConfigurationError
from driftline.results import Component

__all__ = ["FalseAlarms"]

LEAVE_P = 0.05
"""Hysteresis: a drift is over when the window looks like the reference; of such windows one in twenty does not."""

MOST = 1e9
"""A larger number of alarms, or a larger effect, is a mistake."""

DAY = 86_400.0
"""Seconds."""

MAX_LENGTH = 64
"""Windows kept for the longest length."""


@dataclass(frozen=True, slots=True, init=False)
class FalseAlarms:
    """
    A budget of false alarms: under no drift, at most so many for the whole model in so long.

    The budget becomes a level per look, from how often windows are judged, in equal parts for each length of window,
    and is shared over the features by Benjamini & Hochberg (1995). A feature drifts when it is significant at that
    level *and* its corrected PSI is at least *min_effect*: in a large window a difference that matters to nobody is
    significant too. PSI is about the square of a shift of the mean in standard deviations: 0.01 is a shift of 0.1, 0.02
    one of 0.14, 0.05 one of 0.22, 0.1 one of 0.32, 0.25 one of 0.5.

    Args:
        count: false alarms that are acceptable ...
        per: ... in this time, such as ``"30d"``.
        every: how often windows of rows are judged (windows of time know that); by default it is observed.
        min_effect: least corrected PSI.
        min_rows: rows below which a feature is not judged.
        lengths: lengths that are judged at once, in windows: a big shift shows in one window, a small one that lasts in
            sixteen.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    count: float
    per: float
    every: float | None
    min_effect: float
    min_rows: int
    lengths: tuple[int, ...]

    def __init__(
        self,
        count: float = 1,
        *,
        per: str | float = "30d",
        every: str | float | None = None,
        min_effect: float = 0.05,
        min_rows: int = MIN_ROWS,
        lengths: Sequence[int] = (1, 4, 16),
    ) -> None:
        if isinstance(count, bool) or not isinstance(count, (int, float)) or not 0.0 < count <= MOST:
            msg = f"count={count!r}: expected a positive number of false alarms"
            raise ConfigurationError(msg)
        if isinstance(min_effect, bool) or not isinstance(min_effect, (int, float)) or not 0.0 <= min_effect <= MOST:
            msg = f"min_effect={min_effect!r}: expected a PSI of at least 0"
            raise ConfigurationError(msg)
        object.__setattr__(self, "count", float(count))
        object.__setattr__(self, "per", check.duration("per", per))
        object.__setattr__(self, "every", None if every is None else check.duration("every", every))
        object.__setattr__(self, "min_effect", float(min_effect))
        object.__setattr__(self, "min_rows", check_count(min_rows, "min_rows"))
        object.__setattr__(self, "lengths", _lengths(lengths))
        # scipy costs half a second to import: paid here, at configuration, and not while serving.
        import scipy.special  # noqa: F401, PLC0415

    @property
    def tests(self) -> bool:
        """A test wants to know how rows depend on each other."""
        return True

    @property
    def distances(self) -> tuple[str, ...]:
        """The rule reads counts, not distances."""
        return ()

    def level(self, cadence: float) -> float:
        """The level of one look when there is one every *cadence* seconds, bounded to [1e-12, 0.05]."""
        return min(0.05, max(1e-12, self.count / len(self.lengths) * cadence / self.per))

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """The judge for windows over these features."""
        stated = window.pane_seconds or self.every
        tester = TwoSample(features, layout)

        def judge(look: Look) -> tuple[Evidence, ...]:
            # An unstated cadence is observed, and taken to be between a second and a day a pane: a burst or a quiet
            # weekend must not move the level by orders of magnitude.
            observed = min(max(look.elapsed, 1.0), DAY * look.panes)
            level = self.level(observed if stated is None else stated * look.panes)
            tested = tester(look.window.counts, look.window.rows, look.inflation, look.expected)
            judged = (tested.rows >= self.min_rows) & np.isfinite(tested.p)
            adjusted = np.full(len(features), np.inf)
            adjusted[judged] = benjamini_hochberg(tested.p[judged])
            enter = (adjusted <= level) & (tested.effect >= self.min_effect)
            stay = enter | (judged & (tested.p <= LEAVE_P) & (tested.effect >= LEAVE_SHARE * self.min_effect))
            numbers = (one.tolist() for one in (enter, stay, tested.p, tested.effect, tested.rows))
            return tuple(
                Evidence(
                    enters,
                    stays,
                    p,
                    effect,
                    rows,
                    partial(_reason, feature, look, layout.slices[place], tested, place, level) if stays else "",
                    LazySequence(_components, feature, tested, place),
                )
                for place, (feature, enters, stays, p, effect, rows) in enumerate(zip(features, *numbers, strict=True))
            )

        return judge


def _components(feature: Feature, tested: Findings, place: int) -> tuple[Component, ...]:
    return build_components(feature, tested.parts[place], tested.direction[place])


def _reason(feature: Feature, look: Look, bins: slice, tested: Findings, place: int, level: float) -> str:
    moved = describe_shift(
        feature,
        look.window.counts[bins],
        _components(feature, tested, place),
        expected=None if look.expected is None else look.expected[bins],
    )
    return (
        f"{moved}; PSI {tested.psi[place]:.3g} ({tested.effect[place]:.3g} corrected), "
        f"p {_shown(float(tested.p[place]))} (level {level:.2g}), n = {int(tested.rows[place])}"
    )


def _shown(p: float) -> str:
    """A p-value in words: none is 0, some are smaller than a float can say."""
    return f"{p:.2g}" if p > 1e-300 else "< 1e-300"  # noqa: PLR2004 - as small as `cauchy_combination` goes


def _lengths(lengths: Sequence[int]) -> tuple[int, ...]:
    if isinstance(lengths, str) or not isinstance(lengths, Sequence) or not lengths:
        msg = f"lengths={lengths!r}: expected numbers of windows such as (1, 4, 16)"
        raise ConfigurationError(msg)
    each = tuple(check_count(length, "lengths") for length in lengths)
    if each[0] != 1 or list(each) != sorted(set(each)) or each[-1] > MAX_LENGTH:
        msg = f"lengths={lengths!r}: expected ascending numbers of windows from 1 to {MAX_LENGTH}, the first of them 1"
        raise ConfigurationError(msg)
    return each
