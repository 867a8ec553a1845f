"""P-values against scipy, and the share of false alarms that they promise."""

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
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, SHAPE, SPREAD
from driftline._significance.inflation import Inflation
from driftline._significance.two_sample import MIN_EXPECTED, TwoSample, benjamini_hochberg, cauchy_combination

SHARES = np.array([0.0, 0.01, 0.04, 0.05, *[0.1] * 8, 0.05, 0.04, 0.01, 0.0, 0.0])
SHARES /= SHARES.sum()


def numeric(name, counts):
    """A feature with so many bins; where they are cut does not matter to a test of counts."""
    return Feature(name, NumericBins(tuple(float(cut) for cut in range(len(counts) - 2))), tuple(map(int, counts)))


def findings(*pairs):
    """Pairs of counts tested, each a feature."""
    features = [numeric(f"f{place}", reference) for place, (reference, _) in enumerate(pairs)]
    counts = np.concatenate([current for _, current in pairs])
    return TwoSample(features, Layout(features))(counts, max(int(sum(current)) for _, current in pairs))


def p_of(*pairs):
    """Their combined p-values."""
    return findings(*pairs).p


@given(st.integers(4, 20).flatmap(lambda bins: arrays.arrays(np.int64, (2, bins), elements=st.integers(15, 3_000))))
def test_the_parts_are_those_of_the_chi_square(counts):
    """Categories well filled: the mix has scipy's p-value."""
    r, c = counts
    expected = (r + c) * min(r.sum(), c.sum()) / (r + c).sum()
    assume((expected >= MIN_EXPECTED).all())
    bins = CategoricalBins(tuple(f"c{place}" for place in range(len(r))))
    feature = Feature("t", bins, (*r.tolist(), 0, 0, 0))
    found = TwoSample([feature], Layout([feature]))(np.array([*c, 0, 0, 0]), int(c.sum()))
    theirs = scipy.stats.chi2_contingency([r, c], correction=False)
    assert found.parts[0, SHAPE] == pytest.approx(theirs.pvalue, rel=1e-2, abs=1e-200)
    assert np.isnan(found.parts[0, [LOCATION, SPREAD, OUTSIDE, MISSING]]).all()


def test_location_is_the_rank_test():
    """Of an ordered feature: scipy's Mann-Whitney test with ties, up to its continuity."""
    random = np.random.default_rng(7)
    r, c = random.multinomial(3_000, SHARES[:-1]), random.multinomial(800, np.roll(SHARES[:-1], 0))
    found = findings(([*r, 0], [*c, 0]))
    values = [np.repeat(np.arange(len(side)), side) for side in (c, r)]
    theirs = scipy.stats.mannwhitneyu(*values, use_continuity=False, method="asymptotic").pvalue
    # Pooling of the two outer bins, and the variance of a permutation instead of a sample: a thousandth.
    assert found.parts[0, LOCATION] == pytest.approx(theirs, rel=0.02)


@pytest.mark.parametrize(("events", "before"), [(3, 0), (7, 10), (1, 40), (30, 30)])
def test_a_rate_of_missing_values_is_the_exact_conditional_test(events, before):
    """Rare events: the binomial tail given their sum, doubled; not the normal approximation."""
    m, n = 10_000, 1_000
    found = findings(([0, m - before, 0, before], [0, n - events, 0, events]))
    total, share = events + before, n / (n + m)
    upper = scipy.stats.binom.sf(events - 1, total, share)
    lower = scipy.stats.binom.cdf(events, total, share)
    assert found.parts[0, MISSING] == pytest.approx(min(1.0, 2 * min(upper, lower)), rel=0.05)


