"""Parses JSON of unknown origin within limits of memory, and describes what is wrong with it."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["MAX_SHOWN", "DocumentError", "parse", "shown"]

MAX_SHOWN = 80
"""Largest number of characters of a value, or of a key, in an error message."""


MAX_VALUES = 8_000_000
"""Most values of a document. They take at most about 300 MB: 8 bytes for each in its array, and 24 for a number."""

MAX_NESTED = 1_000_000
"""Most arrays and objects of a document. They take at most about 300 MB: 232 bytes for an object with a key."""

MAX_STRINGS = 2_000_000
"""Most strings of a document, keys included. They take at most about 120 MB, and their text."""

MAX_DIGITS = 4_300
"""Most digits of an integer. The time for reading one grows with the square of its digits."""


class DocumentError(Exception):
    """
    A part of a document that its reader does not accept.

    Args:
        actual: the value in the document, for the message; empty if there is none to show.
        expected: the values that the reader accepts, for the message.
        at: the position of the part within the value that was read, such as ``".points[3].x"``; empty for the value.
    """

    def __init__(self, actual: str, expected: str, at: str = "") -> None:
        super().__init__(actual, expected)
        self.actual = actual
        self.expected = expected
        self.at = at

    def __str__(self) -> str:
        actual = f"{self.at.lstrip('.') or 'the document'} is {self.actual}, " if self.actual else ""
        return f"{actual}expected {self.expected}"


def parse(text: str) -> Any:
    """
    Return the value of a JSON string.

    Raises:
        DocumentError: the string is not JSON, or has too many values.
    """
    _check_size(text)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        actual = ""
        raise DocumentError(actual, f"JSON: {error}") from error


def _check_size(text: str) -> None:
    """
    Check the number of values of a JSON string before it is parsed, because each takes much more memory than its text.

    Marks within strings count too, so this is an upper bound.

    Raises:
        DocumentError: there are too many values, arrays and objects, or strings, or an integer has too many digits.
    """
    nested = text.count("[") + text.count("{")
    for noun, size, most in (
        ("values", text.count(",") + nested, MAX_VALUES),
        ("arrays and objects", nested, MAX_NESTED),
        ("strings", text.count('"') // 2, MAX_STRINGS),
    ):
        if size > most:
            actual = f"JSON of {size:,} {noun}"
            raise DocumentError(actual, f"at most {most:,}")
    # Python itself has such a limit, unless it is older than 3.10.7 or the host has switched it off.
    if not getattr(sys, "get_int_max_str_digits", int)() and re.search(f"[0-9]{{{MAX_DIGITS + 1}}}", text):
        actual = f"JSON with a number of more than {MAX_DIGITS} digits"
        raise DocumentError(actual, "shorter ones")


def _refuse_constant(name: str) -> float:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


def shown(value: object) -> str:
    """Return a value as a string for an error message, cut off at `MAX_SHOWN` characters."""
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > MAX_SHOWN:
            return f"{text[:MAX_SHOWN]}…"
    return text


def _pieces(value: object) -> Iterator[str]:
    """Yield the parts of ``repr(value)``, so that only the beginning of a large value is converted."""
    if isinstance(value, str):
        yield repr(value[: MAX_SHOWN + 1])
    elif isinstance(value, (list, tuple)):
        yield "[" if isinstance(value, list) else "("
        for index, item in enumerate(value):
            yield ", " * (index > 0)
            yield from _pieces(item)
        yield "]" if isinstance(value, list) else ",)" if len(value) == 1 else ")"
    elif isinstance(value, dict):
        yield "{"
        for index, (key, member) in enumerate(value.items()):
            yield f"{', ' * (index > 0)}{shown(key)}: "
            yield from _pieces(member)
        yield "}"
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__qualname__}("
        for index, field in enumerate(dataclasses.fields(value)):
            yield f"{', ' * (index > 0)}{field.name}="
            yield from _pieces(getattr(value, field.name))
        yield ")"
    else:
        yield repr(value)
