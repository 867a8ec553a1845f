"""Categorical features of many values: stable without drift, drifting with new categories and with a changed mix."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import FalseAlarms, Reference, Thresholds, Window
from driftline.testing import in_memory_monitor


def source(kind, categories, seed=1):
    """Return a function that draws n labels of independent rows."""
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, categories + 1) if kind == "Zipf" else np.ones(categories)
    shares = weights / weights.sum()
    return lambda rows: [f"city{number}" for number in random.choice(categories, rows, p=shares)]


def states(monitor, windows):
    """Return the state of the only feature after each of *windows*."""
    evaluated = []
    for window in windows:
        monitor.observe({"city": window})
        evaluated.append(monitor.status()["city"])
    return evaluated


@pytest.mark.parametrize(
    ("kind", "categories", "rows", "window"),
    [
        ("Zipf", 1_000, 10_000, 5_000),
        ("Zipf", 20_000, 10_000, 5_000),
        ("Zipf", 1_000, 2_000, 1_000),
        ("uniform", 1_000, 2_000, 1_000),
        ("uniform", 2_000, 10_000, 5_000),
        ("uniform", 100, 2_000, 1_000),
    ],
)
@pytest.mark.parametrize(
    "rule", [FalseAlarms(every="1h"), FalseAlarms(every="1h", min_effect=0), Thresholds(psi=0.2), Thresholds(psi=0.12)]
)
def test_nothing_drifts_without_drift(kind, categories, rows, window, rule):
    if rule == Thresholds(psi=0.12) and window == 1_000:
        pytest.skip("PSI of fifty bins is 0.08 by chance")
    draw = source(kind, categories)
    monitor = in_memory_monitor(reference=Reference.fit({"city": draw(rows)}), window=Window(rows=window), rule=rule)
    evaluated = states(monitor, [draw(window) for _ in range(8)])
    assert {status.state for status in evaluated} == {"stable"}
    score = next(score for score in monitor.scores() if score.distance == "psi")
    assert score.corrected < 0.05


def test_a_learned_reference_does_not_alarm():
    draw = source("Zipf", 1_000)
    monitor = in_memory_monitor(reference=Reference.learn(10_000), window=Window(rows=5_000))
    for _ in range(3):
        monitor.observe({"city": draw(5_000)})
    evaluated = states(monitor, [draw(5_000) for _ in range(6)])
    assert {status.state for status in evaluated} == {"stable"}


@pytest.mark.parametrize("rows", [1_000, 2_000, 4_000])
def test_all_rows_of_an_identifier_are_unseen_as_expected(rows):
    """Its values never repeat, so all of new ones are unseen. The p-value is that of no difference."""
    reference = Reference.fit({"city": [f"a{number}" for number in range(rows)]})
    monitor = in_memory_monitor(reference=reference, window=Window(rows=1_000))
    evaluated = states(monitor, [[f"b{index}-{number}" for number in range(1_000)] for index in range(5)])
    assert {status.state for status in evaluated} == {"stable"}
    assert [component.name for component in evaluated[-1].components] == ["unseen"]
    assert evaluated[-1].components[0].p_value == pytest.approx(0.5, abs=0.02)
    assert abs(evaluated[-1].effect) < 0.003


@pytest.mark.parametrize(("kind", "categories"), [("Zipf", 20), ("Zipf", 1_000), ("uniform", 500)])
@pytest.mark.parametrize("share", [0.1, 0.2])
def test_new_categories_drift(kind, categories, share):
    """The reason has their share, and the share that is to be expected."""
    draw, random = source(kind, categories), np.random.default_rng(2)
    reference = Reference.fit({"city": draw(10_000)})
    monitor = in_memory_monitor(reference=reference, window=Window(rows=5_000))
    window = np.where(random.random(5_000) < share, "new", draw(5_000)).tolist()
    status = states(monitor, [window])[0]
    assert status.state == "drifting"
    assert [component.name for component in status.components if component.p_value < 1e-4] == ["unseen"]
    expected = f" where {reference.features[0].unseen_share:.1%} are expected"
    counted = sum(
        value not in set(reference.features[0].bins.categories + reference.features[0].bins.others) for value in window
    )
    words = f"unseen categories {counted / 5_000:.1%}{expected}"
    assert status.reason.startswith(
        f"city: {words if reference.features[0].once else 'unseen categories from 0.0% to '}"
    )


def test_a_changed_mix_drifts():
    """A tenth of the rows moves to a rare category that has its own bin."""
    draw, random = source("Zipf", 1_000), np.random.default_rng(2)
    reference = Reference.fit({"city": draw(10_000)})
    monitor = in_memory_monitor(reference=reference, window=Window(rows=5_000))
    rare = reference.features[0].bins.categories[40]
    status = states(monitor, [np.where(random.random(5_000) < 0.1, rare, draw(5_000)).tolist()])[0]
    assert status.state == "drifting"
    assert status.components[0].name == "mix"
    assert f"{rare} from 0." in status.reason


def test_an_unseen_share_that_is_expected_is_no_psi():
    """Also for distances of the user, and in scores by season."""
    seen = {}

    def distance(reference, current):
        seen["reference"], seen["current"] = reference, current
        return 0.0

    draw = source("Zipf", 2_000)
    reference = Reference.fit({"city": draw(5_000)})
    monitor = in_memory_monitor(reference=reference, window=Window(rows=5_000), distances=["psi", distance])
    monitor.observe({"city": draw(5_000)})
    unseen = reference.features[0].bins.unseen
    assert seen["reference"][unseen] == pytest.approx(reference.features[0].once)
    assert seen["reference"].sum() == pytest.approx(5_000)
    assert seen["current"][unseen] > 100
    hours = np.arange(5_000) * 3_600.0
    seasonal = Reference.fit({"city": draw(5_000)}, time=hours, seasons=["hour"])
    monitor = in_memory_monitor(reference=seasonal, window=Window(rows=5_000), distances=["psi", distance])
    monitor.observe({"city": draw(5_000)})
    assert seen["reference"][unseen] / seen["reference"].sum() == pytest.approx(seasonal.features[0].unseen_share)
