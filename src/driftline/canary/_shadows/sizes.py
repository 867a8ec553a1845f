"""Estimates how much memory a value keeps alive, at a cost that does not grow with the value."""

from __future__ import annotations

import sys
import types
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np

from driftline._capture.libraries import origin

__all__ = ["size_of"]

SAMPLE = 256
"""Items of a container that are measured. Longer ones are extrapolated from as many evenly spaced ones."""

MAX_DEPTH = 8
"""Levels of containers and attributes that are measured."""

MAX_VISITS = 5_000
"""Values that are measured at most for one estimate. It takes about 2 ms then."""

NUMBER_BYTES = 32
"""Bytes of a Python number with its pointer: 24 for the object, 8 for the pointer."""

POINTER_BYTES = 8
"""Bytes of a pointer, and of a number in a frame."""

NUMBERS = frozenset({int, float, bool, type(None)})

SIZED = frozenset({str, bytes, bytearray, complex})

CONTAINERS = (list, tuple, set, frozenset, deque)


def size_of(*values: object) -> int:
    """
    Return the bytes of some values together, as an estimate.

    Arrays, columns and frames count with their buffers. Of long containers a sample is measured. The attributes of
    other objects count too. Memory that several values share counts once for each.
    """
    budget = [MAX_VISITS]
    return int(sum(_measure(value, 0, budget) for value in values))


def _measure(value: Any, depth: int, budget: list[int]) -> float:
    kind = type(value)
    if kind in NUMBERS:
        return NUMBER_BYTES
    if kind in SIZED:
        return sys.getsizeof(value)
    if depth > MAX_DEPTH or budget[0] <= 0:
        return NUMBER_BYTES
    budget[0] -= 1
    if isinstance(value, dict):
        # Keys are short strings as a rule, and often the same objects in all inputs.
        if len(value) <= SAMPLE and NUMBERS.issuperset(map(type, value.values())):
            return sys.getsizeof(value) + NUMBER_BYTES * len(value)
        return sys.getsizeof(value) + _measure_items(value.values(), len(value), depth, budget)
    if isinstance(value, CONTAINERS):
        return sys.getsizeof(value) + _measure_items(value, len(value), depth, budget)
    if isinstance(value, np.ndarray):
        elements = _measure_items(value.flat, value.size, depth, budget) if value.dtype == object else 0.0
        return float(value.nbytes) + elements
    package, name = origin(value)
    if package:
        return _measure_frame(value, package, name, depth, budget)
    return _measure_object(value, depth, budget)


def _measure_items(items: Iterable[Any], length: int, depth: int, budget: list[int]) -> float:
    step = max(1, length // SAMPLE)
    measured, total = 0, 0.0
    for item in islice(items, 0, None, step):
        measured += 1
        total += _measure(item, depth + 1, budget)
    return total / measured * length if measured else 0.0


def _measure_frame(value: Any, package: str, name: str, depth: int, budget: list[int]) -> float:
    if package == "polars" and hasattr(value, "estimated_size"):
        return float(value.estimated_size())
    if package == "pyarrow":
        return float(getattr(value, "nbytes", 0))
    if name == "DataFrame":
        columns = [value.iloc[:, index] for index, dtype in enumerate(value.dtypes) if dtype.kind not in "fiubmMc"]
        numbers = float(POINTER_BYTES * len(value) * (value.shape[1] + 1))
        return numbers + sum(_measure_items(column, len(column), depth, budget) for column in columns)
    if hasattr(value, "dtype") and value.dtype.kind not in "fiubmMc":
        return _measure_items(value, len(value), depth, budget)
    return float(getattr(value, "nbytes", NUMBER_BYTES))


def _measure_object(value: Any, depth: int, budget: list[int]) -> float:
    """Measure an object of another class: the buffer that it reports as ``nbytes``, or else its attributes."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int):
        return float(nbytes)
    if isinstance(value, (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)):
        return NUMBER_BYTES
    attributes = getattr(value, "__dict__", None)
    total = float(sys.getsizeof(value))
    if isinstance(attributes, dict):
        total += _measure_items(attributes.values(), len(attributes), depth, budget)
    for parent in type(value).__mro__:
        for descriptor in vars(parent).values():
            if type(descriptor) is types.MemberDescriptorType:
                total += _measure(getattr(value, descriptor.__name__, None), depth + 1, budget)
    return total
