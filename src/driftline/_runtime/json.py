"""
Reads JSON documents of unknown content with readers, which are functions that each describe a part.

A reader gets a parsed JSON value. It returns the Python value that this represents, or raises `DocumentError` if the
value does not match. Most functions here return a reader, and combine readers of small parts into one of a larger
part::

    point = record(Point, x=number, y=number, label=absent("", string))
    drawing = read(text, record(Drawing, points=array(point, most=100)))

The error has the position in the document: ``points[3].x is 'a', expected a finite number``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias, TypeVar

from driftline._runtime.json_text import MAX_SHOWN, DocumentError, parse, shown

__all__ = [
    "MAX_COUNT",
    "DocumentError",
    "Reader",
    "absent",
    "array",
    "boolean",
    "check",
    "check_length",
    "choice",
    "count",
    "increasing",
    "integer",
    "mapping",
    "members",
    "name",
    "nullable",
    "number",
    "part",
    "positive",
    "read",
    "record",
    "row",
    "shown",
    "string",
    "tagged",
    "unique",
    "verified",
    "versioned",
]

T = TypeVar("T")

Reader: TypeAlias = Callable[[Any], T]
"""A function that takes a parsed JSON value. It returns the value to use, or raises `DocumentError`."""

MAX_COUNT = 2**53
"""Largest accepted integer. Larger ones are not exact in other programs that read JSON numbers as floats."""


class _Absent:
    """The class of `ABSENT`, the value that a reader gets for a key that an object does not have."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()


def read(text: str, reader: Reader[T]) -> T:
    """
    Parse a JSON string, and return the value that *reader* returns for it.

    Raises:
        DocumentError: the string is not JSON, or *reader* does not accept it.
    """
    return reader(parse(text))


