"""Evidence about quantiles of binned latency."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftline._windows.totals import DURATION_EDGES
from driftline.canary._evalues.quantiles import (
    Latencies,
    binned_quantile,
    log_e_two_quantiles,
    quantile_difference_bounds,
)


def binned(seconds):
    """Return counts of durations, shape (1, bins)."""
    indices = np.searchsorted(DURATION_EDGES, seconds, side="right")
    return np.bincount(indices, minlength=len(DURATION_EDGES) + 1)[None].astype(float)


def latencies(baseline, candidate):
    """Return the latencies of both variants."""
    return Latencies(binned(baseline), binned(candidate), DURATION_EDGES)


@pytest.fixture
def slow():
    """10,000 lognormal durations each, the candidate's 20 % longer."""
    random = np.random.default_rng(4)
    return random.lognormal(-4, 0.5, 10_000), 1.2 * random.lognormal(-4, 0.5, 10_000)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95, 0.99])
def test_a_quantile_is_right_within_a_bin(slow, quantile):
    """Compared with numpy."""
    value = binned_quantile(binned(slow[0])[0], DURATION_EDGES, quantile)
    assert value == pytest.approx(np.quantile(slow[0], quantile, method="inverted_cdf"), rel=0.024)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_a_slower_candidate_is_harm_or_within_a_margin(slow, quantile):
    """A fifth slower is harm without a margin, and safe with a margin of a half."""
    both = latencies(*slow)
    assert log_e_two_quantiles(both, quantile) > math.log(20)
    assert log_e_two_quantiles(both, quantile, slope=1.5) < 0.0
    assert log_e_two_quantiles(both, quantile, slope=1.5, side=-1) > math.log(20)
    assert log_e_two_quantiles(both, quantile, side=-1) < 0.0
    assert log_e_two_quantiles(both, quantile, offset=0.05, side=-1) > math.log(20)


def test_a_faster_candidate_is_safe(slow):
    both = latencies(slow[1], slow[0])
    assert log_e_two_quantiles(both, 0.95) < 0.0
    assert log_e_two_quantiles(both, 0.95, side=-1) > math.log(20)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_bounds_contain_the_true_difference(slow, quantile):
    """The lower bound is above 0, as the test is certain of harm."""
    true = 0.2 * np.quantile(slow[0], quantile)
    lower, upper = quantile_difference_bounds(latencies(*slow), quantile, lower=0.05, upper=0.05)
    assert 0.0 < lower < true < upper < 3 * true


def test_ten_calls_are_no_evidence_about_the_95th_percentile():
    few = latencies([0.01] * 10, [0.5] * 10)
    assert log_e_two_quantiles(few, 0.95) < math.log(20)
    assert quantile_difference_bounds(few, 0.95, lower=0.05, upper=0.05)[1] == math.inf


def test_no_calls_are_no_evidence():
    """Of either variant."""
    assert log_e_two_quantiles(latencies([], [0.01] * 100), 0.95) <= 0.0
    assert log_e_two_quantiles(latencies([0.01] * 100, []), 0.95) == 0.0


def test_durations_beyond_all_bins_are_counted():
    """Calls of hours and of nanoseconds have finite evidence."""
    both = latencies([1e-9] * 500 + [0.01] * 500, [2e4] * 1_000)
    assert math.isfinite(log_e_two_quantiles(both, 0.5))
    fast = latencies([1e-9] * 1_000, [2e-9] * 1_000)
    assert log_e_two_quantiles(fast, 0.5, offset=0.05, side=-1) > math.log(20)
    assert quantile_difference_bounds(fast, 0.5, lower=0.05, upper=0.05)[1] < 1e-5
    assert log_e_two_quantiles(latencies([0.01] * 1_000, [2e4] * 1_000), 0.5) > math.log(20)


def test_the_bins_of_the_baselines_quantile_contain_it(slow):
    """The range is a few bins wide."""
    both = latencies(*slow)
    bins = both.quantile_bins(0.95, 0.05, 1.0)
    true = np.exp(-4 + 0.5 * 1.6449)
    assert both.edges[bins[0]] <= true <= both.edges[bins[-1] + 1]
    assert len(bins) < 15


@pytest.mark.slow
def test_equal_latencies_are_rarely_harm():
    """A/A at 40 looks: at most 5 % of 150 runs."""
    random = np.random.default_rng(6)
    wrong = 0
    for _ in range(150):
        a, b = random.lognormal(-4, 0.5, (2, 4_000))
        wrong += any(log_e_two_quantiles(latencies(a[:n], b[:n]), 0.9) >= math.log(20) for n in range(100, 4_001, 100))
    assert wrong <= 7
