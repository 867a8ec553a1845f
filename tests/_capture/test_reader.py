"""Features of every kind become rows in the order of the reference, and nothing raises."""

from __future__ import annotations

import collections
import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest

from driftline import Reference
from driftline._binning.layout import Layout
from driftline._capture.captured import Batch, Unread
from driftline._capture.names import names_of
from driftline._capture.ownership import TRIAL_READS
from driftline._capture.reader import SMALL_BATCH, FeatureReader

NAMES = ("a", "b", "c")
ROW = (1.0, "x", True)


@dataclasses.dataclass
class Data:
    c: bool
    a: float
    b: str


class Model(pydantic.BaseModel):
    b: str
    c: bool
    a: float


Tuple = collections.namedtuple("Tuple", ["c", "b", "a"])  # noqa: PYI024 - the untyped one has fields too


class Raises:
    """Every operation on it raises."""

    def _raise(self, *_):
        raise RuntimeError

    __float__ = __eq__ = __ne__ = __hash__ = __str__ = __repr__ = __bool__ = __len__ = __iter__ = _raise


class Mapping(collections.UserDict):
    """A mapping that is not a dict."""


@pytest.fixture
def calls():
    """The calls of the callbacks of a reader."""
    return SimpleNamespace(reports=[])


@pytest.fixture
def reader(calls):
    """A reader of three features."""
    return FeatureReader(NAMES, lambda *call: calls.reports.append(call))


@pytest.mark.parametrize(
    "features",
    [
        {"a": 1.0, "b": "x", "c": True},
        {"c": True, "b": "x", "a": 1.0},
        Mapping(c=True, b="x", a=1.0),
        Data(c=True, a=1.0, b="x"),
        Model(b="x", c=True, a=1.0),
        Tuple(c=True, b="x", a=1.0),
        (1.0, "x", True),
        [1.0, "x", True],
        np.array([1.0, "x", True], dtype=object),
        pd.Series({"c": True, "a": 1.0, "b": "x"}),
        pd.Series([1.0, "x", True]),
        pl.Series([1.0, "x", True], dtype=pl.Object),
    ],
    ids=lambda value: f"{type(value).__module__.partition('.')[0]} {type(value).__name__}",
)
def test_one_row_of_any_kind_is_aligned(reader, calls, features):
    """By name, or by order if it has no names."""
    for _ in range(2):
        assert reader.align([reader(features)]) == [ROW]
    assert not calls.reports


@pytest.mark.parametrize("rows", [1, SMALL_BATCH, SMALL_BATCH + 1, 500])
@pytest.mark.parametrize(
    "make",
    [
        lambda data: data,
        pd.DataFrame,
        pl.DataFrame,
        pa.table,
        lambda data: [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)],
        lambda data: np.array([data["a"], data["b"], data["c"]], dtype=object).T,
        lambda data: list(zip(data["a"], data["b"], data["c"], strict=True)),
        lambda data: [np.array(row, dtype=object) for row in zip(data["a"], data["b"], data["c"], strict=True)],
        lambda data: [Data(*row) for row in zip(data["c"], data["a"], data["b"], strict=True)],
        lambda data: [Model(c=c, a=a, b=b) for c, a, b in zip(*data.values(), strict=True)],
        lambda data: [Tuple(c=c, a=a, b=b) for c, a, b in zip(*data.values(), strict=True)],
        lambda data: [row for _, row in pd.DataFrame(data).iterrows()],
        lambda data: {name: np.array(column, dtype=object) for name, column in data.items()},
        Mapping,
    ],
    ids=[
        "dict",
        "pandas",
        "polars",
        "pyarrow",
        "list of dicts",
        "matrix",
        "list of rows",
        "list of arrays",
        "list of dataclasses",
        "list of models",
        "list of namedtuples",
        "list of series",
        "dict of arrays",
        "mapping",
    ],
)
def test_a_batch_of_any_kind_is_aligned(reader, calls, make, rows):
    """A few rows stay rows, many become columns, with the same values."""
    data = {"c": [True] * rows, "a": [float(value) for value in range(rows)], "b": ["x"] * rows}
    captured = reader(make(data))
    if isinstance(captured, Batch):
        assert captured.rows == rows
        captured = list(zip(*captured.columns, strict=True))
    assert captured == [(float(value), "x", True) for value in range(rows)]
    assert not calls.reports


def test_a_missing_feature_is_none_and_an_unknown_one_is_reported(reader, calls):
    """Neither raises."""
    assert reader({"a": 1.0, "c": True}) == (1.0, None, True)
    assert not calls.reports
    assert reader({**dict(zip(NAMES, ROW, strict=True)), "new": 5}) == ROW
    frame = pd.DataFrame({"a": [1.0] * 50, "new": [1] * 50})
    batch = reader(frame)
    assert batch.columns[1] is None
    ((where, message),) = calls.reports
    assert where == "unknown_feature"
    assert message.startswith("features ['new'] are not in the reference: not counted.")
    assert "ignore=" in message
    reader({"newer": 1})
    assert len(calls.reports) == 2


