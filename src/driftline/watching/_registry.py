"""The watched objects of this process. Each is held weakly, so that a dropped model takes its monitor with it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftline.watching._watched import Watched

__all__ = ["add", "find", "remove"]

_watched: dict[int, tuple[weakref.ref[Any], Watched]] = {}
"""By ``id`` of the object, which is unique while the object lives. The reference removes the entry when it dies."""


def add(model: Any, watched: Watched) -> None:
    """
    Keep what records the calls of an object, until the object dies.

    Raises:
        TypeError: no weak reference to the object is possible.
    """
    key = id(model)

    def forget(reference: weakref.ref[Any]) -> None:
        entry = _watched.get(key)
        if entry is not None and entry[0] is reference:
            del _watched[key]

    _watched[key] = weakref.ref(model, forget), watched


def find(model: Any) -> Watched | None:
    """Return what records the calls of an object, or None if it is not watched."""
    entry = _watched.get(id(model))
    return None if entry is None or entry[0]() is not model else entry[1]


def remove(model: Any) -> None:
    """Forget an object."""
    _watched.pop(id(model), None)
