"""`Thresholds` and a feature that is gone: missing values, unseen categories, and distances that are not defined."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftline import FalseAlarms, Reference, Thresholds, Window
from driftline.detection._rules import MIN_ROWS
from driftline.distances import BY_NAME
from driftline.testing import in_memory_monitor

LIMITS = {"psi": 0.2, "js": 0.1, "ks": 0.1, "mean": 0.2, "wasserstein": 0.2, "kl": 0.2, "hellinger": 0.1}
POSITIONED = ("ks", "mean", "wasserstein")
ROWS = 1_000


@pytest.fixture(scope="module")
def reference():
    """A numeric and a categorical feature."""
    random = np.random.default_rng(0)
    return Reference.fit({"x": random.normal(size=9_000), "c": random.choice(["a", "b"], 9_000)})


def status_of(reference, rule, rows=ROWS, **columns):
    """Return the states of a window that has these columns, and the values of its scores."""
    monitor = in_memory_monitor(reference=reference, window=Window(rows=rows), rule=rule)
    monitor.observe(columns)
    monitor.flush()
    return monitor.status(), [score.value for score in monitor.scores()]


def numbers(rows=ROWS):
    return np.random.default_rng(1).normal(size=rows)


def labels(rows=ROWS):
    return np.random.default_rng(2).choice(["a", "b"], rows).tolist()


@pytest.mark.parametrize("limits", [*({name: limit} for name, limit in LIMITS.items()), LIMITS])
def test_a_feature_that_is_gone_drifts_under_every_distance(reference, limits):
    """All values missing, all categories unseen, all categories missing."""
    status, scores = status_of(reference, Thresholds(**limits), x=[None] * ROWS, c=["never seen"] * ROWS)
    assert {name: entry.state for name, entry in status.items()} == {"x": "drifting", "c": "drifting"}
    assert all(map(math.isfinite, scores))
    status, _ = status_of(reference, Thresholds(**limits), x=[math.nan] * ROWS, c=[None] * ROWS)
    assert {name: entry.state for name, entry in status.items()} == {"x": "drifting", "c": "drifting"}
    assert "missing 1 (limit 0.1)" in status["c"].reason


@pytest.mark.parametrize("name", BY_NAME)
def test_an_undefined_distance_is_never_stable(reference, name):
    """The reason says what to do."""
    status, _ = status_of(reference, Thresholds(**{name: 1e9}), x=numbers(), c=labels())
    assert status["x"].state == "stable"
    assert status["c"].state == ("insufficient_data" if name in POSITIONED else "stable")
    if name in POSITIONED:
        assert status["c"].reason == f"{name} is not defined for categories: add a limit such as psi=0.2 to Thresholds"


def test_an_undefined_distance_beside_a_defined_one_does_no_harm(reference):
    status, _ = status_of(reference, Thresholds(psi=0.2, ks=0.1), x=numbers(), c=labels())
    assert status["c"].state == "stable"


def test_a_numeric_feature_without_a_value_on_both_sides_is_not_known():
    empty = Reference.fit({"x": [None] * 500, "y": range(500)}, numeric=["x"])
    status, _ = status_of(empty, Thresholds(mean=0.2), rows=500, x=[None] * 500, y=range(500))
    assert status["x"].state == "insufficient_data"
    assert status["x"].reason == "mean is not defined for the values of this window or of the training data"


@pytest.mark.parametrize(("share", "state"), [(0.04, "stable"), (0.1, "drifting"), (0.5, "drifting")])
def test_the_shares_of_missing_and_unseen_values_have_limits(reference, share, state):
    """Ten points by default; a limit of one's own, or none."""
    gone = int(share * ROWS)
    x = [None] * gone + numbers(ROWS - gone).tolist()
    rule = Thresholds(mean=9.0, total_variation=1.0)
    assert status_of(reference, rule, x=x, c=labels())[0]["x"].state == state
    c = ["new"] * gone + labels(ROWS - gone)
    assert status_of(reference, rule, x=numbers(), c=c)[0]["c"].state == state
    strict = Thresholds(mean=9.0, total_variation=1.0, missing=0.03, unseen=0.03)
    states = {name: entry.state for name, entry in status_of(reference, strict, x=x, c=c)[0].items()}
    assert states == {"x": "drifting", "c": "drifting"}
    lax = Thresholds(mean=9.0, total_variation=1.0, missing=None, unseen=None)
    states = {name: entry.state for name, entry in status_of(reference, lax, x=x, c=c)[0].items()}
    assert states == {"x": "stable", "c": "stable"}


def test_fewer_missing_values_are_a_change_too():
    random = np.random.default_rng(3)
    trained = np.where(random.random(5_000) < 0.5, np.nan, random.normal(size=5_000))
    status, _ = status_of(Reference.fit({"x": trained}), Thresholds(mean=0.2), x=numbers())
    assert status["x"].state == "drifting"


def test_unseen_categories_that_were_to_be_expected_are_no_drift():
    """An identifier is unseen in every row, of the training data too."""
    reference = Reference.fit({"id": [f"id {number}" for number in range(2_000)]})
    status, _ = status_of(reference, Thresholds(chi_square=1e9), id=[f"new {number}" for number in range(ROWS)])
    assert status["id"].state == "stable"


@pytest.mark.parametrize("rule", [FalseAlarms(), Thresholds(psi=0.2), Thresholds(ks=0.1), Thresholds(mean=0.2)])
@pytest.mark.parametrize("empty", [[None] * 2_000, np.full(2_000, np.nan)], ids=["None", "nan"])
@pytest.mark.parametrize("value", ["text", 5.0, 7, True])
def test_an_empty_training_column_that_begins_to_hold_values_drifts(rule, empty, value):
    reference = Reference.fit({"x": empty, "y": np.arange(2_000.0)})
    rows = 2 * MIN_ROWS
    y = np.linspace(0, 2_000, rows)
    assert status_of(reference, rule, rows, x=[value] * rows, y=y)[0]["x"].state == "drifting"
    still = status_of(reference, rule, rows, x=[None] * rows, y=y)[0]["x"].state
    undefined = set(POSITIONED) & set(rule.distances)
    assert still == ("insufficient_data" if undefined else "stable")
