"""User functions of a row: they run off the path of a call, are guarded, and each row is counted once."""

from __future__ import annotations

import gc
import json
import threading

import numpy as np
import pytest

import driftline as dl
from driftline._binning.layout import Layout
from driftline.testing import Probe, in_memory_monitor

DERIVE = {"length": lambda row: len(row["text"]), "tone": lambda row: "loud" if row["text"].isupper() else "calm"}
PRIVATE = "my account number is 12-345"


def draw(rows, seed=0, shout=0.1):
    """Return free text and a number."""
    random = np.random.default_rng(seed)
    texts = [f"{PRIVATE} {'x' * int(size)}" for size in random.poisson(20, rows)]
    loud = random.random(rows) < shout
    return {
        "text": [text.upper() if item else text for text, item in zip(texts, loud, strict=True)],
        "amount": random.lognormal(3.0, 1.0, rows),
    }


@pytest.fixture(scope="module")
def reference():
    """4,000 rows of text, of which the length and tone are features."""
    columns = draw(4_000)
    return dl.Reference.fit(columns, predictions=columns["amount"] / 100, derive=DERIVE, ignore=["text"])


def as_rows(columns):
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def expected(reference, columns, predictions):
    counted = dl.Reference.fit(columns, predictions=predictions, derive=DERIVE, like=reference)
    return [count for item in counted.watched for count in item.counts]


def test_results_of_functions_become_features(reference):
    """The file holds the names of the functions only."""
    assert [item.name for item in reference.features] == ["amount", "length", "tone"]
    assert reference.columns == ("text", "amount")
    assert reference.features[2].bins.categories == ("calm", "loud")
    text = reference.to_json()
    assert PRIVATE not in text
    assert PRIVATE.upper() not in text
    assert json.loads(text)["derived"]["functions"] == ["length", "tone"]
    assert dl.Reference.from_json(text) == reference


def test_rows_of_every_kind_are_counted_once(reference):
    """Single calls in threads, small batches, large ones."""
    columns = draw(6_000, seed=3)
    rows, predictions = as_rows(columns), (columns["amount"] / 100).tolist()
    monitor = dl.Monitor("m", reference=reference, derive=DERIVE, on_error="raise", window=dl.Window(rows=100_000))

    @monitor.instrument
    def predict(features):
        return features["amount"] / 100

    def single(part):
        for row in rows[part]:
            predict(row)

    threads = [threading.Thread(target=single, args=(slice(start, start + 500),)) for start in range(0, 2_000, 500)]
    for thread in threads:
        thread.start()
    for start in range(2_000, 3_000, 20):
        part = slice(start, start + 20)
        monitor.observe(rows[part], predictions[part])
    part = slice(3_000, 6_000)
    monitor.observe({name: column[part] for name, column in columns.items()}, predictions[part])
    for thread in threads:
        thread.join()
    snapshot = monitor.snapshot()
    monitor.shutdown()
    assert snapshot.rows == 6_000
    assert snapshot.fingerprint == reference.fingerprint
    assert snapshot.counts.tolist() == expected(reference, columns, predictions)


def test_a_deferred_batch_is_cut_into_windows(reference):
    """The rest is counted in the next window."""
    columns = draw(2_500, seed=4)
    monitor = in_memory_monitor(reference=reference, derive=DERIVE, window=dl.Window(rows=1_000))
    monitor.observe(columns, columns["amount"] / 100)
    monitor.observe(as_rows(draw(5, seed=5)), [0.1] * 5)
    assert monitor.status()["length"].rows == 1_000
    # The ring shows its last whole window and the rows since.
    assert monitor.snapshot().rows == 1_505
    monitor.shutdown()


def test_functions_run_on_the_worker_thread(reference):
    """Calls and batches return before."""
    ran_in = set()
    release = threading.Event()

    def slow(row):
        release.wait(10)
        ran_in.add(threading.current_thread().name)
        return len(row["text"])

    monitor = dl.Monitor("m", reference=reference, derive={**DERIVE, "length": slow}, on_error="raise")
    columns = draw(2_000)
    monitor.observe(columns, columns["amount"] / 100)
    with monitor.prediction({"text": "a", "amount": 1.0}) as call:
        call.output = 1.0
    assert not ran_in
    release.set()
    deadline = threading.Event()
    while not ran_in and not deadline.wait(0.01):
        pass
    assert ran_in == {"driftline"}
    monitor.shutdown()


def test_a_function_that_raises_makes_a_missing_value(reference, caplog, telemetry):
    """Each error is counted, the first is logged, and no message quotes the row."""

    def fussy(row):
        if row["text"] is None:
            msg = f"cannot read {row}"
            raise ValueError(msg)
        return len(row["text"])

    monitor = dl.Monitor(
        "m", reference=reference, derive={**DERIVE, "length": fussy}, synchronous=True, **telemetry.providers
    )
    for text in ("a", None, "b", None, PRIVATE):
        monitor.observe({"text": text, "amount": 1.0}, 0.5)
    counts = monitor.snapshot().counts
    places = Layout(reference.watched).slices
    assert counts[places[1]][-1] == 2
    assert counts[places[2]][-1] == 2
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="derive") == 4
    monitor.shutdown()
    assert "derive['length'] raised ValueError" in caplog.text
    assert PRIVATE not in caplog.text
    assert sum("derive[" in record.message for record in caplog.records) == 1


