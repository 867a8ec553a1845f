"""`Monitor`: rejected arguments, OpenTelemetry set up before or after it, several monitors, and shutdown."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality

import driftline as dl
from driftline import testing
from driftline._pipeline.settings import Settings

DELTA = {ObservableCounter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": None}, "name=None: expected a string of 1 to 255 characters"),
        ({"name": ""}, "name='': expected a string of 1 to 255 characters"),
        ({"name": "x" * 256}, "expected a string of 1 to 255 characters"),
        ({"version": 3}, "version=3: expected a string of 1 to 255 characters"),
        ({"variant": b"canary"}, "variant=b'canary': expected a string of 1 to 255 characters"),
        ({"reference": 5}, "reference=5: expected a Reference, the path of one, or Reference.learn(rows=...)"),
        ({"reference": None}, "reference=None: expected a Reference"),
        ({"window": "10min"}, "window='10min': expected Window(rows=...) or Window('10min')"),
        ({"window": 5_000}, "window=5000: expected Window(rows=...) or Window('10min')"),
        ({"distances": "psi"}, "distances='psi'"),
        ({"distances": ["nearness"]}, "nearness"),
        ({"distances": [3]}, "3"),
        ({"rule": 0.2}, "rule=0.2: expected"),
        ({"rule": dl.FalseAlarms}, "expected"),
        ({"correct": 0.5}, "correct=0.5: expected a function"),
        ({"clock": None}, "clock=None: expected a function"),
        ({"clock": 0.0}, "clock=0.0: expected a function"),
        ({"export_bins": 1}, "export_bins=1: expected True or False"),
        ({"trace": "yes"}, "trace='yes': expected True or False"),
        ({"synchronous": None}, "synchronous=None: expected True or False"),
        ({"enabled": "false"}, "enabled='false': expected True or False, or None"),
        ({"retraining": True}, "retraining=True: expected a RetrainingPolicy"),
        ({"on_error": "ignore"}, "on_error='ignore': expected 'log' or 'raise'"),
        ({"on_error": []}, "on_error=[]: expected 'log' or 'raise'"),
        ({"meter_provider": MeterProvider}, "expected an OpenTelemetry provider with get_meter()"),
        ({"meter_provider": "otlp"}, "meter_provider='otlp': expected an OpenTelemetry provider with get_meter()"),
        ({"logger_provider": 1}, "logger_provider=1: expected an OpenTelemetry provider with get_logger()"),
        ({"tracer_provider": {}}, "tracer_provider={}: expected an OpenTelemetry provider with get_tracer()"),
    ],
    ids=str,
)
def test_wrong_arguments_are_rejected(reference, options, message):
    """The message names the value and what was expected."""
    with pytest.raises(dl.ConfigurationError) as raised:
        dl.Monitor(**{"name": "m", "reference": reference, **options})
    assert message in str(raised.value)


def test_settings_have_one_field_per_argument():
    """In the same order."""
    arguments = list(inspect.signature(dl.Monitor).parameters)
    assert [field.name for field in dataclasses.fields(Settings)] == arguments


def test_missing_reference_file_is_named(tmp_path):
    """With its path."""
    with pytest.raises(dl.ReferenceError, match=r"nowhere\.json: cannot be read"):
        dl.Monitor("m", reference=tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("name", "value", "enabled"),
    [
        ("DRIFTLINE_ENABLED", "false", False),
        ("DRIFTLINE_ENABLED", "0", False),
        ("DRIFTLINE_ENABLED", "true", True),
        ("OTEL_SDK_DISABLED", "true", False),
        ("OTEL_SDK_DISABLED", "1", True),  # OpenTelemetry knows "true" alone
    ],
)
def test_environment_variables_switch_everything_off(reference, monkeypatch, name, value, enabled):
    """They are read when the monitor is created. The decorator then returns the function itself."""
    monkeypatch.setenv(name, value)
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    monkeypatch.delenv(name)
    assert monitor.enabled is enabled

    def predict(features):
        return features

    assert (monitor.instrument(predict) is predict) is not enabled
    with monitor.prediction({}) as call:
        call.output = 1.0
    monitor.observe({}, 1.0)
    monitor.outcome(call.id, actual=True)
    monitor.flush()
    monitor.shutdown()
    if not enabled:
        assert set(monitor.status()) == {*(feature.name for feature in reference.features), "prediction"}
        assert monitor.snapshot().rows == 0


SDK_AFTERWARDS = """
import numpy as np
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import driftline as dl

reference = dl.Reference.fit({"x": np.arange(1_000) * 617.0 % 1_000})
before = dl.Monitor("before", reference=reference)
for _ in range(10):
    before.instrument(lambda features: 0.5)({"x": 1.0})
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
after = dl.Monitor("after", reference=reference)
explicit = dl.Monitor("explicit", reference=reference, meter_provider=metrics.get_meter_provider())
for monitor in (before, after, explicit):
    for _ in range(5):
        monitor.instrument(lambda features: 0.5)({"x": 1.0})
