"""Monitors that are dropped without `shutdown` end, and their counts are exported."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import driftline as dl
from driftline._pipeline.pipeline import Pipeline
from driftline._runtime import abandoned

ROW = {"x": 0.5}
SERVED = "ml.predictions.served"


@pytest.fixture(scope="module")
def small():
    """A reference with one feature."""
    random = np.random.default_rng(1)
    return dl.Reference.fit({"x": random.normal(size=500)}, predictions=random.random(500))


@pytest.fixture
def setup():
    """A provider, and the points of a collection: (metric, model, value)."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)

    def points(metric=SERVED):
        data = reader.get_metrics_data()
        return {
            point.attributes["ml.model.name"]: point.value
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        }

    yield provider, points
    provider.shutdown()


def living():
    """The pipelines that no collection of garbage has freed."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, Pipeline)]


def wait_until(condition, seconds=10.0):
    """Wait for a worker thread."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


def threads():
    """The worker threads."""
    return [thread for thread in threading.enumerate() if thread.name == "driftline"]


def serve(monitor, calls=10):
    """Serve some calls, and drop the function."""
    predict = monitor.instrument(lambda features: 0.5)
    for _ in range(calls):
        predict(ROW)


@pytest.fixture(autouse=True)
def no_others():
    """Begin without the monitors of other tests."""
    abandoned.finish_abandoned()
    gc.collect()
    abandoned.finish_abandoned()


@pytest.mark.slow
@pytest.mark.parametrize("name", [lambda number: "same", lambda number: f"model {number}"])
@pytest.mark.parametrize("synchronous", [False, True])
@pytest.mark.parametrize("listened_to", [True, False])
def test_dropped_monitors_are_freed(small, setup, name, synchronous, listened_to):
    provider, points = setup
    before, running = len(living()), len(threads())
    for number in range(30):
        serve(
            dl.Monitor(
                name(number),
                reference=small,
                synchronous=synchronous,
                meter_provider=provider if listened_to else None,
            )
        )
    if not synchronous:
        wait_until(lambda: len(threads()) <= running)
    elif not listened_to:
        dl.Monitor("another", reference=small, synchronous=True, enabled=False)
        abandoned.finish_abandoned()
    if listened_to:
        assert sum(points().values()) == 300
        assert sum(points().values()) == 300
    assert len(living()) <= before


@pytest.mark.slow
def test_a_decorated_function_keeps_its_monitor(small, setup):
    provider, points = setup
    predict = dl.Monitor("m", reference=small, meter_provider=provider).instrument(lambda features: 0.5)
    for total in (3, 6):
        for _ in range(3):
            predict(ROW)
        gc.collect()
        assert points() == {"m": total}
    assert points("ml.feature.drift.status")
    before = len(living())
    del predict
    wait_until(lambda: len(living()) < before)
    assert points() == {"m": 6}


@pytest.mark.parametrize("kind", ["call", "async function", "generator"])
def test_an_open_call_keeps_its_monitor(small, setup, kind):
    provider, points = setup
    monitor = dl.Monitor("m", reference=small, meter_provider=provider)
    if kind == "call":
        call = monitor.prediction(ROW)
        with call:
            del monitor
            gc.collect()
            call.output = 0.5
    elif kind == "generator":

        @monitor.instrument
        def stream(features):
            yield 0.5

        values = stream(ROW)
        del monitor, stream
        gc.collect()
        assert list(values) == [0.5]
    else:

        @monitor.instrument
        async def predict(features):
            return 0.5

        waiting = predict(ROW)
        del monitor, predict
        gc.collect()
        with pytest.raises(StopIteration):
            waiting.send(None)
    assert points() == {"m": 1}


class Model:
    """A model that holds its monitor, which holds a method of the model: a cycle."""

    def __init__(self, reference, provider, **options):
        self.monitor = dl.Monitor("m", reference=reference, meter_provider=provider, correct=self.is_right, **options)
        self.predict = self.monitor.instrument(self.compute)

    def compute(self, features):
        """The prediction."""
        return features["x"]

    def is_right(self, prediction, actual):
        """Whether a prediction was right."""
        return prediction == actual


@pytest.mark.parametrize("synchronous", [False, True])
def test_cycles_through_the_users_objects_are_freed(small, setup, synchronous):
    provider, points = setup
    before, running = len(living()), len(threads())
    for _ in range(10):
        model = Model(small, provider, synchronous=synchronous)
        model.predict(ROW)
        model.monitor.outcomes(["1"], [0.5])
    del model
    gc.collect()
    assert points() == {"m": 10}
    wait_until(lambda: len(threads()) <= running)
    assert points() == {"m": 10}
    assert len(living()) <= before


def test_counters_do_not_fall_while_a_monitor_is_finished(small, setup):
    provider, points = setup
    totals = []
    for number in range(1, 6):
        model = Model(small, provider)
        model.predict(ROW)
        totals.append(points()["m"])
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None or number
        totals += [points()["m"] for _ in range(3)]
    assert totals == sorted(totals)
    assert totals[-1] == 5


@pytest.mark.slow
def test_a_canary_lives_as_long_as_its_candidate(small, setup):
    provider, points = setup
    before = len(living())
    baseline, candidate = (
        dl.Monitor("m", variant=variant, reference=small, meter_provider=provider)
        for variant in ("baseline", "candidate")
    )
    dl.Canary(baseline=baseline, candidate=candidate)
    serve(baseline)
    serve(candidate)
    candidate.flush()
    gc.collect()
    assert points("ml.canary.status")
    del baseline, candidate
    gc.collect()
    wait_until(lambda: len(living()) <= before)


def test_states_of_a_dropped_monitor_are_exported_once_more(small, setup):
    provider, points = setup
    monitor = dl.Monitor("m", reference=small, meter_provider=provider)
    monitor.observe({"x": np.full(500, 9.0)})
    running = len(threads())
    del monitor
    wait_until(lambda: len(threads()) < running)
    assert points("ml.feature.drift.status")
    assert not points("ml.feature.drift.status")


def test_a_monitor_that_was_shut_down_is_freed_at_once(small, setup):
    provider, _ = setup
    monitor = dl.Monitor("m", reference=small, meter_provider=provider, synchronous=True)
    serve(monitor)
    monitor.shutdown()
    before = len(living())
    del monitor
    assert len(living()) == before - 1


def test_a_collection_does_not_wait_for_each_monitor_in_turn(small, setup):
    provider, points = setup
    monitors = [dl.Monitor(f"m{number}", reference=small, meter_provider=provider) for number in range(150)]
    for monitor in monitors:
        serve(monitor, calls=1)
    points()
    began = time.monotonic()
    assert sum(points().values()) == 150
    # A wait of 5 ms for each is 0.75 s. The limit is for a busy host.
    assert time.monotonic() - began < 0.6


def test_a_collection_with_monitors_that_hang_ends_in_time(small, setup):
    provider, points = setup
    release = threading.Event()

    def hang(reference, current):
        if current.sum() > 10:
            release.wait(20.0)
        return 0.0

    monitors = [
        dl.Monitor(f"m{number}", reference=small, meter_provider=provider, distances=[hang], window=dl.Window(rows=20))
        for number in range(12)
    ]
    for monitor in monitors:
        serve(monitor, calls=20)
    began = time.monotonic()
    assert sum(points().values()) == 240
    assert time.monotonic() - began < 4.0
    release.set()
