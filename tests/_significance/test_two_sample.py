"""The two-sample test: p-values against scipy, and their false-alarm rates."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
    NumericBins,
)
from driftline._binning.layout import Layout
from driftline._significance.combination import bonferroni, cauchy_combination
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, SHAPE, SPREAD
from driftline._significance.inflation import Inflation
from driftline._significance.two_sample import MIN_EXPECTED, TwoSample

SHARES = np.array([0.0, 0.01, 0.04, 0.05, *[0.1] * 8, 0.05, 0.04, 0.01, 0.0, 0.0])
SHARES /= SHARES.sum()


def numeric(name, counts):
    """Return a numeric feature with these counts. Its cuts do not matter for a test of counts."""
    return Feature(name, NumericBins(tuple(float(cut) for cut in range(len(counts) - 2))), tuple(map(int, counts)))


def compare(*pairs):
    """Return the result of the test for pairs of counts, each pair a feature."""
    features = [numeric(f"f{index}", reference) for index, (reference, _) in enumerate(pairs)]
    counts = np.concatenate([current for _, current in pairs])
    return TwoSample(features, Layout(features))(counts)


def p_of(*pairs):
    """Return their combined p-values."""
    return compare(*pairs).p


@given(st.integers(4, 20).flatmap(lambda bins: arrays.arrays(np.int64, (2, bins), elements=st.integers(15, 3_000))))
def test_the_mix_of_categories_has_scipys_chi_square_p_value(counts):
    """If every category expects enough rows."""
    r, c = counts
    expected = (r + c) * min(r.sum(), c.sum()) / (r + c).sum()
    assume((expected >= MIN_EXPECTED).all())
    bins = CategoricalBins(tuple(f"c{index}" for index in range(len(r))))
    feature = Feature("t", bins, (*r.tolist(), 0, 0, 0))
    result = TwoSample([feature], Layout([feature]))(np.array([*c, 0, 0, 0]))
    oracle = scipy.stats.chi2_contingency([r, c], correction=False)
    assert result.parts[0, SHAPE] == pytest.approx(oracle.pvalue, rel=1e-2, abs=1e-200)
    assert np.isnan(result.parts[0, [LOCATION, SPREAD, OUTSIDE, MISSING]]).all()


def test_location_is_the_rank_test():
    """For an ordered feature it is scipy's Mann-Whitney test with ties and without the continuity correction."""
    random = np.random.default_rng(7)
    r, c = random.multinomial(3_000, SHARES[:-1]), random.multinomial(800, np.roll(SHARES[:-1], 0))
    result = compare(([*r, 0], [*c, 0]))
    values = [np.repeat(np.arange(len(side)), side) for side in (c, r)]
    oracle = scipy.stats.mannwhitneyu(*values, use_continuity=False, method="asymptotic").pvalue
    # They differ by the pooling of the two outer bins, and by the variance of a permutation: a thousandth.
    assert result.parts[0, LOCATION] == pytest.approx(oracle, rel=0.02)


@pytest.mark.parametrize(("events", "before"), [(3, 0), (7, 10), (1, 40), (30, 30)])
def test_the_rate_of_missing_values_has_the_exact_conditional_test(events, before):
    """For rare events, it is twice the binomial tail given their sum, and not the normal approximation."""
    m, n = 10_000, 1_000
    result = compare(([0, m - before, 0, before], [0, n - events, 0, events]))
    total, share = events + before, n / (n + m)
    upper = scipy.stats.binom.sf(events - 1, total, share)
    lower = scipy.stats.binom.cdf(events, total, share)
    assert result.parts[0, MISSING] == pytest.approx(min(1.0, 2 * min(upper, lower)), rel=0.05)


