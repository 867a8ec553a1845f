"""A recorder under many threads counts each row once, and each window of rows has exactly its rows."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import Reference, Window
from driftline._binning.layout import Layout
from driftline._capture.captured import Batch, Unread
from driftline._recording.backpressure import HELP_PENDING
from driftline._recording.buffer import BUFFER_ROWS, CHUNK_ROWS, SHARE_ROWS, WAKE_ROWS
from driftline._recording.durations import LARGE_PIECE, PIECE, DurationQueue
from driftline._recording.recorder import Recorder
from driftline._windows.panes import Panes

THREADS = 8
ROWS = 6_000


@pytest.fixture
def eager_switches():
    """Threads switch a hundred times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 100)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
def layout():
    """One numeric feature, without a prediction."""
    return Layout(Reference.fit({"x": np.arange(1_000.0)}).features)


class IdleWorker:
    """A worker thread that runs, and leaves everything to the callers."""

    running, stopped = True, False

    def __init__(self):
        self.wakes = 0

    def wake(self):
        """Count how often a caller wakes the thread."""
        self.wakes += 1


def unread(features):
    """Tests pass rows that have been captured already."""
    raise NotImplementedError


def recorder_of(layout, window, clock=lambda: 0.0, record=None, **options):
    """A recorder of one feature, and the list of durations that it hands on."""
    handed = []
    panes = Panes(layout, window, clock, None)
    return Recorder(panes, 1, unread, unread, durations=DurationQueue(record or handed.extend), **options), handed


