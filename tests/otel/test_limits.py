"""The limit of the SDK is read, and raised where driftline sets the SDK up; each process exports the same features."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider, ObservableGauge
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View

import driftline as dl
from driftline.otel import _instruments
from driftline.otel._batches import batches
from driftline.otel._limits import MAX_SETS, MONITOR_SETS, SDK_SETS, sdk_limit
from driftline.otel._sdk import wide_views

SCORE, STATUS, BINS = "ml.feature.drift.score", "ml.feature.drift.status", "ml.feature.observations"
LIMITED = "aggregation_cardinality_limit" in inspect.signature(View).parameters
"""Whether the SDK has a limit, as since version 1.45."""

needs_limits = pytest.mark.skipif(not LIMITED, reason="this version of the SDK has no limit")


@pytest.fixture
def make():
    """Return a function that makes a provider; it returns the provider and its reader."""
    providers = []

    def provider(views=(), **options):
        reader = InMemoryMetricReader(**options)
        providers.append(MeterProvider([reader], views=views, shutdown_on_exit=False))
        return providers[-1], reader

    yield provider
    for each in providers:
        each.shutdown()


def collect(reader):
    """The attributes of the points of a collection, by metric."""
    points = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points.setdefault(metric.name, []).extend(dict(each.attributes) for each in metric.data.data_points)
    return points


def gauge(provider, name="ml.feature.drift.score", meter="driftline"):
    """An instrument."""
    return provider.get_meter(meter).create_observable_gauge(name)


def test_the_default_limit_is_that_of_the_sdk(make):
    provider, _ = make()
    assert sdk_limit(provider, gauge(provider)) == (SDK_SETS if LIMITED else MAX_SETS)


@needs_limits
def test_a_view_sets_the_limit_of_what_it_selects(make):
    provider, _ = make(views=[View(instrument_name="ml.feature.*", aggregation_cardinality_limit=7)])
    assert sdk_limit(provider, gauge(provider)) == 7
    assert sdk_limit(provider, gauge(provider, "ml.model.accuracy")) == SDK_SETS


@needs_limits
def test_the_smallest_limit_counts(make):
    views = [View(instrument_name="ml.*", aggregation_cardinality_limit=limit) for limit in (9_000, 5_000)]
    provider, _ = make(views=views)
    assert sdk_limit(provider, gauge(provider)) == 5_000


@needs_limits
def test_a_reader_sets_the_limit_of_a_kind_of_instrument(make):
    provider, _ = make(cardinality_limits={ObservableGauge: 12})
    assert sdk_limit(provider, gauge(provider)) == 12
    counter = provider.get_meter("driftline").create_observable_counter("ml.feature.observations")
    assert sdk_limit(provider, counter) == SDK_SETS


@pytest.mark.parametrize("provider", [None, object(), type("Odd", (), {"_sdk_config": 5})()])
def test_a_provider_of_another_kind_has_the_default_limit(provider):
    assert sdk_limit(provider, object()) == SDK_SETS


def test_the_set_up_of_driftline_raises_the_limit_of_its_own_metrics(make):
    provider, _ = make(views=wide_views())
    limit = MONITOR_SETS if LIMITED else MAX_SETS
    assert sdk_limit(provider, gauge(provider)) == limit
    assert sdk_limit(provider, gauge(provider, meter="of the host")) == (SDK_SETS if LIMITED else MAX_SETS)


@pytest.fixture(scope="module")
def wide():
    """Rows of 700 features, and their reference."""
    random = np.random.default_rng(6)
    columns = {f"f{number}": random.normal(size=200) for number in range(700)}
    return dl.Reference.fit(columns), columns


def serve(provider, wide, **options):
    """Serve a window of all features."""
    reference, columns = wide
    monitor = dl.Monitor(
        "m",
        reference=reference,
        window=dl.Window(rows=200),
        export_bins=True,
        synchronous=True,
        enabled=True,
        meter_provider=provider,
        **options,
    )
    monitor.observe(columns)
    return monitor


@pytest.mark.slow
def test_every_series_of_a_wide_model_is_exported_after_the_set_up_of_driftline(make, wide, caplog):
    provider, reader = make(views=wide_views())
    serve(provider, wide)
    points = collect(reader)
    names = {f"f{number}" for number in range(700)}
    assert {each["ml.feature.name"] for each in points[BINS]} == names
    assert len(points[SCORE]) == 4 * 700
    assert len(points[STATUS]) == 3 * 700
    assert "cardinality" not in caplog.text


@needs_limits
def test_a_higher_limit_of_the_host_is_used(make, wide, caplog):
    provider, reader = make(views=[View(instrument_name="ml.*", aggregation_cardinality_limit=50_000)])
    serve(provider, wide)
    assert len(collect(reader)[SCORE]) == 4 * 700
    assert "cardinality" not in caplog.text


@needs_limits
def test_a_lower_limit_of_the_host_is_kept(make, wide):
    provider, reader = make(views=[View(instrument_name="ml.*", aggregation_cardinality_limit=100)])
    serve(provider, wide)
    points = collect(reader)
    assert not any("otel.metric.overflow" in each for of_metric in points.values() for each in of_metric)
    assert {each["ml.feature.name"] for each in points[STATUS]} == {f"f{number}" for number in range(31)}


@pytest.mark.slow
def test_each_process_exports_the_same_features(make, wide, monkeypatch, caplog):
    """Also one whose first window has too few rows of some of them."""
    monkeypatch.setattr(_instruments, "sdk_limit", lambda *_: SDK_SETS)
    reference, columns = wide
    exported = []
    for absent in (0, 500):
        provider, reader = make()
        gaps = {name: values * np.nan for name, values in list(columns.items())[:absent]}
        monitor = serve(provider, (reference, {**columns, **gaps}))
        collect(reader)
        monitor.observe(columns)
        points = collect(reader)
        exported.append({name: {each["ml.feature.name"] for each in points[name]} for name in (SCORE, STATUS, BINS)})
        monitor.shutdown()
    assert exported[0] == exported[1]
    assert exported[0][SCORE] == {f"f{number}" for number in range(475)}
    assert "call configure_otlp() before the monitor is made, raise the limit of your provider" in caplog.text


def test_what_is_not_exported_is_counted(make, wide, monkeypatch):
    monkeypatch.setattr(_instruments, "sdk_limit", lambda *_: SDK_SETS)
    provider, reader = make()
    serve(provider, wide)
    collect(reader)
    errors = [each for each in collect(reader)["ml.monitor.errors"] if each["ml.monitor.place"] == "cardinality"]
    assert len(errors) == 1


@pytest.mark.slow
def test_a_large_collection_is_sent_in_parts(make, wide):
    provider, reader = make(views=wide_views())
    serve(provider, wide)
    data = reader.get_metrics_data()

    def flat(parts):
        return [
            (metric.name, point)
            for part in parts
            for resource in part.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    parts = batches(data, 1_000)
    assert flat(parts) == flat([data])
    sizes = [len(flat([part])) for part in parts]
    assert set(sizes[:-1]) == {1_000}
    assert 0 < sizes[-1] <= 1_000
    for part in parts:
        (resource,) = part.resource_metrics
        (scope,) = resource.scope_metrics
        assert resource.resource == data.resource_metrics[0].resource
        assert scope.scope == data.resource_metrics[0].scope_metrics[0].scope
    assert batches(data, len(flat([data])))[0] is data
