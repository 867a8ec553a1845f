"""What was learned about dependence fits other references by name and kind, and is never counted twice."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference
from driftline._significance.components import LOCATION, PARTS
from driftline._significance.dependence import Dependence
from driftline._significance.learned import FeatureDependence, Learned


def reference(**columns):
    """A reference of these columns."""
    return Reference.fit(columns)


def dependence(features, *, lengths=(100.0, 200.0), blocks=(30.0, 15.0), factor=2.0):
    """A dependence of that many features, all factors alike."""
    shape = len(lengths), features
    return Dependence(np.array(lengths), np.array(blocks), np.full((*shape, PARTS), factor), np.full(shape, 3.0))


NUMBERS = np.random.default_rng(0).normal(size=400)
WORDS = np.array(["a", "b"] * 200)


def test_it_fits_a_reference_with_other_bins_and_another_order():
    first = reference(x=NUMBERS, word=WORDS)
    learned = Learned.of(first.watched, dependence(2))
    second = reference(new=NUMBERS, word=np.array(["a", "b", "c", "d"] * 100), x=NUMBERS * 7)
    seed = learned.dependence(second.watched)
    assert seed.lengths.tolist() == [100.0, 200.0]
    assert seed.blocks.tolist() == [30.0, 15.0]
    assert np.isnan(seed.factors[:, 0]).all()
    assert (seed.factors[:, 1:] == 2.0).all()
    assert (seed.directions[:, 1:] == 3.0).all()


def test_a_feature_of_another_kind_starts_afresh():
    learned = Learned.of(reference(x=NUMBERS).watched, dependence(1))
    assert learned.dependence(reference(x=WORDS).watched) is None


def test_features_of_which_nothing_is_known_are_left_out():
    known = dependence(2)
    known.factors[:, 1] = np.nan
    learned = Learned.of(reference(x=NUMBERS, y=NUMBERS).watched, known)
    assert list(learned.features) == ["x"]
    assert Learned.of(reference(x=NUMBERS).watched, None) == Learned({})


def test_lengths_without_a_factor_are_left_out():
    known = dependence(1)
    known.factors[1] = np.nan
    assert Learned.of(reference(x=NUMBERS).watched, known).features["x"].lengths.tolist() == [100.0]


def test_one_part_may_be_known_alone():
    known = dependence(1)
    known.factors[:, :, np.arange(PARTS) != LOCATION] = np.nan
    watched = reference(x=NUMBERS).watched
    assert Learned.of(watched, known).dependence(watched) == known


def test_more_evidence_wins_and_is_not_added_up():
    """Two workers that see the same hours of the same traffic know as much as one of them."""
    watched = reference(x=NUMBERS).watched
    little, much = (Learned.of(watched, dependence(1, blocks=blocks)) for blocks in ((8.0, 4.0), (80.0, 40.0)))
    for learned in (little.updated(much), much.updated(little), much.updated(much)):
        assert learned.features["x"].freedom.tolist() == [80.0, 40.0]


def test_the_latest_of_equal_evidence_wins():
    watched = reference(x=NUMBERS).watched
    before, after = (Learned.of(watched, dependence(1, factor=factor)) for factor in (2.0, 5.0))
    assert before.updated(after) == after


def test_another_kind_replaces_what_was_known():
    watched = reference(x=WORDS).watched
    after = Learned.of(watched, dependence(1, blocks=(8.0, 4.0)))
    assert Learned.of(reference(x=NUMBERS).watched, dependence(1)).updated(after) == after


def test_features_of_both_are_kept():
    x, y = (
        Learned.of(reference(**{name: NUMBERS}).watched, dependence(1, factor=f)) for name, f in (("x", 2), ("y", 3))
    )
    assert set(x.updated(y).features) == {"x", "y"}
    assert x.completed(y).features == x.updated(y).features
    assert x.completed(Learned.of(reference(x=NUMBERS).watched, dependence(1, factor=9.0))) == x


@pytest.mark.parametrize("others", [(100.0, 200.0), (113.0, 226.0), (71.0, 142.0, 284.0), (1_000.0,)])
def test_lengths_of_several_origins_are_put_together(others):
    """Windows of time have other mean lengths in each process. The lengths must not multiply."""
    x = Learned.of(reference(x=NUMBERS).watched, dependence(1))
    y = Learned.of(reference(y=NUMBERS).watched, dependence(1, lengths=others, blocks=[9.0] * len(others), factor=4.0))
    seed = x.updated(y).dependence(reference(x=NUMBERS, y=NUMBERS).watched)
    assert (np.diff(np.log(seed.lengths)) > 0.5 * np.log(2.0) - 1e-9).all()
    assert np.isfinite(seed.blocks).all()
    assert (seed.blocks >= 9.0).all()
    for feature, factor, lengths in ((0, 2.0, 2), (1, 4.0, len(others))):
        values = seed.factors[:, feature, LOCATION]
        assert np.isfinite(values).sum() == lengths
        assert np.nanmax(values) == np.nanmin(values) == factor


def test_equality_is_that_of_the_arrays():
    entry = FeatureDependence("numeric", np.array([1.0]), np.array([2.0]), np.full((1, PARTS), np.nan), np.array([1.0]))
    same = FeatureDependence("numeric", np.array([1.0]), np.array([2.0]), np.full((1, PARTS), np.nan), np.array([1.0]))
    assert entry == same
    assert hash(entry) == hash(same)
    assert entry != "numeric"
