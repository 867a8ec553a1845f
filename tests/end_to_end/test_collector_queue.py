"""The queue on disk: what the collector has confirmed arrives, whatever happens to it or to the backend."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from collector_files import environment_of
from collector_process import CollectorProcess
from instances import Instance
from otlp_sink import OtlpSink

import driftline as dl

pytestmark = [pytest.mark.real, pytest.mark.system]

CONFIG = Path(__file__).parents[2] / "collector-config"
CUMULATIVE, DELTA = ("prometheus", "cumulative"), ("datadog", "delta")
ROWS = 10


@pytest.fixture
def reference():
    random = np.random.default_rng(0)
    return dl.Reference.fit({"amount": random.normal(10.0, 2.0, 5_000), "age": random.normal(40.0, 10.0, 5_000)})


@pytest.fixture
def backend():
    sink = OtlpSink()
    sink.up()
    yield sink
    sink.down()


@pytest.fixture
def run(tools, tmp_path, backend):
    """Return a function that starts a collector with the file of a backend."""
    started = []

    def start(name):
        environment = environment_of(name, backend.url)
        collector = CollectorProcess(tools / "otelcol", CONFIG / f"{name}.yaml", tmp_path, **environment)
        started.append(collector)
        collector.start()
        return collector

    yield start
    for collector in started:
        collector.end(signal.SIGKILL)


def serve(instance, exports):
    """Serve rows and export them, several times."""
    random = np.random.default_rng(instance.served)
    for _ in range(exports):
        instance.serve({"amount": random.normal(10.0, 2.0, ROWS), "age": random.normal(40.0, 10.0, ROWS)})
        assert instance.export()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(("name", "temporality"), [CUMULATIVE, DELTA])
def test_nothing_is_lost_while_the_backend_is_away(run, backend, reference, eventually, how, name, temporality):
    """And the collector ends and starts meanwhile, twice. No request is on its way, so nothing is sent twice."""
    collector = run(name)
    instance = Instance("pod-1", collector.endpoint, reference, temporality=temporality)
    serve(instance, 2)
    assert eventually(lambda: backend.total("ml.predictions.served"), instance.served) == instance.served
    backend.down()
    for _ in range(2):
        serve(instance, 3)
        collector.end(how)
        collector.start()
    serve(instance, 2)
    backend.up()
    instance.end()
    assert eventually(lambda: backend.total("ml.predictions.served"), instance.served) == instance.served == 100
    assert backend.total("ml.feature.observations") == 2 * instance.served


@pytest.mark.parametrize(("name", "temporality"), [CUMULATIVE, DELTA])
def test_a_killed_collector_sends_at_most_one_request_again(run, backend, reference, eventually, name, temporality):
    """SIGKILL while a request is on its way: the backend has it, and the collector does not know."""
    collector = run(name)
    instance = Instance("pod-1", collector.endpoint, reference, temporality=temporality)
    backend.seconds = 5.0
    serve(instance, 1)
    assert eventually(lambda: len(backend.requests), 1) == 1
    collector.end(signal.SIGKILL)
    backend.seconds = 0.0
    collector.start()
    serve(instance, 1)
    twice = instance.served + (ROWS if temporality == "delta" else 0)
    assert eventually(lambda: backend.total("ml.predictions.served"), twice) == twice
    instance.end()


def test_after_a_damaged_queue_the_next_export_makes_up_for_it(run, backend, reference, tmp_path, eventually):
    """The collector names what it cannot read, and starts without it. Counters are cumulative."""
    collector = run("prometheus")
    instance = Instance("pod-1", collector.endpoint, reference, temporality="cumulative")
    backend.down()
    serve(instance, 2)
    collector.end(signal.SIGKILL)
    files = [path for path in (tmp_path / "queue").iterdir() if path.stat().st_size]
    assert files
    for path in files:
        path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(AssertionError, match="invalid database"):
        collector.start()
    for path in files:
        path.unlink()
    collector.start()
    backend.up()
    serve(instance, 1)
    assert eventually(lambda: backend.total("ml.predictions.served"), instance.served) == instance.served
    instance.end()
