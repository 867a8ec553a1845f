"""The default rule, `FalseAlarms`: it turns a budget of false alarms into a significance level per evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._runtime import validation as check
from driftline._significance.two_sample import TwoSample, TwoSampleResult, benjamini_hochberg
from driftline._windows.window import Window
from driftline.detection._explanation import build_components, describe_shift
from driftline.detection._lazy import LazySequence
from driftline.detection._rules import LEAVE_SHARE, MIN_ROWS, Evidence, Judge, Look
from driftline.errors import ConfigurationError
from driftline.results import Component

__all__ = ["FalseAlarms"]

LEAVE_P = 0.05
"""The p-value above which a drift ends. Of windows without drift, one in twenty is at or below it by chance."""

MAX_BUDGET = 1e9
"""Largest accepted *count* and *min_effect*. A larger one is a mistake."""

DAY = 86_400.0
"""Seconds in a day."""

MAX_LENGTH = 64
"""Largest window length, in windows. The evaluator keeps as many windows in memory."""


@dataclass(frozen=True, slots=True, init=False)
class FalseAlarms:
    """
    The default rule: while nothing drifts, the whole model has at most *count* false alarms within *per*.

    The rule turns this budget into a significance level for each evaluation, according to how often it evaluates
    windows. Each window length gets an equal part of the budget. The features share the level by the procedure of
    Benjamini & Hochberg (1995). A feature drifts if it is significant at that level *and* its corrected PSI is at least
    *min_effect*. The second condition is there because in a large window even a negligible difference is significant.
    PSI is about the square of a shift of the mean in standard deviations: 0.01 is a shift of 0.1, 0.02 one of 0.14,
    0.05 one of 0.22, 0.1 one of 0.32, 0.25 one of 0.5.

    Args:
        count: number of false alarms that is acceptable within *per*.
        per: a duration such as ``"30d"``, or seconds.
        every: how often a window of rows is evaluated, as a duration or in seconds. If None, the rule measures it.
            Windows of time know their own interval.
        min_effect: the smallest corrected PSI that counts as drift.
        min_rows: rows below which a feature has no state.
        lengths: window lengths that are evaluated side by side, in windows. A large shift shows in one window, a small
            one that lasts shows in sixteen.

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
        object.__setattr__(self, "count", float(check.number("count", count, above=0, at_most=MAX_BUDGET)))
        object.__setattr__(self, "per", check.duration("per", per))
        object.__setattr__(self, "every", None if every is None else check.duration("every", every))
        object.__setattr__(
            self, "min_effect", float(check.number("min_effect", min_effect, at_least=0, at_most=MAX_BUDGET))
        )
        object.__setattr__(self, "min_rows", check.integer("min_rows", min_rows, at_least=1))
        object.__setattr__(self, "lengths", _check_lengths(lengths))
        # The import of scipy takes half a second. Configuration pays for it, so that serving does not.
        import scipy.special  # noqa: F401, PLC0415

    @property
    def tests(self) -> bool:
        """True, because the test allows for the dependence between rows."""
        return True

    @property
    def distances(self) -> tuple[str, ...]:
        """Empty, because the rule reads counts instead of distances."""
        return ()

    def level(self, cadence: float) -> float:
        """Return the significance level of an evaluation that happens every *cadence* seconds, within [1e-12, 0.05]."""
        return min(0.05, max(1e-12, self.count / len(self.lengths) * cadence / self.per))

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """Return the function that tests a `Look` and returns the `Evidence` for each of *features*, in their order."""
        stated = window.pane_seconds or self.every
        test = TwoSample(features, layout)

        def evaluate(look: Look) -> tuple[Evidence, ...]:
            # A measured interval counts as at least a second, and at most a day per pane. So a burst or a quiet
            # weekend cannot change the level by orders of magnitude.
            measured = min(max(look.elapsed, 1.0), DAY * look.panes)
            level = self.level(measured if stated is None else stated * look.panes)
            result = test(look.window.counts, look.window.rows, look.inflation, look.expected)
            testable = (result.rows >= self.min_rows) & np.isfinite(result.p)
            adjusted = np.full(len(features), np.inf)
            adjusted[testable] = benjamini_hochberg(result.p[testable])
            enter = (adjusted <= level) & (result.effect >= self.min_effect)
            stay = enter | (testable & (result.p <= LEAVE_P) & (result.effect >= LEAVE_SHARE * self.min_effect))
            columns = (column.tolist() for column in (enter, stay, result.p, result.effect, result.rows))
            return tuple(
                Evidence(
                    enters,
                    stays,
                    p,
                    effect,
                    rows,
                    partial(_reason, feature, look, layout.slices[index], result, index, level) if stays else "",
                    LazySequence(_components, feature, result, index),
                )
                for index, (feature, enters, stays, p, effect, rows) in enumerate(zip(features, *columns, strict=True))
            )

        return evaluate


def _components(feature: Feature, result: TwoSampleResult, index: int) -> tuple[Component, ...]:
    return build_components(feature, result.parts[index], result.direction[index])


def _reason(feature: Feature, look: Look, bins: slice, result: TwoSampleResult, index: int, level: float) -> str:
    shift = describe_shift(
        feature,
        look.window.counts[bins],
        _components(feature, result, index),
        expected=None if look.expected is None else look.expected[bins],
    )
    return (
        f"{shift}; PSI {result.psi[index]:.3g} ({result.effect[index]:.3g} corrected), "
        f"p {_format_p(float(result.p[index]))} (level {level:.2g}), n = {int(result.rows[index])}"
    )


def _format_p(p: float) -> str:
    """Return a p-value as a string such as ``0.0012``. One that is too small for a float becomes ``< 1e-300``."""
    return f"{p:.2g}" if p > 1e-300 else "< 1e-300"  # noqa: PLR2004 - the smallest value of `cauchy_combination`


def _check_lengths(lengths: Sequence[int]) -> tuple[int, ...]:
    if isinstance(lengths, str) or not isinstance(lengths, Sequence) or not lengths:
        msg = f"lengths={lengths!r}: expected numbers of windows such as (1, 4, 16)"
        raise ConfigurationError(msg)
    checked = tuple(check.integer("lengths", length, at_least=1) for length in lengths)
    if checked[0] != 1 or list(checked) != sorted(set(checked)) or checked[-1] > MAX_LENGTH:
        msg = f"lengths={lengths!r}: expected ascending numbers of windows from 1 to {MAX_LENGTH}, the first of them 1"
        raise ConfigurationError(msg)
    return checked
