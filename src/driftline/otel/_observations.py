"""What one collection exports: its readings, taken once, and the observations of each observable metric."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from opentelemetry.metrics import CallbackOptions, Observation

from driftline import semconv as sc
from driftline._runtime.pacing import PIECE_OBSERVATIONS, with_pauses
from driftline._runtime.process_id import new_process_id
from driftline.otel._reading import Reading

__all__ = ["COUNTERS", "STATES", "Callback", "Collector", "Readings"]

_log = logging.getLogger("driftline")

_Observe: TypeAlias = Callable[[Reading], Iterable[Observation]]
"""A function that returns the observations of one metric."""

Callback: TypeAlias = Callable[[CallbackOptions], Iterable[Observation]]
"""The callback of an observable."""

_Model: TypeAlias = tuple[tuple[str, str], ...]
"""The attributes of a model, as a key of a cache."""

CACHED_FEATURES, CACHED_SCORES = 4_000, 48_000
"""
Features and scores whose attribute sets are kept, of all monitors together: those of two models of 2,000 features. A
set takes about 350 bytes.
"""


class Readings(NamedTuple):
    """
    The readings of one collection.

    Attributes:
        counters: readings whose counters are exported. Monitors that were shut down come first.
        states: readings whose states are exported, older ones first.
    """

    counters: Sequence[Reading]
    states: Sequence[Reading]


class Collector:
    """
    Answers all callbacks of a collection from the same readings, so that all points are of one instant.

    A collection runs in one thread and calls each callback at most once. The first callback takes the readings. A
    second call for one metric begins the next collection, because an SDK may skip metrics and may begin with any.

    Args:
        take_readings: takes the readings of one collection.
        admit: called with the name of a metric, the attributes of a model, a key and a number of series. It returns
            whether they may be exported within the limit of the metric. Series of another key are counted too.
        refuse: returns the names of a reading whose states exceed the limit of their metric.
        limit: returns the number of series that may be exported of a metric.
    """

    def __init__(
        self,
        take_readings: Callable[[], Readings],
        admit: Callable[[str, Mapping[str, str], str, int], bool],
        refuse: Callable[[Reading], AbstractSet[str]],
        limit: Callable[[str], int],
    ) -> None:
        self._take_readings, self._admit, self._refuse, self._limit = take_readings, admit, refuse, limit
        self._reported: set[sc.Metric] = set()
        self.reset()

    def reset(self) -> None:
        """Drop the readings of collections that have begun, and take a new id, as the child of a fork must."""
        self._thread = threading.local()
        self._process = new_process_id()

    def callback(self, metric: sc.Metric) -> Callback:
        """Return the callback of the observable of *metric*."""

        def callback(_: CallbackOptions) -> Iterable[Observation]:
            observations = self._observe(metric)
            return observations if len(observations) < PIECE_OBSERVATIONS else with_pauses(observations)

        return callback

    def _observe(self, metric: sc.Metric) -> list[Observation]:
        unread: dict[sc.Metric, Sequence[Reading]] = getattr(self._thread, "unread", {})
        if metric not in unread:
            self._thread.unread = {}
            counters, states = (
                [replace(reading, process=self._process) for reading in readings] for readings in self._take_readings()
            )
            unread = {**dict.fromkeys(COUNTERS, counters), **dict.fromkeys(STATES, states)}
            self._thread.unread = unread
        readings = unread.pop(metric)
        counter = COUNTERS.get(metric)
        if counter is not None:
            counts = [observation for reading in readings for observation in counter(reading)]
            if len(counts) > self._limit(metric.name):
                self._report(metric, "The SDK adds up further ones in one point, otel.metric.overflow=true.")
            return counts
        observations = self._observe_states(metric, readings)
        if len(readings) <= 1:
            return observations
        # Of two monitors of one name the newer one's state counts.
        return [*{frozenset((each.attributes or {}).items()): each for each in observations}.values()]

    def _observe_states(self, metric: sc.Metric, readings: Sequence[Reading]) -> list[Observation]:
        """Return the observations of a metric that holds a present value, without those beyond its limit of series."""
        observe, limited = STATES[metric], metric not in RESERVED
        observations: list[Observation] = []
        for present in readings:
            reading = present
            if metric == sc.METRIC_FEATURE_DRIFT_STATUS:
                # A monitor reserves its features, but not the limits of its outcomes.
                unreserved = self._refuse(reading)
                if unreserved:
                    known = {name: status for name, status in reading.status.items() if name not in unreserved}
                    reading = replace(reading, status=known)
            states = list(observe(reading))
            # A replaced reference leaves a series that the SDK never forgets.
            key = str((reading.info or {}).get(sc.ML_REFERENCE_FINGERPRINT)) if metric == sc.METRIC_MONITOR_INFO else ""
            if states and limited and not self._admit(metric.name, reading.attributes, key, len(states)):
                self._report(metric, "Further models are not exported.")
                continue
            observations += states
        return observations

    def _report(self, metric: sc.Metric, consequence: str) -> None:
        """Log once that a metric has more series than the SDK exports."""
        if metric not in self._reported:
            self._reported.add(metric)
            limit = self._limit(metric.name)
            _log.warning("%s has more than %d series in this process. %s", metric.name, limit, consequence)


def _observe_served(reading: Reading) -> Iterator[Observation]:
    if sc.ML_WINDOW_SCOPE not in reading.attributes:  # a fleet is evaluated by a process that serves nothing
        yield Observation(reading.served, reading.attributes)
    for error, count in reading.failed.items():
        yield Observation(count, {**reading.attributes, "error.type": error})


def _observe_queue(reading: Reading) -> Iterator[Observation]:
    for (kind, state), count in reading.retraining_queue.items():
        attributes = {sc.ML_RETRAINING_KIND: kind, sc.ML_RETRAINING_STATE: state}
        yield Observation(count, {**reading.attributes, **attributes})


def _counts(part: Callable[[Reading], Mapping[str, int]], key: str) -> _Observe:
    """Return a function that observes one count per value of the attribute *key*."""

    def observe(reading: Reading) -> Iterator[Observation]:
        for value, count in part(reading).items():
            yield Observation(count, {**reading.attributes, key: value})

    return observe


def _number(part: Callable[[Reading], float | None]) -> _Observe:
    """Return a function that observes one number, if there is one."""

    def observe(reading: Reading) -> Sequence[Observation]:
        value = part(reading)
        return () if value is None else (Observation(value, reading.attributes),)

    return observe


def _observe_bins(reading: Reading) -> Sequence[Observation]:
    model = tuple(reading.attributes.items())
    return [
        Observation(count, attributes)
        for (fingerprint, feature), counts in reading.bins.items()
        for count, attributes in zip(
            counts.tolist(), _bin_attributes(model, reading.process, fingerprint, feature, len(counts)), strict=True
        )
        if count
    ]


@lru_cache(CACHED_FEATURES)
def _bin_attributes(
    model: _Model, process: str, fingerprint: str, feature: str, bins: int
) -> Sequence[Mapping[str, str]]:
    shared = {
        **dict(model),
        sc.ML_MONITOR_PROCESS: process,
        sc.ML_FEATURE_NAME: feature,
        sc.ML_REFERENCE_FINGERPRINT: fingerprint,
    }
    return [{**shared, sc.ML_FEATURE_BIN: str(index)} for index in range(bins)]


def _observe_scores(reading: Reading) -> Sequence[Observation]:
    model = tuple(reading.attributes.items())
    return [
        Observation(score.value, _score_attributes(model, score.feature, score.distance, score.length))
        for score in reading.scores
    ]


@lru_cache(CACHED_SCORES)
def _score_attributes(model: _Model, feature: str, distance: str, length: str) -> Mapping[str, str]:
    return {
        **dict(model),
        sc.ML_FEATURE_NAME: feature,
        sc.ML_DRIFT_DISTANCE: distance,
        sc.ML_WINDOW_LENGTH: length,
    }


def _observe_states(reading: Reading) -> Iterator[Observation]:
    model = tuple(reading.attributes.items())
    for feature, status in reading.status.items():
        yield from _state_observations(model, feature, status.state)


@lru_cache(CACHED_FEATURES)
def _state_observations(model: _Model, feature: str, present: str) -> Sequence[Observation]:
    shared = {**dict(model), sc.ML_FEATURE_NAME: feature}
    return [
        Observation(int(state == present), {**shared, sc.ML_FEATURE_DRIFT_STATE: state})
        for state in sc.FEATURE_DRIFT_STATES
    ]


def _observe_info(reading: Reading) -> Sequence[Observation]:
    if reading.info is None:
        return ()
    return (Observation(1, {**reading.attributes, sc.ML_MONITOR_PROCESS: reading.process, **reading.info}),)


def _observe_performance(reading: Reading) -> Iterator[Observation]:
    for performance in reading.performance:
        shared = {**reading.attributes, sc.ML_MODEL_PERFORMANCE_METRIC: performance.metric}
        if performance.label is not None:
            shared[sc.ML_MODEL_CLASS] = str(performance.label)
        values = performance.value, performance.lower, performance.upper
        for bound, value in zip(sc.MODEL_PERFORMANCE_BOUNDS, values, strict=True):
            yield Observation(value, {**shared, sc.ML_MODEL_PERFORMANCE_BOUND: bound})


def _observe_canary(reading: Reading) -> Iterator[Observation]:
    if reading.canary is not None:
        shared = dict(reading.attributes)
        if reading.canary_id is not None:
            shared[sc.ML_CANARY_ID] = reading.canary_id
        # After the end of a canary all states are 0, so that its last one decides about no later release.
        for state in sc.CANARY_STATES:
            yield Observation(int(state == reading.canary), {**shared, sc.ML_CANARY_STATE: state})


def _observe_evidence(reading: Reading) -> Iterator[Observation]:
    for criterion in reading.evidence:
        shared = {**reading.attributes, sc.ML_CANARY_CRITERION: criterion.name}
        values = (
            criterion.value,
            criterion.lower,
            criterion.upper,
            criterion.limit,
            criterion.e_harm,
            criterion.e_harm_needed,
            criterion.e_safe,
            criterion.e_safe_needed,
        )
        for measure, value in zip(sc.CANARY_MEASURES, values, strict=True):
            if value is not None:
                yield Observation(value, {**shared, sc.ML_CANARY_MEASURE: measure})


def _points(metric: sc.Metric) -> _Observe:
    """Return a function that observes the points of the canaries' evidence of one metric."""

    def observe(reading: Reading) -> Sequence[Observation]:
        return [Observation(value, attributes) for value, attributes in reading.canary_points.get(metric, ())]

    return observe


