"""Tests of the watched lock, and of user functions that never return."""

from __future__ import annotations

import sys
import threading
import time

import pytest

import driftline as dl
from driftline._recording.buffer import BUFFER_ROWS, CHUNK_ROWS
from driftline._runtime import watched_lock
from driftline._runtime.watched_lock import WatchedLock
from driftline.testing import Probe


@pytest.fixture
def short_timeout(monkeypatch):
    """Callers wait a tenth of a second at most."""
    monkeypatch.setattr(watched_lock, "TIMEOUT_SECONDS", 0.1)


def hold(lock, until):
    """Hold a lock in another thread until an event."""
    acquired = threading.Event()

    def work():
        with lock.hold():
            acquired.set()
            until.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    acquired.wait()
    return thread


def acquired_elsewhere(lock):
    """Return whether another thread can acquire a lock immediately."""
    held = []

    def work():
        with lock.hold(blocking=False) as acquired:
            held.append(acquired)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return held[0]


@pytest.mark.parametrize("moment", ["enter", "exit", "block"])
def test_lock_of_an_interrupted_statement_is_free(moment):
    """Also while the host keeps the exception, whose traceback refers to all frames."""
    lock, kept, before = WatchedLock(), [], sys.gettrace()  # that of the coverage, which must go on

    def interrupt(frame, event, argument):
        if frame.f_code.co_name == {"enter": "__enter__", "exit": "release"}.get(moment):
            if event == "return" or moment == "exit":
                sys.settrace(None)
                raise KeyboardInterrupt
            return interrupt
        return None

    try:
        sys.settrace(interrupt)
        with lock.hold():
            if moment == "block":
                raise KeyboardInterrupt  # noqa: TRY301
    except KeyboardInterrupt as error:
        kept.append(error)
    finally:
        sys.settrace(before)
    assert len(kept) == 1
    assert acquired_elsewhere(lock)
    with lock.hold() as held:
        assert held


def test_acquire_times_out_once(short_timeout):
    """The first caller waits for the timeout, later callers do not wait. The lock works again after its release."""
    lock, until = WatchedLock(), threading.Event()
    thread = hold(lock, until)
    with lock.hold() as held:
        assert not held
    assert lock.stuck
    before = time.perf_counter()
    with lock.hold() as held:
        assert not held
    assert time.perf_counter() - before < 0.1
    until.set()
    thread.join()
    with lock.hold() as held:
        assert held
        assert not lock.stuck
        with lock.hold() as held_again:
            assert held_again, "the lock is re-entrant"
        assert not acquired_elsewhere(lock)
    assert acquired_elsewhere(lock)


def test_acquire_waits_while_heartbeats_come(short_timeout):
    """It waits five times as long as the timeout here."""
    lock, until = WatchedLock(), threading.Event()
    thread = hold(lock, until)
    end = time.monotonic() + 0.5

    def work():
        while time.monotonic() < end:
            lock.heartbeat()
            time.sleep(0.01)
        until.set()

    worker = threading.Thread(target=work)
    worker.start()
    with lock.hold() as held:
        assert held
    worker.join()
    thread.join()


def test_acquire_without_blocking_returns_immediately():
    """A lock that another thread holds is not stuck because of it."""
    lock, until = WatchedLock(), threading.Event()
    thread = hold(lock, until)
    with lock.hold(blocking=False) as held:
        assert not held
    assert not lock.stuck
    until.set()
    thread.join()
    with lock.hold(blocking=False) as held:
        assert held


def test_is_responsive_tells_progress_from_a_standstill(short_timeout):
    lock, until = WatchedLock(), threading.Event()
    assert lock.is_responsive()
    thread = hold(lock, until)
    assert not lock.is_responsive()
    lock.heartbeat()
    worker = threading.Timer(0.02, lock.heartbeat)
    worker.start()
    assert lock.is_responsive()
    worker.join()
    until.set()
    thread.join()
    assert lock.is_responsive()


@pytest.mark.slow
def test_outcome_comparison_that_hangs_blocks_only_our_thread(short_timeout, make_monitor, telemetry, row):
    """Calls, outcomes, collections, states and a replacement go on, and memory does not grow."""
    entered, stop = threading.Event(), threading.Event()

    def correct(output, actual):
        entered.set()
        return stop.wait(60)

    monitor = make_monitor(correct=correct, on_error="log")
    predict = monitor.instrument(lambda features: 0.9)
    monitor.observe(row, [0.9], prediction_ids=[0])
    monitor.outcome(0, True)
    assert entered.wait(30)
    for turn in range(1, 70_000):
        monitor.outcome(turn, True)
    assert Probe(monitor).pending_outcomes <= 8 * 8_192 + 1_024
    assert predict(row) == 0.9
    assert telemetry.value("ml.predictions.served") == 2
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="outcomes") > 0
    monitor.replace_reference(monitor.reference)
    assert monitor.status()["age"].state == "insufficient_data"
    stop.set()
    deadline = time.monotonic() + 30
    # The worker thread may have taken the last outcomes off the queue without having counted them yet.
    while sum((counts := monitor.outcome_counts()).results.values()) < 70_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (counts.known, counts.correct) == (1, 1)
    assert counts.results["dropped"] > 0
    assert counts.results["dropped"] + counts.results["unmatched"] == 69_999


