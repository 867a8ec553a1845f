"""The buffer that a single call appends its row to, in as few steps as possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from driftline._capture.captured import Batch, Captured
from driftline._capture.columns import Row
from driftline._capture.ownership import shorten
from driftline._capture.reader import FeatureReader

__all__ = [
    "BUFFER_ROWS",
    "CHUNK_ROWS",
    "FIELDS",
    "MIN_ROWS",
    "NO_CALL",
    "NO_OUTPUT",
    "ROWS",
    "START_LIMIT",
    "WAKE_ROWS",
    "Call",
    "CallBuffer",
    "CallSink",
    "Entry",
    "Failure",
    "buffer_rows",
    "chunk_rows",
    "pop_head",
    "share_rows",
]

ROWS = frozenset({tuple, bytes, dict})
"""The classes of one captured row. A capture of another class is a batch, or was not read."""

BUFFER_VALUES, BUFFER_ROWS = 160_000, 2_048
"""
Values, and rows, in a buffer from which callers bin a share, so that no row is lost. They take at most 10 MB.

A longer buffer would no longer fit into the cache of the core that has just written it.
"""

WAKE_ROWS = 1_024
"""Rows in a buffer that wake the worker thread early."""

CHUNK_VALUES, CHUNK_ROWS = 5_120, 256
"""Values, and rows, that the worker thread bins in one step. A caller bins a whole share in one step."""

MIN_ROWS = 64
"""Rows of the smallest chunk or share, even with thousands of features. Less would be mostly overhead of numpy."""

SHARE_VALUES, SHARE_ROWS = 30_720, 1_536
"""
Values, and rows, of a share: the rows that a caller bins when the worker thread does not keep up.

Binning them takes 2 to 4 ms, and recording their durations 10 to 20 ms, which is the price of the SDK. With up to
thirty features 999 of 1,000 calls then do no such work. Shares of sixty rows, or of four durations, were in the p99 of
the calls.
"""

Entry: TypeAlias = "tuple[Row | dict[str, object] | Batch, object, float, object]"
"""
A row, its output, the seconds of its call, and what the call keeps of its context (`split_context`).

If the first item is a `Batch`, the output is None. Its rows pass through user functions after the rows before it.
"""

START_LIMIT = 1
"""The `CallBuffer.limit` of an empty buffer: the first call then starts the worker thread."""

FIELDS = 4
"""
Items of the buffer per entry. The buffer holds the fields of all entries in one flat list.

