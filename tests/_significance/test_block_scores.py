"""Squared differences of blocks are 1 on average if rows are independent, in each part of each kind of feature."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.layout import Layout
from driftline._significance.block_scores import BlockScores
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, SHAPE, SPREAD

FEATURES = ("normal", "skewed", "few", "name")


@pytest.fixture(scope="module")
def reference():
    """Numeric features of three kinds and a categorical one, each with values missing."""
    random = np.random.default_rng(0)
    rows = 10_000
    columns = {
        "normal": random.normal(size=rows),
        "skewed": random.lognormal(size=rows),
        "few": random.integers(0, 5, rows).astype(float),
        "name": random.choice(["a", "b", "c", "d"], rows, p=[0.5, 0.3, 0.15, 0.05]).astype(object),
    }
    for column in columns.values():
        column[random.random(rows) < 0.05] = None
    return Reference.fit({name: list(column) for name, column in columns.items()})


@pytest.fixture(scope="module")
def scores(reference):
    return BlockScores(reference.features, Layout(reference.features))


def shares(reference, name=None, moved=None):
    """Return the shares of the bins, and those of one feature changed by a function."""
    parts = [np.array(each.counts) / sum(each.counts) for each in reference.features]
    if name is not None:
        parts[FEATURES.index(name)] = moved(parts[FEATURES.index(name)])
    return parts


def draw(parts, rows, pairs=4_000, seed=0):
    """Return the counts of independent blocks, shape (pairs, bins + 1)."""
    random = np.random.default_rng(seed)
    counts = [random.multinomial(rows, part, size=pairs) for part in parts]
    return np.concatenate([*counts, np.zeros((pairs, 1), dtype=np.int64)], axis=1)


def flat(parts):
    """Return the counts of a million rows with these shares."""
    return np.append(np.concatenate(parts) * 1e6, 0.0)


@pytest.mark.parametrize(("first", "second"), [(250, 250), (100, 400), (2_000, 1_000), (30, 30)])
def test_squares_of_independent_rows_are_one_on_average(reference, scores, first, second):
    """In location, spread and shape. Those of rates are the variance of a rate."""
    parts = shares(reference)
    squares = scores.compare(draw(parts, first), draw(parts, second, seed=1), flat(parts)).mean(axis=0)
    slack = 0.12
    assert squares[:3, LOCATION] == pytest.approx(1.0, abs=slack)
    assert squares[:3, SPREAD] == pytest.approx(1.0, abs=slack)
    assert squares[:, SHAPE] == pytest.approx(1.0, abs=slack)
    rates = np.array([part[-1] for part in parts])
    assert squares[:, MISSING] == pytest.approx(rates * (1 - rates), rel=slack)
    assert squares[:, OUTSIDE] == pytest.approx(0.0, abs=1e-3)
    assert not squares[3, LOCATION]
    assert not squares[3, SPREAD]


def test_a_difference_of_location_is_in_location(reference, scores):
    """More than in the shape, which has what is not linear in the ranks."""
    usual = shares(reference)
    up = shares(reference, "normal", lambda part: np.append(np.roll(part[:-1], 1), part[-1]))
    squares = scores.compare(draw(usual, 500), draw(up, 500, seed=1), flat(usual)).mean(axis=0)
    assert squares[0, LOCATION] > 20.0
    assert squares[0, LOCATION] > 4.0 * squares[0, SHAPE]
    assert squares[1:3, LOCATION] == pytest.approx(1.0, abs=0.12)


def test_a_difference_of_the_mix_is_in_the_shape(reference, scores):
    usual = shares(reference)
    other = shares(reference, "name", lambda part: np.append(part[:4][::-1], part[4:]))
    squares = scores.compare(draw(usual, 500), draw(other, 500, seed=1), flat(usual)).mean(axis=0)
    assert squares[3, SHAPE] > 5.0
    assert squares[3, MISSING] == pytest.approx(0.05 * 0.95, rel=0.2)


def test_more_missing_values_are_a_difference_of_that_rate(reference, scores):
    usual = shares(reference)
    more = shares(reference, "normal", lambda part: np.append(part[:-1] * 0.8 / 0.95, 0.2))
    squares = scores.compare(draw(usual, 500), draw(more, 500, seed=1), flat(usual)).mean(axis=0)
    assert squares[0, MISSING] > 50.0 * squares[1, MISSING]
    assert squares[0, LOCATION] == pytest.approx(1.0, abs=0.15)


def test_what_the_season_expects_is_no_difference(reference, scores):
    """Blocks of hours that differ, compared with what each hour expects."""
    usual = shares(reference)
    up = shares(reference, "normal", lambda part: np.append(np.roll(part[:-1], 1), part[-1]))
    first, second = draw(usual, 500), draw(up, 500, seed=1)
    expected = tuple(np.tile(np.append(np.concatenate(parts), 0.0), (4_000, 1)) for parts in (usual, up))
    squares = scores.compare(first, second, first.sum(axis=0) + second.sum(axis=0), expected).mean(axis=0)
    # The unit is the variance of the reference. Rows that moved towards the upper end have a slightly smaller one.
    assert squares[0, LOCATION] == pytest.approx(0.95, abs=0.15)
    assert squares[0, SHAPE] == pytest.approx(1.0, abs=0.2)


def test_blocks_without_values_have_no_difference(reference, scores):
    """All missing is no value. No row at all is not even a rate."""
    parts = shares(reference)
    first, second = draw(parts, 100, pairs=1), np.zeros((1, first_size(reference)), dtype=np.int64)
    for bins in Layout(reference.features).slices:
        second[0, bins.stop - 1] = 100
    squares = scores.compare(first, second, flat(parts))[0]
    assert np.isnan(squares[:, : OUTSIDE + 1]).all()
    assert (squares[:, MISSING] > 1.0).all()
    assert np.isfinite(scores.compare(first, np.zeros_like(second), flat(parts))[0, :, MISSING]).all()


def first_size(reference):
    """Return the number of bins, and one for padding."""
    return Layout(reference.features).total + 1


def test_the_variance_within_blocks(reference, scores):
    """About 1 - 1/n of the location, 0 if all rows are alike, nan for categories and without values."""
    parts = shares(reference)
    within = scores.within(draw(parts, 250))
    assert within[:, :3, 0].mean(axis=0) == pytest.approx(1.0 - 1.0 / 237.5, abs=0.02)
    assert np.isnan(within[:, 3, 0]).all()
    assert within[:, :, 1].mean(axis=0) == pytest.approx(0.05 * 0.95, rel=0.1)
    assert within[:, :3, 2].mean(axis=0) == pytest.approx(0.0, abs=0.01)
    alike = np.zeros((1, first_size(reference)), dtype=np.int64)
    alike[0, 5] = 100
    within = scores.within(alike)[0]
    assert within[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert within[0, 1] == 0.0
    assert np.isnan(within[1, 0])


def test_the_reference_expects_its_own_variance(reference, scores):
    expected = scores.expected_variance(np.append(np.concatenate(shares(reference)), 0.0))
    assert expected[:3, 0] == pytest.approx(1.0, abs=0.01)
    assert expected[:, 1] == pytest.approx(0.05 * 0.95, rel=0.1)


def test_rates_of_rows(reference, scores):
    """A rate without rows is 0."""
    counts = np.zeros(first_size(reference), dtype=np.int64)
    normal, _, _, name = Layout(reference.features).slices
    counts[normal.start] = counts[normal.stop - 2] = 5
    counts[normal.start + 4], counts[normal.stop - 1] = 90, 100
    counts[name.start], counts[name.start + 5 - 1] = 80, 0
    rates = scores.rates(counts)
    assert rates[0] == pytest.approx([0.1, 0.5])
    assert rates[1].tolist() == [0.0, 0.0]
