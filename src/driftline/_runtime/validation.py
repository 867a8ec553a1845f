"""
Checks arguments. Each check returns the value, or raises ``ConfigurationError("name=value: expected ...")``.

Each check takes the name of the argument, which the message repeats, and its value. Bounds that are None do not apply.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar

import numpy as np

from driftline._runtime.guard import is_contained, returning_on_error
from driftline.errors import ConfigurationError

__all__ = [
    "SECONDS_PER_UNIT",
    "boolean",
    "duration",
    "encodable",
    "error",
    "file_path",
    "function",
    "instance",
    "integer",
    "number",
    "one_of",
    "optional",
    "path",
    "probability",
    "reject",
    "string",
    "trial",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_String = TypeVar("_String", bound=str)

MAX_SHOWN = 200
"""Largest number of characters of a value that a message quotes, so that the expected values stay readable."""

SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
"""Seconds in each unit of a duration."""

MAX_SECONDS = 100 * 365.25 * 86400.0
"""Seconds in a century. A duration must be shorter, because a longer one is a mistake in the unit."""

_SURROGATE = re.compile("[\ud800-\udfff]")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)", re.ASCII)


def error(name: str, value: object, expected: str) -> ConfigurationError:
    """
    Return the error for an argument that was rejected. *expected* describes the values that are accepted.

    >>> error("rows", -1, "an integer of at least 1")
    ConfigurationError('rows=-1: expected an integer of at least 1')
    """
    return ConfigurationError(f"{name}={_shown(value)}: expected {expected}")


def reject(name: str, value: object, expected: str) -> NoReturn:
    """
    Raise the error for an argument that was rejected. *expected* describes the values that are accepted.

    Raises:
        ConfigurationError: always.
    """
    raise error(name, value, expected)


@contextmanager
def trial(describe: Callable[[BaseException], str]) -> Iterator[None]:
    """
    Guard a block that tries a user function or object at configuration, so that it does not fail while a model serves.

    Args:
        describe: returns the message for an exception of the block.

    Raises:
        ConfigurationError: the block raised an exception.
    """
    try:
        yield
    except BaseException as raised:
        if not is_contained(raised):
            raise
        raise ConfigurationError(describe(raised)) from raised


def optional(
    check: Callable[Concatenate[str, Any, _P], _T], name: str, value: Any, /, *args: _P.args, **kwargs: _P.kwargs
) -> _T | None:
    """
    Return None for None, and otherwise the value that ``check(name, value, ...)`` returns.

    Raises:
        ConfigurationError: *check* rejects the value.

    >>> optional(integer, "rows", None, at_least=1)
    """
    if value is None:
        return None
    try:
        return check(name, value, *args, **kwargs)
    except ConfigurationError as rejected:
        msg = f"{rejected}, or None"
        raise ConfigurationError(msg) from None


def integer(name: str, value: object, *, at_least: int | None = None, at_most: int | None = None) -> int:
    """
    Return an integer within bounds. NumPy's integers are accepted, booleans are not.

    Raises:
        ConfigurationError: the value is no integer or out of bounds.

    >>> integer("rows", np.int64(5), at_least=1)
    5
    """
    whole = int(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else None
    if whole is None or (at_least is not None and whole < at_least) or (at_most is not None and whole > at_most):
        raise error(name, value, _bounded("an integer", at_least, None, at_most, None))
    return whole


def number(
    name: str,
    value: object,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> float:
    """
    Return a finite number within bounds as an int or float.

    NumPy's numbers are accepted. Booleans, ``Fraction`` and ``Decimal`` are rejected.

    Raises:
        ConfigurationError: the value is no number, NaN, infinite or out of bounds.

    >>> number("alpha", 0.05, above=0, at_most=0.5)
    0.05
    """
    plain = _plain_number(value)
    if (
        not math.isfinite(plain)
        or (at_least is not None and plain < at_least)
        or (above is not None and plain <= above)
        or (at_most is not None and plain > at_most)
        or (below is not None and plain >= below)
    ):
        raise error(name, value, _bounded("a number", at_least, above, at_most, below))
    return plain


def probability(name: str, value: object) -> float:
    """
    Return the value as a Python number if it is from 0 to 1.

    Raises:
        ConfigurationError: the value is not such a number.
    """
    return number(name, value, at_least=0, at_most=1)


def duration(name: str, value: object) -> float:
    """
    Return the seconds of a duration: ``"500ms"``, ``"30s"``, ``"10min"``, ``"1h"``, ``"30d"``, or seconds as a number.

    Raises:
        ConfigurationError: the value is not a duration, not positive, or a century or longer.

    >>> duration("every", "10min")
    600.0
    """
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * SECONDS_PER_UNIT[match[2]]
    else:
        seconds = float(_plain_number(value))
    if not 0.0 < seconds < MAX_SECONDS:
        raise error(name, value, "a positive duration such as '30s', '10min', '1h' or '30d'")
    return seconds


def boolean(name: str, value: object) -> bool:
    """
    Return the value if it is True or False.

    Raises:
        ConfigurationError: the value is something else, such as 0 or 1.
    """
    if not isinstance(value, bool):
        raise error(name, value, "True or False")
    return value


def string(name: str, value: object, *, at_least: int = 0, at_most: int | None = None) -> str:
    """
    Return a string whose length in characters is within bounds.

    Raises:
        ConfigurationError: the value is no string, too short or too long, or UTF-8 cannot encode it.
    """
    if not isinstance(value, str) or len(value) < at_least or (at_most is not None and len(value) > at_most):
        if at_most is not None:
            expected = f"a string of {at_least} to {at_most} characters"
        else:
            expected = "a string" if at_least == 0 else "a string that is not empty"
        raise error(name, value, expected)
    encodable(name, (value,))
    return value


def encodable(argument: str, names: Iterable[str]) -> None:
    """
    Check that UTF-8 can encode names, because telemetry is sent in it. It cannot encode half of a surrogate pair.

    Such names come from files that were read with ``errors="surrogateescape"``.

    Raises:
        ConfigurationError: UTF-8 cannot encode one of the names.
    """
    for name in names:
        if _SURROGATE.search(name):
            raise error(argument, name, "a name that UTF-8 can encode, without half of a surrogate pair")


def one_of(name: str, value: object, choices: Collection[_String]) -> _String:
    """
    Return the value if it is one of the strings in *choices*.

    Raises:
        ConfigurationError: the value is none of them.
    """
    for choice in choices:
        if isinstance(value, str) and value == choice:
            return choice
    *others, last = map(repr, choices)
    raise error(name, value, f"{', '.join(others)} or {last}" if others else last)


def instance(name: str, value: object, kind: type[_T], expected: str) -> _T:
    """
    Return the value if it is an instance of the class *kind*.

    Raises:
        ConfigurationError: the value is not such an instance.
    """
    if not isinstance(value, kind):
        raise error(name, value, expected)
    return value


def function(name: str, value: object, expected: str = "a function") -> Callable[..., Any]:
    """
    Return the value if it can be called.

    Raises:
        ConfigurationError: the value cannot be called.
    """
    if not callable(value):
        raise error(name, value, expected)
    return value


def path(name: str, value: object, expected: str = "the path of a file") -> Path:
    """
    Return a string or path-like object as a path.

    Raises:
        ConfigurationError: the value is neither a string nor path-like, or is empty.
    """
    if not isinstance(value, (str, os.PathLike)) or value == "":
        raise error(name, value, expected)
    try:
        return Path(value)
    except TypeError:  # a path-like object of bytes
        raise error(name, value, expected) from None


def file_path(name: str, value: object, expected: str = "the path of a file") -> Path:
    """
    Return a string or path-like object as the path of a file, which need not exist.

    Raises:
        ConfigurationError: the value is no path, has a null character, or is the path of a folder.
    """
    checked = path(name, value, expected)
    if "\0" in str(checked):
        reject(name, value, expected)
    if os.path.isdir(checked):  # noqa: PTH112 - Path.is_dir raises where a folder may not be read, or a name is too long
        reject(name, value, f"{expected}, not of a folder")
    return checked


def _plain_number(value: object) -> float:
    """Return a value as a Python number, or NaN if it is no number or too large for a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return math.nan
    try:
        as_float = float(value)
    except OverflowError:
        return math.nan
    return int(value) if isinstance(value, (int, np.integer)) else as_float


def _bounded(noun: str, at_least: float | None, above: float | None, at_most: float | None, below: float | None) -> str:
    if at_least is not None and at_most is not None:
        return f"{noun} from {_bound(at_least)} to {_bound(at_most)}"
    if at_most is not None and above is None:
        return f"{noun} of at most {_bound(at_most)}"
    bounds = {"of at least": at_least, "above": above, "at most": at_most, "below": below}
    text = " and ".join(f"{words} {_bound(bound)}" for words, bound in bounds.items() if bound is not None)
    return f"{noun} {text}" if text else noun


def _bound(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


@returning_on_error("<a value whose repr() raises>")
def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
