"""Coroutines and generators that are decorated."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import types

import pytest


def test_coroutine_may_be_closed_in_another_context(monitor, counted, row):
    """An event loop that ends closes suspended coroutines outside the context in which they ran."""

    @types.coroutine
    def wait():
        yield

    @monitor.instrument
    async def predict(features):
        await wait()

    @monitor.instrument
    async def stream(features):
        await wait()
        yield features

    for awaitable in (predict(row), stream(row).__anext__()):
        contextvars.copy_context().run(awaitable.send, None)
        awaitable.close()
    block = monitor.prediction(row)
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    assert counted()[0] == 1
    assert monitor.instrument(lambda _: 0.5)(row) == 0.5
    assert counted()[0] == 2


def test_cancelled_task_is_a_failed_prediction(monitor, telemetry, row):
    """The task stays cancelled."""

    @monitor.instrument
    async def predict(features):
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(predict(row))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    cancelled = telemetry.value("ml.predictions.served", error__type="asyncio.exceptions.CancelledError")
    assert cancelled == 1


def test_abandoned_generators_count_once(monitor, counted, row):
    """Dropped or closed halfway. A generator that never began does not count."""

    @monitor.instrument
    def values(features):
        yield 0.1
        yield 0.2

    @monitor.instrument
    async def stream(features):
        yield 0.1
        yield 0.2

    begun = values(row)
    assert next(begun) == 0.1
    del begun
    values(row).close()
    gc.collect()
    assert counted() == (1, 0, 1)

    async def main():
        async for _ in (tokens := stream(row)):
            break
        await tokens.aclose()

    asyncio.run(main())
    assert counted() == (2, 0, 2)

    async def end():
        async for _ in stream(row):
            break

    # The loop ends, and cancels the task that would have closed the generator.
    asyncio.run(end())
    assert counted() == (3, 0, 3)


def conversation(features):
    """A generator that collects sent values and thrown exceptions, and returns them."""
    heard = [features["age"]]
    try:
        heard.append((yield 1))
        try:
            heard.append((yield 2))
        except ValueError as error:
            heard.append(str(error))
        heard.append((yield 3))
    finally:
        heard.append("closed")
    return heard


def test_generator_protocol_is_unchanged(monitor, row):
    """``send``, ``throw`` and the returned value."""

    def talk(function):
        generator = function(row)
        said = [next(generator), generator.send("a"), generator.throw(ValueError("b"))]
        with pytest.raises(StopIteration) as stop:
            generator.send("c")
        return said, stop.value.value

    assert talk(monitor.instrument(conversation)) == talk(conversation)


def stubborn(features):
    """A generator that yields on when it is closed."""
    with contextlib.suppress(GeneratorExit):
        yield 1
    yield features["age"]


def returning(features):
    """A generator that returns a value when it is closed."""
    try:
        yield 1
        yield 2
    except GeneratorExit:
        return 42


def failing(features):
    """A generator that fails when it is closed."""
    try:
        yield 1
        yield 2
    finally:
        raise LookupError(features["age"])


def replacing(features):
    """A generator that raises another GeneratorExit."""
    try:
        yield 1
        yield 2
    except GeneratorExit:
        raise GeneratorExit(features["age"]) from None


def outcome(action, *arguments):
    """Return what an action returns, or the class and arguments of what it raises."""
    try:
        return action(*arguments)
    except BaseException as error:  # noqa: BLE001 - GeneratorExit is one
        return type(error), [str(each) for each in error.args], getattr(error, "value", None)


ENDINGS = {
    "close": lambda generator: outcome(generator.close),
    "close twice": lambda generator: (outcome(generator.close), outcome(generator.close)),
    "exit": lambda generator: outcome(generator.throw, GeneratorExit),
    "exit, then next": lambda generator: (outcome(generator.throw, GeneratorExit()), outcome(next, generator)),
    "StopIteration": lambda generator: outcome(generator.throw, StopIteration(5)),
    "KeyboardInterrupt": lambda generator: outcome(generator.throw, KeyboardInterrupt),
}


@pytest.mark.parametrize("nested", [False, True], ids=["outer", "nested"])
@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("started", [False, True], ids=["new", "started"])
@pytest.mark.parametrize("function", [stubborn, returning, failing, replacing, conversation])
def test_generators_end_as_bare_ones_on_each_python(monitor, row, function, started, end, nested):
    """What ``close`` returns has changed in 3.13."""
    block = monitor.prediction(row) if nested else contextlib.nullcontext()
    decorated = monitor.instrument(function)
    with block:
        said = []
        for make in (decorated, function, monitor.instrument(lambda features: function({**features}))):
            generator = make(row)
            if started:
                next(generator)
            said.append(end(generator))
    assert said[0] == said[1] == said[2]


@pytest.mark.parametrize("end", ["aclose", "athrow"])
@pytest.mark.parametrize("function", [stubborn, failing, replacing])
def test_async_generators_end_as_bare_ones(monitor, row, function, end):
    """``aclose``, and GeneratorExit that is thrown in."""

    async def stream(features):
        inner = function(features)
        value = next(inner)
        while True:
            thrown = None
            try:
                yield value
            except BaseException as error:  # noqa: BLE001 - as the inner generator likes
                thrown = error
            value = next(inner) if thrown is None else inner.throw(thrown)

    async def ended(generator):
        await anext(generator)
        try:
            return await (generator.aclose() if end == "aclose" else generator.athrow(GeneratorExit()))
        except BaseException as error:  # noqa: BLE001 - GeneratorExit is one
            return type(error), [str(each) for each in error.args]

    async def main():
        return [await ended(make(row)) for make in (monitor.instrument(stream), stream)]

    decorated, bare = asyncio.run(main())
    assert decorated == bare


def test_spans_within_generators_are_children_of_the_call(make_monitor, telemetry, row):
    """Sync and async, over several values. The consumer keeps its own context, and a span of the body stays current."""
    monitor = make_monitor(on_error="log", synchronous=True, trace=True)
    tracer = telemetry.tracer_provider.get_tracer("test")

    @monitor.instrument
    def values(features):
        with tracer.start_as_current_span("first"):
            yield 1
            with tracer.start_as_current_span("within first"):
                yield 2
        with tracer.start_as_current_span("second"):
            yield 3

    @monitor.instrument
    async def stream(features):
        for value in values(features):
            await asyncio.sleep(0)
            yield value
        with tracer.start_as_current_span("second"):
            await asyncio.sleep(0)

    def check(spans):
        names = {span.context.span_id: span.name.split()[0] for span in spans}
        parents = {(names[span.context.span_id], span.parent and names[span.parent.span_id]) for span in spans}
        assert parents - {("within", "first")} == {
            ("predict", "request"),
            ("first", "predict"),
            ("second", "predict"),
            ("work", "request"),
            ("request", None),
        }
        assert ("within", "first") in parents

    with tracer.start_as_current_span("request"):
        for _ in values(row):
            with tracer.start_as_current_span("work"):
                pass
    check(telemetry.spans())

    async def main():
        with tracer.start_as_current_span("request"):
            async for _ in stream(row):
                with tracer.start_as_current_span("work"):
                    pass

    before = len(telemetry.spans())
    asyncio.run(main())
    check(telemetry.spans()[before:])


def test_wrong_arguments_of_a_generator_are_a_failure(make_monitor, telemetry, row):
    """The span ends too."""
    monitor = make_monitor(on_error="log", synchronous=True, trace=True)
    generator = monitor.instrument(conversation, features=lambda *arguments: row)
    with pytest.raises(TypeError, match="positional argument"):
        next(generator(row, 2))
    monitor.flush()
    assert telemetry.value("ml.predictions.served", error__type="TypeError") == 1
    assert len(telemetry.spans()) == 1