def test_names_that_are_numbers_match_strings(calls):
    """A reference names the column 0 of a dict or frame "0"."""
    reader = FeatureReader(("0", "1"), lambda *call: calls.reports.append(call))
    assert reader({1: 2.0, 0: 1.0}) == (1.0, 2.0)
    assert reader(pd.DataFrame({1: [2.0], 0: [1.0]})) == [(1.0, 2.0)]
    assert reader([{1: 2.0, 0: 1.0}]) == [(1.0, 2.0)]
    assert not calls.reports


def test_a_frame_without_names_is_aligned_by_order(reader):
    assert reader(pd.DataFrame([[1.0, "x", True]])) == [ROW]


@pytest.mark.parametrize(
    ("features", "reason", "rows"),
    [
        (np.zeros(2), "shape", None),
        (np.zeros((4, 2)), "shape", 4),
        (np.zeros((2, 2, 2)), "shape", None),
        (np.float64(3.0), "unreadable", None),
        ((1.0,), "shape", None),
        ([[1, 2], [1]], "shape", 2),
        ([[1, 2], [1], [3]], "shape", 3),
        ([1.0] * 4, "shape", None),
        (pd.DataFrame([[1, 2]] * 3), "shape", 3),
        (pl.Series([1, 2]), "shape", None),
        (iter([1, 2, 3]), "unreadable", None),
        ({1, 2, 3}, "unreadable", None),
        (pd.DataFrame([[1, 2]] * 7, columns=["a", "a"]), "unreadable", 7),
        (5, "unreadable", None),
        ("text", "unreadable", None),
        (None, "unreadable", None),
        (object(), "unreadable", None),
        ({"a": [1, 2], "b": [1], "c": [1]}, "unreadable", 2),
    ],
)
def test_unreadable_features_are_dropped_and_reported(reader, calls, features, reason, rows):
    """With a reason and a number of rows; it is None if only the outputs can tell."""
    unread = reader(features)
    assert isinstance(unread, Unread)
    assert (unread.reason, unread.rows) == (reason, rows)
    assert len(calls.reports) == 1


@pytest.mark.parametrize(
    "features", [{}, [], (), np.zeros((0, 3)), pd.DataFrame({"a": [], "b": [], "c": []}), {"a": []}]
)
def test_empty_features_are_no_error(reader, features):
    """An empty dict is a row of missing values, an empty batch has no rows."""
    captured = reader(features)
    assert captured in ([], (None, None, None))


def test_a_captured_row_is_a_copy(reader):
    """The caller may reuse its dict or array."""
    row, array = {"a": 1.0, "b": "x", "c": True}, np.array([1.0, 2.0, 3.0])
    first, second = reader(row), reader(array)
    row["a"], array[:] = 9.0, 9.0
    assert reader.align([first]) == [ROW]
    assert np.frombuffer(second).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("rows", [2, SMALL_BATCH, SMALL_BATCH + 1, 200])
def test_a_captured_batch_is_a_copy(reader, rows):
    """A model may change its input in place."""
    array, frame = np.ones((rows, 3)), pd.DataFrame(np.ones((rows, 3)), columns=list(NAMES))
    lists = {name: [1.0] * rows for name in NAMES}
    nested = [[1.0] * 3 for _ in range(rows)]
    captured = [reader(value) for value in (array, frame, lists, nested)]
    array[:] = 9.0
    frame[:] = 9.0
    for inner in (*lists.values(), *nested):
        inner[:] = [9.0] * len(inner)
    for value in captured:
        values = value.columns if isinstance(value, Batch) else value
        assert np.unique(np.array(values)).tolist() == [1.0]


@pytest.mark.parametrize("value", [Raises(), 10**400, -(10**400), [1, [2]], {}, np.zeros((2, 2)), b"x", float("nan")])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_values_of_any_type_are_counted_once(reader, calls, value, index):
    """The row beside them is counted as usual."""
    reference = Reference.fit({"a": np.arange(50.0), "b": ["x", "y"] * 25, "c": [True, False] * 25})
    layout = Layout(reference.features)
    row = [*ROW]
    row[index] = value
    captured = [reader(dict(zip(NAMES, row, strict=True))), reader({"a": 1.0, "b": "x", "c": True})]
    counts = layout.count_rows(captured)
    assert [int(counts[part].sum()) for part in layout.slices] == [2, 2, 2]
    assert not calls.reports


