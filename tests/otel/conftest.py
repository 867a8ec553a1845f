"""Providers with a reader, monitors that use them, and a global provider that each test may set."""

from __future__ import annotations

import pytest
from opentelemetry.metrics import _internal as api
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.util._once import Once

import driftline as dl
from driftline.otel import _stand_ins

STAND_IN = getattr(api, _stand_ins.PRIVATE_PARTS[0])
SERVED = "ml.predictions.served"


class _Setup:
    """A provider of the SDK with a reader."""

    def __init__(self):
        self.reader = InMemoryMetricReader()
        self.provider = SdkMeterProvider([self.reader], shutdown_on_exit=False)

    def names(self, model=None):
        """The metrics of one collection, of a model or of all."""
        return {name for name, attributes, _ in self.points() if model in {None, attributes["ml.model.name"]}}

    def served(self):
        """The predictions of each model."""
        return {attributes["ml.model.name"]: value for name, attributes, value in self.points() if name == SERVED}

    def scopes(self):
        """The attributes of the scopes."""
        data = self.reader.get_metrics_data()
        return [dict(each.scope.attributes) for resource in data.resource_metrics for each in resource.scope_metrics]

    def points(self):
        """(metric, attributes, value) of each point of one collection."""
        data = self.reader.get_metrics_data()
        return [
            (metric.name, dict(point.attributes), getattr(point, "value", None))
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]


@pytest.fixture
def forget_global(monkeypatch):
    """Return a function after which no global provider is set, as test suites do it. It is called at the start."""

    def forget():
        monkeypatch.setattr(api, "_METER_PROVIDER_SET_ONCE", Once())
        monkeypatch.setattr(api, "_METER_PROVIDER", None)
        monkeypatch.setattr(api, "_PROXY_METER_PROVIDER", STAND_IN())

    forget()
    return forget


@pytest.fixture
def make(reference, row):
    """Return a function that makes a monitor, and one that lets it serve."""
    monitors = []

    def monitor(name, provider=None):
        monitors.append(dl.Monitor(name, reference=reference, meter_provider=provider, on_error="raise"))
        return monitors[-1]

    def use(*used, calls=10):
        for each in used:
            predict = each.instrument(lambda features: 0.5)
            for _ in range(calls):
                predict(row)
            each.flush()

    yield monitor, use
    for each in monitors:
        each.shutdown()


@pytest.fixture
def new_setup():
    """The class of a provider with a reader, for tests that need several."""
    return _Setup
