"""Design effects of keys and time: the formulas cell by cell, known truths, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from driftline.canary._evalues.clustered_rates import log_e_two_clustered_rates, rate_design_effect
from driftline.canary._evalues.design_effect import (
    MIN_KEYS,
    KeyedCounts,
    calls_per_key,
    combine_design_effects,
    effective_clusters,
    fold_blocks,
    key_design_effect,
    keys_in_effect,
    lasting_design_effect,
    time_design_effect,
)
from driftline.canary._evalues.rates import log_e_two_rates


def calls_of_keys(random, keys, sizes, odds, buckets=128):
    """Return (bad, trials) by bucket: each key calls *sizes* times and fails with its own rate."""
    rates = 1 / (1 + np.exp(-odds))
    bad = random.binomial(sizes, rates)
    bucket = random.integers(0, buckets, keys)
    return (np.bincount(bucket, weights, buckets) for weights in (bad, sizes))


def two_arms(random, keys=2_000, sd=2.0, size=30):
    """Return `KeyedCounts` of two equal variants whose keys differ by *sd* in log odds."""
    arms = [
        list(calls_of_keys(random, keys, random.geometric(1 / size, keys), random.normal(-3, sd, keys)))
        for _ in range(2)
    ]
    return KeyedCounts.of(np.array([arm[0] for arm in arms]), np.array([arm[1] for arm in arms]))


def test_the_key_design_effect_is_the_formula_of_its_page():
    """Written out for one variant after the other."""
    random = np.random.default_rng(1)
    counts = two_arms(random)
    inflation, sizes, totals = [], [], []
    for bad, trials in zip(counts.bad, counts.trials, strict=True):
        n, y = sum(trials), sum(bad)
        p = y / n
        clusters = n**2 / sum(t**2 for t in trials)
        residuals = sum((b - p * t) ** 2 for b, t in zip(bad, trials, strict=True))
        inflation.append(residuals / (n * p * (1 - p)) * clusters / (clusters - 1))
        sizes.append(max(1, sum((t - n / 128) ** 2 for t in trials) / n * 128 / 127))
        totals.append(n)
    most, size = max(1, *inflation), max(sizes)
    weight = 50 / (50 + min(totals) / size)
    expected = max(most, weight * (1 + 0.1 * (size - 1)) + (1 - weight) * most)
    assert calls_per_key(counts) == pytest.approx(sizes)
    assert float(key_design_effect(counts)) == pytest.approx(expected)


def test_the_time_design_effect_is_the_formula_of_its_page():
    random = np.random.default_rng(2)
    trials = random.integers(0, 60, (2, 64)).astype(float)
    bad = random.binomial(trials.astype(int), 0.2).astype(float)
    s, w, v = [], [], []
    for n, m, k, j in zip(*trials, *bad, strict=True):
        if n + m:
            a, p = m / (n + m), (k + j) / (n + m)
            s.append((1 - a) * j - a * k)
            w.append(a * (1 - a) * (n + m))
            v.append(w[-1] * p * (1 - p))
    mean, blocks = sum(s) / sum(w), sum(w) ** 2 / sum(x * x for x in w)
    residuals = sum((a - b * mean) ** 2 for a, b in zip(s, w, strict=True))
    assert float(time_design_effect(bad, trials)) == pytest.approx(residuals / sum(v) * blocks / (blocks - 1))


def test_the_inflation_of_a_rate_is_found():
    """The variance of a rate over repeated samples, against the mean estimate."""
    random = np.random.default_rng(3)
    samples = [two_arms(random, 400) for _ in range(300)]
    rates = np.array([arm.bad.sum(axis=1) / arm.trials.sum(axis=1) for arm in samples]).ravel()
    trials = np.mean([arm.trials.sum(axis=1) for arm in samples])
    actual = rates.var() * trials / (rates.mean() * (1 - rates.mean()))
    assert actual > 3
    assert np.mean([key_design_effect(arm) for arm in samples]) == pytest.approx(actual, rel=0.3)


def test_calls_per_key_need_no_number_of_keys():
    """Keys of 40 calls each, of which some share a bucket, and calls without a key."""
    random = np.random.default_rng(4)
    bucket = [np.bincount(random.integers(0, 128, 1_000), minlength=128) * 40.0 for _ in range(400)]
    counts = KeyedCounts.of(np.zeros((400, 2, 128)), np.array([bucket, bucket]).transpose(1, 0, 2))
    assert calls_per_key(counts).mean() == pytest.approx(40, rel=0.03)
    mixed = KeyedCounts.of(counts.bad, counts.trials, np.zeros((400, 2)), np.full((400, 2), 80_000.0))
    assert calls_per_key(mixed).mean() == pytest.approx(20.5, rel=0.03)


def test_independent_calls_have_no_design_effect():
    random = np.random.default_rng(5)
    trials = random.poisson(200, (2, 128)).astype(float)
    counts = KeyedCounts.of(random.binomial(trials.astype(int), 0.05), trials)
    assert float(key_design_effect(counts)) == pytest.approx(1.1, abs=0.2)
    assert calls_per_key(counts).max() < 1.4


def test_a_few_keys_are_few_keys_in_effect():
    trials = np.zeros((2, 128))
    trials[:, :15] = 100.0
    few = KeyedCounts.of(trials * 0.1, trials)
    assert keys_in_effect(few).tolist() == [15.0, 15.0]
    assert log_e_two_clustered_rates(np.full((2, 64), 1.0), np.full((2, 64), 23.0), few) == -np.inf
    # The same keys among 100,000 calls without one are no obstacle.
    many = KeyedCounts.of(trials * 0.1, trials, np.full(2, 2_150.0), np.full(2, 101_500.0))
    assert keys_in_effect(many).min() > MIN_KEYS


def test_a_candidate_that_is_worse_all_the_time_has_no_larger_design_effect_of_time():
    trials = np.full((2, 64), 100.0)
    bad = np.stack([np.full(64, 2.0), np.full(64, 40.0)])
    assert float(time_design_effect(bad, trials)) == 0.0
    assert float(rate_design_effect(bad, trials)[0]) == 1.0


def test_outages_of_one_variant_have_a_design_effect_of_time_and_shared_ones_have_none():
    trials = np.full((2, 64), 100.0)
    bad = np.full((2, 64), 2.0)
    shared = bad.copy()
    shared[:, [5, 30]] = 80.0
    alone = bad.copy()
    alone[0, 5] = alone[1, 30] = 80.0
    assert float(time_design_effect(shared, trials)) < 0.1
    assert float(time_design_effect(alone, trials)) > 10.0


@pytest.mark.parametrize("clusters", [1, 2, 128])
def test_no_counts_are_no_design_effect(clusters):
    """Zeros, a single cluster and no bad event give 1, without a warning."""
    for trials in (np.zeros((2, clusters)), np.ones((2, clusters)), np.array([[0.0] * clusters, [1.0] * clusters])):
        effect, _ = rate_design_effect(np.zeros((2, 64)), np.zeros((2, 64)), KeyedCounts.of(trials * 0, trials))
        assert effect >= 1.0
        assert np.isfinite(effect)
        assert float(time_design_effect(trials * 0, trials)) == 1.0


@given(
    arrays(np.int64, (2, 2, 8), elements=st.integers(0, 1_000)), arrays(np.int64, (2, 2, 8), elements=st.integers(0, 9))
)
@settings(max_examples=100, deadline=None)
def test_design_effects_are_finite_and_broadcast(good, bad):
    """Whatever the counts, and the same for one canary as for several together."""
    trials = (good + bad).astype(float)
    keys = KeyedCounts.of(bad, trials, bad.sum(axis=-1) + 1.0, trials.sum(axis=-1) + 5.0)
    effect, _ = rate_design_effect(bad, trials, keys)
    assert effect.shape == (2,)
    assert np.isfinite(effect).all()
    assert (effect >= 1.0).all()
    for run in range(2):
        single = KeyedCounts(*(getattr(keys, name)[run] for name in ("bad", "trials", "bad_single", "single")))
        assert float(rate_design_effect(bad[run], trials[run], single)[0]) == pytest.approx(float(effect[run]))


def test_two_kinds_of_clusters_add_up():
    assert combine_design_effects(np.array([1.0, 3.0, 3.0]), np.array([4.0, 2.5, 0.2])).tolist() == [4.0, 4.5, 3.0]


def test_effective_clusters_of_uneven_clusters():
    assert effective_clusters(np.array([3.0, 1.0])) == pytest.approx(1.6)
    assert effective_clusters(np.zeros(3)) == 0.0


def test_evidence_is_that_of_counts_divided_by_the_design_effect():
    random = np.random.default_rng(6)
    trials = random.integers(50, 90, (2, 63)).astype(float)
    bad = random.binomial(trials.astype(int), np.where(np.arange(63) % 9, 0.05, 0.3)).astype(float)
    effect = float(rate_design_effect(bad, trials)[0])
    k, n = fold_blocks(bad) / effect, fold_blocks(trials) / effect
    assert k.shape == (2, 32)
    assert k.sum() * effect == pytest.approx(bad.sum())
    expected = log_e_two_rates(k[0], n[0], k[1], n[1], offset=0.01, side=-1)
    assert log_e_two_clustered_rates(bad, trials, offset=0.01, side=-1) == pytest.approx(expected)


def time_effects(bad, trials):
    """Return the design effect of 64, 32 and 16 blocks, the first with its standard error and correlation."""
    effects = []
    for size in (1, 2, 4):
        b, n = (counts.reshape(2, -1, size).sum(axis=2) for counts in (bad, trials))
        share = n[1] / n.sum(axis=0)
        differences, weights = (1 - share) * b[1] - share * b[0], share * (1 - share) * n.sum(axis=0)
        rate, blocks = b.sum(axis=0) / n.sum(axis=0), sum(weights) ** 2 / sum(weights**2)
        residuals = differences - weights * sum(differences) / sum(weights)
        effects.append(sum(residuals**2) / sum(weights * rate * (1 - rate)) * blocks / (blocks - 1))
        if size == 1:
            error = (2 / (blocks - 1)) ** 0.5
            correlation = sum(residuals[1:] * residuals[:-1]) / sum(residuals**2) * blocks**0.5
    return effects, error, correlation


@pytest.mark.parametrize("seed", range(6))
def test_the_lasting_design_effect_is_the_formula_of_its_page(seed):
    random = np.random.default_rng(seed)
    trials = random.integers(50, 150, (2, 64)).astype(float)
    bad = random.binomial(trials.astype(int), 0.05 + 0.02 * np.repeat(random.random((2, 32)), 2, axis=1))
    effects, error, correlation = time_effects(bad, trials)
    shortest = max(effects[0] * (1 - 0.5 * error), 1)
    expected = shortest + min(max(correlation / 2, 0), 1) * max(max(effects) - shortest, 0)
    assert float(lasting_design_effect(bad, trials)) == pytest.approx(expected)


def test_outages_longer_than_a_block_raise_the_lasting_design_effect():
    """An outage of the candidate in six blocks that follow each other, and in six blocks far from each other."""
    trials = np.full((2, 64), 1_000.0)
    bad = np.full((2, 64), 20.0)
    together, apart = bad.copy(), bad.copy()
    together[1, 24:30] = apart[1, ::11] = 60.0
    assert float(time_design_effect(together, trials)) == pytest.approx(float(time_design_effect(apart, trials)))
    less = 1 - 0.5 * (2 / 63) ** 0.5
    assert float(lasting_design_effect(apart, trials)) == pytest.approx(less * float(time_design_effect(apart, trials)))
    assert float(lasting_design_effect(together, trials)) > 2.5 * float(lasting_design_effect(apart, trials))


def test_independent_trials_have_a_lasting_design_effect_near_one():
    random = np.random.default_rng(9)
    trials = np.full((400, 2, 64), 100.0)
    bad = random.binomial(100, 0.05, trials.shape)
    effect = lasting_design_effect(bad, trials)
    assert (effect >= 1.0).all()
    assert float(effect.mean()) < 1.12


@pytest.mark.parametrize("blocks", [0, 1, 2, 3])
def test_the_lasting_design_effect_of_few_blocks_is_a_number(blocks):
    trials = np.full((2, blocks), 10.0)
    assert float(lasting_design_effect(trials * 0, trials)) == 1.0
    assert float(lasting_design_effect(trials / 2, trials)) == 1.0


def test_differences_that_grow_with_the_rate_are_no_variance():
    """Complaints come late: the first blocks have most of them, the last have none. The candidate has twice as many."""
    trials = np.full((2, 64), 1_000.0)
    grown = np.linspace(1.0, 0.0, 64)
    bad = np.stack([200.0 * grown, 400.0 * grown])
    assert float(lasting_design_effect(bad, trials, grows=True)) == 1.0
    assert float(lasting_design_effect(bad, trials)) > 5.0


def test_a_block_that_is_bad_for_one_variant_is_variance_also_if_differences_grow():
    trials = np.full((2, 64), 1_000.0)
    bad = np.full((2, 64), 20.0)
    bad[1, 30] = 400.0
    assert float(lasting_design_effect(bad, trials, grows=True)) > 10.0


@pytest.mark.parametrize("outage", [20.0, 500.0])
def test_the_larger_design_effect_of_keys_and_time_counts(outage):
    """Sticky keys, with and without an outage of the candidate in one block."""
    trials = np.full((2, 64), 1_000.0)
    bad = np.full((2, 64), 20.0)
    bad[1, 30] = outage
    keys = two_arms(np.random.default_rng(3))
    effect, enough = rate_design_effect(bad, trials, keys)
    both = float(key_design_effect(keys)), float(lasting_design_effect(bad, trials))
    assert float(effect) == max(both)
    assert both.index(max(both)) == (outage > 20.0)
    assert bool(enough)
