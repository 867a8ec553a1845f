"""Readings to metrics: one observable per metric, and one histogram."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from opentelemetry import metrics
from opentelemetry.context import Context, create_key, set_value
from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation

from driftline import semconv as sc
from driftline._runtime.pacing import in_pieces
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
"""The context of a call that had an empty one: that is false, and the SDK would look for that of whoever drains."""

SERIES_LIMIT = 1_900
"""
Attribute sets of one metric that driftline exports at most: the SDK merges whatever is beyond 2,000 of one stream into
one nameless overflow point.
"""


class Source(Protocol):
    """Something that has a reading, or None before its first prediction in this process."""

    def reading(self, *, settle: bool) -> Reading | None:
        """The present reading; *settle*: bin and judge what waits first, so that nothing served is left out."""
        ...


class Instruments:
    """
    The instruments of one meter provider: one observable per metric, whatever the number of monitors.

    The SDK ignores the callbacks of an observable that is registered twice, so each is made once and asks every source.
    """

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = meter_of(provider)
        self._provider = provider
        # One object, replaced whole: a collection never sees a source in both of them, or in neither.
        self._asked: tuple[tuple[Source, ...], Mapping[frozenset[tuple[str, str]], Reading]] = (), {}
        self._parting: tuple[tuple[Reading, set[str]], ...] = ()
        self._lock = threading.RLock()
        self._granted: dict[str, dict[Hashable, int]] = {}
        duration = sc.METRIC_PREDICTION_DURATION
        self.duration = meter.create_histogram(
            duration.name,
            duration.unit,
            duration.brief,
            explicit_bucket_boundaries_advisory=list(sc.DURATION_BUCKETS),
        )
        # The first one settles: callbacks run in the order of registration, so the others read what it left.
        for metric, observe in _COUNTERS.items():
            meter.create_observable_counter(
                metric.name,
                callbacks=[self._counter(observe, settle=metric is sc.METRIC_PREDICTIONS_SERVED)],
                unit=metric.unit,
                description=metric.brief,
            )
        for metric, observe in _STATES.items():
            create = (
                meter.create_observable_gauge
                if metric.instrument == "gauge"
                else meter.create_observable_up_down_counter
            )
            create(
                metric.name,
                callbacks=[self._state(observe, metric.name)],
                unit=metric.unit,
                description=metric.brief,
            )

    def listened_to(self) -> bool:
        """Whether there is anybody who listens: without an SDK the global provider is a stand-in until there is one."""
        return self._provider is not None or not _is_stand_in(metrics.get_meter_provider())

    def record(self, durations: Sequence[tuple[float, Any, str | None]], attributes: Mapping[str, str]) -> None:
        """Record seconds, each in the context of its call, so that its exemplar leads to the right span."""
        if not self.listened_to():
            return
        record = self.duration.record
        for seconds, context, error in durations:
            record(seconds, attributes if error is None else {**attributes, "error.type": error}, context or NO_SPAN)

    def reserve(self, stream: str, attributes: Mapping[str, str], series: Mapping[_Key, int]) -> frozenset[_Key]:
        """
        Which of these may be exported with so many series each.

        What has been granted stays so: the SDK never forgets an attribute set, so a monitor that takes the place of
        another one of its name needs nothing anew, and one that was shut down gives nothing back.

        Args:
            stream: metrics with series of the same number share a budget.
            attributes: whose they are.
            series: the number of series by what tells them apart, in the order of importance.
        """
        model, granted = frozenset(attributes.items()), set()
        with self._lock:
            taken = self._granted.setdefault(stream, {})
            for key, wanted in series.items():
                before = taken.get((model, key), 0)
                if sum(taken.values()) - before + max(before, wanted) <= SERIES_LIMIT:
                    taken[model, key] = max(before, wanted)
                    granted.add(key)
        return frozenset(granted)

    def add(self, source: Source) -> None:
        """Ask *source* from now on."""
        with self._lock:
            sources, closed = self._asked
            self._asked = (*sources, source), closed

    def close(self, source: Source) -> None:
        """
        Ask *source* no more. Its counters stay as they are, for as long as the process lasts.

        Its states and scores are told once more: a job that shuts its monitor down before telemetry is sent has them,
        and a version that was replaced does not go on drifting for ever.
        """
        reading = source.reading(settle=True)
        with self._lock:
            sources, closed = self._asked
            if reading is not None:
                key, counters = frozenset(reading.attributes.items()), reading.counters()
                before = closed.get(key)
                closed = {**closed, key: counters if before is None else before.plus(counters)}
                self._parting = (*self._parting, (reading, set()))
            self._asked = tuple(one for one in sources if one is not source), closed

    def after_fork(self) -> None:
        """Start empty in the child of a fork."""
        global _making  # noqa: PLW0603 - a lock that another thread held at the fork stays locked for ever
        _making = threading.Lock()
        self._lock = threading.RLock()
        self._asked, self._parting = (self._asked[0], {}), ()

    def _counter(
        self, observe: Callable[[Reading], Iterator[Observation]], *, settle: bool
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            # The counters of two monitors of one name add up.
            found: list[Observation] = []
            sources, closed = self._asked
            for reading in (*closed.values(), *_readings(sources, settle=settle)):
                found.extend(observe(reading))
            return in_pieces(found)

        return callback

    def _state(
        self, observe: Callable[[Reading], Iterator[Observation]], metric: str
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def callback(_: CallbackOptions) -> Iterable[Observation]:
            found: list[Observation] = []
            for reading, told in self._parting:
                if metric not in told:
                    told.add(metric)
                    found.extend(observe(reading))
            with self._lock:
                self._parting = tuple(one for one in self._parting if len(one[1]) < len(_STATES))
            for reading in _readings(self._asked[0], settle=False):
                found.extend(observe(reading))
            # Two monitors of one name: a state or score is that of the one made last.
            return in_pieces({frozenset((one.attributes or {}).items()): one for one in found}.values())

        return callback


def meter_of(provider: MeterProvider | None) -> Meter:
    """The meter under whose name driftline's metrics go out; None: of the global provider."""
    if provider is None:
        return metrics.get_meter(SCOPE, version(), schema_url=sc.SCHEMA_URL)
    return provider.get_meter(SCOPE, version(), schema_url=sc.SCHEMA_URL)


