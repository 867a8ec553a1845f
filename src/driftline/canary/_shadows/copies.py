"""Copies inputs, so that the candidate gets what the baseline got, whatever the application changes afterwards."""

from __future__ import annotations

import array
import copy
import dataclasses
import datetime as dt
import decimal
import fractions
import types
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from driftline._capture.libraries import origin
from driftline._runtime.guard import UnreadableError

__all__ = ["deep_copy"]

MAX_DEPTH = 100
"""Levels of containers that are copied. No input of a model is deeper, and Python's limit of recursion is 1,000."""

IMMUTABLE = frozenset(
    {
        *(int, float, bool, complex, str, bytes, type(None), range, slice),
        *(dt.date, dt.datetime, dt.time, dt.timedelta, dt.timezone),
        *(decimal.Decimal, fractions.Fraction, uuid.UUID, frozenset),
        *(np.float64, np.float32, np.int64, np.int32, np.bool_, np.str_, np.datetime64),
        *(type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
    }
)
"""Types that are passed on as they are, although a frozen set may hold objects that change."""

DICTS = frozenset({dict, OrderedDict, defaultdict})

SEQUENCES = frozenset({list, deque})

MODELS = ("__pydantic_fields__", "__pydantic_validator__", "__fields_set__")
"""Attributes by which classes of pydantic are known, without importing it."""


def deep_copy(value: Any) -> Any:
    """
    Return a copy of an input.

    Dicts, lists, tuples, sets and their subclasses, arrays, frames, dataclasses and models of pydantic are copied, at
    any depth. Other objects, such as tensors, requests or clients, are passed on as they are.

    Raises:
        UnreadableError: the input has more than `MAX_DEPTH` levels.
    """
    return value if type(value) in IMMUTABLE else _copy(value, 0, {})


def _copy(value: Any, depth: int, memo: dict[int, Any]) -> Any:
    kind = type(value)
    if kind in IMMUTABLE:
        return value
    if depth > MAX_DEPTH:
        msg = f"an input of more than {MAX_DEPTH} levels cannot be copied for a shadow: pass copy="
        raise UnreadableError(msg)
    known = memo.get(id(value))
    if known is not None:
        return known
    if isinstance(value, dict):
        return _copy_dict(value, depth, memo)
    if isinstance(value, (list, deque)):
        return _copy_sequence(value, depth, memo)
    if isinstance(value, tuple):
        return _copy_tuple(value, depth, memo)
    if isinstance(value, (set, bytearray)):
        return value.copy() if kind in {set, bytearray} else copy.copy(value)
    if isinstance(value, np.ndarray):
        return _copy_array(value, depth, memo)
    if kind is array.array:
        return value[:]
    return _copy_object(value, depth, memo)


def _are_immutable(values: Iterable[Any]) -> bool:
    return IMMUTABLE.issuperset(map(type, values))


def _copy_dict(value: dict[Any, Any], depth: int, memo: dict[int, Any]) -> Any:
    copied = value.copy() if type(value) in DICTS else copy.copy(value)
    if not _are_immutable(copied.values()):
        memo[id(value)] = copied
        for name, inner in list(copied.items()):
            if type(inner) not in IMMUTABLE:
                copied[name] = _copy(inner, depth + 1, memo)
    return copied


def _copy_sequence(value: Any, depth: int, memo: dict[int, Any]) -> Any:
    copied = value.copy() if type(value) in SEQUENCES else copy.copy(value)
    if not _are_immutable(copied):
        memo[id(value)] = copied
        for index, inner in enumerate(copied):
            if type(inner) not in IMMUTABLE:
                copied[index] = _copy(inner, depth + 1, memo)
    return copied


def _copy_tuple(value: tuple[Any, ...], depth: int, memo: dict[int, Any]) -> Any:
    if _are_immutable(value):
        return value
    items = [_copy(inner, depth + 1, memo) for inner in value]
    kind: Any = type(value)
    if kind is tuple:
        return tuple(items)
    return kind._make(items) if hasattr(kind, "_make") else value


def _copy_array(value: np.ndarray[Any, Any], depth: int, memo: dict[int, Any]) -> Any:
    copied = value.copy(order="K")
    if copied.dtype == object:
        for index, inner in enumerate(copied.flat):
            if type(inner) not in IMMUTABLE:
                copied.flat[index] = _copy(inner, depth + 1, memo)
    return copied


def _copy_object(value: Any, depth: int, memo: dict[int, Any]) -> Any:
    """Copy a frame, a dataclass or a model of pydantic. Return any other object itself."""
    kind = type(value)
    package, _ = origin(value)
    if package == "pandas":
        return value.copy() if hasattr(value, "copy") else value
    if package == "polars":
        return value.clone() if hasattr(value, "clone") else value
    if package or isinstance(value, type):  # what pyarrow holds does not change
        return value
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
    elif any(hasattr(kind, name) for name in MODELS):
        names = list(vars(value))
    elif hasattr(value, "columns") or kind.__module__.startswith("scipy.sparse"):
        return value.copy() if hasattr(value, "copy") else value
    else:
        return value
    copied = memo[id(value)] = copy.copy(value)
    for name in names:
        inner = getattr(copied, name)
        if type(inner) not in IMMUTABLE:
            # Also of frozen classes, whose own assignment raises. No validation of pydantic runs.
            object.__setattr__(copied, name, _copy(inner, depth + 1, memo))
    return copied
