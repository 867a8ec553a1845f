"""
Joins predictions with their outcomes by id, in either order.

An `Event` is a prediction or an outcome that arrives with an id. A `Record` is the state of one id. `advance_record`
contains all rules of the join. Stores keep records and bound their number: `MemoryStore` here, and `FileStore` in
`driftline.outcomes._sqlite_store`.

Each prediction is counted once: as joined, ``expired`` or ``replaced``, unless it is still pending. Each outcome is
counted as joined, ``duplicate``, ``late`` or ``unmatched``. An outcome that arrives before its prediction counts as
``unmatched``, and again as ``early`` and joined once the prediction arrives.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from driftline._runtime.guard import is_contained

__all__ = ["Event", "GradePairs", "JoinResult", "MemoryStore", "Record", "Store", "advance_record", "join_key"]

WAITING, EARLY, DONE, EXPIRED = "waiting", "early", "done", "expired"
"""
States of an id.

``waiting`` is a prediction without an outcome, ``early`` an outcome without a prediction. An id that is ``done``
(joined) or ``expired`` keeps no value. A later outcome for it counts as ``duplicate`` or ``late``.
"""

MAX_KEY_LENGTH = 64
"""Most characters of a join key. A longer id is replaced by its SHA-256 digest, so that memory is bounded."""

MAX_KEY_BITS = 4_096
"""Most bits of an integer that is written in decimal, well below Python's limit of 4,300 digits."""

Source: TypeAlias = "tuple[str, str | None, str | None] | None"
"""The (model, version, variant) that made a prediction; None for those of the monitor that uses the store."""


class Event(NamedTuple):
    """
    A prediction or an outcome that arrived.

    Attributes:
        key: the id, as `join_key` returns it.
        is_outcome: True for an outcome, False for a prediction.
        value: the output or the outcome.
        at: seconds of the clock at which it arrived.
    """

    key: str
    is_outcome: bool
    value: Any
    at: float


class Record(NamedTuple):
    """
    The state of one id.

    Attributes:
        state: ``waiting`` (a prediction without outcome), ``early`` (an outcome without prediction), ``done`` (joined)
            or ``expired``.
        value: the output if ``waiting``, the outcome if ``early``, else None.
        source: model, version and variant of the prediction. None if the monitor that uses this store made it, or if
            there is no prediction yet.
        at: seconds of the clock at which the state began.
    """

    state: str
    value: Any
    source: Source
    at: float


class Pair(NamedTuple):
    """A prediction joined with its outcome: its source (model, version and variant), its output, and the outcome."""

    source: Source
    output: Any
    actual: Any


@dataclass(slots=True)
class JoinResult:
    """
    The result of some events.

    Attributes:
        results: number of predictions or outcomes by (source, result), such as ``(None, "late")``.
        pairs: the joined pairs.
    """

    results: Counter[tuple[Source, str]] = field(default_factory=Counter)
    pairs: list[Pair] = field(default_factory=list)


GradePairs = Callable[[Sequence[Pair]], "Counter[tuple[Source, str]]"]
"""
A function that grades joined pairs. It returns the number of pairs by (source, result), where the result is
``correct``, ``incorrect`` or ``matched`` (ungraded).
"""


class Store(Protocol):
    """
    Keeps predictions until their outcomes arrive.

    Attributes:
        unfinished: what `apply` has done when an interrupt ended it. The next `apply` of the same events goes on with
            that. The caller sets it to None when it has what `apply` returned.
    """

    unfinished: Any

    def apply(self, events: Sequence[Event], now: float, grade: GradePairs) -> JoinResult:
        """
        Join *events* in order and expire old records. If this raises, the store has not changed.

        Args:
            events: predictions and outcomes; empty to only expire records.
            now: seconds of the clock.
            grade: called once with the joined pairs. Its counts are part of the result.
        """
        ...

    def reset(self) -> None:
        """Prepare the store for use in the child of a fork. Records in memory are dropped."""
        ...


def join_key(prediction_id: object) -> str:
    """
    Return the string under which an id is stored: at most 64 characters that UTF-8 can encode.

    An id has the same key after a conversion to JSON, a URL, a database or a column of floats, and back.

    >>> join_key(17) == join_key("17") == join_key(17.0)
    True
    """
    if prediction_id.__class__ is str:
        key: str = prediction_id
    else:
        if isinstance(prediction_id, (float, np.floating)) and prediction_id.is_integer():
            prediction_id = int(prediction_id)
        if isinstance(prediction_id, int) and prediction_id.bit_length() > MAX_KEY_BITS:
            prediction_id = hex(prediction_id)  # the time for decimals grows with the square of the digits
        key = str.__str__(str(prediction_id))  # a __str__ may return an object of a subclass, which SQLite refuses
    if len(key) <= MAX_KEY_LENGTH and key.isascii():
        return key
    return _long_key(key)


