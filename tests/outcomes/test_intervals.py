"""Intervals from counts and moments: compared with scipy, and bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, t

from driftline.outcomes._intervals import (
    bounded_mean_interval,
    mean_interval,
    positive_mean_interval,
    proportion_interval,
    student_quantile,
)


@given(st.integers(1, 19), st.data())
def test_few_trials_have_the_exact_interval(trials, data):
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(method="exact")
    assert proportion_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("trials", [5, 20, 50, 300])
def test_a_proportion_is_covered_at_every_value(trials):
    """By enumeration, not simulation. Wilson's interval covers 84 % at the worst."""
    successes = np.arange(trials + 1)
    lows, highs = np.array([proportion_interval(int(number), trials) for number in successes]).T
    for share in np.linspace(0.001, 0.999, 400):
        covered = (lows <= share) & (share <= highs)
        assert binom.pmf(successes, trials, share)[covered].sum() >= 0.925


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 10, 100, 10_000])
def test_the_quantile_of_student_equals_scipy(degrees):
    assert student_quantile(degrees) == pytest.approx(t.ppf(0.975, degrees), rel=5e-3)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 10_000))
def test_bounded_means_stay_within_their_bounds(mean, share, rows):
    low, high = bounded_mean_interval(mean, share * mean * (1 - mean), rows)
    assert 0.0 <= low <= mean <= high <= 1.0
    assert low < high


def test_a_bounded_mean_without_variance_allows_for_rare_values():
    """None of 100 values was large: up to about 4 / 100 may be."""
    assert bounded_mean_interval(0.0, 0.0, 100)[1] == pytest.approx(0.04, abs=0.005)


@given(st.floats(0, 1e6), st.floats(0, 1e12), st.integers(2, 1_000))
def test_intervals_of_means_hold_the_mean(mean, variance, rows):
    for low, high in (mean_interval(mean, variance, rows), positive_mean_interval(mean, variance, rows)):
        assert low <= mean <= high
    assert positive_mean_interval(mean, variance, rows)[0] >= 0.0
    assert proportion_interval(0, 0) == (0.0, 1.0)
