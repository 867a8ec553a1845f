"""Evidence about quantiles of binned latency."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftline._windows.totals import DURATION_EDGES
from driftline.canary._evalues.latencies import Latencies, binned_quantile
from driftline.canary._evalues.quantile_limit import Limit
from driftline.canary._evalues.quantiles import MIN_CALLS, QuantileComparison


def binned(seconds):
    """Return counts of durations, shape (1, bins)."""
    indices = np.searchsorted(DURATION_EDGES, seconds, side="right")
    return np.bincount(indices, minlength=len(DURATION_EDGES) + 1)[None].astype(float)


def latencies(baseline, candidate):
    """Return the latencies of both variants."""
    return Latencies(binned(baseline), binned(candidate), DURATION_EDGES)


def log_e(both, quantile, slope=1.0, offset=0.0, larger=False, **more):
    """Return the evidence about a limit."""
    return QuantileComparison(both, quantile).log_e(Limit(slope, offset, larger), **more)


def bounds(both, quantile, level=0.05):
    return QuantileComparison(both, quantile).bounds(level, level)


def timed(baseline, candidate, blocks=64):
    """Return latencies of calls that are spread evenly over blocks of time, in their order."""
    tables = [
        np.concatenate([binned(part) for part in np.array_split(np.asarray(seconds), blocks)])
        for seconds in (baseline, candidate)
    ]
    return Latencies(*tables, DURATION_EDGES, block_seconds=1)


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
    assert log_e(both, quantile) > math.log(20)
    assert log_e(both, quantile, slope=1.5) < 0.0
    assert log_e(both, quantile, slope=1.5, side=-1) > math.log(20)
    assert log_e(both, quantile, side=-1) < 0.0
    assert log_e(both, quantile, offset=0.05, side=-1) > math.log(20)


def test_a_faster_candidate_is_safe(slow):
    both = latencies(slow[1], slow[0])
    assert log_e(both, 0.95) < 0.0
    assert log_e(both, 0.95, side=-1) > math.log(20)


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_bounds_contain_the_true_difference(slow, quantile):
    """The lower bound is above 0, as the test is certain of harm."""
    true = 0.2 * np.quantile(slow[0], quantile)
    lower, upper = bounds(latencies(*slow), quantile)
    assert 0.0 < lower < true < upper < 3 * true


def test_ten_calls_are_no_evidence_about_the_95th_percentile():
    few = latencies([0.01] * 10, [0.5] * 10)
    assert log_e(few, 0.95) < math.log(20)
    assert bounds(few, 0.95)[1] == math.inf


def test_no_calls_are_no_evidence():
    """Of either variant."""
    assert log_e(latencies([], [0.01] * 100), 0.95) <= 0.0
    assert log_e(latencies([0.01] * 100, []), 0.95) == 0.0


def test_durations_beyond_all_bins_are_counted():
    """Calls of hours and of nanoseconds have finite evidence."""
    both = latencies([1e-9] * 500 + [0.01] * 500, [2e4] * 1_000)
    assert math.isfinite(log_e(both, 0.5))
    fast = latencies([1e-9] * 1_000, [2e-9] * 1_000)
    assert log_e(fast, 0.5, offset=0.05, side=-1) > math.log(20)
    assert bounds(fast, 0.5)[1] < 1e-5
    assert log_e(latencies([0.01] * 1_000, [2e4] * 1_000), 0.5) > math.log(20)


def test_the_bins_of_the_baselines_quantile_contain_it(slow):
    """The range is a few bins wide."""
    both = latencies(*slow)
    bins = QuantileComparison(both, 0.95).location.bins(0.05, 1.0)
    true = np.exp(-4 + 0.5 * 1.6449)
    assert both.edges[bins[0]] <= true <= both.edges[bins[-1] + 1]
    assert len(bins) < 15


@pytest.mark.parametrize("quantile", [0.5, 0.95])
@pytest.mark.parametrize("side", [1, -1])
def test_a_bound_is_the_last_excluded_difference(slow, quantile, side):
    """An offset on the bound's side of it is excluded by the test of the same level, and the next edge is not."""
    for both in (latencies(*slow), timed(*slow)):
        comparison = QuantileComparison(both, quantile)
        bound = comparison.bounds(0.05, 0.05)[0 if side > 0 else 1]
        assert comparison.log_e(Limit(offset=bound - side * 1e-9), side=side) >= math.log(20)
        assert comparison.log_e(Limit(offset=bound + side * 0.03 * 0.06), side=side) < math.log(20)


def test_the_larger_of_two_limits_is_allowed(slow):
    """A fifth slower is within a half, however small the offset is, and within 20 ms."""
    both = latencies(*slow)
    for slope, offset in ((1.5, 0.0001), (1.01, 0.02)):
        assert log_e(both, 0.95, slope, offset, larger=True, side=-1) > math.log(20)
    assert log_e(both, 0.95, 1.01, 0.0001, larger=True) > math.log(20)


# --- blocks of time --------------------------------------------------------------------------------------------------


def test_independent_calls_have_a_design_effect_of_about_one(slow):
    """So the evidence by time is as strong as that of all calls."""
    comparison = QuantileComparison(timed(*slow), 0.95)
    assert 1.0 <= comparison.location.design_effect < 1.8
    assert comparison.location.blocks == pytest.approx(64, abs=0.1)
    assert comparison.log_e() > math.log(20)


