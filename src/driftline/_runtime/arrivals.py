"""
Objects that a pickle holds as their configuration: in each process there is one object for each key.

A pickle may arrive many times in a process: with each task of joblib or Ray, with each load of a model. All of them
stand for one monitor there, so that its windows fill and its series stay few.
"""

from __future__ import annotations

import threading
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from driftline._runtime.process_hooks import in_children

__all__ = ["Arrived", "arrive", "enlist", "new_key"]

KEPT = 16
"""Number of arrived objects that stay alive without a user, so that the next task finds the windows of the last one."""


class Arrived(Protocol):
    """An object that arrives as its configuration."""

    @property
    def ended(self) -> bool:
        """Whether the object has ended in this process, so that the next arrival needs a new one."""
        ...


T = TypeVar("T", bound=Arrived)

_present: weakref.WeakValueDictionary[str, Arrived] = weakref.WeakValueDictionary()
_kept: deque[Arrived] = deque(maxlen=KEPT)
_locks: list[Any] = []


def new_key() -> str:
    """Return a random key. The child of a fork has the keys of its parent, so tasks of the parent find its objects."""
    return uuid.uuid4().hex


def enlist(key: str, thing: Arrived) -> None:
    """Let pickles with this key arrive as *thing* in this process, as long as *thing* is in use."""
    with _lock():
        _present[key] = thing


def arrive(key: str, make: Callable[[], T]) -> T:
    """Return the object of this key in this process. If there is none, or if it has ended, *make* makes it."""
    with _lock():
        present = _present.get(key)
        if present is not None and not present.ended:
            return cast("T", present)
        arrived = make()
        _present[key] = arrived
        _kept.append(arrived)
        return arrived


def _lock() -> Any:
    if not _locks:
        _locks.append(threading.RLock())
        in_children(_renew_lock)
    return _locks[0]


def _renew_lock() -> None:
    _locks[0] = threading.RLock()
