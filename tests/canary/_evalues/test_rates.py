"""Evidence about rates: exact expectations, its edge, strata, bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom

from driftline.canary._evalues.rates import (
    _alternatives,
    _project,
    log_e_one_rate,
    log_e_two_rates,
    log_mean_exp,
    rate_difference,
    rate_difference_bounds,
)

EDGES = [(1.0, 0.0), (1.0, 0.05), (1.3, 0.02), (0.9, 0.12)]


def expectation(n, m, p, q, **edge):
    """The expectation of the e-value, over all outcomes of two binomial variables."""
    a, b = np.arange(n + 1), np.arange(m + 1)
    e = np.exp(log_e_two_rates(a[:, None, None], [n], b[None, :, None], [m], **edge))
    return float((binom.pmf(a, n, p)[:, None] * binom.pmf(b, m, q)[None] * e).sum())


@pytest.mark.parametrize(("slope", "offset"), EDGES)
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("n", "m"), [(40, 40), (95, 5), (10, 120), (1, 1)])
def test_the_expectation_under_the_null_hypothesis_is_at_most_one(slope, offset, side, n, m):
    """Summed over every outcome, at its edge and inside it, for rare and for common events."""
    for p in (0.0, 0.001, 0.02, 0.2, 0.6):
        edge = slope * p + offset
        for inside in (edge, edge * 0.5 if side > 0 else min(1.0, edge * 1.5 + 0.01)):
            assert expectation(n, m, p, inside, slope=slope, offset=offset, side=side) <= 1.0 + 1e-9


@given(
    st.integers(1, 5_000),
    st.integers(1, 5_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(EDGES),
    st.sampled_from([1, -1]),
)
@settings(max_examples=200, deadline=None)
def test_nothing_speaks_for_harm_while_what_is_seen_is_allowed(n, m, p, q, edge, side):
    """Jensen: where the observed rates lie in the null hypothesis the e-value is at most 1."""
    k, j = round(n * p), round(m * q)
    slope, offset = edge
    if side * (j / m - slope * k / n - offset) <= 0:
        assert log_e_two_rates([k], [n], [j], [m], slope=slope, offset=offset, side=side) <= 1e-9


@pytest.mark.parametrize(("slope", "offset"), [*EDGES, (0.8, 0.25), (1.0, -0.1)])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("share", [0.5, 0.05, 0.97])
def test_projections_are_the_nearest_points_of_the_null_hypothesis(slope, offset, side, share):
    """Against scipy's minimiser, for each alternative of the mixture."""
    baseline, candidate, _ = _alternatives(slope, offset, side)
    found = _project(baseline, candidate, np.array([share]), slope, offset)

    def divergence(q, a, b):
        def kl(p, r):
            return p * np.log(p / r) + (1 - p) * np.log((1 - p) / (1 - r))

        return (1 - share) * kl(a, q) + share * kl(b, slope * q + offset)

    least = max(1e-12, (1e-12 - offset) / slope)
    most = min(1 - 1e-12, (1 - 1e-12 - offset) / slope)
    for q, a, b in zip(found, baseline, candidate, strict=True):
        best = minimize_scalar(divergence, (least, most), args=(a, b), bounds=(least, most), options={"xatol": 1e-14})
        assert divergence(q, a, b) <= best.fun + 1e-9


def test_evidence_of_strata_is_what_one_alternative_says_of_all():
    """A base rate that moves with the share is no difference; pooled it would look like a large one."""
    bad, calls = [20, 1_600], [1_000, 8_000]
    bad_candidate, calls_candidate = [180, 40], [9_000, 200]  # 2 % and 20 % in both variants
    assert log_e_two_rates(bad, calls, bad_candidate, calls_candidate, side=-1) < 1.0
    assert log_e_two_rates(bad, calls, bad_candidate, calls_candidate) < 0.0
    pooled = log_e_two_rates([sum(bad)], [sum(calls)], [sum(bad_candidate)], [sum(calls_candidate)], side=-1)
    assert pooled > 100.0
    assert rate_difference(bad, calls, bad_candidate, calls_candidate) == pytest.approx(0.0, abs=1e-12)