Python's garbage collector would scan a thousand tuples with dicts repeatedly. That took a quarter of the CPU of a call.
The collector does not scan dicts of numbers and strings.
"""

Call: TypeAlias = "tuple[float, object, int]"
"""Seconds of a call, what it keeps of its context, and its number of predictions."""

Failure: TypeAlias = "tuple[float, object, str, int]"
"""
Seconds of a call that raised, what it keeps of its context, its error type, and the predictions that it did not make.
"""

INSPECTED_ROWS = 256
"""Rows between two inspections of the buffer. Fewer would be in the p99 of the calls."""

NO_CALL = math.nan
"""The seconds of a row that shares its call with others, as in a small batch, or that has no call."""

NO_OUTPUT: Final = object()
"""The output of rows of which only the features are recorded. None is what a function without a result returns."""


def pop_head(items: list[Any], limit: int) -> list[Any]:
    """Remove and return the first *limit* items of a list, or all if it is shorter. Other threads may append to it."""
    head = items[:limit]
    del items[: len(head)]
    return head


def buffer_rows(width: int) -> int:
    """Return the number of rows of *width* features that a buffer may hold."""
    return max(CHUNK_ROWS, min(BUFFER_ROWS, BUFFER_VALUES // max(1, width)))


def chunk_rows(width: int) -> int:
    """Return the number of rows of *width* features that the worker thread bins in one step."""
    return max(MIN_ROWS, min(CHUNK_ROWS, CHUNK_VALUES // max(1, width)))


def share_rows(width: int) -> int:
    """Return the number of rows of *width* features in a share, which a caller bins in one step."""
    return max(MIN_ROWS, min(SHARE_ROWS, SHARE_VALUES // max(1, width)))


class CallSink(Protocol):
    """The object that records the calls of a buffer."""

    def record(self, captured: Captured, output: Any, seconds: float, context: object) -> None:
        """Record one successful call."""
        ...

    def record_failure(self, captured: Captured, seconds: float, context: object, error: str) -> None:
        """Record a call that raised."""
        ...

    def record_batch(self, captured: Captured, outputs: Any) -> None:
        """Record rows without a call."""
        ...


class CallBuffer:
    """
    A buffer of single rows, and everything that the decorator's wrapper needs to append one.

    A call ends in the buffer in which it began. Its features are read and counted in the order of one reference, even
    if the reference is replaced meanwhile.

    A call extends a list, compares its length, and takes no lock. ``list.extend`` by a tuple is atomic, with and
    without the GIL. So are the copy and the deletion of the list's head, which need the recorder's lock.

    Args:
        sink: records the calls that do not take the fast path.
        capture: reads and copies the features of a call. A `FeatureReader` opens the fast path.
        capture_batch: reads the features of a batch without a call.
        append: appends an entry. By default the buffer extends *entries*.

    Attributes:
        sink: as above, until `redirect`.
        capture: as above.
        capture_batch: as above.
        inline: the class of features that the fast path copies without *readers*, as `FeatureReader.inline`.
        width: the number of features.
        first: the name of the first feature.
        align: brings rows that are dicts into the order of the reference. If None, no row is a dict.
        has_keys: whether calls keep the bucket of their key.
        readers: by class, a function that turns features into a row. Other classes are read by *capture*.
        append: appends an entry.
        entries: the entries, `FIELDS` items each.
        limit: the length of *entries* at which a caller calls `Backpressure.relieve`.
        shortens: whether outputs that are long strings are kept as their labels.
        read_context: returns what a call keeps of its context (`driftline._recording.call_contexts`). If None, that is
            nothing.
    """

    __slots__ = (
        "_append",
        "_inspected",
        "align",
        "append",
        "capture",
        "capture_batch",
        "entries",
        "first",
        "has_keys",
        "inline",
        "limit",
        "read_context",
        "readers",
        "shortens",
        "sink",
        "width",
    )

    def __init__(
        self,
        sink: CallSink,
        capture: Callable[[Any], Captured],
        capture_batch: Callable[[Any], Captured],
        append: Callable[[Entry], None] | None = None,
    ) -> None:
        self.sink = sink
        self.capture, self.capture_batch = capture, capture_batch
        self._append = append
        self.read_context: Callable[[], object] | None = None
        self.has_keys = False
        self.width, self.first = 0, ""
        self.inline: type[dict[Any, Any]] | None = None
        self._inspected = [each for each in (capture, capture_batch) if isinstance(each, FeatureReader)]
        self.shortens = False
        self.align: Callable[[Sequence[Any]], Sequence[Row]] | None = None
        self.readers: Mapping[type, Callable[[Any], Any]] = {}
        if isinstance(capture, FeatureReader):
            self.width, self.first = len(capture.names), capture.names[0]
            self.align = capture.align if capture.late else None
            self.readers = capture.readers
        self.clear()

    def clear(self) -> None:
        """Remove all entries, and let the next caller start the worker thread."""
        self.entries: list[Any] = []
        self.append: Callable[[Entry], None] = (
            self._append_shortened if self.shortens else self._append or self.entries.extend
        )
        self.limit = START_LIMIT

    def _append_shortened(self, entry: Entry) -> None:
        """Append an entry, with the label of its output if that is a long string."""
        row, output, seconds, context = entry
        (self._append or self.entries.extend)((row, shorten(output), seconds, context))

    def inspect(self) -> None:
        """
        Look at the newest entry, and bound the memory of later ones if it is large.

        Entries wait by the thousand, and their values as they are. Most hosts have small ones, so that a look at one of
        `INSPECTED_ROWS` is enough to find out about those that have not.
        """
        newest = self.entries[-FIELDS:]
        if newest:
            self.inspect_row(newest[0])
        if not self.shortens and newest and shorten(newest[1]) is not newest[1]:
            self.shortens = True
            if self.append is not None and self.append == (self._append or self.entries.extend):
                self.append = self._append_shortened

    def inspect_row(self, row: Any) -> None:
        """Inspect all further reads if a captured row is large, or holds values that the caller may change."""
        for reader in self._inspected:
            reader.inspect(row)
        if isinstance(self.capture, FeatureReader):
            self.inline = self.capture.inline

    def append_with(self, append: Callable[[Entry], None]) -> None:
        """Let calls append their entries with this function from now on."""
        self._append = append
        self.append = self._append_shortened if self.shortens else append

    def redirect(self, sink: CallSink, append: Callable[[Entry], None]) -> None:
        """Let *sink* record the calls that end from now on. The fast path calls *append* instead."""
        self.sink, self.append = sink, append

    @property
    def rows(self) -> int:
        """The number of entries."""
        return len(self.entries) // FIELDS

    def relieve_at(self, rows: int) -> None:
        """Let callers call `Backpressure.relieve` once the buffer holds this number of entries, or needs `inspect`."""
        self.limit = min(rows * FIELDS, len(self.entries) + INSPECTED_ROWS * FIELDS)
