"""Shadows: the candidate repeats the baseline's calls in the background."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading

import numpy as np
import pytest
from opentelemetry import trace

import driftline as dl
from driftline import ConfigurationError


@pytest.fixture
def canary(pair):
    """A canary that is closed after the test."""
    canary = dl.Canary(*pair, dl.CanaryPolicy(allowed_disagreement=0.02))
    yield canary
    canary.close()


def instrumented(pair, old, new):
    """Instrument both functions."""
    return pair[0].instrument(old), pair[1].instrument(new)


def test_the_output_of_the_baseline_is_returned_and_compared(canary, pair, row):
    """Both monitors count the calls."""
    old, new = instrumented(pair, lambda features: 0.7, lambda features: 0.2 if features["age"] > 50 else 0.9)
    predict = canary.shadow(old, new)
    assert [predict(row | {"age": age}) for age in (40.0, 45.0, 60.0)] == [0.7] * 3
    assert canary.flush()
    evidence = canary.evidence()
    assert (evidence.compared, evidence.agreed) == (3, 2)
    assert [side.calls for side in evidence.pooled()] == [3, 3]


def test_batches_are_compared_row_by_row(canary, pair, row):
    """The second of three rows differs."""
    old, new = instrumented(
        pair, lambda features: np.array([0.1, 0.6, 0.9]), lambda features: np.array([0.2, 0.4, 0.8])
    )
    canary.shadow(old, new)({name: [value] * 3 for name, value in row.items()})
    canary.flush()
    assert (canary.evidence().compared, canary.evidence().agreed) == (3, 2)


def test_errors_of_the_candidate_are_counted_by_its_monitor(canary, pair, row):
    """Such a call is not compared."""

    def broken(features):
        raise KeyError

    predict = canary.shadow(*instrumented(pair, lambda features: 0.7, broken))
    assert predict(row) == 0.7
    canary.flush()
    evidence = canary.evidence()
    assert (evidence.compared, evidence.strata[0].candidate.failed_calls) == (0, 1)


def test_the_caller_gets_errors_of_the_baseline(canary, pair, row):
    """The candidate predicts all the same; the call is not compared."""

    def broken(features):
        raise KeyError

    predict = canary.shadow(*instrumented(pair, broken, lambda features: 0.7))
    with pytest.raises(KeyError):
        predict(row)
    canary.flush()
    evidence = canary.evidence()
    assert (evidence.compared, evidence.strata[0].candidate.calls) == (0, 1)


def test_the_candidate_gets_a_copy_of_the_input(canary, pair, row):
    """Changes by the baseline or by the caller do not reach it."""
    seen = []

    def old(features, more, matrix):
        features["age"] = -1.0
        more.append(9)
        matrix[0] = -1
        return 0.7

    def new(features, more, matrix):
        seen.append((features["age"], list(more), matrix.tolist()))
        return 0.7

    select = {"features": lambda features, *_: features}
    predict = canary.shadow(pair[0].instrument(**select)(old), pair[1].instrument(**select)(new))
    features = dict(row)
    predict(features, [1], np.array([1, 2]))
    features["age"] = 99.0
    canary.flush()
    assert seen == [(row["age"], [1], [1, 2])]


def test_inputs_beyond_the_queue_are_dropped_and_counted(canary, pair, row, telemetry):
    """A candidate that hangs does not delay the caller."""
    started, go_on = threading.Event(), threading.Event()

    def slow(features):
        started.set()
        go_on.wait(30)
        return 0.7

    predict = canary.shadow(*instrumented(pair, lambda features: 0.7, slow), size=2)
    predict(row)
    assert started.wait(30)
    for _ in range(5):
        assert predict(row) == 0.7
    assert not canary.flush(0.01)
    go_on.set()
    assert canary.flush()
    assert canary.evidence().compared == 3
    assert telemetry.value("ml.monitor.rows.dropped", ml__monitor__reason="shadow") == 3


def test_async_functions_are_compared(canary, pair, row):
    """The candidate's coroutine runs in the event loop of the caller."""
    loops = []

    async def old(features):
        await asyncio.sleep(0)
        return 0.7

    async def new(features):
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return 0.8

    async def main():
        assert await predict(row) == 0.7
        assert await canary.aflush()
        return asyncio.get_running_loop()

    predict = canary.shadow(*instrumented(pair, old, new))
    assert loops == [asyncio.run(main())]
    assert (canary.evidence().compared, canary.evidence().agreed) == (1, 1)


async def answer(value):
    """A coroutine function."""
    await asyncio.sleep(0)
    return value


LATE = {
    "coroutine": lambda value: lambda features: answer(value),
    "task": lambda value: lambda features: asyncio.ensure_future(answer(value)),
    "future": lambda value: lambda features: POOL.submit(lambda: value),
}
"""Plain functions whose result is awaited, by the value that they predict."""

POOL = concurrent.futures.ThreadPoolExecutor(1)


@pytest.mark.parametrize("make", LATE.values(), ids=LATE)
def test_functions_whose_result_is_awaited_are_compared(canary, pair, row, make):
    """The outputs that they lead to, not the coroutines and futures."""

    async def main(function):
        result = function(row)
        output = await (result if hasattr(result, "__await__") else asyncio.wrap_future(result))
        assert await canary.aflush()
        return output

    for other in (0.9, 0.1):
        predict = canary.shadow(*instrumented(pair, make(0.7), make(other)))
        assert asyncio.run(main(predict)) == 0.7
    evidence = canary.evidence()
    assert (evidence.compared, evidence.agreed) == (2, 1)
    assert [side.calls for side in evidence.pooled()] == [2, 2]


