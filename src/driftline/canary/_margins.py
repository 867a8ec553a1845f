"""Margins: the harm that a candidate may do; and guardrails, which are margins of the user's own numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError

__all__ = ["Guardrail", "Margin", "as_margin"]

LARGEST = 1e9
"""A margin or weight may be at most this; a larger margin allows everything, like None."""


@dataclass(frozen=True, slots=True)
class Margin:
    """
    The harm that is allowed: *absolute* plus *relative* times the baseline's value.

    Args:
        absolute: in the unit of the criterion: a share for rates, seconds for latency.
        relative: as a share of the baseline's value; 0.1 is a tenth.
        any_harm: whether any certain harm rolls back, however small. The margin then only limits the promotion. By
            default, harm within the margin never rolls back.
        weight: the criterion's part of alpha, in proportion to the weights of the others.

    Raises:
        ConfigurationError: a number is negative or too large, or the weight is not positive.

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
        """Return the harm that is allowed for a baseline of this value."""
        return self.absolute + self.relative * abs(baseline)


@dataclass(frozen=True, slots=True)
class Guardrail:
    """
    The margin of the user's own number, which a candidate must not make worse.

    Args:
        margin: how much worse the number may be; a plain number is an absolute margin.
        better: which direction is good, ``"higher"`` or ``"lower"``.
        kind: ``"mean"`` of any numbers, or ``"rate"`` of observations that are true or false.

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
    Return a `Margin` or None as it is, and a number as an absolute margin.

    Raises:
        ConfigurationError: the value is none of these.
    """
    if value is None or isinstance(value, Margin):
        return value
    try:
        return Margin(float(check.number(name, value, at_least=0, at_most=LARGEST)))
    except ConfigurationError:
        check.reject(name, value, f"a Margin, a number from 0 to {LARGEST:g}, or None")
