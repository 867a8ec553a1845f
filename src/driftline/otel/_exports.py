"""What one provider exports: its sources, the counters of closed ones, and their last states for each reader."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol, TypeGuard

from driftline._runtime.abandoned import finish_abandoned
from driftline.otel._observations import Readings
from driftline.otel._reading import Reading
from driftline.otel._series import Model, SeriesBudget, model_of

__all__ = ["Exports", "Source", "collecting_reader"]

MAX_LAST_STATES = 400
"""
Features whose last states are kept for readers that have not collected since their monitor was shut down. Their three
series each are two thirds of the limit of the metric. The others are for the monitors at work.
"""

SETTLE_SECONDS = 3.0
"""
Seconds of a collection in which sources bin and evaluate what is pending. Counts of later sources go out with the next
collection: if callbacks take 10 s, the SDK raises, and no metric of the whole process is exported.
"""

FINISH_SECONDS = 0.5
"""Seconds of a collection to wait for threads that hand on the counts of monitors that were dropped."""

MAX_FRAMES = 40
"""Stack frames between a callback and the SDK's collection that `collecting_reader` looks at. The SDK has about 5."""


class Source(Protocol):
    """An object with a reading: a monitor, or outcomes without a monitor."""

    def reading(self) -> Reading | None:
        """Bin and evaluate all that is pending, and return the reading, or None before the first prediction."""
        ...


class PreparedSource(Source, Protocol):
    """A source with a thread, which works for a collection while the sources before it are read."""

    def prepare(self) -> None:
        """Begin to work for a collection, without waiting."""
        ...

    def reading(self, *, settle: bool = True) -> Reading | None:
        """As above. If *settle* is False, what is pending goes out with the next collection."""
        ...


class Entry:
    """
    One source. It is held weakly, so that a monitor that is no longer used can be finished.

    Args:
        source: the source.

    Attributes:
        model: the attributes of its model, if it has any.
        counters: its last counters. They are exported between the end of the source and its `Exports.close`.
    """

    __slots__ = ("_id", "_source", "counters", "model")

    def __init__(self, source: Source) -> None:
        self._id, self._source = id(source), weakref.ref(source)
        attributes = getattr(source, "attributes", None)
        self.model = None if attributes is None else model_of(attributes)
        self.counters: Reading | None = None

    def source(self) -> Source | None:
        """Return the source, or None if the garbage collector has found it to be unused."""
        return self._source()

    def belongs_to(self, source: Source) -> bool:
        """Return whether this is the entry of *source*, which may have been revived to be closed."""
        present = self._source()
        return present is source or (present is None and self._id == id(source))


@dataclass(slots=True)
class LastStates:
    """
    The states of a source that was closed.

    Attributes:
        reading: the states.
        readers: the readers that have exported them.
        exported: whether a reader that `collecting_reader` does not know has exported them.
    """

    reading: Reading
    readers: list[weakref.ref[Any]] = field(default_factory=list)
    exported: bool = False

    def export(self, reader: object) -> bool:
        """Return whether *reader* has yet to export the states, and remember that it does now."""
        if reader is None:
            pending, self.exported = not self.exported, True
            return pending
        if any(each() is reader for each in self.readers):
            return False
        self.readers.append(weakref.ref(reader))
        return not self.exported


