"""Work that is deferred to the worker thread: rows that pass through user functions before they are binned."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from driftline._capture.captured import Batch
from driftline._recording.buffer import FIELDS, NO_CALL
from driftline._runtime.watched_lock import WatchedLock
from driftline.typing import Column

__all__ = ["DeferredWork", "group_by_kind", "split_batch"]

PIECE_ROWS = 2_048
"""Rows of a batch that pass through user functions in one step. Other threads wait at most that long."""


class DeferredWork:
    """
    The lock under which user functions run, and the number of rows in pending batches.

    The batches themselves are entries of the `CallBuffer`, whose length does not show their numbers of rows.

    Attributes:
        lock: the lock that a thread holds while it runs user functions. It holds no other lock then.
        batch_rows: the number of rows in the batches of the buffer.
    """

    __slots__ = ("_count_lock", "_last", "batch_rows", "lock")

    def __init__(self) -> None:
        self.lock = WatchedLock()
        self._count_lock = threading.RLock()
        self._last = 0
        self.batch_rows = 0

    def backlog(self, *, threaded: bool) -> int:
        """Return the number of pending rows in batches. If *threaded*, skip the last batch, which may be large."""
        return self.batch_rows - self._last if threaded else self.batch_rows

    def append(self, batch: Batch, entries: list[Any]) -> None:
        """Append a batch to the entries of the buffer, and add its rows, so that `count` sees both or neither."""
        entry = (batch, None, NO_CALL, None)
        with self._count_lock:
            # Without a call, so that no interrupt comes between.
            self._last = batch.rows
            self.batch_rows += batch.rows
            entries += entry

    def remove(self, rows: int) -> None:
        """Subtract the rows of a batch that was removed from the buffer."""
        with self._count_lock:
            self.batch_rows -= rows

    def count(self, entries: list[Any]) -> None:
        """Count the rows of the batches among all entries of the buffer again, after an interrupt."""
        with self._count_lock:
            self.batch_rows = sum(captured.rows for captured in entries[::FIELDS] if captured.__class__ is Batch)

    def remove_entries(self, entries: list[Any]) -> int:
        """
        Subtract the rows of the batches among removed entries that are not binned.

        Args:
            entries: a flat list, `FIELDS` items per entry.

        Returns:
            the number of rows in all entries, single rows included.
        """
        rows = 0
        for captured in entries[::FIELDS]:
            if captured.__class__ is Batch:
                self.remove(captured.rows)
                rows += captured.rows
            else:
                rows += 1
        return rows


def group_by_kind(entries: list[Any]) -> Iterator[tuple[bool, list[Any]]]:
    """
    Split a flat list of entries into runs of batches and runs of single rows, in order.

    Yields:
        (whether the run consists of batches, the run as a flat list of entries).
    """
    for is_batch, group in groupby(range(0, len(entries), FIELDS), lambda start: entries[start].__class__ is Batch):
        starts = list(group)
        yield is_batch, entries[starts[0] : starts[-1] + FIELDS]


def split_batch(batch: Batch) -> Iterator[tuple[Sequence[Column | None], int]]:
    """
    Split a batch into pieces of at most `PIECE_ROWS` rows.

    Yields:
        (the columns of the piece, with None for a missing column; its number of rows).
    """
    for start in range(0, batch.rows, PIECE_ROWS):
        piece = slice(start, min(batch.rows, start + PIECE_ROWS))
        yield [None if column is None else column[piece] for column in batch.columns], piece.stop - start
