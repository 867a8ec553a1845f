"""Counts to scores: every distance of every feature, the user's own among them."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import ConfigurationError, Reference, Score
from driftline._binning.layout import Layout
from driftline._windows.ring import WindowCounts
from driftline.detection._scoring import Scorer, named_distances
from driftline.distances import BY_NAME, corrected_psi


@pytest.fixture(scope="module")
def two():
    """A numeric and a categorical feature."""
    random = np.random.default_rng(3)
    return Reference.fit({"x": random.normal(size=4_000), "t": random.choice(["a", "b", "c"], 4_000)})


@pytest.fixture
def window(two):
    """A thousand rows from the distribution of the reference."""
    random = np.random.default_rng(0)
    columns = [random.normal(size=1_000), random.choice(["a", "b", "c"], 1_000)]
    return WindowCounts(Layout(two.features).count(columns, 1_000), 1_000)


def scorer_of(reference, *distances):
    return Scorer(reference.watched, Layout(reference.watched), named_distances(distances), lambda *one: None)


def test_scores_are_the_distances_of_each_feature(two, window):
    """In the order of the features, then of the distances; what has no order has no mean."""
    scores = scorer_of(two, *sorted(BY_NAME))(window, "1000 rows")
    assert [score.feature for score in scores] == ["x"] * 10 + ["t"] * 7
    assert {score.distance for score in scores if score.feature == "t"} == set(BY_NAME) - {"ks", "mean", "wasserstein"}
    for score in scores:
        place = ["x", "t"].index(score.feature)
        feature, counts = two.features[place], window.counts[Layout(two.features).slices[place]]
        keywords = {"positions": feature.positions()} if score.distance in {"ks", "mean", "wasserstein"} else {}
        assert score.value == pytest.approx(BY_NAME[score.distance](feature.counts, counts, **keywords), abs=1e-12)
        assert (score.rows, score.length) == (1_000, "1000 rows")
        expected = corrected_psi(feature.counts, counts) if score.distance == "psi" else None
        assert score.corrected == (expected if expected is None else pytest.approx(expected))


def test_many_features_of_one_width_are_scored_each_for_itself():
    """Matrices of features give what the features give."""
    random = np.random.default_rng(1)
    reference = Reference.fit({f"f{place}": random.normal(place, 1 + place, 500) for place in range(30)})
    layout = Layout(reference.features)
    window = WindowCounts(layout.count([random.normal(size=300) for _ in range(30)], 300), 300)
    together = scorer_of(reference, "psi", "wasserstein")(window, "w")
    for place, feature in enumerate(reference.features):
        alone = Reference((feature,), reference.rows)
        counts = WindowCounts(window.counts[layout.slices[place]], 300)
        for ours, theirs in zip(
            together[2 * place : 2 * place + 2], scorer_of(alone, "psi", "wasserstein")(counts, "w"), strict=True
        ):
            assert ours.feature == theirs.feature
            assert ours.value == pytest.approx(theirs.value, rel=1e-12)


def test_the_mean_is_in_deviations_of_the_reference(two):
    """A shift by one standard deviation is about 1, whatever the unit."""
    random = np.random.default_rng(2)
    reference = Reference.fit({"x": random.normal(500.0, 40.0, 20_000)})
    window = WindowCounts(Layout(reference.features).count([random.normal(540.0, 40.0, 20_000)], 20_000), 20_000)
    scores = {score.distance: score.value for score in scorer_of(reference, "mean", "wasserstein")(window, "w")}
    assert scores["mean"] == pytest.approx(1.0, abs=0.06)
    assert scores["wasserstein"] == pytest.approx(1.0, abs=0.06)


def test_a_function_of_the_user_stands_beside_the_others(two, window):
    """Under its own name; with positions where it asks for them."""

    def largest(reference, current, /):
        return abs(reference / reference.sum() - current / current.sum()).max()

    def middle(reference, current, /, *, positions):
        return float(np.nansum(positions * current))

    scores = scorer_of(two, "psi", largest, middle)(window, "w")
    assert [score.distance for score in scores if score.feature == "x"] == ["psi", "largest", "middle"]


def test_a_number_that_is_none_is_no_score(two, window):
    """Nan and inf are left out rather than exported."""
    values = iter([0.0, float("nan"), float("inf")])
    assert scorer_of(two, lambda r, c: next(values))(window, "w") == ()


def test_a_distance_of_the_user_that_raises_costs_only_its_score(two, window):
    """It is reported, and the others go on."""

    def picky(reference, current, /):
        if current.sum() > 10:
            raise RuntimeError
        return 0.0

    layout, reports = Layout(two.features), []
    scorer = Scorer(two.features, layout, named_distances(("psi", picky)), lambda *one: reports.append(one))
    assert {score.distance for score in scorer(window, "1000 rows")} == {"psi"}
    assert reports == [("distance", "distance picky raised RuntimeError()")] * 2


def test_every_score_says_what_moved(two, window):
    """From where to where, in which bins, raw and corrected, and on how many rows."""
    for score in scorer_of(two, "psi", "js")(window, "w"):
        words = str(score)
        assert words.startswith(f"{score.feature}: ")
        assert "% to " in words
        assert words.endswith(f"n = {score.rows}")
        assert ("corrected" in words) == (score.distance == "psi")
    assert str(Score("x", "psi", 0.25, None, 10, "w")) == "x; psi 0.25, n = 10"


def test_a_distance_of_the_user_cannot_change_the_counts(two, window):
    """It works on copies."""

    def greedy(reference, current, /):
        reference[:] = current[:] = 0
        return 1.0

    before = window.counts.copy()
    scorer = Scorer(two.features, Layout(two.features), named_distances((greedy, "psi")), lambda *one: None)
    scores = scorer(window, "w")
    assert [score.value for score in scores if score.distance == "greedy"] == [1.0, 1.0]
    assert [score for score in scores if score.distance == "psi"] == list(scorer_of(two, "psi")(window, "w"))
    assert scorer(window, "w") == scores
    assert window.counts.tolist() == before.tolist()


def test_built_in_distances_are_computed_when_somebody_looks_and_those_of_the_user_at_once(two, window, monkeypatch):
    """Between two exports there may be hundreds of windows; what a user's function sees is every one of them."""
    asked = []

    def seen(reference, current, /):
        asked.append("user")
        return 0.0

    def computed(reference, current, /):
        asked.append("js")
        return np.zeros(len(current))

    monkeypatch.setitem(BY_NAME, "js", computed)
    scorer = scorer_of(two, "js", seen)
    asked.clear()
    scores = scorer(window, "w")
    assert asked == ["user", "user"]
    assert [score.distance for score in scores] == ["js", "seen"] * 2
    assert asked.count("user") == 2
    assert "js" in asked


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        ("psi", "distances='psi': expected a sequence of names and functions"),
        (5, "distances=5: expected a sequence of names and functions"),
        (("psy",), "distances: 'psy' is unknown, expected one of "),
        ((5,), "distances: 5: expected a name or a function"),
        (("psi", "psi"), "expected each name once"),
        ((lambda one: 0.0,), r"raised TypeError.*expected a number"),
        ((lambda r, c: "text",), r"raised ValueError.*expected a number"),
    ],
)
def test_bad_distances_are_refused(distances, message):
    """A function of another form is a mistake in configuration, not one at run time."""
    with pytest.raises(ConfigurationError, match=message):
        named_distances(distances)
