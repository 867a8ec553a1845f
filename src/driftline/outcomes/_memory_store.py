"""`MemoryStore`: keeps predictions until their outcomes arrive, in the memory of one process."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from itertools import count

from driftline._runtime.guard import is_contained
from driftline.outcomes._join import (
    DONE,
    EARLY,
    EXPIRED,
    WAITING,
    Correction,
    Event,
    GradePairs,
    JoinResult,
    JoinRules,
    Pair,
    Record,
    Source,
    expired_record,
)

__all__ = ["MemoryStore"]


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
        corrections: the pairs whose outcome has changed.
    """

    __slots__ = ("corrections", "events", "first", "pairs", "results")

    def __init__(self, first: Event | None) -> None:
        self.first = first
        self.events = 0
        self.results: list[tuple[Source, str]] = []
        self.pairs: list[Pair] = []
        self.corrections: list[Correction] = []


class MemoryStore:
    """
    A bounded store in the memory of one process.

    Args:
        capacity: largest number of pending predictions, of early outcomes, and of done or expired ids. Beyond it, the
            oldest pending prediction expires. The oldest early outcome, done id or expired id is deleted.
        expire: seconds after which a record expires. If None, records never expire by age.
    """

    __slots__ = ("_capacity", "_expire_seconds", "_rules", "_states", "unfinished")

    def __init__(self, capacity: int, expire: float | None) -> None:
        self._capacity = capacity
        self._expire_seconds = expire
        self.reset()

    def reset(self) -> None:
        """Drop all records: the child of a fork starts empty."""
        # Done and expired ids share one bound: both only wait for a further outcome.
        self._states: dict[str, OrderedDict[str, Record]] = {
            WAITING: OrderedDict(),
            EARLY: OrderedDict(),
            DONE: OrderedDict(),
        }
        # No other process sees these pairs, so they may be numbered from 0.
        self._rules = JoinRules(self._expire_seconds, count())
        self.unfinished: _Progress | None = None

    def apply(self, events: Sequence[Event], now: float, grade: GradePairs) -> JoinResult:
        """See `Store`."""
        progress = self.unfinished
        if progress is None or not events or progress.first is not events[0]:
            self.unfinished = progress = _Progress(events[0] if events else None)
        try:
            self._join(events, now, progress)
            if self._expire_seconds is not None:
                self._expire_before(now - self._expire_seconds, progress)
            joined = JoinResult(Counter(progress.results), [*progress.pairs], [*progress.corrections])
            joined.results.update(grade(joined))
        except BaseException as error:
            if is_contained(error):
                self.unfinished = None
            raise
        return joined

    def _join(self, events: Sequence[Event], now: float, progress: _Progress) -> None:
        """Join the events after those of *progress*. After an interrupt, none is joined twice or skipped."""
        results, pairs, corrections, change = progress.results, progress.pairs, progress.corrections, JoinResult()
        waiting, early, done = self._states.values()
        for event in events[progress.events :]:
            key = event.key
            former = waiting if key in waiting else early if key in early else done if key in done else None
            before = None if former is None else former[key]
            record = self._rules.advance(before, event, now, change)
            records = None if record is None else self._states[DONE if record.state == EXPIRED else record.state]
            # Only a correction stays in its place: the oldest record is the first.
            stays = record is before or (former is records and before and record and before.at == record.at)
            # Without a call, so that no interrupt comes between.
            if former is not None and not stays:
                del former[key]
            if records is not None and record is not None:
                records[key] = record
            results += change.results
            pairs += change.pairs
            corrections += change.corrections
            progress.events += 1
            change.results.clear()
            change.pairs.clear()
            change.corrections.clear()
            while records is not None and len(records) > self._capacity:
                self._expire_oldest(records, event.at, progress)

    @property
    def pending(self) -> int:
        """Number of predictions without an outcome."""
        return len(self._states[WAITING])

    def __len__(self) -> int:
        return sum(map(len, self._states.values()))

    def _expire_before(self, time: float, progress: _Progress) -> None:
        for records in self._states.values():
            while records and (oldest := next(iter(records.values()))).at < time:
                self._expire_oldest(records, oldest.at + (self._expire_seconds or 0.0), progress)

    def _expire_oldest(self, records: OrderedDict[str, Record], at: float, progress: _Progress) -> None:
        """Remove the oldest record. If it is a pending prediction, keep its id as expired since *at*, and count it."""
        key, record = next(iter(records.items()))
        results, done = progress.results, self._states[DONE]
        result, expired = [(record.source, "expired")], expired_record(record, at)
        # Without a call, so that no interrupt comes between.
        del records[key]
        if record.state == WAITING:
            done[key] = expired
            results += result
        while len(done) > self._capacity and records is not done:
            self._expire_oldest(done, at, progress)
