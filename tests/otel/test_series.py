"""Every series within the SDK's limit is exported, and a warning says what is not."""

from __future__ import annotations

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import driftline as dl
from driftline.otel import Reading, _instruments, instruments_for
from driftline.otel._limits import SDK_SETS
from driftline.otel._series import SHARE, SeriesBudget, model_of

STATUS, SCORE = "ml.feature.drift.status", "ml.feature.drift.score"


@pytest.fixture
def setup(monkeypatch):
    """A provider with the SDK's default limit, and the points of a collection: (metric, attributes)."""
    monkeypatch.setattr(_instruments, "sdk_limit", lambda *_: SDK_SETS)  # SDKs before 1.45 have no limit
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)

    def points(metric):
        data = reader.get_metrics_data()
        return [
            dict(point.attributes)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        ]

    yield provider, points
    provider.shutdown()


@pytest.fixture(scope="module")
def wide():
    """Return a function: the reference of n features, and their data."""
    random = np.random.default_rng(2)

    def make(features):
        data = {f"f{number}": random.normal(size=200) for number in range(features)}
        return dl.Reference.fit(data), data

    return make


def serve(setup, wide, features, version="1", **options):
    """Serve rows of a wide model, and return its monitor."""
    reference, data = wide(features)
    monitor = dl.Monitor(
        "m", version=version, reference=reference, meter_provider=setup[0], synchronous=True, enabled=True, **options
    )
    monitor.observe(data)
    monitor.flush()
    return monitor


def features_of(points, version="1"):
    """The features whose state is exported."""
    return {each["ml.feature.name"] for each in points if each["ml.model.version"] == version}


def test_every_state_of_a_wide_model_is_exported(setup, wide, caplog):
    monitor = serve(setup, wide, 200)
    assert len(features_of(setup[1](STATUS))) == 200
    assert len(setup[1](SCORE)) == 800
    assert "cardinality" not in caplog.text
    monitor.shutdown()


def test_states_are_exported_where_scores_exceed_their_limit(setup, wide, caplog):
    monitor = serve(setup, wide, 600)
    assert len(features_of(setup[1](STATUS))) == 600
    assert len(setup[1](SCORE)) == 475 * 4
    assert "125 features have no scores over 5000 rows in the export: 'f475', 'f476'" in caplog.text
    assert "no states" not in caplog.text
    monitor.shutdown()


def test_each_loaded_version_is_exported_within_the_limit(setup, wide, caplog):
    for version in "1234":
        monitor = serve(setup, wide, 60, version)
        assert len(features_of(setup[1](STATUS), version)) == 60
        monitor.shutdown()
    assert "cardinality" not in caplog.text


@pytest.mark.slow
def test_the_limit_is_said_because_the_sdk_gives_nothing_back(setup, wide, caplog):
    """The SDK keeps each attribute set for ever, so that further ones would go to its overflow point unnamed."""
    exported = []
    for version in range(12):
        monitor = serve(setup, wide, 60, str(version))
        points = setup[1](STATUS)
        assert not any("otel.metric.overflow" in each for each in points)
        exported.append(len(features_of(points, str(version))))
        monitor.shutdown()
    assert exported == [60] * 10 + [33, 0]
    assert "27 features have no states in the export" in caplog.text


def test_series_of_longer_windows_are_reserved_when_they_appear(setup, wide, caplog):
    reference, data = wide(200)
    monitor = dl.Monitor(
        "m", reference=reference, meter_provider=setup[0], synchronous=True, window=dl.Window(rows=200), enabled=True
    )
    for windows in (1, 4, 16):
        for _ in range(windows):
            monitor.observe(data)
        setup[1](SCORE)
    lengths = [each["ml.window.length"] for each in setup[1](SCORE)]
    assert lengths.count("200 rows") == lengths.count("800 rows") == 800
    assert lengths.count("3200 rows") == 300
    assert "125 features have no scores over 3200 rows" in caplog.text
    assert len({each["ml.feature.name"] for each in setup[1](STATUS)}) == 200
    monitor.shutdown()


@pytest.mark.slow
def test_monitors_that_nobody_exported_give_their_series_back(wide, setup, caplog):
    for version in range(15):
        monitor = serve((setup[0], None), wide, 120, str(version))
        monitor.shutdown()
    assert "no states" not in caplog.text
    assert len(features_of(setup[1](STATUS), "14")) == 120


class Counting:
    """A source with one count and one number."""

    def __init__(self, name):
        self.attributes = {"ml.model.name": name}

    def reading(self):
        """One prediction, and its accuracy."""
        return Reading(self.attributes, served=1, accuracy=1.0)


def test_more_models_than_series_are_said(setup, caplog):
    sources = [Counting(f"m{number}") for number in range(2_200)]
    for source in sources:
        instruments_for(setup[0]).add(source)
    for _ in range(2):
        assert len(setup[1]("ml.model.accuracy")) == SHARE * SDK_SETS
    assert caplog.text.count("ml.model.accuracy has more than 1900 series in this process") == 1
    assert caplog.text.count("ml.predictions.served has more than 1900 series in this process") == 1


def test_budget():
    budget, model, other = SeriesBudget(), model_of({"a": "1"}), model_of({"a": "2"})
    assert budget.reserve("x", model, {"f": 1_000, "g": 901, "h": 900}) == {"f", "h"}
    assert budget.reserve("x", model, {"f": 1_000, "h": 900, "i": 1}) == {"f", "h"}
    assert budget.reserve("y", other, {"f": 1_900}) == {"f"}
    assert budget.reserve("x", other, {"f": 1}) == set()
    assert budget.unreserved("x", model, {"f": 0, "i": 0}) == {"i"}
    budget.release(model)
    assert budget.reserve("x", other, {"f": 1_900}) == {"f"}
    budget.mark_exported(other)
    budget.release(other)
    assert budget.reserve("x", model, {"f": 1}) == set()
