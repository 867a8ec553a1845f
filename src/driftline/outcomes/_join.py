"""
Predictions joined with their outcomes by id, whichever comes first.

What is known of an id is one `Record`; what happens to it is one `Event` after the other; `step` is all there is to the
join. Stores only remember records within bounds, in memory here and in a file in `outcomes._sqlite_store`: so every
prediction that was taken down ends as joined, ``expired`` or ``replaced``, unless it still waits, and every outcome as
joined, ``duplicate``, ``late`` or ``unmatched``, where those that came too early for their prediction count as
``unmatched`` at first and once more as ``early`` when it came.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

__all__ = ["Event", "Grade", "Joined", "MemoryStore", "Record", "Store", "key_of", "step"]

WAITING, EARLY, DONE, EXPIRED = "waiting", "early", "done", "expired"
"""A prediction without outcome, an outcome without prediction, and two that tell duplicates and late ones."""

LONGEST_KEY = 64
"""Characters of an id that are kept as they are; a longer one is known by its digest, so that memory is bounded."""

Source: TypeAlias = "tuple[str, str | None, str | None] | None"
"""Whose prediction it is: None for the monitor that asks, else (model, version, variant) of another one."""


class Event(NamedTuple):
    """A prediction that was made, or an outcome that was told; seconds."""

    key: str
    told: bool
    value: Any
    at: float


class Record(NamedTuple):
    """What is known of an id: its state, the output or outcome that waits, whose it is, and since when."""

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
class Joined:
    """What became of some events: results counted by (source, result), and the pairs that were joined."""

    results: Counter[tuple[Source, str]] = field(default_factory=Counter)
    pairs: list[Pair] = field(default_factory=list)


Grade = Callable[[Sequence[Pair]], "Counter[tuple[Source, str]]"]
"""Judges pairs: how many of each source were correct, incorrect, or joined without being judged."""


class Store(Protocol):
    """Where predictions wait for their outcomes."""

    def apply(self, events: Sequence[Event], now: float, grade: Grade) -> Joined:
        """Join *events* in their order, forget what is too old or too much; all of it or, when it raises, nothing."""
        ...

    def reset(self) -> None:
        """The child of a fork starts here."""
        ...


def key_of(prediction_id: object) -> str:
    """
    The text that an id is known by, the same after it went through JSON, a URL, a database or a column of floats.

    >>> key_of(17) == key_of("17") == key_of(17.0)
    True
    """
    if isinstance(prediction_id, float) and prediction_id.is_integer():
        prediction_id = int(prediction_id)
    key = str(prediction_id)
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def step(record: Record | None, event: Event, joined: Joined) -> Record:
    """
    What is known of an id after an event; its results and pairs are added to *joined*.

    A prediction whose id waits already takes the other's place; an id whose outcome is known may be used again.
    """
    state = None if record is None else record.state
    if event.told:
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
    Records in memory, within bounds.

    Args:
        capacity: predictions that wait, outcomes that wait, and ids that are remembered, at most so many of each;
            beyond it the oldest goes.
        expire: seconds after which each is given up; None: never.
    """

    __slots__ = ("_capacity", "_expire", "_states")

    def __init__(self, capacity: int, expire: float | None) -> None:
        self._capacity = capacity
        self._expire = expire
        self.reset()

    def reset(self) -> None:
        """The child of a fork starts here: nothing waits."""
        # Done and expired ids are one crowd: both are remembered only to tell what a further outcome is.
        self._states: dict[str, OrderedDict[str, Record]] = {
            WAITING: OrderedDict(),
            EARLY: OrderedDict(),
            DONE: OrderedDict(),
        }

    def apply(self, events: Sequence[Event], now: float, grade: Grade) -> Joined:
        """Join events in their order and forget what is too old or too much."""
        joined = Joined()
        for event in events:
            self._put(event.key, step(self._take(event.key), event, joined), joined)
        if self._expire is not None:
            self._forget_before(now - self._expire, now, joined)
        joined.results.update(grade(joined.pairs))
        return joined

    def __len__(self) -> int:
        return sum(map(len, self._states.values()))

    def _take(self, key: str) -> Record | None:
        for records in self._states.values():
            record = records.pop(key, None)
            if record is not None:
                return record
        return None

    def _put(self, key: str, record: Record, joined: Joined) -> None:
        records = self._states[DONE if record.state == EXPIRED else record.state]
        records[key] = record
        if len(records) > self._capacity:
            self._give_up(records, record.at, joined)

    def _forget_before(self, time: float, now: float, joined: Joined) -> None:
        for records in self._states.values():
            while records and next(iter(records.values())).at < time:
                self._give_up(records, now, joined)

    def _give_up(self, records: OrderedDict[str, Record], now: float, joined: Joined) -> None:
        key, record = records.popitem(last=False)
        if record.state == WAITING:
            joined.results[record.source, "expired"] += 1
            self._put(key, Record(EXPIRED, None, record.source, now), joined)
