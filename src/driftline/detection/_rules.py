"""What a rule is: a look at a window in, evidence for every feature out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.inflation import Inflation
from driftline._windows.ring import WindowCounts
from driftline._windows.window import Window
from driftline.errors import ConfigurationError
from driftline.results import (
    Component,
    Score,
)
from driftline.typing import Floats

__all__ = ["LEAVE_SHARE", "MIN_ROWS", "Evidence", "Judge", "Look", "Rule", "check_count", "check_rule"]

MIN_ROWS = 200
"""Rows below which nothing is judged: at 15 bins a window of 200 has about 13 rows a bin, enough for chi-square."""

LEAVE_SHARE = 0.5
"""Hysteresis: a drift is over when its effect has fallen to half of what began it."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """
    One look at one length of window.

    Attributes:
        window: the counts.
        length: in windows: 1 for the window itself, 4 for the last four together.
        panes: how many panes the window has moved since the last look at this length.
        elapsed: seconds since then.
        scores: the distances of this window.
        inflation: what the dependence of rows does to the variance of so many; None: rows are independent.
        expected: counts to compare with by the season that the rows fall into, over all bins; None: the reference's.
    """

    window: WindowCounts
    length: int
    panes: int
    elapsed: float
    scores: Sequence[Score]
    inflation: Callable[[float], Inflation] | None = None
    expected: Floats | None = None


class Evidence(NamedTuple):
    """
    What one look says about one feature: made hundreds of times a look, hence a tuple.

    Attributes:
        enter: whether to start calling it drifting.
        stay: whether to keep doing so.
        p_value: of the test, where there is one.
        effect: the corrected PSI.
        rows: of the feature in the window.
        reason: in words, empty unless *stay*; or what says them when it is asked.
        components: the parts of the difference, each with its own p-value.
    """

    enter: bool
    stay: bool
    p_value: float | None
    effect: float
    rows: int
    reason: str | Callable[[], str]
    components: Sequence[Component] = ()


Judge: TypeAlias = Callable[[Look], "tuple[Evidence, ...]"]
"""A look to evidence per feature, in the order of the features."""


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

    @property
    def lengths(self) -> tuple[int, ...]:
        """Lengths that are judged, in windows, ascending, the first of them 1."""
        ...

    @property
    def tests(self) -> bool:
        """Whether the rule wants to know how rows depend on each other: it is then learnt from what is served."""
        ...

    def prepare(self, features: Sequence[Feature], layout: Layout, window: Window) -> Judge:
        """The judge for windows over these features."""
        ...


def check_count(value: Any, what: str) -> int:
    """
    Check a whole number.

    Raises:
        ConfigurationError: it is none, or below 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        msg = f"{what}={value!r}: expected a whole number of at least 1"
        raise ConfigurationError(msg)
    return int(value)


_PARTS = ("min_rows", "distances", "lengths", "tests", "prepare")
"""What a rule has; see `Rule`."""


def check_rule(rule: Any) -> Rule:
    """
    Check a rule given by the user.

    Raises:
        ConfigurationError: it is no rule, or names a distance that is not built in.
    """
    if isinstance(rule, type) or not all(hasattr(rule, name) for name in _PARTS):
        msg = f"rule={rule!r}: expected FalseAlarms(...), Thresholds(...) or an object like these"
        raise ConfigurationError(msg)
    return rule  # type: ignore[no-any-return]