def test_a_few_values_beyond_the_extremes_are_not_evidence():
    """Some new rows of the same distribution are always beyond the extremes of the reference."""
    random = np.random.default_rng(8)
    p_values = []
    for _ in range(400):
        reference, current = random.normal(size=2_000), random.normal(size=2_000)
        outside = int((current > reference.max()).sum() + (current < reference.min()).sum())
        p_values.append(compare(([0, 1_000, 1_000, 0, 0], [outside, 1_000 - outside, 1_000, 0, 0])).parts[0, OUTSIDE])
    p = np.array(p_values)
    p = np.where(np.isnan(p), 1.0, p)
    assert (p <= 0.05).mean() <= 0.08
    assert (p <= 0.05).mean() >= 0.01


def test_unseen_categories_are_expected_if_many_were_seen_once():
    """As many as categories seen once, in the same number of rows (Good 1953)."""
    many = Feature("t", CategoricalBins(("a",)), (960, 40, 0, 0), once=40)
    none = Feature("t", CategoricalBins(("a",)), (960, 40, 0, 0), once=0)
    counts = np.array([940, 20, 40, 0])
    expected, surprising = (
        TwoSample([feature], Layout([feature]))(counts).parts[0, OUTSIDE] for feature in (many, none)
    )
    assert expected > 0.3
    assert surprising < 1e-9


def test_the_estimate_of_unseen_categories_is_less_reliable_if_many_were_seen_twice():
    """A category of two rows could have been missed, with all of its rows in the window."""
    sure = Feature("t", CategoricalBins(("a",)), (960, 40, 0, 0), once=4, twice=0)
    unsure = Feature("t", CategoricalBins(("a",)), (960, 40, 0, 0), once=4, twice=12)
    counts = np.array([940, 44, 16, 0])
    p, careful = (TwoSample([feature], Layout([feature]))(counts).parts[0, OUTSIDE] for feature in (sure, unsure))
    assert p < 0.01
    assert careful > 5 * p


def test_small_expectations_do_not_lengthen_the_tail():
    """With six or seven rows a bin, the shape still has the tail of a chi-square."""
    random = np.random.default_rng(3)
    shares = np.full(15, 1 / 15)
    pairs = [
        (
            [0, *random.multinomial(20_000, shares), 0, 0],
            [0, *random.multinomial(100, shares), 0, 0],
        )
        for _ in range(4_000)
    ]
    p = compare(*pairs).parts[:, SHAPE]
    assert (p <= 1e-3).sum() <= 12
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_a_clump_in_a_rare_bin_is_weaker_evidence_if_rows_are_dependent():
    """Forty dependent rows in a bin that expects five may be a single event."""
    feature = Feature("t", CategoricalBins(tuple("abcdefgh")), (*[1_000] * 7, 50, 0, 0, 0))
    counts = np.array([*[95] * 7, 40, 0, 0, 0])
    tester = TwoSample([feature], Layout([feature]))
    ones, known = np.ones((1, 5)), np.full((1, 5), np.inf)
    independent = tester(counts, Inflation(ones, known, np.array([np.inf])))
    dependent = tester(counts, Inflation(ones, known, np.array([7.0])))
    assert independent.p[0] < dependent.p[0] / 1e6
    assert dependent.p[0] < 1e-3


def test_features_get_the_same_p_values_together_and_alone():
    """In their order, whatever their widths. A feature without rows gets nan."""
    random = np.random.default_rng(0)
    pairs = [(random.integers(20, 90, bins), random.integers(20, 90, bins)) for bins in (5, 9, 5, 7)]
    pairs.insert(2, (np.array([50, 50, 50, 50, 50]), np.zeros(5, dtype=np.int64)))
    together = p_of(*pairs)
    assert np.isnan(together[2])
    for index, pair in enumerate(pairs):
        assert together[index] == pytest.approx(p_of(pair)[0], nan_ok=True)


def test_equal_shares_and_single_bins_are_not_evidence():
    """The p-value is near 1, whatever the number of rows."""
    assert p_of(([0, 100, 300, 0, 0], [0, 10, 30, 0, 0]))[0] > 0.95
    assert p_of(([0, 500, 0], [0, 40, 0]))[0] == 1.0


