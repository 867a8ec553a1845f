"""Directions through the numeric features find a broken relation between features whose margins stay the same."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline._derived.projection_fitting import MAX_DIRECTIONS
from driftline._derived.transform import project
from driftline.testing import in_memory_monitor

ROWS = 8_000


def correlated(correlation, rows, seed):
    """Draw 20 normal features, two of them correlated; the margins do not depend on the correlation."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, 20))
    matrix[:, 1] = correlation * matrix[:, 0] + np.sqrt(1 - correlation**2) * matrix[:, 1]
    return {f"x{index}": matrix[:, index] for index in range(20)}


def hidden(correlation, rows, seed):
    """Draw 18 features of five common factors, and two that are only correlated with each other."""
    random = np.random.default_rng(seed)
    loadings = np.random.default_rng(2).normal(size=(5, 18))
    loadings /= np.sqrt(np.square(loadings).sum(axis=0))
    matrix = 0.9 * random.normal(size=(rows, 5)) @ loadings + np.sqrt(0.19) * random.normal(size=(rows, 18))
    a, b = random.normal(size=(2, rows))
    columns = {f"x{index}": matrix[:, index] for index in range(18)}
    return {**columns, "a": a, "b": correlation * a + np.sqrt(1 - correlation**2) * b}


def drifting(reference, columns):
    """Return the names of the features that drift in a window of these rows."""
    rows = len(next(iter(columns.values())))
    monitor = in_memory_monitor(reference=reference, window=dl.Window(rows=rows))
    monitor.observe(columns)
    status = monitor.status()
    monitor.shutdown()
    return {name for name, item in status.items() if item.state == "drifting"}


@pytest.mark.parametrize("draw", [correlated, hidden])
def test_a_correlation_that_changes_its_sign_is_found(draw):
    """The margins stay the same. Only projections find it, and name the two features."""
    training = draw(0.5, ROWS, 0)
    plain, projected = dl.Reference.fit(training), dl.Reference.fit(training, projections=True)
    pair = {"x0", "x1"} if draw is correlated else {"a", "b"}
    assert drifting(plain, draw(-0.5, 2_000, 1)) == set()
    result = drifting(projected, draw(-0.5, 2_000, 1))
    assert {f"{name} given the others" for name in pair} <= result
    assert not result & set(training)
    assert drifting(projected, draw(0.5, 2_000, 2)) == set()


def test_heavy_tails_hide_no_relation():
    """Directions are fitted to normal scores, so lognormal features work as well as normal ones."""
    training, served = (
        {name: np.exp(2 * x) for name, x in hidden(r, ROWS, s).items()} for r, s in ((0.5, 0), (-0.5, 1))
    )
    assert {"a given the others", "b given the others"} <= drifting(
        dl.Reference.fit(training, projections=True), served
    )


def test_leading_directions_show_a_shift_that_features_share():
    random = np.random.default_rng(0)

    def draw(shift):
        return (
            {f"x{index}": common + random.normal(size=ROWS) for index in range(10)}
            if (common := random.normal(shift, 1.0, ROWS)).any()
            else {}
        )

    reference = dl.Reference.fit(draw(0.0), projections=4)
    projections = reference.derived.projections
    assert projections.leading == 1
    assert len(set(np.sign(projections.directions[0]))) == 1
    assert "projection 1" in drifting(reference, draw(0.4))


def test_unrelated_features_get_one_direction_and_the_error():
    """What the others do not explain would be the feature itself."""
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({name: random.normal(size=ROWS) for name in "abc"}, projections=True)
    assert reference.derived.projections.names == ("projection 1", "reconstruction error")


def test_directions_are_residuals_of_regressions():
    """The error is the part that the leading directions do not span."""
    training = hidden(0.6, ROWS, 0)
    projections = dl.Reference.fit(training, projections=True).derived.projections
    names = projections.names[projections.leading : -1]
    row = projections.directions[projections.leading + names.index("b given the others")]
    index = projections.columns.index("b")
    assert row[index] == 1.0
    assert row[projections.columns.index("a")] == pytest.approx(-0.6, abs=0.05)
    scaled = np.random.default_rng(1).normal(size=(50, 20))
    leading = np.linalg.qr(np.random.default_rng(2).normal(size=(20, 3)))[0]
    left = scaled - scaled @ leading @ leading.T
    assert project(scaled, leading, 3)[-1] == pytest.approx(np.sqrt((left**2).mean(axis=1)))


def test_the_number_of_directions_is_limited():
    """The features that the others explain best come first."""
    training = hidden(0.3, ROWS, 0)
    assert len(dl.Reference.fit(training, projections=6).derived.projections.directions) == 6
    assert len(dl.Reference.fit(training, projections=1).derived.projections.directions) == 1
    assert len(dl.Reference.fit(training, projections=True).derived.projections.directions) <= MAX_DIRECTIONS


def test_missing_constant_and_duplicate_columns_are_projected(training):
    """A missing value is the mean, a constant is not projected, a duplicate does not drift by rounding."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, ROWS))
    columns = {
        "a": np.where(random.random(ROWS) < 0.1, np.nan, a),
        "b": a + b,
        "twin": a + b,
        "constant": np.ones(ROWS),
    }
    reference = dl.Reference.fit(columns, projections=True)
    assert reference.derived.projections.columns == ("a", "b", "twin")
    assert all(feature.counts[-1] == 0 for feature in reference.features if "given" in feature.name)
    rounded = {name: column.astype(np.float32) for name, column in columns.items()}
    assert drifting(reference, rounded) == set()
    assert "twin given the others" in drifting(reference, {**columns, "twin": random.permutation(a + b)})


@pytest.mark.parametrize(
    ("columns", "projections", "message"),
    [
        ({"a": np.arange(100.0)}, True, "1 numeric features that vary, expected 2 to 1000"),
        ({"a": np.arange(100.0), "b": np.ones(100)}, True, "1 numeric features that vary, expected 2 to 1000"),
        ({"a": np.arange(19.0), "b": np.arange(19.0)}, True, "19 rows for 2 numeric features, expected at least 20"),
        ({"a": np.arange(50.0), "b": np.arange(50.0)}, 65, "projections=65: expected True, False or an integer"),
        ({"a": np.arange(50.0), "b": np.arange(50.0)}, "all", "projections='all': expected True, False or"),
        ({"a": np.arange(50.0), "projection 1": np.arange(50.0)}, True, "'projection 1'"),
    ],
)
def test_data_without_directions_are_refused(columns, projections, message):
    with pytest.raises(dl.ConfigurationError) as raised:
        dl.Reference.fit(columns, projections=projections)
    assert message in str(raised.value)


@pytest.mark.slow
def test_parts_over_the_same_directions_merge():
    """To the counts of all data."""
    whole = hidden(0.5, ROWS, 0)
    first = dl.Reference.fit(whole, projections=True)
    parts = [
        dl.Reference.fit({name: column[part] for name, column in whole.items()}, like=first)
        for part in (slice(0, 3_000), slice(3_000, ROWS))
    ]
    merged = parts[0].merge(parts[1])
    assert [item.counts for item in merged.features] == [item.counts for item in first.features]
    assert merged.fingerprint == first.fingerprint
    other = dl.Reference.fit(whole, projections=3)
    with pytest.raises(dl.ConfigurationError, match="over the same bins"):
        first.merge(other)
    assert dl.Reference.fit(whole, projections=True).to_json() == first.to_json()
