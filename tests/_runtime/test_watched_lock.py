"""Functions of the user's that never return: what they hold, and what they do not."""

from __future__ import annotations

import threading
import time

import pytest

import driftline as dl
from driftline._recording.buffer import BUFFER_ROWS, CHUNK_ROWS
from driftline._runtime import watched_lock
from driftline._runtime.watched_lock import WatchedLock


@pytest.fixture
def patience(monkeypatch):
    """Nobody waits longer than a tenth of a second."""
    monkeypatch.setattr(watched_lock, "SECONDS", 0.1)


def held(lock, until):
    """Hold a lock in another thread."""
    taken = threading.Event()

    def hold():
        lock.acquire()
        taken.set()
        until.wait(60)
        lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    return thread


def test_a_lock_is_not_waited_for_without_end(patience):
    """The first one waits in vain, the next ones not at all; once it is free it is free."""
    lock, until = WatchedLock(), threading.Event()
    thread = held(lock, until)
    assert not lock.acquire()
    before = time.perf_counter()
    assert not lock.acquire()
    assert time.perf_counter() - before < 0.1
    until.set()
    thread.join()
    assert lock.acquire()
    assert lock.acquire(), "the same thread takes it again"


def test_work_that_moves_on_is_waited_for(patience):
    """However long it takes."""
    lock, until = WatchedLock(), threading.Event()
    thread = held(lock, until)
    end = time.monotonic() + 0.5

    def work():
        while time.monotonic() < end:
            lock.moves_on()
            time.sleep(0.01)
        until.set()

    worker = threading.Thread(target=work)
    worker.start()
    assert lock.acquire()
    lock.release()
    worker.join()
    thread.join()


def test_a_comparison_of_outcomes_that_hangs(patience, make_monitor, telemetry, row):
    """It holds our thread. Calls, outcomes, collections, states and a replacement go on; memory does not grow."""
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
    assert len(monitor._pipeline.outcomes._events) <= 8 * 8_192 + 1_024
    assert predict(row) == 0.9
    assert telemetry.value("ml.predictions.served") == 2
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="outcomes") > 0
    monitor.replace_reference(monitor.reference)
    assert monitor.status()["age"].state == "insufficient_data"
    stop.set()
    deadline = time.monotonic() + 30
    # The last ones may have been taken off the queue and not been counted yet.
    while sum((counts := monitor.outcome_counts()).results.values()) < 70_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (counts.known, counts.correct) == (1, 1)
    assert counts.results["dropped"] > 0
    assert counts.results["dropped"] + counts.results["unmatched"] == 69_999


class Endless:
    """A detector that does not come back from its third value."""

    stop = threading.Event()
    entered = threading.Event()

    def __init__(self):
        self.drift_detected = False
        self.seen = 0

    def update(self, x):
        """Take a value."""
        self.seen += 1
        if self.seen == 3:
            Endless.entered.set()
            Endless.stop.wait(60)


def test_a_detector_that_hangs(patience, make_monitor, telemetry, row):
    """Likewise: the other states are there."""
    monitor = make_monitor(detectors={"age": Endless()}, on_error="log", window=dl.Window(rows=10))
    for _ in range(10):
        monitor.observe(row, [0.5])
    monitor._pipeline._thread.wake()
    assert Endless.entered.wait(30)
    assert telemetry.value("ml.predictions.served") == 10
    assert monitor.status()["age"].rows == 10
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="detector") > 0
    Endless.stop.set()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_collection_while_our_thread_starts(make_monitor, telemetry, monkeypatch, moment):
    """It leaves a function of the user's to our thread, which the first call is starting, or has just started."""
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
    monitor._pipeline._thread.wake()
    deadline = time.monotonic() + 60
    while not ran_in and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {one.name for one in ran_in} == {"driftline"}


def test_a_function_that_is_slow_holds_callers_to_its_pace(make_monitor):
    """Rows that wait for it are bounded, and none is dropped."""

    def slow(row):
        end = time.perf_counter() + 100e-6
        while time.perf_counter() < end:
            pass
        return row["age"]

    reference = dl.Reference.fit({"age": list(range(100))}, derive={"again": slow})
    monitor = make_monitor(reference=reference, derive={"again": slow})
    predict = monitor.instrument(lambda features: 0.5)
    most, calls = 0, 12_000
    for turn in range(calls):
        predict({"age": turn % 100})
        most = max(most, monitor._pipeline.lane.rows)
    assert most <= 2 * BUFFER_ROWS + CHUNK_ROWS
    monitor.flush()
    tally = monitor._pipeline._calls.read()
    assert (tally.served, tally.rows, tally.dropped) == (calls, calls, {})


def test_progress_is_waited_for_once(patience):
    """In vain once; after the next piece again."""
    lock = WatchedLock()
    assert not lock.progress()
    before = time.perf_counter()
    assert not lock.progress()
    assert time.perf_counter() - before < 0.1
    lock.moves_on()
    worker = threading.Timer(0.02, lock.moves_on)
    worker.start()
    assert lock.progress()
    worker.join()


def test_outcomes_of_a_process_that_does_not_predict(make_monitor, telemetry):
    """A worker that is told labels has no thread of ours: its collections do the work."""
    monitor = make_monitor()
    for turn in range(10):
        monitor.outcome(turn, True)
    assert telemetry.value("ml.outcomes", ml__outcome__result="unmatched") == 10
