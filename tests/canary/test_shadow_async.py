"""Async shadows: background tasks on the event loop of the caller."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import sys
import threading
import time

import anyio
import pytest

import driftline as dl
from driftline.canary._shadows import blocking, steps

needs_scopes = pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks do not know who cancels them")


@pytest.fixture
def canary(pair):
    """A canary that is closed after the test."""
    canary = dl.Canary(*pair, dl.CanaryPolicy(allowed_disagreement=0.02))
    yield canary
    canary.close(0)


@pytest.fixture
def run(caplog):
    """Return a function that runs a coroutine, and fails if asyncio logs a problem."""

    def run(coroutine):
        problems = []

        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
            return await coroutine

        result = asyncio.run(main())
        gc.collect()
        assert problems == []
        assert [record for record in caplog.records if record.name == "asyncio"] == []
        return result

    return run


async def baseline(features):
    """Return a probability after a step of the loop."""
    await asyncio.sleep(0)
    return 0.7


async def forever(features):
    """Hang in an await."""
    await asyncio.get_running_loop().create_future()


def shadow(canary, pair, candidate, **options):
    """Instrument the baseline and *candidate*, and return the function of the shadow."""
    return canary.shadow(pair[0].instrument(baseline), pair[1].instrument(candidate), **options)


def counts(canary):
    """Return (rows compared, calls of the candidate, failed ones)."""
    evidence = canary.evidence()
    candidate = evidence.pooled()[1]
    return evidence.compared, candidate.calls, candidate.failed_calls


def dropped(telemetry, reason):
    """The rows that the candidate skipped for a reason."""
    return telemetry.value("ml.monitor.rows.dropped", ml__monitor__reason=reason)


# --- what live calls share with the candidate ------------------------------------------------------------------------


def test_live_calls_share_locks_and_semaphores_with_the_candidate(canary, pair, row, run):
    """No call of either fails."""
    shared = {}

    async def guarded(features):
        async with shared["semaphore"], shared["lock"]:
            await asyncio.sleep(0)
        shared["event"].set()
        return 0.7

    async def main():
        shared.update(semaphore=asyncio.Semaphore(2), lock=asyncio.Lock(), event=asyncio.Event())
        results = await asyncio.gather(*(predict(row) for _ in range(200)), return_exceptions=True)
        assert await canary.aflush()
        return results

    predict = canary.shadow(pair[0].instrument(guarded), pair[1].instrument(guarded), max_load=None)
    assert run(main()) == [0.7] * 200
    assert counts(canary) == (200, 200, 0)


def test_at_most_so_many_calls_run_as_concurrency_says(canary, pair, row, run):
    """Further ones wait, and beyond the size they are dropped."""
    running, most = set(), []

    async def slow(features):
        task = asyncio.current_task()
        running.add(task)
        most.append(len(running))
        await asyncio.sleep(0.01)
        running.discard(task)
        return 0.7

    async def main():
        await asyncio.gather(*(predict(row) for _ in range(30)))
        assert await canary.aflush()

    predict = shadow(canary, pair, slow, concurrency=4)
    run(main())
    assert max(most) == 4
    assert counts(canary) == (30, 30, 0)


def test_the_collector_of_garbage_ends_no_task(canary, pair, row, run):
    """An event loop has weak references of tasks only."""

    async def waiting(features):
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, future.set_result, 0.7)
        return await future

    async def main():
        await predict(row)
        gc.collect()
        assert await canary.aflush()

    predict = shadow(canary, pair, waiting)
    run(main())
    assert counts(canary) == (1, 1, 0)


def test_each_loop_has_its_own_tasks(canary, pair, row):
    """Several threads run loops at the same time."""
    loops = []

    async def candidate(features):
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return 0.7

    async def main():
        for _ in range(50):
            await predict(row)
        while not await canary.aflush():
            pass
        return asyncio.get_running_loop()

    predict = shadow(canary, pair, candidate, max_load=None)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        hosts = list(pool.map(lambda _: asyncio.run(main()), range(4)))
    assert {id(loop) for loop in loops} == {id(loop) for loop in hosts}
    assert counts(canary) == (200, 200, 0)


# --- time-outs, cancellation, the end of a loop ----------------------------------------------------------------------


@pytest.mark.parametrize("instrumented", [True, False])
def test_a_candidate_that_hangs_is_cancelled_and_counts_as_failed(canary, pair, row, run, instrumented):
    """Live calls go on meanwhile."""

    async def main():
        for _ in range(3):
            assert await predict(row) == 0.7
        assert await canary.aflush()

    candidate = pair[1].instrument(forever) if instrumented else forever
    predict = canary.shadow(pair[0].instrument(baseline), candidate, timeout=0.02)
    run(main())
    assert counts(canary) == (0, 3, 3)


def test_neither_call_cancels_the_other(canary, pair, row, run):
    """The caller is cancelled after its prediction, then the shadow while the caller waits."""
    order = []

    async def candidate(features):
        try:
            await asyncio.sleep(0.02)
        finally:
            order.append("candidate ended")
        return 0.7

    async def caller():
        await predict(row)
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(caller())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await canary.aflush()
        assert order == ["candidate ended"]
        await predict(row)
        await asyncio.sleep(0)
        (background,) = asyncio.all_tasks() - {asyncio.current_task()}
        background.cancel()
        assert await predict(row) == 0.7
        assert await canary.aflush()

    predict = shadow(canary, pair, candidate)
    run(main())
    assert counts(canary)[0] == 2  # the first, and that after the cancelled one


def test_a_loop_ends_with_pending_calls(canary, pair, row, run, telemetry):
    """Without a warning or a failure: they count as dropped."""

    async def main():
        return [await predict(row) for _ in range(5)]

    predict = shadow(canary, pair, forever, concurrency=2)
    start = time.monotonic()
    assert run(main()) == [0.7] * 5
    assert time.monotonic() - start < steps.CLEANUP_SECONDS
    assert canary.flush()
    assert counts(canary) == (0, 0, 0)
    assert dropped(telemetry, "shadow_ended") == 5


def test_a_loop_is_closed_without_cancelling_its_tasks(canary, pair, row, telemetry, recwarn):
    """As programs do that call `run_until_complete`."""
    predict = shadow(canary, pair, forever, concurrency=2)
    loop = asyncio.new_event_loop()
    for _ in range(3):
        loop.run_until_complete(predict(row))
    assert not canary.flush(5)
    loop.close()
    assert canary.flush(5)
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
    assert counts(canary) == (0, 0, 0)
    assert dropped(telemetry, "shadow_ended") == 3


@needs_scopes
def test_a_candidate_that_ignores_its_cancellation_does_not_hold_the_loop(canary, pair, row, run, monkeypatch):
    """It is closed after a while."""
    monkeypatch.setattr(steps, "CLEANUP_SECONDS", 0.05)

    async def stubborn(features):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:  # noqa: PERF203 - what is tested
                continue

    predict = shadow(canary, pair, stubborn, timeout=0.05)

    async def main():
        await predict(row)
        assert await canary.aflush()
        await predict(row)
        await asyncio.sleep(0)

    run(main())
    assert counts(canary) == (0, 1, 1)


def test_a_candidate_may_clean_up_when_it_is_cancelled(canary, pair, row, run):
    """Such as to return a connection."""
    cleaned = []

    async def candidate(features):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            cleaned.append(True)

    async def main():
        await predict(row)
        assert await canary.aflush()
        await predict(row)
        await asyncio.sleep(0.005)

    predict = shadow(canary, pair, candidate, timeout=0.02)
    run(main())
    assert cleaned == [True, True]


@needs_scopes
@pytest.mark.parametrize("library", ["asyncio", "anyio", "group"])
def test_time_outs_within_the_candidate_are_its_failures(canary, pair, row, run, library):
    """They cancel the task too, and take that back."""

    async def fail():
        await asyncio.sleep(0.005)
        raise KeyError

    async def candidate(features):
        if library == "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(60)
        with anyio.fail_after(0.01) if library == "anyio" else anyio.CancelScope():
            async with asyncio.timeout(0.01 if library == "asyncio" else None):
                await asyncio.sleep(60)

    async def outside(features):
        async with asyncio.timeout(0.01):
            return await inner(features)

    async def main():
        await predict(row)
        await second(row)
        assert await canary.aflush()

    inner = pair[1].instrument(forever)
    predict = shadow(canary, pair, candidate)
    second = canary.shadow(pair[0].instrument(baseline), outside)
    run(main())
    assert counts(canary) == (0, 2, 2)


def test_close_within_the_loop_cancels(canary, pair, row, run, telemetry):
    """`flush` and `close` cannot wait there, and do not."""

    async def main():
        await predict(row)
        await asyncio.sleep(0)
        start = time.monotonic()
        assert not canary.flush(30)
        canary.close(30)
        assert time.monotonic() - start < 20
        await asyncio.sleep(0.01)
        assert await canary.aflush()
        await predict(row)

    predict = shadow(canary, pair, forever)
    run(main())
    assert counts(canary) == (0, 0, 0)
    assert dropped(telemetry, "shadow_ended") == 1


def test_close_from_another_thread_cancels(canary, pair, row, run):
    """The loop goes on."""

    async def main():
        await predict(row)
        await canary.aclose(0.05)
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=30)
        return await predict(row)

    predict = shadow(canary, pair, forever)
    assert run(main()) == 0.7
    assert counts(canary) == (0, 0, 0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks")
def test_eager_tasks_do_not_run_in_the_callers_step(canary, pair, row, run):
    """The candidate begins after the caller has its result."""
    order = []

    async def candidate(features):
        order.append("candidate")
        return 0.7

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await predict(row)
        order.append("caller")
        assert await canary.aflush()

    predict = shadow(canary, pair, candidate)
    run(main())
    assert order == ["caller", "candidate"]


# --- failures --------------------------------------------------------------------------------------------------------


class PanicException(BaseException):
    """As that of a library in Rust."""


PanicException.__module__ = "pyo3_runtime"


@pytest.mark.parametrize("instrumented", [True, False])
@pytest.mark.parametrize(
    "error",
    [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, StopAsyncIteration, PanicException]
    + [asyncio.CancelledError] * (sys.version_info >= (3, 11)),
)
@pytest.mark.parametrize("steps_before", [0, 1])
def test_every_exception_of_the_candidate_is_its_failure(canary, pair, row, run, error, instrumented, steps_before):
    """None reaches the loop or the caller."""

    async def broken(features):
        for _ in range(steps_before):
            await asyncio.sleep(0)
        raise error

    async def main():
        results = [await predict(row) for _ in range(2)]
        assert await canary.aflush()
        return results

    candidate = pair[1].instrument(broken) if instrumented else broken
    predict = canary.shadow(pair[0].instrument(baseline), candidate)
    assert run(main()) == [0.7, 0.7]
    assert counts(canary) == (0, 2, 2)


def test_calls_of_a_bare_candidate_are_recorded(canary, pair, row, run):
    """Those that return too, so that the error rate is right. Its outputs are compared."""
    outcomes = iter([0.7, KeyError(), 0.2, 0.7])

    async def bare(features):
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def main():
        for _ in range(4):
            await predict(row)
        assert await canary.aflush()

    predict = canary.shadow(pair[0].instrument(baseline), bare)
    run(main())
    assert counts(canary) == (3, 4, 1)
    assert canary.evidence().agreed == 2


@pytest.mark.parametrize("way", ["decorated", "block", "wrapped", "thread", "executor", "task"])
def test_calls_that_an_instrumented_function_records_count_once(canary, pair, row, run, way):
    """However the candidate calls it."""

    def plain(features):
        return 0.7

    async def candidate(features):
        if way == "decorated":
            return await decorated(features)
        if way == "block":
            async with pair[1].prediction(features) as call:
                call.output = 0.7
            return 0.7
        if way == "wrapped":
            return predict_plain(features)
        if way == "thread":
            return await asyncio.to_thread(predict_plain, features)
        if way == "executor":
            return await asyncio.get_running_loop().run_in_executor(None, predict_plain, features)
        return await asyncio.create_task(decorated(features))

    async def main():
        for _ in range(4):
            await predict(row)
            assert await canary.aflush()

    predict_plain, decorated = pair[1].instrument(plain), pair[1].instrument(baseline)
    predict = canary.shadow(pair[0].instrument(baseline), candidate)
    run(main())
    assert counts(canary) == (4, 4, 0)


# --- a candidate that blocks, hosts without asyncio -------------------------------------------------------------------


def test_a_candidate_that_blocks_the_loop_stops_the_shadow(canary, pair, row, run, telemetry, caplog, monkeypatch):
    """The log says so once, and what to do."""
    monkeypatch.setattr(blocking, "BLOCK_SECONDS", 0.01)
    calls = []

    async def candidate(features):
        calls.append(1)
        time.sleep(0.02)  # noqa: ASYNC251 - what is tested
        return 0.7

    async def main():
        for _ in range(10):
            await predict(row)
            await canary.aflush()

    predict = shadow(canary, pair, candidate)
    with caplog.at_level(logging.WARNING, logger="driftline"):
        run(main())
    assert len(calls) == blocking.MAX_BLOCKS
    messages = [record.getMessage() for record in caplog.records if "blocked the event loop" in record.getMessage()]
    assert len(messages) == 1
    assert "asyncio.to_thread" in messages[0]
    assert dropped(telemetry, "shadow_stopped") == 10 - blocking.MAX_BLOCKS


def test_a_slow_start_does_not_stop_the_shadow(monkeypatch):
    """Nor do pauses that are many calls apart."""
    counter = blocking.BlockCounter()
    for _ in range(10):
        assert not counter.add(1.0)
        assert not counter.add(0.001)
        counter.calls += blocking.BLOCK_CALLS // 2
    assert not counter.add(1.0)
    assert counter.add(1.0)


def test_hosts_without_asyncio_drop_the_calls(canary, pair, row, telemetry, caplog):
    """A coroutine that another library drives, such as trio."""

    async def simple(features):
        return 0.7

    predict = canary.shadow(pair[0].instrument(simple), pair[1].instrument(simple))
    for _ in range(2):
        with pytest.raises(StopIteration) as stop:
            predict(row).send(None)
        assert stop.value.value == 0.7
    assert dropped(telemetry, "shadow_loop") == 2
    assert sum("no event loop of asyncio" in record.getMessage() for record in caplog.records) == 1


def test_a_plain_function_runs_in_a_thread_while_a_loop_runs(canary, pair, row, run):
    """The loop does not wait for it."""
    threads = []

    def plain(features):
        threads.append(threading.current_thread())
        return 0.7

    async def main():
        predict(row)
        assert await canary.aflush()

    predict = canary.shadow(pair[0].instrument(lambda features: 0.7), pair[1].instrument(plain))
    run(main())
    assert [thread is threading.main_thread() for thread in threads] == [False]
    assert counts(canary) == (1, 1, 0)
