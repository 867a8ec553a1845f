"""Blocks that generators open: what the consumer does between two values does not belong to them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import threading
import types

import pytest

from driftline._runtime.with_statements import ExitMethod
from driftline.instrument import PredictionCall
from driftline.testing import Probe


@pytest.fixture(params=["plain", "trace"])
def monitor(request, make_monitor):
    """A synchronous monitor that logs errors, without and with spans."""
    return make_monitor(on_error="log", synchronous=True, trace=request.param == "trace")


@pytest.fixture
def inner(monitor):
    """A decorated function."""
    return monitor.instrument(lambda features: 0.25)


class Around:
    """A context manager around a block, as hosts write them."""

    def __init__(self, block):
        self.block = block

    def __enter__(self):
        return self.block.__enter__()

    def __exit__(self, *error):
        self.block.__exit__(*error)


@contextlib.contextmanager
def managed(block):
    """A context manager that is made of a generator."""
    with block as call:
        yield call


@contextlib.asynccontextmanager
async def managed_async(block):
    """As above."""
    async with block as call:
        yield call


@contextlib.contextmanager
def stacked(block):
    """An `ExitStack` within a context manager."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(managed(block))


WAYS = {"with": lambda block: block, "around": Around, "contextmanager": managed, "both": stacked}
"""Ways in which a generator opens a block."""


@pytest.fixture(params=WAYS)
def stream(request, monitor, inner, row):
    """A generator function with a block, in which it calls the decorated function for each value."""
    way = WAYS[request.param]

    def generate(values=3):
        with way(monitor.prediction(row)) as call:
            for value in range(values):
                call.output = inner(row)
                yield value

    return generate


@pytest.fixture(params=["async with", "contextmanager", "stack"])
def async_stream(request, monitor, inner, row):
    """An async generator function that does the same."""

    async def generate(values=3):
        async with contextlib.AsyncExitStack() as stack:
            if request.param == "async with":
                call = await stack.enter_async_context(monitor.prediction(row))
            elif request.param == "contextmanager":
                call = await stack.enter_async_context(managed_async(monitor.prediction(row)))
            else:
                call = stack.enter_context(monitor.prediction(row))
            for value in range(values):
                await asyncio.sleep(0)
                call.output = inner(row)
                yield value

    async def plain(values=3):
        async with monitor.prediction(row) as call:
            for value in range(values):
                await asyncio.sleep(0)
                call.output = inner(row)
                yield value

    return plain if request.param == "async with" else generate


def test_streams_side_by_side_are_a_prediction_each(stream, counted):
    """Also where one ends first, or the consumer leaves both."""
    for _ in zip(stream(), stream(), strict=True):
        pass
    assert counted() == (2, 0, 2)
    for _ in zip(stream(1), stream(3), strict=False):
        pass
    gc.collect()
    assert counted() == (4, 0, 4)


def test_consumers_predict_for_themselves(stream, inner, row, counted):
    """Within the loop, between two values by hand, and by a block."""
    for _ in stream():
        inner(row)
    assert counted() == (4, 0, 4)
    opened = stream()
    next(opened)
    for _ in range(10):
        inner(row)
    assert counted()[0] == 14
    list(opened)
    assert counted() == (15, 0, 15)


def test_a_consumer_that_leaves_is_no_failure(stream, counted):
    """It closes the generator, forgets it, or throws GeneratorExit. Other exceptions are failures."""
    for leave in (lambda opened: opened.close(), lambda opened: None):
        opened = stream()
        next(opened)
        leave(opened)
    del opened
    gc.collect()
    opened = stream()
    next(opened)
    with pytest.raises(GeneratorExit):
        opened.throw(GeneratorExit)
    assert counted() == (3, 0, 3)
    opened = stream()
    next(opened)
    with pytest.raises(LookupError):
        opened.throw(LookupError)
    assert counted() == (3, 1, 4)


def test_each_step_may_run_in_another_context_and_thread(stream, inner, row, counted, caplog):
    """As the steps of a `StreamingResponse` do."""
    opened = stream()
    while True:
        steps = []

        def step(steps=steps):
            steps.append(next(opened, None))

        thread = threading.Thread(target=contextvars.copy_context().run, args=(step,))
        thread.start()
        thread.join()
        if steps == [None]:
            break
        inner(row)
    assert counted() == (4, 0, 4)
    assert caplog.record_tuples == []


def test_async_streams(async_stream, inner, row, counted, caplog):
    """Side by side, with a consumer that predicts, left and closed, and left to the event loop."""

    async def main():
        async for _ in async_stream():
            inner(row)
        assert counted() == (4, 0, 4)
        first, second = async_stream(), async_stream(2)
        while await anext(second, None) is not None:
            await anext(first)
        assert counted() == (5, 0, 5)
        await first.aclose()
        assert counted() == (6, 0, 6)
        third = async_stream()
        await anext(third)
        await asyncio.create_task(third.aclose())
        assert counted() == (7, 0, 7)
        async for _ in async_stream():
            break
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert counted() == (8, 0, 8)

    asyncio.run(main())
    assert counted() == (8, 0, 8)
    assert caplog.record_tuples == []


