"""One scenario in this process: the time that instrumentation adds to a call. Prints JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import driftline as dl

TRAINING_ROWS = 5_000
WARM_UP = 3_000
"""Calls before the measurement: more than the interpreter needs to specialise its bytecode."""

LEARNED = 165_000
"""
Calls before the measurement of driftline.

Its first 32 windows of 5,000 rows, in which it learns how rows depend on each other, cost more. A separate scenario
measures them.
"""

DIFFERENT = 512
"""Distinct rows, used in turn, so that values vary."""

EXPORT_MILLISECONDS = 1_000

Predict = Callable[[Any], float]
Scenario = tuple[Predict, Callable[[], None]]
"""The function to call, and a function that finishes the pending work of its calls."""


class _DiscardMetrics(MetricExporter):
    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        del metrics_data, timeout_millis
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        del timeout_millis


class _DiscardSpans(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


def predict(features: Any) -> float:
    """The model: a function that does nothing."""
    del features
    return 0.5


def set_up_sdk(milliseconds: int = EXPORT_MILLISECONDS) -> None:
    """Set up an SDK that aggregates metrics and spans, and discards them every *milliseconds*."""
    reader = PeriodicExportingMetricReader(_DiscardMetrics(), export_interval_millis=milliseconds)
    metrics.set_meter_provider(MeterProvider([reader]))
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(_DiscardSpans()))
    trace.set_tracer_provider(tracers)


def names_of(width: int) -> list[str]:
    """Return the names of the features."""
    return [f"f{index}" for index in range(width)]


def monitor_of(width: int, **options: Any) -> dl.Monitor:
    """Return a monitor of numeric features and the prediction."""
    random = np.random.default_rng(0)
    training = {name: random.random(TRAINING_ROWS) for name in names_of(width)}
    reference = dl.Reference.fit(training, predictions=random.random(TRAINING_ROWS))
    return dl.Monitor("bench", version="1", reference=reference, **options)


def watched(width: int, **options: Any) -> Scenario:
    """Return the function instrumented by driftline."""
    monitor = monitor_of(width, **options)
    return monitor.instrument(predict), monitor.flush


def pair(_: int) -> Scenario:
    """Return the function with a counter and a histogram of the SDK."""
    meter = metrics.get_meter("bench")
    count, duration = meter.create_counter("predictions"), meter.create_histogram("duration", "s")
    attributes = {"ml.model.name": "bench", "ml.model.version": "1", "ml.model.variant": "a"}

    def counted(features: Any) -> float:
        start = time.perf_counter()
        result = predict(features)
        count.add(1, attributes)
        duration.record(time.perf_counter() - start, attributes)
        return result

    return counted, lambda: None


def histogram_per_feature(_: int) -> Scenario:
    """Return the function with a histogram of the SDK for every feature."""
    meter = metrics.get_meter("bench")
    values = meter.create_histogram("feature")

    def recorded(features: dict[str, float]) -> float:
        for name, value in features.items():
            values.record(value, {"feature": name})
        return predict(features)

    return recorded, lambda: None


def prometheus_pair(_: int) -> Scenario:
    """Return the function with a counter and a histogram of prometheus_client, with bound labels."""
    from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415 - of this scenario

    registry, labels = CollectorRegistry(), ("bench", "1", "a")
    names = ("model", "version", "variant")
    count = Counter("predictions", "made", names, registry=registry).labels(*labels)
    duration = Histogram("duration", "of a call", names, registry=registry).labels(*labels)

    def counted(features: Any) -> float:
        start = time.perf_counter()
        result = predict(features)
        count.inc()
        duration.observe(time.perf_counter() - start)
        return result

    return counted, lambda: None


def bare(_: int) -> Scenario:
    """Return the function alone."""
    return predict, lambda: None


SCENARIOS: dict[str, tuple[Callable[[int], Scenario], bool, int]] = {
    "bare": (bare, True, WARM_UP),
    "driftline": (watched, True, LEARNED),
    "driftline, no duration histogram": (lambda width: watched(width, export_duration=False), True, LEARNED),
    "driftline, in its first windows": (watched, True, WARM_UP),
    "driftline, a span per call": (lambda width: watched(width, trace=True), True, LEARNED),
    "driftline, synchronous": (lambda width: watched(width, synchronous=True), True, LEARNED),
    "driftline, no SDK": (watched, False, LEARNED),
    "driftline, disabled": (lambda width: watched(width, enabled=False), True, WARM_UP),
    "Counter.add + Histogram.record": (pair, True, WARM_UP),
    "Histogram.record per feature": (histogram_per_feature, True, WARM_UP),
    "prometheus_client pair": (prometheus_pair, True, WARM_UP),
}
"""By name: a function that takes the number of features, whether an SDK is set up, and the calls before measurement."""


def _by_keywords(function: Any) -> Predict:
    return lambda features: function(**features)


def kind_of(kind: str, width: int) -> tuple[Scenario, Callable[[dict[str, float]], Any]]:
    """Return the instrumented function for one kind of features, and a function that converts a dict to that kind."""
    names = names_of(width)
    monitor = monitor_of(width, export_duration=False)
    plain: Scenario = (monitor.instrument(predict), monitor.flush)
    if kind == "keywords":

        def by_name(**features: float) -> float:
            return predict(features)

        return (_by_keywords(monitor.instrument(by_name)), monitor.flush), lambda row: row
    if kind == "numpy row":
        return plain, lambda row: np.array(list(row.values()))
    if kind == "dataclass":
        kind_of_row = dataclasses.make_dataclass("Features", [(name, float) for name in names])
        return plain, lambda row: kind_of_row(**row)
    if kind == "pydantic model":
        import pydantic  # noqa: PLC0415 - of this kind

        model = pydantic.create_model("Features", **dict.fromkeys(names, (float, ...)))  # type: ignore[call-overload]
        return plain, lambda row: model(**row)
    if kind == "pandas frame of one row":
        import pandas as pd  # noqa: PLC0415 - of this kind

        return plain, lambda row: pd.DataFrame([row])
    return plain, lambda row: row


KINDS = ("dict", "keywords", "numpy row", "dataclass", "pydantic model", "pandas frame of one row")


def rows_of(width: int) -> list[dict[str, float]]:
    """Return the rows, which are used in turn."""
    random = np.random.default_rng(1)
    names = names_of(width)
    return [dict(zip(names, row, strict=True)) for row in random.random(size=(DIFFERENT, width)).tolist()]


def measure(scenario: Scenario, rows: Sequence[Any], calls: int, *, sdk: bool, warm_up: int) -> dict[str, float]:
    """Return quantiles of the caller's latency, and CPU of the process per call, in nanoseconds."""
    function, finish = scenario
    turns = [rows[turn % len(rows)] for turn in range(calls)]
    for row in islice(cycle(rows), warm_up):
        function(row)
    _settle(finish, sdk=sdk)
    taken = np.empty(calls, dtype=np.int64)
    clock = time.perf_counter_ns
    for turn, row in enumerate(turns):
        start = clock()
        function(row)
        taken[turn] = clock() - start
    _settle(finish, sdk=sdk)
    start = time.process_time_ns()
    for row in turns:
        function(row)
    _settle(finish, sdk=sdk)
    cpu = (time.process_time_ns() - start) / calls
    p50, p99, p999 = np.quantile(taken, (0.5, 0.99, 0.999))
    return {"p50": float(p50), "p99": float(p99), "p99.9": float(p999), "cpu": cpu}


def _settle(finish: Callable[[], None], *, sdk: bool) -> None:
    """Finish the pending work of the calls: binning, evaluation, aggregation, one collection."""
    finish()
    if sdk:
        metrics.get_meter_provider().force_flush()  # type: ignore[attr-defined]
        trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]


def main() -> None:
    """Measure one scenario, or one kind of features."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=[*SCENARIOS, *KINDS])
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    asked = parser.parse_args()
    rows: Sequence[Any] = rows_of(asked.width)
    if asked.scenario in SCENARIOS:
        make, sdk, warm_up = SCENARIOS[asked.scenario]
        if sdk:
            set_up_sdk()
        scenario = make(asked.width)
    else:
        sdk, warm_up = True, LEARNED
        set_up_sdk()
        scenario, as_kind = kind_of(asked.scenario, asked.width)
        rows = [as_kind(row) for row in rows]
    print(json.dumps(measure(scenario, rows, asked.calls, sdk=sdk, warm_up=warm_up)))


if __name__ == "__main__":
    main()
