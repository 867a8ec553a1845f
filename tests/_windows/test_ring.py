"""Rings of panes against a brute-force recount: rows and time, sliding and tumbling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import Window
from driftline._windows.ring import RowRing, make_ring

BINS = 5


def one_row(number):
    """The counts of one row."""
    counts = np.zeros(BINS, dtype=np.int64)
    counts[number] = 1
    return counts


@given(st.lists(st.integers(0, BINS - 1), max_size=200), st.integers(1, 6), st.integers(1, 7))
def test_windows_of_rows_equal_a_recount(values, panes, pane_rows):
    """Each window holds the last panes * pane_rows rows."""
    ring = make_ring(Window(rows=panes * pane_rows, every=pane_rows), BINS)
    seen = [window for value in values if (window := ring.add(one_row(value), 1)) is not None]
    expected = [
        values[end - panes * pane_rows : end]
        for end in range(pane_rows, len(values) + 1, pane_rows)
        if end >= panes * pane_rows
    ]
    assert [window.rows for window in seen] == [panes * pane_rows] * len(expected)
    for window, rows in zip(seen, expected, strict=True):
        assert window.counts.tolist() == np.bincount(rows, minlength=BINS).tolist()


@given(st.lists(st.tuples(st.floats(0, 12, allow_nan=False), st.integers(0, BINS - 1)), max_size=80), st.integers(1, 5))
def test_windows_of_time_equal_a_recount(steps, panes):
    """Panes are half-open intervals of one second that start with the first reading of the clock."""
    ring = make_ring(Window(float(panes), every=1.0), BINS)
    ring.advance(0.0)
    now, rows, windows = 0.0, [], []
    for gap, value in steps:
        now += gap
        windows += ring.advance(now)
        rows.append((now, value))
        ring.add(one_row(value), 1)
    last = int(now // 1.0)
    # After a long silence the ring skips further empty windows, which change nothing.
    expected = [[value for when, value in rows if end - panes <= when < end] for end in range(panes, last + 1)]
    counted = [window.counts.tolist() for window in windows]
    recount = [np.bincount(inside, minlength=BINS).tolist() for inside in expected]
    assert _without_repeated_empty_windows(counted) == _without_repeated_empty_windows(recount)


def _without_repeated_empty_windows(windows):
    """Keep one window of each run of empty ones."""
    kept = []
    for window in windows:
        if sum(window) or not kept or sum(kept[-1]):
            kept.append(window)
    return kept


def test_a_long_silence_closes_few_windows():
    """A year without rows closes a few empty windows, not one per second."""
    ring = make_ring(Window("10s", every="1s"), BINS)
    ring.advance(0.0)
    ring.add(one_row(0), 1)
    windows = ring.advance(365 * 86_400.0)
    assert len(windows) <= 11
    assert windows[-1].rows == 0


def test_a_clock_that_is_set_back_restarts_the_pane():
    """Rows are still counted, and windows still close."""
    ring = make_ring(Window(10.0), BINS)
    ring.advance(1_000.0)
    assert ring.advance(0.0) == []
    ring.add(one_row(1), 1)
    (window,) = ring.advance(10.0)
    assert window.rows == 1


@pytest.mark.parametrize(("panes", "pane_rows"), [(1, 1_000), (4, 250), (3, 7), (1, 1), (10, 100)])
@pytest.mark.parametrize("divide", [True, False])
def test_rows_are_divided_as_their_next_additions_fill_the_ring(panes, pane_rows, divide):
    """The division that is known beforehand is the one that asking before each addition gives."""
    ring, other = RowRing(panes, 1, pane_rows), RowRing(panes, 1, pane_rows)
    ring.divide = other.divide = divide
    random = np.random.default_rng(3)
    for _ in range(40):
        rows = int(random.integers(1, 900))
        sizes = ring.split(rows, 10_000)
        assert sum(sizes) == rows
        assert ring.split(rows, 2) == sizes[:2]
        for size in sizes:
            assert size == min(rows, other.room())
            rows -= size
            windows = [each.add(np.array([size]), size) for each in (ring, other)]
            assert (windows[0] is None) == (windows[1] is None)
