"""Means of numbers with heavy tails: caps, variances, design effects, evidence and bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from driftline.canary import Moments
from driftline.canary._evalues.bounds import SURPLUS
from driftline.canary._evalues.capped_means import CappedMeans, ValueSums, log_e_of_difference
from driftline.canary._evalues.means import EFFECT, log_e_two_means
from driftline.canary._value_tables import value_bin, value_edges
from driftline.typing import Floats

BUCKETS = 128


def sums(baseline: Floats, candidate: Floats, blocks: int = 64, keys: tuple[Any, Any] | None = None) -> ValueSums:
    """Return the sums of numbers that are spread evenly over blocks of time, in their order."""
    pair = [np.asarray(values, dtype=np.float64) for values in (baseline, candidate)]
    numbers = [np.array([value_bin(value) for value in values.tolist()], dtype=np.int64) for values in pair]
    bins = np.unique(np.concatenate(numbers))
    near, far = value_edges(bins)
    table = np.zeros((2, blocks, len(bins), 2))
    by_key = np.zeros((2, BUCKETS if keys else 0, len(bins), 2))
    squares = np.zeros((2, len(bins)))
    for side, (values, number) in enumerate(zip(pair, numbers, strict=True)):
        columns = np.searchsorted(bins, number)
        observed = np.stack([np.ones(len(values)), values], axis=1)
        np.add.at(table[side], (np.arange(len(values)) * blocks // max(len(values), 1), columns), observed)
        np.add.at(squares[side], columns, (values - near[columns]) ** 2)
        if keys:
            np.add.at(by_key[side], (keys[side], columns), observed)
    return ValueSums(table, by_key, squares, near, far)


def revenue(seed: int, visits: int, factor: float = 1.0, sigma: float = 1.0) -> Floats:
    """Return the revenue of visits, of which 10 % have an order."""
    random = np.random.default_rng(seed)
    values: Floats = factor * random.lognormal(3.0, sigma, visits) * (random.random(visits) < 0.1)
    return values


def test_about_one_per_cent_of_the_positive_numbers_is_beyond_the_cap() -> None:
    values = revenue(1, 40_000)
    means = CappedMeans(sums(values, values))
    beyond = (values > means.caps.high).sum() / (values > 0.0).sum()
    assert 0.002 < beyond <= 0.015
    assert means.caps.low == -math.inf
    capped = np.minimum(values, means.caps.high)
    assert means.means == pytest.approx([capped.mean()] * 2)
    assert means.raw == pytest.approx([values.mean()] * 2)
    assert means.lost == pytest.approx(1.0 - capped.sum() / values.sum())
    within = values[values < means.caps.high].sum()
    assert means.attenuation == pytest.approx(within / capped.sum())
    assert means.kept == pytest.approx(within / values.sum())


def test_numbers_of_both_signs_have_two_caps() -> None:
    """Each cap has a share of the numbers of one sign."""
    values = np.random.default_rng(2).standard_t(2, 20_000)
    means = CappedMeans(sums(values, values))
    capped = np.clip(values, means.caps.low, means.caps.high)
    assert means.caps.low < -1.0
    assert means.caps.high > 1.0
    assert means.means == pytest.approx([capped.mean()] * 2)


@pytest.mark.parametrize("values", [np.full(500, 12.5), np.zeros(500), np.arange(500) % 2, -np.arange(500.0) % 7])
def test_numbers_without_a_tail_have_no_cap(values: Floats) -> None:
    means = CappedMeans(sums(values, values))
    assert means.caps.high == math.inf
    assert means.caps.low == -math.inf
    assert means.lost == pytest.approx(0.0, abs=1e-12)
    assert means.means == pytest.approx([values.mean()] * 2)


def test_the_variance_is_that_of_the_capped_numbers() -> None:
    """Also if it is a millionth of the mean, for which squares of the numbers would not do."""
    random = np.random.default_rng(3)
    for values in (revenue(4, 20_000), random.normal(1e6, 1.0, 5_000), random.normal(0.0, 2.0, 5_000)):
        means = CappedMeans(sums(values, values))
        capped = np.clip(values, means.caps.low, means.caps.high)
        _, variance = means.difference()
        assert variance / means.design_effect == pytest.approx(2.0 * capped.var(ddof=1) / len(values), rel=1e-2)


def test_worse_revenue_is_harm_and_equal_revenue_within_a_margin() -> None:
    worse = CappedMeans(sums(revenue(5, 60_000), revenue(6, 60_000, 0.8)))
    assert worse.log_e(side=-1) > math.log(20)
    assert worse.log_e(slope=0.95, side=1) < 0.0
    equal = CappedMeans(sums(revenue(5, 60_000), revenue(6, 60_000)))
    assert equal.log_e(side=-1) < math.log(20)
    assert equal.log_e(slope=0.8, side=1) > math.log(20)


@pytest.mark.parametrize("side", [1, -1])
def test_a_bound_is_the_value_that_the_evidence_excludes(side: int) -> None:
    means = CappedMeans(sums(revenue(7, 30_000), revenue(8, 30_000)))
    bound = means.bound(side, 0.05)
    assert math.log(20) <= means.log_e(offset=bound, side=side) <= math.log(20) + SURPLUS
    assert side * (means.difference()[0] - bound) > 0.0


def test_a_share_that_moves_with_the_revenue_is_no_harm() -> None:
    """The candidate gets most of its visits when orders are small: Simpson's paradox."""
    table = np.zeros((2, 64, 2, 2))
    random = np.random.default_rng(9)
    for block in range(64):
        late = block >= 32
        for side, visits in enumerate((200, 200) if late else (380, 20)):
            orders = random.binomial(visits, 0.1 if late else 0.3)
            table[side, block] = (visits - orders, 0.0), (orders, 10.0 * orders)
    bins = np.array([0, value_bin(10.0)])
    near, far = value_edges(bins)
    squares = table.sum(axis=1)[..., 0] * (np.array([0.0, 10.0]) - near) ** 2
    pooled = CappedMeans(ValueSums(table.sum(axis=1, keepdims=True), np.zeros((2, 0, 2, 2)), squares, near, far))
    timed = CappedMeans(ValueSums(table, np.zeros((2, 0, 2, 2)), squares, near, far))
    assert pooled.log_e(side=-1) > math.log(20)
    assert timed.log_e(side=-1) < math.log(20)


