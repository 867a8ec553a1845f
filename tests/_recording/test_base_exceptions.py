"""Values that raise exceptions other than ``Exception``: they end no thread, of driftline or of the SDK."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)

import driftline as dl
from driftline._windows.ring import make_ring
from driftline.testing import Probe

SECONDS = 30
"""Longest time that a thread may take for what takes a millisecond, on a machine that is busy."""


class Exit(BaseException):
    """An exception that ends programs."""


class PanicException(BaseException):
    """A panic as pyo3 makes it."""


PanicException.__module__ = "pyo3_runtime"


class Raising:
    """A value that raises when it is binned."""

    def __init__(self, kind):
        self.kind = kind

    def __float__(self):
        raise self.kind

    def __eq__(self, other):
        raise self.kind

    def __hash__(self):
        raise self.kind


class CountingExporter(MetricExporter):
    """An exporter that counts its exports."""

    exports = 0

    def export(self, metrics_data, timeout_millis=10_000, **kwargs):
        self.exports += 1
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **kwargs):
        pass


@pytest.fixture
def reference():
    return dl.Reference.fit({"x": [1.0, 2.0, 3.0] * 10, "color": ["red", "blue", "red"] * 10})


def wait_until(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("kind", [Exit, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_value_does_not_end_the_worker_thread(reference, kind):
    reader = InMemoryMetricReader()
    monitor = dl.Monitor("flights", reference=reference, meter_provider=MeterProvider([reader]))
    predict, probe = monitor.instrument(lambda features: 0.5), Probe(monitor)
    predict({"x": Raising(kind), "color": Raising(kind)})
    probe.wake_worker()
    wait_until(lambda: probe.errors.get("drain") or probe.totals.rows == 1)
    for _ in range(10):
        predict({"x": 1.0, "color": "red"})
    probe.wake_worker()
    assert monitor.enabled
    assert any(thread.name == "driftline" for thread in threading.enumerate())
    # A collection does not wait for a dead thread, and no exception comes out of it.
    before = time.perf_counter()
    for _ in range(20):
        assert reader.get_metrics_data() is not None
    assert time.perf_counter() - before < 20 * 0.4
    wait_until(lambda: probe.totals.rows + sum(probe.totals.dropped.values()) == 11)
    assert probe.totals.served == 11
    monitor.shutdown()


@pytest.mark.parametrize("kind", [Exit, SystemExit, KeyboardInterrupt])
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_value_does_not_end_the_thread_of_the_sdk(reference, kind):
    """The callbacks run in this thread, where the rows of a synchronous monitor are binned."""
    exporter = CountingExporter()
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=20)])
    monitor = dl.Monitor("flights", reference=reference, synchronous=True, meter_provider=provider)
    predict = monitor.instrument(lambda features: 0.5)
    for _ in range(3):
        predict({"x": Raising(kind), "color": Raising(kind)})
        exports = exporter.exports
        wait_until(lambda exports=exports: exporter.exports >= exports + 2)
    wait_until(lambda: Probe(monitor).backlog == 0)
    assert sum(Probe(monitor).errors.values()) > 0
    provider.shutdown()


def test_panics_are_contained_on_the_path_of_a_caller(reference):
    monitor = dl.Monitor("flights", reference=reference, synchronous=True)
    predict = monitor.instrument(lambda features: 0.5)
    for _ in range(5):
        assert predict({"x": Raising(PanicException), "color": "red"}) == 0.5
    monitor.observe({"x": [Raising(PanicException)] * 40, "color": ["red"] * 40})
    monitor.flush()
    assert monitor.status()
    totals = Probe(monitor).totals
    assert totals.served == 45
    assert totals.rows + sum(totals.dropped.values()) == 45


@pytest.mark.parametrize("kind", [Exit, KeyboardInterrupt])
def test_other_exceptions_of_values_reach_the_caller_and_leave_sound_counts(reference, kind):
    """They cannot be distinguished from those of the host by their class."""
    monitor = dl.Monitor("flights", reference=reference, synchronous=True)
    predict = monitor.instrument(lambda features: 0.5)
    predict({"x": 1.0, "color": "red"})
    predict({"x": Raising(kind), "color": "red"})
    with pytest.raises(kind):
        monitor.flush()
    assert predict({"x": 1.0, "color": "red"}) == 0.5
    monitor.flush()
    totals = Probe(monitor).totals
    assert totals.served == 3
    assert totals.rows + sum(totals.dropped.values()) == 3


@pytest.mark.parametrize("rows", [3, 1_000])
def test_the_durations_of_calls_beside_a_raising_value_reach_the_histogram_once(reference, telemetry, rows):
    """Panes of three rows are complete before the value raises, so that a part of the calls is binned by then."""
    monitor = dl.Monitor(
        "flights",
        reference=reference,
        synchronous=True,
        window=dl.Window(rows=rows),
        meter_provider=telemetry.meter_provider,
    )
    predict, probe = monitor.instrument(lambda features: 0.5), Probe(monitor)
    assert telemetry.value("ml.prediction.duration") is None
    for number in range(8):
        predict({"x": Raising(Exit) if number == 4 else 1.0, "color": "red"})
    with pytest.raises(Exit):
        monitor.flush()
    monitor.flush()
    assert telemetry.value("ml.prediction.duration") == telemetry.value("ml.predictions.served") == 8
    assert int(probe.totals.durations.sum()) == probe.totals.served == 8
    assert (probe.totals.rows, probe.totals.dropped) == (7, {"unreadable": 1})


class InterruptedRing:
    """A ring of panes that raises an interrupt after it has added one row, once."""

    def __init__(self, ring):
        self._ring, self._due = ring, True

    def __getattr__(self, name):
        return getattr(self._ring, name)

    def add(self, counts, rows, *more):
        window = self._ring.add(counts, rows, *more)
        if rows == 1 and self._due:
            self._due = False
            signal.raise_signal(signal.SIGINT)
        return window


def test_a_row_that_is_binned_alone_is_counted_once_if_an_interrupt_follows(reference, telemetry, monkeypatch):
    monkeypatch.setattr("driftline._windows.panes.make_ring", lambda *options: InterruptedRing(make_ring(*options)))
    monitor = dl.Monitor("flights", reference=reference, synchronous=True, meter_provider=telemetry.meter_provider)
    predict, probe = monitor.instrument(lambda features: 0.5), Probe(monitor)
    for number in range(8):
        predict({"x": Raising(Exit) if number == 4 else 1.0, "color": "red"})
    with pytest.raises(KeyboardInterrupt):
        monitor.flush()
    assert probe.totals.rows == probe.totals.served == 1
    with pytest.raises(Exit):
        monitor.flush()
    assert telemetry.value("ml.prediction.duration") == probe.totals.served == 8
    assert (probe.totals.rows, probe.totals.dropped) == (7, {"unreadable": 1})
