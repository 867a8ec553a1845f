"""What the features have in common tells how much a single one depends, before it has many differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from driftline._significance.common import LEAST_FREEDOM, MOST_FREEDOM, find_common
from driftline._significance.long_run import long_run

NUMBERS = np.full((10, 1), 4.0)


def drawn(factors, number=4, seed=0):
    """Return means of squared differences of features with these factors, shape (features, 1)."""
    random = np.random.default_rng(seed)
    return (np.asarray(factors) * random.chisquare(number, len(factors)) / number)[:, None]


@pytest.mark.parametrize("factor", [2.0, 10.0, 50.0])
def test_features_that_are_alike_have_a_common_factor_near_theirs(factor):
    factors = [find_common(drawn([factor] * 10, seed=seed), NUMBERS).factor[0] for seed in range(50)]
    assert 0.4 * factor < np.median(factors) < 1.1 * factor


def test_a_single_feature_that_depends_hardly_moves_the_common_factor():
    factors = [find_common(drawn([100.0, *[1.0] * 9], seed=seed), NUMBERS).factor[0] for seed in range(50)]
    assert np.median(factors) < 2.0


def test_the_factor_counts_for_more_where_features_are_alike():
    alike, unlike = (
        np.median([find_common(drawn(factors, 64, seed), 16 * NUMBERS).freedom[0] for seed in range(20)])
        for factors in ([10.0] * 10, np.geomspace(1.0, 100.0, 10))
    )
    assert alike > 2.0 * unlike
    assert LEAST_FREEDOM <= unlike < alike <= MOST_FREEDOM


def test_where_nothing_is_known_rows_are_independent():
    common = find_common(np.zeros((3, 2)), np.zeros((3, 2)))
    assert (common.factor == 1.0).all()


def test_a_common_factor_is_at_least_that_of_independent_rows():
    assert find_common(np.full((10, 1), 0.2), NUMBERS).factor[0] == 1.0


@pytest.mark.parametrize("factor", [1.0, 10.0])
def test_after_one_window_the_level_holds_nearly_if_features_are_alike(factor):
    """Seven differences of each of ten features, and the level of a budget of one alarm a month."""
    random, counts = np.random.default_rng(1), np.array([4.0, 2.0, 1.0, *[0.0] * 7])[:, None, None]
    actual = []
    for _ in range(200):
        means = factor * random.chisquare(np.maximum(counts, 1.0), (10, 10, 1)) / np.maximum(counts, 1.0)
        numbers = np.broadcast_to(counts, means.shape)
        run = long_run(means, numbers, 125.0 * 2.0 ** np.arange(10), common=find_common(means[0], numbers[0]))
        critical = scipy.stats.t.isf(0.5e-5, run.freedom[3])
        actual.append(2.0 * scipy.stats.norm.sf(critical * np.sqrt(run.factors[3] / factor)).mean())
    assert np.mean(actual) < 5e-5


@pytest.mark.parametrize("number", [7, 64])
def test_a_feature_unlike_the_others_keeps_its_own_factor(number):
    """Weather changes slowly; what does not must not be taken to. The reverse holds too."""
    for factors in ([1.0, *[60.0] * 9], [60.0, *[1.0] * 9]):
        numbers = np.full((10, 1), float(number))
        common = find_common(drawn(factors, number), numbers)
        assert common.alike[0, 0] < 0.1
        assert np.median(common.alike[1:]) > 0.5
        assert common.factor[0, 0] < 1.4


def test_a_factor_of_half_is_alike_however_many_differences_there_are():
    """Features with nearly the same factor at the shortest blocks may still share its growth."""
    means = np.array([5.0, *[10.0] * 9])[:, None]
    assert find_common(means, np.full((10, 1), 10_000.0)).alike[0, 0] > 0.5
