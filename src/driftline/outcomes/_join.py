"""
The rules by which predictions and outcomes are joined by id, in either order.

An `Event` is a prediction or an outcome that arrives with an id. A `Record` is the state of one id of one source, and
`JoinRules` say what an event does to records. Stores keep records and bound their number: `MemoryStore` and
`FileStore`.

Each prediction is counted once: as joined, ``expired`` or ``replaced``, unless it is still pending. Each outcome is
counted as joined, ``duplicate``, ``corrected``, ``pending``, ``late`` or ``unmatched``. An outcome that arrives before
its prediction counts as ``unmatched``, and again as ``early`` and joined once the prediction arrives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from driftline.outcomes._known_labels import is_same_label, is_unknown

__all__ = [
    "DONE",
    "EARLY",
    "EXPIRED",
    "WAITING",
    "Correction",
    "Event",
    "GradePairs",
    "JoinResult",
    "JoinRules",
    "Pair",
    "Record",
    "Source",
    "Store",
]

WAITING, EARLY, DONE, EXPIRED = "waiting", "early", "done", "expired"
"""
States of an id.

``waiting`` is a prediction without an outcome, ``early`` an outcome without a prediction. An id that is ``done``
(joined) keeps both, so that a corrected outcome can be counted. An id that is ``expired`` keeps neither, and a later
outcome counts as ``late``.
"""

SAME_REQUEST_SECONDS = 600.0
"""
Seconds between two predictions of one id, by two versions or variants, that are of one request. The queue of a shadow
delays its prediction by a minute or two; an id that is used again, such as a customer's, has a day or more in between.
"""

Source: TypeAlias = "tuple[str, str | None, str | None] | None"
"""The (model, version, variant) that made a prediction; None for those of the monitor that uses the store."""

OWN: frozenset[Source] = frozenset({None})
"""The sources of an id of which only the monitor that uses the store has a record."""


class Event(NamedTuple):
    """
    A prediction or an outcome that arrived.

    Attributes:
        key: the id, as `join_key` returns it.
        is_outcome: True for an outcome, False for a prediction.
        value: the output or the outcome.
        at: seconds of the clock at which it arrived.
        bucket: of a prediction whose call had a key, the bucket of the key, else None.
    """

    key: str
    is_outcome: bool
    value: Any
    at: float
    bucket: int | None = None


class Record(NamedTuple):
    """
    The state of one id.

    Attributes:
        state: ``waiting`` (a prediction without outcome), ``early`` (an outcome without prediction), ``done`` (joined)
            or ``expired``.
        value: the output if ``waiting`` or ``done``, the outcome if ``early``, else None.
        source: model, version and variant of the prediction. None if the monitor that uses this store made it, or if
            there is no prediction yet.
        at: seconds of the clock at which the state began.
        actual: the last outcome if ``done``, else None.
        predicted: seconds of the clock at which the prediction arrived; those of the outcome if ``early``.
        bucket: the bucket of the prediction's key; None without a key.
        serial: the serial number of the joined pair if ``done``. None after an outcome that was late.
    """

    state: str
    value: Any
    source: Source
    at: float
    actual: Any
    predicted: float
    bucket: int | None = None
    serial: int | None = None


class Pair(NamedTuple):
    """
    A prediction joined with its outcome.

    Attributes:
        source: model, version and variant of the prediction.
        output: the output.
        actual: the outcome.
        serial: a number that no other pair has, also none of other processes.
        predicted: seconds of the clock at which the prediction arrived.
        at: seconds of the clock at which both were there.
        bucket: the bucket of the prediction's key; None without a key.
    """

    source: Source
    output: Any
    actual: Any
    serial: int
    predicted: float
    at: float
    bucket: int | None = None


class Correction(NamedTuple):
    """
    A pair whose outcome has changed.

    Attributes:
        pair: the pair with the new outcome. Its *at* is that of the first outcome.
        previous: the outcome before.
    """

    pair: Pair
    previous: Any


@dataclass(slots=True)
class JoinResult:
    """
    The result of some events.

    Attributes:
        results: number of predictions or outcomes by (source, result), such as ``(None, "late")``.
        pairs: the joined pairs.
        corrections: pairs of this or an earlier result whose outcome has changed since, in order.
    """

    results: Counter[tuple[Source, str]] = field(default_factory=Counter)
    pairs: list[Pair] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)


GradePairs = Callable[[JoinResult], "Counter[tuple[Source, str]]"]
"""
A function that grades the joined pairs and the corrections of a result.

It returns the number of joined pairs by (source, result), where the result is ``correct``, ``incorrect`` or ``matched``
(ungraded).
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


