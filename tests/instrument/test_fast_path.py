"""The short way of a call: what the host sees is its own function, and every call is counted once."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import inspect
import threading

import numpy as np
import pandas as pd
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider

import driftline as dl
from driftline._binning.layout import Layout
from driftline._recording.latencies import LatencyQueue
from driftline._recording.recorder import Recorder
from driftline._windows.panes import Panes
from driftline.otel import current_context
from driftline.testing import Probe


def bare(features):
    """The function alone."""
    return features["age"] / 100


@pytest.mark.parametrize("call", [lambda f: f(), lambda f: f({}, {}), lambda f: f(x={}), lambda f: f({}, features={})])
def test_a_wrong_call_fails_as_it_would(make_monitor, call):
    """The same exception with the same words, which names the function and its argument."""
    watched = make_monitor().instrument(bare)
    with pytest.raises(TypeError) as expected:
        call(bare)
    with pytest.raises(TypeError) as found:
        call(watched)
    assert str(found.value) == str(expected.value)


def test_it_looks_like_the_function(make_monitor):
    """Name, documentation, signature and default."""
    monitor = make_monitor()

    @monitor.instrument
    def predict(lane=None):
        """Its documentation."""
        return 0.5

    assert (predict.__name__, predict.__doc__) == ("predict", "Its documentation.")
    assert str(inspect.signature(predict)) == "(lane=None)"
    assert predict() == predict(lane={"age": 1.0}) == predict({"age": 1.0}) == 0.5
    assert monitor.evidence().served == 3


@pytest.mark.parametrize("kind", ["function", "method", "coroutine", "many arguments", "partial"])
def test_nested_calls_are_one_prediction(make_monitor, row, kind):
    """Whichever way the outer one is watched, and also where it is called again in the same context."""
    monitor = make_monitor()
    inner = monitor.instrument(lambda features: 0.5)

    @monitor.instrument
    async def coroutine(features):
        return inner(features)

    class Model:
        @monitor.instrument
        def predict(self, features):
            return inner(features)

    outer = {
        "function": monitor.instrument(lambda features: inner(features) + 0),
        "method": Model().predict,
        "coroutine": lambda features: asyncio.run(coroutine(features)),
        "many arguments": monitor.instrument(lambda features, other=1: inner(features)),
        "partial": monitor.instrument(functools.partial(lambda other, features: inner(features), 1)),
    }[kind]
    for _ in range(3):
        outer(row)
    inner(row)
    assert monitor.evidence().served == 4


def test_a_call_within_a_failed_one_was_not_made(make_monitor, row):
    """The outer one failed; the next call in the same context counts again."""
    monitor = make_monitor()
    inner = monitor.instrument(lambda features: 0.5)

    @monitor.instrument
    def outer(features):
        inner(features)
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            outer(row)
    inner(row)
    assert (monitor.evidence().served, monitor.evidence().failed) == (1, 2)


def test_a_task_that_outlives_the_call_is_a_prediction_of_its_own(make_monitor, row):
    """It was started within, and runs when the call has returned."""
    monitor = make_monitor()
    inner = monitor.instrument(lambda features: 0.5)

    async def later():
        await asyncio.sleep(0)
        return inner(row)

    started = []

    @monitor.instrument
    async def outer(features):
        started.append(asyncio.get_running_loop().create_task(later()))
        return 0.5

    async def main():
        await outer(row)
        await started[0]

    asyncio.run(main())
    assert monitor.evidence().served == 2


def test_copies_of_a_context_do_not_hide_each_others_calls(make_monitor, row):
    """A call made before threads copy the context, which then call at the same time."""
    monitor = make_monitor()
    together = threading.Barrier(4)

    @monitor.instrument
    def predict(features):
        if threading.current_thread() is not threading.main_thread():
            together.wait(10)
        return 0.5

    predict(row)
    contexts = [contextvars.copy_context() for _ in range(4)]
    threads = [threading.Thread(target=one.run, args=(predict, row)) for one in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.evidence().served == 5


def test_a_cancelled_task_is_a_failure(make_monitor, row):
    """And the next call in the loop counts."""
    monitor = make_monitor()

    @monitor.instrument
    async def predict(features):
        await asyncio.sleep(10)

    async def main():
        task = asyncio.create_task(predict(row))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (monitor.evidence().served, monitor.evidence().failed) == (0, 1)


@pytest.mark.parametrize(
    "make",
    [
        dict,
        lambda row: {**row, "unknown": 1},
        lambda row: pd.DataFrame([row]),
        lambda row: {name: [value] for name, value in row.items()},
    ],
    ids=["dict", "with an unknown one", "frame of one row", "dict of columns"],
)
def test_what_a_model_does_to_its_input_changes_nothing(make_monitor, row, make):
    """Whichever way its features are read."""
    monitor = make_monitor(on_error="log")

    @monitor.instrument
    def predict(features):
        features["age"] = features["age"] * 0 + 1e9 if isinstance(features, pd.DataFrame) else None
        return 0.5

    for _ in range(3):
        predict(make(row))
    monitor.flush()
    age = monitor.snapshot().counts[: monitor.reference.features[0].bins.size]
    assert age[-2:].tolist() == [0, 0]
    assert age.sum() == 3


@pytest.mark.parametrize("width", [2, 20, 200])
def test_many_features_are_counted_as_few_are(width, telemetry):
    """A dict that is copied whole gives the counts of its values: unknown and missing ones, columns, failures too."""
    names = [f"f{place}" for place in range(width)]
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({name: random.normal(size=500) for name in names})
    monitor = dl.Monitor("wide", reference=reference, synchronous=True, enabled=True, **telemetry.providers)

    @monitor.instrument
    def predict(features):
        features.clear()
        if len(features) == 0 and failing:
            raise ValueError
        return 0.5

    failing = False
    full = dict(zip(names, random.normal(size=width).tolist(), strict=True))
    without_first = {name: value for name, value in full.items() if name != "f0"}
    columns = {name: [value] * 3 for name, value in full.items()}
    for features in (full, dict(reversed(full.items())), {**full, "x": 1}, without_first, copy.deepcopy(columns)):
        predict(dict(features))
    predict({name: column for name, column in columns.items() if name != "f0"})
    failing = True
    with pytest.raises(ValueError, match=r"^$"):
        predict(dict(full))
    monitor.flush()
    expected = sum(
        Probe(monitor).bin_columns([[one.get(name)] for name in names], 1)
        for one in [full] * 3 + [without_first] + [full] * 3 + [without_first] * 3 + [full]
    )
    assert monitor.snapshot().counts.tolist() == expected.tolist()
    told = Probe(monitor).errors
    told.pop("cardinality", None)  # of 200 features the scores at three lengths are more series than the SDK keeps
    assert told == {"unknown_feature": 1}
    assert (monitor.evidence().served, monitor.evidence().failed) == (10, 1)


def test_the_duration_can_be_left_out(make_monitor, telemetry, row):
    """Everything else is as it was, the latency that a canary judges included."""
    monitor = make_monitor(export_duration=False)
    predict = monitor.instrument(bare)
    for _ in range(5):
        predict(row)
    assert telemetry.value("ml.prediction.duration") is None
    assert telemetry.value("ml.predictions.served") == 5
    assert monitor.evidence().durations.sum() == 5
    with pytest.raises(dl.ConfigurationError, match="export_duration=1: expected True or False"):
        make_monitor(export_duration=1)


def test_exemplars_lead_to_the_span_of_the_call_and_to_no_other(make_monitor, telemetry, row):
    """A call outside of any span has none, also where the one who records it is within a span."""
    monitor = make_monitor(synchronous=True)
    predict = monitor.instrument(bare)
    tracer = telemetry.tracer_provider.get_tracer("test")
    predict(row)
    with tracer.start_as_current_span("the recorder's"):
        monitor.flush()
    (point,) = telemetry.metrics()["ml.prediction.duration"].data.data_points
    assert (point.count, list(point.exemplars)) == (1, [])
    with tracer.start_as_current_span("the call's") as span:
        predict(row)
    with tracer.start_as_current_span("the recorder's"):
        monitor.flush()
    (point,) = telemetry.metrics()["ml.prediction.duration"].data.data_points
    (exemplar,) = point.exemplars
    assert (point.count, exemplar.span_id) == (2, span.get_span_context().span_id)
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_call_under_way_while_a_reference_is_learnt_is_counted(telemetry):
    """It began before there was one, and ends after."""
    monitor = dl.Monitor(
        "m",
        reference=dl.Reference.learn(rows=100),
        synchronous=True,
        on_error="raise",
        enabled=True,
        **telemetry.providers,
    )
    begun, learnt = threading.Event(), threading.Event()

    @monitor.instrument
    def predict(features):
        if features["x"] < 0:
            begun.set()
            learnt.wait(10)
        return 0.5

    slow = threading.Thread(target=predict, args=({"x": -1.0},))
    slow.start()
    begun.wait(10)
    for turn in range(110):
        predict({"x": float(turn)})
        monitor.flush()
    assert monitor.reference is not None
    learnt.set()
    slow.join()
    assert telemetry.value("ml.predictions.served") == 111
    monitor.shutdown()


def test_an_sdk_that_is_set_up_later_is_told_of_the_calls_that_follow():
    """Without one neither contexts nor durations are kept; nothing else tells that it is there."""
    here, recorded = [], []
    panes = Panes(Layout(()), dl.Window(rows=10), lambda: 0.0, None)
    latencies = LatencyQueue(recorded.extend, lambda: bool(here))
    recorder = Recorder(panes, 0, tuple, tuple, latencies=latencies)
    assert not recorder.buffer.exemplars
    recorder.record((), None, 0.1, None)
    recorder.record_failure((), 0.2, None, "E")
    recorder.drain()
    assert not recorder.buffer.exemplars
    here.append(1)
    recorder.record((), None, 0.3, None)
    recorder.drain()
    assert recorder.buffer.exemplars
    assert [seconds for seconds, *_ in recorded] == [0.3]
    assert panes.read().durations.sum() == 2


def test_the_context_is_the_one_that_the_api_gives():
    """Read where the API keeps it."""
    tracer = TracerProvider().get_tracer("t")
    assert current_context() is context.get_current()
    with tracer.start_as_current_span("s"):
        assert current_context() is context.get_current()
        assert trace.get_current_span(current_context()).get_span_context().is_valid
    assert not trace.get_current_span(current_context()).get_span_context().is_valid
