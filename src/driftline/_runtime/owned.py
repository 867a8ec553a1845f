"""
Parts of an object that pickle as the attribute of the object that has them.

The closure of a decorated function has such parts, so that a call looks up no attribute. `cloudpickle` stores a closure
by value.
"""

from __future__ import annotations

import copyreg
import weakref
from contextvars import ContextVar
from typing import Any, TypeVar

__all__ = ["OwnedDict", "belongs_to"]

K = TypeVar("K")
V = TypeVar("V")

_owners: dict[int, tuple[weakref.ref[Any], str]] = {}
"""By the identity of a variable, which its owner keeps alive: the owner, and the name of the attribute."""


def belongs_to(owner: Any, name: str, variable: ContextVar[Any]) -> None:
    """Let *variable* pickle as the attribute *name* of *owner*, which refers to it. Others stay without a pickle."""
    key = id(variable)
    _owners[key] = (weakref.ref(owner, lambda _: _owners.pop(key, None)), name)
    if ContextVar not in copyreg.dispatch_table:
        copyreg.pickle(ContextVar, _reduce)


def _reduce(variable: ContextVar[Any]) -> tuple[Any, ...]:
    reference, name = _owners.get(id(variable), (None, ""))
    owner = None if reference is None else reference()
    if owner is None or getattr(owner, name, None) is not variable:
        msg = "cannot pickle '_contextvars.ContextVar' object"  # as Python says it
        raise TypeError(msg)
    return getattr, (owner, name)


class OwnedDict(dict[K, V]):
    """A dict that pickles as the attribute *name* of *owner*, which refers to it."""

    __slots__ = ("_name", "_owner")

    def __init__(self, owner: Any, name: str) -> None:
        super().__init__()
        self._owner, self._name = weakref.ref(owner), name

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._owner(), self._name)
