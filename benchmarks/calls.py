"""One scenario in this process: what watching a call costs, with features in a dict. Prints JSON."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
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
"""Calls before anything is measured: longer than it takes the interpreter to specialise its bytecode."""

DIFFERENT = 512
"""Different dicts that take turns, so that no value is always the same."""

EXPORT_MILLISECONDS = 1_000

Predict = Callable[[dict[str, float]], float]


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


def predict(features: dict[str, float]) -> float:
    """The model: as little work as a function can do."""
    return features["f0"]


def set_up_sdk() -> None:
    """Metrics and spans are made, aggregated and exported to nowhere."""
    reader = PeriodicExportingMetricReader(_DiscardMetrics(), export_interval_millis=EXPORT_MILLISECONDS)
    metrics.set_meter_provider(MeterProvider([reader]))
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(_DiscardSpans()))
    trace.set_tracer_provider(tracers)


def watched(width: int, **options: Any) -> tuple[Predict, Callable[[], None]]:
    """The function watched by driftline."""
    random = np.random.default_rng(0)
    training = {f"f{place}": random.random(TRAINING_ROWS) for place in range(width)}
    reference = dl.Reference.fit(training, predictions=training["f0"])
    monitor = dl.Monitor("bench", version="1", reference=reference, **options)
    return monitor.instrument(predict), monitor.flush


def pair(_: int) -> tuple[Predict, Callable[[], None]]:
    """The function with a counter and a histogram written into it, as one would without driftline."""
    meter = metrics.get_meter("bench")
    count, duration = meter.create_counter("predictions"), meter.create_histogram("duration", "s")
    attributes = {"ml.model.name": "bench", "ml.model.version": "1", "ml.model.variant": "a"}

    def counted(features: dict[str, float]) -> float:
        start = time.perf_counter()
        result = features["f0"]
        count.add(1, attributes)
        duration.record(time.perf_counter() - start, attributes)
        return result

    return counted, lambda: None


def histogram_per_feature(_: int) -> tuple[Predict, Callable[[], None]]:
    """The function with every feature recorded in a histogram: the distribution without driftline."""
    meter = metrics.get_meter("bench")
    values = meter.create_histogram("feature")

    def recorded(features: dict[str, float]) -> float:
        for name, value in features.items():
            values.record(value, {"feature": name})
        return features["f0"]

    return recorded, lambda: None


def prometheus_pair(_: int) -> tuple[Predict, Callable[[], None]]:
    """The function with a counter and a histogram of prometheus_client, their labels bound."""
    from prometheus_client import CollectorRegistry, Counter, Histogram  # noqa: PLC0415 - of this scenario

    registry, labels = CollectorRegistry(), ("bench", "1", "a")
    names = ("model", "version", "variant")
    count = Counter("predictions", "made", names, registry=registry).labels(*labels)
    duration = Histogram("duration", "of a call", names, registry=registry).labels(*labels)

    def counted(features: dict[str, float]) -> float:
        start = time.perf_counter()
        result = features["f0"]
        count.inc()
        duration.observe(time.perf_counter() - start)
        return result

    return counted, lambda: None


def bare(_: int) -> tuple[Predict, Callable[[], None]]:
    """The function alone."""
    return predict, lambda: None


SCENARIOS: dict[str, tuple[Callable[[int], tuple[Predict, Callable[[], None]]], bool]] = {
    "bare": (bare, True),
    "driftline": (watched, True),
    "driftline, synchronous": (lambda width: watched(width, synchronous=True), True),
    "driftline, a span per call": (lambda width: watched(width, trace=True), True),
    "driftline, no SDK": (watched, False),
    "driftline, disabled": (lambda width: watched(width, enabled=False), True),
    "Counter.add + Histogram.record": (pair, True),
    "Histogram.record per feature": (histogram_per_feature, True),
    "prometheus_client pair": (prometheus_pair, True),
}
"""How a function is made of a number of features, and whether there is an SDK."""


def measure(name: str, width: int, calls: int) -> dict[str, float]:
    """Nanoseconds: quantiles of the latency seen by the caller, and CPU per call of the whole process."""
    make, sdk = SCENARIOS[name]
    if sdk:
        set_up_sdk()
    function, finish = make(width)
    random = np.random.default_rng(1)
    rows = [
        {f"f{place}": float(value) for place, value in enumerate(row)} for row in random.random(size=(DIFFERENT, width))
    ]
    turns = [rows[turn % DIFFERENT] for turn in range(calls)]
    for row in turns[:WARM_UP]:
        function(row)
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
    """All that the calls have left to be done: binning, judging, aggregating, one collection."""
    finish()
    if sdk:
        metrics.get_meter_provider().force_flush()  # type: ignore[attr-defined]
        trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.scenario, asked.width, asked.calls)))