def test_functions_get_a_read_only_row_of_captured_columns(reference):
    seen = []

    def look(row):
        seen.append(dict(row))
        with pytest.raises(TypeError):
            row["text"] = ""
        return 1

    monitor = in_memory_monitor(reference=reference, derive={"length": look, "tone": look})
    monitor.observe({"text": "t", "amount": 2.0}, 0.5)
    monitor.flush()
    assert seen == [{"text": "t", "amount": 2.0}] * 2
    monitor.shutdown()


def test_a_row_is_dropped_after_it_was_binned(reference):

    class Text(str):
        __slots__ = ()

    monitor = in_memory_monitor(reference=reference, derive=DERIVE)
    monitor.observe({"text": Text(PRIVATE), "amount": 1.0}, 0.5)
    monitor.flush()
    gc.collect()
    assert not [item for item in gc.get_objects() if type(item) is Text]
    monitor.shutdown()


@pytest.mark.parametrize(
    ("derive", "message"),
    [
        (None, "derive=[]: expected functions named ['length', 'tone'], as the reference was fitted with"),
        ({"length": len}, "derive=['length']: expected functions named ['length', 'tone']"),
        ({**DERIVE, "more": len}, "derive=['length', 'tone', 'more']: expected functions named"),
        ([len], "expected a dict of names and functions of a row"),
        ({"length": 3, "tone": len}, "derive['length']=3: expected a function of a row"),
        ({3: len}, "derive: 3: expected the name of a feature, a string"),
    ],
)
def test_a_monitor_needs_the_functions_of_its_reference(reference, derive, message):
    """Other names, or none, are a ConfigurationError."""
    with pytest.raises(dl.ConfigurationError) as raised:
        dl.Monitor("m", reference=reference, derive=derive)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"derive": {"amount": len}}, "derive=['amount']: names of columns, expected other names"),
        ({"derive": {"prediction": len}}, "'prediction', the name of the model's output"),
        ({"derive": {"bad": lambda row: row["nothing"]}}, "derive['bad'] raises KeyError for every row"),
        ({"derive": {"list": lambda row: [1]}}, "column 'list' holds values of type list"),
        ({"ignore": ["texts"]}, "ignore=['texts']: no such columns"),
        ({"ignore": "text"}, "ignore='text': expected a sequence of column names"),
        ({"ignore": ["text", "amount"]}, "0 features, expected 1 to"),
    ],
)
def test_invalid_derivations_are_refused_when_fitting(options, message):
    with pytest.raises(dl.ConfigurationError) as raised:
        dl.Reference.fit(draw(50), **options)
    assert message in str(raised.value)


def test_categorical_may_name_derived_features():
    columns = draw(200)
    reference = dl.Reference.fit(
        columns, derive={"size": lambda row: len(row["text"])}, ignore=["text"], categorical=["size"]
    )
    assert hasattr(reference.features[-1].bins, "categories")


def test_rows_without_names_include_ignored_columns():
    """An ignored column keeps its index in an array."""
    data = np.random.default_rng(0).normal(size=(500, 3))
    derive = {"sum": lambda row: row["0"] + row["1"]}
    reference = dl.Reference.fit(data, ignore=["1"], derive=derive)
    assert [item.name for item in reference.features] == ["0", "2", "sum"]
    for rows in (data, data[:20]):
        monitor = in_memory_monitor(reference=reference, derive=derive)
        monitor.observe(rows)
        counted = dl.Reference.fit(rows, like=reference, derive=derive)
        assert monitor.snapshot().counts.tolist() == [count for item in counted.features for count in item.counts]
        monitor.shutdown()


def test_a_reference_with_derived_features_is_learned_from_traffic():
    """learn() gets projections and ignore, the monitor gets the functions."""
    random = np.random.default_rng(0)

    def row():
        a = random.normal()
        return {"text": "x" * int(random.poisson(9)), "a": a, "b": a + random.normal()}

    learn = dl.Reference.learn(rows=500, projections=True, ignore=["text"])
    derive = {"length": lambda row: len(row["text"])}
    monitor = in_memory_monitor(reference=learn, derive=derive, window=dl.Window(rows=500))
    for _ in range(500):
        monitor.observe(row(), 0.5)
    monitor.flush()
    assert [item.name for item in monitor.reference.features] == [
        *("a", "b", "length", "projection 1", "a given the others", "b given the others", "reconstruction error"),
    ]
    monitor.observe([row() for _ in range(20)], [0.5] * 20)
    assert monitor.snapshot().rows == 20
    monitor.shutdown()


def test_only_monitors_with_derived_features_defer_batches(reference):
    plain = in_memory_monitor(reference=dl.Reference.fit({"a": np.arange(100.0)}))
    assert not Probe(plain).defers_batches
    derived = in_memory_monitor(reference=reference, derive=DERIVE)
    assert Probe(derived).defers_batches
