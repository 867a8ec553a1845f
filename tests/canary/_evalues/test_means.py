"""Moments that add up, and evidence about means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew

from driftline.canary import Moments
from driftline.canary._evalues.means import MIN_OBSERVATIONS, log_e_two_means, mean_difference_bounds

numbers = st.lists(st.floats(-1e3, 1e3), max_size=30)


@given(numbers, numbers)
def test_moments_add_up(a, b):
    """The sum equals the moments of all numbers together."""
    merged, whole = Moments.of(a) + Moments.of(b), Moments.of(a + b)
    assert merged.count == whole.count
    for part in ("mean", "squares", "cubes"):
        assert getattr(merged, part) == pytest.approx(getattr(whole, part), rel=1e-6, abs=1e-3)


def test_moments_are_those_of_numpy():
    """The variance has the divisor n - 1, the skewness comes from the third moment."""
    values = np.random.default_rng(0).lognormal(size=500)
    moments = Moments.of(values)
    assert (moments.count, moments.mean) == (500, pytest.approx(values.mean()))
    assert moments.variance == pytest.approx(values.var(ddof=1))
    assert moments.needed == max(MIN_OBSERVATIONS, math.ceil(355 * skew(values) ** 2))


def test_few_or_skewed_observations_are_no_evidence():
    """The test is asymptotic, and waits for enough observations."""
    few = Moments.of([0.0, 1.0] * 49)
    better = Moments.of([5.0, 6.0] * 49)
    assert log_e_two_means([(few, better)]) == 0.0
    assert mean_difference_bounds([(few, better)], lower=0.05, upper=0.05) is None
    enough = Moments.of([0.0, 1.0] * 50)
    assert log_e_two_means([(enough, Moments.of([5.0, 6.0] * 50))]) > 20.0
    rare = Moments.of([0.0] * 999 + [1_000.0])
    assert log_e_two_means([(rare, Moments.of([500.0, 501.0] * 500))]) == 0.0


def test_constants_differ_for_certain_or_not_at_all():
    three, four = Moments.of([3.0] * 100), Moments.of([4.0] * 100)
    assert log_e_two_means([(three, four)]) == math.inf
    assert log_e_two_means([(three, three)]) == 0.0
    assert log_e_two_means([(four, three)]) == 0.0


def test_bounds_contain_the_difference_and_get_narrower():
    """With four times the observations they are about half as wide."""
    random = np.random.default_rng(1)
    widths = []
    for n in (400, 1_600, 6_400):
        pair = Moments.of(random.normal(10.0, 2.0, n)), Moments.of(random.normal(10.5, 2.0, n))
        lower, upper = mean_difference_bounds([pair], lower=0.05, upper=0.05)
        assert lower < 0.5 < upper
        widths.append(upper - lower)
    assert widths[0] > 1.6 * widths[1] > 2.4 * widths[2]


def test_strata_are_compared_within_themselves():
    """A mean that moves together with the share is no difference between the variants."""
    random = np.random.default_rng(2)
    low, high = (lambda n: Moments.of(random.normal(1.0, 0.1, n))), (lambda n: Moments.of(random.normal(9.0, 0.1, n)))
    pairs = [(low(2_000), low(500)), (high(500), high(2_000))]
    assert log_e_two_means(pairs) < math.log(20)
    assert log_e_two_means([(pairs[0][0] + pairs[1][0], pairs[0][1] + pairs[1][1])]) > 100.0


def test_slope_and_offset_are_the_margin():
    """There is evidence only for a difference beyond it."""
    random = np.random.default_rng(3)
    pair = [(Moments.of(random.normal(10, 1, 5_000)), Moments.of(random.normal(10.5, 1, 5_000)))]
    assert log_e_two_means(pair) > math.log(20)
    assert log_e_two_means(pair, offset=1.0) < 0.0
    assert log_e_two_means(pair, slope=1.1) < 0.0
    assert log_e_two_means(pair, offset=1.0, side=-1) > math.log(20)
