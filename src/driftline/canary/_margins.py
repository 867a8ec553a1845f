"""`Margin`: the harm that a candidate may do. `Guardrail`: a margin of a number that the application reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError

__all__ = ["Guardrail", "Margin", "as_margin"]

MAX_MARGIN = 1e9
"""Largest value of a margin or weight. A larger margin would allow everything; None says that plainly."""


@dataclass(frozen=True, slots=True)
class Margin:
    """
    The harm that a candidate may do under one criterion: *absolute* plus *relative* times the baseline's value.

    With *combine* ``"larger"``, it is the larger of both parts instead of their sum.

    Args:
        absolute: allowed harm in the unit of the criterion: a share for rates, seconds for latency.
        relative: allowed harm as a share of the baseline's value; 0.1 is a tenth.
        any_harm: if True, the candidate is rolled back as soon as it is certain to be worse at all. The margin then
            only limits a promotion. If False, it is rolled back when it is certain to be worse than the margin.
        weight: relative weight of the criterion. `CanaryPolicy.alpha`, the probability of a wrong rollback, is divided
            among all criteria in proportion to their weights.
        combine: ``"sum"`` or ``"larger"``: how *absolute* and *relative* make one margin. Margins of latency and of
            the means of guardrails may be the larger of both.

    Raises:
        ConfigurationError: a number is negative or above 1e9, the weight is 0, or *combine* is unknown.

    >>> Margin(0.005, relative=0.1).allowed(0.02)
    0.007
    >>> Margin(0.005, relative=0.1, combine="larger").allowed(0.02)
    0.005
    """

    absolute: float = 0.0
    relative: float = 0.0
    any_harm: bool = False
    weight: float = 1.0
    combine: Literal["sum", "larger"] = "sum"

    def __post_init__(self) -> None:
        check.number("absolute", self.absolute, at_least=0, at_most=MAX_MARGIN)
        check.number("relative", self.relative, at_least=0, at_most=MAX_MARGIN)
        check.boolean("any_harm", self.any_harm)
        check.number("weight", self.weight, above=0, at_most=MAX_MARGIN)
        check.one_of("combine", self.combine, ("sum", "larger"))

    def allowed(self, baseline: float) -> float:
        """Return the allowed harm, in the unit of the criterion; *baseline* is the baseline's value."""
        parts = (self.absolute, self.relative * abs(baseline))
        return max(parts) if self.combine == "larger" else sum(parts)


@dataclass(frozen=True, slots=True)
class Guardrail:
    """
    A limit on how much worse a candidate may make a number that the application reports, such as revenue.

    Args:
        margin: how much worse the number may be; a plain number is an absolute margin.
        better: which values are better, ``"higher"`` or ``"lower"`` ones.
        kind: ``"mean"``: observations are numbers, and their means are compared. ``"rate"``: observations are true or
            false, and the shares of true ones are compared.

    Raises:
        ConfigurationError: an argument has a wrong type or value.
    """

    margin: Margin
    better: Literal["higher", "lower"] = "higher"
    kind: Literal["mean", "rate"] = "mean"

    def __post_init__(self) -> None:
        margin = as_margin("margin", self.margin)
        if margin is None:
            msg = "margin=None: expected a Margin or a number"
            raise ConfigurationError(msg)
        object.__setattr__(self, "margin", margin)
        check.one_of("better", self.better, ("higher", "lower"))
        check.one_of("kind", self.kind, ("mean", "rate"))


def as_margin(name: str, value: object) -> Margin | None:
    """
    Convert a number to a `Margin` with this *absolute*; return a `Margin` or None unchanged.

    Args:
        name: name of the argument, for the message of an error.
        value: the value of the argument.

    Raises:
        ConfigurationError: the value has another type, or is a number out of range.
    """
    if value is None or isinstance(value, Margin):
        return value
    try:
        return Margin(float(check.number(name, value, at_least=0, at_most=MAX_MARGIN)))
    except ConfigurationError:
        check.reject(name, value, f"a Margin, a number from 0 to {MAX_MARGIN:g}, or None")
