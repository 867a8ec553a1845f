"""`Unreadable`, which replaces a value that cannot be read, and the decision which values those are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from driftline._runtime.guard import is_contained

__all__ = ["ABSENT", "Unreadable", "describe_type", "is_absent", "is_unreadable_number"]

ABSENT = frozenset({"NAType", "NaTType"})
"""Names of the types of missing values in pandas."""

MAX_NAME = 60
"""Most characters of the name of a class in a sentence."""


class Unreadable:
    """
    Replaces a value that cannot be read. It says what came, and does not keep the value itself.

    Args:
        value: the value.
        came: the description of its type and shape. By default `describe_type` returns it.

    Attributes:
        came: as above.
    """

    __slots__ = ("came",)

    def __init__(self, value: object, came: str | None = None) -> None:
        self.came = describe_type(value) if came is None else came

    def __repr__(self) -> str:
        return f"Unreadable({self.came})"


def describe_type(value: Any) -> str:
    """
    Return the type of a value, and its shape or length if it has one. The sentence never quotes the value.

    >>> describe_type([1, 2, 3]), describe_type(np.zeros((1, 3))), describe_type("yes"), describe_type(None)
    ('list of 3 items', 'float64 array of shape (1, 3)', 'str', 'None')
    """
    if value is None:
        return "None"
    kind = type(value)  # a lazy object computes its value when `isinstance` asks for its class
    name = kind.__name__[:MAX_NAME]
    try:
        if issubclass(kind, Unreadable):
            return str(value.came)
        if issubclass(kind, np.ndarray):
            return f"{value.dtype} array of shape {value.shape}"
        if issubclass(kind, (list, tuple, set, frozenset, Mapping)):
            size = len(value)
            return f"{name} of {size} item{'s' * (size != 1)}" if size else name
    except BaseException as error:
        if not is_contained(error):
            raise
        return name  # a subclass of the host may raise anything
    return name


def is_absent(value: Any) -> bool:
    """Return whether a value stands for a missing one: None, nan, NaT, NA, or a masked element."""
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124
    except BaseException as error:
        if not is_contained(error):
            raise
        return type(value).__name__ in ABSENT  # an array, or a value of the host


def is_unreadable_number(value: Any) -> bool:
    """
    Return whether a value that is not readable as a number is of a wrong type. If False, it is missing.

    A string is missing if it is blank or says "nan". A list, a word or a date is of a wrong type.
    """
    if not isinstance(value, (str, bytes)):
        return not is_absent(value)
    if not value.strip():
        return False
    try:
        float(value)
    except BaseException as error:
        if not is_contained(error):
            raise
        return True  # the method of a subclass may raise anything
    return False