def _long_key(key: str) -> str:
    """Return a short id as it is, and the digest of a long one, or of one with half a surrogate pair."""
    try:
        # A character above U+FFFF, and its two halves as some JSON libraries leave them, are one id.
        key = key.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        is_text = False
    else:
        is_text = True
    if is_text and len(key) <= MAX_KEY_LENGTH:
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def advance_record(record: Record | None, event: Event, joined: JoinResult) -> Record:
    """
    Return the record of an id after *event*, and add the results and the pair of this event to *joined*.

    A second prediction with a pending id replaces the first. An id may be used again once its outcome has arrived.

    Args:
        record: the record before the event; None for an unknown id.
        event: the prediction or outcome that arrived.
        joined: the result to which the effects of the event are added.
    """
    state = None if record is None else record.state
    if event.is_outcome:
        if record is not None and state == WAITING:
            joined.pairs.append(Pair(record.source, record.value, event.value))
            return Record(DONE, None, record.source, event.at)
        if record is not None and state in {DONE, EARLY}:
            joined.results[record.source, "duplicate"] += 1
            return record
        if record is not None and state == EXPIRED:
            joined.results[record.source, "late"] += 1
            return Record(DONE, None, record.source, event.at)
        joined.results[None, "unmatched"] += 1
        return Record(EARLY, event.value, None, event.at)
    if record is not None and state == EARLY:
        joined.results[None, "early"] += 1
        joined.pairs.append(Pair(None, event.value, record.value))
        return Record(DONE, None, None, event.at)
    if record is not None and state == WAITING:
        joined.results[record.source, "replaced"] += 1
    return Record(WAITING, event.value, None, event.at)


class _Progress:
    """
    What `MemoryStore.apply` has done before an interrupt.

    Args:
        first: the first of the events.

    Attributes:
        first: as above.
        events: the number of events that are joined.
        results: the result of each event that has one.
        pairs: the joined pairs.
    """

    __slots__ = ("events", "first", "pairs", "results")

    def __init__(self, first: Event | None) -> None:
        self.first = first
        self.events = 0
        self.results: list[tuple[Source, str]] = []
        self.pairs: list[Pair] = []


class MemoryStore:
    """
    A bounded store in the memory of one process.

    Args:
        capacity: largest number of pending predictions, of early outcomes, and of done or expired ids. Beyond it, the
            oldest pending prediction expires. The oldest early outcome, done id or expired id is deleted.
        expire: seconds after which a record expires. If None, records never expire by age.
    """

    __slots__ = ("_capacity", "_expire_seconds", "_states", "unfinished")

    def __init__(self, capacity: int, expire: float | None) -> None:
        self._capacity = capacity
        self._expire_seconds = expire
        self.reset()

    def reset(self) -> None:
        """Drop all records: the child of a fork starts empty."""
        # Done and expired ids share one bound, because both only classify a further outcome.
        self._states: dict[str, OrderedDict[str, Record]] = {
            WAITING: OrderedDict(),
            EARLY: OrderedDict(),
            DONE: OrderedDict(),
        }
        self.unfinished: _Progress | None = None

    def apply(self, events: Sequence[Event], now: float, grade: GradePairs) -> JoinResult:
        """See `Store`."""
        progress = self.unfinished
        if progress is None or not events or progress.first is not events[0]:
            self.unfinished = progress = _Progress(events[0] if events else None)
        try:
            joined = self._join(events, progress)
            if self._expire_seconds is not None:
                self._expire_before(now - self._expire_seconds, now, joined)
            joined.results.update(grade(joined.pairs))
        except BaseException as error:
            if is_contained(error):
                self.unfinished = None
            raise
        return joined

    def _join(self, events: Sequence[Event], progress: _Progress) -> JoinResult:
        """Join the events after those of *progress*. After an interrupt, none is joined twice or skipped."""
        results, pairs, change = progress.results, progress.pairs, JoinResult()
        waiting, early, done = self._states.values()
        for event in events[progress.events :]:
            key = event.key
            former = waiting if key in waiting else early if key in early else done if key in done else None
            record = advance_record(None if former is None else former[key], event, change)
            records = self._states[DONE if record.state == EXPIRED else record.state]
            # Without a call, so that no interrupt comes between.
            if former is not None:
                del former[key]
            records[key] = record
            results += change.results
            pairs += change.pairs
            progress.events += 1
            change.results.clear()
            change.pairs.clear()
            if len(records) > self._capacity:
                expired = JoinResult()
                self._expire_oldest(records, record.at, expired)
                results += expired.results
        return JoinResult(Counter(results), [*pairs])

    @property
    def pending(self) -> int:
        """Number of predictions without an outcome."""
        return len(self._states[WAITING])

    def __len__(self) -> int:
        return sum(map(len, self._states.values()))

    def _insert(self, key: str, record: Record, joined: JoinResult) -> None:
        """Add a record as the newest of its state. Beyond the capacity, expire the oldest."""
        records = self._states[DONE if record.state == EXPIRED else record.state]
        records[key] = record
        if len(records) > self._capacity:
            self._expire_oldest(records, record.at, joined)

    def _expire_before(self, time: float, now: float, joined: JoinResult) -> None:
        for records in self._states.values():
            while records and next(iter(records.values())).at < time:
                self._expire_oldest(records, now, joined)

    def _expire_oldest(self, records: OrderedDict[str, Record], now: float, joined: JoinResult) -> None:
        """Remove the oldest record. If it is a pending prediction, keep its id as expired and count it in *joined*."""
        key, record = records.popitem(last=False)
        if record.state == WAITING:
            joined.results[record.source, "expired"] += 1
            self._insert(key, Record(EXPIRED, None, record.source, now), joined)
