"""Tells by the class of a result whether it is the prediction, or something that leads to it later."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from types import CoroutineType, GeneratorType
from typing import Literal, TypeAlias

__all__ = ["MAX_KINDS", "Late", "late_kind"]

Late: TypeAlias = Literal["coroutine", "future", "awaitable", "generator", "async generator"]
"""What is awaited, calls back, is awaited but is nothing else, or is iterated."""

_NAMES = {
    *("__await__", "__next__", "__anext__", "send", "throw", "close", "asend", "athrow", "aclose"),
    *("add_done_callback", "_asyncio_future_blocking", "set_running_or_notify_cancel"),
}
"""The methods by which the classes differ."""

_FUTURES = {"_asyncio_future_blocking", "set_running_or_notify_cancel"}
"""What `asyncio.isfuture` looks for, and what only futures of `concurrent.futures` have."""

HEAP_TYPE = 1 << 9
"""The flag ``Py_TPFLAGS_HEAPTYPE`` of classes that a ``class`` statement made, not C."""

MAX_KINDS = 256
"""Number of classes of results that are remembered at most. Programs may make classes without end."""

kinds: dict[int, tuple[weakref.ref[type], Late | None]] = {}
"""
By the identity of a class: the class, and its kind. The class itself would be held alive.

It is no key, because its metaclass may have no hash, or run code for it.
"""

_parents: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_namespace: Callable[[type], Mapping[str, object]] = type.__dict__["__dict__"].__get__


def late_kind(kind: type) -> Late | None:
    """
    Return what a result of this class leads to the prediction by, or None if it is the prediction itself.

    Methods that a class gets after the first call do not count.
    """
    known = kinds.get(id(kind))
    if known is not None and known[0]() is kind:
        return known[1]
    late = _kind_by_names(kind)
    if len(kinds) >= MAX_KINDS:
        kinds.clear()
    kinds[id(kind)] = weakref.ref(kind), late
    return late


def _kind_by_names(kind: type) -> Late | None:
    """Return the same by the methods that the class and its parents define, or None."""
    if kind is CoroutineType:
        return "coroutine"
    if kind is GeneratorType:
        return "generator"
    # The names that a class defines, because `issubclass` with an ABC runs code of metaclasses, as an attribute may.
    names = {name for parent in _parents(kind) for name in _namespace(parent) if name in _NAMES}
    if "add_done_callback" in names and names & _FUTURES:
        return "future"
    if "__await__" in names:
        if {"send", "throw", "close"} <= names:
            return "coroutine"
        # Nothing can stand for an object whose memory functions in C read, such as a number or a reference of Ray.
        return "awaitable" if all(parent.__flags__ & HEAP_TYPE for parent in _parents(kind)[:-1]) else None
    if {"__anext__", "asend", "athrow", "aclose"} <= names:
        return "async generator"
    return "generator" if {"__next__", "send", "throw", "close"} <= names else None