class Exports:
    """
    The sources of one meter provider, and what is left of those that were closed.

    Two groups of instruments may turn out to be of one provider. One of them then reads the sources of both.

    Attributes:
        budget: grants series.
    """

    def __init__(self) -> None:
        self.budget = SeriesBudget()
        self._entries: tuple[Entry, ...] = ()
        self._closed: dict[Model, Reading] = {}
        self._last: dict[Model, LastStates] = {}
        self._heir: Exports | None = None
        self._lock = threading.RLock()

    def end(self) -> Exports:
        """Return the exports that read the sources: these, or those that have absorbed them."""
        return self if self._heir is None else self._heir.end()

    def add(self, source: Source) -> None:
        """Export the readings of *source* from now on."""
        with self._lock:
            if self._heir is None:
                self._entries = (*self._entries, Entry(source))
                return
        self._heir.add(source)

    def close(self, source: Source, reading: Reading | None) -> None:
        """
        Export no more readings of *source*. Its counters keep their values for as long as the process lasts.

        Each reader exports its states and scores once more, because a job may shut its monitor down before it sends
        telemetry. Later collections do not, so that a replaced version is not reported as drifting for ever.

        Args:
            source: the source.
            reading: its last reading, or None if there was no prediction.
        """
        with self._lock:
            if self._heir is None:
                closed = [each for each in self._entries if each.belongs_to(source)]
                self._entries = tuple(each for each in self._entries if each not in closed)
                if reading is not None:
                    self._keep(reading)
                for each in closed:
                    self._release(each.model)
                return
        self._heir.close(source, reading)

    def _keep(self, reading: Reading) -> None:
        """Keep the counters and the states of a closed source."""
        model, counters = model_of(reading.attributes), reading.counters()
        before = self._closed.get(model)
        self._closed[model] = counters if before is None else before.plus(counters)
        earlier = self._last.pop(model, None)
        states = reading.states() if earlier is None else reading.states().over(earlier.reading)
        self._last[model] = LastStates(states)
        excess = sum(len(each.reading.status) or 1 for each in self._last.values()) - MAX_LAST_STATES
        while excess > 0 and len(self._last) > 1:
            oldest = next(iter(self._last))
            excess -= len(self._last.pop(oldest).reading.status) or 1
            self._release(oldest)

    def _release(self, model: Model | None) -> None:
        """Take back the series of a model, unless it has another source or states that are yet to be exported."""
        if model is not None and model not in self._last and all(each.model != model for each in self._entries):
            self.budget.release(model)

    def take_readings(self) -> Readings:
        """Return the readings of one collection, in the thread that collects."""
        finish_abandoned(threadless=True, wait=FINISH_SECONDS)
        with self._lock:
            entries, closed = self._entries, tuple(self._closed.values())
        sources = [(entry, entry.source()) for entry in entries]
        for _, source in sources:
            if _is_prepared(source):
                source.prepare()
        ended = tuple(entry.counters for entry, source in sources if source is None and entry.counters is not None)
        end = time.monotonic() + SETTLE_SECONDS
        readings = []
        for entry, source in sources:
            if source is not None and (reading := _read(source, settle=time.monotonic() < end)) is not None:
                entry.counters = reading.counters()
                readings.append(reading)
        with self._lock:
            reader = collecting_reader() if self._last else None
            last = [each.reading for each in self._last.values() if each.export(reader)]
        for reading in (*last, *readings):
            self.budget.mark_exported(model_of(reading.attributes))
        return Readings((*closed, *ended, *readings), (*last, *readings))

    def absorb(self, other: Exports) -> None:
        """Read the sources of *other* from now on, and keep what is left of its closed ones."""
        with self._lock, other._lock:
            self._entries = (*self._entries, *other._entries)
            for model, reading in other._closed.items():
                before = self._closed.get(model)
                self._closed[model] = reading if before is None else before.plus(reading)
            self._last = {**other._last, **self._last}
            self.budget.absorb(other.budget)
            other._entries, other._closed, other._last, other._heir = (), {}, {}, self

    def reset(self) -> None:
        """Forget closed sources, and replace the locks, in the child of a fork."""
        self._lock = threading.RLock()
        self.budget.renew_lock()
        self._closed, self._last = {}, {}


def _is_prepared(source: Source | None) -> TypeGuard[PreparedSource]:
    # `isinstance` with a protocol takes a hundred times as long.
    return hasattr(source, "prepare")


def _read(source: Source, *, settle: bool) -> Reading | None:
    return source.reading(settle=settle) if _is_prepared(source) else source.reading()


def collecting_reader() -> object:
    """
    Return the SDK's metric reader on whose behalf this thread runs a callback, or None if it cannot be found.

    The API does not tell a callback which reader collects. The SDK's collection has it as an argument.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the documented way to the caller's frame
    for _ in range(MAX_FRAMES):
        if frame is None:
            return None
        code = frame.f_code
        if code.co_name == "collect" and "metric_reader" in code.co_varnames[: code.co_argcount]:
            arguments: Mapping[str, Any] = frame.f_locals
            return arguments["metric_reader"]
        frame = frame.f_back
    return None
