"""Shadows of plain functions: threads with limits of number, bytes, share and load; failures of every kind."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import time
import warnings

import numpy as np
import pytest

import driftline as dl
from driftline.canary._shadows.ending import close_all
from driftline.canary._shadows.throttle import BURST_SECONDS, MIN_PAUSE_SECONDS, Throttle


@pytest.fixture
def canary(pair):
    """A canary that is closed after the test."""
    canary = dl.Canary(*pair, dl.CanaryPolicy(allowed_disagreement=0.02))
    yield canary
    canary.close(0)


def good(features):
    """Return a probability."""
    return 0.7


def shadow(canary, pair, candidate, **options):
    """Instrument the baseline and *candidate*, and return the function of the shadow."""
    return canary.shadow(pair[0].instrument(good), pair[1].instrument(candidate), **options)


def counts(canary):
    """Return (rows compared, calls of the candidate, failed ones)."""
    evidence = canary.evidence()
    candidate = evidence.pooled()[1]
    return evidence.compared, candidate.calls, candidate.failed_calls


def dropped(telemetry, reason):
    """The rows that the candidate skipped for a reason."""
    return telemetry.value("ml.monitor.rows.dropped", ml__monitor__reason=reason)


class PanicException(BaseException):
    """As that of a library in Rust."""


PanicException.__module__ = "pyo3_runtime"


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("instrumented", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        *(ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration, MemoryError, RecursionError),
        *(asyncio.CancelledError, PanicException, BaseException),
    ],
)
def test_every_exception_of_the_candidate_is_its_failure(canary, pair, row, error, instrumented):
    """The thread goes on."""
    threads = set()

    def broken(features):
        threads.add(threading.get_ident())
        raise error

    candidate = pair[1].instrument(broken) if instrumented else broken
    predict = canary.shadow(pair[0].instrument(good), candidate)
    assert [predict(row) for _ in range(3)] == [0.7] * 3
    assert canary.flush()
    assert counts(canary) == (0, 3, 3)
    assert len(threads) == 1


def test_calls_of_a_bare_candidate_are_recorded(canary, pair, row, caplog):
    """Those that return too, so that the error rate is right; and the log says what is missing."""
    outcomes = iter([0.7, KeyError(), 0.2, 0.7])

    def bare(features):
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    predict = canary.shadow(pair[0].instrument(good), bare)
    for _ in range(4):
        predict(row)
    assert canary.flush()
    assert counts(canary) == (3, 4, 1)
    assert sum("is not instrumented" in record.getMessage() for record in caplog.records) == 1


def test_batches_of_a_bare_candidate_count_their_rows(canary, pair, row):
    """As the baseline has them."""
    predict = canary.shadow(
        pair[0].instrument(lambda features: np.array([0.1, 0.2, 0.3])), lambda features: np.array([0.1, 0.2, 0.9])
    )
    predict({name: [value] * 3 for name, value in row.items()})
    assert canary.flush()
    assert canary.evidence().pooled()[1].served == 3
    assert (canary.evidence().compared, canary.evidence().agreed) == (3, 2)


@pytest.mark.parametrize("way", ["block", "wrapped", "thread"])
def test_calls_that_an_instrumented_function_records_count_once(canary, pair, row, way):
    """However the candidate calls it. A failure before it is one too."""
    inner = pair[1].instrument(good)

    def candidate(features, fail=False):
        if fail:
            raise KeyError
        if way == "block":
            with pair[1].prediction(features) as call:
                call.output = 0.7
            return 0.7
        if way == "wrapped":
            return inner(features)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(inner, features).result()

    predict = canary.shadow(pair[0].instrument(lambda features, fail=False: 0.7), candidate)
    for _ in range(4):
        predict(row)
        assert canary.flush()
    assert counts(canary) == (4, 4, 0)
    predict(row, fail=True)
    assert canary.flush()
    assert counts(canary) == (4, 4, 0) if way == "thread" else (4, 5, 1)


def test_a_candidate_in_another_process_records_nothing(make_monitor, row, tmp_path):
    """Its outputs are compared."""
    monitor = make_monitor("m", version="1", synchronous=True)
    canary = dl.Canary(baseline=monitor, path=tmp_path / "canary.db")
    predict = canary.shadow(monitor.instrument(good), good)
    predict(row)
    canary.close()
    assert canary.evidence().compared == 1
    assert canary.evidence().pooled()[0].calls == 1


def test_a_candidate_that_is_awaited_beside_a_plain_baseline_is_refused(make_monitor, row, caplog):
    """No event loop is known to await it in, and another one would break what it shares. It is closed."""
    monitors = [make_monitor("m", version=str(number), on_error="log", synchronous=True) for number in (1, 2)]
    canary = dl.Canary(*monitors)

    async def answer():
        return 0.7

    predict = canary.shadow(monitors[0].instrument(good), lambda features: answer())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(row)
        canary.close()
        gc.collect()
    assert counts(canary) == (0, 0, 0)
    assert "expected two functions that are both awaited, or neither" in caplog.text


def test_futures_have_a_time_out(canary, pair, row):
    """A thread waits no longer for them."""
    predict = canary.shadow(
        pair[0].instrument(lambda features: POOL.submit(good, features)),
        lambda features: concurrent.futures.Future(),
        timeout=0.02,
    )
    assert predict(row).result() == 0.7
    assert canary.flush()
    assert counts(canary) == (0, 1, 1)


POOL = concurrent.futures.ThreadPoolExecutor(1)


# --- limits ----------------------------------------------------------------------------------------------------------


def test_concurrency_is_the_number_of_threads(canary, pair, row):
    """They start when they are needed."""
    barrier = threading.Barrier(3)

    def meet(features):
        barrier.wait(30)
        return 0.7

    predict = shadow(canary, pair, meet, concurrency=3, max_load=None)
    for _ in range(9):
        predict(row)
    assert canary.flush(30)
    assert counts(canary) == (9, 9, 0)


def test_a_sample_is_repeated(canary, pair, row, telemetry):
    """The others count as skipped."""
    predict = shadow(canary, pair, good, share=0.25, max_load=None)
    for _ in range(2_000):
        predict(row)
    assert canary.flush()
    compared = counts(canary)[0]
    assert 400 < compared < 600
    assert dropped(telemetry, "shadow_share") == 2_000 - compared


def test_pending_inputs_are_bounded_in_bytes(canary, pair, row, telemetry):
    """An input that is larger than all of them is never repeated."""
    started, go_on = threading.Event(), threading.Event()

    def slow(features, body):
        started.set()
        go_on.wait(30)
        return 0.7

    select = {"features": lambda features, body: features}
    predict = canary.shadow(
        pair[0].instrument(**select)(lambda features, body: 0.7),
        pair[1].instrument(**select)(slow),
        max_bytes=2_500_000,
    )
    predict(row, bytes(3_000_000))
    predict(row, {"deep": [bytes(1_000_000)]})
    assert started.wait(30)
    for _ in range(5):
        predict(row, np.zeros(125_000))
    go_on.set()
    assert canary.flush()
    assert counts(canary) == (2, 2, 0)
    assert dropped(telemetry, "shadow_bytes") == 5


def test_large_outputs_count_too(canary, pair, row, telemetry):
    """They are kept for the comparison."""
    predict = canary.shadow(
        pair[0].instrument(lambda features: np.zeros(10)),
        pair[1].instrument(lambda features: np.zeros(10)),
        max_bytes=1_100,
    )
    predict({name: [value] * 10 for name, value in row.items()})
    assert dropped(telemetry, "shadow_bytes") == 10


def test_a_throttle_keeps_the_load():
    """A call of one second at a load of a quarter makes a pause of four, less what an idle shadow is credited."""
    throttle = Throttle(0.25)
    assert throttle.delay() == 0.0
    throttle.spend(1.0)
    assert 3.0 < throttle.delay() <= 4.0 - BURST_SECONDS
    with throttle.suspended():
        assert throttle.delay() == 0.0
    assert throttle.delay() > 0.0


def test_short_pauses_add_up():
    """A thread does not sleep for microseconds."""
    throttle = Throttle(0.5)
    spent = 0
    while not throttle.delay():
        throttle.spend(MIN_PAUSE_SECONDS / 10)
        spent += 1
        assert spent < 1_000_000
    assert spent > 5
    assert not Throttle(None).delay()


def test_flush_does_not_pause(canary, pair, row):
    """Else a load of a millionth would take hours."""

    def busy(features):
        end = time.thread_time() + 0.001
        while time.thread_time() < end:
            pass
        return 0.7

    predict = shadow(canary, pair, busy, max_load=1e-6)
    for _ in range(20):
        predict(row)
    assert canary.flush(30)
    assert counts(canary) == (20, 20, 0)


def test_a_thread_that_hangs_is_reported_once(canary, pair, row, caplog):
    """Python cannot end it."""
    go_on = threading.Event()

    def hanging(features):
        go_on.wait(30)
        return 0.7

    predict = shadow(canary, pair, hanging, size=1, timeout=0.01)
    for _ in range(20):
        predict(row)
        time.sleep(0.005)
    go_on.set()
    assert canary.flush()
    assert sum("has not returned for 0.01 s" in record.getMessage() for record in caplog.records) == 1


# --- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", ["deep", None, lambda value: "copied" if value == "text" else value])
def test_inputs_are_copied_as_copy_says(canary, pair, row, copy):
    """Deeply, not at all, or by a user function."""
    seen = []

    def old(features, nested, text):
        nested["a"]["b"].append(9)
        return 0.7

    def new(features, nested, text):
        seen.append((nested["a"]["b"], text))
        return 0.7

    select = {"features": lambda features, *_: features}
    predict = canary.shadow(pair[0].instrument(**select)(old), pair[1].instrument(**select)(new), copy=copy)
    predict(row, {"a": {"b": [1]}}, "text")
    assert canary.flush()
    assert seen == [([1] if copy == "deep" else [1, 9], "copied" if callable(copy) else "text")]


def test_errors_of_a_copy_are_counted(make_monitor, row, telemetry):
    """The baseline serves; the call is not repeated."""
    monitors = [make_monitor("m", version=str(number), on_error="log", synchronous=True) for number in (1, 2)]
    canary = dl.Canary(*monitors)
    predict = canary.shadow(*(monitor.instrument(good) for monitor in monitors), copy=lambda value: 1 / 0)
    assert predict(row) == 0.7
    canary.close()
    assert counts(canary) == (0, 0, 0)
    with monitors[1].prediction(row):
        pass
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="shadow") == 1


# --- the end ---------------------------------------------------------------------------------------------------------


def test_flush_tries_all_shadows(canary, pair, row):
    """A first one that hangs costs the others no time."""
    go_on = threading.Event()

    def hanging(features):
        go_on.wait(30)
        return 0.7

    def counted(features):
        calls.append(1)
        return 0.7

    calls = []
    first, second = shadow(canary, pair, hanging), shadow(canary, pair, counted, max_load=1e-9)
    first(row)
    for _ in range(20):
        second(row)
    assert not canary.flush(0.5)
    assert len(calls) == 20
    go_on.set()
    assert canary.flush()


def test_the_exit_of_the_process_waits_for_running_calls(canary, pair, row):
    """Those that are pending are dropped."""
    started, ended = threading.Event(), []

    def slow(features):
        started.set()
        time.sleep(0.05)
        ended.append(1)
        return 0.7

    predict = shadow(canary, pair, slow)
    for _ in range(5):
        predict(row)
    assert started.wait(30)
    close_all()
    assert ended == [1]
    assert predict(row) == 0.7


def test_a_thread_that_cannot_start_drops_the_call(make_monitor, row, telemetry, monkeypatch):
    """As at the end of the interpreter."""
    monitors = [make_monitor("m", version=str(number), on_error="log", synchronous=True) for number in (1, 2)]
    canary = dl.Canary(*monitors)
    predict = canary.shadow(*(monitor.instrument(good) for monitor in monitors))

    def fail(thread):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        assert predict(row) == 0.7
    assert canary.flush(0)
    predict(row)
    assert canary.flush()
    assert counts(canary) == (1, 1, 0)
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="shadow") == 1
    canary.close()


def test_a_disabled_monitor_has_no_shadow(make_monitor, row):
    """As its functions are not instrumented."""
    monitors = [make_monitor("m", version=str(number), enabled=False) for number in (1, 2)]
    baseline = monitors[0].instrument(good)
    assert dl.Canary(*monitors).shadow(baseline, good) is baseline
