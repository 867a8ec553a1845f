"""A value of a wrong type is neither missing nor unseen: it is said, counted, and not evaluated."""

from __future__ import annotations

import datetime as dt
import decimal
import logging
import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import driftline as dl
from driftline._binning.rejects import MAX_REJECTED_SHARE
from driftline.testing import Probe

ROWS = 300


class Wordless:
    """An object whose string is its address."""


class Hostile:
    """Every operation raises."""

    def _raise(self, *_):
        raise RuntimeError

    __float__ = __eq__ = __ne__ = __hash__ = __str__ = __repr__ = __bool__ = __len__ = __iter__ = _raise


@pytest.fixture(scope="module")
def references():
    """References of a number and a label; with numbers, strings and booleans as predictions."""
    seeded = np.random.default_rng(0)
    features = {
        "x": seeded.normal(size=4_000),
        "c": seeded.choice(["a", "b"], 4_000).tolist(),
        "code": seeded.integers(0, 5, 4_000),
    }
    predictions = {
        "number": seeded.random(4_000),
        "string": seeded.choice(["yes", "no"], 4_000).tolist(),
        "boolean": (seeded.random(4_000) < 0.5).tolist(),
    }
    return {kind: dl.Reference.fit(features, predictions=values) for kind, values in predictions.items()}


@pytest.fixture
def make(references, telemetry):
    """A function that returns a monitor that evaluates `ROWS` rows."""

    def make(kind="number", **options):
        options = {"window": dl.Window(rows=ROWS), "synchronous": True, **options}
        return dl.Monitor("m", reference=references[kind], **telemetry.providers, **options)

    return make


def rows_of(**column):
    seeded = np.random.default_rng(1)
    rows = {
        "x": seeded.normal(size=ROWS).tolist(),
        "c": seeded.choice(["a", "b"], ROWS).tolist(),
        "code": seeded.integers(0, 5, ROWS).tolist(),
    }
    rows.update(column)
    return [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]


def serve_singly(monitor, rows):
    predict = monitor.instrument(lambda row: 0.5)
    for row in rows:
        predict(row)


def serve_by_block(monitor, rows):
    for row in rows:
        with monitor.prediction(row) as call:
            call.output = 0.5


def serve_small_batches(monitor, rows):
    for start in range(0, ROWS, 30):
        monitor.observe(rows[start : start + 30], [0.5] * 30)


def serve_columns(monitor, rows):
    monitor.observe({name: [row[name] for row in rows] for name in rows[0]}, [0.5] * ROWS)


def serve_frame(monitor, rows):
    monitor.observe(pd.DataFrame({name: [row[name] for row in rows] for name in rows[0]}), [0.5] * ROWS)


PATHS = [serve_singly, serve_by_block, serve_small_batches, serve_columns, serve_frame]

UNREADABLE = {
    "a word for a number": ("x", "word", "str"),
    "a timestamp for a number": ("x", pd.Timestamp("2020-01-01"), ""),
    "a date for a number": ("x", dt.date(2020, 1, 1), "date"),
    "a dict for a number": ("x", {"v": 1.0}, "dict of 1 item"),
    "an object for a number": ("x", Wordless(), "Wordless"),
    "a hostile number": ("x", Hostile(), "Hostile"),
    "a number for a name": ("c", 3, "int"),
    "a float for a name": ("c", 2.5, "float"),
    "a boolean for a name": ("c", True, "bool"),
    "a date for a name": ("c", dt.date(2020, 1, 1), "date"),
    "a dict for a name": ("c", {"a": 1}, "dict of 1 item"),
    "an object for a name": ("c", Wordless(), "Wordless"),
    "a hostile name": ("c", Hostile(), "Hostile"),
    "a name for a code": ("code", "web", "str"),
}