def _readings(sources: Sequence[Source], *, settle: bool) -> Iterator[Reading]:
    for source in sources:
        reading = source.reading(settle=settle)
        if reading is not None:
            yield reading


def _served(reading: Reading) -> Iterator[Observation]:
    yield Observation(reading.served, reading.attributes)
    for error, count in reading.failed.items():
        yield Observation(count, {**reading.attributes, "error.type": error})


def _by(part: Callable[[Reading], Mapping[str, int]], key: str) -> Callable[[Reading], Iterator[Observation]]:
    def observe(reading: Reading) -> Iterator[Observation]:
        for name, count in part(reading).items():
            yield Observation(count, {**reading.attributes, key: name})

    return observe


def _value(part: Callable[[Reading], float | None]) -> Callable[[Reading], Iterator[Observation]]:
    def observe(reading: Reading) -> Iterator[Observation]:
        value = part(reading)
        if value is not None:
            yield Observation(value, reading.attributes)

    return observe


def _bins(reading: Reading) -> Iterator[Observation]:
    for (fingerprint, feature), counts in reading.bins.items():
        of = {**reading.attributes, sc.ML_FEATURE_NAME: feature, sc.ML_REFERENCE_FINGERPRINT: fingerprint}
        for number, count in enumerate(counts.tolist()):
            if count:
                yield Observation(count, {**of, sc.ML_FEATURE_BIN: str(number)})


def _scores(reading: Reading) -> Iterator[Observation]:
    for score in reading.scores:
        yield Observation(
            score.value,
            {
                **reading.attributes,
                sc.ML_FEATURE_NAME: score.feature,
                sc.ML_DRIFT_DISTANCE: score.distance,
                sc.ML_WINDOW_LENGTH: score.length,
            },
        )


def _statuses(reading: Reading) -> Iterator[Observation]:
    for feature, status in reading.status.items():
        for state in sc.FEATURE_DRIFT_STATES:
            yield Observation(
                int(state == status.state),
                {**reading.attributes, sc.ML_FEATURE_NAME: feature, sc.ML_FEATURE_DRIFT_STATE: state},
            )


