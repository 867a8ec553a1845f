"""The OpenTelemetry instruments: one observable per metric, and one histogram of durations."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from opentelemetry import metrics
from opentelemetry.context import Context, create_key, set_value
from opentelemetry.metrics import Meter, MeterProvider

from driftline import semconv as sc
from driftline.otel._observations import COUNTERS, STATES, Collector, Readings
from driftline.otel._reading import Reading
from driftline.otel._scope import SCOPE, version

__all__ = [
    "Instruments",
    "Source",
    "instruments_for",
    "meter_of",
]

_Key = TypeVar("_Key", bound=Hashable)

NO_SPAN = set_value(create_key("driftline"), "a call outside of every span", Context())
"""
The context of a call that had an empty one. An empty context is false, and the SDK would then read the context of the
thread that records the duration.
"""

SERIES_LIMIT = 1_900
"""
Attribute sets that driftline exports of one metric. The SDK merges all sets of a stream beyond 2,000 into one overflow
point without a name.
"""


class Source(Protocol):
    """An object with a reading: a monitor, or outcomes without a monitor."""

    def reading(self) -> Reading | None:
        """Bin and evaluate all that is pending, and return the reading, or None before the first prediction."""
        ...


class Instruments:
    """
    The instruments of one meter provider: one observable per metric, whatever the number of monitors.

    The SDK ignores the callbacks of an observable that is registered twice. Each is therefore created once, and its
    callback reads every source.
    """

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = meter_of(provider)
        self._provider = provider
        self._sources: tuple[Source, ...] = ()
        self._closed: Mapping[frozenset[tuple[str, str]], Reading] = {}
        self._last_states: tuple[Reading, ...] = ()
        self._granted: dict[str, dict[Hashable, int]] = {}
        self._lock = threading.RLock()
        self._collector = Collector(self._take_readings)
        duration = sc.METRIC_PREDICTION_DURATION
        self.duration = meter.create_histogram(
            duration.name,
            duration.unit,
            duration.brief,
            explicit_bucket_boundaries_advisory=list(sc.DURATION_BUCKETS),
        )
        create = {
            "counter": meter.create_observable_counter,
            "gauge": meter.create_observable_gauge,
            "updowncounter": meter.create_observable_up_down_counter,
        }
        for metric in (*COUNTERS, *STATES):
            callbacks = [self._collector.callback(metric)]
            create[metric.instrument](metric.name, callbacks=callbacks, unit=metric.unit, description=metric.brief)

    def listened_to(self) -> bool:
        """Return whether an SDK is set up. Without one, the global provider is a proxy."""
        return self._provider is not None or not _is_proxy(metrics.get_meter_provider())

    def record(self, durations: Sequence[tuple[float, Any, str | None]], attributes: Mapping[str, str]) -> None:
        """
        Record durations in the histogram, each in the context of its call. Do nothing without an SDK.

        Args:
            durations: (seconds, context, error type or None) of each call. The context links an exemplar to the span.
            attributes: model, version and variant.
        """
        if not self.listened_to():
            return
        record = self.duration.record
        for seconds, context, error in durations:
            record(seconds, attributes if error is None else {**attributes, "error.type": error}, context or NO_SPAN)

    def reserve(self, stream: str, attributes: Mapping[str, str], series: Mapping[_Key, int]) -> frozenset[_Key]:
        """
        Return the keys whose series may be exported within `SERIES_LIMIT`.

        The SDK keeps each attribute set for ever, so a series stays reserved. A monitor that replaces another one of
        equal attributes uses the same series. A monitor that was shut down frees none.

        Args:
            stream: a name for the metrics that share the limit.
            attributes: model, version and variant.
            series: the number of series per key, the most important key first.
        """
        model, granted = frozenset(attributes.items()), set()
        with self._lock:
            reserved = self._granted.setdefault(stream, {})
            for key, wanted in series.items():
                before = reserved.get((model, key), 0)
                if sum(reserved.values()) - before + max(before, wanted) <= SERIES_LIMIT:
                    reserved[model, key] = max(before, wanted)
                    granted.add(key)
        return frozenset(granted)

    def add(self, source: Source) -> None:
        """Export the readings of *source* from now on."""
        with self._lock:
            self._sources = (*self._sources, source)

    def close(self, source: Source) -> None:
        """
        Export no more readings of *source*. Its counters keep their values for as long as the process lasts.

        One more collection exports its states and scores, because a job may shut its monitor down before it sends
        telemetry. Later collections do not, so that a replaced version is not reported as drifting for ever.
        """
        reading = source.reading()
        with self._lock:
            if reading is not None:
                key, counters = frozenset(reading.attributes.items()), reading.counters()
                before = self._closed.get(key)
                self._closed = {**self._closed, key: counters if before is None else before.plus(counters)}
                self._last_states = (*self._last_states, reading)
            self._sources = tuple(each for each in self._sources if each is not source)

    def after_fork(self) -> None:
        """Start empty in the child of a fork."""
        global _registry_lock  # noqa: PLW0603 - a lock that another thread held at the fork stays locked for ever
        _registry_lock = threading.Lock()
        self._lock = threading.RLock()
        self._collector.reset()
        self._closed, self._last_states = {}, ()

    def _take_readings(self) -> Readings:
        """Return the readings of one collection."""
        with self._lock:
            sources, closed = self._sources, self._closed
        readings = [reading for source in sources if (reading := source.reading()) is not None]
        with self._lock:
            last_states, self._last_states = self._last_states, ()
        return Readings((*closed.values(), *readings), (*last_states, *readings))


def meter_of(provider: MeterProvider | None) -> Meter:
    """Return the meter of driftline's scope from *provider*, or from the global provider if None."""
    if provider is None:
        return metrics.get_meter(SCOPE, version(), schema_url=sc.SCHEMA_URL)
    return provider.get_meter(SCOPE, version(), schema_url=sc.SCHEMA_URL)


def _is_proxy(provider: MeterProvider) -> bool:
    return type(provider).__name__ == "_ProxyMeterProvider"


_by_provider: weakref.WeakKeyDictionary[Any, Instruments] = weakref.WeakKeyDictionary()
_of_proxy: list[Instruments] = []
_registry_lock = threading.Lock()


def instruments_for(provider: MeterProvider | None) -> Instruments:
    """
    Return the instruments of a meter provider, or of the global one for None. The first call creates them.

    Instruments created before the application sets its global provider are proxies. They become those of the real
    provider as soon as it is set.
    """
    with _registry_lock:
        present = metrics.get_meter_provider()
        if provider is None or provider is present:
            if _is_proxy(present):
                if not _of_proxy:
                    _of_proxy.append(Instruments(None))
                return _of_proxy[0]
            if present not in _by_provider:
                _by_provider[present] = _of_proxy.pop() if _of_proxy else Instruments(present)
            return _by_provider[present]
        if provider not in _by_provider:
            _by_provider[provider] = Instruments(provider)
        return _by_provider[provider]
