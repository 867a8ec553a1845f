"""
Join predictions with their outcomes by id, in either order.

A `Record` is the state of one id. An `Event` is a prediction or an outcome that arrives for it. `advance_record` is the
whole join. Stores only keep records within bounds: `MemoryStore` here, and `FileStore` in
`driftline.outcomes._sqlite_store`.

Every prediction ends as joined, ``expired`` or ``replaced``, unless it is still pending. Every outcome ends as joined,
``duplicate``, ``late`` or ``unmatched``. An outcome that arrives before its prediction counts as ``unmatched``, and as
``early`` once the prediction arrives.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

__all__ = ["Event", "GradePairs", "JoinResult", "MemoryStore", "Record", "Store", "advance_record", "join_key"]

WAITING, EARLY, DONE, EXPIRED = "waiting", "early", "done", "expired"
"""
States of an id.

``waiting`` is a prediction without an outcome, ``early`` an outcome without a prediction. ``done`` and ``expired`` keep
only the id, so that a later outcome counts as ``duplicate`` or ``late``.
"""

MAX_KEY_LENGTH = 64
"""Characters of an id that a record keeps. A longer id is replaced by its SHA-256 digest, so that memory is bounded."""

Source: TypeAlias = "tuple[str, str | None, str | None] | None"
"""The (model, version, variant) that made a prediction; None for the monitor that reads the store."""


class Event(NamedTuple):
    """A prediction or an outcome that arrived: join key, whether it is an outcome, its value, time in seconds."""

    key: str
    is_outcome: bool
    value: Any
    at: float


class Record(NamedTuple):
    """The state of an id, the pending output or outcome, the source of the prediction, and the time in seconds."""

    state: str
    value: Any
    source: Source
    at: float


class Pair(NamedTuple):
    """A prediction with its outcome."""

    source: Source
    output: Any
    actual: Any


@dataclass(slots=True)
class JoinResult:
    """The effect of some events: results counted by (source, result), and the joined pairs."""

    results: Counter[tuple[Source, str]] = field(default_factory=Counter)
    pairs: list[Pair] = field(default_factory=list)


GradePairs = Callable[[Sequence[Pair]], "Counter[tuple[Source, str]]"]
"""Grades joined pairs and returns counts by (source, result): ``correct``, ``incorrect`` or ``matched`` (ungraded)."""


class Store(Protocol):
    """Keeps predictions until their outcomes arrive."""

    def apply(self, events: Sequence[Event], now: float, grade: GradePairs) -> JoinResult:
        """Join *events* in order and expire old records. If this raises, nothing has changed."""
        ...

    def reset(self) -> None:
        """Prepare the store for use in the child of a fork."""
        ...


def join_key(prediction_id: object) -> str:
    """
    Return the string under which an id is stored.

    The key stays the same after the id went through JSON, a URL, a database or a column of floats.

    >>> join_key(17) == join_key("17") == join_key(17.0)
    True
    """
    if isinstance(prediction_id, float) and prediction_id.is_integer():
        prediction_id = int(prediction_id)
    key = str(prediction_id)
    return key if len(key) <= MAX_KEY_LENGTH else hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def advance_record(record: Record | None, event: Event, joined: JoinResult) -> Record:
    """
    Return the record of an id after *event*, and add results and pairs to *joined*.

    A second prediction with a pending id replaces the first. An id may be used again once its outcome has arrived.
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


class MemoryStore:
    """
    A bounded store in the memory of one process.

    Args:
        capacity: at most this many pending predictions, pending outcomes, and finished ids, each. Beyond it the store
            drops the oldest.
        expire: seconds after which a record expires. If None, records never expire by age.
    """

    __slots__ = ("_capacity", "_expire_seconds", "_states")

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

    def apply(self, events: Sequence[Event], now: float, grade: GradePairs) -> JoinResult:
        """Join *events* in order and expire old records."""
        joined = JoinResult()
        for event in events:
            self._insert(event.key, advance_record(self._remove(event.key), event, joined), joined)
        if self._expire_seconds is not None:
            self._expire_before(now - self._expire_seconds, now, joined)
        joined.results.update(grade(joined.pairs))
        return joined

    @property
    def pending(self) -> int:
        """Predictions without an outcome."""
        return len(self._states[WAITING])

    def __len__(self) -> int:
        return sum(map(len, self._states.values()))

    def _remove(self, key: str) -> Record | None:
        for records in self._states.values():
            record = records.pop(key, None)
            if record is not None:
                return record
        return None

    def _insert(self, key: str, record: Record, joined: JoinResult) -> None:
        records = self._states[DONE if record.state == EXPIRED else record.state]
        records[key] = record
        if len(records) > self._capacity:
            self._expire_oldest(records, record.at, joined)

    def _expire_before(self, time: float, now: float, joined: JoinResult) -> None:
        for records in self._states.values():
            while records and next(iter(records.values())).at < time:
                self._expire_oldest(records, now, joined)

    def _expire_oldest(self, records: OrderedDict[str, Record], now: float, joined: JoinResult) -> None:
        key, record = records.popitem(last=False)
        if record.state == WAITING:
            joined.results[record.source, "expired"] += 1
            self._insert(key, Record(EXPIRED, None, record.source, now), joined)
