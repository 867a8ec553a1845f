"""The own past of a feature is the mean of its quiet windows, relative to what was expected of them."""

from __future__ import annotations

import numpy as np
import pytest

from driftline._significance.own_past import MIN_WINDOWS, OwnPast

SIZES = np.array([3, 2])
EXPECTED = np.array([0.2, 0.5, 0.3, 0.9, 0.1])
COUNTS = np.array([30, 40, 30, 80, 20])
BOTH = np.array([True, True])


def past(windows=MIN_WINDOWS, rows=100.0, quiet=BOTH, reference_rows=1_000.0):
    """Return the past of this many equal windows."""
    result = OwnPast(SIZES, reference_rows)
    for _ in range(windows):
        result.add(COUNTS, rows, EXPECTED, quiet, 1.0)
    return result


def test_the_past_moves_what_is_expected_to_what_was_served():
    """By its weight, which is 0 for the reference alone."""
    moved = past().move(EXPECTED, np.array([1.0, 0.5]))
    np.testing.assert_allclose(moved, [0.3, 0.4, 0.3, 0.85, 0.15])
    np.testing.assert_allclose(past().move(EXPECTED, np.zeros(2)), EXPECTED)


def test_the_move_adds_to_what_another_season_expects():
    """A feature that was above its season's expectation is so at other hours too. No share is negative."""
    other = np.array([0.5, 0.05, 0.45, 1.0, 0.0])
    np.testing.assert_allclose(past().move(other, np.ones(2)), [0.6, 0.0, 0.45, 0.9, 0.1], atol=1e-12)


def test_windows_of_a_drift_do_not_count():
    half = past(quiet=np.array([False, True]))
    assert half.rows.tolist() == [0.0, MIN_WINDOWS * 100.0]
    assert half.known.tolist() == [False, True]
    np.testing.assert_allclose(half.move(EXPECTED, np.ones(2)), [0.2, 0.5, 0.3, 0.8, 0.2])


@pytest.mark.parametrize(
    ("windows", "reference_rows", "known"),
    [(MIN_WINDOWS, 100.0, True), (MIN_WINDOWS - 1, 100.0, False), (MIN_WINDOWS, 1e6, False)],
)
def test_it_counts_after_enough_windows_and_more_rows_than_the_reference(windows, reference_rows, known):
    assert past(windows, reference_rows=reference_rows).known.tolist() == [known, known]


def test_without_rows_it_expects_what_the_reference_does():
    empty = OwnPast(SIZES, 10.0)
    assert not empty.known.any()
    np.testing.assert_allclose(empty.move(EXPECTED, np.ones(2)), EXPECTED)
