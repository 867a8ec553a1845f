"""What counts as one prediction: calls within calls, blocks, tasks and failures."""

from __future__ import annotations

import asyncio

import pytest


@pytest.mark.parametrize(
    "options", [{}, {"output": lambda result: result}, {"trace": True}], ids=["plain", "output", "trace"]
)
@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_coroutines_are_one_prediction_with_every_option(make_monitor, telemetry, row, options, fails):
    """With and without a span or ``output=``; a coroutine within another one of the same monitor is not counted."""
    monitor = make_monitor(on_error="log", synchronous=True, trace="trace" in options)
    decorate = monitor.instrument(output=options.get("output"))

    @decorate
    async def inner(features):
        if fails:
            raise LookupError
        return features["age"]

    @decorate
    async def outer(features):
        return await inner(features)

    if fails:
        with pytest.raises(LookupError):
            asyncio.run(outer(row))
    else:
        assert asyncio.run(outer(row)) == row["age"]
    monitor.flush()
    assert (monitor.evidence().served, monitor.evidence().failed) == (int(not fails), int(fails))
    assert len(telemetry.spans()) == int("trace" in options)


@pytest.mark.parametrize("kind", ["function", "generator", "async generator"])
def test_a_failure_within_a_call_is_one_failure(make_monitor, row, kind):
    """The outer call fails too, and is the prediction."""
    monitor = make_monitor(on_error="log", synchronous=True)
    decorate = monitor.instrument(output=lambda result: result)

    @decorate
    def function(features):
        raise LookupError

    @decorate
    def generator(features):
        yield features["age"]
        function(features)

    @decorate
    async def async_generator(features):
        yield features["age"]
        function(features)

    @decorate
    async def consume(features):
        return [value async for value in async_generator(features)]

    run = {
        "function": lambda: function(row),
        "generator": lambda: list(generator(row)),
        "async generator": lambda: asyncio.run(consume(row)),
    }[kind]
    with pytest.raises(LookupError):
        run()
    monitor.flush()
    assert (monitor.evidence().served, monitor.evidence().failed) == (0, 1)


def test_a_call_within_a_call_is_one_prediction(monitor, counted, row):
    """Functions, coroutines, generators and blocks, each as the outer call."""

    @monitor.instrument
    def plain(features):
        return features["age"]

    @monitor.instrument
    def generator(features):
        yield plain(features)

    @monitor.instrument
    async def coroutine(features):
        return next(iter(list(generator(features))))

    @monitor.instrument
    async def async_generator(features):
        yield await coroutine(features)

    @monitor.instrument
    async def outermost(features):
        return [value async for value in async_generator(features)]

    @monitor.instrument
    def around(features):
        with monitor.prediction(features) as call:
            call.output = plain(features)
        return list(generator(features))

    async def consume():
        return [value async for value in async_generator(row)]

    assert list(generator(row)) == around(row) == asyncio.run(outermost(row)) == asyncio.run(consume()) == [row["age"]]
    assert asyncio.run(coroutine(row)) == row["age"]
    with monitor.prediction(row) as call:
        call.output = plain(row)
    assert counted() == (6, 0, 6)


def test_calls_of_a_consumer_between_two_values_count(monitor, counted, row):
    """They do not belong to the suspended generator."""

    @monitor.instrument
    def generator(features):
        yield features
        yield features

    @monitor.instrument
    async def async_generator(features):
        yield features
        yield features

    predict = monitor.instrument(lambda features: features["age"])

    async def consume():
        return [predict(value) async for value in async_generator(row)]

    assert [predict(value) for value in generator(row)] == asyncio.run(consume()) == [row["age"]] * 2
    assert counted() == (6, 0, 6)


def test_task_that_outlives_its_call_is_a_prediction(monitor, counted, row):
    """The task starts within the call and predicts after it."""

    @monitor.instrument
    async def later(features):
        return features["age"]

    async def main():
        with monitor.prediction(row) as call:
            task = asyncio.create_task(later(row))
            call.output = 0.5
        return await task

    assert asyncio.run(main()) == row["age"]
    assert counted() == (2, 0, 2)


def test_block_within_a_call_has_an_outcome(make_monitor, telemetry, row):
    """The outer call is the prediction; an outcome is joined by the id of the inner block."""
    monitor = make_monitor()

    @monitor.instrument
    def predict(features):
        with monitor.prediction(features, prediction_id="inner") as call:
            call.output = 0.9
        return call.output

    predict(row)
    monitor.outcome("inner", actual=True)
    assert telemetry.value("ml.outcomes", ml__outcome__result="correct") == 1
    assert telemetry.value("ml.predictions.served") == 1
