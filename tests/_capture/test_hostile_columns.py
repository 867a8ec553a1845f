"""Columns of any type in a batch: those that are no features are not touched, and features never cost the others."""

from __future__ import annotations

from array import array
from collections import deque

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import driftline as dl
from driftline.testing import Probe, in_memory_monitor

ROWS = 2_000
RNG = np.random.default_rng(0)
NUMBERS, LABELS = RNG.normal(size=ROWS), RNG.choice(["a", "b"], ROWS).tolist()
GOOD = {"x": NUMBERS, "c": LABELS}
REFERENCE = dl.Reference.fit({"x": RNG.normal(size=9_000), "c": RNG.choice(["a", "b"], 9_000)})


class Frame(pd.DataFrame):
    """A frame such as that of geopandas."""


class Column(pd.Series):
    """A series such as that of geopandas."""


class Polars(pl.DataFrame):
    """A frame of a subclass of polars."""


class Values(np.ndarray):
    """An array of a subclass, such as a quantity with a unit."""


class Items(list):
    """A list of a subclass."""


class Untouchable:
    """A column that raises whatever is done with it."""

    def _raise(self, *_):
        raise RuntimeError

    __len__ = __iter__ = __getitem__ = __array__ = __getattr__ = _raise


@pytest.fixture
def monitor():
    """A monitor that logs errors, as it serves."""
    return in_memory_monitor(reference=REFERENCE, window=dl.Window(rows=1_000), on_error="log")


def far_dates(kind=pl.Date):
    """A polars column of dates that Python cannot hold."""
    return pl.Series([2**31 - 1] * ROWS, dtype=pl.Int32).cast(kind)


UNKNOWN = {
    "twice": lambda: pd.concat([pd.DataFrame(GOOD), *[pd.DataFrame({"id": range(ROWS)})] * 2], axis=1),
    **{
        kind: lambda kind=kind: pl.DataFrame({**GOOD, "hash": pl.Series([1] * ROWS, dtype=getattr(pl, kind))})
        for kind in ("Int128", "UInt128")
        if hasattr(pl, kind)  # not in the oldest polars
    },
    "far dates": lambda: pl.DataFrame({**GOOD, "day": far_dates()}),
    "list of far dates": lambda: pl.DataFrame(
        {**GOOD, "day": far_dates().to_frame("d").select(pl.concat_list("d"))["d"]}
    ),
    "struct of far dates": lambda: pl.DataFrame({**GOOD, "day": pl.DataFrame({"d": far_dates()}).to_struct()}),
    "far arrow dates": lambda: pa.table({**GOOD, "day": pa.array([2**62] * ROWS, pa.timestamp("us"))}),
    "nested arrow": lambda: pa.table({**GOOD, "more": [[{"a": 1}]] * ROWS}),
    "longer": lambda: {**GOOD, "meta": ["v1"] * (ROWS + 1)},
    "shorter": lambda: {**GOOD, "meta": ["v1"]},
    "scalar": lambda: {**GOOD, "model": "v1"},
    "None": lambda: {**GOOD, "model": None},
    "dict": lambda: {**GOOD, "model": {"name": "v1"}},
    "image": lambda: {**GOOD, "image": np.zeros((ROWS, 2, 2))},
    "images": lambda: {**GOOD, "image": [np.zeros((2, 2))] * ROWS},
    "complex": lambda: {**GOOD, "wave": np.zeros(ROWS, complex)},
    "generator": lambda: {**GOOD, "stream": (item for item in ())},
    "untouchable": lambda: {**GOOD, "image": Untouchable()},
    "first": lambda: {"model": "v1", **GOOD},
    "objects": lambda: pd.DataFrame({**GOOD, "any": [object()] * ROWS}),
}


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("decorated", [False, True], ids=["observe", "decorator"])
def test_a_column_that_is_no_feature_costs_nothing(monitor, kind, decorated, counts):
    """It is reported once, in however many batches it is."""
    batch = UNKNOWN[kind]()
    record = monitor.instrument(lambda features: [0.5] * ROWS) if decorated else monitor.observe
    for _ in range(3):
        record(batch)
    assert counts(monitor) == (3 * ROWS, {}, 3 * ROWS, {"unknown_feature": 1})
    assert {feature: status.state for feature, status in monitor.status().items()} == {"x": "stable", "c": "stable"}


