"""The long-run variance of any number of rows follows from differences of neighbouring blocks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from driftline._significance.common import PRIOR_DIFFERENCES
from driftline._significance.components import LOCATION, PARTS
from driftline._significance.long_run import LongRun, long_run

LENGTHS = 125.0 * 2.0 ** np.arange(10)


def design_effect(rho, rows):
    """Return n times the variance of the mean of n rows of an AR(1) process of variance 1 (Bartlett 1946)."""
    lags = np.arange(1, int(rows))
    return 1 + 2 * ((1 - lags / rows) * rho**lags).sum()


def differences(variance, lengths=LENGTHS):
    """
    Return the expected squared difference of neighbouring means, in units of that of independent rows.

    Both means have V(n), and 4 V(2n) is the variance of their sum, so the expected squared difference is
    4 (V(n) - V(2n)).
    """
    return np.array([2.0 * n * (variance(n) / n - variance(2 * n) / (2 * n)) for n in lengths])


def known(values, numbers, features=1):
    """Return the long-run variance from these squared differences, alike in each feature and part."""
    shape = (len(values), features, PARTS)
    means = np.broadcast_to(np.asarray(values)[:, None, None], shape)
    counts = np.broadcast_to(np.asarray(numbers, dtype=float).reshape(-1, 1, 1), shape)
    return long_run(means, counts, LENGTHS[: len(values)])


@pytest.mark.parametrize(("rho", "above"), [(0.0, 1.001), (0.5, 1.001), (0.9, 1.01), (0.97, 1.02), (0.99, 1.13)])
def test_many_differences_give_the_exact_variance_of_an_autoregressive_process(rho, above):
    """V(n) = h(n) / 2 + V(2n). Where the growth ends, the continued growth leaves the factor slightly too large."""
    run = known(differences(lambda n: design_effect(rho, n)), [1e7])
    ratio = run.factors[:, 0, LOCATION] / [design_effect(rho, length) for length in LENGTHS]
    assert ratio.min() > 0.999
    assert ratio.max() < above
    assert (run.freedom > 1e5).all()


def test_the_identity_holds_between_neighbouring_lengths():
    """Whatever the differences are, as long as they grow slowly."""
    values = 5.0 * np.cumprod(np.random.default_rng(0).uniform(1.0, 1.2, 10))
    run = known(values, [1e9])
    variance, half = run.factors[:, 0, LOCATION] / LENGTHS, values / (2.0 * LENGTHS)
    np.testing.assert_allclose(variance[:-1], half[:-1] + variance[1:], rtol=1e-6)


def test_independent_rows_have_the_factor_one():
    run = known(np.ones(10), [400, 200, 100, 50, 25, 12, 6, 3, 1, 0])
    np.testing.assert_allclose(run.factors, 1.0)
    assert run.freedom[0, 0, LOCATION] > run.freedom[-1, 0, LOCATION]


def test_nothing_known_is_independent_rows_with_few_degrees_of_freedom():
    run = known(np.full(10, 7.0), [0.0])
    np.testing.assert_allclose(run.factors, 1.0)
    assert (run.freedom > 0.0).all()
    assert (run.freedom <= 3.0 * PRIOR_DIFFERENCES).all()


def test_a_factor_is_never_below_that_of_independent_rows():
    """Differences that are smaller by chance, or of rows in a strict rotation, do not sharpen the test."""
    assert (known(np.zeros(10), [1e6]).factors == 1.0).all()


def test_long_blocks_borrow_from_shorter_ones():
    """One difference of a long block changes its factor by much less than a hundred do."""
    values = np.ones(10)
    values[5] = 20.0
    few, many = (known(values, [*[400] * 5, number, *[0] * 4]).factors[5, 0, LOCATION] for number in (1, 400))
    assert few < many / 4
    assert many > 15.0


def test_growth_goes_on_at_lengths_that_are_not_known():
    """Where the known ones grow. Where they do not, it stays as it is."""
    numbers = [*[400] * 4, *[0] * 6]
    growing, flat = (known([*values, *[0.0] * 6], numbers) for values in ([2, 4, 8, 16], [16, 16, 16, 16]))
    assert (np.diff(growing.factors[:, 0, LOCATION]) > 0.0).all()
    assert growing.factors[-1, 0, LOCATION] > 2.0 * flat.factors[-1, 0, LOCATION]
    np.testing.assert_allclose(flat.factors[:, 0, LOCATION], 16.0, rtol=0.1)
    assert np.isfinite(growing.factors).all()


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.97, 0.99])
def test_the_degrees_of_freedom_keep_the_level(rho):
    """
    Of simulated estimates after 32 windows, Student's t with them is significant as often as the level says.

    A level of 1e-5 is that of a budget of one alarm a month.
    """
    random, counts = np.random.default_rng(1), np.array([128, 64, 32, 16, 8, 4, 2, 1, 0, 0])[:, None, None]
    draws = random.chisquare(np.maximum(counts, 1), (10, 20_000, 1)) / np.maximum(counts, 1)
    means = draws * differences(lambda n: design_effect(rho, n))[:, None, None]
    run = long_run(means, np.broadcast_to(counts, means.shape), LENGTHS)
    for level in (0, 3, 5):
        ratio = run.factors[level] / design_effect(rho, LENGTHS[level])
        for alpha in (1e-2, 1e-5):
            critical = scipy.stats.t.isf(alpha / 2, run.freedom[level])
            actual = 2.0 * scipy.stats.norm.sf(critical * np.sqrt(ratio)).mean()
            assert actual < 2.0 * alpha


def test_between_two_lengths_the_factor_is_the_geometric_mean():
    run = LongRun(np.array([100.0, 200.0]), np.array([[[2.0]], [[8.0]]]), np.array([[[30.0]], [[10.0]]]))
    for rows, factor, freedom in ((1, 2.0, 10.0), (100, 2.0, 10.0), (200, 8.0, 10.0), (1e9, 8.0, 10.0)):
        assert run.at(rows)[0] == pytest.approx(factor)
        assert run.at(rows)[1] == pytest.approx(freedom)
    assert run.at(100 * 2**0.5)[0] == pytest.approx(4.0)


@pytest.mark.parametrize("rows", [0.0, 0.5, 1.0, 1e300])
def test_any_number_of_rows_has_a_factor(rows):
    assert np.isfinite(known(np.ones(10), [10]).at(rows)[0]).all()