def test_values_beyond_the_extremes_are_expected_to_come():
    """Of new rows of the same distribution some lie beyond what the reference has had: that is no evidence."""
    random = np.random.default_rng(8)
    found = []
    for _ in range(400):
        reference, current = random.normal(size=2_000), random.normal(size=2_000)
        outside = int((current > reference.max()).sum() + (current < reference.min()).sum())
        found.append(findings(([0, 1_000, 1_000, 0, 0], [outside, 1_000 - outside, 1_000, 0, 0])).parts[0, OUTSIDE])
    p = np.array(found)
    p = np.where(np.isnan(p), 1.0, p)
    assert (p <= 0.05).mean() <= 0.08
    assert (p <= 0.05).mean() >= 0.01


def test_unseen_categories_are_expected_where_many_were_seen_once():
    """Good 1953: as many as categories seen a single time, in as many rows."""
    many = Feature("t", CategoricalBins(("a",)), (960, 40, 0, 0), once=40)
    none = Feature("t", CategoricalBins(("a",)), (960, 40, 0, 0), once=0)
    counts = np.array([940, 20, 40, 0])
    expected, surprising = (TwoSample([one], Layout([one]))(counts, 1_000).parts[0, OUTSIDE] for one in (many, none))
    assert expected > 0.3
    assert surprising < 1e-9


def test_a_guess_of_unseen_categories_is_worth_less_where_many_were_seen_twice():
    """A category of two rows may as well have been missed, with all the rows that it has in the window."""
    sure = Feature("t", CategoricalBins(("a",)), (960, 40, 0, 0), once=4, twice=0)
    unsure = Feature("t", CategoricalBins(("a",)), (960, 40, 0, 0), once=4, twice=12)
    counts = np.array([940, 44, 16, 0])
    p, careful = (TwoSample([one], Layout([one]))(counts, 1_000).parts[0, OUTSIDE] for one in (sure, unsure))
    assert p < 0.01
    assert careful > 5 * p


def test_small_expectations_do_not_stretch_the_tail():
    """Six or seven rows a bin: far out, the shape has the tail of a chi-square."""
    random = np.random.default_rng(3)
    shares = np.full(15, 1 / 15)
    pairs = [
        (
            [0, *random.multinomial(20_000, shares), 0, 0],
            [0, *random.multinomial(100, shares), 0, 0],
        )
        for _ in range(4_000)
    ]
    p = findings(*pairs).parts[:, SHAPE]
    assert (p <= 1e-3).sum() <= 12
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.02)


def test_a_clump_in_a_rare_bin_reaches_less_far_where_rows_depend_on_each_other():
    """Forty rows where five were expected: of independent rows that is what it is, of others they may be one."""
    feature = Feature("t", CategoricalBins(tuple("abcdefgh")), (*[1_000] * 7, 50, 0, 0, 0))
    counts = np.array([*[95] * 7, 40, 0, 0, 0])
    tester = TwoSample([feature], Layout([feature]))
    ones, known = np.ones((1, 5)), np.full((1, 5), np.inf)
    independent = tester(counts, 705, lambda _: Inflation(ones, known, np.array([np.inf])))
    dependent = tester(counts, 705, lambda _: Inflation(ones, known, np.array([7.0])))
    assert independent.p[0] < dependent.p[0] / 1e6
    assert dependent.p[0] < 1e-3


def test_features_are_tested_each_for_itself():
    """Of several widths at once, in the order of the features; nan where there are no rows."""
    random = np.random.default_rng(0)
    pairs = [(random.integers(20, 90, bins), random.integers(20, 90, bins)) for bins in (5, 9, 5, 7)]
    pairs.insert(2, (np.array([50, 50, 50, 50, 50]), np.zeros(5, dtype=np.int64)))
    together = p_of(*pairs)
    assert np.isnan(together[2])
    for place, pair in enumerate(pairs):
        assert together[place] == pytest.approx(p_of(pair)[0], nan_ok=True)


def test_equal_shares_and_single_bins_are_no_evidence():
    """A p-value near 1, whatever the number of rows."""
    assert p_of(([0, 100, 300, 0, 0], [0, 10, 30, 0, 0]))[0] > 0.95
    assert p_of(([0, 500, 0], [0, 40, 0]))[0] == 1.0


