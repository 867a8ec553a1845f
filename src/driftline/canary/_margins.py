"""How much worse a candidate may be than its baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError

__all__ = ["Guardrail", "Margin", "margin_of"]

LARGEST = 1e9
"""A larger margin allows everything: None says that in words."""


@dataclass(frozen=True, slots=True)
class Margin:
    """
    The harm that is allowed: the baseline's value may be exceeded by *absolute* plus *relative* times that value.

    Args:
        absolute: in the unit of the criterion: a share for rates, seconds for latency.
        relative: as a share of the baseline's value; 0.1 is a tenth.
        any_harm: roll back as soon as any harm at all is certain, however small; the margin then only says what must be
            excluded to promote. Without it harm within the margin is never a reason to roll back.
        weight: the criterion's part of alpha, in proportion to the weights of the others.

    Raises:
        ConfigurationError: a number is negative or too large, the weight is not positive.

    >>> Margin(0.005, relative=0.1).allowed(0.02)
    0.007
    """

    absolute: float = 0.0
    relative: float = 0.0
    any_harm: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        check.number("absolute", self.absolute, at_least=0, at_most=LARGEST)
        check.number("relative", self.relative, at_least=0, at_most=LARGEST)
        check.boolean("any_harm", self.any_harm)
        check.number("weight", self.weight, above=0, at_most=LARGEST)

    def allowed(self, baseline: float) -> float:
        """The harm allowed beside a baseline of this value."""
        return self.absolute + self.relative * abs(baseline)


@dataclass(frozen=True, slots=True)
class Guardrail:
    """
    A number of the user's own that a candidate must not make worse.

    Args:
        margin: how much worse it may be; a plain number is an absolute margin.
        better: which way is good, ``"higher"`` or ``"lower"``.
        kind: ``"mean"`` of any numbers, or ``"rate"`` of observations that are true or false.

    Raises:
        ConfigurationError: an argument is of the wrong type or none of the words.
    """

    margin: Margin
    better: Literal["higher", "lower"] = "higher"
    kind: Literal["mean", "rate"] = "mean"

    def __post_init__(self) -> None:
        margin = margin_of("margin", self.margin)
        if margin is None:
            msg = "margin=None: expected a Margin or a number"
            raise ConfigurationError(msg)
        object.__setattr__(self, "margin", margin)
        check.one_of("better", self.better, ("higher", "lower"))
        check.one_of("kind", self.kind, ("mean", "rate"))


def margin_of(what: str, value: object) -> Margin | None:
    """
    A margin as it was given: a `Margin`, a number (absolute), or None.

    Raises:
        ConfigurationError: it is none of these.
    """
    if value is None or isinstance(value, Margin):
        return value
    try:
        return Margin(float(check.number(what, value, at_least=0, at_most=LARGEST)))
    except ConfigurationError:
        check.reject(what, value, f"a Margin, a number from 0 to {LARGEST:g}, or None")
