"""Batches that wait to be binned, as single rows do: how many rows they are."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["Deferred", "take"]


class Deferred:
    """Rows of the batches that wait: those that a list of batches and rows does not tell by its length."""

    __slots__ = ("_lock", "_rows")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = 0

    def enter(self, rows: int) -> int:
        """Count a batch that is about to wait; the rows that did before it."""
        with self._lock:
            before = self._rows
            self._rows += rows
        return before

    def leave(self, rows: int) -> None:
        """Count a batch that waits no longer."""
        with self._lock:
            self._rows -= rows


def take(waiting: list[Any], most: int) -> list[Any]:
    """Cut the head off a list that others append to."""
    head = waiting[:most]
    del waiting[: len(head)]
    return head