def test_customers_that_return_have_a_design_effect() -> None:
    """Fifty visits of each customer, who orders at each visit or never."""
    random = np.random.default_rng(10)
    keys = [np.repeat(random.integers(0, BUCKETS, 400), 50) for _ in range(2)]
    values = [np.repeat(10.0 * (random.random(400) < 0.3), 50) for _ in range(2)]
    neighbours = CappedMeans(sums(*values))
    assert neighbours.keys == math.inf
    assert 30.0 < neighbours.design_effect < 80.0
    order = random.permutation(20_000)
    values, keys = [side[order] for side in values], [side[order] for side in keys]
    assert CappedMeans(sums(*values)).design_effect < 2.0
    keyed = CappedMeans(sums(*values, keys=(keys[0], keys[1])))
    assert keyed.keys > 60
    assert 30.0 < keyed.design_effect < 80.0


def test_few_customers_are_no_evidence() -> None:
    keys = np.arange(10_000) % 12
    means = CappedMeans(sums(np.zeros(10_000), np.ones(10_000), keys=(keys, keys)))
    assert (means.ready, means.log_e(side=1)) == (False, 0.0)
    assert means.bound(1, 0.05) == -math.inf


@pytest.mark.parametrize(("visits", "sigma"), [(99, 0.1), (3_000, 2.0)])
def test_few_or_skewed_numbers_are_no_evidence(visits: int, sigma: float) -> None:
    """However different the means are."""
    means = CappedMeans(sums(revenue(11, visits, sigma=sigma), revenue(12, visits, 0.01, sigma)))
    assert not means.ready
    assert means.log_e(side=-1) == 0.0


def test_no_numbers_are_no_evidence() -> None:
    """Of either variant, or of both."""
    for pair in (([], []), ([1.0] * 200, []), ([], [1.0] * 200)):
        means = CappedMeans(sums(*(np.array(values) for values in pair)))
        assert (means.log_e(), means.difference()[0]) == (0.0, 0.0)


def test_exact_numbers_are_certain() -> None:
    constant = CappedMeans(sums(np.zeros(200), np.zeros(200)))
    assert constant.log_e(offset=-0.1) == math.inf
    assert constant.log_e() == 0.0
    assert constant.bound(1, 0.05) == 0.0


def test_evidence_of_one_scale_is_the_mixture_of_robbins() -> None:
    """The same as in the test of moments."""
    random = np.random.default_rng(13)
    pair = Moments.of(random.normal(0.0, 1.0, 500)), Moments.of(random.normal(0.2, 1.0, 500))
    variance = pair[0].variance / 500 + pair[1].variance / 500
    scale = EFFECT * math.sqrt(max(side.variance for side in pair))
    expected = log_e_two_means([pair])
    assert log_e_of_difference(pair[1].mean - pair[0].mean, variance, [scale]) == pytest.approx(expected)


@pytest.mark.slow
def test_equal_means_are_rarely_harm() -> None:
    """A/A at 30 looks: at most 5 % of 100 runs."""
    wrong = 0
    for seed in range(100):
        a, b = revenue(1_000 + seed, 6_000, sigma=1.5), revenue(5_000 + seed, 6_000, sigma=1.5)
        wrong += any(CappedMeans(sums(a[:n], b[:n])).log_e(side=-1) >= math.log(20) for n in range(200, 6_001, 200))
    assert wrong <= 5