def test_an_unknown_column_is_reported_with_the_argument_that_names_it(monitor, caplog):
    """Once, with its name and not its values."""
    for _ in range(3):
        monitor.observe({**GOOD, "email": ["a@b.c"] * ROWS})
    (record,) = caplog.records
    assert "features ['email'] are not in the reference" in record.message
    assert "ignore=" in record.message
    assert "a@b.c" not in caplog.text


@pytest.mark.parametrize("replaced", [False, True])
def test_new_names_without_end_are_reported_for_a_while(monitor, replaced):
    """A dict whose keys are ids has new names in each call."""
    for turn in range(3_000):
        monitor.observe({"x": 0.0, "c": "a", str(turn): 1})
        if replaced and turn == 500:
            monitor.replace_reference(REFERENCE)
    errors = Probe(monitor).errors
    assert errors["unknown_feature"] <= 1_000


KNOWN = {
    "subclass of pandas": lambda: Frame(GOOD),
    "subclass of polars": lambda: Polars(GOOD),
    "dict of a subclass of a series": lambda: {name: Column(values) for name, values in GOOD.items()},
    "dict of a subclass of an array": lambda: {"x": NUMBERS.view(Values), "c": LABELS},
    "dict of a subclass of a list": lambda: {"x": Items(NUMBERS), "c": Items(LABELS)},
    "dict of categoricals": lambda: {"x": NUMBERS, "c": pd.Categorical(LABELS)},
    "dict of any iterable": lambda: {"x": array("d", NUMBERS), "c": deque(LABELS)},
    "structured": lambda: np.array(list(zip(NUMBERS, LABELS, strict=True)), dtype=[("x", "f8"), ("c", "U1")]),
    "arrow dictionaries": lambda: pl.DataFrame({**GOOD, "c": pl.Series(LABELS, dtype=pl.Categorical)}).to_arrow(),
    "arrow enums": lambda: pl.DataFrame({**GOOD, "c": pl.Series(LABELS, dtype=pl.Enum(["a", "b"]))}).to_arrow(),
    "column of one value a row": lambda: {"x": NUMBERS.reshape(-1, 1), "c": LABELS},
}


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("decorated", [False, True], ids=["observe", "decorator"])
def test_tables_of_subclasses_and_other_kinds_are_tables(monitor, kind, decorated, counts):
    batch = KNOWN[kind]()
    record = monitor.instrument(lambda features: [0.5] * ROWS) if decorated else monitor.observe
    record(batch)
    assert counts(monitor) == (ROWS, {}, ROWS, {})
    assert {feature: status.state for feature, status in monitor.status().items()} == {"x": "stable", "c": "stable"}


@pytest.mark.parametrize("index", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
@pytest.mark.parametrize("rows", [1, 32, 33, 500])
@pytest.mark.parametrize("missing", [False, True])
def test_dictionaries_with_indices_of_any_width_are_read(index, rows, missing):
    """In a table, a record batch, a chunked array, and a series of pandas; at fit too."""
    codes = pa.array([None if missing and row % 5 == 4 else row % 2 for row in range(rows)], getattr(pa, index)())
    column = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]))
    other = pa.DictionaryArray.from_arrays(codes, pa.array(["b", "a"]))
    plain = {"c": column.to_pylist(), "x": [0.5] * rows}
    chunked = pa.chunked_array([column, other])
    for table, expected in (
        (pa.table({"c": column, "x": plain["x"]}), plain),
        (pa.RecordBatch.from_pydict({"c": column, "x": pa.array(plain["x"])}), plain),
        ({"c": column, "x": plain["x"]}, plain),
        (pd.DataFrame({"c": pd.Series(pd.array(column, dtype=pd.ArrowDtype(column.type))), "x": plain["x"]}), plain),
        ({"c": chunked, "x": [0.5] * 2 * rows}, {"c": chunked.to_pylist(), "x": [0.5] * 2 * rows}),
    ):
        bins = []
        for batch in (table, expected):
            monitor = in_memory_monitor(reference=REFERENCE)
            monitor.observe(batch)
            bins.append(monitor.snapshot().counts.tolist())
        assert bins[0] == bins[1]
        assert dl.Reference.fit(table).features == dl.Reference.fit(expected).features


def test_dictionaries_that_cannot_be_unified_are_read():
    """Two chunks of int8 indices with 200 labels together."""
    chunks = [
        pa.DictionaryArray.from_arrays(
            pa.array(range(100), pa.int8()), pa.array([f"{part}{row}" for row in range(100)])
        )
        for part in "ab"
    ]
    chunked = pa.chunked_array(chunks)
    reference = dl.Reference.fit({"c": chunked})
    assert reference.features == dl.Reference.fit({"c": chunked.to_pylist()}).features


