"""`Moves`: two users of the same features share what was computed."""

from __future__ import annotations

import numpy as np

import driftline as dl
from driftline._binning.layout import Layout
from driftline._significance.moves import Moves


def fit(seed):
    """Return features, and the layout of their bins."""
    features = dl.Reference.fit({"x": np.random.default_rng(seed).normal(size=1_000)}).features
    return features, Layout(features)


def test_the_users_of_a_monitor_share_the_moves_of_its_features():
    features, layout = fit(0)
    assert Moves.share(features, layout) is Moves.share(tuple(features), layout)


def test_other_features_and_other_layouts_have_their_own_moves():
    (features, layout), others = fit(0), fit(1)
    first = Moves.share(features, layout)
    assert Moves.share(features, Layout(features)) is not first
    assert Moves.share(*others) is not first
