"""Sums of errors: exact at every scale, and they add and subtract."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.outcomes._exact_sums import ERRORS_SIZE, count_errors, error_moments, unusable_errors
from driftline.outcomes._metrics import performance
from driftline.outcomes._snapshot import OutcomeSnapshot

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=30))
def test_means_equal_those_of_fractions(pairs):
    """Of subnormal and of huge floats too, and of differences that no float holds."""
    predictions, actuals = np.array(pairs).T
    moments = error_moments(count_errors(predictions, actuals))
    with np.errstate(over="ignore"):
        rounded = predictions - actuals
    halves = [
        2 * Fraction(value / 2 - actual / 2) if math.isinf(error) else Fraction(error)
        for (value, actual), error in zip(pairs, rounded.tolist(), strict=True)
    ]
    unit = Fraction(2) ** moments.exponent
    for value, power, absolute in ((moments.mean, 1, False), (moments.absolute, 1, True)):
        exact = sum(abs(error) if absolute else error for error in halves) / len(halves) / unit**power
        assert value == float(exact)
    squares = sum(error**2 for error in halves) / len(halves) / unit**2
    assert moments.square == pytest.approx(float(squares), rel=1e-15)
    fourth = sum(error**4 for error in halves) / len(halves) / unit**4
    assert moments.fourth == pytest.approx(float(fourth), rel=2e-15)


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=20), st.lists(st.tuples(FLOATS, FLOATS), max_size=20))
def test_sums_of_parts_are_the_sum_of_the_whole(left, right):
    """A difference undoes a sum to the last bit, whatever the scales."""
    sums = [count_errors(*np.array(part).reshape(-1, 2).T) for part in (left, right, left + right)]
    for part, whole in ((sums[0] + sums[1], sums[2]), (sums[2] - sums[1], sums[0])):
        assert error_moments(part) == error_moments(whole)


def test_many_chunks_do_not_overflow():
    """Limbs have room for 2^39 errors."""
    sums = count_errors(np.full(512, 1.75e308), np.zeros(512)) * 2**29
    moments = error_moments(sums)
    assert moments.rows == 2**38
    assert moments.scaled(moments.absolute) == 1.75e308
    assert len(sums) == ERRORS_SIZE


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-12, 1.0, 1e10, 1e15, 1e300])
def test_metrics_are_exact_at_every_scale(scale):
    """In the issue's table they were 0 below 2^-32 and 4.5e9 above 2^32."""
    random = np.random.default_rng(1)
    errors = scale * random.normal(0.5, 1.0, 1_000)
    measured = {
        metric.metric: metric for metric in performance(OutcomeSnapshot(errors=count_errors(errors, errors * 0)), ())
    }
    assert measured["mae"].value == pytest.approx(math.fsum(np.abs(errors) / 1_000), rel=1e-12, abs=1e-323)
    assert measured["bias"].value == pytest.approx(math.fsum(errors / 1_000), rel=1e-12, abs=1e-323)
    root = float(np.sqrt(np.mean((errors / scale) ** 2)) * scale)
    assert measured["rmse"].value == pytest.approx(root, rel=1e-12, abs=1e-323)
    for metric in measured.values():
        assert metric.lower <= metric.value <= metric.upper


def test_errors_that_cannot_be_represented_withhold_the_metrics():
    """They are counted. So is a mean beyond the largest float: it is not exported."""
    sums = count_errors(np.array([1.0, np.inf, np.nan]), np.zeros(3))
    assert unusable_errors(sums) == 2
    assert performance(OutcomeSnapshot(errors=sums), ()) == ()
    huge = count_errors(np.array([1.7e308, 1.7e308]), np.array([-1.7e308, -1.7e308]))
    assert performance(OutcomeSnapshot(errors=huge), ()) == ()
    assert error_moments(huge).absolute > 0


def test_one_error_has_no_interval_and_no_metric():
    assert performance(OutcomeSnapshot(errors=count_errors(np.array([1.0]), np.zeros(1))), ()) == ()
    zero = performance(OutcomeSnapshot(errors=count_errors(np.zeros(5), np.zeros(5))), ())
    assert {metric.value for metric in zero} == {0.0}