def test_a_burst_of_one_process_is_no_harm():
    """Sixty neighbouring calls are one event: without blocks of time they are certain harm."""
    random = np.random.default_rng(21)
    a, b = random.lognormal(-4, 0.5, (2, 4_000))
    for start in (500, 1_700, 3_100):
        b[start : start + 60] += 0.25
    assert log_e(latencies(a, b), 0.95) > math.log(20)
    comparison = QuantileComparison(timed(a, b), 0.95)
    assert comparison.location.design_effect > 10.0
    assert comparison.log_e() < math.log(20)


def test_a_moment_that_is_bad_for_both_is_no_design_effect():
    """Both variants wait for the same database."""
    random = np.random.default_rng(22)
    a, b = random.lognormal(-4, 0.5, (2, 6_400))
    for start in (500, 1_700, 3_100):
        a[start : start + 100] += 0.25
        b[start : start + 100] += 0.25
    assert QuantileComparison(timed(a, b), 0.95).location.design_effect < 3.0


def test_a_slow_start_is_no_harm():
    """A hundred slow calls at first, then equal."""
    random = np.random.default_rng(23)
    a, b = random.lognormal(-4, 0.5, (2, 1_000))
    b[:100] += 1.5
    assert log_e(latencies(a, b), 0.95) > math.log(20)
    assert QuantileComparison(timed(a, b), 0.95).log_e() < 1.0


def test_a_share_that_moves_with_the_load_is_no_harm():
    """The candidate gets most of its calls in the slow second half: Simpson's paradox."""
    random = np.random.default_rng(24)
    tables = np.zeros((2, 64, len(DURATION_EDGES) + 1))
    for block in range(64):
        late = block >= 32
        for side, calls in enumerate((200, 200) if late else (380, 20)):
            tables[side, block] = binned((1.0 + late) * random.lognormal(-4, 0.5, calls))[0]
    pooled = tables.sum(axis=1)[:, None]
    assert log_e(Latencies(pooled[0], pooled[1], DURATION_EDGES), 0.9) > math.log(20)
    both = Latencies(tables[0], tables[1], DURATION_EDGES, block_seconds=1)
    assert QuantileComparison(both, 0.9).log_e() < math.log(20)
    assert both.quantile(0, 0.9) == pytest.approx(both.quantile(1, 0.9), rel=0.05)


@pytest.mark.parametrize(("calls", "blocks"), [(MIN_CALLS - 1, 64), (10_000, 15)])
def test_few_calls_or_blocks_are_no_evidence(calls, blocks):
    """However slow the candidate is."""
    comparison = QuantileComparison(timed([0.01] * int(calls), [1.0] * int(calls), blocks), 0.95)
    assert not comparison.ready
    assert comparison.log_e() == 0.0
    assert comparison.bounds(0.05, 0.05) == (-math.inf, math.inf)


def of_quantile(value, sigma, calls, random):
    """Return lognormal durations with this 95th percentile, in seconds."""
    return value * np.exp(sigma * (random.standard_normal(calls) - 1.6449))


@pytest.mark.parametrize("quantile", [0.9, 0.95])
def test_the_variance_of_the_baselines_quantile_counts_where_densities_differ(quantile):
    """
    The ratio of densities is that of the sigmas here, which is 4. Both variants have equally many calls.

    The variance of a share of the candidate beyond the baseline's quantile is then (1 + 4²) / 2 times as large.
    """
    random = np.random.default_rng(31)
    wide, narrow = (of_quantile(0.05, sigma, 40_000, random) for sigma in (0.8, 0.2))
    shift = np.quantile(wide, quantile) / np.quantile(narrow, quantile)
    both = QuantileComparison(timed(wide, shift * narrow), quantile)
    ratio = np.ptp(np.quantile(wide, [quantile - 0.01, quantile + 0.01])) / np.ptp(
        np.quantile(shift * narrow, [quantile - 0.01, quantile + 0.01])
    )
    assert both.location.effect(Limit()) == pytest.approx((1.0 + ratio**2) / 2.0, rel=0.3)
    assert QuantileComparison(timed(shift * narrow, wide), quantile).location.effect(Limit()) == 1.0


def test_an_equal_quantile_of_a_narrower_candidate_is_no_harm():
    """At most 4 of 60 runs: without the variance of the baseline's quantile, about 20 are certain harm."""
    wrong = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        both = timed(of_quantile(0.05, 0.5, 1_000, random), of_quantile(0.05, 0.05, 1_000, random))
        wrong += QuantileComparison(both, 0.95).log_e() >= math.log(20)
    assert wrong <= 4


def test_all_calls_of_each_variant_in_one_bin_are_compared():
    """Of 20 and 21 ms, as of a service that waits for a timer; in the same bin, they are equal."""
    assert QuantileComparison(timed([0.02] * 400, [0.021] * 400), 0.95).log_e() > math.log(20)
    assert QuantileComparison(timed([0.021] * 400, [0.02] * 400), 0.95).log_e(side=-1) > math.log(20)
    assert QuantileComparison(timed([0.02] * 400, [0.02] * 400), 0.95).log_e() < 0.0


def test_a_declared_inflation_is_the_least(slow):
    both = timed(*slow)
    assert QuantileComparison(both, 0.95, inflation=3.0).location.design_effect == 3.0
    assert QuantileComparison(both, 0.95).location.design_effect < 3.0


@pytest.mark.slow
def test_equal_latencies_are_rarely_harm():
    """A/A at 40 looks: at most 5 % of 150 runs."""
    random = np.random.default_rng(6)
    wrong = 0
    for _ in range(150):
        a, b = random.lognormal(-4, 0.5, (2, 4_000))
        wrong += any(log_e(latencies(a[:n], b[:n]), 0.9) >= math.log(20) for n in range(100, 4_001, 100))
    assert wrong <= 7
