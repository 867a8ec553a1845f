"""While a reference is learned, each row is learned from, counted in a window, or counted as dropped."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest

import driftline as dl
from driftline.testing import Probe

LEARNED = 1_000


def columns(rows, seed=0):
    seeded = np.random.default_rng(seed)
    return {"x": seeded.normal(size=rows), "y": seeded.normal(size=rows)}


@pytest.fixture
def make(telemetry):
    monitors = []

    def make(**options):
        monitors.append(dl.Monitor("m", reference=dl.Reference.learn(rows=LEARNED), **telemetry.providers, **options))
        return monitors[-1]

    yield make
    for monitor in monitors:
        monitor.shutdown()


def assert_each_row_is_somewhere(monitor, served, learned=LEARNED):
    monitor.flush()
    totals = Probe(monitor).totals
    assert totals.served == served
    assert learned + totals.rows + totals.dropped.get("learning", 0) == served


@pytest.mark.parametrize("synchronous", [True, False])
@pytest.mark.parametrize("batches", [(5_000,), (999, 2), (1_000, 1), (1_001,), (30,) * 100, (999, 3_000, 7)])
def test_rows_after_the_last_learned_row_of_a_batch_are_counted(make, batches, synchronous):
    monitor = make(synchronous=synchronous)
    for seed, rows in enumerate(batches):
        monitor.observe(columns(rows, seed))
    assert_each_row_is_somewhere(monitor, sum(batches))


def test_rows_that_come_while_the_reference_is_fitted_are_counted_and_flush_waits(make, telemetry):
    begun, go_on = threading.Event(), threading.Event()

    def slow(row):
        begun.set()
        go_on.wait(10)
        return row["x"]

    monitor = make(derive={"slow": slow})
    monitor.observe(columns(LEARNED))
    assert begun.wait(10)
    monitor.observe(columns(500, 1))
    threading.Timer(0.2, go_on.set).start()
    monitor.flush()
    assert monitor.reference is not None
    monitor.observe(columns(100, 2))
    assert_each_row_is_somewhere(monitor, LEARNED + 600)
    assert telemetry.value("ml.monitor.rows.dropped", ml__monitor__reason="learning") == 500


def test_flush_within_a_fit_does_not_wait_for_itself(make):
    calls = []

    def flushes(row):
        if not calls:
            calls.append(row)
            monitor.flush()
        return row["x"]

    monitor = make(derive={"flushes": flushes}, synchronous=True)
    monitor.observe(columns(LEARNED))
    assert monitor.reference is not None


def test_rows_of_a_fit_that_fails_are_counted(make):
    def fails(row):
        raise RuntimeError

    monitor = make(derive={"fails": fails}, synchronous=True)
    monitor.observe(columns(2 * LEARNED))
    assert_each_row_is_somewhere(monitor, 2 * LEARNED, learned=0)
    assert Probe(monitor).errors["learn"] >= 1


def test_eight_threads_lose_no_row(make):
    monitor = make(window=dl.Window(rows=500))
    predict = monitor.instrument(lambda row: 0.5)

    def serve(seed):
        for row in np.random.default_rng(seed).normal(size=(1_000, 2)).tolist():
            predict(dict(zip("xy", row, strict=True)))

    threads = [threading.Thread(target=serve, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_each_row_is_somewhere(monitor, 8_000)


@pytest.mark.parametrize("kind", ["category", "int64"])
def test_a_column_of_codes_is_learned_as_its_type_says(make, kind):
    """The rows that are kept do not have the type of the column."""
    monitor = make(synchronous=True)
    for _ in range(2):
        monitor.observe({"store": pd.Series(np.arange(500) % 200 * 10).astype(kind)})
    (store,) = monitor.reference.features
    assert type(store.bins).__name__ == ("CategoricalBins" if kind == "category" else "NumericBins")


def test_one_column_that_cannot_be_fitted_does_not_keep_others_from_being_learned(make, caplog):
    """And a column like identifiers is warned of once."""
    monitor = make(synchronous=True)
    monitor.observe(
        {
            "day": np.arange(LEARNED).astype("datetime64[D]").tolist(),
            "id": [f"id{number}" for number in range(LEARNED)],
            **columns(LEARNED),
        }
    )
    assert [feature.name for feature in monitor.reference.features] == ["id", "x", "y"]
    assert caplog.text.count("column 'id' looks like an identifier") == 2


FRAME = pd.DataFrame({"x": np.random.default_rng(4).normal(size=1_200), "c": ["a", "b", "c"] * 400})

RECORDS = {
    "dicts": (FRAME.to_dict("records"), ["x", "c"]),
    "dicts with other keys": ([{"c": "a"}, *FRAME.to_dict("records")[1:]], ["c", "x"]),
    "named tuples": (list(FRAME.itertuples(index=False)), ["x", "c"]),
    "series": ([row for _, row in FRAME.iterrows()], ["x", "c"]),
    "lists": (FRAME.to_numpy().tolist(), ["0", "1"]),
    "arrays": (list(FRAME[["x", "x"]].to_numpy()), ["0", "1"]),
}


@pytest.mark.parametrize(("records", "names"), RECORDS.values(), ids=RECORDS)
def test_a_list_of_rows_has_the_names_in_its_rows(make, records, names):
    monitor = make(synchronous=True)
    for start in range(0, LEARNED, 100):
        monitor.observe(records[start : start + 100])
    monitor.flush()
    assert [feature.name for feature in monitor.reference.features] == names
    assert all(feature.counts[-1] <= 1 for feature in monitor.reference.features), "no value is missing"


UNNAMED = ["text", b"bytes", 1.0, None, {1, 2}, [], (), {}, pd.DataFrame(), np.zeros((1, 2, 3))]


@pytest.mark.parametrize("features", UNNAMED, ids=lambda value: type(value).__name__)
def test_features_that_cannot_be_read_do_not_determine_the_columns(make, features, caplog):
    monitor = make(synchronous=True)
    monitor.observe(features)
    monitor.observe(FRAME)
    monitor.flush()
    assert [feature.name for feature in monitor.reference.features] == ["x", "c"]
    lines = [line.getMessage() for line in caplog.records]
    assert all("features are a" in line and "expected" in line for line in lines)
    assert len(lines) <= 1