@pytest.mark.parametrize("serve", PATHS)
@pytest.mark.parametrize(("name", "value", "came"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_value_of_a_wrong_type_is_said_and_not_evaluated(make, telemetry, caplog, serve, name, value, came):
    monitor = make()
    serve(monitor, rows_of(**{name: [value] * ROWS}))
    monitor.flush()
    status = monitor.status()
    assert status[name].state == "insufficient_data"
    for words in (
        f"{ROWS} of {ROWS} rows",
        f"values of {name!r} cannot be read: got {came}",
        "categorical=",
        "features=",
    ):
        assert words in status[name].reason
    assert {each for each in status if "cannot be read" in status[each].reason} == {name}
    assert not [score for score in monitor.scores() if score.feature == name]
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="value") == ROWS
    assert telemetry.value("ml.feature.drift.score", ml__feature__name=name) is None
    (line,) = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert f"got {came}" in line
    assert "expected" in line


def test_a_column_of_records_says_what_its_items_are(make, caplog):
    """An array of objects looks like a column, and none of its items is a prediction."""
    monitor = make()
    monitor.observe({"x": np.zeros(ROWS), "c": ["a"] * ROWS}, np.array([{"score": 0.5}] * ROWS, dtype=object))
    assert monitor.status()["prediction"].state == "insufficient_data"
    assert "the first a dict of 1 item: expected one value per row (output= of instrument" in caplog.text


MISSING = [
    ("x", None), ("x", float("nan")), ("x", pd.NA), ("x", pd.NaT), ("x", ""), ("x", " "), ("x", "nan"),
    ("x", np.float32("nan")), ("x", decimal.Decimal("nan")), ("x", np.ma.masked),
    ("c", None), ("c", float("nan")), ("c", pd.NA), ("c", pd.NaT),
]  # fmt: skip


@pytest.mark.parametrize("serve", PATHS)
@pytest.mark.parametrize(("name", "value"), MISSING, ids=repr)
def test_missing_values_still_alarm(make, serve, name, value):
    monitor = make()
    serve(monitor, rows_of(**{name: [value] * ROWS}))
    status = monitor.status()[name]
    assert (status.state, "missing from 0.0% to 100.0%" in status.reason) == ("drifting", True)
    assert Probe(monitor).errors == {}


@pytest.mark.parametrize("value", ["z", uuid.UUID(int=1), b"z"], ids=repr)
def test_a_category_that_is_new_still_alarms(make, value):
    monitor = make()
    serve_singly(monitor, rows_of(c=[value] * ROWS))
    status = monitor.status()["c"]
    assert (status.state, "unseen" in status.reason) == ("drifting", True)
    assert Probe(monitor).errors == {}


@pytest.mark.parametrize("share", [0.0, MAX_REJECTED_SHARE, 1.1 * MAX_REJECTED_SHARE, 0.5])
def test_few_values_of_a_wrong_type_do_not_hide_the_others(make, share):
    """Beyond the limit the others may be a biased part of all."""
    monitor = make(window=dl.Window(rows=3_000))
    wrong = round(share * 3_000)
    values = np.random.default_rng(2).normal(size=3_000).tolist()
    monitor.observe({"x": ["word"] * wrong + values[wrong:], "c": ["a", "b"] * 1_500, "code": [0, 1, 2, 3, 4] * 600})
    status = monitor.status()["x"]
    assert status.state == ("stable" if share <= MAX_REJECTED_SHARE else "insufficient_data")
    assert Probe(monitor).errors.get("value", 0) == wrong
    snapshot = monitor.snapshot()
    assert snapshot.counts[Probe(monitor).bins_of("x")].sum() == snapshot.rows


def test_every_window_of_buffered_rows_says_which_outputs_cannot_be_read(make):
    """Buffered rows are counted together, and fall into several windows."""
    monitor = make()
    predict = monitor.instrument(lambda row: [0.2, 0.8])
    for row in rows_of() * 3:
        predict(row)
    status = monitor.status()["prediction"]
    assert (status.state, status.reason.partition(":")[0]) == ("insufficient_data", f"{ROWS} of {ROWS} rows")


def test_longer_windows_do_not_hide_that_the_latest_cannot_be_read(make):
    monitor = make()
    for column in ([0.1, -0.2, 0.3] * 100, ["word"] * 30 + [0.0] * 270):
        for _ in range(16):
            serve_columns(monitor, rows_of(x=column))
    assert monitor.status()["x"].state == "insufficient_data"
    serve_columns(monitor, rows_of())
    status = monitor.status()["x"]
    # The three values before vary less than the training data do.
    assert status.state == "stable" or status.reason.startswith("cannot tell"), "it is evaluated again immediately"


OUTPUTS = {
    "a dict": {"prediction": 0.7, "threshold": 0.5},
    "a dict of lists": {"predictions": [0.7]},
    "an answer of KServe": {"outputs": [{"name": "p", "data": [0.7]}]},
    "a dict of one": {"score": 0.7},
    "a list": [0.1, 0.2, 0.7],
    "a list of lists": [[0.3, 0.7]],
    "a tuple": (0.1, 0.2, 0.7),
    "an array": np.zeros((1, 3)),
    "a word": "yes",
    "nothing": None,
    "a date": dt.date(2020, 1, 1),
    "an object": Wordless(),
    "a hostile object": Hostile(),
}


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_an_output_that_cannot_be_read_is_said_and_not_evaluated(make, telemetry, caplog, output, batch):
    monitor = make()
    if batch:
        outputs = np.zeros((ROWS, 3)) if isinstance(output, np.ndarray) else [output] * ROWS
        monitor.instrument(lambda rows: outputs)(rows_of())
    else:
        predict = monitor.instrument(lambda row: output)
        for row in rows_of():
            predict(row)
    monitor.flush()
    status = monitor.status()
    assert status["prediction"].state == "insufficient_data"
    for words in (f"{ROWS} of {ROWS} rows", "the output cannot be read: got ", "expected numbers", "output="):
        assert words in status["prediction"].reason
    assert {status[name].state for name in ("x", "c", "code")} == {"stable"}
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="output") >= 1
    assert telemetry.value("ml.feature.drift.score", ml__feature__name="prediction") is None
    (line,) = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert "output" in line


