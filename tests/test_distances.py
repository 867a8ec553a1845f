"""Distances agree with scipy on the same histograms and have the properties of distances."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.spatial.distance import jensenshannon

from driftline import distances

EXACT = 1e-12
PAIRS = st.integers(2, 30).flatmap(
    lambda bins: st.tuples(
        *(arrays.arrays(np.int64, bins, elements=st.integers(0, 10**6)).filter(lambda c: c.sum() > 0) for _ in "ab")
    )
)
PLAIN = [distances.psi, distances.kl, distances.js, distances.hellinger, distances.total_variation, distances.ks]


def close(value, oracle):
    """Whether two numbers are equal to 1e-12, relative if they are large."""
    return value == pytest.approx(oracle, rel=EXACT, abs=EXACT)


@given(PAIRS)
def test_kl_and_psi_are_relative_entropies(pair):
    """KL is scipy's entropy of the smoothed shares. PSI is the sum of both directions."""
    r, c = (counts + distances.SMOOTHING for counts in pair)
    assert close(distances.kl(*pair), scipy.stats.entropy(c, r))
    assert close(distances.psi(*pair), scipy.stats.entropy(c, r) + scipy.stats.entropy(r, c))


@given(PAIRS)
def test_js_agrees_with_scipy(pair):
    """The Jensen-Shannon distance to base 2."""
    # Near 0 the square root magnifies rounding, so compare the divergences.
    assert close(distances.js(*pair) ** 2, jensenshannon(*pair, base=2) ** 2)


@given(PAIRS)
def test_hellinger_and_total_variation_are_norms(pair):
    """Of a difference of shares, as scipy computes norms."""
    r, c = (counts / counts.sum() for counts in pair)
    assert close(distances.hellinger(*pair), scipy.linalg.norm(np.sqrt(r) - np.sqrt(c)) / np.sqrt(2))
    assert close(distances.total_variation(*pair), scipy.spatial.distance.cityblock(r, c) / 2)


@given(PAIRS)
def test_chi_square_is_scipys_contingency_statistic(pair):
    """Pearson's statistic of the two-row table without its empty columns."""
    table = np.array(pair)
    table = table[:, table.sum(axis=0) > 0]
    assume(table.shape[1] > 1)
    assert close(distances.chi_square(*pair), scipy.stats.chi2_contingency(table, correction=False).statistic)


@given(PAIRS)
@example((np.array([0, 1]), np.array([0, 1])))
def test_ks_is_scipys_statistic_of_the_bin_numbers(pair):
    """The two-sample Kolmogorov-Smirnov statistic."""
    small = [counts % 50 for counts in pair]
    assume(all(counts.sum() for counts in small))
    samples = [np.repeat(np.arange(len(counts)), counts) for counts in small]
    with np.errstate(divide="ignore"):  # in the p-value of two single rows, which is not used
        statistic = scipy.stats.ks_2samp(*samples, method="asymp").statistic
    assert close(distances.ks(*small), statistic)


@given(PAIRS, st.integers(0, 2**32 - 1))
def test_wasserstein_and_mean_are_scipys_on_weighted_positions(pair, seed):
    """The Wasserstein distance of the positions weighted by the counts, and the difference of their averages."""
    positions = np.sort(np.random.default_rng(seed).normal(size=len(pair[0])))
    oracle = scipy.stats.wasserstein_distance(positions, positions, *pair)
    assert close(distances.wasserstein(*pair, positions=positions), oracle)
    gap = abs(np.average(positions, weights=pair[0]) - np.average(positions, weights=pair[1]))
    assert close(distances.mean(*pair, positions=positions), gap)


@given(PAIRS)
def test_distances_are_zero_on_equal_counts_and_bounded(pair):
    """Psi, js, hellinger, total_variation and ks are symmetric too."""
    r, c = pair
    for distance in PLAIN:
        assert distance(r, r) == pytest.approx(0.0, abs=1e-7)
        assert distance(r, c) >= 0.0
    for distance in (distances.js, distances.hellinger, distances.total_variation, distances.ks):
        assert distance(r, c) <= 1.0 + EXACT
    for distance in (distances.psi, distances.js, distances.hellinger, distances.total_variation, distances.ks):
        assert close(distance(r, c), distance(c, r))


@given(st.integers(1, 6), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_a_matrix_gives_the_distances_of_its_rows(features, bins, seed):
    """Shape (features, bins) gives shape (features,)."""
    random = np.random.default_rng(seed)
    r, c = random.integers(0, 40, (2, features, bins))
    positions = np.sort(random.normal(size=(features, bins)), axis=1)
    positions[random.random(positions.shape) < 0.2] = np.nan
    for name, distance in distances.BY_NAME.items():
        keywords = [{}] * features
        whole = {}
        if name in {"mean", "wasserstein"}:
            keywords = [{"positions": row} for row in positions]
            whole = {"positions": positions}
        together = distance(r, c, **whole)
        apart = [distance(*pair, **keyword) for *pair, keyword in zip(r, c, keywords, strict=True)]
        assert together.shape == (features,)
        np.testing.assert_allclose(together, apart, rtol=EXACT, atol=EXACT, equal_nan=True)


@pytest.mark.parametrize("name", sorted(distances.BY_NAME))
def test_nan_where_a_side_is_empty(name):
    """Without rows on one side there is no distance."""
    keywords = {"positions": [0.0, 1.0]} if name in {"mean", "wasserstein"} else {}
    assert np.isnan(distances.BY_NAME[name]([0, 0], [1, 2], **keywords))
    assert np.isnan(distances.BY_NAME[name]([1, 2], [0, 0], **keywords))


def test_bins_without_a_position_do_not_count():
    """Ten missing values change neither the mean nor the Wasserstein distance."""
    positions = [-1.0, 1.0, np.nan]
    for distance in (distances.wasserstein, distances.mean):
        assert distance([5, 5, 0], [5, 5, 10], positions=positions) == 0.0


@pytest.mark.parametrize(("r", "c"), [([1, 2], [1, 2, 3]), ([[[1]]], [[[1]]]), (1, 1)])
def test_shapes_that_do_not_match_are_refused(r, c):
    """The message contains both shapes and the expected ones."""
    with pytest.raises(ValueError, match=r"counts of shapes .* expected both \(bins,\)"):
        distances.psi(r, c)


def test_positions_of_another_shape_are_refused():
    """Each count needs a position."""
    with pytest.raises(ValueError, match=r"positions of shape \(3,\): expected \(2,\)"):
        distances.wasserstein([1, 2], [3, 4], positions=[0.0, 1.0, 2.0])


def test_corrected_psi_is_unbiased_under_no_drift():
    """Over many pairs of samples of one distribution its mean is 0. The mean of raw PSI is (B-1)(1/n+1/m)."""
    random = np.random.default_rng(0)
    shares = np.full(12, 1 / 12)
    r, c = random.multinomial(3_000, shares, 4_000), random.multinomial(500, shares, 4_000)
    bias = 11 * (1 / 3_000 + 1 / 500)
    assert distances.psi(r, c).mean() == pytest.approx(bias, rel=0.05)
    assert distances.corrected_psi(r, c).mean() == pytest.approx(0.0, abs=0.05 * bias)