def members(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass instance by name, in order. `record` reads the JSON of this dict."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def part(at: str, reader: Reader[T], value: Any) -> T:
    """Return what *reader* returns for a part of a larger value. An error gets the position *at*."""
    try:
        return reader(value)
    except DocumentError as error:
        error.at = at + error.at
        raise


# --- readers of single values -----------------------------------------------------------------------------------


def integer(least: int = 0, most: int = MAX_COUNT) -> Reader[int]:
    """Return a reader of an integer from *least* to *most*."""

    def reader(value: Any) -> int:
        if value.__class__ is not int or not least <= value <= most:
            raise DocumentError(shown(value), f"an integer of at least {least}")
        return value

    return reader


count = integer()


def number(value: Any) -> float:
    """Read a finite number as a float."""
    if value.__class__ is float and math.isfinite(value):
        return value
    try:
        result = float(value) if value.__class__ is int else math.nan
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise DocumentError(shown(value), "a finite number")
    return result


def string(value: Any) -> str:
    """Read a string, which may be empty."""
    if not isinstance(value, str):
        raise DocumentError(shown(value), "a string")
    return value


def name(value: Any) -> str:
    """Read a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise DocumentError(shown(value), "a string that is not empty")
    return value


def boolean(value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise DocumentError(shown(value), "true or false")
    return value


def choice(*values: str) -> Reader[str]:
    """Return a reader of a string that is one of *values*."""
    expected = " or ".join(map(repr, values))

    def reader(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise DocumentError(shown(value), expected)
        return value

    return reader


# --- readers made from other readers -----------------------------------------------------------------------


def check(reader: Reader[T], holds: Callable[[T], bool], expected: str) -> Reader[T]:
    """Return *reader* with a condition: for its value, *holds* must return True. *expected* is for the message."""

    def read_checked(value: Any) -> T:
        result = reader(value)
        if not holds(result):
            raise DocumentError(shown(value), expected)
        return result

    return read_checked


def verified(reader: Reader[T], verify: Callable[[T], None]) -> Reader[T]:
    """Return *reader* with a check: *verify* gets its value, and raises `DocumentError` if parts of it disagree."""

    def read_checked(value: Any) -> T:
        result = reader(value)
        verify(result)
        return result

    return read_checked


positive = check(number, lambda value: value > 0.0, "a positive number")


def nullable(reader: Reader[T]) -> Reader[T | None]:
    """Return *reader* with None for null and for an absent key."""
    return lambda value: None if value is None or value is ABSENT else reader(value)


def absent(default: T, reader: Reader[T]) -> Reader[T]:
    """Return *reader* with *default* for an absent key. Null goes to *reader*."""
    return lambda value: default if value is ABSENT else reader(value)


def array(reader: Reader[T], *, most: int | None = None, size: int | None = None) -> Reader[tuple[T, ...]]:
    """
    Return a reader of a JSON array, which reads each item with *reader* and returns a tuple.

    The array has at most *most* items, or exactly *size*.
    """
    limit = size if most is None else most
    expected = f"at most {most} items" if size is None else f"{size} items"

    def read_array(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise DocumentError(shown(value), "an array")
        if (limit is not None and len(value) > limit) or (size is not None and len(value) != size):
            actual = f"an array of {len(value)}"
            raise DocumentError(actual, expected)
        results = []
        try:
            for item in value:
                results.append(reader(item))  # noqa: PERF401 - the error needs the index
        except DocumentError as error:
            error.at = f"[{len(results)}]{error.at}"
            raise
        return tuple(results)

    return read_array


def row(build: Callable[..., T], *readers: Reader[Any]) -> Reader[T]:
    """Return a reader of an array with one item for each of *readers*. It returns *build* called with their values."""
    size = len(readers)

    def read_array(value: Any) -> T:
        if not isinstance(value, list) or len(value) != size:
            raise DocumentError(shown(value), f"an array of {size}")
        arguments = []
        try:
            for reader, item in zip(readers, value, strict=True):
                arguments.append(reader(item))
        except DocumentError as error:
            error.at = f"[{len(arguments)}]{error.at}"
            raise
        return build(*arguments)

    return read_array


def mapping(reader: Reader[T], *, most: int) -> Reader[dict[str, T]]:
    """Return a reader of an object with at most *most* keys of any name, as a dict of values of *reader*."""

    def read_object(value: Any) -> dict[str, T]:
        _check_object(value)
        if len(value) > most:
            actual = f"an object of {len(value)}"
            raise DocumentError(actual, f"at most {most} names")
        results = {}
        key = ""
        try:
            for key, member in value.items():
                results[key] = reader(member)
        except DocumentError as error:
            error.at = f".{key[:MAX_SHOWN]}{error.at}"
            raise
        return results

    return read_object


def record(build: Callable[..., T], /, **fields: Reader[Any]) -> Reader[T]:
    """
    Return a reader of an object with a reader for each key. It returns *build* called with the values as keywords.

    Other keys are ignored. The reader of an absent key gets `ABSENT`, which only `nullable` and `absent` accept.
    """

    def read_object(value: Any) -> T:
        _check_object(value)
        arguments = {}
        key = ""
        try:
            for key, reader in fields.items():
                arguments[key] = reader(value.get(key, ABSENT))
        except DocumentError as error:
            error.at = f".{key}{error.at}"
            raise
        return build(**arguments)

    return read_object


def tagged(key: str, **readers: Reader[T]) -> Reader[T]:
    """Return a reader of an object whose string under *key* is the name of the reader in *readers* to use."""
    kind = choice(*readers)

    def reader(value: Any) -> T:
        _check_object(value)
        return readers[part(f".{key}", kind, value.get(key, ABSENT))](value)

    return reader


def versioned(supported: int, reader: Reader[T]) -> Reader[T]:
    """Return *reader* with a check: the value must be an object whose ``schema_version`` is 1 to *supported*."""

    def read_checked(value: Any) -> T:
        _check_object(value)
        version = value.get("schema_version", ABSENT)
        if isinstance(version, bool) or version not in range(1, supported + 1):
            newer = isinstance(version, int) and version > supported
            versions = "1" if supported == 1 else f"1 to {supported}"
            expected = versions + ": a newer driftline wrote this document" * newer
            raise DocumentError(shown(version), expected, ".schema_version")
        return reader(value)

    return read_checked


def _check_object(value: Any) -> None:
    if not isinstance(value, dict):
        raise DocumentError(shown(value), "an object")


def check_length(items: Sequence[object], length: int, noun: str, at: str) -> None:
    """
    Check the length of an array that depends on another part of the document.

    Args:
        items: the array.
        length: the expected number of items.
        noun: the items, for the message, such as ``"counts, one for each bin"``.
        at: the position of the array, as in `DocumentError`.

    Raises:
        DocumentError: the array has another length.
    """
    if len(items) != length:
        actual = f"an array of {len(items)}"
        raise DocumentError(actual, f"{length} {noun}", at)


# --- conditions ------------------------------------------------------------------------------------------------------


def increasing(values: Sequence[float]) -> bool:
    """Return whether each number is larger than the one before."""
    return all(low < high for low, high in pairwise(values))


def unique(values: Sequence[object]) -> bool:
    """Return whether no value appears twice."""
    return len(set(values)) == len(values)
