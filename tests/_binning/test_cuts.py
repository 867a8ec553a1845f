"""Cuts: between values, so that rounding moves none into another bin, and around values that have their own bin."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from driftline import Reference, Thresholds, Window
from driftline._binning.comparison import MAX_CUTS
from driftline._binning.cuts import FEW_VALUES, MOST_CUTS, QUANTILES, fit_numeric_bins, float_width
from driftline._binning.layout import binner
from driftline.testing import in_memory_monitor

WIDTHS = (np.float64, np.float32)
DECIMALS = st.integers(-(10**6), 10**6).map(lambda value: value / 1_000)
FEW = st.lists(DECIMALS, min_size=2, max_size=FEW_VALUES, unique=True).map(sorted)


def watched(trained, served, **arguments):
    """Return the state, and the scores by distance, of a window of *served* after training on *trained*."""
    monitor = in_memory_monitor(
        reference=Reference.fit({"x": trained}, numeric=["x"]),
        window=Window(rows=len(served)),
        distances=("psi", "js", "ks", "wasserstein", "mean"),
        **arguments,
    )
    monitor.observe({"x": served})
    monitor.flush()
    scores = {score.distance: score.value for score in monitor.scores() if score.length.startswith(str(len(served)))}
    return monitor.status()["x"].state, scores


def bin_of(bins, value):
    return int(binner(bins)(np.array([value], dtype=np.float64))[0])


# --- rounding ---------------------------------------------------------------------------------------------------------


@given(st.lists(DECIMALS, min_size=1, max_size=300), st.sampled_from(WIDTHS), st.sampled_from(WIDTHS))
def test_a_decimal_is_in_the_same_bin_at_every_width(values, trained, served):
    """Three digits after the point, few or many distinct ones."""
    column = np.array(values)
    bins = fit_numeric_bins(column.astype(trained).astype(np.float64), trained)
    expected = binner(bins)(column.astype(trained))
    np.testing.assert_array_equal(binner(bins)(column.astype(served)), expected)
    single = [int(binner(bins)([served(value)])[0]) for value in column.tolist()]
    assert single == expected.tolist()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=2 * FEW_VALUES))
def test_rounding_moves_no_value_past_a_neighbour(values):
    """The order of bins follows the order of values, after rounding too."""
    column = np.sort(np.array(values))
    bins = fit_numeric_bins(column)
    for width in WIDTHS:
        numbers = binner(bins)(column.astype(width).astype(np.float64))
        assert (np.diff(numbers) >= 0).all()
        assert numbers.min() > 0
        assert numbers.max() < len(bins.cuts)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("value", [0.7, -0.3, 1.01, 0.1 * 3])
@pytest.mark.parametrize(
    ("trained", "served"),
    [
        (np.float64, np.float32),
        (np.float32, np.float64),
        (np.float64, np.float16),
        (np.float32, np.float16),
        (np.float16, np.float64),
    ],
)
def test_another_width_of_a_spike_is_no_drift(share, value, trained, served):
    random = np.random.default_rng(0)

    def draw(rows):
        return np.where(random.random(rows) < share, value, random.normal(value + 0.2, 0.5, rows))

    reference, current = draw(20_000).astype(trained), draw(5_000)
    state, scores = watched(reference, current.astype(served))
    assert state == "stable"
    assert scores["psi"] < 0.02


@pytest.mark.parametrize("make", [pd.Series, pl.Series, pa.array, list, lambda values: [*map(np.float32, values)]])
def test_every_library_counts_float32_like_float64(make):
    random = np.random.default_rng(1)
    values = np.where(random.random(4_000) < 0.1, 0.7, np.round(random.normal(1, 0.5, 4_000), 3))
    reference = Reference.fit({"x": values})
    narrow = Reference.fit({"x": make(values.astype(np.float32))}, like=reference)
    assert narrow.features[0].counts == reference.features[0].counts


@pytest.mark.parametrize("leaves", [2, 20, 30, 200])
def test_outputs_of_a_tree_are_in_the_same_bin_at_every_width(leaves):
    """A prediction of 30 leaves is 30 spikes."""
    random = np.random.default_rng(2)
    outputs = random.choice(random.random(leaves), 20_000)
    bins = fit_numeric_bins(outputs)
    np.testing.assert_array_equal(binner(bins)(outputs.astype(np.float32)), binner(bins)(outputs))
    narrow = fit_numeric_bins(outputs.astype(np.float32).astype(np.float64), np.float32)
    np.testing.assert_array_equal(binner(narrow)(outputs.astype(np.float32)), binner(narrow)(outputs))


@pytest.mark.parametrize("values", [[0.3, 1.0], [0.3] * 1, np.append(0.3, np.linspace(1, 2, 50)).tolist()])
def test_an_error_of_arithmetic_is_no_other_value(values):
    """0.1 * 3 is not 0.3 in binary."""
    column = np.array(values * 10)
    bins = fit_numeric_bins(column)
    assert bin_of(bins, 0.1 * 3) == bin_of(bins, 0.3)
    mixed = fit_numeric_bins(np.append(column, [0.1 * 3] * 9))
    assert bin_of(mixed, 0.1 * 3) == bin_of(mixed, 0.3)
    assert len(mixed.known_values) == len(bins.known_values)


def test_the_difference_of_equal_numbers_is_zero():
    """0.3 - 0.1 * 3 is -5.6e-17 in float64."""
    bins = fit_numeric_bins(np.array([0.0, 1.0] * 9))
    assert bin_of(bins, 0.3 - 0.1 * 3) == bin_of(bins, 0.0)


# --- constants --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constant", "other"),
    [
        (1e9, 1e9 + 50),
        (1e9, 1e9 + 1),
        (1_700_000_000.0, 1_700_000_060.0),
        (1_700_000_000.1, 1_700_000_050.1),
        (123_456_789.25, 123_456_839.25),
        (0.1, 0.1001),
        (0.1, 0.0999),
        (1 / 3, 0.334),
        (0.0, 1e-30),
        (1e139, 1.1e139),
        (2.0**53, 2.0**53 + 2),
    ],
)
def test_another_constant_drifts(constant, other):
    """A step of float32 at 1e9 is 64."""
    assert watched(np.full(5_000, constant), np.full(1_000, other))[0] == "drifting"


@pytest.mark.parametrize(
    "constant", [0.1, 1 / 3, -7.7, 1e9, 1e9 + 50, 1_700_000_000.1, 16_777_217.0, 123_456_789.25, 1e-50, 5e-324, 3.4e38]
)
@pytest.mark.parametrize(("trained", "served"), [(np.float64, np.float32), (np.float32, np.float64)])
def test_a_constant_of_another_width_is_stable(constant, trained, served):
    state, _ = watched(np.full(5_000, constant, dtype=trained), np.full(1_000, constant).astype(served))
    assert state == "stable"


# --- few values -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(FEW, st.randoms(use_true_random=False))
def test_scores_of_few_values_are_those_of_the_sample(values, generator):
    """`ks` is off by the largest share in one bin at most, `wasserstein` and `mean` by half of its width."""
    random = np.random.default_rng(generator.getrandbits(32))
    weights = random.dirichlet(np.ones(len(values)))
    trained = np.append(random.choice(values, 500, p=weights), values)
    served = np.where(random.random(300) < 0.5, random.choice(values, 300), random.uniform(values[0], values[-1], 300))
    _, scores = watched(trained, served, rule=Thresholds(ks=1.0, mean=1.0))
    bins = Reference.fit({"x": trained}, numeric=["x"]).features[0].bins
    numbers, deviation = binner(bins)(served), trained.std()
    own = {bin_of(bins, value) for value in values}
    between = np.bincount(numbers, minlength=bins.size) * [number not in own for number in range(bins.size)]
    true = stats.ks_2samp(trained, served).statistic
    assert true - between.max() / len(served) - 1e-9 <= scores["ks"] <= true + 1e-9
    width = np.diff(bins.cuts).max() / deviation
    assert scores["wasserstein"] == pytest.approx(
        stats.wasserstein_distance(trained, served) / deviation, abs=width / 2 + 1e-6
    )
    assert scores["mean"] == pytest.approx(abs(served.mean() - trained.mean()) / deviation, abs=width / 2 + 1e-6)


@given(FEW)
def test_each_of_few_values_has_its_own_bin(values):
    """The number of cuts is bounded, and a group has one value at most."""
    bins = fit_numeric_bins(np.repeat(values, 3))
    assert bins.known_values == tuple(values)
    assert len({bin_of(bins, value) for value in values}) == len(values)
    assert len(bins.cuts) <= MOST_CUTS <= MAX_CUTS
    assert len(bins.groups) == len(bins.cuts) + 1
    assert len({bins.groups[bin_of(bins, value)] for value in values}) == len(values)


@pytest.mark.parametrize(
    ("known", "move"),
    [
        ([0.0, 100.0], lambda random, y: random.uniform(0, 100, len(y))),
        ([0.0, 1.0], lambda _, y: np.where(y == 0, 0.49, y)),
        ([0.0, 1.0], lambda _, y: np.where(y == 0, 0.1, y)),
        ([0.0, 1.0], lambda _, y: np.where(y == 0, 0.9, y)),
        ([0.0, 1.0], lambda _, y: np.where(y == 0, -0.5, y)),
        ([1.0, 2.0, 3.0, 4.0, 5.0], lambda random, y: y + random.uniform(-0.5, 0.5, len(y))),
        ([0.1, 0.2, 0.3, 0.4, 0.5], lambda _, y: y + 0.05),
        ([0.1, 0.2, 0.3, 0.4, 0.5], lambda _, y: np.minimum(y + 0.05, 0.5)),
        (list(range(20)), lambda _, y: np.minimum(y + 2.5, 19)),
    ],
)
def test_values_that_training_did_not_have_drift(known, move):
    random = np.random.default_rng(3)
    trained, served = random.choice(known, 20_000).astype(float), random.choice(known, 5_000).astype(float)
    assert watched(trained, served)[0] == "stable"
    assert watched(trained, move(random, served))[0] == "drifting"


@pytest.mark.parametrize("top", [math.inf, 0.5])
def test_a_small_move_of_few_values_is_a_small_score(top):
    """A twentieth of a standard deviation, with and without the largest value, although every value is another one."""
    random, known = np.random.default_rng(0), [0.1, 0.2, 0.3, 0.4, 0.5]
    trained, served = random.choice(known, 20_000), np.minimum(random.choice(known, 5_000) + 0.004, top)
    state, scores = watched(trained, served)
    assert state == "stable"
    assert scores["psi"] < 0.01
    assert scores["ks"] == pytest.approx(stats.ks_2samp(trained, served).statistic, abs=0.01)


@pytest.mark.parametrize("values", [21, 25, 40, 60])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_small_move_of_the_largest_of_many_values_is_no_drift(values, sign):
    """With more than `FEW_VALUES`, too."""
    random, known = np.random.default_rng(5), sign * np.linspace(0, 1, values)
    trained, served = random.choice(known, 20_000), random.choice(known, 5_000)
    assert watched(trained, served + sign * 0.1 / values)[0] == "stable"
    assert watched(trained, served + sign * 0.2)[0] == "drifting"


def test_rare_values_between_known_ones_are_no_score_of_a_small_window():
    """Bins that neither side fills add nothing, however many they are."""
    random = np.random.default_rng(4)
    trained, served = random.choice(20, 20_000).astype(float), random.choice(20, 5_000).astype(float)
    _, whole = watched(trained, served)
    _, few = watched(trained, served[:300])
    assert whole["psi"] < 0.02
    assert few["psi"] < 0.15


def test_a_spike_that_moves_between_whole_numbers_drifts():
    """More than twenty distinct values, half of the rows 0."""
    random = np.random.default_rng(5)

    def draw(rows):
        return np.where(random.random(rows) < 0.5, 0.0, random.poisson(20, rows) + 0.0)

    trained, served = draw(20_000), draw(5_000)
    assert len(np.unique(trained)) > FEW_VALUES
    assert watched(trained, served)[0] == "stable"
    assert watched(trained, np.where(served == 0, 2.49, served))[0] == "drifting"


# --- many values ------------------------------------------------------------------------------------------------------


def test_cuts_of_a_continuous_column_are_between_the_values_at_quantiles():
    values = np.random.default_rng(0).normal(size=5_000)
    bins = fit_numeric_bins(values)
    shares = [(values < cut).mean() for cut in bins.cuts[1:-1]]
    assert shares == pytest.approx(QUANTILES, abs=0.0025)
    assert not set(bins.cuts) & set(values.tolist())
    assert bins.groups == bins.known_values == ()


@pytest.mark.parametrize(
    "values",
    [
        [1.0, np.nextafter(1.0, 2.0)],
        [0.0, 5e-324],
        [5e-324, 1e-323, 1.5e-323],
        [-(2.0**53), 2.0**53, 2.0**53 + 2, 2.0**60],
        [1e139, -1e139, 1e140],
        [math.inf, -math.inf, 1.0],
        (1e9 + np.arange(16)).tolist(),
        (2.0**53 + 2 * np.arange(100)).tolist(),
        np.cumsum([1.0, *[math.ulp(1.0)] * 60]).tolist(),
        [np.finfo(np.float64).max, 1.0, 2.0],
    ],
    ids=lambda values: f"{len(values)} from {values[0]:g}",
)
def test_bins_of_extreme_values_are_in_order(values):
    column = np.sort(np.array(values * 3))
    bins = fit_numeric_bins(column)
    assert list(bins.cuts) == sorted(set(bins.cuts))
    assert (np.diff(binner(bins)(column)) >= 0).all()
    reference = Reference.fit({"x": column}, numeric=["x"])
    assert Reference.from_json(reference.to_json()) == reference


def test_whole_numbers_that_float32_cannot_tell_apart_have_bins():
    """As float64 they are distinct."""
    bins = fit_numeric_bins(np.repeat(1e9 + np.arange(16), 5))
    assert len({bin_of(bins, value) for value in bins.known_values}) == 16


def test_the_width_of_a_column_is_known_if_all_values_have_it():
    assert float_width(np.array([0.5], dtype=np.float16)) is np.float16
    assert float_width([np.float32(0.5)] * 2) is np.float32
    assert float_width([np.float32(0.5), 0.5]) is None
    assert float_width([0.5]) is None
