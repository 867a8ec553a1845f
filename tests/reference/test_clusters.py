"""What `Reference.fit` learns from keys: correlations, their file, their merging, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from driftline import ConfigurationError, Reference, ReferenceError
from driftline._significance.components import LOCATION, MISSING, SHAPE


def panel(people=1_500, rows=4, seed=0, correlation=0.5):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), rows)
    size = people * rows
    x = np.sqrt(correlation) * rng.standard_normal(people)[person]
    x += np.sqrt(1 - correlation) * rng.standard_normal(size)
    rare = (rng.random(people) < 0.015)[person]
    return {"person": person, "x": x, "y": rng.standard_normal(size), "rare": np.where(rare, "yes", "no")}


def test_the_correlation_of_rows_of_a_key_is_found_in_any_order():
    data = panel()
    order = np.random.default_rng(1).permutation(len(data["x"]))
    for rows in (slice(None), order):
        clusters = Reference.fit({name: column[rows] for name, column in data.items()}, cluster="person").clusters
        assert clusters.keys == 1_500
        assert clusters.size == 4.0
        # In ranks, a correlation of 0.5 is one of 0.48.
        assert clusters.correlations.values[0, LOCATION] == pytest.approx(0.48, abs=0.05)
        assert clusters.correlations.values[1, LOCATION] == pytest.approx(0.0, abs=0.05)
        assert clusters.correlations.values[2, SHAPE] == pytest.approx(1.0, abs=0.01)


def test_more_keys_than_groups_give_the_same_correlation():
    data = panel(6_000)
    clusters = Reference.fit(data, cluster="person").clusters
    assert clusters.keys == 6_000
    assert clusters.correlations.values[0, LOCATION] == pytest.approx(0.48, abs=0.05)


def test_a_rate_of_missing_values_has_its_own_correlation():
    data = panel()
    data["y"] = np.where(data["person"] % 20 == 0, np.nan, data["y"])
    clusters = Reference.fit(data, cluster="person").clusters
    assert clusters.correlations.values[1, MISSING] == pytest.approx(1.0, abs=0.01)


def test_the_check_says_what_the_keys_show():
    words = Reference.fit(panel(), cluster="person").check.words
    assert "1,500 keys of person have 4.0 rows each" in words
    assert "rows of rare tell as much as 1 independent one" in words
    assert (
        "hardly depend"
        in Reference.fit({name: panel()[name] for name in ("person", "y")}, cluster="person").check.words
    )
    assert "keys" not in Reference.fit({"y": panel()["y"]}).check.words


def test_the_file_holds_what_was_learned_and_no_key():
    data = {**panel(200), "person": [f"secret-{number}" for number in panel(200)["person"]]}
    reference = Reference.fit(data, cluster="person")
    text = reference.to_json()
    assert "secret" not in text
    again = Reference.from_json(text)
    assert again == reference
    assert again.to_json() == text
    assert again.check.words == reference.check.words


def test_a_reference_without_keys_has_no_such_part_of_its_file():
    assert "clusters" not in json.loads(Reference.fit({"x": [1.0, 2.0]}).to_json())


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"products": [[0.0] * 5]}, ".clusters.products"),
        ({"weights": [[0.0] * 4] * 3}, ".clusters.weights"),
        ({"freedom": [[-1.0] * 5] * 3}, ".clusters.freedom"),
        ({"further": None}, ".clusters.further"),
        ({"bends": [[0.0] * 2] * 2}, ".clusters.bends"),
        ({"factors": [[0.5] * 5] * 3}, ".clusters.factors"),
        ({"factors": [[1.0] * 5] * 2}, ".clusters.factors"),
        ({"size": 0.5}, ".clusters.size"),
        ({"keys": 0}, ".clusters.keys"),
        ({"index": -1}, ".clusters.index"),
        ({"column": 5}, ".clusters.column"),
    ],
)
def test_a_damaged_file_is_refused(change, at):
    document = json.loads(Reference.fit(panel(100), cluster="person").to_json())
    document["clusters"] |= change
    with pytest.raises(ReferenceError, match=at):
        Reference.from_json(json.dumps(document))


def test_parts_of_the_training_data_merge():
    first = Reference.fit(panel(), cluster="person")
    second = Reference.fit(panel(500, seed=2), cluster="person", like=first)
    merged = first.merge(second).clusters
    assert merged.keys == 2_000
    assert merged.size == 4.0
    assert merged.correlations.values[0, LOCATION] == pytest.approx(0.48, abs=0.05)
    without = {name: column for name, column in panel(500).items() if name != "person"}
    assert first.merge(Reference.fit(without, like=first)).clusters is None


def test_a_feature_of_the_other_reference_stays_one():
    plain = Reference.fit(panel(), categorical=["person"])
    assert Reference.fit(panel(), like=plain, cluster="person").watched[0].name == "person"


@pytest.mark.parametrize("kind", [str, float, np.int32, bytes])
def test_keys_of_any_type_group_the_same_rows(kind):
    data = panel(300)
    keys = [str(key).encode() if kind is bytes else kind(key) for key in data["person"]]
    clusters = Reference.fit({**data, "person": keys}, cluster="person").clusters
    assert clusters.keys == 300
    expected = Reference.fit(data, cluster="person").clusters
    assert clusters.correlations.values == pytest.approx(expected.correlations.values, abs=0.001, nan_ok=True)


def test_rows_without_a_key_are_left_out():
    data = panel(300)
    keys = [None if key < 100 else key for key in data["person"].tolist()]
    assert Reference.fit({**data, "person": keys}, cluster="person").clusters.keys == 200


@pytest.mark.parametrize("keys", [[1] * 100, list(range(100))])
def test_one_key_and_keys_of_one_row_tell_nothing(keys):
    reference = Reference.fit({"k": keys, "x": np.arange(100.0)}, cluster="k")
    assert np.isnan(reference.clusters.correlations.values).all()
    assert Reference.from_json(reference.to_json()) == reference


@pytest.mark.parametrize(
    ("keys", "cluster", "message"),
    [
        ([1] * 10, "who", "no such column"),
        ([None] * 10, "k", "no row has a key"),
        ([[1]] * 10, lambda row: [row["x"]], "keys of type list of 1 item"),
        ([1.5] * 10, "k", "keys of type float"),
        ([1] * 10, lambda row: row["absent"], "KeyError"),
    ],
)
def test_keys_that_cannot_be_read_are_refused(keys, cluster, message):
    data = {"x": np.arange(10.0)} if callable(cluster) else {"k": keys, "x": np.arange(10.0)}
    with pytest.raises(ConfigurationError, match=message):
        Reference.fit(data, cluster=cluster)


def test_the_only_column_cannot_be_the_keys():
    with pytest.raises(ConfigurationError, match="only column"):
        Reference.fit({"k": [1, 2, 3]}, cluster="k")
