"""Batches that wait to be binned, as single rows do: how many rows they are."""

from __future__ import annotations

import threading

__all__ = ["Deferred"]


class Deferred:
    """Rows of the batches that wait: those that a list of batches and rows does not tell by its length."""

    __slots__ = ("_last", "_lock", "rows")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self.rows = 0

    @property
    def ahead(self) -> int:
        """Rows of those that wait before the last one: what its caller finds when it comes."""
        return self.rows - self._last

    def enter(self, rows: int) -> None:
        """Count a batch that is about to wait."""
        with self._lock:
            self._last = rows
            self.rows += rows

    def leave(self, rows: int) -> None:
        """Count a batch that waits no longer."""
        with self._lock:
            self.rows -= rows
