"""The OpenTelemetry instruments of one provider: one observable per metric, and one histogram of durations."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from opentelemetry.context import Context, create_key, set_value
from opentelemetry.metrics import Meter, MeterProvider

from driftline import semconv as sc
from driftline._runtime.version import VERSION
from driftline.otel._exports import Exports, Source
from driftline.otel._limits import sdk_limit
from driftline.otel._observations import COUNTERS, STATES, Callback, Collector, Readings
from driftline.otel._reading import Reading
from driftline.otel._scope import SCOPE
from driftline.otel._series import model_of
from driftline.otel._stand_ins import actual_provider

__all__ = ["Instruments", "meter_of"]

_Key = TypeVar("_Key", bound=Hashable)

_log = logging.getLogger("driftline")

NO_SPAN = set_value(create_key("driftline"), "a call outside of every span", Context())
"""
The context of a call that had an empty one. An empty context is false, and the SDK would then read the context of the
thread that records the duration.
"""

COPY_ATTRIBUTE = "driftline.copy"
"""The attribute of the instrumentation scope, if the provider has instruments of another copy of driftline."""

STATE_SERIES = len(sc.FEATURE_DRIFT_STATES)
"""Series of the state of one feature: one for each state."""

_collecting = threading.local()
_absorbing = threading.RLock()


class Instruments:
    """
    The instruments of one meter provider: one observable per metric, whatever the number of monitors.

    The SDK ignores the callbacks of an observable that is registered twice. Each is therefore created once, and its
    callback reads every source. The provider keeps the callbacks, and so these instruments, alive.

    Args:
        provider: the provider, or the API's stand-in for it.
        meter: its meter of driftline's scope.
        find_others: returns the other instruments of a provider, if there are any, without a lock.

    Attributes:
        meter: as above.
        providers: the provider, and others that have turned out to return the same meter.
        exports: the sources that the callbacks read.
    """

    def __init__(
        self, provider: MeterProvider, meter: Meter, find_others: Callable[[Instruments, object], list[Instruments]]
    ) -> None:
        self.providers: tuple[MeterProvider, ...] = (provider,)
        self.meter = meter
        self.exports = Exports()
        self._find_others = find_others
        self._collector = Collector(self._take_readings, self._admit, self._refuse, self._limit)
        self._tried: object = None
        self._limited: object = None
        self._create(meter)

    def _create(self, meter: Meter) -> None:
        """Create all instruments. A provider may hold them weakly, so this object keeps them."""
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
        self._callbacks = {metric: Callbacks([self._collector.callback(metric)]) for metric in (*COUNTERS, *STATES)}
        self._observables = [
            create[metric.instrument](metric.name, callbacks=callbacks, unit=metric.unit, description=metric.brief)
            for metric, callbacks in self._callbacks.items()
        ]

    @property
    def registered(self) -> bool:
        """Whether a provider has taken the callbacks, and not those that another object has registered before."""
        return all(callbacks.taken for callbacks in self._callbacks.values())

    def belongs_to(self, provider: object) -> bool:
        """Return whether these are the instruments of *provider*, which is no stand-in."""
        return any(each is provider or actual_provider(each) is provider for each in self.providers)

    def listened_to(self) -> bool:
        """Return whether an SDK is set up. Without one, the global provider is a stand-in."""
        provider = actual_provider(self.providers[0])
        if provider is None:
            return False
        if self._tried is not provider and not getattr(_collecting, "active", False):
            self._tried = provider
            if not self.registered:
                registered = [other for other in self._find_others(self, provider) if other.registered]
                if registered:
                    registered[0].absorb(self)
                else:
                    self._register_copy(provider)
        return True

    def absorb(self, other: Instruments) -> None:
        """Read the sources of other instruments of the same provider too, which has ignored their callbacks."""
        with _absorbing:
            mine, others = self.exports.end(), other.exports.end()
            if mine is not others:
                mine.absorb(others)

    def _register_copy(self, provider: MeterProvider) -> None:
        """
        Register in a separate scope, if the provider has ignored the callbacks.

        It does so if another object has created the same instruments: a copy of driftline that was loaded before a
        reload of the modules, or the instruments of a provider around this one. A provider that takes no callback at
        all yet, such as one without an SDK or a stand-in, may take these later.
        """
        number = uuid4().hex[:8]
        probe = Callbacks([lambda _: ()])
        try:
            self.meter.create_observable_gauge(f"driftline.probe.{number}", callbacks=probe)
            if not probe.taken:
                return
            self._create(provider.get_meter(SCOPE, VERSION, sc.SCHEMA_URL, {COPY_ATTRIBUTE: number}))
        except Exception as error:  # noqa: BLE001 - a provider of any kind, whose meters may have no attributes
            _log.debug("no meter with attributes: %r", error)
        consequence = (
            f"are in a scope with the attribute {COPY_ATTRIBUTE}={number}" if self.registered else "are not exported"
        )
        _log.warning(
            "The meter provider has driftline's instruments already. Metrics of the monitors made since %s. Pass the "
            "same provider to all monitors to avoid that.",
            consequence,
        )

    def record(self, durations: Iterable[tuple[float, Any, str | None]], attributes: Mapping[str, str]) -> None:
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

    def reserve(self, metric: str, attributes: Mapping[str, str], series: Mapping[_Key, int]) -> frozenset[_Key]:
        """
        Return the keys whose series may be exported within the limit of a metric, as `SeriesBudget.reserve`.

        Args:
            metric: the name of the metric.
            attributes: model, version and variant.
            series: the number of series per key, the most important key first.
        """
        self._read_limits()
        return self.exports.end().budget.reserve(metric, model_of(attributes), series)

    def _read_limits(self) -> None:
        """Read the limits of the SDK, once it is set up."""
        provider = actual_provider(self.providers[0])
        if provider is not None and provider is not self._limited:
            self._limited = provider
            limits = {
                metric.name: sdk_limit(provider, observable)
                for metric, observable in zip(self._callbacks, self._observables, strict=True)
            }
            self.exports.end().budget.set_limits(limits)

    def _limit(self, metric: str) -> int:
        """Return the number of series that may be exported of a metric."""
        self._read_limits()
        return self.exports.end().budget.limit(metric)

    def add(self, source: Source) -> None:
        """Export the readings of *source* from now on."""
        self.exports.add(source)
        self.listened_to()

    def close(self, source: Source) -> None:
        """Export no more readings of *source*, but its last counters, and once to each reader its last states."""
        self.exports.close(source, source.reading())

    def after_fork(self) -> None:
        """Start empty in the child of a fork. A lock that another thread held at the fork stays locked for ever."""
        global _absorbing  # noqa: PLW0603 - as above
        _absorbing = threading.RLock()
        self._collector.reset()
        self.exports.end().reset()

    def _take_readings(self) -> Readings:
        """Return the readings of one collection."""
        provider = actual_provider(self.providers[0])
        try:
            _collecting.active = True
            for other in self._find_others(self, provider):
                self.absorb(other)
            return self.exports.end().take_readings()
        finally:
            _collecting.active = False

    def _admit(self, metric: str, attributes: Mapping[str, str], key: str, series: int) -> bool:
        """Return whether *series* series of a model and a key may be exported within the limit of a metric."""
        self._read_limits()
        return bool(self.exports.end().budget.reserve(metric, model_of(attributes), {key: series}))

    def _refuse(self, reading: Reading) -> set[str]:
        """Return the names of a reading whose states exceed the limit of their metric."""
        metric, model, budget = (
            sc.METRIC_FEATURE_DRIFT_STATUS.name,
            model_of(reading.attributes),
            self.exports.end().budget,
        )
        unreserved = budget.unreserved(metric, model, reading.status)
        return unreserved and unreserved - budget.reserve(
            metric, model, dict.fromkeys(sorted(unreserved), STATE_SERIES)
        )


class Callbacks(Sequence[Callback]):
    """
    The callbacks of one observable.

    Attributes:
        taken: whether a provider has read them. The SDK does not if it has such an observable already.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = callbacks
        self.taken = False

    def __iter__(self) -> Iterator[Callback]:
        self.taken = True
        return iter(self._callbacks)

    def __len__(self) -> int:
        return len(self._callbacks)

    def __getitem__(self, index: Any) -> Any:
        self.taken = True
        return self._callbacks[index]


def meter_of(provider: MeterProvider) -> Meter:
    """Return the meter of driftline's scope from *provider*."""
    return provider.get_meter(SCOPE, VERSION, sc.SCHEMA_URL)
