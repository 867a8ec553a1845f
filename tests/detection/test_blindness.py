"""Each reason of *cannot tell* says what is so: what would not show, why, and what it would take."""

from __future__ import annotations

import re

import numpy as np
import pytest

from driftline import FalseAlarms, Reference, Window
from driftline.testing import in_memory_monitor

ROWS, TRAINED = 1_000, 20_000


def serve(training, served, windows, cluster=None):
    """Return the states of the feature x after each window, and the last reason. Training data lose their order."""
    order = np.random.default_rng(0).permutation(len(training["x"]))
    shuffled = {name: [column[row] for row in order] for name, column in training.items()}
    monitor = in_memory_monitor(
        reference=Reference.fit(shuffled, cluster=cluster),
        window=Window(rows=ROWS),
        rule=FalseAlarms(1, every="1h"),
        distances=(),
    )
    states = []
    for start in range(0, windows * ROWS, ROWS):
        monitor.observe({name: column[start : start + ROWS] for name, column in served.items()})
        states.append(monitor.status()["x"].state)
    return states, monitor.status()["x"].reason


def missing_in_runs(rows, length, seed):
    """Return normal values that are missing in every other run of *length* rows."""
    random = np.random.default_rng(seed)
    values = random.normal(size=rows)
    values[(np.arange(rows) + random.integers(2 * length)) // length % 2 == 1] = np.nan
    return values


@pytest.mark.parametrize("length", [500, 1_000])
def test_values_that_go_missing_in_alternating_runs_cannot_be_told_from_more_missing(length):
    """Later the share that each window has may show that it does not vary."""
    served = missing_in_runs(12 * ROWS, length, 1)
    states, reason = serve({"x": missing_in_runs(TRAINED, length, 2)}, {"x": served}, 12)
    assert states[2:] == ["insufficient_data"] * 10
    assert re.match(r"cannot tell whether (more|fewer) values are missing: they come in runs", reason)


def test_values_that_go_missing_one_by_one_can_be_told():
    random = np.random.default_rng(3)
    served, training = (
        np.where(random.random(rows) < 0.5, np.nan, 1.0 * random.normal(size=rows)) for rows in (30_000, TRAINED)
    )
    states, _ = serve({"x": training}, {"x": served}, 30)
    assert states == ["stable"] * 30


def test_rows_of_which_dependence_leaves_a_single_bin_cannot_tell():
    """Rows sorted by region: each window has a handful of independent rows, too few for two bins of a test."""
    random = np.random.default_rng(4)
    region = np.repeat(random.normal(size=60), 500)
    x = region + 0.05 * random.normal(size=len(region))
    monitor = in_memory_monitor(
        reference=Reference.fit({"x": x[:15_000]}),
        window=Window(rows=350),
        rule=FalseAlarms(1, every="1h"),
        distances=(),
    )
    for start in range(15_000, 15_000 + 20 * 350, 350):
        monitor.observe({"x": x[start : start + 350]})
        assert monitor.status()["x"].state != "stable"


def test_rows_that_vary_less_are_said_to_be_narrower_or_one_state():
    random = np.random.default_rng(5)
    served = 0.6 * random.normal(size=4_000)
    states, reason = serve({"x": random.normal(size=TRAINED)}, {"x": served}, 4)
    if states[-1] == "insufficient_data":
        assert "vary less than those of the reference: either all are from one of its states" in reason
        assert "or the distribution became narrower" in reason
    assert "stable" not in states


def test_rows_of_few_keys_state_the_number_of_rows_it_would_take():
    """Rows of a key are alike and far apart, so their order shows no dependence: only the keys do."""
    random = np.random.default_rng(6)
    levels = random.normal(size=5)

    def draw(rows):
        keys = random.integers(0, 5, rows)
        return {"x": levels[keys] + 0.1 * random.normal(size=rows), "key": keys}

    training = draw(TRAINED)
    states, reason = serve(training, draw(5_000), 5, cluster="key")
    assert "drifting" not in states
    if states[-1] == "insufficient_data":
        assert "vary less" not in reason
        numbers = re.search(r"not show in (\d+) rows; (?:it would take about (\d+) rows|no number of rows)", reason)
        assert numbers
        assert numbers[2] is None or int(numbers[2]) > int(numbers[1])


def test_a_state_that_the_key_does_not_explain_is_no_drift():
    """Two states alternate, and users have nothing to do with them. The first state served lasts six windows."""
    random = np.random.default_rng(7)

    def draw(rows, length, first=0):
        row = np.arange(rows)
        state = np.where((row // length + first) % 2, 1.0, -1.0)
        return {"x": state + random.normal(size=rows), "key": row // 20}

    states, reason = serve(draw(TRAINED, 500), draw(6 * ROWS, 6 * ROWS), 6, cluster="key")
    assert states == ["insufficient_data"] * 6
    assert "vary less than those of the reference" in reason
    # What moves beyond both states is a drift.
    far = draw(6 * ROWS, 6 * ROWS, first=1)
    states, _ = serve(draw(TRAINED, 500), {**far, "x": far["x"] + 3.0}, 6, cluster="key")
    assert states[-1] == "drifting"


def test_what_the_key_explains_hides_nothing():
    """Users send 50 rows each, which are alike, and nothing else is."""
    random = np.random.default_rng(8)

    def draw(rows):
        user = np.arange(rows) // 50
        return {"x": random.normal(size=rows // 50)[user] + random.normal(size=rows), "key": user}

    states, _ = serve(draw(TRAINED), draw(12 * ROWS), 12, cluster="key")
    assert states[-6:] == ["stable"] * 6


def test_a_constant_beside_a_slow_feature_that_becomes_another_is_never_stable():
    """Nothing is known of how long its runs are, and the slow feature shows that runs may be long."""
    random = np.random.default_rng(0)
    slow = np.zeros(20_000)
    for row in range(1, len(slow)):
        slow[row] = 0.99 * slow[row - 1] + random.normal()
    constant = ["a"] * 17_000 + ["b"] * 3_000
    rows = {"constant": constant, "slow": slow}
    monitor = in_memory_monitor(
        reference=Reference.fit({name: column[:2_000] for name, column in rows.items()}),
        window=Window(rows=ROWS),
        rule=FalseAlarms(1, per="30d", every="1s"),
        distances=(),
    )
    for start in range(2_000, 20_000, ROWS):
        monitor.observe({name: column[start : start + ROWS] for name, column in rows.items()})
        status = monitor.status()["constant"]
        assert start >= 17_000 or status.state == "stable"
        if start >= 17_000 and status.state != "drifting":
            assert status.state == "insufficient_data"
            assert status.reason.startswith("cannot tell whether more categories are unseen")
