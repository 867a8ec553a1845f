"""The calls of a canary by time and key are exact, whatever interrupts a drain."""

from __future__ import annotations

import inspect
import sys
import threading
from contextvars import ContextVar
from itertools import count

import numpy as np
import pytest

import driftline as dl
from driftline._binning.layout import Layout
from driftline._recording.durations import DurationQueue
from driftline._recording.recorder import Recorder
from driftline._windows.call_log import Logging, WarmUp
from driftline._windows.panes import Panes
from driftline.testing import Probe


class Interrupt(BaseException):
    """An exception that a signal handler raises."""


class Interrupter:
    """
    A profiling function that raises at one of the moments at which Python looks for signals.

    These are the start of a function and the end of a call.
    """

    def __init__(self, moment):
        self.left = moment

    def __call__(self, frame, event, argument):
        # An exception in a generator that the garbage collector closes arrives nowhere.
        if "driftline" not in frame.f_code.co_filename or frame.f_code.co_flags & inspect.CO_GENERATOR:
            return
        self.left -= 1
        if self.left == 0:
            sys.setprofile(None)
            raise Interrupt


def make_recorder(now):
    """Return a recorder of one feature that counts by time and key, with calls of all kinds that wait in it."""
    layout = Layout(dl.Reference.fit({"x": np.arange(100.0)}).features)
    panes = Panes(layout, dl.Window(rows=1_000), lambda: now[0], None)
    durations = DurationQueue(list, lambda: True, lambda: None)
    recorder = Recorder(panes, 1, tuple, tuple, durations=durations)
    warm_up = WarmUp(5, 0.0, lambda: now[0])
    returned = lambda: int(panes.totals.durations.sum())  # noqa: E731 - a callback
    recorder.start_log(Logging(lambda: now[0], warm_up, returned, ContextVar("bucket", default=None)))
    now[0] += 1.0
    for number in range(8):
        recorder.buffer.entries.extend(((float(number),), None, 0.01, number % 3))
    for context in (({"span": 1}, 5), None):
        recorder.record_without_features(0, 0.02, context)
    for context in (7, None):
        recorder.record_without_features(1, 0.03, context, "E")
    return recorder


def check(recorder):
    """Check that each call is counted once, in the totals and in each table."""
    totals, (tables, bins) = recorder.panes.read(), recorder.panes.read_log()
    assert (totals.rows, totals.served, totals.failed_calls, totals.failed) == (8, 8, 2, {"E": 2})
    assert totals.durations.sum() == 10
    assert tables.calls.total().tolist() == [12, 2]
    assert tables.warm_up.sum() == 5
    assert (tables.warm_up + tables.durations.total()).tolist() == totals.durations.tolist()
    assert bins.total().tolist() == totals.counts.tolist()
    assert {int(key): tables.keys[key].tolist() for key in np.flatnonzero(tables.keys.any(axis=1))} == {
        0: [3, 0],
        1: [3, 0],
        2: [2, 0],
        5: [1, 0],
        7: [1, 1],
    }


def test_an_interrupt_at_any_moment_of_a_drain_leaves_each_call_in_its_buffer_or_counted_once():
    moment, interrupted = 0, True
    while interrupted:
        moment += 1
        now = [1_700_000_000.0]
        recorder, interrupted = make_recorder(now), False
        try:
            sys.setprofile(Interrupter(moment))
            recorder.drain()
        except Interrupt:
            interrupted = True
        finally:
            sys.setprofile(None)
        if interrupted:
            now[0] += 1.0
            recorder.drain()
        check(recorder)
    assert moment > 50


@pytest.mark.parametrize("synchronous", [False, True])
def test_threads_that_call_and_read_count_each_call_once(make_monitor, row, synchronous):
    """Also while the reference is replaced and the share of the canary changes."""
    monitors = [make_monitor("m", version=version, synchronous=synchronous) for version in ("1", "2")]
    canary = dl.Canary(*monitors, dl.CanaryPolicy(warm_up=50), share=0.5)
    functions = [monitor.instrument(lambda features: 0.5) for monitor in monitors]
    users = count()
    predict = canary.split(*functions, key=lambda features: next(users) % 1_000)
    over, seen = threading.Event(), []

    def call():
        for _ in range(1_500):
            predict(row)

    def read():
        while not over.is_set():
            evidence = canary.evidence()
            seen.append(sum(side.calls for side in evidence.pooled()))
            for side in evidence.pooled():
                assert side.call_tables.calls.total()[0] == side.calls
                assert (side.call_tables.warm_up + side.call_tables.durations.total()).tolist() == (
                    side.durations.tolist()
                )

    def change():
        for number in range(10):
            canary.share = 0.3 + number % 2 / 3
            monitors[1].replace_reference(monitors[1].reference)

    callers = [threading.Thread(target=call) for _ in range(4)]
    reader = threading.Thread(target=read)
    for thread in (*callers, reader):
        thread.start()
    change()
    for thread in callers:
        thread.join()
    over.set()
    reader.join()
    sides = canary.evidence().pooled()
    assert seen == sorted(seen)
    assert sum(side.calls for side in sides) == 6_000
    assert sum(int(side.call_tables.keys[:, 0].sum()) for side in sides) == 6_000
    assert [int(side.call_tables.warm_up.sum()) for side in sides] == [50, 50]
    assert Probe(monitors[1]).errors == {}


def test_batches_that_pass_through_user_functions_are_in_the_tables(make_monitor):
    reference = dl.Reference.fit({"x": np.arange(100.0)}, derive={"double": lambda rows: rows["x"] * 2})
    options = {"reference": reference, "derive": {"double": lambda rows: rows["x"] * 2}, "synchronous": True}
    monitors = [make_monitor("m", version=version, **options) for version in ("1", "2")]
    canary = dl.Canary(*monitors, dl.CanaryPolicy(warm_up=3))
    predict = monitors[1].instrument(lambda features: 0.5)
    for number in range(10):
        predict({"x": float(number)})
    monitors[1].observe({"x": np.arange(20.0)}, seconds=0.5, keys="ann")
    tables = canary.evidence().pooled()[1].call_tables
    assert tables.calls.total().tolist() == [11, 0]
    assert (tables.warm_up.sum(), tables.durations.total().sum(), tables.keys[:, 0].sum()) == (3, 8, 1)
    assert {name: int(table.total().sum()) for name, table in tables.bins.items()} == {"x": 30, "double": 30}
