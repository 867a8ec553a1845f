"""The correlation between rows of a key, from the variation between groups of keys: against simulated truth."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.cluster_bins import MAX_CLUSTER_BINS, ClusterBins
from driftline._significance.cluster_learner import ClusterLearner, KnownClusters
from driftline._significance.clusters import Correlations, key_rows, measure_variation
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, SHAPE, SPREAD

BUCKETS = 128


VALUES = np.random.default_rng(9).standard_normal((2, 5_000))


def normal_bins():
    return ClusterBins.of(Reference.fit({"x": VALUES[0], "y": VALUES[1]}).features)


def draw(rng, sizes, correlation):
    """The user of each row and two columns: the first with a correlation within users, the second independent."""
    user = np.repeat(np.arange(len(sizes)), sizes)
    between = rng.standard_normal(len(sizes))[user]
    x = np.sqrt(correlation) * between + np.sqrt(1 - correlation) * rng.standard_normal(len(user))
    return user, [x, rng.standard_normal(len(user))]


def count(bins, groups, columns, number):
    table = np.zeros((number, bins.total), dtype=np.int64)
    for index, column in enumerate(columns):
        np.add.at(table, (groups, bins.numbers(index, column, len(groups)) + bins.offsets[index]), 1)
    return table


REFERENCE = count(normal_bins(), np.zeros(5_000, dtype=int), VALUES, 1)[0]


def windows(rng, bins, number, sizes, correlation):
    """Tables of windows of hashed users, with their columns."""
    for _ in range(number):
        drawn = sizes(rng)
        user, columns = draw(rng, drawn, correlation)
        yield count(bins, rng.integers(0, BUCKETS, len(drawn))[user], columns, BUCKETS), columns


SIZES = {
    "of one row": lambda rng: np.ones(1_000, dtype=int),
    "of four rows": lambda rng: np.full(250, 4),
    "of 1 to 200 rows": lambda rng: rng.integers(1, 201, 10),
    "one large among small": lambda rng: np.array([600, *[2] * 200]),
    "Pareto": lambda rng: np.minimum(1 / rng.random(150), 1_000).astype(int),
}


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("exact", [True, False])
def test_the_sum_of_squared_rows_of_users_is_right_on_average(sizes, exact):
    rng = np.random.default_rng(1)
    drawn = [SIZES[sizes](rng) for _ in range(200)]
    groups = [users if exact else np.bincount(rng.integers(0, BUCKETS, len(users)), users, BUCKETS) for users in drawn]
    mean = np.mean([key_rows(rows, exact=exact) for rows in groups])
    assert mean == pytest.approx(np.mean([(users**2).sum() for users in drawn]), rel=0.1)


@pytest.mark.parametrize("sizes", [name for name in SIZES if name != "of one row"])
@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.5])
def test_the_correlation_is_found_whatever_the_sizes_of_users(sizes, correlation):
    rng, bins = np.random.default_rng(2), normal_bins()
    known = Correlations.none(2)
    for table, _ in windows(rng, bins, 150, SIZES[sizes], correlation):
        known = known.plus(measure_variation(table, bins, exact=False))
    values = known.values
    assert values[0, LOCATION] == pytest.approx(0.96 * correlation, abs=0.08 if "large" in sizes else 0.03)
    assert values[1, [LOCATION, SPREAD, SHAPE]] == pytest.approx([0.0, 0.0, 0.0], abs=0.01)


def test_the_variance_of_the_mean_of_a_window_is_right():
    """Ratios of the variance of mean scores over windows to what the inflation says, for windows of any sizes."""
    rng, bins = np.random.default_rng(3), normal_bins()
    learner = ClusterLearner(bins, REFERENCE, (1,), BUCKETS)
    ratios = []
    for table, columns in windows(rng, bins, 400, SIZES["Pareto"], 0.5):
        learner.learn(table)
        rows = len(columns[0])
        factor = learner.inflations(table[:, : bins.missing[0] + 1].sum(axis=1), rows, 1)[0].factor[0, LOCATION]
        ratios.append(np.mean(columns[0]) ** 2 * rows / factor)
    assert np.mean(ratios[50:]) == pytest.approx(1.0, abs=0.2)


def test_a_drift_of_all_users_is_no_variation():
    rng, bins = np.random.default_rng(4), normal_bins()
    values = []
    for shift in (0.0, 0.5):
        known = Correlations.none(2)
        for _ in range(50):
            user, columns = draw(rng, np.full(250, 4), 0.3)
            table = count(bins, rng.integers(0, BUCKETS, 250)[user], [columns[0] + shift, columns[1]], BUCKETS)
            known = known.plus(measure_variation(table, bins, exact=False))
        values.append(known.values[0, LOCATION])
    assert values[1] == pytest.approx(values[0], abs=0.05)


def test_rare_values_of_one_key_count_as_one_event():
    bins = normal_bins()
    rng = np.random.default_rng(5)
    learner = ClusterLearner(bins, REFERENCE, (1, 4), BUCKETS)
    for clump in (False, True):
        user, columns = draw(rng, np.full(1_000, 1), 0.0)
        if clump:
            user = np.where(np.arange(1_000) < 30, 0, user)
            columns[1][:30] = np.nan
        table = count(bins, rng.integers(0, BUCKETS, 1_000)[user], columns, BUCKETS)
        learner.learn(table)
        inflation = learner.inflations(table[:, : bins.missing[0] + 1].sum(axis=1), 1_000, 1)[0]
        assert (inflation.factor[1, MISSING] > 20) == clump


def test_sums_of_windows_do_not_depend_on_how_they_are_added():
    rng, bins = np.random.default_rng(6), normal_bins()
    variations = [
        measure_variation(table, bins, exact=False) for table, _ in windows(rng, bins, 4, SIZES["Pareto"], 0.3)
    ]
    whole = Correlations.none(2)
    parts = [Correlations.none(2), Correlations.none(2)]
    for index, variation in enumerate(variations):
        whole = whole.plus(variation)
        parts[index % 2] = parts[index % 2].plus(variation)
    for own, other in zip(whole.sums, (parts[0] + parts[1]).sums, strict=True):
        assert own == pytest.approx(other)


def test_inflation_without_knowledge_is_that_of_one_key_for_rates():
    inflation = Correlations.none(3).inflation(10.0)
    assert (inflation.factor[:, [LOCATION, SPREAD, SHAPE]] == 1.0).all()
    assert (inflation.factor[:, [OUTSIDE, MISSING]] == 10.0).all()
    assert np.isinf(inflation.freedom).all()
    assert (Correlations.none(3).inflation(1.0).factor == 1.0).all()


def test_what_the_reference_knows_counts_until_traffic_knows_better():
    rng, bins = np.random.default_rng(7), normal_bins()
    prior = Correlations.none(2)
    for table, _ in windows(rng, bins, 50, SIZES["of four rows"], 0.8):
        prior = prior.plus(measure_variation(table, bins, exact=False))
    learner = ClusterLearner(bins, REFERENCE, (1, 4), BUCKETS, KnownClusters(prior, 4.0, np.ones((2, 5))))
    rows = np.full(BUCKETS, 40)
    before = learner.inflations(rows, 5_120, 1)[1].factor[0, LOCATION]
    for table, _ in windows(rng, bins, 64, SIZES["of four rows"], 0.0):
        learner.learn(table)
    keys = np.bincount(rng.integers(0, BUCKETS, 250), np.full(250, 4.0), BUCKETS)
    assert learner.inflations(keys, 1_000, 1)[0].factor[0, LOCATION] == pytest.approx(1.0, abs=0.3)
    assert learner.inflations(keys, 1_000, 1)[1].factor[0, LOCATION] == before > 2.5


def test_a_learner_begins_with_what_another_has_learned():
    """So the first window of a process has the inflation of its keys."""
    rng, bins = np.random.default_rng(9), normal_bins()
    before = ClusterLearner(bins, REFERENCE, (1, 4), BUCKETS)
    for table, _ in windows(rng, bins, 50, SIZES["of four rows"], 0.8):
        before.learn(table)
    kept = Correlations.of_rows(list(before.correlations.rows))
    keys = np.bincount(rng.integers(0, BUCKETS, 250), np.full(250, 4.0), BUCKETS)
    factors = [
        ClusterLearner(bins, REFERENCE, (1, 4), BUCKETS, None, learned)
        .inflations(keys, 1_000, 1)[0]
        .factor[0, LOCATION]
        for learned in (None, kept)
    ]
    assert factors[0] == 1.0
    assert factors[1] == pytest.approx(before.inflations(keys, 1_000, 1)[0].factor[0, LOCATION], rel=0.1)
    assert factors[1] > 2.5


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_tiny_windows_give_finite_numbers(rows):
    bins = normal_bins()
    learner = ClusterLearner(bins, REFERENCE, (1, 4, 16), BUCKETS)
    table = count(bins, np.zeros(rows, dtype=int), [np.zeros(rows)] * 2, BUCKETS)
    for _ in range(20):
        learner.learn(table)
    inflation = learner.inflations(np.bincount(np.zeros(rows, dtype=int), minlength=BUCKETS), rows, 16)[0]
    assert np.isfinite(inflation.factor).all()
    assert (inflation.factor >= 1.0).all()
    assert (inflation.freedom >= 1.0).all()


@pytest.mark.parametrize(
    "column",
    [
        np.random.default_rng(1).integers(0, 500, 20_000).astype(float) ** 2,
        [f"c{number}" for number in np.random.default_rng(2).zipf(1.3, 20_000)],
        ["a", "b"] * 50,
        [1.0] * 100,
        [None] * 50 + [1.0] * 50,
        [True, False] * 50,
    ],
)
def test_bins_are_few_and_keep_the_outer_ones(column):
    feature = Reference.fit({"x": column}, max_categories=200).features[0]
    bins = ClusterBins.of([feature])
    assert bins.total <= MAX_CLUSTER_BINS
    assert bins.layout_bins.tolist()[-1] == bins.missing[0] == bins.total - 1
    assert bins.layout_bins.tolist()[-2] == bins.outside[0, 1]
    assert set(bins.layout_bins.tolist()) == set(range(bins.total))
    numbers = bins.numbers(0, column, len(column))
    assert (
        np.bincount(numbers, minlength=bins.total).tolist()
        == np.bincount(bins.layout_bins, feature.counts, bins.total).astype(int).tolist()
    )