def test_what_was_never_there_is_evidence():
    """An unseen category, a feature gone missing."""
    feature = Feature("t", CategoricalBins(("a", "b")), (600, 400, 0, 0, 0))
    tester = TwoSample([feature], Layout([feature]))
    assert tester(np.array([300, 199, 0, 1, 0]), 500).p[0] > 1e-2
    assert tester(np.array([280, 180, 0, 40, 0]), 500).p[0] < 1e-6
    assert tester(np.array([0, 0, 0, 0, 500]), 500).p[0] < 1e-100


def test_under_no_drift_p_values_are_uniform():
    """Of a thousand pairs of samples of one distribution: the share below each level is that level."""
    random = np.random.default_rng(1)
    pairs = [(random.multinomial(4_000, SHARES), random.multinomial(700, SHARES)) for _ in range(1_000)]
    p = p_of(*pairs)
    for level in (0.01, 0.05, 0.2, 0.5):
        # The combination is exact in the tail, where it is needed, and a little careful in the middle.
        slack = 3.5 * np.sqrt(level * (1 - level) / len(p)) + (0.05 if level > 0.1 else 0.0)
        assert (p <= level).mean() == pytest.approx(level, abs=slack)


def test_power_grows_with_the_shift():
    """A shift of a tenth of the mass is seen in 700 rows nearly always, one of a hundredth seldom."""
    random = np.random.default_rng(2)
    found = []
    for moved in (0.01, 0.1):
        shifted = SHARES.copy()
        shifted[4] -= moved
        shifted[11] += moved
        pairs = [(random.multinomial(4_000, SHARES), random.multinomial(700, shifted)) for _ in range(200)]
        found.append((p_of(*pairs) <= 1e-4).mean())
    assert found[0] < 0.1
    assert found[1] > 0.95


def test_the_shift_of_a_distribution_is_its_location():
    """And not its spread, nor its shape; a wider one is its spread."""
    random = np.random.default_rng(5)
    values = random.normal(size=20_000)
    cuts = np.quantile(values, np.linspace(0.1, 0.9, 9))

    def binned(sample):
        return [0, *np.bincount(np.searchsorted(cuts, sample), minlength=10), 0, 0]

    moved, wider = (
        findings((binned(values), binned(random.normal(0.4, size=2_000)))),
        findings((binned(values), binned(random.normal(scale=1.4, size=2_000)))),
    )
    assert moved.parts[0].argmin() == 0 or np.nanargmin(moved.parts[0]) == LOCATION
    assert moved.direction[0, LOCATION] > 0
    assert moved.parts[0, SPREAD] > 0.01
    assert moved.parts[0, SHAPE] > 0.01
    assert np.nanargmin(wider.parts[0]) == SPREAD
    assert wider.direction[0, SPREAD] > 0


def test_small_p_values_are_combined_without_loss():
    """Where the tangent has lost all digits; a part with p = 1 does not outweigh the others."""
    assert cauchy_combination(np.array([1e-200, 0.5])) == pytest.approx(2e-200)
    assert cauchy_combination(np.array([1e-12, 1.0, 1.0])) == pytest.approx(3e-12, rel=1e-6)
    assert cauchy_combination(np.array([np.nan, np.nan])) == 1.0


@given(arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(0.0, 1.0)))
def test_benjamini_hochberg_is_scipys(p):
    """The adjusted p-values, ties and zeros included."""
    np.testing.assert_allclose(
        benjamini_hochberg(p), scipy.stats.false_discovery_control(p, method="bh"), rtol=1e-12, atol=1e-300
    )


def test_no_p_values_adjust_to_none():
    """A reference whose features all lack rows."""
    assert benjamini_hochberg(np.array([])).tolist() == []
