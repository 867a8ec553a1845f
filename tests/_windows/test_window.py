"""Windows against a brute-force recount: rows and time, sliding and tumbling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import ConfigurationError, Snapshot, Window
from driftline._windows.ring import make_ring

BINS = 5


def one(number):
    """The counts of one row."""
    counts = np.zeros(BINS, dtype=np.int64)
    counts[number] = 1
    return counts


@given(st.lists(st.integers(0, BINS - 1), max_size=200), st.integers(1, 6), st.integers(1, 7))
def test_windows_of_rows_equal_a_recount(values, panes, pane_rows):
    """After every pane, from the first full window on, the last panes * pane_rows rows are in the window."""
    ring = make_ring(Window(rows=panes * pane_rows, every=pane_rows), BINS)
    seen = [window for value in values if (window := ring.add(one(value), 1)) is not None]
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
    """Panes are half-open stretches of one second from the first reading on; a window is the last few of them."""
    ring = make_ring(Window(float(panes), every=1.0), BINS)
    ring.advance(0.0)
    now, rows, windows = 0.0, [], []
    for gap, value in steps:
        now += gap
        windows += ring.advance(now)
        rows.append((now, value))
        ring.add(one(value), 1)
    last = int(now // 1.0)
    # After a long silence further empty windows change nothing and are left out.
    expected = [[value for when, value in rows if end - panes <= when < end] for end in range(panes, last + 1)]
    counted = [window.counts.tolist() for window in windows]
    recount = [np.bincount(inside, minlength=BINS).tolist() for inside in expected]
    assert _without_repeated_emptiness(counted) == _without_repeated_emptiness(recount)


def _without_repeated_emptiness(windows):
    """Windows with runs of empty ones cut to one."""
    kept = []
    for window in windows:
        if sum(window) or not kept or sum(kept[-1]):
            kept.append(window)
    return kept


def test_a_long_silence_costs_nothing():
    """A year without rows is a few empty windows, not a window per second."""
    ring = make_ring(Window("10s", every="1s"), BINS)
    ring.advance(0.0)
    ring.add(one(0), 1)
    windows = ring.advance(365 * 86_400.0)
    assert len(windows) <= 11
    assert windows[-1].rows == 0


def test_a_clock_that_jumps_back_starts_the_pane_over():
    """Rows go on being counted, and windows go on being closed."""
    ring = make_ring(Window(10.0), BINS)
    ring.advance(1_000.0)
    assert ring.advance(0.0) == []
    ring.add(one(1), 1)
    (window,) = ring.advance(10.0)
    assert window.rows == 1


def test_snapshots_add_up_and_refuse_other_bins():
    """Counts and rows are added; the message names both fingerprints."""
    a, b = Snapshot(one(0), 1, "x"), Snapshot(one(2), 1, "x")
    assert a + b == Snapshot(np.array([1, 0, 1, 0, 0]), 2, "x")
    assert hash(a + b) == hash(b + a)
    with pytest.raises(ConfigurationError, match="do not add up: x and y"):
        _ = a + Snapshot(one(0), 1, "y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected exactly one of a length of time and rows="),
        ({"length": "1h", "rows": 5}, "expected exactly one of a length of time and rows="),
        ({"rows": 0}, "rows=0: expected an integer from 1 to"),
        ({"rows": -5}, "rows=-5: expected an integer from 1 to"),
        ({"rows": 2.5}, "rows=2.5: expected an integer from 1 to"),
        ({"rows": True}, "rows=True: expected an integer from 1 to"),
        ({"rows": 10, "every": 3}, "every=3: expected a length that divides 10 evenly"),
        ({"rows": 10, "every": 20}, "every=20: expected a length that divides 10 evenly"),
        ({"rows": 5000, "every": 1}, "5000 panes in a window, expected at most 1024"),
        ({"length": "10 parsecs"}, "length='10 parsecs': expected a positive duration"),
        ({"length": "0s"}, "length='0s': expected a positive duration"),
        ({"length": float("nan")}, "length=nan: expected a positive duration"),
        ({"length": float("inf")}, "length=inf: expected a positive duration"),
        ({"length": "1h", "every": "7min"}, "every='7min': expected a length that divides '1h' evenly"),
        ({"rows": 3 * 10**9 + 1, "every": 10**9}, "every=1000000000: expected a length that divides"),
        ({"rows": 10**400}, "rows=10+…: expected an integer from 1 to"),
        ({"rows": 10, "every": "1s"}, "every='1s': expected an integer from 1 to"),
        ({"rows": 10, "every": 0}, "every=0: expected an integer from 1 to"),
        ({"length": "1h", "every": "2h"}, "every='2h': expected a length that divides '1h' evenly"),
        ({"length": "1h", "every": "1s"}, "3600 panes in a window, expected at most 1024"),
        ({"length": 10**400}, "length=10+…: expected a positive duration"),
        ({"length": "0.5ms"}, "panes of 0.0005 s: expected at least 0.001 s"),
        ({"length": True}, "length=True: expected a positive duration"),
        ({"length": [1]}, r"length=\[1\]: expected a positive duration"),
    ],
)
def test_bad_windows_are_refused(arguments, message):
    """The message names the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        Window(**arguments)


@pytest.mark.parametrize(
    ("window", "label"),
    [
        (Window(rows=5_000), "5000 rows"),
        (Window("10min"), "10min"),
        (Window("90s"), "90s"),
        (Window("24h"), "1d"),
        (Window(0.5), "0.5s"),
        (Window("1500ms"), "1.5s"),
    ],
)
def test_a_window_says_its_length(window, label):
    """The attribute ml.window.length."""
    assert window.label == label


@pytest.mark.parametrize("every", [5e-324, 1e-300, 0.0005])
def test_a_pane_may_not_be_too_short(every):
    """Not even one so short that a length has more of them than a float can say."""
    with pytest.raises(ConfigurationError, match=r"panes of .* s: expected at least 0\.001 s"):
        Window("1h", every=every)