CANARY_METRICS = (
    sc.METRIC_CANARY_STARTED,
    sc.METRIC_CANARY_ENDED,
    sc.METRIC_CANARY_COUNTED,
    sc.METRIC_CANARY_CALLS,
    sc.METRIC_CANARY_ROWS,
    sc.METRIC_CANARY_DURATIONS,
    sc.METRIC_CANARY_BINS,
    sc.METRIC_CANARY_OUTCOMES,
    sc.METRIC_CANARY_DELAYS,
)
"""Metrics of the evidence of canaries. Each point has its own attributes."""

COUNTERS: dict[sc.Metric, _Observe] = {
    sc.METRIC_PREDICTIONS_SERVED: _observe_served,
    sc.METRIC_MONITOR_ERRORS: _counts(lambda reading: reading.errors, sc.ML_MONITOR_PLACE),
    sc.METRIC_MONITOR_ROWS_DROPPED: _counts(lambda reading: reading.dropped, sc.ML_MONITOR_REASON),
    sc.METRIC_OUTCOMES: _counts(lambda reading: reading.outcomes, sc.ML_OUTCOME_RESULT),
    sc.METRIC_FEATURE_OBSERVATIONS: _observe_bins,
    sc.METRIC_RETRAINING_REQUESTS: _counts(lambda reading: reading.retraining_requests, sc.ML_RETRAINING_REASON),
    sc.METRIC_RETRAINING_TRANSITIONS: _counts(lambda reading: reading.retraining_transitions, sc.ML_RETRAINING_STATE),
}
"""Metrics that only grow. The values of two monitors of one model, version and variant add up."""

STATES: dict[sc.Metric, _Observe] = {
    sc.METRIC_RETRAINING_QUEUE_SIZE: _observe_queue,
    sc.METRIC_FEATURE_DRIFT_SCORE: _observe_scores,
    sc.METRIC_FEATURE_DRIFT_STATUS: _observe_states,
    sc.METRIC_CANARY_STATUS: _observe_canary,
    sc.METRIC_CANARY_EVIDENCE: _observe_evidence,
    sc.METRIC_MODEL_ACCURACY: _number(lambda reading: reading.accuracy),
    sc.METRIC_MODEL_ACCURACY_ESTIMATED: _number(lambda reading: reading.accuracy_estimated),
    sc.METRIC_MODEL_PERFORMANCE: _observe_performance,
    sc.METRIC_MONITOR_INFO: _observe_info,
    **{metric: _points(metric) for metric in CANARY_METRICS},
}
"""Metrics that hold a present value. Of two monitors of one model, version and variant, the newer one is exported."""

RESERVED = frozenset({sc.METRIC_FEATURE_DRIFT_SCORE, sc.METRIC_FEATURE_DRIFT_STATUS})
"""Metrics whose series a monitor reserves by itself, feature by feature."""