def test_equal_strata_are_one_stratum():
    """Counts that are split evenly say the same as their sum."""
    whole = log_e_two_rates([40], [2_000], [80], [2_000], offset=0.005)
    assert log_e_two_rates([20, 20], [1_000, 1_000], [40, 40], [1_000, 1_000], offset=0.005) == pytest.approx(whole)


def test_nothing_is_no_evidence():
    """Before there are rows the e-value is 1, or below where a margin leaves alternatives out."""
    assert log_e_two_rates([0], [0], [0], [0]) == pytest.approx(0.0)
    assert log_e_one_rate([0], [0], limit=[0.05]) == pytest.approx(0.0)
    assert log_e_two_rates([0], [100], [0], [0], offset=0.01) <= 1e-9
    assert log_e_two_rates([5], [10], [5], [10], offset=1.0) == 0.0


@pytest.mark.parametrize("limit", [0.001, 0.05, 0.5])
@pytest.mark.parametrize("side", [1, -1, 0])
def test_evidence_about_one_rate_is_an_e_value(limit, side):
    """Its expectation is 1 at the limit."""
    n = 60
    k = np.arange(n + 1)
    e = np.exp(log_e_one_rate(k[:, None], [n], limit=[limit], side=side))
    assert float((binom.pmf(k, n, limit) * e).sum()) == pytest.approx(1.0)


def test_the_mean_of_e_values_is_one():
    """In logarithms, however large they are."""
    assert log_mean_exp(np.array([0.0, math.log(3.0)])) == pytest.approx(math.log(2.0))
    assert log_mean_exp(np.array([1e5, 1e5])) == pytest.approx(1e5)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(60, 400), st.integers(60, 400))
@settings(max_examples=30, deadline=None)
def test_bounds_hold_what_is_seen_and_agree_with_the_tests(k, j, n, m):
    """The lower bound is above 0 exactly where harm is certain, the upper one below where it is excluded."""
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


def test_bounds_of_nothing_are_everything():
    """No rows: between -1 and 1."""
    assert rate_difference_bounds([0], [0], [0], [10], lower=0.05, upper=0.05) == (-1.0, 1.0)


def test_equal_candidates_are_rolled_back_as_rarely_as_was_said():
    """A/A at a look every 50 rows: of 400 runs at most 5 %, and those who peek with a z-test three times as often."""
    random = np.random.default_rng(5)
    n = np.cumsum(random.binomial(100, 0.5, (400, 60)), axis=1)
    m = 100 * np.arange(1, 61) - n
    k, j = np.cumsum(random.binomial(np.diff(n, axis=1, prepend=0), 0.1), axis=1), None
    j = np.cumsum(random.binomial(np.diff(m, axis=1, prepend=0), 0.1), axis=1)
    wrong = (log_e_two_rates(k[..., None], n[..., None], j[..., None], m[..., None]) >= math.log(20)).any(axis=1)
    assert wrong.mean() <= 0.05
    pooled = (k + j) / (n + m)
    z = (j / m - k / n) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m) + 1e-12)
    assert (z > 1.645).any(axis=1).mean() > 0.15


@pytest.mark.parametrize("share", [0.5, 0.05])
@pytest.mark.slow
def test_a_base_rate_that_moves_for_both_is_no_difference(share):
    """Tenfold up and down all the time: equal candidates are rolled back as rarely, harmful ones promoted as rarely."""
    random = np.random.default_rng(1)
    runs, looks, total = 200, 150, round(100 / share)
    rate = np.exp(np.log(0.02) + 1.2 * np.sin(np.arange(looks) / 7.0))
    new = random.binomial(total, share, (runs, looks))
    n, m = np.cumsum(total - new, axis=1)[..., None], np.cumsum(new, axis=1)[..., None]
    k = np.cumsum(random.binomial(total - new, rate), axis=1)[..., None]
    equal, worse = (np.cumsum(random.binomial(new, factor * rate), axis=1)[..., None] for factor in (1.0, 1.2))
    assert (log_e_two_rates(k, n, equal, m) >= math.log(20)).any(axis=1).mean() <= 0.05
    promoted = [
        log_e_two_rates(*(one[run] for one in (k, n, worse, m)), slope=1.2, side=-1).max() >= math.log(20)
        for run in range(runs)
    ]
    assert np.mean(promoted) <= 0.05
