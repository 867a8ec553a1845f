"""Coroutines and generators that are decorated."""

from __future__ import annotations

import asyncio
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