class JoinRules:
    """
    Says what an event does to the records of its id.

    Args:
        expire: seconds after which a record expires. If None, records never expire by age.
        serials: yields the serial numbers of pairs.
        is_same: returns whether an outcome of a record and one that arrives are the same label.
    """

    __slots__ = ("_expire", "_is_same", "_serials")

    def __init__(
        self, expire: float | None, serials: Iterator[int], is_same: Callable[[Any, Any], bool] = is_same_label
    ) -> None:
        self._expire, self._serials, self._is_same = expire, serials, is_same

    def advance(self, record: Record | None, event: Event, now: float, joined: JoinResult) -> Record | None:
        """
        Return the record of an id after *event*, and add the effects of this event to *joined*.

        A second prediction with a pending id replaces the first. An id may be used again once its outcome has arrived.

        Args:
            record: the record before the event; None for an unknown id.
            event: the prediction or outcome that arrived.
            now: seconds of the clock, by which the record is too old or not. A prediction is as old as the outcome
                finds it, whether its store has expired old records before or not.
            joined: the result to which the effects of the event are added.
        """
        if record is not None:
            record = self.current(record, min(now, event.at), joined)
        if event.is_outcome:
            return self._add_outcome(record, event, joined)
        if record is not None and record.state == EARLY:
            return self._join_early(record.value, event, joined)
        return self._waiting(record, event, joined)

    def advance_all(
        self, records: dict[Source, Record], event: Event, now: float, joined: JoinResult
    ) -> dict[Source, Record]:
        """
        Return the records of an id after *event*, by source, where versions and variants share a store.

        An outcome reaches all versions and variants with a prediction of this id. A prediction replaces none of another
        source. If it is of a request whose outcome another source already has, as the prediction of a shadow may be, it
        is joined with that outcome. Else the id is used again, and finished records of other sources end, because
        the next outcome belongs to the new prediction.

        Args:
            records: the records before the event by source; not changed.
            event: as for `advance`.
            now: as for `advance`.
            joined: as for `advance`.
        """
        if not records or records.keys() == OWN:
            # As `advance` does, and faster.
            own = self.advance(records.get(None), event, now, joined)
            return {} if own is None else {None: own}
        former = records
        records = {}
        for source, record in former.items():
            kept = self.current(record, min(now, event.at), joined)
            if kept is not None:
                records[source] = kept
        if event.is_outcome:
            # An unknown label counts once, whatever the number of sources.
            if not records or is_unknown(event.value):
                first = next(iter(records.values()), None)
                after = self._add_outcome(first, event, joined)
                return records if first is not None or after is None else {None: after}
            after_all = {source: self._add_outcome(record, event, joined) for source, record in records.items()}
            return {source: record for source, record in after_all.items() if record is not None}
        early = [source for source, record in records.items() if record.state == EARLY]
        if early:
            value = records.pop(early[0]).value
            records[None] = self._join_early(value, event, joined)
            return records
        return self._predict(records, event, joined)

    def _predict(self, records: dict[Source, Record], event: Event, joined: JoinResult) -> dict[Source, Record]:
        """Return the records after a prediction of an id without an early outcome."""
        own = records.get(None)
        same_request: dict[Source, Record] = {
            source: record
            for source, record in records.items()
            if source is not None
            and record.state in {DONE, EXPIRED}
            and abs(event.at - record.predicted) <= SAME_REQUEST_SECONDS
        }
        known = [record for record in same_request.values() if record.serial is not None]
        if own is None and known:
            latest = max(known, key=lambda record: record.at)
            return {**records, None: self._join_early(latest.actual, event, joined)}
        after = {source: record for source, record in records.items() if record.state == WAITING}
        if own is None or own.state == WAITING:
            after.update(same_request)
        after[None] = self._waiting(own, event, joined)
        return after

    def _waiting(self, record: Record | None, event: Event, joined: JoinResult) -> Record:
        """Return the record of a prediction that waits for its outcome. *record* is that of the id before."""
        if record is not None and record.state == WAITING:
            joined.results[record.source, "replaced"] += 1
        return Record(WAITING, event.value, None, event.at, None, event.at, event.bucket)

    def current(self, record: Record, now: float, joined: JoinResult) -> Record | None:
        """Return a record as it is *now*: expired, or None once the store may forget it."""
        if self._expire is None:
            return record
        limit = now - self._expire
        if record.at >= limit:
            return record
        if record.state == WAITING:
            joined.results[record.source, "expired"] += 1
            record = expired_record(record, record.at + self._expire)
            if record.at >= limit:
                return record
        return None

    def _add_outcome(self, record: Record | None, event: Event, joined: JoinResult) -> Record | None:
        """Return a current record after an outcome. None for an unknown id whose label is not known yet."""
        source = None if record is None else record.source
        if is_unknown(event.value):
            joined.results[source, "pending"] += 1
            return record
        if record is None:
            joined.results[None, "unmatched"] += 1
            return Record(EARLY, event.value, None, event.at, None, event.at)
        if record.state == WAITING:
            pair = Pair(
                source, record.value, event.value, next(self._serials), record.predicted, event.at, record.bucket
            )
            joined.pairs.append(pair)
            return Record(
                DONE, record.value, source, event.at, event.value, record.predicted, record.bucket, pair.serial
            )
        if record.state == EXPIRED:
            joined.results[source, "late"] += 1
            return Record(DONE, None, source, event.at, None, record.predicted)
        known = record.value if record.state == EARLY else record.actual
        if (record.state == DONE and record.serial is None) or self._is_same(known, event.value):
            joined.results[source, "duplicate"] += 1
            return record
        joined.results[source, "corrected"] += 1
        if record.serial is None:
            return record._replace(value=event.value)
        pair = Pair(source, record.value, event.value, record.serial, record.predicted, record.at, record.bucket)
        joined.corrections.append(Correction(pair, record.actual))
        return record._replace(actual=event.value)

    def _join_early(self, actual: Any, event: Event, joined: JoinResult) -> Record:
        """Return the record of a prediction whose outcome arrived before."""
        joined.results[None, "early"] += 1
        serial = next(self._serials)
        joined.pairs.append(Pair(None, event.value, actual, serial, event.at, event.at, event.bucket))
        return Record(DONE, event.value, None, event.at, actual, event.at, event.bucket, serial)


def expired_record(record: Record, at: float) -> Record:
    """Return a waiting record as expired since *at*."""
    return Record(EXPIRED, None, record.source, at, None, record.predicted)
