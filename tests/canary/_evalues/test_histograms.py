"""Evidence about the histograms of two variants."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftline.canary._evalues.histograms import compared_counts, largest_difference, log_e_two_histograms


def test_ordered_bins_are_compared_by_cumulative_shares():
    """Missing values are apart; each category is compared separately."""
    counts = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert compared_counts(counts, ordered=True).ravel().tolist() == [1.0, 3.0, 4.0]
    assert compared_counts(counts, ordered=False).ravel().tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(("ordered", "difference"), [(True, 0.2), (False, 0.2)])
def test_the_largest_difference_is_of_shares(ordered, difference):
    """The number of rows does not matter."""
    a, b = np.array([[50.0, 50.0, 0.0]]), np.array([[30.0, 70.0, 0.0]])
    assert largest_difference(a, b, ordered=ordered) == pytest.approx(difference)
    assert largest_difference(a, 10 * b, ordered=ordered) == pytest.approx(difference)
    assert math.isnan(largest_difference(a, 0 * b, ordered=ordered))


def test_a_shift_within_the_margin_is_safe_and_a_larger_shift_is_harm():
    """With ten thousand rows."""
    a, near, far = (np.array([row], dtype=float) for row in ([5000, 5000, 0], [5200, 4800, 0], [7000, 3000, 0]))
    for ordered in (True, False):
        assert log_e_two_histograms(a, near, ordered=ordered, allowed=0.1, side=-1) > math.log(20)
        assert log_e_two_histograms(a, near, ordered=ordered, allowed=0.1) < 0.0
        assert log_e_two_histograms(a, far, ordered=ordered, allowed=0.1) > math.log(1_000)
        assert log_e_two_histograms(far, a, ordered=ordered, allowed=0.1) > math.log(1_000)


def test_missing_values_are_a_difference():
    """The candidate has a tenth more missing values in each bin."""
    a, b = np.array([[500.0, 500.0, 0.0]]), np.array([[400.0, 400.0, 200.0]])
    assert largest_difference(a, b, ordered=True) == pytest.approx(0.2)
    assert log_e_two_histograms(a, b, ordered=True, allowed=0.05) > math.log(20)


def test_empty_histograms_are_no_evidence():
    nothing = np.zeros((1, 3))
    assert log_e_two_histograms(nothing, nothing, ordered=True, allowed=0.1) == 0.0
