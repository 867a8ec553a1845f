"""Values between known numbers of rows."""

import numpy as np
import pytest

from driftline._significance.interpolation import Between

KNOWN = np.array([1.0, 10.0, 1_000.0])
VALUES = np.array([[1.0, 2.0], [10.0, 2.0], [1_000.0, 8.0]])


def test_a_power_of_the_rows_stays_a_power():
    for rows in (1.0, 3.0, 10.0, 77.0, 1_000.0):
        assert Between.of(KNOWN, rows).mean(VALUES)[0] == pytest.approx(rows)


def test_halfway_in_the_logarithm_is_the_geometric_mean():
    assert Between.of(KNOWN, 100.0).mean(VALUES)[1] == pytest.approx(4.0)


@pytest.mark.parametrize(("rows", "nearest"), [(0.2, 0), (1.0, 0), (10.0, 1), (1_000.0, 2), (1e9, 2)])
def test_known_numbers_and_all_beyond_the_ends_have_known_values(rows: float, nearest: int):
    between = Between.of(KNOWN, rows)
    assert (between.low, between.share) == (nearest, 0.0)
    assert between.mean(VALUES).tolist() == VALUES[nearest].tolist()


def test_one_known_number_is_everywhere():
    assert Between.of(np.array([5.0]), 77.0) == (0, 0, 0.0)


def test_a_number_that_is_known_twice_has_the_later_value():
    assert Between.of(np.array([1.0, 1.0, 4.0]), 1.0).low == 1


def test_an_unknown_value_stays_unknown():
    assert np.isnan(Between.of(KNOWN, 100.0).mean(np.array([1.0, np.nan, 2.0])))
