"""Functions that return what is awaited or iterated later: the call ends with the outcome of that."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import gc
import inspect
import types
import warnings

import pytest

from driftline.instrument import _late_results
from driftline.testing import Probe

OPTIONS = {"plain": {}, "output": {"output": lambda result: result}, "id": {"prediction_id": lambda features: "id"}}
"""Arguments of ``instrument``: the fast path, and two of the other."""


def plainly(function):
    """A decorator as retries and caches are often written: a plain function around a coroutine function."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


async def predict(features):
    """Fail for an age above 100, after a while."""
    await asyncio.sleep(0.02)
    if features["age"] > 100:
        raise LookupError
    return 0.5


class Client:
    """A client of a model server."""

    pool = concurrent.futures.ThreadPoolExecutor(2)

    def task(self, features):
        return asyncio.ensure_future(predict(features))

    def gathered(self, features):
        return asyncio.gather(predict(features))

    def executed(self, features):
        return asyncio.get_running_loop().run_in_executor(None, asyncio.run, predict(features))

    def concurrent(self, features):
        return self.pool.submit(asyncio.run, predict(features))

    def awaitable(self, features):
        return Answer(features)


class Answer:
    """An awaitable of a separate class, with a method."""

    def __init__(self, features):
        self.features = features

    def __await__(self):
        return predict(self.features).__await__()

    def headers(self):
        return {"age": self.features["age"]}


@types.coroutine
def of_generator(features):
    return (yield from predict(features).__await__())


LATE = {
    "wraps": plainly(predict),
    "lambda": lambda features: predict({**features}),
    "partial": functools.partial(plainly(predict)),
    "bound": Client().task,
    "gather": Client().gathered,
    "executor": Client().executed,
    "concurrent": Client().concurrent,
    "awaitable": Client().awaitable,
    "types.coroutine": of_generator,
}
"""Functions that are no coroutine functions, and return something to await."""


async def outcome_of(function, features):
    """Call a function and await its result, whatever it is. Return the prediction or "failed"."""
    try:
        result = function(features)
        value = await (asyncio.wrap_future(result) if isinstance(result, concurrent.futures.Future) else result)
    except LookupError:
        return "failed"
    return value[0] if isinstance(value, list) else value


@pytest.fixture
def durations(telemetry):
    """A function that returns the mean duration of all predictions so far."""

    def read():
        points = telemetry.metrics()["ml.prediction.duration"].data.data_points
        return sum(point.sum for point in points) / sum(point.count for point in points)

    return read


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("function", LATE.values(), ids=LATE)
def test_outcome_duration_and_output_are_those_of_what_is_awaited(monitor, counted, durations, row, function, options):
    """Five succeed and five fail, as the bare function does; nothing is an error of driftline's."""
    decorated = monitor.instrument(function, **options)

    async def main():
        return [await outcome_of(decorated, {**row, "age": age}) for age in [40.0, 150.0] * 5]

    assert asyncio.run(main()) == [0.5, "failed"] * 5
    assert counted() == (5, 5, 10)
    assert durations() >= 0.02
    assert Probe(monitor).errors == {}


def test_output_of_what_is_awaited_is_counted(monitor, counted, row):
    """It is the feature ``prediction``."""
    decorated = monitor.instrument(plainly(predict))
    asyncio.run(decorated(row))
    monitor.flush()
    assert counted() == (1, 0, 1)
    assert monitor.snapshot().counts[Probe(monitor).bins_of("prediction")].sum() == 1


