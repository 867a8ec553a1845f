"""Rows of every kind pass the stages once, and are counted in their pane and hour."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

import driftline as dl
from driftline import Reference, Window
from driftline._binning.layout import Layout
from driftline._capture.captured import Batch
from driftline._capture.columns import as_floats
from driftline._capture.reader import SMALL_BATCH
from driftline._derived.transform import StagedLayout
from driftline._recording.recorder import Recorder
from driftline._seasons.calendar import CELLS
from driftline._seasons.clock import WeekClock
from driftline._windows.panes import Panes
from driftline.testing import ManualClock, Probe, in_memory_monitor

HOUR = 3_600.0


def unread(features):
    """Tests pass rows that have been captured already."""
    raise NotImplementedError


@pytest.fixture
def features():
    """Two numeric features, the second derived from the first, and no prediction."""
    return Reference.fit({"a": np.arange(1_000.0), "twice": 2 * np.arange(1_000.0)}).features


def doubling(seen):
    """A stage that keeps the values it gets, and adds a column of twice the values."""

    def stage(columns, rows):
        (column,) = columns
        values = as_floats(column)
        assert len(values) == rows
        seen.extend(values.tolist())
        return [column, 2 * values]

    return stage


@pytest.mark.parametrize("window", [Window(rows=90, every=30), Window(rows=7), Window("1h")])
@pytest.mark.parametrize("thread", [True, False], ids=["thread", "synchronous"])
def test_each_row_passes_the_stages_once(features, window, thread):
    """Tuples, bytes, dicts, batches and failures; from four threads, with panes that end in between."""
    seen = []
    layout = StagedLayout(features, [doubling(seen)], None)
    woken, done = threading.Event(), threading.Event()
    worker = SimpleNamespace(running=True, stopped=False, wake=woken.set) if thread else None
    recorder = Recorder(Panes(layout, window, lambda: 0.0, None), 2, unread, unread, worker=worker)
    recorder.buffer.align = lambda rows: [(row["a"],) if row.__class__ is dict else row for row in rows]

    def serve(start):
        values = iter(range(start, start + 10_000))
        for _ in range(60):
            recorder.record((next(values),), None, 0.1, None)
            recorder.record(np.array([float(next(values))]).tobytes(), None, 0.1, None)
            recorder.record({"a": next(values)}, None, 0.1, None)
            recorder.record([(next(values),) for _ in range(5)], None, 0.1, None)
            recorder.record(Batch([np.array([next(values) for _ in range(40)])], 40), None, 0.1, None)
            recorder.record_batch(Batch([[next(values) for _ in range(41)]], 41), None)
            recorder.record_failure((next(values),), 0.1, None, "E")
            recorder.record_failure(Batch([np.array([float(next(values)) for _ in range(33)])], 33), 0.1, None, "E")

    def drain():
        while not done.is_set():
            woken.wait(0.01)
            woken.clear()
            recorder.drain()

    threads = [threading.Thread(target=serve, args=(10_000 * place,)) for place in range(4)]
    drainer = threading.Thread(target=drain)
    for started in (*threads, *[drainer] * thread):
        started.start()
    for joined in threads:
        joined.join()
    done.set()
    if thread:
        drainer.join()
    recorder.drain()
    each = 60 * (1 + 1 + 1 + 5 + 40 + 41 + 1 + 33)
    assert sorted(seen) == sorted(float(10_000 * place + value) for place in range(4) for value in range(each))
    tally = recorder.panes.read()
    assert (tally.rows, tally.batches, tally.failed_calls) == (4 * each, 4 * 60, 4 * 120)
    assert tally.served == 4 * 60 * (1 + 1 + 1 + 5 + 40 + 41)
    plain = Layout(features)
    assert tally.counts.tolist() == plain.count([np.array(seen), 2 * np.array(seen)], len(seen)).tolist()


def test_a_stage_gets_a_batch_as_a_whole(features):
    """The batch is cut at the ends of panes afterwards."""
    lengths = []

    def stage(columns, rows):
        lengths.append(rows)
        return [columns[0], columns[0]]

    panes = Panes(StagedLayout(features, [stage], None), Window(rows=10), lambda: 0.0, None)
    panes.count_columns([np.arange(95.0)], 95)
    assert lengths == [95]
    assert [one.rows for one in panes.pending] == [10] * 9
    assert panes.snapshot().rows == 15


def test_rows_of_every_kind_are_counted_in_their_hour():
    """Fast calls, batches and failures: pending rows are counted before the next hour begins."""
    data = np.arange(14 * 24 * 10.0)
    reference = Reference.fit({"a": data % 977, "t": data * HOUR / 10}, time="t", seasons=("hour",))
    wall = ManualClock(7 * 24 * HOUR)  # a Thursday, 0:00
    monitor = in_memory_monitor(reference=reference, wall_clock=wall, window=Window(rows=1_000))

    @monitor.instrument
    def predict(features):
        if np.any(features["a"] < 0):
            raise ValueError
        return 0.5

    for _ in range(3):
        predict({"a": 1.0})
        predict({"a": np.arange(5.0)})
        monitor.observe({"a": np.arange(SMALL_BATCH + 1.0)})
        with pytest.raises(ValueError, match=r"^$"):
            predict({"a": -1.0})
        wall.advance(HOUR)
    monitor.flush()
    cells = Probe(monitor).totals.counts[-CELLS:]
    assert cells[72:75].tolist() == [1 + 5 + SMALL_BATCH + 1 + 1] * 3
    assert cells.sum() == cells[72:75].sum()


def test_an_hour_is_over_when_the_clock_says_so(features):
    """Even if the clock is read only now and then."""
    wall = ManualClock()
    panes = Panes(Layout(features), Window(rows=10), lambda: 0.0, WeekClock(wall))
    assert panes.timed
    assert not panes.over
    wall.advance(HOUR)
    assert panes.over
    panes.advance()
    assert not panes.over


def test_vectors_of_calls_are_copied(telemetry):
    """A caller of a decorated function may fill the same array again."""
    random = np.random.default_rng(0)
    data = {"v": list(random.normal(size=(500, 3))), "a": random.normal(size=500)}
    reference = Reference.fit(data)
    monitor = dl.Monitor("m", reference=reference, enabled=True, synchronous=True, **telemetry.providers)
    vector = np.empty(3)

    @monitor.instrument
    def predict(features):
        return 0.5

    for row, a in zip(data["v"], data["a"], strict=True):
        vector[:] = row
        predict({"v": vector, "a": a})
    vector[:] = np.nan
    monitor.flush()
    counted = monitor.snapshot().counts.tolist()
    assert counted == [count for one in reference.features for count in one.counts]
