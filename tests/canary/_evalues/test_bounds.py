"""Bounds of harm: the search, and its agreement with the tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.canary._evalues.bounds import SURPLUS, rate_difference_bounds, search_bound
from driftline.canary._evalues.rates import log_e_two_rates


@pytest.mark.parametrize("error", [1e-9, 1e-3, 0.02, 5.0])
@pytest.mark.parametrize("outside", [-1.0, 1.0])
def test_the_search_finds_a_bound_from_any_first_guess(error, outside):
    """The evidence of a normal distribution; the bound is excluded, by no more than the surplus."""
    calls = []

    def log_e(value):
        calls.append(value)
        return 0.5 * ((value - 0.1) / 0.01) ** 2 - 1.7

    bound = search_bound(log_e, 0.1, outside, 3.0, error)
    assert 3.0 <= log_e(bound) <= 3.0 + SURPLUS
    assert (bound > 0.1) == (outside > 0.1)
    assert len(calls) < 20


def test_without_evidence_the_bound_is_the_end_of_the_interval():
    assert search_bound(lambda _: 0.0, 0.2, 1.0, 3.0, 0.01) == 1.0


def test_a_step_of_the_evidence_is_found():
    """The bound lies on the outer side."""
    bound = search_bound(lambda value: 100.0 if value > 0.3 else -5.0, 0.0, 1.0, 3.0, 0.01)
    assert 0.3 < bound < 0.301


def test_evidence_only_in_the_middle_of_the_interval_is_found():
    """Near 1 no alternatives are left, so nothing is excluded there."""
    assert 0.4 < search_bound(lambda value: 9.0 if 0.4 < value < 0.9 else 0.0, 0.0, 1.0, 3.0, 0.1) < 0.41


@given(st.integers(0, 60), st.integers(0, 60), st.integers(60, 400), st.integers(60, 400))
@settings(max_examples=30, deadline=None)
def test_bounds_contain_the_observed_difference_and_agree_with_the_tests(k, j, n, m):
    """The lower bound is above 0 exactly where harm is certain, the upper bound below 0 where it is excluded."""
    lower, upper = rate_difference_bounds([k], [n], [j], [m], lower=0.02, upper=0.05)
    assert lower <= j / m - k / n <= upper
    if log_e_two_rates([k], [n], [j], [m]) >= -math.log(0.02):
        assert lower >= 0.0
    else:
        assert lower <= 0.0
    if log_e_two_rates([k], [n], [j], [m], side=-1) >= -math.log(0.05):
        assert upper <= 0.0
    else:
        assert upper >= 0.0


def test_without_rows_the_bounds_are_minus_one_and_one():
    assert rate_difference_bounds([0], [0], [0], [10], lower=0.05, upper=0.05) == (-1.0, 1.0)


@pytest.mark.parametrize("strata", [1, 32])
@pytest.mark.parametrize(("p", "q"), [(0.002, 0.004), (0.02, 0.02), (0.3, 0.2), (0.6, 0.7)])
def test_bounds_are_where_the_evidence_reaches_the_level(strata, p, q):
    """To about one per cent of their distance from the observed difference."""
    random = np.random.default_rng(7)
    n, m = (
        random.multinomial(8_000, np.full(strata, 1 / strata)),
        random.multinomial(3_000, np.full(strata, 1 / strata)),
    )
    k, j = random.binomial(n, p), random.binomial(m, q)
    bounds = rate_difference_bounds(k, n, j, m, lower=0.02, upper=0.05)
    difference = j.sum() / m.sum() - k.sum() / n.sum()
    for bound, side, level in zip(bounds, (1, -1), (0.02, 0.05), strict=True):
        inner = difference + 0.97 * (bound - difference)
        assert log_e_two_rates(k, n, j, m, offset=bound, side=side) >= -math.log(level)
        assert log_e_two_rates(k, n, j, m, offset=inner, side=side) < -math.log(level)


@pytest.mark.parametrize("side", [-1, 1])
def test_bounds_of_strata_whose_rates_move_with_the_share_agree_with_the_test(side):
    """Simpson's paradox: the overall rates lie far from those that are compared."""
    share, rate = np.repeat([0.05, 0.5], 15), np.repeat([0.01, 0.03], 15)
    candidate = 4_000 * share
    baseline = 4_000 - candidate
    bounds = rate_difference_bounds(rate * baseline, baseline, rate * candidate, candidate, lower=0.05, upper=0.05)

    def log_e(offset):
        return float(log_e_two_rates(rate * baseline, baseline, rate * candidate, candidate, offset=offset, side=side))

    bound = bounds[0] if side == 1 else bounds[1]
    assert -math.log(0.05) <= log_e(bound)
    assert log_e(0.9 * bound) < -math.log(0.05)