@pytest.mark.parametrize("trace", [False, True])
def test_a_task_stays_itself(make_monitor, telemetry, row, trace):
    """The caller gets the same object, may cancel it, and asyncio logs an exception that the caller never reads."""
    monitor = make_monitor(on_error="log", synchronous=True, trace=trace)
    tasks = []

    @monitor.instrument
    def start(features):
        tasks.append(asyncio.ensure_future(predict(features)))
        return tasks[-1]

    async def main():
        heard = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["exception"]))
        cancelled, failed, done = start(row), start({**row, "age": 150.0}), start(row)
        assert [cancelled, failed, done] == tasks
        cancelled.cancel()
        await done
        await asyncio.sleep(0.05)
        tasks.clear()
        del failed
        return [type(error) for error in heard]

    assert asyncio.run(main()) == [LookupError]
    monitor.flush()
    assert telemetry.value("ml.predictions.served", error__type="asyncio.exceptions.CancelledError") == 1
    assert telemetry.value("ml.predictions.served", error__type="LookupError") == 1
    assert telemetry.value("ml.predictions.served") == 3
    assert len(telemetry.spans()) == 3 * trace


def test_finished_futures_count_at_once(monitor, counted, row):
    """Cancelled, failed and returned, without an event loop that calls back."""
    future = concurrent.futures.Future()
    future.set_result(0.5)
    failed = concurrent.futures.Future()
    failed.set_exception(LookupError())
    cancelled = concurrent.futures.Future()
    cancelled.cancel()
    for each in (future, failed, cancelled):
        assert monitor.instrument(lambda features, each=each: each, features=lambda features: features)(row) is each
    assert counted() == (1, 2, 3)


def test_coroutine_may_be_run_scheduled_and_closed(monitor, counted, row):
    """It is a native coroutine with the name of the function's. One that is never awaited does not count."""
    decorated = monitor.instrument(plainly(predict))

    async def main():
        tasks = [asyncio.create_task(decorated(row)), asyncio.ensure_future(decorated(row))]
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(main())
    assert results[0] == 0.5
    assert isinstance(results[1], asyncio.CancelledError)
    coroutine = decorated(row)
    assert inspect.iscoroutine(coroutine)
    assert coroutine.__qualname__ == "predict"
    coroutine.close()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        decorated(row)
        gc.collect()
    assert [str(each.message) for each in said] == ["coroutine 'predict' was never awaited"]
    assert counted() == (1, 0, 1)  # a task that is cancelled before its first step never began


def test_calls_in_tasks_and_coroutines_belong_to_the_outer_call(monitor, counted, row):
    """Also where the task runs on after the function has returned. Later calls count for themselves."""
    inner = monitor.instrument(lambda features: 0.25)

    async def model(features):
        await asyncio.sleep(0)
        return inner(features) + await asyncio.to_thread(inner, features)

    start = monitor.instrument(lambda features: asyncio.ensure_future(model(features)))
    make = monitor.instrument(plainly(model))

    async def main():
        task = start(row)
        assert inner(row) == 0.25  # the task is under way, and this is no part of it
        return await task, await make(row)

    assert asyncio.run(main()) == (0.5, 0.5)
    assert counted() == (3, 0, 3)


def test_awaited_within_another_call_it_belongs_to_that(monitor, counted, row):
    """As a coroutine function does."""
    decorated = monitor.instrument(plainly(predict))

    async def main():
        coroutine = decorated(row)
        with monitor.prediction(row) as call:
            call.output = await coroutine

    asyncio.run(main())
    assert counted() == (1, 0, 1)


def test_awaitable_of_another_class_keeps_its_methods_and_class(monitor, counted, row):
    """It may be awaited twice where the original may."""
    decorated = monitor.instrument(Client().awaitable)
    answer = decorated(row)
    assert isinstance(answer, Answer)
    assert answer.headers() == {"age": row["age"]}

    async def main():
        return await answer, await answer

    assert asyncio.run(main()) == (0.5, 0.5)
    assert counted() == (1, 0, 1)


class Probability(float):
    """A number that may be awaited too."""

    def __await__(self):
        """The number itself."""
        return iter(())


def test_awaitable_that_functions_in_c_read_is_the_prediction(monitor, counted, row):
    """Such as a number or a reference of Ray. Nothing else has its memory."""
    assert type(monitor.instrument(lambda features: Probability(0.5))(row)) is Probability
    assert counted() == (1, 0, 1)


