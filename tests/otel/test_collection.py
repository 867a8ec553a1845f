"""One reading per collection: all points of one export are of one instant."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from opentelemetry.metrics import CallbackOptions, NoOpMeter, NoOpMeterProvider
from opentelemetry.sdk.metrics import Counter as SdkCounter
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View

import driftline as dl
from driftline.otel import Reading, instruments_for

DELTA = {SdkCounter: AggregationTemporality.DELTA, ObservableCounter: AggregationTemporality.DELTA}
SERVED, BINS = "ml.predictions.served", "ml.feature.observations"


class CountingSource:
    """A source whose reading says how many readings have been taken before."""

    def __init__(self, model="m"):
        self.attributes = {"ml.model.name": model}
        self.readings = 0

    def reading(self):
        """The number of this reading in each of several metrics."""
        self.readings += 1
        return Reading(
            self.attributes,
            self.readings,
            dropped={"reason": self.readings},
            errors={"place": self.readings},
            accuracy=float(self.readings),
            accuracy_estimated=float(self.readings),
        )


class PatientReader(InMemoryMetricReader):
    """A reader whose collections may take a minute: threads that never pause share the interpreter with them."""

    def collect(self, timeout_millis=60_000):
        super().collect(timeout_millis)


def export(reader):
    """One collection: a list of (metric, attributes, value)."""
    data = reader.get_metrics_data()
    if data is None:
        return []
    return [
        (metric.name, dict(point.attributes), point.value)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if hasattr(point, "value")
    ]


def values(points):
    """The different values of all points."""
    return {value for _, _, value in points}


@pytest.fixture
def make_provider():
    """Make providers with the readers given, shut down afterwards."""
    providers = []

    def make(*readers, **options):
        providers.append(MeterProvider(readers, **options))
        return providers[-1]

    yield make
    for provider in providers:
        provider.shutdown()


def test_all_metrics_of_a_collection_come_from_one_reading(make_provider):
    reader, source = PatientReader(), CountingSource()
    instruments_for(make_provider(reader)).add(source)
    for number in range(1, 4):
        assert values(export(reader)) == {number}
        assert source.readings == number


def test_each_reader_takes_readings_of_its_own(make_provider):
    readers, source = [PatientReader(), PatientReader()], CountingSource()
    instruments_for(make_provider(*readers)).add(source)
    assert [values(export(reader)) for reader in (*readers, *readers)] == [{1}, {2}, {3}, {4}]


def test_a_view_may_drop_any_instrument(make_provider):
    reader, source = PatientReader(), CountingSource()
    views = [View(instrument_name=name, aggregation=DropAggregation()) for name in (SERVED, "ml.model.performance")]
    instruments_for(make_provider(reader, views=views)).add(source)
    assert [values(export(reader)) for _ in range(3)] == [{1}, {2}, {3}]


def test_concurrent_collections_never_mix_readings(make_provider):
    readers, source = [PatientReader() for _ in range(4)], CountingSource()
    instruments_for(make_provider(*readers)).add(source)
    seen = []

    def collect(reader):
        seen.extend(values(export(reader)) for _ in range(50))

    threads = [threading.Thread(target=collect, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(tuple, seen)) == [(number,) for number in range(1, 201)]


class BareProvider(NoOpMeterProvider):
    """A provider whose callbacks a test calls itself, in any order and number."""

    def __init__(self):
        super().__init__()
        self.callbacks = {}

    def get_meter(self, name, *_, **__):
        """A meter that keeps callbacks."""
        meter = NoOpMeter(name)
        meter.create_observable_counter = meter.create_observable_gauge = self._keep
        meter.create_observable_up_down_counter = self._keep
        return meter

    def _keep(self, name, callbacks, **_):
        (self.callbacks[name],) = callbacks

    def read(self, name):
        """The values that one callback observes."""
        return [observation.value for observation in self.callbacks[name](CallbackOptions())]


def test_a_metric_that_comes_again_begins_the_next_collection():
    provider, source = BareProvider(), CountingSource()
    instruments_for(provider).add(source)
    # Broken off after three of the metrics, as when a callback of the host takes too long.
    assert [provider.read(name) for name in ("ml.monitor.errors", SERVED, "ml.model.accuracy")] == [[1], [1], [1]]
    assert [provider.read(name) for name in ("ml.monitor.errors", SERVED)] == [[2], [2]]


def test_a_complete_collection_leaves_nothing_behind():
    provider, source = BareProvider(), CountingSource()
    instruments_for(provider).add(source)
    for name in provider.callbacks:
        provider.read(name)
    assert provider.read("ml.model.accuracy") == [2]


def test_a_source_that_raises_is_asked_again_by_the_next_callback():
    provider, source = BareProvider(), CountingSource()
    instruments_for(provider).add(source)
    reading, source.reading = source.reading, lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        provider.read(SERVED)
    source.reading = reading
    assert provider.read(SERVED) == [1]


def test_the_child_of_a_fork_takes_a_reading_of_its_own():
    provider, source = BareProvider(), CountingSource()
    instruments = instruments_for(provider)
    instruments.add(source)
    assert provider.read(SERVED) == [1]
    instruments.after_fork()
    assert provider.read("ml.monitor.errors") == [2]


def test_last_states_of_a_closed_source_are_exported_in_one_collection(make_provider):
    reader, source = PatientReader(), CountingSource()
    instruments = instruments_for(make_provider(reader))
    instruments.add(source)
    instruments.close(source)
    gauges = {"ml.model.accuracy", "ml.model.accuracy.estimated"}
    assert {name for name, _, _ in export(reader)} >= gauges
    later = export(reader)
    assert not {name for name, _, _ in later} & gauges
    assert {value for name, _, value in later if name == SERVED} == {1}


def test_of_two_sources_of_one_name_counters_add_up_and_the_newer_state_counts(make_provider):
    reader, older, newer = PatientReader(), CountingSource(), CountingSource()
    newer.readings = 10
    instruments = instruments_for(make_provider(reader))
    instruments.add(older)
    instruments.add(newer)
    points = {(name, value) for name, _, value in export(reader)}
    assert {(SERVED, 12), ("ml.model.accuracy", 11.0)} <= points


@pytest.mark.parametrize("temporality", [{}, DELTA], ids=["cumulative", "delta"])
@pytest.mark.parametrize("synchronous", [True, False])
@pytest.mark.slow
def test_every_export_serves_as_many_rows_as_it_has_in_the_bins_of_each_feature(
    make_provider, synchronous, temporality
):
    random = np.random.default_rng(3)
    names = ["a", "b", "c"]
    reference = dl.Reference.fit(
        dict(zip(names, random.normal(size=(3, 500)), strict=True)), predictions=random.random(500)
    )
    reader = PatientReader(preferred_temporality=temporality)
    monitor = dl.Monitor(
        "m",
        reference=reference,
        window=dl.Window(rows=700),
        export_bins=True,
        synchronous=synchronous,
        meter_provider=make_provider(reader),
    )

    @monitor.instrument
    def predict(features):
        return features["a"] / 10

    batch = {name: random.normal(size=30) for name in names}
    rows = [dict(zip(names, row, strict=True)) for row in random.normal(size=(30, 3)).tolist()]
    stop = threading.Event()
    served = Counter()

    def serve(number):
        while not stop.is_set():
            for row in rows:
                predict(row)
            monitor.observe(batch, batch["a"])
            monitor.observe(batch, batch["a"], seconds=0.01)
            served[number] += len(rows) + 60
            stop.wait(0.02)

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        exports = [export(reader) for _ in range(30) if not stop.wait(0.02)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    monitor.flush()
    exports.append(export(reader))
    monitor.shutdown()
    totals = []
    for points in exports:
        total = sum(value for name, _, value in points if name == SERVED)
        bins = Counter()
        for name, attributes, value in points:
            if name == BINS:
                bins[attributes["ml.feature.name"]] += value
        assert set(bins.values()) <= {total}
        totals.append(total)
    assert (sum(totals) if temporality else totals[-1]) == sum(served.values())
    assert len({*totals}) > 5
