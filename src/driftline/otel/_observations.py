"""Observations of each observable metric, made from a reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from opentelemetry.metrics import Observation

from driftline import semconv as sc
from driftline.otel._reading import Reading

__all__ = ["COUNTERS", "STATES", "observe"]

_Observe: TypeAlias = Callable[[Reading], Iterable[Observation]]
"""A function that returns the observations of one metric."""


def observe(metric: sc.Metric, readings: Sequence[Reading]) -> list[Observation]:
    """Return the observations of one metric, from the readings of all monitors, older ones first."""
    counter = COUNTERS.get(metric)
    if counter is not None:
        return [observation for reading in readings for observation in counter(reading)]
    state = STATES[metric]
    observations = [observation for reading in readings for observation in state(reading)]
    if len(readings) <= 1:
        return observations
    # Of two monitors of one name the newer one's state counts.
    return [*{frozenset((each.attributes or {}).items()): each for each in observations}.values()]


def _observe_served(reading: Reading) -> Iterator[Observation]:
    yield Observation(reading.served, reading.attributes)
    for error, count in reading.failed.items():
        yield Observation(count, {**reading.attributes, "error.type": error})


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


def _observe_bins(reading: Reading) -> Iterator[Observation]:
    for (fingerprint, feature), counts in reading.bins.items():
        shared = {**reading.attributes, sc.ML_FEATURE_NAME: feature, sc.ML_REFERENCE_FINGERPRINT: fingerprint}
        for index, count in enumerate(counts.tolist()):
            if count:
                yield Observation(count, {**shared, sc.ML_FEATURE_BIN: str(index)})


def _observe_scores(reading: Reading) -> Iterator[Observation]:
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


def _observe_states(reading: Reading) -> Iterator[Observation]:
    for feature, status in reading.status.items():
        shared = {**reading.attributes, sc.ML_FEATURE_NAME: feature}
        for state in sc.FEATURE_DRIFT_STATES:
            yield Observation(int(state == status.state), {**shared, sc.ML_FEATURE_DRIFT_STATE: state})


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
        for state in sc.CANARY_STATES:
            yield Observation(int(state == reading.canary), {**reading.attributes, sc.ML_CANARY_STATE: state})


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


COUNTERS: dict[sc.Metric, _Observe] = {
    sc.METRIC_PREDICTIONS_SERVED: _observe_served,
    sc.METRIC_MONITOR_ERRORS: _counts(lambda reading: reading.errors, sc.ML_MONITOR_PLACE),
    sc.METRIC_MONITOR_ROWS_DROPPED: _counts(lambda reading: reading.dropped, sc.ML_MONITOR_REASON),
    sc.METRIC_OUTCOMES: _counts(lambda reading: reading.outcomes, sc.ML_OUTCOME_RESULT),
    sc.METRIC_FEATURE_OBSERVATIONS: _observe_bins,
    sc.METRIC_RETRAINING_REQUESTS: _counts(lambda reading: reading.retraining_requests, sc.ML_RETRAINING_REASON),
}
"""Metrics that only grow. The values of two monitors of one model, version and variant add up."""

STATES: dict[sc.Metric, _Observe] = {
    sc.METRIC_RETRAINING_QUEUE_SIZE: _counts(lambda reading: reading.retraining_queue, sc.ML_RETRAINING_STATE),
    sc.METRIC_FEATURE_DRIFT_SCORE: _observe_scores,
    sc.METRIC_FEATURE_DRIFT_STATUS: _observe_states,
    sc.METRIC_CANARY_STATUS: _observe_canary,
    sc.METRIC_CANARY_EVIDENCE: _observe_evidence,
    sc.METRIC_MODEL_ACCURACY: _number(lambda reading: reading.accuracy),
    sc.METRIC_MODEL_ACCURACY_ESTIMATED: _number(lambda reading: reading.accuracy_estimated),
    sc.METRIC_MODEL_PERFORMANCE: _observe_performance,
}
"""Metrics that hold a present value. Of two monitors of one model, version and variant, the newer one's counts."""
