"""Evidence about rates: exact expectations, projections, strata, bounds, simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from driftline.canary._evalues.rates import log_e_one_rate, log_e_two_rates, log_mean_exp, rate_difference

EDGES = [(1.0, 0.0), (1.0, 0.05), (1.3, 0.02), (0.9, 0.12)]


def expectation(n, m, p, q, **edge):
    """Return the expectation of the e-value, over all outcomes of two binomial variables."""
    a, b = np.arange(n + 1), np.arange(m + 1)
    e = np.exp(log_e_two_rates(a[:, None, None], [n], b[None, :, None], [m], **edge))
    return float((binom.pmf(a, n, p)[:, None] * binom.pmf(b, m, q)[None] * e).sum())


@pytest.mark.parametrize(("slope", "offset"), EDGES)
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("n", "m"), [(40, 40), (95, 5), (10, 120), (1, 1)])
def test_the_expectation_under_the_null_hypothesis_is_at_most_one(slope, offset, side, n, m):
    """At the edge and inside the null hypothesis, for rare and for common events."""
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
def test_observed_rates_in_the_null_hypothesis_are_no_evidence(n, m, p, q, edge, side):
    """By Jensen's inequality the e-value is then at most 1."""
    k, j = round(n * p), round(m * q)
    slope, offset = edge
    if side * (j / m - slope * k / n - offset) <= 0:
        assert log_e_two_rates([k], [n], [j], [m], slope=slope, offset=offset, side=side) <= 1e-9


def test_a_base_rate_that_moves_with_the_share_is_no_difference():
    """Pooled over the strata it would look like a large difference."""
    bad, calls = [20, 1_600], [1_000, 8_000]
    bad_candidate, calls_candidate = [180, 40], [9_000, 200]  # 2 % and 20 % in both variants
    assert log_e_two_rates(bad, calls, bad_candidate, calls_candidate, side=-1) < 1.0
    assert log_e_two_rates(bad, calls, bad_candidate, calls_candidate) < 0.0
    pooled = log_e_two_rates([sum(bad)], [sum(calls)], [sum(bad_candidate)], [sum(calls_candidate)], side=-1)
    assert pooled > 100.0
    assert rate_difference(bad, calls, bad_candidate, calls_candidate) == pytest.approx(0.0, abs=1e-12)


def test_equal_strata_have_the_evidence_of_their_sum():
    whole = log_e_two_rates([40], [2_000], [80], [2_000], offset=0.005)
    assert log_e_two_rates([20, 20], [1_000, 1_000], [40, 40], [1_000, 1_000], offset=0.005) == pytest.approx(whole)


def test_no_rows_are_no_evidence():
    """The e-value is 1, or below where a margin excludes alternatives."""
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


def test_log_mean_exp_is_the_mean_of_e_values():
    """Large logarithms do not overflow."""
    assert log_mean_exp(np.array([0.0, math.log(3.0)])) == pytest.approx(math.log(2.0))
    assert log_mean_exp(np.array([1e5, 1e5])) == pytest.approx(1e5)


def test_equal_candidates_are_rolled_back_at_most_at_alpha():
    """A/A with a look every 50 rows: at most 5 % of 400 runs, against more than 15 % for a z-test at every look."""
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
    """The rate swings tenfold; wrong rollbacks and wrong promotions stay below alpha."""
    random = np.random.default_rng(1)
    runs, looks, total = 200, 150, round(100 / share)
    rate = np.exp(np.log(0.02) + 1.2 * np.sin(np.arange(looks) / 7.0))
    new = random.binomial(total, share, (runs, looks))
    n, m = np.cumsum(total - new, axis=1)[..., None], np.cumsum(new, axis=1)[..., None]
    k = np.cumsum(random.binomial(total - new, rate), axis=1)[..., None]
    equal, worse = (np.cumsum(random.binomial(new, factor * rate), axis=1)[..., None] for factor in (1.0, 1.2))
    assert (log_e_two_rates(k, n, equal, m) >= math.log(20)).any(axis=1).mean() <= 0.05
    promoted = [
        log_e_two_rates(*(counts[run] for counts in (k, n, worse, m)), slope=1.2, side=-1).max() >= math.log(20)
        for run in range(runs)
    ]
    assert np.mean(promoted) <= 0.05