@pytest.mark.parametrize(
    ("kind", "output"),
    [("string", 1), ("string", 0.5), ("string", True), ("string", {"label": "yes", "score": 0.9}), ("boolean", "yes")],
)
def test_an_output_of_another_type_than_the_labels_is_said_and_not_evaluated(make, kind, output):
    monitor = make(kind)
    predict = monitor.instrument(lambda row: output)
    for row in rows_of():
        predict(row)
    assert monitor.status()["prediction"].state == "insufficient_data"
    assert Probe(monitor).errors == {"output": ROWS}


@pytest.mark.parametrize(
    "output", [0.7, np.float32(0.7), "0.7", [0.7], np.array([[0.7]]), decimal.Decimal("0.7")], ids=repr
)
def test_an_output_that_is_one_number_is_read(make, output):
    monitor = make()
    predict = monitor.instrument(lambda row: output)
    for row in rows_of():
        predict(row)
    assert monitor.status()["prediction"].rows == ROWS
    assert Probe(monitor).errors == {}


def test_none_is_a_missing_prediction_once_there_was_another(make):
    """A model that abstains shall alarm. A function that returns nothing at all is a fault of its integration."""
    monitor = make()
    predict = monitor.instrument(lambda row: next(answers))
    answers = iter([0.5] + [None] * (2 * ROWS))
    for row in (*rows_of(), *rows_of()):
        predict(row)
    status = monitor.status()["prediction"]
    assert (status.state, "missing" in status.reason) == ("drifting", True)
    assert Probe(monitor).errors == {}


