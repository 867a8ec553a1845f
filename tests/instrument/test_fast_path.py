"""The fast path: the wrapper behaves as the function does, and every call counts once."""

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
from driftline._recording.durations import DurationQueue
from driftline._recording.recorder import Recorder
from driftline._windows.panes import Panes
from driftline.otel import current_context
from driftline.testing import Probe


def bare(features):
    """The function that the tests decorate."""
    return features["age"] / 100


@pytest.mark.parametrize("call", [lambda f: f(), lambda f: f({}, {}), lambda f: f(x={}), lambda f: f({}, features={})])
def test_wrong_call_raises_the_same_error(make_monitor, call):
    """The same message, with the names of the function and its argument."""
    watched = make_monitor().instrument(bare)
    with pytest.raises(TypeError) as expected:
        call(bare)
    with pytest.raises(TypeError) as raised:
        call(watched)
    assert str(raised.value) == str(expected.value)


def test_wrapper_looks_like_the_function(make_monitor):
    """Name, docstring, signature and default."""
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
    """For each kind of outer call, also when it is called again in the same context."""
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


def test_call_within_a_failed_call_is_not_counted(make_monitor, row):
    """The outer call is a failure; the next call in the same context counts."""
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


def test_task_that_outlives_the_call_is_a_separate_prediction(make_monitor, row):
    """The task starts within the call and runs after it has returned."""
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


def test_copied_contexts_do_not_hide_calls(make_monitor, row):
    """Threads copy a context in which a call was made, and call at the same time."""
    monitor = make_monitor()
    together = threading.Barrier(4)

    @monitor.instrument
    def predict(features):
        if threading.current_thread() is not threading.main_thread():
            together.wait(10)
        return 0.5

    predict(row)
    contexts = [contextvars.copy_context() for _ in range(4)]
    threads = [threading.Thread(target=each.run, args=(predict, row)) for each in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert monitor.evidence().served == 5


def test_cancelled_task_is_a_failure(make_monitor, row):
    """The next call in the loop counts."""
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
def test_features_are_copied_before_the_model_changes_them(make_monitor, row, make):
    """For each way of reading features."""
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
def test_counts_do_not_depend_on_the_number_of_features(width, telemetry):
    """Of dicts that are copied whole: with unknown and missing features, columns, and failed calls."""
    names = [f"f{index}" for index in range(width)]
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
        Probe(monitor).bin_columns([[features.get(name)] for name in names], 1)
        for features in [full] * 3 + [without_first] + [full] * 3 + [without_first] * 3 + [full]
    )
    assert monitor.snapshot().counts.tolist() == expected.tolist()
    errors = Probe(monitor).errors
    errors.pop("cardinality", None)  # 200 features have more scores at three lengths than the SDK keeps series
    assert errors == {"unknown_feature": 1}
    assert (monitor.evidence().served, monitor.evidence().failed) == (10, 1)


def test_duration_metric_can_be_switched_off(make_monitor, telemetry, row):
    """A canary still has the durations."""
    monitor = make_monitor(export_duration=False)
    predict = monitor.instrument(bare)
    for _ in range(5):
        predict(row)
    assert telemetry.value("ml.prediction.duration") is None
    assert telemetry.value("ml.predictions.served") == 5
    assert monitor.evidence().durations.sum() == 5
    with pytest.raises(dl.ConfigurationError, match="export_duration=1: expected True or False"):
        make_monitor(export_duration=1)


def test_exemplars_have_the_span_of_their_call(make_monitor, telemetry, row):
    """A call outside any span has no exemplar, even if the thread that records it is within a span."""
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


def test_call_under_way_when_a_reference_is_learned_is_counted(telemetry):
    """It begins before there is a reference and ends after."""
    monitor = dl.Monitor(
        "m",
        reference=dl.Reference.learn(rows=100),
        synchronous=True,
        on_error="raise",
        enabled=True,
        **telemetry.providers,
    )
    begun, learned = threading.Event(), threading.Event()

    @monitor.instrument
    def predict(features):
        if features["x"] < 0:
            begun.set()
            learned.wait(10)
        return 0.5

    slow = threading.Thread(target=predict, args=({"x": -1.0},))
    slow.start()
    begun.wait(10)
    for turn in range(110):
        predict({"x": float(turn)})
        monitor.flush()
    assert monitor.reference is not None
    learned.set()
    slow.join()
    assert telemetry.value("ml.predictions.served") == 111
    monitor.shutdown()


def test_sdk_that_is_set_up_later_receives_later_calls():
    """Without an SDK no contexts and durations are kept. The next calls notice that it is there."""
    here, recorded = [], []
    panes = Panes(Layout(()), dl.Window(rows=10), lambda: 0.0, None)
    durations = DurationQueue(recorded.extend, lambda: bool(here), current_context)
    recorder = Recorder(panes, 0, tuple, tuple, durations=durations)
    assert not recorder.buffer.read_context
    recorder.record((), None, 0.1, None)
    recorder.record_failure((), 0.2, None, "E")
    recorder.drain()
    assert not recorder.buffer.read_context
    here.append(1)
    recorder.record((), None, 0.3, None)
    recorder.drain()
    assert recorder.buffer.read_context
    assert [seconds for seconds, *_ in recorded] == [0.3]
    assert panes.read().durations.sum() == 2


def test_current_context_equals_the_context_of_the_api():
    """It is read from the same variable."""
    tracer = TracerProvider().get_tracer("t")
    assert current_context() is context.get_current()
    with tracer.start_as_current_span("s"):
        assert current_context() is context.get_current()
        assert trace.get_current_span(current_context()).get_span_context().is_valid
    assert not trace.get_current_span(current_context()).get_span_context().is_valid
