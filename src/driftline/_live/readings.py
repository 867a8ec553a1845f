"""Reads the last values of all metrics from a store, by model."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from driftline import semconv as sc
from driftline._backends.counts import CountSource, Match, Sample
from driftline._live.events import model_key
from driftline._live.store import BUCKET, DURATIONS
from driftline._live.values import ModelKey
from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.semconv import Metric

__all__ = ["ERROR_TYPE", "Reading", "ScoreReading", "length_order", "read"]

ERROR_TYPE = "error.type"

FLEET = "fleet"
"""The value of ``ml.window.scope`` for states of all processes together, which count where there are any."""


@dataclass(frozen=True, slots=True)
class ScoreReading:
    """A distance of a feature: its name, the length of the window, and the value, which is the largest of all."""

    distance: str
    length: str
    value: float


@dataclass(slots=True)
class Reading:
    """
    The last values of the metrics of one model, summed over its processes unless something else is said.

    Attributes:
        served: predictions that succeeded.
        failed: predictions that failed, by type of error.
        buckets: durations by the upper end of the bucket, cumulative.
        states: numbers of processes by feature and state.
        scores: the distances of each feature.
        bins: rows by feature and bin.
        accuracy: the least of all processes; None if not exported.
        estimated: the least of all processes; None if not exported.
        outcomes: outcomes by result.
        performance: the values by measure, class and bound.
        canaries: numbers of processes by id and state.
        evidence: evidence of a canary by criterion and measure.
        retraining: requests by reason.
        queue: requests by state.
        errors: errors by place.
        dropped: rows by reason.
        processes: number of monitors.
    """

    served: float = 0.0
    failed: Counter[str] = field(default_factory=Counter)
    buckets: Counter[float] = field(default_factory=Counter)
    states: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    scores: dict[str, list[ScoreReading]] = field(default_factory=lambda: defaultdict(list))
    bins: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    accuracy: float | None = None
    estimated: float | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    performance: dict[tuple[str, str, str], float] = field(default_factory=dict)
    canaries: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    evidence: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    retraining: Counter[str] = field(default_factory=Counter)
    queue: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    processes: int = 0


_Value: TypeAlias = tuple[Reading, Mapping[str, str], float]
"""The reading of a model, and the attributes and the value of a sample of it."""

_Samples: TypeAlias = Callable[[Metric], Iterator[_Value]]

COUNTS = (
    (sc.METRIC_OUTCOMES, "outcomes", sc.ML_OUTCOME_RESULT),
    (sc.METRIC_RETRAINING_REQUESTS, "retraining", sc.ML_RETRAINING_REASON),
    (sc.METRIC_RETRAINING_QUEUE_SIZE, "queue", sc.ML_RETRAINING_STATE),
    (sc.METRIC_MONITOR_ERRORS, "errors", sc.ML_MONITOR_PLACE),
    (sc.METRIC_MONITOR_ROWS_DROPPED, "dropped", sc.ML_MONITOR_REASON),
)
"""Metrics that are counted by the value of an attribute, with the attribute of `Reading`."""


def length_order(length: str) -> float:
    """
    Return a number by which the lengths of windows are ordered.

    >>> sorted(["20000 rows", "5000 rows"], key=length_order), length_order("10min")
    (['5000 rows', '20000 rows'], 600.0)
    """
    number, _, unit = length.partition(" ")
    if unit == "rows" and number.isascii() and number.isdigit():
        return float(number)
    try:
        return check.duration("length", length)
    except ConfigurationError:
        return math.inf


def read(source: CountSource, match: Match, *, at: float, within: float, bins: bool) -> Mapping[ModelKey, Reading]:
    """
    Return the last values of all metrics by model.

    Args:
        source: the store.
        match: selects series.
        at: Unix time in seconds.
        within: seconds before *at*. Series without a value in this time are dropped.
        bins: whether to read counts per bin, of which there are many.

    Raises:
        OSError: the store cannot be reached, is late, or its response is incomplete.
        ValueError: the response cannot be read.
    """
    readings: dict[ModelKey, Reading] = defaultdict(Reading)

    def samples(metric: Metric) -> Iterator[_Value]:
        for sample in source.latest(metric, match, at=at, within=within):
            if math.isfinite(sample.value):
                yield readings[model_key(sample.attributes)], sample.attributes, sample.value

    _read_calls(samples)
    _read_features(source, match, at, within, readings)
    if bins:
        for reading, attributes, value in samples(sc.METRIC_FEATURE_OBSERVATIONS):
            index = attributes.get(sc.ML_FEATURE_BIN, "")
            if index.isascii() and index.isdigit():
                reading.bins[attributes.get(sc.ML_FEATURE_NAME, "")][int(index)] += int(value)
    for metric, part, name in COUNTS:
        for reading, attributes, value in samples(metric):
            getattr(reading, part)[attributes.get(name, "")] += int(value)
    _read_quality(samples)
    for reading, _, value in samples(sc.METRIC_MONITOR_INFO):
        reading.processes += int(value)
    return dict(readings)


def _read_calls(samples: _Samples) -> None:
    """Read predictions and their durations."""
    for reading, attributes, value in samples(sc.METRIC_PREDICTIONS_SERVED):
        error = attributes.get(ERROR_TYPE)
        if error:
            reading.failed[error] += int(value)
        else:
            reading.served += value
    for reading, attributes, value in samples(DURATIONS):
        end = _number(attributes.get(BUCKET, ""))
        if end is not None:
            reading.buckets[end] += int(value)


def _read_quality(samples: _Samples) -> None:
    """Read accuracy, other measures, and the evidence of canaries."""
    for metric, name in ((sc.METRIC_MODEL_ACCURACY, "accuracy"), (sc.METRIC_MODEL_ACCURACY_ESTIMATED, "estimated")):
        for reading, _, value in samples(metric):
            before = getattr(reading, name)
            setattr(reading, name, value if before is None else min(before, value))
    for reading, attributes, value in samples(sc.METRIC_MODEL_PERFORMANCE):
        names = sc.ML_MODEL_PERFORMANCE_METRIC, sc.ML_MODEL_CLASS, sc.ML_MODEL_PERFORMANCE_BOUND
        metric_name, each, bound = (attributes.get(name, "") for name in names)
        reading.performance[metric_name, each, bound] = value
    for reading, attributes, value in samples(sc.METRIC_CANARY_EVIDENCE):
        criterion = reading.evidence[attributes.get(sc.ML_CANARY_CRITERION, "")]
        criterion[attributes.get(sc.ML_CANARY_MEASURE, "")] = value


def _read_features(
    source: CountSource, match: Match, at: float, within: float, readings: Mapping[ModelKey, Reading]
) -> None:
    """Read what a fleet has too: states, scores and verdicts."""
    for sample in _by_scope(source, sc.METRIC_FEATURE_DRIFT_STATUS, sc.ML_FEATURE_NAME, match, at, within):
        states = readings[model_key(sample.attributes)].states[sample.attributes.get(sc.ML_FEATURE_NAME, "")]
        states[sample.attributes.get(sc.ML_FEATURE_DRIFT_STATE, "")] += int(sample.value)
    for sample in _by_scope(source, sc.METRIC_CANARY_STATUS, sc.ML_CANARY_ID, match, at, within):
        states = readings[model_key(sample.attributes)].canaries[sample.attributes.get(sc.ML_CANARY_ID, "")]
        states[sample.attributes.get(sc.ML_CANARY_STATE, "")] += int(sample.value)
    largest: dict[tuple[ModelKey, str, str, str], float] = {}
    for sample in _by_scope(source, sc.METRIC_FEATURE_DRIFT_SCORE, sc.ML_FEATURE_NAME, match, at, within):
        names = (sc.ML_FEATURE_NAME, sc.ML_DRIFT_DISTANCE, sc.ML_WINDOW_LENGTH)
        feature, distance, length = (sample.attributes.get(name, "") for name in names)
        key = model_key(sample.attributes), feature, distance, length
        largest[key] = max(sample.value, largest.get(key, -math.inf))
    for (model, feature, distance, length), value in largest.items():
        readings[model].scores[feature].append(ScoreReading(distance, length, value))


def _by_scope(
    source: CountSource, metric: Metric, name: str, match: Match, at: float, within: float
) -> Sequence[Sample]:
    """Return samples. Where a fleet is evaluated together, only its samples are returned for that feature or canary."""
    samples = [each for each in source.latest(metric, match, at=at, within=within) if math.isfinite(each.value)]

    def subject(sample: Sample) -> tuple[ModelKey, str]:
        return model_key(sample.attributes), sample.attributes.get(name, "")

    fleet = {subject(each) for each in samples if each.attributes.get(sc.ML_WINDOW_SCOPE) == FLEET}
    if not fleet:
        return samples
    return [each for each in samples if each.attributes.get(sc.ML_WINDOW_SCOPE) == FLEET or subject(each) not in fleet]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
