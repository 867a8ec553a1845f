"""The events of a live view: those that monitors send as logs, and changes that two readings show."""

from __future__ import annotations

import math
import threading
import time
from bisect import insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from driftline import semconv as sc
from driftline._live.values import Event, ModelKey

__all__ = ["Clock", "EventLog", "model_key"]

Clock: TypeAlias = Callable[[str, Mapping[str, Any], float], float]
"""
Called with the name of a log record, its attributes and its Unix time in seconds. It returns the time that is shown.
"""

MAX_EVENTS = 1_000
"""Events that are kept."""

MAX_SUBJECTS = 20_000
"""Features and canaries, by state, whose last event is kept."""

MAX_CHARACTERS = 1_024
"""Characters of a name that are kept, as for names of series."""

MAX_REASON = 4_000
"""Characters of a reason that are kept. That of a canary with all criteria has about 900."""

KINDS = {
    sc.EVENT_FEATURE_DRIFT_STATE_CHANGED: "drift",
    sc.EVENT_CANARY_VERDICT_CHANGED: "canary",
    sc.EVENT_RETRAINING_REQUESTED: "retraining",
}


def model_key(attributes: Mapping[str, Any]) -> ModelKey:
    """Return the model that attributes name."""
    names = (sc.ML_MODEL_NAME, sc.ML_MODEL_VERSION, sc.ML_MODEL_VARIANT)
    return ModelKey(*(str(attributes.get(name, ""))[:MAX_CHARACTERS] for name in names))


class EventLog:
    """
    Keeps the last events in the order of their times, and the last event of each feature about each state.

    All its methods may be called by several threads.

    Args:
        clock: the time that is shown for a log record. If None, it is that of the record.

    Attributes:
        latest: the latest time that the clock has returned, in seconds of Unix time; 0 before the first record.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reported: list[Event] = []
        self._seen: list[Event] = []
        self._last: dict[tuple[str, ModelKey, str, str], Event] = {}
        self.latest = 0.0

    def add_logs(self, request: Any) -> None:
        """Add the events of an ``ExportLogsServiceRequest``. Other records are ignored."""
        records = [
            record
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
            # Records of other events are the majority where a service sends all its logs.
            if self._clock is not None or _name(record) in KINDS
        ]
        now = time.time()
        with self._lock:
            # A request groups its records by scope. Their times give the order.
            for record in sorted(records, key=_nanoseconds):
                self._add(record, min(_nanoseconds(record) / 1e9, now))

    def _add(self, record: Any, seconds: float) -> None:
        name = _name(record)
        attributes = {pair.key: _value(pair.value) for pair in record.attributes}
        if self._clock is not None:
            seconds = self._clock(name, attributes, seconds)
        self.latest = max(self.latest, seconds)
        if name in KINDS:
            event = _event(KINDS[name], attributes, seconds)
            _keep(self._reported, event)
            key = event.kind, event.model, event.subject, event.state
            last = self._last.get(key)
            if (last is None and len(self._last) < MAX_SUBJECTS) or (last is not None and last.time <= event.time):
                self._last[key] = event

    def add_seen(self, event: Event) -> None:
        """Add a change that two readings show. It is shown only while no monitor has sent an event."""
        with self._lock:
            _keep(self._seen, event)

    def events(self) -> Sequence[Event]:
        """Return the last events, the earliest first."""
        with self._lock:
            return list(self._reported or self._seen)

    def changed(self, model: ModelKey, feature: str, state: str) -> Event | None:
        """Return the last event of a feature about a state. Later ones about other states may be ahead of metrics."""
        with self._lock:
            return self._last.get(("drift", model, feature, state))

    def verdict(self, model: str, state: str) -> Event | None:
        """Return the last event about a verdict of this state on a model."""
        with self._lock:
            events = [
                event
                for (kind, key, _, known), event in self._last.items()
                if kind == "canary" and key.name == model and known == state
            ]
        return max(events, key=lambda event: event.time, default=None)


def _keep(events: list[Event], event: Event) -> None:
    """Add an event in the order of the times."""
    insort(events, event, key=lambda each: each.time)
    del events[:-MAX_EVENTS]


def _name(record: Any) -> str:
    """Return the name of an event. Senders before version 1.5 of the protocol have it in an attribute."""
    name: str = record.event_name
    return name or next((pair.value.string_value for pair in record.attributes if pair.key == "event.name"), "")


def _nanoseconds(record: Any) -> int:
    return int(record.time_unix_nano or record.observed_time_unix_nano)


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def _event(kind: str, attributes: Mapping[str, Any], seconds: float) -> Event:
    def text(name: str, most: int = MAX_CHARACTERS) -> str:
        return str(attributes.get(name, ""))[:most]

    model = model_key(attributes)
    if kind == "canary":
        states = text(sc.ML_CANARY_STATE), text(sc.ML_CANARY_PREVIOUS_STATE)
        return Event(seconds, kind, model, "", *states, text(sc.ML_CANARY_REASON, MAX_REASON))
    reason = text(sc.ML_DRIFT_REASON, MAX_REASON)
    if kind == "retraining":
        return Event(seconds, kind, model, text(sc.ML_RETRAINING_REASON), reason=reason)
    numbers = dict(_numbers(attributes))
    return Event(
        seconds,
        kind,
        model,
        text(sc.ML_FEATURE_NAME),
        text(sc.ML_FEATURE_DRIFT_STATE),
        text(sc.ML_FEATURE_DRIFT_PREVIOUS_STATE),
        reason,
        numbers.get(sc.ML_DRIFT_EFFECT),
        numbers.get(sc.ML_DRIFT_P_VALUE),
    )


def _numbers(attributes: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in attributes.items():
        if isinstance(value, (int, float)) and math.isfinite(value):
            yield name, float(value)
