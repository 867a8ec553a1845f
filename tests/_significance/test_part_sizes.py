"""The size of each part of a difference: its unit, its correction for chance, and where it does not apply."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.layout import Layout, binner
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, SHAPE, SPREAD
from driftline._significance.part_sizes import PartSizes

ROWS = 20_000
FIVE = np.array([60, 30, 20, 15, 12]) / 137
CATEGORIES = np.array(list("abcde"), dtype=object)


@pytest.fixture(scope="module")
def normal():
    """Values of a normal feature."""
    return np.random.default_rng(1).normal(size=ROWS)


def sizes_of(training, *windows, factor=1.0):
    """Return the mean size of each part over windows of one feature."""
    features = Reference.fit({"x": training}).features
    layout = Layout(features)
    measure, bin_column = PartSizes(features, layout), binner(features[0].bins)
    counts = [np.bincount(bin_column(window), minlength=layout.total) for window in windows]
    return np.mean([measure(each, None, np.full((1, 5), factor))[0] for each in counts], axis=0)


def five(random, shares, rows):
    """Return values of a feature of five categories."""
    return CATEGORIES[random.choice(5, size=rows, p=shares)]


@pytest.mark.parametrize("shift", [0.1, 0.22, 0.5, 1.0])
def test_location_is_the_shift_of_a_normal_feature(normal, shift):
    """In its standard deviations, up and down alike."""
    random = np.random.default_rng(2)
    for sign in (-1, 1):
        sizes = sizes_of(normal, random.normal(size=200_000) + sign * shift)
        assert sizes[LOCATION] == pytest.approx(shift, abs=0.02)
        assert abs(sizes[SPREAD]) < 0.03


@pytest.mark.parametrize("factor", [0.7, 0.87, 1.15, 1.4])
def test_spread_is_the_factor_of_a_normal_feature(normal, factor):
    """As the absolute value of its logarithm, so that half and double are equally large."""
    sizes = sizes_of(normal, np.random.default_rng(3).normal(size=200_000) * factor)
    assert sizes[SPREAD] == pytest.approx(abs(np.log(factor)), abs=0.02)
    assert abs(sizes[LOCATION]) < 0.02


@pytest.mark.parametrize("points", [0.02, 0.05, 0.1])
def test_mix_is_the_share_of_rows_in_another_category(points):
    """The share that changed from the most frequent category to the third."""
    random = np.random.default_rng(4)
    moved = FIVE + points * np.array([-1, 0, 1, 0, 0])
    sizes = sizes_of(five(random, FIVE, ROWS), five(random, moved, 200_000))
    assert sizes[SHAPE] == pytest.approx(points, abs=0.008)
    assert np.isnan(sizes[[LOCATION, SPREAD]]).all()


def test_the_far_tail_is_a_share_of_the_rows(normal):
    """However far out it is, and however many rows are usual."""
    window = np.random.default_rng(5).normal(size=2_000)
    window[:20] = 3 * normal.max()
    assert sizes_of(normal, window)[OUTSIDE] == pytest.approx(0.01, abs=0.001)


def test_a_new_category_is_a_share_of_the_rows_beyond_those_to_be_expected():
    """Where every tenth row of the training data has a separate category, every tenth new row is no change."""
    random = np.random.default_rng(6)
    training = five(random, FIVE, ROWS)
    window = five(random, FIVE, 2_000)
    window[:20] = "new"
    assert sizes_of(training, window)[OUTSIDE] == pytest.approx(0.01, abs=0.001)
    single = random.random(ROWS) < 0.1
    training[single] = [f"id {row}" for row in np.flatnonzero(single)]
    window[:200] = [f"further id {row}" for row in range(200)]
    assert abs(sizes_of(training, window)[OUTSIDE]) < 0.01


def test_missing_is_the_change_of_the_share(normal):
    """Up or down."""
    training = normal.copy()
    training[::10] = np.nan
    window = np.random.default_rng(7).normal(size=20_000)
    window[:3_000] = np.nan
    assert sizes_of(training, window)[MISSING] == pytest.approx(0.05, abs=0.002)
    window[600:] = 0.5
    assert sizes_of(training, window)[MISSING] == pytest.approx(0.07, abs=0.002)


@pytest.mark.parametrize("rows", [200, 1_000])
def test_without_drift_every_size_is_zero_on_average(normal, rows):
    """Whatever the rows of a window are, although chance alone changes every bin."""
    random = np.random.default_rng(8)
    sizes = sizes_of(normal, *(random.normal(size=rows) for _ in range(300)))
    assert abs(sizes[LOCATION]) < 0.02
    assert abs(sizes[SPREAD]) < 0.02
    assert abs(sizes[SHAPE]) < 0.005
    assert abs(sizes[OUTSIDE]) < 0.001
    random = np.random.default_rng(9)
    mixes = [five(random, FIVE, rows) for _ in range(300)]
    assert abs(sizes_of(five(random, FIVE, ROWS), *mixes)[SHAPE]) < 0.005


def test_a_clump_of_dependent_rows_is_small(normal):
    """What is large for independent rows may be a single event."""
    window = np.random.default_rng(10).normal(size=500) + 0.25
    window[:10] = 3 * normal.max()
    window[10:30] = np.nan
    independent, dependent = (sizes_of(normal, window, factor=factor) for factor in (1.0, 60.0))
    assert (independent[[LOCATION, OUTSIDE, MISSING]] > [0.15, 0.015, 0.03]).all()
    assert (dependent[[LOCATION, OUTSIDE, MISSING]] < 0).all()


def test_values_that_move_by_a_tiny_amount_are_no_change():
    """The bins beside a known value count with it, as they do in PSI."""
    values = np.random.default_rng(11).integers(0, 4, ROWS).astype(float)
    assert abs(sizes_of(values, values + 0.01)[[LOCATION, SPREAD, SHAPE]]).max() < 0.03


def test_parts_that_do_not_apply_are_nan():
    """A constant has nothing to move within, and a window without values has a share of missing ones only."""
    constant = sizes_of(np.full(1_000, 2.0), np.r_[np.full(900, 2.0), np.full(100, 3.0)])
    assert np.isnan(constant[[LOCATION, SPREAD]]).all()
    assert constant[OUTSIDE] == pytest.approx(0.1, abs=0.01)
    missing = sizes_of(np.arange(1_000.0), np.full(300, np.nan))
    assert missing[MISSING] == pytest.approx(1.0, abs=0.01)
    assert np.isnan(missing[[LOCATION, SPREAD, SHAPE, OUTSIDE]]).all()
    assert np.isnan(sizes_of(np.arange(1_000.0), np.array([]))).all()


def test_features_have_the_same_sizes_together_and_alone():
    """Whatever their kinds and widths, and whether counts are compared with the reference or a season of it."""
    random = np.random.default_rng(12)
    columns = {
        "normal": random.normal(size=2_000),
        "few": random.integers(0, 5, 2_000).astype(float),
        "text": five(random, FIVE, 2_000),
        "many": np.array([f"c{code}" for code in random.integers(0, 40, 2_000)], dtype=object),
        "constant": np.ones(2_000),
    }
    features = Reference.fit(columns).features
    layout = Layout(features)
    counts = random.integers(0, 90, layout.total)
    expected = random.integers(1, 900, layout.total).astype(float)
    factor = random.uniform(1, 5, (len(features), 5))
    for against in (None, expected):
        together = PartSizes(features, layout)(counts, against, factor)
        for index, (feature, bins) in enumerate(zip(features, layout.slices, strict=True)):
            alone = PartSizes([feature], Layout([feature]))
            usual = None if against is None else against[bins]
            np.testing.assert_allclose(alone(counts[bins], usual, factor[[index]])[0], together[index], rtol=1e-9)


@pytest.mark.parametrize("size", [0, 1, 10**12])
def test_no_count_is_too_small_or_too_large(size):
    """A window of no rows, of one row, and of a million millions."""
    features = Reference.fit({"x": np.arange(500.0), "c": five(np.random.default_rng(0), FIVE, 500)}).features
    layout = Layout(features)
    for bin_number in range(layout.total):
        counts = np.zeros(layout.total, dtype=np.int64)
        counts[bin_number] = size
        with np.errstate(all="raise"):
            sizes = PartSizes(features, layout)(counts)
        assert not np.isinf(sizes).any()
