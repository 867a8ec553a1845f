"""The interface of a drift rule: it takes the counts of a window and returns evidence for each feature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.baseline import Difference
from driftline._windows.ring import WindowCounts
from driftline._windows.window import Window
from driftline.errors import ConfigurationError
from driftline.results import Component, Score
from driftline.typing import Floats

__all__ = ["LEAVE_SHARE", "MIN_ROWS", "NOT_BLIND", "Evidence", "Judge", "Look", "Rule", "check_rule"]

MIN_ROWS = 200
"""
Default of ``min_rows``: a feature with fewer rows in a window has the state ``insufficient_data``. With 15 bins, 200
rows are about 13 a bin, which is enough for a chi-square test.
"""

LEAVE_SHARE = 0.5
"""
Share of the limit of `Thresholds`, or of ``min_effect`` of `FalseAlarms`, below which a drift ends. Because it is less
than 1, a value close to the limit does not start and end a drift again and again.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """
    The input of a prepared rule: the counts of one window length at one evaluation.

    Attributes:
        window: the counts over the bins of all features, and the number of rows.
        length: the length in windows: 1 for the window itself, 4 for the last four windows together.
        panes: number of panes that the window has moved since the last evaluation of this length.
        elapsed: seconds since the last evaluation of this length.
        scores: the distances of this window from the reference.
        expected: shape (bins,), counts over the bins of all features to compare with, adjusted for the season of the
            rows. If None, compare with the counts of the reference.
        difference: how much the difference from the baseline varies while nothing drifts, and the baseline: the
            reference and the own past. If None, rows are independent and the baseline is the reference.
        rows_to_see: called with the index of a feature, a shift in standard deviations and a significance level, it
            returns how many rows would show the shift; inf if none would. None if this is not known.
    """

    window: WindowCounts
    length: int
    panes: int
    elapsed: float
    scores: Sequence[Score]
    expected: Floats | None = None
    difference: Difference | None = None
    rows_to_see: Callable[[int, float, float], float] | None = None


NOT_BLIND: Mapping[int, Callable[[], str]] = MappingProxyType({})
"""`Evidence.blind` of a look that would show a large change of every part."""


class Evidence(NamedTuple):
    """
    The evidence for or against the drift of one feature in one window.

    A tuple, because a rule makes hundreds of them at each evaluation.

    Attributes:
        enter: whether a stable feature becomes drifting.
        stay: whether a drifting feature remains drifting.
        p_value: p-value of the test. If None, the rule does not test.
        effect: the corrected PSI; nan if the feature has no rows.
        rows: rows of the feature in the window.
        reason: an explanation, or a function that returns it. Empty unless *stay*.
        components: the parts of the difference, each with its own p-value; empty if the rule does not test.
        unusable: the reason why the feature cannot be evaluated, such as values of a wrong type (which the monitor
            sets), or a distance that is not defined; else empty.
        deviations: shape (parts,), the signed difference of each part in standard deviations of one row; nan where a
            part does not apply. None if the rule does not test. With it, a drift ends as soon as the shortest look that
            could show it does not.
        errors: shape (parts,), the standard deviation of *deviations* while nothing drifts.
        lead: index of the most significant part that counts, if *enter*.
        blind: by the index of a part, a function that returns why even a large change of it would not show in this
            look; empty if all would.
    """

    enter: bool
    stay: bool
    p_value: float | None
    effect: float
    rows: int
    reason: str | Callable[[], str]
    components: Sequence[Component] = ()
    unusable: str = ""
    deviations: Floats | None = None
    errors: Floats | None = None
    lead: int = 0
    blind: Mapping[int, Callable[[], str]] = NOT_BLIND


Judge: TypeAlias = Callable[[Look], "Sequence[Evidence]"]
"""A prepared rule: a function from a `Look` to the evidence for each feature, in the order of the features."""


class Rule(Protocol):
    """Decides which features drift. A monitor calls `prepare` once, for its reference and its window."""

    @property
    def min_rows(self) -> int:
        """Rows below which a feature has the state ``insufficient_data``."""
        ...

    @property
    def distances(self) -> tuple[str, ...]:
        """Names of the distances that the rule reads from `Look.scores`. The monitor computes them for it."""
        ...

    @property
    def lengths(self) -> tuple[int, ...]:
        """Window lengths that the rule evaluates, in windows, ascending. The first one is 1."""
        ...

    @property
    def tests(self) -> bool:
        """Whether the rule needs `Look.difference`. If True, the monitor learns the dependence of rows from traffic."""
        ...

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """
        Return the function that evaluates windows.

        Args:
            features: the features, with their counts in the reference.
            layout: the position of each feature's bins in the counts of a window, in the order of *features*.
            window: the window of the monitor.
        """
        ...


RULE_ATTRIBUTES = ("min_rows", "distances", "lengths", "tests", "prepare")
"""Names of the attributes that an object needs to be a `Rule`."""


def check_rule(rule: Any) -> Rule:
    """
    Return *rule* if it has the attributes of a `Rule`.

    Raises:
        ConfigurationError: *rule* is a class, or lacks an attribute.
    """
    if isinstance(rule, type) or not all(hasattr(rule, name) for name in RULE_ATTRIBUTES):
        msg = f"rule={rule!r}: expected FalseAlarms(...), Thresholds(...) or an object like these"
        raise ConfigurationError(msg)
    return rule  # type: ignore[no-any-return]
