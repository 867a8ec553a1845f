"""Copies of inputs, and estimates of their size."""

from __future__ import annotations

import array
import collections
import dataclasses
import typing

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest

from driftline.canary._shadows.copies import MAX_DEPTH, deep_copy
from driftline.canary._shadows.sizes import size_of


class Pair(typing.NamedTuple):
    """A named tuple."""

    first: object
    second: object


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A dataclass whose field changes all the same."""

    parts: list


@dataclasses.dataclass
class Slotted:
    """A dataclass without a dict."""

    __slots__ = ("parts",)

    parts: list


class Model(pydantic.BaseModel):
    """A model of pydantic."""

    parts: list


class Row(dict):
    """A subclass of dict."""


def change_nested(value):
    value["a"]["b"][0]["c"] = -1


CHANGES = {
    "nested dicts": (lambda: {"a": {"b": [{"c": 1}]}}, change_nested),
    "tuple": (lambda: ({"x": 1}, [2]), lambda value: value[0].update(x=-1)),
    "named tuple": (lambda: Pair([1], 2), lambda value: value.first.append(-1)),
    "set": (lambda: {1, 2}, lambda value: value.add(-1)),
    "deque": (lambda: collections.deque([[1]]), lambda value: value[0].append(-1)),
    "ordered": (lambda: collections.OrderedDict(a=[1]), lambda value: value["a"].append(-1)),
    "default": (lambda: collections.defaultdict(list, a=[1]), lambda value: value["b"].append(-1)),
    "subclass": (lambda: Row(a=[1]), lambda value: value["a"].append(-1)),
    "bytes": (lambda: bytearray(b"ab"), lambda value: value.append(1)),
    "array": (lambda: array.array("d", [1.0]), lambda value: value.append(-1.0)),
    "numpy": (lambda: {"x": np.array([1.0])}, lambda value: value["x"].fill(-1)),
    "objects": (lambda: np.array([{"x": 1}, 2], dtype=object), lambda value: value[0].update(x=-1)),
    "frozen": (lambda: Frozen([1]), lambda value: value.parts.append(-1)),
    "slots": (lambda: Slotted([1]), lambda value: value.parts.append(-1)),
    "pydantic": (lambda: Model(parts=[{"x": 1}]), lambda value: value.parts[0].update(x=-1)),
    "pandas": (lambda: pd.DataFrame({"x": [1.0]}), lambda value: value.__setitem__("x", -1.0)),
    "series": (lambda: [pd.Series([1.0])], lambda value: value[0].__setitem__(0, -1.0)),
    "polars": (lambda: pl.DataFrame({"x": [1.0]}), lambda value: value.__setitem__((0, "x"), -1.0)),
}


def shown(value):
    """A value as text."""
    return f"{type(value).__name__} {value.parts if isinstance(value, Slotted) else value}"


@pytest.mark.parametrize(("make", "change"), CHANGES.values(), ids=CHANGES)
def test_a_copy_does_not_change_with_the_input(make, change):
    """At any depth."""
    value = make()
    copied = deep_copy(value)
    assert shown(copied) == shown(make())
    change(value)
    assert shown(value) != shown(make())
    assert shown(copied) == shown(make())


@pytest.mark.parametrize("value", [1, "x", None, ("a", 1), frozenset({1}), pa.table({"x": [1]}), object(), len, dict])
def test_what_does_not_change_or_is_no_data_is_passed_on(value):
    """The same object."""
    assert deep_copy(value) is value


def test_shared_and_circular_references_stay_so():
    """As for `copy.deepcopy`."""
    row = {"x": [1]}
    value = [row, row]
    value.append(value)
    copied = deep_copy(value)
    assert copied[2] is copied
    assert copied[0] is copied[1]
    assert copied[0] is not row


def test_endless_depth_is_refused():
    """Before Python's limit of recursion."""
    value = []
    for _ in range(MAX_DEPTH + 2):
        value = [value]
    with pytest.raises(TypeError, match="more than 100 levels"):
        deep_copy(value)


class Request:
    """An object with a body."""

    def __init__(self, body):
        self.body = body


class Compact:
    """An object without a dict."""

    __slots__ = ("body",)

    def __init__(self, body):
        self.body = body


MEGABYTE = {
    "array": lambda: np.zeros(125_000),
    "bytes": lambda: bytes(1_000_000),
    "strings": lambda: [f"{number:0>95}" for number in range(7_000)],
    "dict": lambda: {"deep": {"deeper": [bytes(1_000_000)]}},
    "rows": lambda: [{"a": float(number), "b": "x" * 100} for number in range(2_700)],
    "pandas": lambda: pd.DataFrame({"x": np.zeros(62_500)}),
    "pandas strings": lambda: pd.DataFrame({"x": pd.Series(["x" * 950] * 1_000, dtype=object)}),
    "polars": lambda: pl.DataFrame({"x": np.zeros(125_000)}),
    "pyarrow": lambda: pa.table({"x": np.zeros(125_000)}),
    "objects": lambda: np.array(["x" * 950] * 1_000, dtype=object),
    "attribute": lambda: Request(bytes(1_000_000)),
    "slot": lambda: Compact(bytes(1_000_000)),
}


@pytest.mark.parametrize("make", MEGABYTE.values(), ids=MEGABYTE)
def test_sizes_are_right_to_a_quarter(make):
    """Of a megabyte in various forms."""
    assert 0.75e6 < size_of(make()) < 1.3e6


def test_the_size_of_circular_references_is_finite():
    """Depth and number of values are limited."""
    value = [1.0]
    value.extend([value] * 300)
    assert size_of(value) < 1e12
