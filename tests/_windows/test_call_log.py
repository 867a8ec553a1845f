"""The log of totals by block of time equals the totals, wherever the clock goes."""

from __future__ import annotations

from contextvars import ContextVar

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftline._windows.call_log import CallLog, Logging, WarmUp
from driftline._windows.totals import Totals, count_seconds

BUCKET = ContextVar("bucket", default=None)

START = 1_700_000_000.0


def make_log(totals, now, calls=0, seconds=0.0, returned=0):
    """Return a log whose two clocks show ``now[0]``."""
    warm_up = WarmUp(calls, seconds, lambda: now[0])
    return CallLog(totals, Logging(lambda: now[0], warm_up, lambda: returned + int(totals.durations.sum()), BUCKET))


def serve(totals, log, seconds, failed=0):
    """Count calls as a drain does."""
    log.advance()
    left = log.warm_up_calls()
    if totals.warm_up is None and 0 < left <= len(seconds):
        totals.warm_up = totals.durations + count_seconds(seconds[:left])[0]
    totals.durations += count_seconds(seconds)[0] if seconds else 0
    totals.failed_calls += failed
    totals.counts += len(seconds)
    totals.keys[3, :2] += len(seconds), failed


def test_calls_count_in_the_block_in_which_they_are_drained():
    now, totals = [START], Totals(np.zeros(2, dtype=np.int64))
    totals.durations[5] = totals.counts[0] = 7  # before a canary asked
    log = make_log(totals, now)
    serve(totals, log, [0.01, 0.02])
    now[0] += 1.0
    serve(totals, log, [0.01], failed=2)
    serve(totals, log, [0.01])
    now[0] += 3.0
    serve(totals, log, [0.5])
    tables, bins = log.read()
    assert (tables.calls.level, tables.calls.first) == (0, int(START))
    assert tables.calls.counts.tolist() == [[2, 0], [4, 2], [0, 0], [0, 0], [1, 0]]
    assert tables.durations.counts.sum(axis=1).tolist() == [2, 2, 0, 0, 1]
    assert bins.counts.tolist() == [[2, 2], [2, 2], [0, 0], [0, 0], [1, 1]]
    assert tables.keys[3].tolist() == [5, 2]
    assert not tables.warm_up.any()
    # A reading changes nothing.
    again, _ = log.read()
    assert again.calls.counts.tolist() == tables.calls.counts.tolist()


@given(
    st.lists(st.tuples(st.floats(-1e5, 1e5), st.integers(0, 5), st.integers(0, 2)), max_size=60),
    st.integers(0, 40),
)
def test_tables_add_up_to_the_totals_wherever_the_clock_goes(steps, warm_up):
    now, totals = [START], Totals(np.zeros(2, dtype=np.int64))
    log = make_log(totals, now, calls=warm_up)
    for change, calls, failed in steps:
        now[0] += change
        serve(totals, log, [0.01] * calls, failed)
    tables, bins = log.read()
    assert tables.calls.total().tolist() == totals.calls().tolist()
    assert (tables.durations.total() + tables.warm_up).tolist() == totals.durations.tolist()
    assert tables.warm_up.sum() == min(warm_up, totals.durations.sum())
    assert bins.total().tolist() == totals.counts.tolist()
    assert all((table.counts >= 0).all() for table in (tables.calls, tables.durations, bins))


def test_blocks_get_longer_so_that_a_week_fits():
    now, totals = [START], Totals(np.zeros(2, dtype=np.int64))
    log = make_log(totals, now)
    for _ in range(7 * 24):
        serve(totals, log, [0.01])
        now[0] += 3_600.0
    tables, bins = log.read()
    assert 32 <= len(tables.calls) <= 64
    assert 8 <= len(bins) <= 16
    assert tables.calls.total()[0] == bins.total()[0] == 7 * 24


def test_warm_up_of_seconds_begins_with_the_first_call():
    now, totals = [START], Totals(np.zeros(2, dtype=np.int64))
    log = make_log(totals, now, seconds=30.0)
    now[0] += 1_000.0
    log.advance()
    serve(totals, log, [1.0, 1.0])
    log.advance()
    now[0] += 29.0
    serve(totals, log, [1.0])
    now[0] += 1.0
    serve(totals, log, [0.01] * 4)
    tables, _ = log.read()
    assert (tables.warm_up.sum(), tables.durations.total().sum()) == (3, 4)
    assert tables.calls.total().tolist() == [7, 0]


def test_warm_up_is_over_after_many_calls_of_the_process():
    now, totals = [START], Totals(np.zeros(2, dtype=np.int64))
    totals.durations[9] = 20
    log = make_log(totals, now, calls=30, returned=5)
    serve(totals, log, [0.01] * 8)
    tables, _ = log.read()
    assert (tables.warm_up.sum(), tables.durations.total().sum()) == (5, 3)
    totals = Totals(np.zeros(2, dtype=np.int64))
    totals.durations[9] = 20
    for options in ({"calls": 20}, {"seconds": 60.0}):
        log = make_log(totals, now, **options)
        serve(totals, log, [0.01])
        assert log.read()[0].warm_up.sum() == 0
