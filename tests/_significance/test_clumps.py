"""Events of one window that come together count as fewer than those that come one by one."""

from __future__ import annotations

import numpy as np
import pytest

from driftline._significance.block_pyramid import LevelSquares
from driftline._significance.clumps import RATES, window_clumps
from driftline._significance.components import MISSING, OUTSIDE, PARTS

LEVELS = 3


def squares(events, rows=125):
    """Return the squared differences of rates of consecutive blocks with these events, at each length in the window."""
    values = np.array(events, dtype=float)
    result = []
    for level in range(LEVELS):
        difference = (values[0::2] - values[1::2]) / rows
        sums = np.zeros((1, PARTS))
        sums[0, RATES] = (difference**2).sum() * rows / 2.0
        numbers = np.full((1, PARTS), float(len(difference)))
        result.append(LevelSquares(level, sums, numbers, sums**2 / numbers))
        values, rows = values[0::2] + values[1::2], rows * 2
    return result


def factor(events):
    """Return the factor of both rates."""
    rate = sum(events) / 1_000
    blocks = np.repeat(np.array(events, dtype=float)[:, None, None], 2, axis=2)
    return window_clumps(squares(events), np.full((1, 2), rate), LEVELS, lambda: blocks)[0]


def unread():
    """Stand for the events of blocks that show no clumps."""
    pytest.fail("read without need")


def test_the_rates_are_those_of_values_out_of_range_and_missing():
    assert RATES == (OUTSIDE, MISSING)


def test_events_in_a_run_are_about_one_event():
    """Fifty of them in one block have a factor of tens."""
    assert (factor([0, 0, 50, 0, 0, 0, 0, 0]) > 10.0).all()


def test_events_that_come_one_by_one_have_a_small_factor():
    random = np.random.default_rng(0)
    factors = np.array([factor(random.binomial(125, 0.05, 8)) for _ in range(300)])
    assert (factors >= 1.0).all()
    assert np.median(factors) < 1.6
    # Half of the events in one of two halves are found too, at the longest blocks of the window.
    assert (factor([12, 13, 12, 13, 0, 0, 0, 0]) > 5.0).all()


@pytest.mark.parametrize("events", [[0] * 8, [125] * 8, [1, *[0] * 7]])
def test_no_event_only_events_and_one_event_have_a_small_factor(events):
    assert np.isfinite(factor(events)).all()
    assert (factor(events) < 2.0).all()


def test_blocks_longer_than_the_window_do_not_count():
    """They compare it with the one before, which tells nothing about clumps."""
    far = squares([0] * 8)
    ones = np.ones((1, PARTS))
    far.append(LevelSquares(LEVELS, 1e6 * ones, ones, 1e12 * ones))
    assert (window_clumps(far, np.full((1, 2), 0.05), LEVELS, unread) == 1.0).all()


def test_without_differences_the_factor_is_one():
    assert (window_clumps([], np.full((4, 2), 0.05), LEVELS, unread) == np.ones((4, 2))).all()


@pytest.mark.parametrize("start", range(0, 500, 62))
def test_a_run_counts_as_one_event_wherever_it_lies_in_the_window(start):
    """Blocks that do not begin with it hide a part of it from their differences."""
    events = np.zeros(1_000)
    events[start : start + 500] = 1.0
    assert (factor(events.reshape(8, 125).sum(axis=1)) > 400.0).all()


def test_two_runs_count_as_two_events():
    assert (factor([0, 125, 125, 0, 0, 125, 125, 0]) == 250.0).all()
