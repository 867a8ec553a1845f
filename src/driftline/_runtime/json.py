"""
JSON documents of unknown content, read by a description of each part.

A description is a function. It gets a parsed JSON value, returns the value that it represents, and raises a
`DocumentError` if it represents none. Descriptions of large parts are made from those of small parts::

    point = record(Point, x=number, y=number, label=absent("", string))
    drawing = read(text, record(Drawing, points=array(point, most=100)))

The error names the part of the document: ``points[3].x is 'a', expected a finite number``.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias, TypeVar

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
"""A description: returns the value that a parsed JSON value represents, or raises `DocumentError`."""

MAX_COUNT = 2**53
"""Largest integer: larger ones are not exact in every JSON reader."""

MOST_SHOWN = 80
"""Characters of a value, or of a key, in an error message."""


class DocumentError(Exception):
    """
    A part of a document differs from its description.

    Args:
        actual: the value in the document, for the message; empty if there is nothing to show.
        expected: the values that the description accepts.
        at: the part, relative to the value that was read: ``""``, ``".key"`` or ``"[index]"``, or several of them.
    """

    def __init__(self, actual: str, expected: str, at: str = "") -> None:
        super().__init__(actual, expected)
        self.actual = actual
        self.expected = expected
        self.at = at

    def __str__(self) -> str:
        actual = f"{self.at.lstrip('.') or 'the document'} is {self.actual}, " if self.actual else ""
        return f"{actual}expected {self.expected}"


class _Absent:
    """Stands for a key that an object does not have."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()


def read(text: str, reader: Reader[T]) -> T:
    """
    Parse a JSON string, and return the value that a description reads from it.

    Raises:
        DocumentError: the string is not JSON, or *reader* does not describe it.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        actual = ""
        raise DocumentError(actual, f"JSON: {error}") from error
    return reader(document)


def members(value: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, in their order: the object that `record` reads."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _refuse_constant(name: str) -> float:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


def part(at: str, reader: Reader[T], value: Any) -> T:
    """Read one part of a value; an error names the part as *at*."""
    try:
        return reader(value)
    except DocumentError as error:
        error.at = at + error.at
        raise


def shown(value: object) -> str:
    """A value as an error message shows it."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


# --- descriptions of single values -----------------------------------------------------------------------------------


def integer(least: int = 0, most: int = MAX_COUNT) -> Reader[int]:
    """An integer from *least* to *most*."""

    def reader(value: Any) -> int:
        if value.__class__ is not int or not least <= value <= most:
            raise DocumentError(shown(value), f"an integer of at least {least}")
        return value

    return reader


count = integer()


def number(value: Any) -> float:
    """A finite number."""
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
    """A string, perhaps an empty one."""
    if not isinstance(value, str):
        raise DocumentError(shown(value), "a string")
    return value


def name(value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise DocumentError(shown(value), "a string that is not empty")
    return value


def boolean(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise DocumentError(shown(value), "true or false")
    return value


def choice(*values: str) -> Reader[str]:
    """One of several strings."""
    expected = " or ".join(map(repr, values))

    def reader(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise DocumentError(shown(value), expected)
        return value

    return reader


# --- descriptions made from other descriptions -----------------------------------------------------------------------


def check(reader: Reader[T], holds: Callable[[T], bool], expected: str) -> Reader[T]:
    """A value that *reader* describes and for which a condition holds."""

    def read_checked(value: Any) -> T:
        result = reader(value)
        if not holds(result):
            raise DocumentError(shown(value), expected)
        return result

    return read_checked


def verified(reader: Reader[T], verify: Callable[[T], None]) -> Reader[T]:
    """A value that *reader* describes and *verify* accepts: *verify* raises `DocumentError` for parts that disagree."""

    def read_checked(value: Any) -> T:
        result = reader(value)
        verify(result)
        return result

    return read_checked


positive = check(number, lambda value: value > 0.0, "a positive number")


def nullable(reader: Reader[T]) -> Reader[T | None]:
    """A value that *reader* describes; None for null and for an absent key."""
    return lambda value: None if value is None or value is ABSENT else reader(value)


def absent(default: T, reader: Reader[T]) -> Reader[T]:
    """A value that *reader* describes; a default for an absent key, but not for null."""
    return lambda value: default if value is ABSENT else reader(value)


def array(reader: Reader[T], *, most: int | None = None, size: int | None = None) -> Reader[tuple[T, ...]]:
    """An array of at most *most* items, or of exactly *size*."""
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
    """An array with one item for each of *readers*, which *build* gets as arguments."""
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
    """An object with any keys, at most *most* of them."""

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
            error.at = f".{key[:MOST_SHOWN]}{error.at}"
            raise
        return results

    return read_object


def record(build: Callable[..., T], /, **fields: Reader[Any]) -> Reader[T]:
    """An object with certain keys, which *build* gets as keyword arguments; other keys are ignored."""

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
    """An object that fits one of several descriptions, which the string under *key* names."""
    kind = choice(*readers)

    def reader(value: Any) -> T:
        _check_object(value)
        return readers[part(f".{key}", kind, value.get(key, ABSENT))](value)

    return reader


def versioned(supported: int, reader: Reader[T]) -> Reader[T]:
    """An object whose ``schema_version`` is *supported*."""

    def read_checked(value: Any) -> T:
        _check_object(value)
        version = value.get("schema_version", ABSENT)
        if isinstance(version, bool) or version != supported:
            newer = isinstance(version, int) and version > supported
            expected = f"{supported}" + ": a newer driftline wrote this document" * newer
            raise DocumentError(shown(version), expected, ".schema_version")
        return reader(value)

    return read_checked


def _check_object(value: Any) -> None:
    if not isinstance(value, dict):
        raise DocumentError(shown(value), "an object")


def check_length(items: Sequence[object], length: int, noun: str, at: str) -> None:
    """
    Check the length of an array that another part of the document decides.

    Args:
        items: the array.
        length: items that are expected.
        noun: the items, for the message: ``"counts, one for each bin"``.
        at: the part, as in `DocumentError`.

    Raises:
        DocumentError: it has another length.
    """
    if len(items) != length:
        actual = f"an array of {len(items)}"
        raise DocumentError(actual, f"{length} {noun}", at)


# --- conditions ------------------------------------------------------------------------------------------------------


def increasing(values: Sequence[float]) -> bool:
    """Whether each number is larger than the one before."""
    return all(low < high for low, high in pairwise(values))


def unique(values: Sequence[object]) -> bool:
    """Whether no value appears twice."""
    return len(set(values)) == len(values)
