"""The streams of spans, each of which is a model with its monitor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from driftline._capture.captured import Captured
from driftline._recording.buffer import ROWS
from driftline._runtime.process_hooks import register
from driftline.genai._groups import DURATION, SpanGroup
from driftline.genai._values import Field, first_of, label
from driftline.monitor import Monitor
from driftline.reference import Reference

__all__ = ["Stream", "Streams"]

_log = logging.getLogger("driftline")


class Stream:
    """
    The spans of one group whose attributes *by* have the same values.

    Args:
        group: the group.
        monitor: its monitor.
        features: the features to read. If None, all features of the group.
    """

    def __init__(self, group: SpanGroup, monitor: Monitor, features: frozenset[str] | None) -> None:
        self.monitor = monitor
        self._fields: tuple[Field, ...] = tuple(
            each for each in group._fields if features is None or each[0] in features
        )
        self._duration = group.duration and (features is None or DURATION in features)
        self._calls = monitor._calls  # noqa: SLF001 - a span is a call that has ended, which no decorator surrounds

    def record(self, attributes: Mapping[str, Any], seconds: float | None, error: str | None) -> None:
        """
        Record a span.

        Args:
            attributes: its attributes.
            seconds: how long it took. If None, unknown.
            error: what failed, or None if nothing did.
        """
        get = attributes.get
        row: dict[str, object] = {}
        for name, names, read in self._fields:
            for each in names:
                value = get(each)
                if value is not None:
                    row[name] = read(value)
                    break
            else:
                row[name] = None
        if self._duration:
            row[DURATION] = seconds
        calls = self._calls
        buffer = calls.buffer
        # The row is made here, so it need not be copied, as the reader of a call would do.
        captured: Captured = row if dict is buffer.inline and len(row) == buffer.width else calls.capture(buffer, row)
        seconds = 0.0 if seconds is None else seconds
        if error is not None:
            calls.record_failure(buffer, captured, seconds, None, error)
        elif captured.__class__ in ROWS:
            buffer.append((captured, None, seconds, None))
            if len(buffer.entries) >= buffer.limit:
                calls.relieve()
        else:
            calls.record(buffer, captured, None, seconds, None, None)

    def report(self, error: BaseException) -> None:
        """Count a span that could not be read in ``ml.monitor.errors``, and log the first."""
        self._calls.report_error("span", error)


class Streams:
    """
    The streams of all groups, at most *limit* of them, because each has its own bins, windows and series.

    Args:
        make: returns the monitor of a stream, from its name and its reference. None asks for a learned reference.
        references: references by the name of the stream.
        limit: the largest number of streams.

    Attributes:
        skipped: spans of further streams, which are not recorded.
    """

    def __init__(
        self, make: Callable[[str, Reference | None], Monitor], references: Mapping[str, Reference], limit: int
    ) -> None:
        self._make, self._references, self._limit = make, references, limit
        self._by_key: dict[tuple[int, tuple[Any, ...]], Stream] = {}
        self._by_name: dict[str, Stream] = {}
        self.skipped = 0
        self._lock = threading.RLock()
        register(self)

    def of(self, group: SpanGroup, attributes: Mapping[str, Any]) -> Stream | None:
        """Return the stream of a span, which is made if it is new; None if there are too many."""
        values = tuple([first_of(attributes, names) for names in group._keys])  # noqa: SLF001 - as above
        try:
            return self._by_key[id(group), values]
        except (KeyError, TypeError):  # a new stream, or a value that is no key, such as a list
            return self._add(group, values)

    def add(self, group: SpanGroup, name: str) -> Stream:
        """Make the stream of a reference before its first span."""
        with self._lock:
            if name not in self._by_name:
                reference = self._references.get(name)
                features = None if reference is None else frozenset(each.name for each in reference.features)
                self._by_name[name] = Stream(group, self._make(name, reference), features)
            return self._by_name[name]

    def _add(self, group: SpanGroup, values: tuple[Any, ...]) -> Stream | None:
        labels = tuple(label(value) for value in values)
        name = " ".join([group.name, *(value for value in labels if value)])[:255]
        with self._lock:
            stream = self._by_name.get(name)
            if stream is None and len(self._by_name) >= self._limit:
                if self.skipped == 0:
                    _log.warning(
                        "DriftSpanProcessor: spans of %r are not recorded, because there are %d streams already. "
                        "Raise max_streams=, or choose other attributes in by=.",
                        name,
                        self._limit,
                    )
                self.skipped += 1
                return None
            if stream is None:
                stream = self.add(group, name)
            if labels == values:  # any number of other values may share a label
                self._by_key[id(group), values] = stream
            return stream

    def all(self) -> list[Stream]:
        """Return the streams, the oldest first."""
        return list(self._by_name.copy().values())

    @property
    def monitors(self) -> dict[str, Monitor]:
        """The monitors by the name of their stream."""
        return {name: stream.monitor for name, stream in self._by_name.copy().items()}

    def flush(self) -> None:
        """Do nothing at the end of a process: the monitors are flushed by themselves."""

    def end(self) -> None:
        """Do nothing, as `flush`."""

    def after_fork(self) -> None:
        """Renew the lock, which another thread may have held at the fork. The monitors start empty by themselves."""
        self._lock = threading.RLock()