BAD = {
    "twice": (lambda: pd.DataFrame(np.zeros((ROWS, 3)), columns=["x", "c", "x"]), "unreadable"),
    "lengths": (lambda: {"x": [0.0] * ROWS, "c": ["a"] * 7}, "unreadable"),
    "width": (lambda: np.zeros((ROWS, 3)), "shape"),
    "frame without names": (lambda: pd.DataFrame(np.zeros((ROWS, 3))), "shape"),
    "rows of another width": (lambda: [[0.0, "a", 1]] * ROWS, "shape"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("way", ["observe", "seconds", "outputs", "decorator", "failing", "block", "learn"])
def test_a_batch_that_cannot_be_read_counts_its_rows(kind, way, caplog):
    """As served and as dropped."""
    make, reason = BAD[kind]
    reference = REFERENCE
    if way == "learn":
        reference = dl.Reference.learn(rows=10_000)
    monitor = in_memory_monitor(reference=reference, on_error="log")
    batch = make()
    if way == "learn":
        monitor.observe({"x": 0.0, "c": "a"})
        monitor.observe(batch)
    elif way in {"observe", "outputs"}:
        monitor.observe(batch, [0.5] * ROWS if way == "outputs" else None)
    elif way == "seconds":
        monitor.observe(batch, seconds=0.1)
    elif way == "block":
        with monitor.prediction(batch) as call:
            call.output = [0.5] * ROWS
    elif way == "decorator":
        monitor.instrument(lambda features: [0.5] * ROWS)(batch)
    else:
        with pytest.raises(ZeroDivisionError):
            monitor.instrument(lambda features: 1 / 0)(batch)
    monitor.flush()
    totals = Probe(monitor).totals
    assert totals.dropped == {reason: ROWS}
    assert totals.served + sum(totals.failed.values()) - (way == "learn") == ROWS
    assert dict(Probe(monitor).errors) == {"capture": 1}


@pytest.mark.parametrize("output", [[0.5] * 40, np.full(40, 0.5), np.full((40, 2), 0.5), pd.Series([0.5] * 40)])
def test_features_of_an_unreadable_type_count_as_many_rows_as_outputs(output, counts):
    monitor = in_memory_monitor(reference=REFERENCE, on_error="log")
    monitor.observe(iter([1, 2, 3]), output)
    monitor.instrument(lambda features: output)(object())
    assert counts(monitor) == (80, {"unreadable": 80}, 0, {"capture": 2})


FEATURE = {
    "far dates": (lambda: pl.DataFrame({**GOOD, "x": far_dates()}), "got a column of polars Date"),
    "images": (lambda: {**GOOD, "x": np.zeros((ROWS, 2, 2))}, "got a column of shape (2000, 2, 2)"),
    "pairs": (lambda: {**GOOD, "x": np.zeros((ROWS, 2))}, "got a column of shape (2000, 2)"),
    "nested": (lambda: pa.table({**GOOD, "x": [[1.0]] * ROWS}), "got list of 1 item"),
}


@pytest.mark.parametrize("kind", FEATURE)
def test_a_feature_that_cannot_be_read_is_not_evaluated_and_costs_no_other(monitor, kind, caplog, counts):
    """It is no drift: the log says what came."""
    make, came = FEATURE[kind]
    monitor.observe(make())
    assert counts(monitor) == (ROWS, {}, ROWS, {"value": ROWS})
    assert monitor.status()["c"].state == "stable"
    assert monitor.status()["x"].state == "insufficient_data"
    assert came in caplog.text


@pytest.mark.parametrize(
    "empty", [[], (), {}, {"x": [], "c": []}, np.empty((0, 2)), pd.DataFrame(), pl.DataFrame(GOOD)[:0]]
)
@pytest.mark.parametrize("seconds", [None, 0.1])
def test_nothing_is_no_row(monitor, empty, seconds, counts):
    monitor.observe(empty, seconds=seconds)
    served, dropped, rows, errors = counts(monitor)
    assert (served, dropped, rows) == (0, {}, 0)
    assert errors == {}


def test_an_empty_batch_of_a_call_has_no_rows_and_an_empty_row_is_one(monitor, counts):
    """The result of the call decides."""
    monitor.instrument(lambda features: [])([])
    assert counts(monitor) == (0, {}, 0, {})
    monitor.instrument(lambda features: 0.5)([])
    assert counts(monitor)[:3] == (1, {"shape": 1}, 0)