served = {
    metric.name: {dict(point.attributes)["ml.model.name"]: point.value for point in metric.data.data_points}
    for resource in reader.get_metrics_data().resource_metrics
    for scope in resource.scope_metrics
    for metric in scope.metrics
    if metric.name == "ml.predictions.served"
}
assert served == {"ml.predictions.served": {"before": 15, "after": 5, "explicit": 5}}, served
"""


@pytest.mark.slow
def test_sdk_may_be_set_up_later():
    """A monitor older than the global provider reports all its predictions. A newer one shares its instruments."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SDK_AFTERWARDS], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_two_monitors_with_one_name_add_up(make_monitor, telemetry, row):
    """Also when one of them is shut down and a third one replaces it."""
    first, second = make_monitor(), make_monitor()
    for monitor, calls in ((first, 3), (second, 4)):
        for _ in range(calls):
            monitor.instrument(lambda features: 0.5)(row)
    assert telemetry.value("ml.predictions.served") == 7
    second.shutdown()
    assert telemetry.value("ml.predictions.served") == 7
    make_monitor().instrument(lambda features: 0.5)(row)
    assert telemetry.value("ml.predictions.served") == 8
    assert telemetry.value("ml.prediction.duration") == 8


def test_deltas_of_two_monitors_add_up(make_monitor, make_telemetry, row):
    """Each prediction is in exactly one delta."""
    telemetry = make_telemetry(DELTA)
    monitors = [make_monitor(**telemetry.providers) for _ in range(2)]
    functions = [monitor.instrument(lambda features: 0.5) for monitor in monitors]
    served = durations = 0
    for collection in range(4):
        for function in functions[: 2 - (collection > 1)]:
            for _ in range(3):
                function(row)
        points = telemetry.points()
        served += sum(value for name, _, value in points if name == "ml.predictions.served")
        durations += sum(value for name, _, value in points if name == "ml.prediction.duration")
        if collection == 1:
            monitors[1].shutdown()
    assert served == durations == 18


def test_nothing_is_exported_before_the_first_prediction(make_monitor, telemetry, row):
    """A monitor without traffic has no series."""
    monitor = make_monitor()
    assert telemetry.points() == []
    monitor.instrument(lambda features: 0.5)(row)
    assert telemetry.value("ml.predictions.served") == 1


def test_provider_that_is_shut_down_first_does_no_harm(reference, row):
    """The function and the monitor go on."""
    provider = MeterProvider()
    before = dl.Monitor("m", reference=reference, meter_provider=provider, synchronous=True)
    provider.shutdown()
    after = dl.Monitor("m", reference=reference, meter_provider=provider, synchronous=True)
    for monitor in (before, after):
        assert monitor.instrument(lambda features: features["age"])(row) == row["age"]
        monitor.flush()
        assert monitor.snapshot().rows == 1
        monitor.shutdown()


def test_calls_pass_through_after_shutdown(make_monitor, row):
    """Any number of calls, without growing."""
    monitor = make_monitor(synchronous=True)
    function = monitor.instrument(lambda features: features["age"])
    monitor.shutdown()
    monitor.shutdown()
    assert [function(row) for _ in range(20_000)] == [row["age"]] * 20_000


def test_manual_clock_completes_windows_of_time(reference, row):
    """Only `ManualClock.advance` lets time pass."""
    clock = testing.ManualClock()
    monitor = testing.in_memory_monitor(reference=reference, window=dl.Window("1min"), clock=clock)
    monitor.observe({name: [value] * 200 for name, value in row.items()}, [0.5] * 200)
    assert {status.state for status in monitor.status().values()} == {"insufficient_data"}
    clock.advance(60.0)
    assert {status.rows for status in monitor.status().values()} == {200}
    monitor.shutdown()


@pytest.mark.parametrize("rule", [dl.FalseAlarms(min_rows=100), dl.Thresholds(psi=0.2, min_rows=100)])
@pytest.mark.parametrize("rows", [1, 99, 100])
def test_no_score_is_exported_while_there_are_fewer_rows_than_the_rule_needs(
    make_monitor, telemetry, training, rule, rows
):
    clock = testing.ManualClock()
    monitor = make_monitor(rule=rule, window=dl.Window("1min"), clock=clock)
    for start in range(0, rows, 5):  # rows of one instant could all be of one state
        part = slice(start, min(start + 5, rows))
        features = {name: column[part] for name, column in training.features.items()}
        monitor.observe(features, training.predictions[part])
        clock.advance(2.0)
    clock.advance(61.0)
    assert (monitor.status()["age"].state == "insufficient_data") == (rows < 100)
    exported = [attributes for name, attributes, _ in telemetry.points() if name == "ml.feature.drift.score"]
    assert bool(exported) == (rows >= 100)
    assert monitor.scores(), "within the process each score says of how many rows it is"