def test_generators_are_repeated_and_not_compared(make_monitor, row, telemetry):
    """The candidate's monitor counts them, and each is an error of the comparison."""
    monitors = [make_monitor("m", version=str(number), on_error="log", synchronous=True) for number in (1, 2)]
    canary = dl.Canary(*monitors)

    def stream(features):
        yield 0.7

    predict = canary.shadow(*instrumented(monitors, stream, stream))
    assert list(predict(row)) == [0.7]
    canary.close()
    evidence = canary.evidence()
    assert (evidence.compared, evidence.agreed) == (0, 0)
    assert [side.calls for side in evidence.pooled()] == [1, 1]
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="agree") == 1


def test_the_shadows_span_belongs_to_the_callers_trace(make_monitor, row, telemetry):
    """The context of the call is copied with the input."""
    monitors = [make_monitor("m", version=str(number), trace=True, synchronous=True) for number in (1, 2)]
    canary = dl.Canary(*monitors)
    predict = canary.shadow(*instrumented(monitors, lambda features: 0.7, lambda features: 0.7))
    tracer = trace.get_tracer("host", tracer_provider=telemetry.tracer_provider)
    with tracer.start_as_current_span("request") as request:
        predict(row)
    canary.close()
    spans = [span for span in telemetry.spans() if span.name == "predict m"]
    assert {span.attributes["ml.model.version"] for span in spans} == {"1", "2"}
    assert {span.context.trace_id for span in spans} == {request.get_span_context().trace_id}


def test_a_user_function_compares_the_outputs(canary, pair, row):
    predict = canary.shadow(
        *instrumented(pair, lambda features: 0.7, lambda features: 0.71), agree=lambda a, b: abs(a - b) < 0.001
    )
    predict(row)
    canary.flush()
    assert (canary.evidence().compared, canary.evidence().agreed) == (1, 0)


def test_errors_of_the_comparison_are_counted(make_monitor, row, telemetry):
    """The thread continues with the next input."""
    monitors = [make_monitor("m", version=str(number), on_error="log", synchronous=True) for number in (1, 2)]
    canary = dl.Canary(*monitors)
    results = iter([ZeroDivisionError(), True])

    def agree(baseline, candidate):
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    predict = canary.shadow(*instrumented(monitors, lambda features: 0.7, lambda features: 0.7), agree=agree)
    predict(row), predict(row)
    canary.close()
    assert (canary.evidence().compared, canary.evidence().agreed) == (1, 1)
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="agree") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_has_its_own_shadow(canary, pair, row):
    """It has its own thread, and starts from zero counts."""
    predict = canary.shadow(*instrumented(pair, lambda features: 0.7, lambda features: 0.7))
    predict(row)
    canary.flush()
    child = os.fork()
    if child == 0:
        predict(row), predict(row)
        right = canary.flush() and canary.evidence().compared == 2
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert canary.evidence().compared == 1


def test_a_closed_canary_shadows_no_calls(canary, pair, row):
    """The baseline still serves."""
    predict = canary.shadow(*instrumented(pair, lambda features: 0.7, lambda features: 0.7))
    canary.close()
    assert predict(row) == 0.7
    assert canary.evidence().strata[0].candidate.calls == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size=0: expected an integer from 1 to 100000"),
        ({"size": 1.5}, "size=1.5: expected an integer"),
        ({"size": True}, "size=True: expected an integer"),
        ({"agree": 0.5}, "agree=0.5: expected a function"),
        ({"share": 0}, "share=0: expected a number above 0"),
        ({"share": 1.1}, "share=1.1: expected a number"),
        ({"concurrency": 0}, "concurrency=0: expected an integer from 1 to 1000"),
        ({"timeout": 0}, "timeout=0: expected a positive duration"),
        ({"timeout": "soon"}, "timeout='soon': expected a positive duration"),
        ({"max_bytes": 0}, "max_bytes=0: expected an integer of at least 1"),
        ({"max_load": 0}, "max_load=0: expected a number above 0, or None"),
        ({"copy": "shallow"}, "copy='shallow': expected 'deep', a function or None"),
    ],
)
def test_invalid_arguments_are_rejected(canary, arguments, message):
    """The message names the value and the expected kind."""
    with pytest.raises(ConfigurationError, match=message):
        canary.shadow(abs, abs, **arguments)


@pytest.mark.parametrize(
    ("outcomes", "old", "new", "agreed"),
    [
        (dl.OutcomePolicy(kind="quantity"), 0.1, 0.3, 0),
        (dl.OutcomePolicy(threshold=0.3), 0.25, 0.35, 0),
        (dl.OutcomePolicy(threshold=0.3), 0.35, 0.9, 1),
        (None, 0.6, 0.9, 1),
    ],
)
def test_outcomes_say_how_predictions_from_0_to_1_are_compared(row, outcomes, old, new, agreed):
    """A regression may have such predictions, and a classifier another threshold than 0.5."""
    reference = dl.Reference.fit({"age": np.arange(100.0)}, predictions=np.linspace(0.0, 1.0, 100))
    pair = [dl.Monitor("m", version=version, reference=reference, outcomes=outcomes) for version in "12"]
    canary = dl.Canary(*pair, dl.CanaryPolicy(allowed_disagreement=0.02))
    predict = canary.shadow(*instrumented(pair, lambda features: old, lambda features: new))
    predict({"age": 1.0})
    assert canary.flush()
    assert (canary.evidence().compared, canary.evidence().agreed) == (1, agreed)
    canary.close()
    for monitor in pair:
        monitor.shutdown()
