"""
Attributes to values of features: numbers and short labels, and nothing else.

No value is kept that is not a number, a boolean or a short text. A long text may be a prompt or an answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

__all__ = ["LONG", "MAX_CHARACTERS", "MAX_LABELS", "Field", "Read", "first_of", "label", "number"]

MAX_CHARACTERS = 100
"""Characters of the longest label that is kept. Names of models, tools and routes are shorter; a prompt may be too."""

MAX_LABELS = 8
"""Labels of one attribute that are joined, such as the reasons why each choice of a response has ended."""

MAX_EXACT = 2**53
"""Integers below it are floats exactly."""

LONG = "(long)"
"""The label of a text that is longer than `MAX_CHARACTERS`, or is no printable text."""

Read: TypeAlias = Callable[[Any], "float | str | None"]

Field: TypeAlias = "tuple[str, tuple[str, ...], Read]"
"""A feature, its attributes, of which the first that a span has counts, and the function that reads the value."""


def number(value: object) -> float | None:
    """Return a number as a float, or None if it is no finite one."""
    if type(value) is int and -MAX_EXACT < value < MAX_EXACT:
        return float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            result = float(value)
        except OverflowError:
            return None
        return result if math.isfinite(result) else None
    return None


def label(value: object) -> str | None:
    """
    Return a short text, a boolean or an integer as a label. Join the distinct labels of a list by commas.

    >>> label(("stop", "length", "stop"))
    'length,stop'
    >>> label("What is the capital of France? " * 9)
    '(long)'
    """
    if isinstance(value, str):
        return value if len(value) <= MAX_CHARACTERS and value.isprintable() else LONG
    if isinstance(value, (bool, int)):
        return str(value).lower() if -(10**MAX_CHARACTERS) < value < 10**MAX_CHARACTERS else LONG
    if isinstance(value, (tuple, list)) and value:
        labels = {part for each in value[:MAX_LABELS] if isinstance(each, str) and (part := label(each))}
        return label(",".join(sorted(labels)))
    return None


def first_of(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Return the first attribute of *names* that is there, or None."""
    for name in names:
        value = attributes.get(name)
        if value is not None:
            return value
    return None
