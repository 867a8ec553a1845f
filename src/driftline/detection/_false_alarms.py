"""The default rule, `FalseAlarms`: it turns a budget of false alarms into a significance level per evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._runtime import validation as check
from driftline._windows.window import Window
from driftline.detection._evidence_table import EvidenceTable
from driftline.detection._least_effects import LeastEffects, MinEffect
from driftline.detection._look_tester import LookTester
from driftline.detection._rules import MIN_ROWS, Judge, Look
from driftline.errors import ConfigurationError

__all__ = ["FalseAlarms", "Scope"]

Scope: TypeAlias = Literal["process", "fleet"]
"""Whose rows share one budget: those of a process, or those of all processes of a model."""

MAX_BUDGET = 1e9
"""Largest accepted *count*. A larger one is a mistake."""

DAY = 86_400.0
"""Seconds in a day."""

MAX_LENGTH = 64
"""Largest window length, in windows. The evaluator keeps as many windows in memory."""


@dataclass(frozen=True, slots=True, init=False)
class FalseAlarms:
    """
    The default rule: while nothing drifts, the whole model has at most *count* false alarms within *per*.

    The rule turns this budget into a significance level for each evaluation, according to how often it evaluates
    windows. Each window length gets an equal part of the budget, and so does each feature, whatever the others do. A
    feature drifts if the parts of its difference that are large enough are significant at its level. Small parts do not
    count, because in a large window even a negligible difference is significant.

    By default, a part counts from this size on: *location* 0.22 standard deviations, *spread* the factor 1.15, *shape*
    5 % of the rows in other bins, *mix* 3 % of the rows in other categories, *out of range* and *unseen* 0.3 % of the
    rows beyond those to be expected, *missing* a change by half a point, or by a fifth of a share above 2.5 %. All
    parts count if the corrected PSI of the feature is at least 0.05.

    Args:
        count: number of false alarms that is acceptable within *per*.
        per: a duration such as ``"30d"``, or seconds.
        every: how often a window of rows is evaluated, as a duration or in seconds. If None, the rule measures it.
            Windows of time know their own interval.
        min_effect: the smallest difference that counts as drift. A number is a corrected PSI, the square of a shift of
            the mean in standard deviations: 0.01 is a shift of 0.1, 0.05 one of 0.22, 0.25 one of 0.5. It scales the
            sizes above together, by the square root of its ratio to 0.05; with 0, every part counts. A mapping sets
            parts and features: ``{"location": 0.3, "missing": 0.02, "age": 0, "income": {"location": 0.1}}``. A number
            under the name of a part is for all features, and ``"all"`` is the number that scales the other parts. A
            mapping is for a feature, even under the name of a part.
        min_rows: rows below which a feature has no state.
        lengths: window lengths that are evaluated side by side, in windows. A large shift shows in one window, a small
            one that lasts shows in 64.
        scope: whose budget it is. ``"process"``: of each monitor, which states what drifts in its own rows.
            ``"fleet"``: of all processes that serve the model together. Their monitors export scores and bins, and no
            states; ``driftline judge`` evaluates the sum of their counts.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """

    count: float
    per: float
    every: float | None
    min_effect: MinEffect
    min_rows: int
    lengths: tuple[int, ...]
    scope: Scope

    def __init__(
        self,
        count: float = 1,
        *,
        per: str | float = "30d",
        every: str | float | None = None,
        min_effect: MinEffect = 0.05,
        min_rows: int = MIN_ROWS,
        lengths: Sequence[int] = (1, 4, 16, 64),
        scope: Scope = "process",
    ) -> None:
        object.__setattr__(self, "count", float(check.number("count", count, above=0, at_most=MAX_BUDGET)))
        object.__setattr__(self, "per", check.duration("per", per))
        object.__setattr__(self, "every", None if every is None else check.duration("every", every))
        object.__setattr__(self, "min_effect", LeastEffects(min_effect).stated)
        object.__setattr__(self, "min_rows", check.integer("min_rows", min_rows, at_least=1))
        object.__setattr__(self, "lengths", _check_lengths(lengths))
        object.__setattr__(self, "scope", check.one_of("scope", scope, get_args(Scope)))
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
        test = LookTester(features, layout, LeastEffects(self.min_effect).limits(features), self.min_rows)

        def evaluate(look: Look) -> EvidenceTable:
            # A measured interval counts as at least a second, and at most a day per pane. So a burst or a quiet
            # weekend cannot change the level by orders of magnitude.
            measured = min(max(look.elapsed, 1.0), DAY * look.panes)
            return test(look, self.level(measured if stated is None else stated * look.panes))

        return evaluate


def _check_lengths(lengths: Sequence[int]) -> tuple[int, ...]:
    if isinstance(lengths, str) or not isinstance(lengths, Sequence) or not lengths:
        msg = f"lengths={lengths!r}: expected numbers of windows such as (1, 4, 16)"
        raise ConfigurationError(msg)
    checked = tuple(check.integer("lengths", length, at_least=1) for length in lengths)
    if checked[0] != 1 or list(checked) != sorted(set(checked)) or checked[-1] > MAX_LENGTH:
        msg = f"lengths={lengths!r}: expected ascending numbers of windows from 1 to {MAX_LENGTH}, the first of them 1"
        raise ConfigurationError(msg)
    return checked
