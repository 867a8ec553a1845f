"""Shadows: the candidate repeats the baseline's calls, and nobody notices."""

from __future__ import annotations

import asyncio
import os
import threading

import numpy as np
import pytest
from opentelemetry import trace

import driftline as dl
from driftline import ConfigurationError
from driftline.canary._shadow import default_agreement


@pytest.fixture
def canary(pair):
    """A canary whose shadows are ended after the test."""
    made = dl.Canary(*pair, dl.CanaryPolicy(allowed_disagreement=0.02))
    yield made
    made.close()


def instrumented(pair, old, new):
    """Both functions, watched."""
    return pair[0].instrument(old), pair[1].instrument(new)


def test_the_baselines_answer_is_returned_and_the_candidates_compared(canary, pair, row):
    """Both are counted by their monitors; who called waits for one of them."""
    old, new = instrumented(pair, lambda features: 0.7, lambda features: 0.2 if features["age"] > 50 else 0.9)
    predict = canary.shadow(old, new)
    assert [predict(row | {"age": age}) for age in (40.0, 45.0, 60.0)] == [0.7] * 3
    assert canary.flush()
    evidence = canary.evidence()
    assert (evidence.compared, evidence.agreed) == (3, 2)
    assert [one.calls for one in evidence.pooled()] == [3, 3]


def test_batches_are_compared_row_by_row(canary, pair, row):
    """Three rows, one of which differs."""
    old, new = instrumented(
        pair, lambda features: np.array([0.1, 0.6, 0.9]), lambda features: np.array([0.2, 0.4, 0.8])
    )
    canary.shadow(old, new)({name: [value] * 3 for name, value in row.items()})
    canary.flush()
    assert (canary.evidence().compared, canary.evidence().agreed) == (3, 2)


def test_what_the_candidate_raises_is_its_monitors_business(canary, pair, row):
    """Counted there, compared nowhere."""

    def broken(features):
        raise KeyError

    predict = canary.shadow(*instrumented(pair, lambda features: 0.7, broken))
    assert predict(row) == 0.7
    canary.flush()
    evidence = canary.evidence()
    assert (evidence.compared, evidence.strata[0].candidate.failed_calls) == (0, 1)


def test_what_the_baseline_raises_goes_to_the_caller_and_the_candidate_tries(canary, pair, row):
    """Else the candidate would never see what the baseline cannot do."""

    def broken(features):
        raise KeyError

    predict = canary.shadow(*instrumented(pair, broken, lambda features: 0.7))
    with pytest.raises(KeyError):
        predict(row)
    canary.flush()
    evidence = canary.evidence()
    assert (evidence.compared, evidence.strata[0].candidate.calls) == (0, 1)


def test_the_candidate_sees_the_input_as_it_was(canary, pair, row):
    """A baseline that changes its input, and a caller that uses it again."""
    seen = []

    def old(features, more, matrix):
        features["age"] = -1.0
        more.append(9)
        matrix[0] = -1
        return 0.7

    def new(features, more, matrix):
        seen.append((features["age"], list(more), matrix.tolist()))
        return 0.7

    first = {"features": lambda features, *_: features}
    predict = canary.shadow(pair[0].instrument(**first)(old), pair[1].instrument(**first)(new))
    mine = dict(row)
    predict(mine, [1], np.array([1, 2]))
    mine["age"] = 99.0
    canary.flush()
    assert seen == [(row["age"], [1], [1, 2])]


def test_a_full_queue_drops_and_counts(canary, pair, row, telemetry):
    """A candidate that hangs costs the caller nothing and the process no memory."""
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


def test_async_functions(canary, pair, row):
    """The candidate's coroutine runs in a loop of its own."""

    async def old(features):
        await asyncio.sleep(0)
        return 0.7

    async def new(features):
        await asyncio.sleep(0)
        return 0.8

    predict = canary.shadow(*instrumented(pair, old, new))
    assert asyncio.run(predict(row)) == 0.7
    canary.flush()
    assert (canary.evidence().compared, canary.evidence().agreed) == (1, 1)


def test_the_shadows_span_belongs_to_the_callers_trace(make_monitor, row, telemetry):
    """The context goes with the input."""
    monitors = [make_monitor("m", version=str(one), trace=True, synchronous=True) for one in (1, 2)]
    canary = dl.Canary(*monitors)
    predict = canary.shadow(*instrumented(monitors, lambda features: 0.7, lambda features: 0.7))
    tracer = trace.get_tracer("host", tracer_provider=telemetry.tracer_provider)
    with tracer.start_as_current_span("request") as request:
        predict(row)
    canary.close()
    spans = [span for span in telemetry.spans() if span.name == "predict m"]
    assert {span.attributes["ml.model.version"] for span in spans} == {"1", "2"}
    assert {span.context.trace_id for span in spans} == {request.get_span_context().trace_id}


def test_an_agreement_of_ones_own(canary, pair, row):
    """Takes both outputs; what it raises is counted as ours."""
    predict = canary.shadow(
        *instrumented(pair, lambda features: 0.7, lambda features: 0.71), agree=lambda a, b: abs(a - b) < 0.001
    )
    predict(row)
    canary.flush()
    assert (canary.evidence().compared, canary.evidence().agreed) == (1, 0)


def test_an_agreement_that_fails_is_counted(make_monitor, row, telemetry):
    """And the thread goes on."""
    monitors = [make_monitor("m", version=str(one), on_error="log", synchronous=True) for one in (1, 2)]
    canary = dl.Canary(*monitors)
    answers = iter([ZeroDivisionError(), True])

    def agree(baseline, candidate):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    predict = canary.shadow(*instrumented(monitors, lambda features: 0.7, lambda features: 0.7), agree=agree)
    predict(row), predict(row)
    canary.close()
    assert (canary.evidence().compared, canary.evidence().agreed) == (1, 1)
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="agree") == 1


@pytest.mark.parametrize(
    ("correct", "a", "b", "same"),
    [
        (None, 100.0, 100.9, True),
        (None, 100.0, 101.1, False),
        (None, "late", "late", True),
        (bool, 0.6, 0.9, True),
        (bool, 0.4, 0.6, False),
        (bool, 3, 3, True),
        (bool, 3, 4, False),
        (bool, True, False, False),
    ],
)
def test_when_outputs_agree(correct, a, b, same):
    """Labels that are equal, probabilities on one side of a half, other numbers within one per cent."""
    assert bool(default_agreement(correct)(a, b)) is same


def test_outputs_of_different_shapes_are_not_compared():
    """Two rows against three."""
    with pytest.raises(TypeError, match="cannot be compared"):
        default_agreement(None)([1.0, 2.0], [1.0, 2.0, 3.0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_has_a_shadow_of_its_own(canary, pair, row):
    """A thread of its own and no counts of the parent's."""
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


def test_after_its_end_nothing_is_shadowed(canary, pair, row):
    """The baseline serves on."""
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
    ],
)
def test_bad_arguments_are_refused(canary, arguments, message):
    """The message names the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        canary.shadow(abs, abs, **arguments)
