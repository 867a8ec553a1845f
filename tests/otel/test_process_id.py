"""Each process counts under its own id, and says which reference it compares with."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import driftline as dl
from driftline._runtime.version import VERSION

BINS, INFO, PROCESS = "ml.feature.observations", "ml.monitor.info", "ml.monitor.process"

FORK = """
import json, os, sys
import driftline as dl
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

reader = InMemoryMetricReader()
data = {"age": [20.0, 30.0, 40.0] * 10}
monitor = dl.Monitor("m", reference=dl.Reference.fit(data), export_bins=True, synchronous=True,
                     meter_provider=MeterProvider([reader], shutdown_on_exit=False))

def counts():
    found = reader.get_metrics_data()
    return [(metric.name, point.attributes["ml.monitor.process"], point.value)
            for resource in (found.resource_metrics if found else ()) for scope in resource.scope_metrics
            for metric in scope.metrics if metric.name in {"ml.feature.observations", "ml.monitor.info"}
            for point in metric.data.data_points]

monitor.observe({"age": [20.0] * 7})
parent = counts()
read, write = os.pipe()
if os.fork() == 0:
    before = counts()
    monitor.observe({"age": [20.0] * 5})
    os.write(write, json.dumps([before, counts()]).encode())
    os._exit(0)
os.wait()
print(json.dumps([parent, *json.loads(os.read(read, 1_000_000)), counts()]))
"""


def points(setup, metric):
    """The attributes and the value of each point of a metric."""
    return [(attributes, value) for name, attributes, value in setup.points() if name == metric]


@pytest.fixture
def setup(new_setup):
    """A provider with a reader."""
    return new_setup()


@pytest.fixture
def reference():
    """A reference of one feature."""
    return dl.Reference.fit({"age": [20.0, 30.0, 40.0] * 10}, predictions=[0.1, 0.2, 0.3] * 10)


def monitor_of(setup, reference, **options):
    """A monitor that exports bins."""
    return dl.Monitor(
        "m", reference=reference, export_bins=True, synchronous=True, meter_provider=setup.provider, **options
    )


def test_all_counts_of_a_process_have_one_id(setup, reference):
    for version in ("1", "2"):
        monitor_of(setup, reference, version=version).observe({"age": [20.0, 30.0]}, [0.1, 0.2])
    ids = {attributes[PROCESS] for attributes, _ in (*points(setup, BINS), *points(setup, INFO))}
    assert len(ids) == 1
    assert all(len(name) == 16 and int(name, 16) for name in ids)


def test_counts_of_a_second_monitor_continue_the_series_of_the_first(setup, reference):
    first = monitor_of(setup, reference)
    first.observe({"age": [20.0] * 3})
    before = points(setup, BINS)
    first.shutdown()
    monitor_of(setup, reference).observe({"age": [20.0] * 4})
    after = points(setup, BINS)
    assert [attributes for attributes, _ in after] == [attributes for attributes, _ in before]
    assert {value for _, value in before}, {value for _, value in after} == ({3}, {7})


def test_each_provider_counts_under_another_id(new_setup, reference):
    setups = [new_setup(), new_setup()]
    for setup in setups:
        monitor_of(setup, reference).observe({"age": [20.0]})
    assert len({attributes[PROCESS] for setup in setups for attributes, _ in points(setup, BINS)}) == 2


@pytest.mark.slow
def test_a_child_of_a_fork_counts_from_zero_under_another_id():
    result = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=True)
    parent, before, child, later = json.loads(result.stdout)
    assert before == []
    assert later == parent
    ((_, parent_id, seven), _) = parent
    ((_, child_id, five), (_, info_id, _)) = child
    assert (seven, five) == (7, 5)
    assert child_id == info_id != parent_id


def test_info_describes_the_library_and_the_reference(setup, reference):
    monitor = monitor_of(setup, reference, version="3")
    assert points(setup, INFO) == []
    monitor.observe({"age": [20.0]}, [0.1])
    ((attributes, value),) = points(setup, INFO)
    assert value == 1
    assert attributes.pop(PROCESS)
    assert attributes == {
        "ml.model.name": "m",
        "ml.model.version": "3",
        "ml.monitor.library_version": VERSION,
        "ml.reference.fingerprint": reference.fingerprint,
        "ml.reference.rows": 30,
        "ml.reference.features": 1,
        "ml.reference.origin": "training",
    }


def test_info_names_the_reference_at_work(setup, reference):
    monitor = monitor_of(setup, reference)
    monitor.observe({"age": [20.0]})
    other = dl.Reference.fit({"age": [1.0, 2.0, 3.0, 4.0] * 10})
    monitor.replace_reference(other)
    assert [attributes["ml.reference.fingerprint"] for attributes, _ in points(setup, INFO)] == [other.fingerprint]


def test_info_names_no_reference_while_one_is_learned(setup):
    monitor = monitor_of(setup, dl.Reference.learn(rows=100))
    monitor.observe({"age": [20.0, 30.0]})
    ((attributes, _),) = points(setup, INFO)
    assert attributes.keys() == {"ml.model.name", PROCESS, "ml.monitor.library_version", "ml.reference.origin"}
    assert attributes["ml.reference.origin"] == "serving"
    monitor.observe({"age": [20.0, 30.0] * 49})
    monitor.flush()
    ((attributes, _),) = points(setup, INFO)
    assert attributes["ml.reference.rows"] == 100
    assert attributes["ml.reference.origin"] == "serving"
    monitor.replace_reference(dl.Reference.fit({"age": [1.0, 2.0, 3.0, 4.0] * 10}))
    ((attributes, _),) = points(setup, INFO)
    assert attributes["ml.reference.origin"] == "training"


def test_a_monitor_that_was_shut_down_is_reported_once_more(setup, reference):
    monitor = monitor_of(setup, reference)
    monitor.observe({"age": [20.0]})
    monitor.shutdown()
    assert [len(points(setup, INFO)) for _ in range(2)] == [1, 0]
