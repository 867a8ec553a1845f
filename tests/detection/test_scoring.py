"""The scorer computes every distance of every feature, user functions included."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import ConfigurationError, Reference, Score
from driftline._binning.layout import Layout
from driftline._windows.ring import WindowCounts
from driftline.detection._scoring import Scorer, resolve_distances
from driftline.distances import BY_NAME, corrected_psi


@pytest.fixture(scope="module")
def two():
    """A reference with a numeric and a categorical feature."""
    random = np.random.default_rng(3)
    return Reference.fit({"x": random.normal(size=4_000), "t": random.choice(["a", "b", "c"], 4_000)})


@pytest.fixture
def window(two):
    """A thousand rows from the distribution of the reference."""
    random = np.random.default_rng(0)
    columns = [random.normal(size=1_000), random.choice(["a", "b", "c"], 1_000)]
    return WindowCounts(Layout(two.features).count(columns, 1_000), 1_000)


def scorer_of(reference, *distances):
    return Scorer(reference.watched, Layout(reference.watched), resolve_distances(distances), lambda *report: None)


def test_scores_are_the_distances_of_each_feature(two, window):
    """Ordered by feature, then by distance. A categorical feature has no `ks`, `mean` or `wasserstein`."""
    scores = scorer_of(two, *sorted(BY_NAME))(window, "1000 rows")
    assert [score.feature for score in scores] == ["x"] * 10 + ["t"] * 7
    assert {score.distance for score in scores if score.feature == "t"} == set(BY_NAME) - {"ks", "mean", "wasserstein"}
    for score in scores:
        index = ["x", "t"].index(score.feature)
        feature, counts = two.features[index], window.counts[Layout(two.features).slices[index]]
        keywords = {"positions": feature.positions()} if score.distance in {"ks", "mean", "wasserstein"} else {}
        assert score.value == pytest.approx(BY_NAME[score.distance](feature.counts, counts, **keywords), abs=1e-12)
        assert (score.rows, score.length) == (1_000, "1000 rows")
        expected = corrected_psi(feature.counts, counts) if score.distance == "psi" else None
        assert score.corrected == (expected if expected is None else pytest.approx(expected))


def test_features_of_one_width_score_the_same_together_and_alone():
    """The scorer computes them as a matrix."""
    random = np.random.default_rng(1)
    reference = Reference.fit({f"f{index}": random.normal(index, 1 + index, 500) for index in range(30)})
    layout = Layout(reference.features)
    window = WindowCounts(layout.count([random.normal(size=300) for _ in range(30)], 300), 300)
    together = scorer_of(reference, "psi", "wasserstein")(window, "w")
    for index, feature in enumerate(reference.features):
        alone = Reference((feature,), reference.rows)
        counts = WindowCounts(window.counts[layout.slices[index]], 300)
        for score, single in zip(
            together[2 * index : 2 * index + 2], scorer_of(alone, "psi", "wasserstein")(counts, "w"), strict=True
        ):
            assert score.feature == single.feature
            assert score.value == pytest.approx(single.value, rel=1e-12)


def test_the_mean_is_in_deviations_of_the_reference(two):
    """A shift by one standard deviation is about 1, whatever the unit."""
    random = np.random.default_rng(2)
    reference = Reference.fit({"x": random.normal(500.0, 40.0, 20_000)})
    window = WindowCounts(Layout(reference.features).count([random.normal(540.0, 40.0, 20_000)], 20_000), 20_000)
    scores = {score.distance: score.value for score in scorer_of(reference, "mean", "wasserstein")(window, "w")}
    assert scores["mean"] == pytest.approx(1.0, abs=0.06)
    assert scores["wasserstein"] == pytest.approx(1.0, abs=0.06)


def test_user_functions_are_scored_beside_built_in_distances(two, window):
    """Under their own names, and with positions if they have that parameter."""

    def largest(reference, current, /):
        return abs(reference / reference.sum() - current / current.sum()).max()

    def middle(reference, current, /, *, positions):
        return float(np.nansum(positions * current))

    scores = scorer_of(two, "psi", largest, middle)(window, "w")
    assert [score.distance for score in scores if score.feature == "x"] == ["psi", "largest", "middle"]


def test_nan_and_infinity_are_not_scores(two, window):
    """The scorer drops them, so they are not exported."""
    values = iter([0.0, float("nan"), float("inf")])
    assert scorer_of(two, lambda r, c: next(values))(window, "w") == ()


def test_a_user_function_that_raises_loses_only_its_own_score(two, window):
    """The scorer reports it and computes the other distances."""

    def picky(reference, current, /):
        if current.sum() > 10:
            raise RuntimeError
        return 0.0

    layout, reports = Layout(two.features), []
    scorer = Scorer(two.features, layout, resolve_distances(("psi", picky)), lambda *report: reports.append(report))
    assert {score.distance for score in scorer(window, "1000 rows")} == {"psi"}
    assert reports == [("distance", "distance picky raised RuntimeError")] * 2


def test_str_of_a_score_describes_the_shift(two, window):
    """With the bins, their shares before and after, the corrected value and the number of rows."""
    for score in scorer_of(two, "psi", "js")(window, "w"):
        text = str(score)
        assert text.startswith(f"{score.feature}: ")
        assert "% to " in text
        assert text.endswith(f"n = {score.rows}")
        assert ("corrected" in text) == (score.distance == "psi")
    assert str(Score("x", "psi", 0.25, None, 10, "w")) == "x; psi 0.25, n = 10"


def test_a_user_function_cannot_change_the_counts(two, window):
    """It gets copies."""

    def greedy(reference, current, /):
        reference[:] = current[:] = 0
        return 1.0

    before = window.counts.copy()
    scorer = Scorer(two.features, Layout(two.features), resolve_distances((greedy, "psi")), lambda *report: None)
    scores = scorer(window, "w")
    assert [score.value for score in scores if score.distance == "greedy"] == [1.0, 1.0]
    assert [score for score in scores if score.distance == "psi"] == list(scorer_of(two, "psi")(window, "w"))
    assert scorer(window, "w") == scores
    assert window.counts.tolist() == before.tolist()


def test_only_user_functions_run_before_the_scores_are_read(two, window, monkeypatch):
    """Between two exports there may be hundreds of windows. A user function sees each of them."""
    calls = []

    def seen(reference, current, /):
        calls.append("user")
        return 0.0

    def computed(reference, current, /):
        calls.append("js")
        return np.zeros(len(current))

    monkeypatch.setitem(BY_NAME, "js", computed)
    scorer = scorer_of(two, "js", seen)
    calls.clear()
    scores = scorer(window, "w")
    assert calls == ["user", "user"]
    assert [score.distance for score in scores] == ["js", "seen"] * 2
    assert calls.count("user") == 2
    assert "js" in calls


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        ("psi", "distances='psi': expected a sequence of names and functions"),
        (5, "distances=5: expected a sequence of names and functions"),
        (("psy",), "distances: 'psy' is unknown, expected one of "),
        ((5,), "distances: 5: expected a name or a function"),
        (("psi", "psi"), "expected each name once"),
        ((lambda counts: 0.0,), r"raised TypeError.*expected a number"),
        ((lambda r, c: "text",), r"raised ValueError.*expected a number"),
    ],
)
def test_bad_distances_are_refused(distances, message):
    """A function with a wrong signature fails at configuration and not while serving."""
    with pytest.raises(ConfigurationError, match=message):
        resolve_distances(distances)