def test_features_that_are_observed_without_outputs_have_no_missing_predictions(make):
    for options in ({}, {"seconds": 0.1}):
        monitor = make()
        monitor.observe(rows_of(), **options)
        monitor.observe(rows_of()[0], **options)
        monitor.flush()
        assert monitor.status()["prediction"].rows == 0
        assert Probe(monitor).errors == {}


def test_outputs_that_cannot_be_read_while_learning_are_said(telemetry, caplog):
    learn = dl.Reference.learn(rows=ROWS)
    monitor = dl.Monitor("m", reference=learn, synchronous=True, **telemetry.providers)
    predict = monitor.instrument(lambda row: [0.1, 0.2, 0.7])
    for row in rows_of():
        predict(row)
    assert Probe(monitor).errors["output"] == ROWS
    assert "got" not in caplog.text
    assert "the output is a list of 3 items: expected a number" in caplog.text


@pytest.mark.parametrize("learned", [False, True])
def test_projections_of_values_that_cannot_be_read_are_not_evaluated(learned):
    """A projection of a wrong value is that of a mean value."""
    seeded = np.random.default_rng(0)
    x = seeded.normal(size=(4_000, 2))
    training = {"x": x[:, 0], "y": x[:, 0] + 0.1 * x[:, 1]}
    monitor = dl.Monitor(
        "m", reference=dl.Reference.fit(training, projections=True), window=dl.Window(rows=ROWS), synchronous=True
    )
    names = [name for name in monitor.status() if name != "y"]
    assert len(names) > 1
    rows = {"x": ["word"] * ROWS, "y": training["y"][:ROWS].tolist()}
    if learned:
        monitor.observe([dict(zip(rows, each, strict=True)) for each in zip(*rows.values(), strict=True)])
    else:
        monitor.observe(rows)
    status = monitor.status()
    assert {status[name].state for name in names} == {"insufficient_data"}
    assert all("values of 'x' cannot be read" in status[name].reason for name in names)


COLUMNS = {
    "numpy": np.array,
    "pandas": pd.Series,
    "pandas category": lambda values: pd.Series(values).astype("category"),
    "polars": pl.Series,
    "pyarrow": pa.array,
    "dictionary": lambda values: pa.array(values).dictionary_encode(),
    "list": list,
    "tuple": tuple,
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize(("name", "value"), [("x", "word"), ("c", 3), ("code", "web")])
def test_columns_of_every_library_are_read_as_their_values(make, column, name, value):
    monitor = make()
    rows = rows_of()
    columns = {each: [row[each] for row in rows] for each in rows[0]}
    monitor.observe({**columns, name: column([value] * ROWS)})
    assert monitor.status()[name].state == "insufficient_data"
    assert Probe(monitor).errors == {"value": ROWS}


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates(), st.binary(max_size=5),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip


@pytest.mark.slow
@given(values=st.lists(VALUES, min_size=1, max_size=40), batched=st.booleans())
@settings(max_examples=100)
def test_every_row_is_in_one_bin_and_every_wrong_value_is_counted_alike(references, values, batched):
    """Whether rows come singly or in columns."""
    monitors = [dl.Monitor("m", reference=references["number"], synchronous=True) for _ in range(2)]
    for value in values:
        monitors[0].observe([{"x": value, "c": value, "code": 1}])
    if batched:
        monitors[1].observe({"x": values, "c": values, "code": [1] * len(values)})
    else:
        predict = monitors[1].instrument(lambda row: 0.5)
        for value in values:
            predict({"code": 1, "x": value, "c": value})
    for monitor in monitors:
        monitor.flush()
        for name in ("x", "c"):
            assert monitor.snapshot().counts[Probe(monitor).bins_of(name)].sum() == len(values)
    if not (batched and isinstance(values[0], (list, dict))):
        assert Probe(monitors[0]).errors.get("value", 0) == Probe(monitors[1]).errors.get("value", 0)