class HangingDetector:
    """A detector whose `update` does not return for its third value."""

    stop = threading.Event()
    entered = threading.Event()

    def __init__(self):
        self.drift_detected = False
        self.seen = 0

    def update(self, x):
        """Count a value; hang at the third."""
        self.seen += 1
        if self.seen == 3:
            HangingDetector.entered.set()
            HangingDetector.stop.wait(60)


def test_detector_that_hangs_leaves_other_states(short_timeout, make_monitor, telemetry, row):
    """The state of the feature that it does not watch is there."""
    monitor = make_monitor(detectors={"age": HangingDetector()}, on_error="log", window=dl.Window(rows=10))
    for _ in range(10):
        monitor.observe(row, [0.5])
    Probe(monitor).wake_worker()
    assert HangingDetector.entered.wait(30)
    assert telemetry.value("ml.predictions.served") == 10
    assert monitor.status()["age"].rows == 10
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="detector") > 0
    HangingDetector.stop.set()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_collection_during_thread_start_leaves_user_functions_to_the_thread(
    make_monitor, telemetry, monkeypatch, moment
):
    """The first call is starting the worker thread, or has just started it."""
    ran_in, starting, go_on = set(), threading.Event(), threading.Event()

    def derived(row):
        ran_in.add(threading.current_thread())
        return row["age"]

    reference = dl.Reference.fit({"age": list(range(100))}, derive={"again": derived})
    monitor = make_monitor(reference=reference, derive={"again": derived})
    ran_in.clear()
    start = threading.Thread.start

    def slow(thread):
        if thread.name != "driftline":
            start(thread)
            return
        if moment == "after":
            start(thread)
        starting.set()
        assert go_on.wait(60)
        if moment == "before":
            start(thread)

    monkeypatch.setattr(threading.Thread, "start", slow)
    caller = threading.Thread(target=monitor.instrument(lambda features: 0.5), args=({"age": 3},))
    caller.start()
    assert starting.wait(60)
    telemetry.metrics()
    go_on.set()
    caller.join()
    assert telemetry.value("ml.predictions.served") == 1
    Probe(monitor).wake_worker()
    deadline = time.monotonic() + 60
    while not ran_in and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {thread.name for thread in ran_in} == {"driftline"}


@pytest.mark.slow
def test_slow_user_function_slows_callers_down(make_monitor):
    """The backlog is bounded, and no row is dropped."""

    def slow(row):
        end = time.perf_counter() + 100e-6
        while time.perf_counter() < end:
            pass
        return row["age"]

    reference = dl.Reference.fit({"age": list(range(100))}, derive={"again": slow})
    monitor = make_monitor(reference=reference, derive={"again": slow})
    predict = monitor.instrument(lambda features: 0.5)
    probe, most, calls = Probe(monitor), 0, 12_000
    for turn in range(calls):
        predict({"age": turn % 100})
        most = max(most, probe.backlog)
    assert most <= 2 * BUFFER_ROWS + CHUNK_ROWS
    monitor.flush()
    tally = probe.totals
    assert (tally.served, tally.rows, tally.dropped) == (calls, calls, {})


def test_wait_for_heartbeat_times_out_once(short_timeout):
    """After a timeout, callers wait again only when a heartbeat has come."""
    lock = WatchedLock()
    assert not lock.wait_for_heartbeat()
    before = time.perf_counter()
    assert not lock.wait_for_heartbeat()
    assert time.perf_counter() - before < 0.1
    lock.heartbeat()
    worker = threading.Timer(0.02, lock.heartbeat)
    worker.start()
    assert lock.wait_for_heartbeat()
    worker.join()


def test_collections_join_outcomes_where_no_prediction_is_made(make_monitor, telemetry):
    """A process that only receives labels has no worker thread."""
    monitor = make_monitor()
    for turn in range(10):
        monitor.outcome(turn, True)
    assert telemetry.value("ml.outcomes", ml__outcome__result="unmatched") == 10