@pytest.mark.usefixtures("eager_switches")
@pytest.mark.parametrize("window", [Window(rows=500), Window(rows=700, every=70), Window("1h")])
def test_eight_threads_count_each_row_once(layout, window):
    """Single rows, batches and failures together, while another thread drains."""
    recorder, handed = recorder_of(layout, window)
    windows, done = [], threading.Event()

    def drain():
        while not done.is_set():
            recorder.drain()
            windows.extend(recorder.panes.pop_windows())

    def serve(seed):
        random = np.random.default_rng(seed)
        for turn in range(ROWS):
            value = float(random.integers(0, 1_000))
            if turn % 50 == 0:
                recorder.record(Batch([np.full(40, value)], 40), None, 0.001, None)
            elif turn % 7 == 0:
                recorder.record_failure((value,), 0.001, None, "ValueError")
            else:
                recorder.record((value,), 0.5, 0.001, None)

    drainer = threading.Thread(target=drain)
    threads = [threading.Thread(target=serve, args=(seed,)) for seed in range(THREADS)]
    for thread in (drainer, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    drainer.join()
    recorder.drain()
    windows.extend(recorder.panes.pop_windows())

    batches = len(range(0, ROWS, 50))
    failed = sum(turn % 7 == 0 and turn % 50 != 0 for turn in range(ROWS))
    single = ROWS - batches - failed
    tally = recorder.panes.read()
    assert tally.served == THREADS * (single + 40 * batches)
    assert tally.failed == {"ValueError": THREADS * failed}
    assert tally.rows == tally.counts.sum() == THREADS * (single + 40 * batches + failed)
    assert sum(error is None for *_, error in handed) == tally.durations.sum() == THREADS * (single + batches)
    assert sum(error == "ValueError" for *_, error in handed) == THREADS * failed
    if window.rows is not None:
        assert {each.rows for each in windows} == {window.rows}
        assert {int(each.counts.sum()) for each in windows} == {window.rows}
        assert len(windows) == tally.rows // window.pane_rows - window.panes + 1


def test_counts_equal_those_of_the_layout(layout):
    recorder, _ = recorder_of(layout, Window(rows=100))
    values = np.random.default_rng(0).integers(-100, 1_100, 5_000).astype(float)
    threads = [
        threading.Thread(target=lambda part=part: [recorder.record((value,), None, 0.0, None) for value in part])
        for part in np.array_split(values, THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.drain()
    assert recorder.panes.read().counts.tolist() == layout.count([values], len(values)).tolist()


def test_buffer_is_bounded_when_the_worker_does_not_drain(layout):
    """The caller bins a share itself, so nothing is lost and nothing grows."""
    worker = IdleWorker()
    recorder, _ = recorder_of(layout, Window(rows=2**40), worker=worker)
    for turn in range(5 * BUFFER_ROWS):
        recorder.record((float(turn % 1_000),), None, 0.0, None)
        assert recorder.buffer.rows <= BUFFER_ROWS + CHUNK_ROWS
        assert len(recorder._durations) <= BUFFER_ROWS + CHUNK_ROWS
    assert worker.wakes
    recorder.drain()
    assert recorder.panes.read().served == 5 * BUFFER_ROWS


@pytest.mark.parametrize("thread", [True, False], ids=["thread", "synchronous"])
def test_durations_are_bounded_when_batches_bin_the_rows(layout, thread):
    """The buffer of rows stays short then, and its length alone would not show the durations."""
    recorder, handed = recorder_of(layout, Window(rows=2**40), worker=IdleWorker() if thread else None)
    batch = Batch([np.zeros(33)], 33)
    for turn in range(5 * BUFFER_ROWS):
        recorder.record(batch if turn % 100 == 0 else (float(turn % 1_000),), None, 0.1, None)
        assert len(recorder._durations) <= BUFFER_ROWS + CHUNK_ROWS
    recorder.drain()
    assert len(handed) == 5 * BUFFER_ROWS


def test_durations_are_bounded_when_recording_is_slow(layout):
    """A slow SDK leaves the interpreter to the other callers, which wait for it if it falls behind."""
    handed, most = [], []

    def record(durations):
        durations = list(durations)
        time.sleep(len(durations) * 20e-6)
        handed.extend(durations)

    recorder, _ = recorder_of(layout, Window(rows=2**40), record=record, worker=IdleWorker())

    def serve():
        for turn in range(5 * BUFFER_ROWS):
            recorder.record((float(turn % 1_000),), None, 0.0, None)
            if turn % 64 == 0:
                most.append(max(len(recorder._durations), recorder.buffer.rows))

    threads = [threading.Thread(target=serve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.drain()
    assert len(handed) == recorder.panes.read().served == 4 * 5 * BUFFER_ROWS
    assert max(most) <= 2 * BUFFER_ROWS + 4 * SHARE_ROWS


def test_rows_and_durations_together_press_a_round(layout):
    """Binned rows leave durations that are still to be recorded."""
    recorder, _ = recorder_of(layout, Window(rows=2**40), worker=IdleWorker())
    for turn in range(WAKE_ROWS - 1):
        recorder.record((float(turn),), None, 0.0, None)
    assert not recorder.backpressure.is_falling_behind()
    recorder.record((0.0,), None, 0.0, None)
    assert recorder.backpressure.is_falling_behind()
    recorder._drain_chunk(WAKE_ROWS)
    assert not recorder.buffer.rows
    assert recorder.backpressure.is_falling_behind()
    recorder._durations.record(1, wait=True)
    assert not recorder.backpressure.is_falling_behind()


def test_durations_are_recorded_in_larger_pieces_under_pressure():
    pieces, pressed = [], iter([False, True, True, False, False])
    durations = DurationQueue(lambda some: pieces.append(len(list(some))))
    durations.items += [0.1, None, None] * (2 * PIECE + 2 * LARGE_PIECE + 1)
    durations.record_all(lambda: next(pressed))
    assert pieces == [PIECE, PIECE, LARGE_PIECE, LARGE_PIECE, 1]


@pytest.mark.parametrize("kind", ["batches", "unreadable", "failures"])
def test_calls_without_buffered_rows_are_bounded(layout, kind):
    """Batches buffer no rows, and unreadable features have none."""
    recorder, handed = recorder_of(layout, Window(rows=2**40))
    batch = Batch([np.zeros(33)], 33)
    for _ in range(2 * BUFFER_ROWS):
        if kind == "batches":
            recorder.record(batch, None, 0.1, None)
        elif kind == "unreadable":
            recorder.record(Unread("unreadable", None), 0.5, 0.1, None)
        else:
            recorder.record_failure(Unread("unreadable", None), 0.1, None, "ValueError")
        assert len(recorder._calls) + len(recorder._failures) <= BUFFER_ROWS + CHUNK_ROWS
        assert len(recorder._durations) <= BUFFER_ROWS + CHUNK_ROWS
    recorder.drain()
    assert len(handed) == 2 * BUFFER_ROWS


def test_pending_windows_are_bounded(layout):
    """The thread that drains evaluates overdue windows."""
    evaluated = []
    recorder, _ = recorder_of(
        layout, Window(rows=1), on_overdue=lambda _: evaluated.extend(recorder.panes.pop_windows())
    )
    for turn in range(5_000):
        recorder.record((float(turn),), None, 0.0, None)
        if turn % 100 == 0:
            recorder.drain()
            assert len(recorder.panes.pending) <= HELP_PENDING + 100
    assert len(evaluated) > 4_000


def test_batch_is_split_at_the_ends_of_windows(layout):
    """One batch of a thousand rows completes three windows of 300."""
    recorder, _ = recorder_of(layout, Window(rows=300))
    values = np.arange(1_000.0)
    recorder.record(Batch([values], 1_000), None, 0.1, None)
    windows = recorder.panes.pop_windows()
    assert [each.rows for each in windows] == [300, 300, 300]
    for index, window in enumerate(windows):
        assert window.counts.tolist() == layout.count([values[300 * index : 300 * (index + 1)]], 300).tolist()


def test_rows_are_counted_in_the_pane_of_their_time(layout):
    """A row recorded after the end of a pane is in the next pane, even without a drain in between."""
    now = [0.0]
    recorder, _ = recorder_of(layout, Window(10.0), clock=lambda: now[0])
    recorder.drain()
    recorder.record((1.0,), None, 0.0, None)
    now[0] = 10.0
    recorder.record((2.0,), None, 0.0, None)
    now[0] = 20.0
    recorder.drain()
    assert [each.rows for each in recorder.panes.pop_windows()] == [1, 1]


@pytest.mark.parametrize(
    "record",
    [
        lambda recorder: recorder.record((1.0,), None, 0.0, None),
        lambda recorder: recorder.record([(1.0,)], None, 0.0, None),
        lambda recorder: recorder.record(Batch([np.ones(1)], 1), None, 0.0, None),
        lambda recorder: recorder.record_batch((1.0,), None),
        lambda recorder: recorder.record_failure((1.0,), 0.0, None, "ValueError"),
        lambda recorder: recorder.record_failure(Batch([np.ones(1)], 1), 0.0, None, "ValueError"),
    ],
    ids=["row", "rows", "batch", "without a call", "failure", "failed batch"],
)
def test_every_way_to_record_closes_ended_panes(layout, record):
    now = [0.0]
    recorder, _ = recorder_of(layout, Window(10.0), clock=lambda: now[0])
    for turn in range(4):
        now[0] = 10.0 * turn
        record(recorder)
    assert [each.rows for each in recorder.panes.pop_windows()] == [1, 1, 1]


@given(
    st.lists(st.tuples(st.floats(0, 15, allow_nan=False), st.sampled_from(["row", "batch", "failure", "drain"]))),
    st.integers(1, 4),
)
@pytest.mark.slow
def test_windows_of_time_equal_a_recount_through_the_recorder(steps, panes):
    """Each row is in the windows of its time, whichever thread drains and when."""
    layout, now = Layout(Reference.fit({"x": np.arange(1_000.0)}).features), [0.0]
    recorder, _ = recorder_of(layout, Window(float(5 * panes), every=5.0), clock=lambda: now[0])
    recorder.drain()
    times = []
    for gap, kind in steps:
        now[0] += gap
        if kind == "row":
            recorder.record((1.0,), None, 0.0, None)
        elif kind == "batch":
            recorder.record(Batch([np.ones(40)], 40), None, 0.0, None)
        elif kind == "failure":
            recorder.record_failure((1.0,), 0.0, None, "ValueError")
        else:
            recorder.drain()
        times += [now[0]] * {"row": 1, "batch": 40, "failure": 1, "drain": 0}[kind]
    recorder.drain()
    ends = [5.0 * pane for pane in range(panes, int(now[0] // 5.0) + 1)]
    expected = [sum(end - 5.0 * panes <= time < end for time in times) for end in ends]
    counted = [each.rows for each in recorder.panes.pop_windows()]
    assert [rows for rows in counted if rows] == [rows for rows in expected if rows]


def test_output_that_is_no_single_value_keeps_its_features():
    """The row is counted without a prediction, and the type is reported."""
    reference = Reference.fit({"x": np.arange(100.0)}, predictions=np.arange(100.0))
    recorder, _ = recorder_of(Layout(reference.watched), Window(rows=10))
    with pytest.raises(TypeError, match="the output is a dict: expected a number"):
        recorder.record((1.0,), {}, 0.0, None)
    with pytest.raises(TypeError, match="the output for 2 rows is a int: expected one value per row"):
        recorder.record([(1.0,), (2.0,)], 5, 0.0, None)
    recorder.drain()
    tally = recorder.panes.read()
    assert (tally.served, tally.rows, int(tally.counts.sum())) == (3, 3, 3)


class Unreadable(dict):
    """A dict whose every method raises."""

    def _no(self, *_):
        raise ZeroDivisionError

    __len__ = __bool__ = __iter__ = __getitem__ = _no


@pytest.mark.parametrize(
    ("captured", "output"),
    [
        ((1.0,), Unreadable()),
        ([(1.0,)], [{"a": None, "b": None}]),
        ([(1.0,)], Unreadable()),
        (Batch([np.ones(1)], 1), [Unreadable()]),
    ],
)
def test_unreadable_output_keeps_call_and_features(captured, output):
    """A dict of None has no largest probability. The fuzzer found this."""
    reference = Reference.fit({"x": np.arange(100.0)}, predictions=np.arange(100.0))
    recorder, _ = recorder_of(Layout(reference.watched), Window(rows=10))
    with pytest.raises((TypeError, ZeroDivisionError)):
        recorder.record(captured, output, 0.0, None)
    recorder.drain()
    tally = recorder.panes.read()
    assert (tally.served, tally.rows, int(tally.durations.sum())) == (1, 1, 1)


@pytest.mark.parametrize(("output", "rows"), [([{"a": None, "b": None}, None], 2), (Unreadable(), 1)])
def test_unreadable_output_of_unreadable_features_keeps_the_call(output, rows):
    reference = Reference.fit({"x": np.arange(100.0)}, predictions=np.arange(100.0))
    recorder, _ = recorder_of(Layout(reference.watched), Window(rows=10))
    recorder.record(Unread("unreadable", None), output, 0.0, None)
    recorder.drain()
    tally = recorder.panes.read()
    assert (tally.served, tally.rows, int(tally.durations.sum())) == (rows, 0, 1)
    assert tally.dropped == {"unreadable": rows}


def test_conversion_of_a_value_may_predict(layout):
    """A value whose ``__float__`` records a prediction does not deadlock."""
    recorder, _ = recorder_of(layout, Window(rows=5))

    class Sneaky:
        def __float__(self):
            recorder.record((1.0,), None, 0.0, None)
            recorder.drain()
            return 2.0

    recorder.record((Sneaky(),), None, 0.0, None)
    recorder.drain()
    recorder.drain()
    assert recorder.panes.read().rows >= 2
