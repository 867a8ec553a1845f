"""``cluster=``: rows of one key belong together, at fit and while serving, in any form of features."""

from __future__ import annotations

import dataclasses
import uuid

import numpy as np
import pytest

from driftline import ConfigurationError, FalseAlarms, Monitor, Reference, Window
from driftline._runtime.call_keys import KEY_BUCKETS, key_bucket, key_digest
from driftline.testing import Probe, in_memory_monitor

ROWS = 400
NAMES = ("x", "y")


def users(rows=4_000, most=50, seed=0):
    """Rows of users who send 1 to *most* rows each, half of the variance of x between users, y independent."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, most + 1, size=rows)
    user = np.repeat(np.arange(rows), sizes)[:rows]
    x = np.sqrt(0.5) * (rng.standard_normal(rows)[user] + rng.standard_normal(rows))
    return {"user_id": user, "x": x, "y": rng.standard_normal(rows)}


def served_by_bucket(monitor):
    """Rows served by the bucket of their key."""
    monitor.flush()
    return Probe(monitor).totals.counts[-KEY_BUCKETS:]


def expected_buckets(keys):
    counts = np.zeros(KEY_BUCKETS, dtype=np.int64)
    for key in keys:
        counts[key_bucket(key_digest(key, ""))] += 1
    return counts


def make(reference, **arguments):
    arguments = {"synchronous": True, "window": Window(rows=ROWS), "on_error": "raise", **arguments}
    return in_memory_monitor("m", reference=reference, **arguments)


@pytest.fixture(scope="module")
def reference():
    return Reference.fit(users(), cluster="user_id")


def test_the_column_of_keys_is_no_feature_and_the_default_of_a_monitor(reference):
    assert [feature.name for feature in reference.features] == ["x", "y"]
    monitor = make(reference)
    data = users(ROWS, seed=1)
    monitor.observe(data)
    assert (served_by_bucket(monitor) == expected_buckets(data["user_id"])).all()
    assert not Probe(monitor).errors


def as_frame(library):
    return lambda data: pytest.importorskip(library).DataFrame(data)


def as_arrow(data):
    return pytest.importorskip("pyarrow").table(data)


BATCHES = {
    "columns": dict,
    "lists": lambda data: {name: list(column) for name, column in data.items()},
    "pandas": as_frame("pandas"),
    "polars": as_frame("polars"),
    "pyarrow": as_arrow,
    "array": lambda data: np.stack([data["user_id"].astype(float), data["x"], data["y"]], axis=1),
    "rows": lambda data: [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)],
    "strings": lambda data: {**data, "user_id": [str(user) for user in data["user_id"].tolist()]},
    "int32": lambda data: {**data, "user_id": data["user_id"].astype(np.int32)},
    "floats": lambda data: {**data, "user_id": data["user_id"].astype(float)},
    "other order": lambda data: {name: data[name] for name in ("y", "user_id", "x")},
}


@pytest.mark.parametrize("form", BATCHES)
@pytest.mark.parametrize("rows", [3, 100])
def test_equal_keys_have_equal_buckets_in_every_form_of_a_batch(reference, form, rows):
    data = users(rows, seed=2)
    monitor = make(reference)
    monitor.observe(BATCHES[form](data))
    assert (served_by_bucket(monitor) == expected_buckets(data["user_id"].tolist())).all()
    assert monitor.snapshot().rows == rows
    assert not Probe(monitor).errors


@dataclasses.dataclass
class Request:
    x: float
    y: float
    user_id: object


ONE_ROW = {
    "dict": lambda key: {"x": 0.5, "y": 0.1, "user_id": key},
    "dataclass": lambda key: Request(0.5, 0.1, key),
    "list": lambda key: [key, 0.5, 0.1],
    "array": lambda key: np.array([key, 0.5, 0.1], dtype=object),
}


@pytest.mark.parametrize("form", ONE_ROW)
@pytest.mark.parametrize("key", ["anna", 7, np.int64(7), uuid.UUID(int=5), b"\x00\xff", "x" * 500, np.str_("b"), 7.0])
def test_single_rows_have_the_bucket_of_their_key(reference, form, key):
    monitor = make(reference)
    predict = monitor.instrument(lambda features: 1.0)
    for _ in range(40):
        predict(ONE_ROW[form](key))
    counts = served_by_bucket(monitor)
    assert counts.max() == counts.sum() == 40
    if key != "x" * 500:  # which is kept as its label
        exact = 7 if isinstance(key, float) else key
        assert counts[key_bucket(key_digest(exact, ""))] == 40


@pytest.mark.parametrize("key", [None, float("nan"), np.nan, np.datetime64("NaT")])
def test_rows_without_a_key_are_counted_and_belong_to_no_bucket(reference, key):
    monitor = make(reference)
    predict = monitor.instrument(lambda features: 1.0)
    predict({"x": 0.5, "y": 0.1, "user_id": key})
    predict({"x": 0.5, "y": 0.1})
    monitor.observe({"x": [0.1] * 50, "y": [0.2] * 50})
    monitor.observe(np.zeros((2, 2)))
    monitor.observe([0.5, 0.1])
    assert served_by_bucket(monitor).sum() == 0
    assert monitor.snapshot().rows == 55
    assert not Probe(monitor).errors


@pytest.mark.parametrize("key", [[1, 2], {"a": 1}, 1.5, True, object()])
def test_a_key_of_a_wrong_type_is_reported_and_the_row_is_counted(reference, key):
    monitor = make(reference, on_error="log")
    predict = monitor.instrument(lambda features: 1.0)
    predict({"x": 0.5, "y": 0.1, "user_id": key})
    assert served_by_bucket(monitor).sum() == 0
    assert monitor.snapshot().rows == 1
    assert Probe(monitor).errors == {"key": 1}


PRIVATE = "private"


class Raises:
    def __hash__(self):
        raise ValueError(PRIVATE)

    def __eq__(self, other):
        raise ValueError(PRIVATE)


def test_a_key_that_raises_reaches_no_host(reference, caplog):
    monitor = make(reference, on_error="log")
    assert monitor.instrument(lambda features: 1.0)({"x": 0.5, "y": 0.1, "user_id": Raises()}) == 1.0
    assert monitor.snapshot().rows == 1
    assert PRIVATE not in caplog.text


def test_a_function_of_a_row_returns_the_key(reference):
    plain = Reference.fit({"x": [1.0, 2.0, 3.0] * 50, "country": ["de", "fr", "it"] * 50}, categorical=["country"])
    monitor = make(plain, cluster=lambda row: row["country"].upper())
    monitor.instrument(lambda features: 1.0)({"x": 1.0, "country": "de"})
    monitor.observe({"x": [1.0] * 60, "country": ["fr"] * 60})
    assert (served_by_bucket(monitor) == expected_buckets(["DE", *["FR"] * 60])).all()


def test_a_function_that_raises_gives_no_key(reference, caplog):
    monitor = make(reference, cluster=lambda row: row["x"] / 0, on_error="log")
    monitor.observe({"x": [0.1] * 50, "y": [0.2] * 50, "user_id": range(50)})
    assert served_by_bucket(monitor).sum() == 0
    assert monitor.snapshot().rows == 50
    assert "ZeroDivisionError" in caplog.text


def test_a_feature_may_hold_the_keys_and_stays_one():
    data = {"x": np.arange(200.0), "shop": np.tile(["a", "b", "c", "d"], 50)}
    plain = Reference.fit(data)
    monitor = make(plain, cluster="shop")
    monitor.observe(data)
    assert (served_by_bucket(monitor) == expected_buckets(data["shop"].tolist())).all()
    named = Reference.fit(data, cluster="shop", categorical=["shop"])
    assert [feature.name for feature in named.features] == ["x", "shop"]


def test_a_key_that_the_reference_does_not_know_is_read_by_name():
    monitor = make(Reference.fit({"x": np.arange(100.0), "y": np.arange(100.0)}), cluster="who")
    monitor.observe({"x": [1.0] * 40, "y": [1.0] * 40, "who": ["a"] * 40})
    monitor.observe(np.zeros((40, 2)))
    assert (served_by_bucket(monitor) == expected_buckets(["a"] * 40)).all()
    assert monitor.snapshot().rows == 80


def test_a_window_without_any_key_is_reported_once(reference, caplog):
    monitor = make(reference, on_error="log")
    for seed in range(3):
        data = users(ROWS, seed=seed)
        monitor.observe({name: data[name] for name in NAMES})
    assert caplog.text.count("no row of a window has a key") == 1


def test_derived_features_and_predictions_are_counted_with_keys():
    data = users()
    reference = Reference.fit(
        data,
        cluster="user_id",
        derive={"sum": lambda row: row["x"] + row["y"]},
        projections=True,
        predictions=data["x"],
    )
    monitor = make(reference, derive={"sum": lambda row: row["x"] + row["y"]})
    served = users(ROWS, seed=4)
    monitor.observe(served, served["x"])
    assert (served_by_bucket(monitor) == expected_buckets(served["user_id"])).all()
    snapshot = monitor.snapshot()
    assert snapshot.rows == ROWS
    again = make(reference, derive={"sum": lambda row: row["x"] + row["y"]}, cluster=lambda row: 1)
    again.observe(served, served["x"])
    again.flush()
    assert (again.snapshot().counts == snapshot.counts).all()


def test_a_key_that_only_functions_read_is_ignored_as_a_feature():
    data = {**users(), "session": [f"{user}:1" for user in users()["user_id"]]}
    reference = Reference.fit(data, cluster=lambda row: row["session"].split(":")[0], ignore=["session", "user_id"])
    assert [feature.name for feature in reference.features] == ["x", "y"]
    monitor = make(reference, cluster=lambda row: row["session"].split(":")[0])
    monitor.observe(data)
    assert (served_by_bucket(monitor) == expected_buckets(map(str, users()["user_id"]))).all()


def test_the_counts_of_features_do_not_depend_on_keys(reference):
    served = users(ROWS, seed=5)
    with_keys, without = make(reference), make(Reference.fit({name: users()[name] for name in NAMES}))
    for monitor in (with_keys, without):
        monitor.observe(served)
        monitor.flush()
    assert (with_keys.snapshot().counts == without.snapshot().counts).all()


def test_a_learned_reference_has_keys():
    monitor = make(Reference.learn(200), cluster="user_id")
    data = users(1_000, seed=6)
    for start in range(0, 1_000, 100):
        monitor.observe({name: column[start : start + 100] for name, column in data.items()})
    monitor.flush()
    assert [feature.name for feature in monitor.reference.features] == ["x", "y"]
    assert monitor.reference.clusters.column == "user_id"
    assert served_by_bucket(monitor).sum() == 800


@pytest.mark.parametrize("value", ["", 5, ["user_id"], True])
def test_a_wrong_value_is_refused(reference, value):
    with pytest.raises(ConfigurationError, match="cluster="):
        Monitor("m", reference=reference, cluster=value)
    with pytest.raises(ConfigurationError, match="cluster="):
        Reference.fit(users(), cluster=value)


def test_users_are_no_drift_with_a_key_and_half_a_deviation_is():
    """Seeded: sixty windows of about 15 users each. Without the key, independent rows are assumed."""
    training = users(20_000, most=50)
    order = np.random.default_rng(1).permutation(20_000)
    reference = Reference.fit({name: column[order] for name, column in training.items()}, cluster="user_id")
    states = []
    monitor = make(reference, rule=FalseAlarms(1, per="30d", every="1h", min_effect=0.0))
    data = users(ROWS * 80, most=50, seed=8)
    for window in range(80):
        part = slice(window * ROWS, (window + 1) * ROWS)
        rows = {name: column[part] for name, column in data.items()}
        rows["x"] = rows["x"] + (1.0 if window >= 60 else 0.0)
        monitor.observe(rows)
        states.append(monitor.status()["x"].state)
    assert "drifting" not in states[:60]
    assert states[-1] == "drifting"