def _performance(reading: Reading) -> Iterator[Observation]:
    for one in reading.performance:
        attributes = {**reading.attributes, sc.ML_MODEL_PERFORMANCE_METRIC: one.metric}
        if one.label is not None:
            attributes[sc.ML_MODEL_CLASS] = str(one.label)
        for bound, value in zip(sc.MODEL_PERFORMANCE_BOUNDS, (one.value, one.lower, one.upper), strict=True):
            yield Observation(value, {**attributes, sc.ML_MODEL_PERFORMANCE_BOUND: bound})


def _canary(reading: Reading) -> Iterator[Observation]:
    if reading.canary is not None:
        for state in sc.CANARY_STATES:
            yield Observation(int(state == reading.canary), {**reading.attributes, sc.ML_CANARY_STATE: state})


def _evidence(reading: Reading) -> Iterator[Observation]:
    for criterion in reading.evidence:
        measures = (
            criterion.value,
            criterion.lower,
            criterion.upper,
            criterion.limit,
            criterion.e_harm,
            criterion.e_harm_needed,
            criterion.e_safe,
            criterion.e_safe_needed,
        )
        for measure, value in zip(sc.CANARY_MEASURES, measures, strict=True):
            if value is not None:
                yield Observation(
                    value,
                    {**reading.attributes, sc.ML_CANARY_CRITERION: criterion.name, sc.ML_CANARY_MEASURE: measure},
                )


_COUNTERS: dict[sc.Metric, Callable[[Reading], Iterator[Observation]]] = {
    sc.METRIC_PREDICTIONS_SERVED: _served,
    sc.METRIC_MONITOR_ERRORS: _by(lambda reading: reading.errors, sc.ML_MONITOR_PLACE),
    sc.METRIC_MONITOR_ROWS_DROPPED: _by(lambda reading: reading.dropped, sc.ML_MONITOR_REASON),
    sc.METRIC_OUTCOMES: _by(lambda reading: reading.outcomes, sc.ML_OUTCOME_RESULT),
    sc.METRIC_FEATURE_OBSERVATIONS: _bins,
    sc.METRIC_RETRAINING_REQUESTS: _by(lambda reading: reading.retraining_requests, sc.ML_RETRAINING_REASON),
}
_STATES: dict[sc.Metric, Callable[[Reading], Iterator[Observation]]] = {
    sc.METRIC_RETRAINING_QUEUE_SIZE: _by(lambda reading: reading.retraining_queue, sc.ML_RETRAINING_STATE),
    sc.METRIC_FEATURE_DRIFT_SCORE: _scores,
    sc.METRIC_FEATURE_DRIFT_STATUS: _statuses,
    sc.METRIC_CANARY_STATUS: _canary,
    sc.METRIC_CANARY_EVIDENCE: _evidence,
    sc.METRIC_MODEL_ACCURACY: _value(lambda reading: reading.accuracy),
    sc.METRIC_MODEL_ACCURACY_ESTIMATED: _value(lambda reading: reading.accuracy_estimated),
    sc.METRIC_MODEL_PERFORMANCE: _performance,
}


def _is_stand_in(provider: MeterProvider) -> bool:
    return type(provider).__name__ == "_ProxyMeterProvider"


_made: weakref.WeakKeyDictionary[Any, Instruments] = weakref.WeakKeyDictionary()
_global: list[Instruments] = []
_making = threading.Lock()


def instruments_for(provider: MeterProvider | None) -> Instruments:
    """
    The instruments of a meter provider, made at the first call; None: the global provider.

    Instruments made before the application has set its global provider are proxies that turn real when it does. They
    are then those of the real provider, whoever asks.
    """
    with _making:
        present = metrics.get_meter_provider()
        if provider is None or provider is present:
            if _is_stand_in(present):
                if not _global:
                    _global.append(Instruments(None))
                return _global[0]
            if present not in _made:
                _made[present] = _global.pop() if _global else Instruments(present)
            return _made[present]
        if provider not in _made:
            _made[provider] = Instruments(provider)
        return _made[provider]
