"""P-values against scipy, and the share of false alarms that they promise."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from driftline._binning import Layout
from driftline._significance import MIN_EXPECTED, benjamini_hochberg, two_sample_p_values
from driftline._values import CategoricalBins, Feature, NumericBins

SHARES = np.array([0.0, 0.01, 0.04, 0.05, *[0.1] * 8, 0.05, 0.04, 0.01, 0.0, 0.0])
SHARES /= SHARES.sum()


def numeric(name, counts):
    """A feature with so many bins; where they are cut does not matter to a test of counts."""
    return Feature(name, NumericBins(tuple(float(cut) for cut in range(len(counts) - 2))), tuple(map(int, counts)))


def p_of(*pairs):
    """P-values of pairs of counts, each a feature."""
    features = [numeric(f"f{place}", reference) for place, (reference, _) in enumerate(pairs)]
    return two_sample_p_values(features, Layout(features))(np.concatenate([current for _, current in pairs]))


def pooled_by_hand(reference, current):
    """The table after pooling, in plain Python: bins that expect too few rows join, and the rest the smallest."""
    m, n = int(sum(reference)), int(sum(current))
    expected = [(r + c) * min(m, n) / (m + n) for r, c in zip(reference, current, strict=True)]
    kept = [place for place, one in enumerate(expected) if one >= MIN_EXPECTED]
    rest = [place for place, one in enumerate(expected) if one < MIN_EXPECTED]
    table = [[reference[place], current[place]] for place in kept]
    pooled = [sum(reference[place] for place in rest), sum(current[place] for place in rest)]
    if sum(pooled):
        if sum(expected[place] for place in rest) >= MIN_EXPECTED or not kept:
            table.append(pooled)
        else:
            smallest = min(range(len(kept)), key=lambda place: sum(table[place]))
            table[smallest] = [a + b for a, b in zip(table[smallest], pooled, strict=True)]
    return np.array(table).T


@given(st.integers(3, 20).flatmap(lambda bins: arrays.arrays(np.int64, (2, bins), elements=st.integers(15, 3_000))))
def test_well_filled_counts_give_scipys_p_values(counts):
    """Where every bin expects five rows, nothing is pooled."""
    expected = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum()
    assume((expected >= MIN_EXPECTED).all())
    theirs = scipy.stats.chi2_contingency(counts, correction=False).pvalue
    assert p_of(tuple(counts))[0] == pytest.approx(theirs, rel=1e-9, abs=1e-300)


@given(st.integers(3, 20).flatmap(lambda bins: arrays.arrays(np.int64, (2, bins), elements=st.integers(0, 60))))
def test_sparse_counts_are_pooled_as_said(counts):
    """Bins of fewer than five expected rows are taken together."""
    assume((counts.sum(axis=1) > 0).all())
    table = pooled_by_hand(*counts.tolist())
    if table.shape[1] < 2:
        theirs = 1.0
    else:
        # Two bins equally small: which of them takes the rest is not promised.
        joined = np.sort(table.sum(axis=0))
        assume(len(joined) < 2 or joined[0] != joined[1])
        theirs = scipy.stats.chi2_contingency(table, correction=False).pvalue
    assert p_of(tuple(counts))[0] == pytest.approx(theirs, rel=1e-9, abs=1e-300)


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
    """A p-value of 1, whatever the number of rows."""
    assert p_of(([0, 100, 300, 0, 0], [0, 10, 30, 0, 0]))[0] == pytest.approx(1.0)
    assert p_of(([0, 500, 0], [0, 40, 0]))[0] == 1.0


def test_what_was_never_there_is_evidence():
    """An unseen category, a feature gone missing."""
    feature = Feature("t", CategoricalBins(("a", "b")), (600, 400, 0, 0, 0))
    p_values = two_sample_p_values([feature], Layout([feature]))
    assert p_values(np.array([300, 195, 0, 5, 0]))[0] > 1e-3
    assert p_values(np.array([280, 180, 0, 40, 0]))[0] < 1e-6
    assert p_values(np.array([0, 0, 0, 0, 500]))[0] < 1e-100


def test_under_no_drift_p_values_are_uniform():
    """Of a thousand pairs of samples of one distribution: the share below each level is that level."""
    random = np.random.default_rng(1)
    pairs = [(random.multinomial(4_000, SHARES), random.multinomial(700, SHARES)) for _ in range(1_000)]
    p = p_of(*pairs)
    for level in (0.01, 0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / len(p)))


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


@given(arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(0.0, 1.0)))
def test_benjamini_hochberg_is_scipys(p):
    """The adjusted p-values, ties and zeros included."""
    np.testing.assert_allclose(benjamini_hochberg(p), scipy.stats.false_discovery_control(p, method="bh"), rtol=1e-12)


def test_no_p_values_adjust_to_none():
    """A reference whose features all lack rows."""
    assert benjamini_hochberg(np.array([])).tolist() == []
