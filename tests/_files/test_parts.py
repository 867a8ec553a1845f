"""A table is examined in parts, so that what differs in a part of it alone is not taken for dependence."""

from __future__ import annotations

import json

import numpy as np
import pytest

import driftline as dl
from driftline._files.evaluation import check_batches, rule_of
from driftline._files.parts import PartExaminer, pieces


def draw(random, rows):
    return {
        "distance": random.lognormal(2.0, 0.6, rows),
        "kind": random.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
        "heat": random.normal(12.0, 6.0, rows),
    }


@pytest.fixture(scope="module")
def reference():
    return dl.Reference.fit(draw(np.random.default_rng(0), 20_000))


def check(reference, table, **options):
    rows = len(table["heat"])
    return check_batches(reference, [(table, None)], rows, **options).features


def autoregressive(random, rows, phi):
    noise = random.normal(size=rows + 500) * (1 - phi**2) ** 0.5
    values = np.zeros(rows + 500)
    for row in range(1, rows + 500):
        values[row] = phi * values[row - 1] + noise[row]
    return values[500:]


def test_a_change_from_the_middle_on_is_found_with_its_rows(reference):
    table = draw(np.random.default_rng(1), 4_000)
    table["distance"][2_000:] *= 1.609344
    states = check(reference, table)
    assert {name: status.state for name, status in states.items()} == {
        "distance": "drifting",
        "kind": "stable",
        "heat": "stable",
    }
    assert "location up" in states["distance"].reason
    begin, end = states["distance"].reason.partition("first in rows ")[2].partition(" of ")[0].split(" to ")
    assert 1_500 < int(begin.replace(",", "")) <= 2_001 < int(end.replace(",", "")) < 2_500
    assert states["distance"].rows == int(end.replace(",", "")) - int(begin.replace(",", "")) + 1


def test_a_run_of_missing_values_and_a_new_category_for_a_while_are_found(reference):
    table = draw(np.random.default_rng(2), 4_000)
    table["heat"][1_000:1_500] = np.nan
    table["kind"] = table["kind"].astype(object)
    table["kind"][3_000:3_300] = "new"
    states = check(reference, table)
    assert {name for name, status in states.items() if status.state == "drifting"} == {"heat", "kind"}
    assert "more missing" in states["heat"].reason
    assert "unseen" in states["kind"].reason
    assert "new" not in check(reference, table, labels=False)["kind"].reason


def test_what_drifts_as_a_whole_has_the_status_of_the_whole(reference):
    table = draw(np.random.default_rng(3), 4_000)
    table["heat"] += 6.0
    status = check(reference, table)["heat"]
    assert (status.state, status.rows) == ("drifting", 4_000)
    assert "first in rows" not in status.reason


def test_batches_of_any_size_have_the_same_states(reference):
    table = draw(np.random.default_rng(1), 4_000)
    table["distance"][2_000:] *= 1.609344
    whole = check(reference, table)
    for size in (37, 1_999, 4_000):
        batches = [
            ({name: column[start : start + size] for name, column in table.items()}, None)
            for start in range(0, 4_000, size)
        ]
        assert check_batches(reference, batches, 4_000).features == whole


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.9, 0.99])
def test_dependent_rows_whose_order_the_reference_has_seen_are_no_drift(phi):
    random = np.random.default_rng(4)
    for _ in range(10):
        values = autoregressive(random, 24_000, phi)
        reference = dl.Reference.fit({"x": values[:20_000]})
        status = check_batches(reference, [({"x": values[20_000:]}, None)], 4_000).features["x"]
        assert status.state != "drifting", status.reason


def test_no_parts_of_shuffled_training_data_or_of_few_rows_are_examined(reference):
    table = draw(np.random.default_rng(1), 4_000)
    table["distance"][2_000:] *= 1.609344
    assert check(reference, table, shuffled=True)["distance"].state != "drifting"
    assert PartExaminer(reference, 511, rule_of(0.01, 0.05), labels=True).cuts == (511,)
    assert len(PartExaminer(reference, 512, rule_of(0.01, 0.05), labels=True).cuts) == 32
    assert PartExaminer(reference, 10_000, dl.FalseAlarms(1), labels=True).cuts == (10_000,)


def test_values_that_cannot_be_read_are_no_drift_of_a_part(reference):
    table = draw(np.random.default_rng(1), 4_000)
    table["heat"] = [{"value": 1.0}] * 4_000
    alone = dl.Monitor("x", reference=reference, window=dl.Window(rows=4_000), synchronous=True)
    alone.observe(table)
    alone.flush()
    expected = alone.status()["heat"].state
    alone.shutdown()
    shown = json.loads(dl.report(reference, table).json())["features"]
    assert next(each["state"] for each in shown if each["name"] == "heat") == expected != "drifting"


def test_pieces_cover_a_batch():
    assert list(pieces(0, 10, (5, 10))) == [(0, 5), (5, 10)]
    assert list(pieces(5, 10, (5, 7, 20))) == [(0, 2), (2, 10)]
    assert list(pieces(0, 3, (10,))) == [(0, 3)]


@pytest.mark.parametrize(
    "data",
    [
        {"a": 1.0, "b": 2.0},
        [1.0, 2.0],
        {},
        None,
        5,
        "ab",
        {"a": [1.0] * 600, "b": [1.0] * 400},
        {"a": [1.0] * 600, "b": 1.0},
    ],
    ids=["row", "values", "empty", "None", "number", "string", "ragged", "mixed"],
)
def test_what_is_no_table_is_read_or_refused_as_a_whole(data):
    """As by a monitor with one window, which is not examined in parts."""
    known = dl.Reference.fit({"a": np.arange(1_000.0) % 50, "b": np.arange(1_000.0) % 7})
    results = [check_batches(known, [(data, None)], 600, shuffled=shuffled) for shuffled in (True, False)]
    assert results[0].features.keys() == results[1].features.keys()
    for name, status in results[0].features.items():
        assert (results[1].features[name].state, results[1].features[name].rows) == (status.state, status.rows)


def test_outputs_of_another_length_are_refused_as_a_whole():
    known = dl.Reference.fit({"a": np.arange(1_000.0) % 50}, predictions=np.arange(1_000.0) % 3)
    batch = {"a": np.arange(600.0) % 50}, np.arange(500.0) % 3
    for shuffled in (True, False):
        with pytest.raises(Exception, match=r"shape \(500,\): expected one value per row"):
            check_batches(known, [batch], 600, shuffled=shuffled)


def test_a_report_on_a_data_set_has_the_parts(reference):
    table = draw(np.random.default_rng(1), 4_000)
    table["distance"][2_000:] *= 1.609344
    assert "first in rows" in dl.report(reference, table).html
