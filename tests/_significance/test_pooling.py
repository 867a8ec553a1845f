"""Pooling groups neighbouring bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from driftline._binning.groups import sum_groups
from driftline._significance.pooling import pool_bins

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 30))


@given(arrays(np.float64, SHAPES, elements=st.floats(0, 50)), st.floats(0.5, 20))
def test_groups_are_neighbours_that_expect_enough_rows(expected, minimum):
    """Unless a whole feature has too few. No row is lost."""
    groups = pool_bins(expected, minimum)
    sums = sum_groups(expected, groups)
    assert (np.diff(groups, axis=1) >= 0).all()
    assert (np.diff(groups, axis=1) <= 1).all()
    assert sums.sum(axis=1) == pytest.approx(expected.sum(axis=1))
    for feature, group_sums, whole in zip(groups, sums, expected, strict=True):
        assert feature[0] == 0
        if whole.sum() >= minimum * (1 + 1e-9):
            assert (group_sums[: feature[-1] + 1] >= minimum * (1 - 1e-9)).all()
        else:
            assert feature[-1] == 0
