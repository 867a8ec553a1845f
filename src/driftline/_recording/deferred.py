"""Rows that go through functions of the user's before they are counted: in whose thread, and who waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from driftline._capture.reader import Batch
from driftline._recording.buffer import FIELDS
from driftline._runtime.watched_lock import WatchedLock
from driftline.typing import Column

__all__ = ["Deferred", "pieces", "stretches"]

PIECE_ROWS = 2_048
"""Rows of a batch that go through functions of the user's at once: others wait for as long as each piece gets done."""


class Deferred:
    """
    Rows of the batches that wait: those that a list of batches and rows does not tell by its length.

    Attributes:
        work: held while functions of the user's run, and no lock beside it.
        rows: how many they are.
    """

    __slots__ = ("_last", "_lock", "rows", "work")

    def __init__(self) -> None:
        self.work = WatchedLock()
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

    def left_out(self, entries: list[Any]) -> int:
        """How many rows these are that nobody counts."""
        rows = 0
        for captured in entries[::FIELDS]:
            if captured.__class__ is Batch:
                self.leave(captured.rows)
                rows += captured.rows
            else:
                rows += 1
        return rows


def stretches(entries: list[Any]) -> Iterator[tuple[bool, list[Any]]]:
    """Entries that are batches, and those that are rows, each as long as they follow each other."""
    for is_batch, group in groupby(range(0, len(entries), FIELDS), lambda at: entries[at].__class__ is Batch):
        places = list(group)
        yield is_batch, entries[places[0] : places[-1] + FIELDS]


def pieces(batch: Batch) -> Iterator[tuple[Sequence[Column | None], int]]:
    """Columns of a batch, and their number of rows, a piece at a time."""
    for start in range(0, batch.rows, PIECE_ROWS):
        piece = slice(start, min(batch.rows, start + PIECE_ROWS))
        yield [None if column is None else column[piece] for column in batch.columns], piece.stop - start
