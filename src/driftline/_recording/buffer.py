"""The way of a single call into the buffer, as few steps as can be: what the decorator's wrapper reads and writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from driftline._capture.columns import Row
from driftline._capture.reader import Batch, Captured, FeatureReader

__all__ = [
    "BUFFER_ROWS",
    "CHUNK_ROWS",
    "FEWEST_ROWS",
    "FIELDS",
    "NO_CALL",
    "ROWS",
    "WAKE_ROWS",
    "Call",
    "CallBuffer",
    "End",
    "Entry",
    "Failure",
    "buffer_rows",
    "chunk_rows",
    "shared_rows",
    "take",
]

ROWS = frozenset({tuple, bytes, dict})
"""What one row is captured as; anything else that is captured is a batch, or nothing."""

BUFFER_VALUES, BUFFER_ROWS = 160_000, 2_048
"""
Values, and rows, that wait before callers do a share of the work, so that nothing is lost: at most 10 MB.

Not more, because what a call has written a moment ago is still in its core's cache.
"""

WAKE_ROWS = 1_024
"""Rows at which the drain thread is woken early."""

CHUNK_VALUES, CHUNK_ROWS = 5_120, 256
"""Values, and rows, that the thread bins at once; a caller's share is binned whole."""

FEWEST_ROWS = 64
"""Rows of a chunk, or of a share, even of thousands of features: fewer would be mostly calls of numpy."""

SHARE_VALUES, SHARE_ROWS = 30_720, 1_536
"""
Values, and rows, that a caller bins as its share, 2 to 4 ms, and whose durations it records, 10 to 20 ms, which is what
the SDK takes for them: with up to thirty features so rare that 999 calls of 1,000 do none. Sixty rows, or four
durations, at a time were in the p99 of the calls.
"""

Entry: TypeAlias = "tuple[Row | dict[str, object] | Batch, object, float, object]"
"""
A row, its output, seconds, and the OpenTelemetry context in which the call ran (None: no exemplar is wanted); or a
batch that waits its turn, by itself.
"""

FIELDS = 4
"""
Places of an entry in the buffer, which holds them one after the other, and not in a tuple each.

A thousand tuples with a dict in each would be looked through again and again by Python's collector of garbage, which
was a quarter of the CPU of a call. It does not look at dicts of numbers and texts.
"""

Call: TypeAlias = "tuple[float, object, int]"
"""Seconds, the OpenTelemetry context in which the call ran, and predictions made."""

Failure: TypeAlias = "tuple[float, object, str, int]"
"""Seconds, context, error type, and predictions that were not made."""

NO_CALL = math.nan
"""The seconds of a row that was no call of its own: one of a small batch, or one that was observed."""


def take(waiting: list[Any], most: int) -> list[Any]:
    """Cut the head off a list that others append to."""
    head = waiting[:most]
    del waiting[: len(head)]
    return head


def buffer_rows(width: int) -> int:
    """How many rows of so many features may wait."""
    return max(CHUNK_ROWS, min(BUFFER_ROWS, BUFFER_VALUES // max(1, width)))


def chunk_rows(width: int) -> int:
    """How many rows of so many features the thread bins at once."""
    return max(FEWEST_ROWS, min(CHUNK_ROWS, CHUNK_VALUES // max(1, width)))


def shared_rows(width: int) -> int:
    """How many rows of so many features a caller bins as its share."""
    return max(FEWEST_ROWS, min(SHARE_ROWS, SHARE_VALUES // max(1, width)))


class End(Protocol):
    """Where calls end."""

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """Take down one successful call."""
        ...

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Take down a call that raised."""
        ...

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """Take down rows without a call."""
        ...


class CallBuffer:
    """
    The buffer of single rows, and how they get there.

    A call holds on to the lane that it began in: its features are read and counted in the order of one reference,
    whatever is put in the place of that meanwhile.

    One extension and one comparison of a length per call, and no lock: ``list.extend`` by a tuple is atomic, with and
    without the GIL, and so are the copy and the deletion of a stretch at the list's head, which only who holds the
    recorder's lock does.

    Args:
        end: where calls end that do not go the short way.

    Attributes:
        capture: reads features the long way.
        lookout: reads batches that are no call.
        end: as above.
        inline: the class of features that are copied without asking *readers*, as `FeatureReader.inline`.
        width: the number of features.
        first: the first of them.
        align: puts rows that are dicts in the order of the reference; None: none is.
        readers: by class, what turns features into a row; classes that are not in it are read the long way.
        put: takes an entry down.
        waiting: the entries, `FIELDS` places each.
        limit: the length of *waiting* at which the caller asks for relief.
        exemplars: whether the context of a call is wanted.
    """

    __slots__ = (
        "align",
        "capture",
        "end",
        "exemplars",
        "first",
        "inline",
        "limit",
        "lookout",
        "put",
        "readers",
        "waiting",
        "width",
    )

    capture: Callable[[Any], Captured]
    lookout: Callable[[Any], Captured]

    def __init__(self, end: End) -> None:
        self.end = end
        self.inline: type[dict[Any, Any]] | None = None
        self.align: Callable[[Sequence[Any]], Sequence[Row]] | None = None
        self.width = 0
        self.first = ""
        self.readers: Mapping[type, Callable[[Any], Any]] = {}
        self.exemplars = True
        self.clear()

    def read_by(self, capture: FeatureReader, lookout: FeatureReader) -> None:
        """Read features as *capture* does, batches that are no call as *lookout*, now that the reference is known."""
        self.capture, self.lookout = capture, lookout
        self.width = len(capture.names)
        self.first = capture.names[0]
        self.inline = capture.inline
        self.align = None if capture.inline is None else capture.align
        self.readers = capture.readers

    def clear(self) -> None:
        """Forget everything, and have the next caller start the thread."""
        self.waiting: list[Any] = []
        self.put: Callable[[Entry], None] = self.waiting.extend
        self.limit = 1

    @property
    def rows(self) -> int:
        """Entries that wait."""
        return len(self.waiting) // FIELDS

    def relieve_at(self, rows: int) -> None:
        """Have callers ask for relief when so many entries wait."""
        self.limit = rows * FIELDS
