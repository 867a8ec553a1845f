"""Rows that must pass through user functions before they are counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from driftline._capture.reader import Batch
from driftline._recording.buffer import FIELDS
from driftline._runtime.watched_lock import WatchedLock
from driftline.typing import Column

__all__ = ["DeferredRows", "group_by_kind", "split_batch"]

PIECE_ROWS = 2_048
"""Rows of a batch that pass through user functions in one step. Other threads wait at most that long."""


class DeferredRows:
    """
    The number of rows in the batches of a buffer, which its length does not tell.

    Attributes:
        work: the lock that is held while user functions run. No other lock is held then.
        rows: the number of rows.
    """

    __slots__ = ("_last", "_lock", "rows", "work")

    def __init__(self) -> None:
        self.work = WatchedLock()
        self._lock = threading.Lock()
        self._last = 0
        self.rows = 0

    @property
    def ahead(self) -> int:
        """The number of rows in front of the last batch, which are its caller's concern."""
        return self.rows - self._last

    def add(self, rows: int) -> None:
        """Count a batch that is about to be appended."""
        with self._lock:
            self._last = rows
            self.rows += rows

    def remove(self, rows: int) -> None:
        """Count a batch that has left the buffer."""
        with self._lock:
            self.rows -= rows

    def remove_entries(self, entries: list[Any]) -> int:
        """Count entries that leave the buffer without being binned, and return their number of rows."""
        rows = 0
        for captured in entries[::FIELDS]:
            if captured.__class__ is Batch:
                self.remove(captured.rows)
                rows += captured.rows
            else:
                rows += 1
        return rows


def group_by_kind(entries: list[Any]) -> Iterator[tuple[bool, list[Any]]]:
    """Split entries into runs of batches (True) and of rows (False), in their order."""
    for is_batch, group in groupby(range(0, len(entries), FIELDS), lambda start: entries[start].__class__ is Batch):
        starts = list(group)
        yield is_batch, entries[starts[0] : starts[-1] + FIELDS]


def split_batch(batch: Batch) -> Iterator[tuple[Sequence[Column | None], int]]:
    """Split a batch into pieces of at most `PIECE_ROWS` rows: the columns of each, and its number of rows."""
    for start in range(0, batch.rows, PIECE_ROWS):
        piece = slice(start, min(batch.rows, start + PIECE_ROWS))
        yield [None if column is None else column[piece] for column in batch.columns], piece.stop - start