def test_functions_and_coroutines_keep_their_blocks(monitor, inner, row, counted):
    """Context managers of all kinds, also where a generator is on the stack."""

    def function(way):
        with way(monitor.prediction(row)) as call:
            call.output = inner(row)
            return [inner(row) for _ in range(2)]

    async def coroutine():
        async with managed_async(monitor.prediction(row)) as call:
            call.output = inner(row)
            return await asyncio.gather(asyncio.to_thread(inner, row), asyncio.sleep(0, inner(row)))

    for number, way in enumerate(WAYS.values(), start=1):
        function(way)
        assert counted() == (number, 0, number)
    before = counted()[0]
    assert len(list(function(way) for way in WAYS.values())) == len(WAYS)  # noqa: C400 - a generator is the point
    assert counted()[0] == before + len(WAYS)
    asyncio.run(coroutine())
    assert counted()[0] == before + len(WAYS) + 1


def test_generator_that_delegates(monitor, inner, row, counted):
    """``yield from`` a generator with a block, and a block around the delegation."""

    def parts():
        with monitor.prediction(row) as call:
            call.output = inner(row)
            yield 1
            inner(row)
            yield 2

    def whole():
        inner(row)
        yield from parts()
        inner(row)

    def around():
        with monitor.prediction(row):
            yield from whole()

    for _ in whole():
        inner(row)
    assert counted()[0] == 5
    for _ in around():
        inner(row)
    assert counted()[0] == 8


def test_a_block_within_a_call_belongs_to_it(monitor, inner, row, counted):
    """The consumer is a decorated function, and the generator is decorated."""

    def stream():
        with monitor.prediction(row) as call:
            call.output = 0.5
            yield inner(row)

    consume = monitor.instrument(lambda features: [*stream(), inner(features)][-1])
    consume(row)
    assert counted() == (1, 0, 1)
    decorated = monitor.instrument(lambda features: stream())
    assert list(decorated(row)) == [0.25]
    assert counted() == (2, 0, 2)


def test_an_old_coroutine_is_no_generator(monitor, inner, row, counted):
    """`types.coroutine` makes an awaitable of a generator; the event loop is its consumer."""

    @types.coroutine
    def wait():
        with monitor.prediction(row) as call:
            call.output = inner(row)
            yield from asyncio.sleep(0).__await__()
            inner(row)

    async def main():
        await asyncio.gather(wait(), wait())

    asyncio.run(main())
    assert counted() == (2, 0, 2)


def test_a_forgotten_stream_in_a_cycle_is_closed(monitor, row, counted):
    """The monitor keeps no reference to its frame, so that the garbage collector finds it."""

    class Owner:
        def __init__(self):
            self.stream = self.generate()
            next(self.stream)

        def generate(self):
            with monitor.prediction(row) as call:
                call.output = 0.5
                yield self

    Owner()
    gc.collect()
    assert counted() == (1, 0, 1)
    assert Probe(monitor).open_blocks == 0


def test_a_block_that_is_never_left_is_forgotten(monitor, inner, row, counted):
    """Its frame may be that of another generator later."""

    def generate():
        monitor.prediction(row).__enter__()
        yield 1

    for _ in range(100):
        next(generate())
    gc.collect()
    assert Probe(monitor).open_blocks == 0
    list(inner(row) for _ in range(10))  # noqa: C400 - a generator is the point
    assert counted() == (10, 0, 10)


def test_spans_of_blocks(make_monitor, telemetry, row, caplog):
    """In a function the span is current, in a generator it is not, and it ends with the block in each context."""
    monitor = make_monitor(on_error="log", synchronous=True, trace=True)
    tracer = telemetry.tracer_provider.get_tracer("test")

    def stream():
        with monitor.prediction(row) as call:
            call.output = 0.5
            yield 1
            yield 2

    with tracer.start_as_current_span("request"):
        with monitor.prediction(row), tracer.start_as_current_span("child"):
            pass
        for _ in zip(stream(), stream(), strict=True):
            with tracer.start_as_current_span("work"):
                pass
        with tracer.start_as_current_span("after"):
            pass
    with tracer.start_as_current_span("next request"):
        pass
    block = monitor.prediction(row)
    contextvars.copy_context().run(block.__enter__)
    block.__exit__(None, None, None)
    spans = telemetry.spans()
    names = {span.context.span_id: span.name for span in spans}
    parents = {span.name: None if span.parent is None else names[span.parent.span_id] for span in spans}
    assert parents.pop("child").startswith("predict")
    assert {name: parents[name] for name in ("work", "after", "request", "next request")} == {
        "work": "request",
        "after": "request",
        "request": None,
        "next request": None,
    }
    assert len(spans) == 10
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_block_whose_exit_an_interrupt_has_prevented_has_ended(monkeypatch, monitor, inner, row, counted):
    """Calls in the rest of the generator count for themselves."""

    @ExitMethod
    def interrupt(self, *error):
        raise KeyboardInterrupt

    def generate():
        with contextlib.suppress(KeyboardInterrupt), monitor.prediction(row) as call:
            yield inner(row)
        assert call.output is not None
        yield inner(row)

    monkeypatch.setattr(PredictionCall, "__exit__", interrupt)
    assert list(generate()) == [0.25, 0.25]
    assert counted() == (1, 0, 1)