def values(features):
    """A generator that fails for an age above 100."""
    yield 0.1
    if features["age"] > 100:
        raise LookupError
    yield 0.2


async def async_values(features):
    """As above."""
    for value in values(features):
        await asyncio.sleep(0)
        yield value


async def collect(stream):
    """Return all values of an async generator."""
    return [value async for value in stream]


async def awaited_stream(features):
    """A coroutine that returns a stream, as clients do."""
    return async_values(features)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", ["generator", "async generator", "coroutine", "plain coroutine"])
def test_functions_that_return_a_generator_are_generators(monitor, counted, row, kind, options):
    """The prediction ends with the last value, or fails with the generator."""
    make, run = {
        "generator": (plainly(values), list),
        "async generator": (plainly(async_values), lambda stream: asyncio.run(collect(stream))),
        "coroutine": (awaited_stream, None),
        "plain coroutine": (plainly(awaited_stream), None),
    }[kind]
    decorated = monitor.instrument(make, **options)

    async def main(features):
        return await collect(await decorated(features))

    def result(features):
        return asyncio.run(main(features)) if run is None else run(decorated(features))

    assert result(row) == [0.1, 0.2]
    with pytest.raises(LookupError):
        result({**row, "age": 150.0})
    assert counted() == (1, 1, 2)
    assert Probe(monitor).errors == {}


def test_returned_generator_is_a_generator_of_the_same_name(monitor, row):
    """For `inspect`, and for frameworks that ask it."""
    stream = monitor.instrument(plainly(values))(row)
    assert inspect.isgenerator(stream)
    assert stream.__name__ == "values"
    assert inspect.isasyncgen(monitor.instrument(plainly(async_values))(row))


def test_a_decorator_that_runs_the_coroutine_itself_is_a_plain_function(monitor, counted, row):
    """``__wrapped__`` alone would say that it is a coroutine function."""

    @monitor.instrument
    @functools.wraps(predict)
    def blocking(features):
        return asyncio.run(predict(features))

    assert blocking(row) == 0.5
    assert counted() == (1, 0, 1)


def test_spans_of_what_is_awaited_have_the_call_as_parent(make_monitor, telemetry, row):
    """In a coroutine, a task and a generator. The span ends with the outcome, and no later one is its child."""
    monitor = make_monitor(on_error="log", synchronous=True, trace=True)
    tracer = telemetry.tracer_provider.get_tracer("test")

    async def model(features):
        with tracer.start_as_current_span("inner"):
            await asyncio.sleep(0.01)
        return 0.5

    def stream(features):
        with tracer.start_as_current_span("inner"):
            yield 0.5

    async def main():
        await monitor.instrument(plainly(model))(row)
        await monitor.instrument(lambda features: asyncio.ensure_future(model(features)))(row)
        list(monitor.instrument(plainly(stream))(row))
        with tracer.start_as_current_span("after"):
            pass

    asyncio.run(main())
    spans = {span.context.span_id: span for span in telemetry.spans()}
    assert len(spans) == 7
    for span in spans.values():
        parent = None if span.parent is None else spans[span.parent.span_id]
        if span.name == "inner":
            assert parent.name.startswith("predict")
            assert parent.start_time <= span.start_time <= span.end_time <= parent.end_time
        else:
            assert parent is None


def test_memory_does_not_grow_with_classes_of_results(monitor, row):
    """A program may make classes of results without end."""
    for number in range(2 * _late_results.MAX_KINDS):
        kind = type(f"Result{number}", (float,), {})
        monitor.instrument(lambda features, kind=kind: kind(0.5), features=lambda *a: a[0])(row)
    assert len(_late_results.kinds) <= _late_results.MAX_KINDS


def test_context_of_the_caller_is_as_before(monitor, row):
    """A task inherits the context of the call, and the caller keeps its own."""
    variable = contextvars.ContextVar("variable", default=0)

    async def main():
        variable.set(1)
        await monitor.instrument(plainly(predict))(row)
        return variable.get()

    assert asyncio.run(main()) == 1
