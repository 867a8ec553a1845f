"""A gateway that adds up fifty instances: the series, the counts, and what `driftline judge` concludes from them."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest
from collector_files import environment_of
from collector_process import CollectorProcess
from instances import Instance
from otlp_sink import OtlpSink, plain, value

import driftline as dl
from driftline._backends.otlp_store import OtlpStore, retention_by
from driftline.fleet import FleetJudge, FleetModel, FleetReader, Grid

pytestmark = [pytest.mark.real, pytest.mark.system]

CONFIG = Path(__file__).parents[2] / "collector-config"
INSTANCES, ROWS = 50, 6
WINDOW, BLOCK, SECONDS = 8.0, 1.0, 26.0
"""Seconds of a window, of an eighth of it, and of the whole."""

SHIFT = 1.6
"""The drift of the amounts, 0.8 standard deviations."""


@pytest.fixture
def reference():
    random = np.random.default_rng(0)
    return dl.Reference.fit({"amount": random.normal(10.0, 2.0, 20_000), "age": random.normal(40.0, 10.0, 20_000)})


@pytest.fixture
def backend():
    sink = OtlpSink()
    sink.up()
    yield sink
    sink.down()


@pytest.fixture
def gateway(tools, tmp_path, backend):
    environment = {**environment_of("prometheus", backend.url), "DRIFTLINE_SUM_INTERVAL": "500ms"}
    collector = CollectorProcess(tools / "otelcol", CONFIG / "gateway.yaml", tmp_path, **environment)
    collector.start()
    yield collector
    collector.end(signal.SIGKILL)


class Service:
    """Instances that come and go, and the rows that they have served."""

    def __init__(self, endpoint, reference, temporality):
        self._new = lambda name: Instance(name, endpoint, reference, temporality=temporality)
        self._random = np.random.default_rng(1)
        self.running = [self._new(f"pod-{number}") for number in range(INSTANCES)]
        self.ended = []

    @property
    def served(self):
        return sum(instance.served for instance in [*self.running, *self.ended])

    @property
    def exported(self):
        """Everything that the instances themselves would have sent to a backend."""
        return [request for instance in [*self.running, *self.ended] for request in instance.own_exports]

    def serve(self):
        """Let each instance serve rows, and export them."""
        for instance in self.running:
            amount = self._random.normal(10.0 + SHIFT, 2.0, ROWS)
            instance.serve({"amount": amount, "age": self._random.normal(40.0, 10.0, ROWS)})
            assert instance.export()

    def replace(self, number):
        """End some instances, and start as many."""
        for _ in range(number):
            self.ended.append(self.running.pop(0))
            self.ended[-1].end()
            self.running.append(self._new(f"new-{len(self.ended)}"))

    def end(self):
        for instance in self.running:
            instance.end()


def points_of(request):
    """Yield resource, metric and point of each point of a request."""
    for resource in request.resource_metrics:
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                yield resource.resource, metric, point


def time_of(request):
    """Return the Unix time of the latest point of a request."""
    return max(point.time_unix_nano for _, _, point in points_of(request)) / 1e9


def states_from(requests, reference, start, end):
    """Return what the fleet's judge concludes from what a backend has received: rows, and the state of each feature."""
    now = [start]
    store = OtlpStore(retention_by(BLOCK), clock=lambda: now[0])
    for request in sorted(requests, key=time_of):
        now[0] = time_of(request)
        store.add(request)
    reader = FleetReader(store, reference, FleetModel("orders", version="1"))
    first, last = start // WINDOW * WINDOW, end // WINDOW * WINDOW
    everything = reader.read(Grid(first, BLOCK, int((last - first + 3 * WINDOW) // BLOCK) + 1))
    judge = FleetJudge(reference, dl.Window(f"{WINDOW:g}s"), dl.FalseAlarms(1, per="1h"))
    judge.feed(reader.read(Grid(first, BLOCK, int((last - first) // BLOCK) + 1)).blocks)
    result = judge.result()
    return int(everything.blocks.counts.sum()), {name: status.state for name, status in result.features.items()}


def series_of(requests):
    """Return the number of series of each metric."""
    series = {}
    for request in requests:
        for resource, metric, point in points_of(request):
            key = (*sorted(plain(resource.attributes).items()), *sorted(plain(point.attributes).items()))
            series.setdefault(metric.name, set()).add(key)
    return {name: len(series) for name, series in series.items()}


@pytest.mark.slow
def test_the_sums_lead_to_the_same_states(gateway, backend, reference, eventually):
    """Fifty instances, of which ten are replaced; the gateway ends with SIGTERM and starts again."""
    service = Service(gateway.endpoint, reference, "delta")
    start = time.time()
    while time.time() < start + SECONDS:
        began = time.monotonic()
        service.serve()
        if len(service.ended) < 10:
            service.replace(5)
            if service.ended[5:]:
                gateway.end(signal.SIGTERM)
                gateway.start()
        time.sleep(max(0.0, BLOCK - (time.monotonic() - began)))
    end = time.time()
    assert eventually(lambda: backend.total("ml.predictions.served"), service.served) == service.served
    rows, states = states_from(backend.requests, reference, start, end)
    own_rows, own_states = states_from(service.exported, reference, start, end)
    assert rows == own_rows == 2 * service.served
    assert states == own_states == {"amount": "drifting", "age": "stable"}
    before, after = series_of(service.exported), series_of(backend.requests)
    starts = 2
    assert before["ml.predictions.served"] == before["ml.monitor.info"] == INSTANCES + 10
    assert after["ml.predictions.served"] == after["ml.monitor.info"] == starts
    assert after["ml.feature.observations"] <= starts * 34 < before["ml.feature.observations"]
    assert "ml.feature.drift.score" not in after
    service.end()


@pytest.mark.slow
@pytest.mark.parametrize(("temporality", "how"), [("delta", signal.SIGKILL), ("cumulative", None)])
def test_the_counts_of_instances_that_come_and_go_add_up(gateway, backend, reference, eventually, temporality, how):
    """Also when the gateway is killed between two exports, if the SDK exports deltas."""
    service = Service(gateway.endpoint, reference, temporality)
    for number in range(4):
        service.serve()
        service.replace(5)
        if how is not None and number == 1:
            gateway.end(how)
            gateway.start()
    expected = service.served
    most = expected + (INSTANCES * ROWS if how is not None else 0)
    assert eventually(lambda: backend.total("ml.predictions.served") >= expected, expected=True)
    assert expected <= backend.total("ml.predictions.served") <= most
    values = {}
    for _, resource, attributes, point in backend.points("ml.predictions.served"):
        series = values.setdefault((*resource.items(), *attributes.items()), [])
        assert not series or value(point) >= series[-1], "a sum has decreased"
        series.append(value(point))
    assert len(values) == (1 if how is None else 2)
    service.end()