@pytest.mark.parametrize(
    ("value", "is_number"),
    [
        *((value, True) for value in (2.5, 7, True, math.nan, np.float32(1.5))),
        *((value, False) for value in (None, "text", Raises(), 10**400, [1, [2]])),
    ],
)
@pytest.mark.parametrize("missing", [False, True])
def test_packed_dicts_of_numbers_have_the_same_counts(calls, value, is_number, missing):
    """A value that is missing or no number prevents the packing, and nothing else."""
    layout = Layout(Reference.fit({"a": np.arange(50.0), "b": np.arange(50.0)}).features)
    rows = [{"b": 3.0, "a": 1.0}, {"a": 30, "b": value}, {"a": 2.0} if missing else {"a": 2.0, "b": 49.0}]
    packing, plain = (
        FeatureReader(("a", "b"), lambda *call: calls.reports.append(call), packs=packs) for packs in (True, False)
    )
    aligned = packing.align(rows)
    assert layout.count_rows(aligned).tolist() == layout.count_rows(plain.align(rows)).tolist()
    assert all(row.__class__ is bytes for row in aligned) == (is_number and not missing)


@pytest.mark.parametrize("value", [Raises(), 10**400, [1, [2]], [1.0], np.zeros(2), "text", None])
def test_values_of_any_type_among_numbers_are_counted(value):
    """In a reference of numbers alone, whose rows are read as one matrix."""
    layout = Layout(Reference.fit({"a": np.arange(50.0), "b": np.arange(50.0)}).features)
    for rows in ([(1.0, value)], [(value, value)], [(1.0, 2.0), (value, 3.0)]):
        counts = layout.count_rows(rows)
        assert [int(counts[part].sum()) for part in layout.slices] == [len(rows)] * 2


def test_a_reader_of_one_feature_reads_rows(calls):
    reader = FeatureReader(("a",), lambda *call: calls.reports.append(call))
    assert reader.align([reader({"a": 1.0})]) == [(1.0,)]
    assert np.frombuffer(reader(np.array([2.0]))).tolist() == [2.0]
    assert reader(np.array([2])) == (2,)
    assert isinstance(reader(SimpleNamespace(a=3.0)), Unread)
    assert reader(np.zeros((2, 1))) == [(0.0,), (0.0,)]


@pytest.mark.parametrize(
    ("features", "names"),
    [
        ({"b": 1, "a": 2}, ("b", "a")),
        (pd.DataFrame({"x": [1]}), ("x",)),
        (pd.Series({"x": 1}), ("x",)),
        (pd.Series([1, 2]), None),
        (Data(c=True, a=1.0, b="x"), ("c", "a", "b")),
        (Model(b="x", c=True, a=1.0), ("b", "c", "a")),
        (Tuple(1, 2, 3), ("c", "b", "a")),
        (np.zeros(2), None),
        ([1, 2], None),
    ],
)
def test_names_of_features_are_found(features, names):
    """A reference that is learned from traffic uses them."""
    assert names_of(features) == names


class Point:
    """A dataclass-like row whose value is an array."""

    _fields = ("a", "b", "c")

    def __init__(self, a, b, c):
        self.a, self.b, self.c = a, b, c


MUTABLE = {
    "dict": lambda value: {"a": 1.0, "b": "x", "c": value},
    "dict in another order": lambda value: {"c": value, "a": 1.0, "b": "x"},
    "list": lambda value: [1.0, "x", value],
    "tuple": lambda value: (1.0, "x", value),
    "object": lambda value: Point(1.0, "x", value),
    "list of dicts": lambda value: [{"a": 1.0, "b": "x", "c": value}] * 2,
    "list of lists": lambda value: [[1.0, "x", value]] * 2,
}


@pytest.mark.parametrize("make", MUTABLE.values(), ids=MUTABLE)
@pytest.mark.parametrize("shape", [(1,), (1, 1), ()])
@pytest.mark.parametrize("late", [False, True])
def test_a_value_that_the_caller_changes_after_the_call_is_the_old_one(make, shape, late):
    reader = FeatureReader(NAMES, lambda *_: None, late=late)
    for _ in range(3):
        value = np.full(shape, 2.0)
        captured = reader(make(value))
        value[...] = 9.0
        for row in captured if isinstance(captured, list) else [captured]:
            assert reader.align([row])[0] == (1.0, "x", 2.0)


def test_a_reader_is_trusted_after_plain_rows_and_not_after_others():
    reader = FeatureReader(("a", "b"), lambda *_: None)
    assert reader.inline is None
    for _ in range(TRIAL_READS):
        reader({"a": 1.0, "b": 2.0})
    assert reader.inline is dict
    reader.inspect({"a": 1.0, "b": np.array([2.0])})
    assert reader.inline is None
    for _ in range(2 * TRIAL_READS):
        reader({"a": 1.0, "b": 2.0})
    assert reader.inline is None
    value = np.array([2.0])
    captured = reader({"a": 1.0, "b": value})
    value[0] = 9.0
    assert captured == (1.0, 2.0)