def test_unseen_categories_and_a_missing_feature_are_evidence():
    """Many rows of them; one row is not."""
    feature = Feature("t", CategoricalBins(("a", "b")), (600, 400, 0, 0, 0))
    tester = TwoSample([feature], Layout([feature]))
    assert tester(np.array([300, 199, 0, 1, 0])).p[0] > 1e-2
    assert tester(np.array([280, 180, 0, 40, 0])).p[0] < 1e-6
    assert tester(np.array([0, 0, 0, 0, 500])).p[0] < 1e-100


def test_p_values_are_uniform_without_drift():
    """For a thousand pairs of samples of one distribution, the share below each level is that level."""
    random = np.random.default_rng(1)
    pairs = [(random.multinomial(4_000, SHARES), random.multinomial(700, SHARES)) for _ in range(1_000)]
    p = p_of(*pairs)
    for level in (0.01, 0.05, 0.2, 0.5):
        # The combination is exact in the tail, where it matters, and slightly conservative in the middle.
        slack = 3.5 * np.sqrt(level * (1 - level) / len(p)) + (0.05 if level > 0.1 else 0.0)
        assert (p <= level).mean() == pytest.approx(level, abs=slack)


def test_power_grows_with_the_shift():
    """In 700 rows, a shift of a tenth of the mass is nearly always significant, and one of a hundredth seldom."""
    random = np.random.default_rng(2)
    power = []
    for moved in (0.01, 0.1):
        shifted = SHARES.copy()
        shifted[4] -= moved
        shifted[11] += moved
        pairs = [(random.multinomial(4_000, SHARES), random.multinomial(700, shifted)) for _ in range(200)]
        power.append((p_of(*pairs) <= 1e-4).mean())
    assert power[0] < 0.1
    assert power[1] > 0.95


def test_a_shift_is_location_and_a_wider_distribution_is_spread():
    """A shift is neither spread nor shape."""
    random = np.random.default_rng(5)
    values = random.normal(size=20_000)
    cuts = np.quantile(values, np.linspace(0.1, 0.9, 9))

    def binned(sample):
        return [0, *np.bincount(np.searchsorted(cuts, sample), minlength=10), 0, 0]

    moved, wider = (
        compare((binned(values), binned(random.normal(0.4, size=2_000)))),
        compare((binned(values), binned(random.normal(scale=1.4, size=2_000)))),
    )
    assert moved.parts[0].argmin() == 0 or np.nanargmin(moved.parts[0]) == LOCATION
    assert moved.direction[0, LOCATION] > 0
    assert moved.parts[0, SPREAD] > 0.01
    assert moved.parts[0, SHAPE] > 0.01
    assert np.nanargmin(wider.parts[0]) == SPREAD
    assert wider.direction[0, SPREAD] > 0


def test_small_p_values_are_combined_without_loss():
    """Where the tangent would lose all digits. A part with p = 1 does not outweigh the others."""
    assert cauchy_combination(np.array([1e-200, 0.5])) == pytest.approx(2e-200)
    assert cauchy_combination(np.array([1e-12, 1.0, 1.0])) == pytest.approx(3e-12, rel=1e-6)
    assert cauchy_combination(np.array([np.nan, np.nan])) == 1.0


@given(arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(0.0, 1.0)))
def test_bonferroni_is_the_number_of_features_times_p(p):
    """At most 1. What the other features do has no influence."""
    adjusted = bonferroni(p)
    assert adjusted.tolist() == [min(1.0, each * len(p)) for each in p]
    others = np.where(np.arange(len(p)) == 0, p, 0.0)
    assert bonferroni(others)[0] == adjusted[0]


def test_no_p_values_give_no_adjusted_ones():
    """For a reference whose features all lack rows."""
    assert bonferroni(np.array([])).tolist() == []
