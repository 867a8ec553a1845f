"""The learner of dependence starts with what is known, and exports what it learned as it would take it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from driftline import Reference
from driftline._binning.layout import Layout
from driftline._significance.block_pyramid import BlockPyramid, LevelSquares
from driftline._significance.block_scores import BlockScores
from driftline._significance.components import LOCATION, MISSING, PARTS, SHAPE, SPREAD
from driftline._significance.dependence import Dependence
from driftline._significance.learner import SEED_DIFFERENCES, Learner, Seed

BLOCK, BLOCKS, FEATURES = 125, 8, 6
FREE = np.full(FEATURES, 12.0)
UNITS = np.full((FEATURES, 2), 0.02)


def design_effect(rho, rows):
    """Return n times the variance of the mean of n rows of an AR(1) process of variance 1 (Bartlett 1946)."""
    lags = np.arange(1, int(rows))
    return 1 + 2 * ((1 - lags / rows) * rho**lags).sum()


def process(rho, rows, seed=0):
    """Return AR(1) rows of variance 1, shape (rows, features)."""
    noise = np.random.default_rng(seed).normal(size=(rows + 2_000, FEATURES))
    return lfilter([np.sqrt(1 - rho**2)], [1, -rho], noise, axis=0)[2_000:]


def teach(learner, reference, rows, block=BLOCK):
    """Let the learner learn from rows."""
    layout = Layout(reference.features)
    scores, pyramid = BlockScores(reference.features, layout), BlockPyramid(learner.levels, FEATURES)
    served = np.append(layout.count(list(rows.T), len(rows)), 0)
    for start in range(0, len(rows), block):
        learner.count(1, block)
        counts = np.append(layout.count(list(rows[start : start + block].T), block), 0)
        for pair in pyramid.add([counts]):
            squares = scores.compare(pair.first[None], pair.second[None], served)[0]
            known = np.isfinite(squares)
            finite = np.where(known, squares, 0.0)
            learner.learn(LevelSquares(pair.level, finite, known * 1.0, finite**2), np.ones(FEATURES, bool))
    learner.estimate(UNITS)
    return learner


def inflation(learner, rows=1_000, part=LOCATION):
    """Return the median factor of the features for a number of rows."""
    return float(np.median(learner.run.at(rows)[0][:, part]))


def started(*seeds, block=BLOCK):
    """Return a learner that has counted the blocks of one window."""
    learner = Learner(FREE, BLOCKS, seeds)
    learner.count(BLOCKS, BLOCKS * block)
    learner.estimate(UNITS)
    return learner


@pytest.mark.parametrize("rho", [0.0, 0.9, 0.97])
def test_it_learns_the_process(rho):
    rows = process(rho, 20_000 + 128_000)
    learner = teach(Learner(FREE, BLOCKS), Reference.fit(rows[:20_000]), rows[20_000:])
    for number in (125, 1_000, 16_000):
        assert inflation(learner, number) == pytest.approx(design_effect(rho, number), rel=0.35)


@pytest.mark.parametrize("rho", [0.9, 0.97])
def test_training_data_in_order_are_a_start(rho):
    """A reference of 40,000 rows knows the dependence of windows before the first of them."""
    reference = Reference.fit(process(rho, 40_000))
    seed = Seed.of_reference(reference.dependence)
    assert seed.features.all()
    assert inflation(started(seed)) == pytest.approx(design_effect(rho, 1_000), rel=0.35)


def test_shuffled_training_data_are_no_start():
    """That their rows are independent says nothing about traffic."""
    rows = np.random.default_rng(1).permutation(process(0.97, 40_000))
    seed = Seed.of_reference(Reference.fit(rows).dependence)
    assert not seed.features.any()
    nothing, with_seed = started(), started(seed)
    np.testing.assert_array_equal(nothing.run.factors, with_seed.run.factors)
    np.testing.assert_array_equal(nothing.run.freedom, with_seed.run.freedom)


@pytest.mark.slow
def test_independent_features_hardly_ever_count_as_dependent():
    """The seed of one that does says for certain that its rows are independent, and they may have been shuffled."""
    columns = np.random.default_rng(2).normal(size=(20_000, 200))
    assert Seed.of_reference(Reference.fit(columns).dependence).features.mean() <= 0.03


def test_a_feature_counts_for_itself():
    """One of them is dependent, and the others have the factor 1."""
    rows = np.random.default_rng(0).normal(size=(40_000, FEATURES))
    rows[:, 2] = process(0.95, 40_000)[:, 0]
    seed = Seed.of_reference(Reference.fit(rows).dependence)
    factors = started(seed).run.at(1_000)[0][:, LOCATION]
    assert factors[2] > 10.0
    assert np.delete(factors, 2).max() < 2.0


@pytest.mark.parametrize("rho", [0.0, 0.95])
def test_what_it_exports_is_what_it_takes(rho):
    """The same factors, which count for less."""
    rows = process(rho, 20_000 + 64_000, seed=3)
    learner = teach(Learner(FREE, BLOCKS), Reference.fit(rows[:20_000]), rows[20_000:])
    exported = learner.dependence(UNITS)
    again = started(Seed.of_traffic(exported))
    assert inflation(again) == pytest.approx(inflation(learner), rel=0.1)
    second = again.dependence(UNITS)
    assert second.blocks.max() <= SEED_DIFFERENCES
    # It may know the next length too, from what is known of the longest.
    assert len(second.lengths) <= len(exported.lengths) + 1
    same = min(len(second.lengths), len(exported.lengths))
    np.testing.assert_allclose(second.lengths[:same], exported.lengths[:same])
    np.testing.assert_allclose(second.factors[:same, :, LOCATION], exported.factors[:same, :, LOCATION])


@pytest.mark.parametrize("block", [30, 200, 1_000])
def test_windows_of_another_size_use_it_too(block):
    rows = process(0.95, 20_000 + 128_000, seed=4)
    learner = teach(Learner(FREE, BLOCKS), Reference.fit(rows[:20_000]), rows[20_000:])
    other = started(Seed.of_traffic(learner.dependence(UNITS)), block=block)
    for number in (block, 8 * block, 2_000):
        assert inflation(other, number) == pytest.approx(inflation(learner, number), rel=0.5)


def test_a_length_far_beyond_what_is_known_is_unknown():
    """Twice the longest is the furthest. So is everything of a seed without lengths."""
    known = Dependence(
        np.array([100.0, 200.0]), np.array([30.0, 15.0]), np.ones((2, FEATURES, PARTS)), np.ones((2, FEATURES))
    )
    seed = Seed.of_traffic(known)
    assert seed.at(400.0)[1] == 15.0
    assert seed.at(401.0) is None
    assert seed.at(1.0)[1] == 30.0


def test_the_last_seed_is_the_one_that_counts():
    def dependence(factor):
        factors = np.full((4, FEATURES, PARTS), factor)
        return Dependence(125.0 * 2.0 ** np.arange(4), np.full(4, 60.0), factors, np.ones((4, FEATURES)))

    seeds = Seed.of_traffic(dependence(3.0)), Seed.of_traffic(dependence(30.0))
    assert inflation(started(*seeds)) > 5.0 * inflation(started(*reversed(seeds)))


def test_parts_that_are_not_known_are_learned_from_the_start():
    factors = np.full((4, FEATURES, PARTS), 9.0)
    factors[:, :, SHAPE], factors[:, :, SPREAD] = np.nan, 1.0
    seed = Seed.of_traffic(Dependence(125.0 * 2.0 ** np.arange(4), np.full(4, 60.0), factors, np.ones((4, FEATURES))))
    learner = started(seed)
    assert inflation(learner) > 5.0
    assert inflation(learner, part=SHAPE) == pytest.approx(1.0)
    assert np.isfinite(learner.run.factors).all()


def test_traffic_outweighs_a_seed():
    """After some days. The dependence of the training data was another one."""
    rows = process(0.0, 20_000 + 256_000)
    reference = Reference.fit(rows[:20_000])
    seed = Seed.of_reference(Reference.fit(process(0.97, 40_000)).dependence)
    before = inflation(started(seed))
    learner = teach(Learner(FREE, BLOCKS, [seed]), reference, rows[20_000:])
    assert before > 20.0
    assert inflation(learner, 125) < 0.15 * before


def test_reset_begins_with_the_seeds():
    rows = process(0.0, 40_000)
    seed = Seed.of_reference(Reference.fit(process(0.97, 40_000)).dependence)
    learner = teach(Learner(FREE, BLOCKS, [seed]), Reference.fit(rows[:20_000]), rows[20_000:])
    learner.reset()
    learner.count(BLOCKS, BLOCKS * BLOCK)
    learner.estimate(UNITS)
    np.testing.assert_array_equal(learner.run.factors, started(seed).run.factors)


def test_discarded_differences_are_not_learned():
    learner = started()
    ones = np.ones((FEATURES, PARTS))
    kept = np.arange(FEATURES) < 3
    for _ in range(50):
        learner.learn(LevelSquares(3, 40.0 * ones, ones, 4_800.0 * ones), kept)
    learner.estimate(UNITS)
    factors = learner.run.at(1_000)[0][:, LOCATION]
    assert factors[:3].min() > 10.0
    assert factors[3:].max() < 2.0


def test_before_the_first_row_it_knows_nothing():
    learner = Learner(FREE, BLOCKS)
    assert learner.dependence(UNITS) is None
    assert np.isfinite(learner.run.at(1_000)[0]).all()


@pytest.mark.parametrize(("factor", "directions"), [(1.0, 12.0), (1e6, 1.0)])
def test_what_dependence_adds_to_the_shape_lies_in_one_direction(factor, directions):
    """All directions of independent rows, and a single one of rows that change between two states."""
    assert Learner(FREE, BLOCKS).directions(np.full(FEATURES, factor)) == pytest.approx(directions, rel=0.01)


def test_rates_of_rare_events_say_little_about_their_dependence():
    """Blocks without an event have no difference, and do not make later ones look independent."""
    learner = started()
    zeros = np.zeros((FEATURES, PARTS))
    for _ in range(300):
        learner.learn(LevelSquares(0, zeros, zeros + 1.0, zeros), np.ones(FEATURES, dtype=np.bool_))
    learner.estimate(np.full((FEATURES, 2), 1e-5))
    assert (5.0 * learner.run.freedom[0, :, MISSING] < learner.run.freedom[0, :, LOCATION]).all()


def test_the_latest_differences_count_once():
    """They are in the variance of this look, and neither in what is settled nor in the next one."""
    learner = started()
    numbers = np.full((FEATURES, PARTS), 4.0)
    latest = [LevelSquares(0, 100.0 * numbers, numbers, 1e4 * numbers)]
    settled = inflation(learner)
    learner.estimate(UNITS, latest)
    assert inflation(learner) > 5.0 * settled
    assert float(np.median(learner.settled.at(1_000)[0][:, LOCATION])) == settled
    learner.estimate(UNITS)
    assert inflation(learner) == settled


def test_the_latest_differences_of_some_features_do_not_count():
    learner = started()
    numbers = np.full((FEATURES, PARTS), 4.0)
    latest = [LevelSquares(0, 100.0 * numbers, numbers, 1e4 * numbers)]
    learner.estimate(UNITS, latest, np.arange(FEATURES) == 0)
    factors = learner.run.at(1_000)[0][:, LOCATION]
    assert factors[0] > 2.0 * factors[1:].max()
