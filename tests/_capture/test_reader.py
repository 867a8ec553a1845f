"""Features of every kind to rows that are aligned by name, and never an exception."""

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
from driftline._capture.reader import SMALL_BATCH, Batch, FeatureReader, names_of

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
    """Every question that can be put to it raises."""

    def _raise(self, *_):
        raise RuntimeError

    __float__ = __eq__ = __ne__ = __hash__ = __str__ = __repr__ = __bool__ = __len__ = __iter__ = _raise


class Mapping(collections.UserDict):
    """A mapping that is no dict."""


@pytest.fixture
def told():
    """What a capture reports and drops."""
    return SimpleNamespace(reports=[], dropped=[])


@pytest.fixture
def capture(told):
    """A capture over three features."""
    return FeatureReader(NAMES, lambda *one: told.reports.append(one), lambda *one: told.dropped.append(one))


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
    ids=lambda one: f"{type(one).__module__.partition('.')[0]} {type(one).__name__}",
)
def test_one_row_of_any_kind(capture, told, features):
    """Aligned to the order of the reference by name, by order where there are none."""
    for _ in range(2):
        assert capture.align([capture(features)]) == [ROW]
    assert not told.reports
    assert not told.dropped


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
def test_a_batch_of_any_kind(capture, told, make, rows):
    """Rows where they are few, columns where they are many: the same values."""
    data = {"c": [True] * rows, "a": [float(one) for one in range(rows)], "b": ["x"] * rows}
    captured = capture(make(data))
    if isinstance(captured, Batch):
        assert captured.rows == rows
        captured = list(zip(*captured.columns, strict=True))
    assert captured == [(float(one), "x", True) for one in range(rows)]
    assert not told.reports


def test_a_missing_feature_is_missing_and_an_unknown_one_reported(capture, told):
    """Neither raises; the known ones are read."""
    assert capture({"a": 1.0, "c": True}) == (1.0, None, True)
    assert not told.reports
    assert capture({**dict(zip(NAMES, ROW, strict=True)), "new": 5}) == ROW
    assert told.reports == [("unknown_feature", "features ['new'] are not in the reference: not counted")]
    frame = pd.DataFrame({"a": [1.0] * 50, "new": [1] * 50})
    batch = capture(frame)
    assert batch.columns[1] is None
    assert len(told.reports) == 2


def test_names_that_are_numbers_are_those_of_the_reference(told):
    """A reference calls the column 0 of a dict or frame "0"."""
    capture = FeatureReader(("0", "1"), lambda *one: told.reports.append(one), lambda *one: told.dropped.append(one))
    assert capture({1: 2.0, 0: 1.0}) == (1.0, 2.0)
    assert capture(pd.DataFrame({1: [2.0], 0: [1.0]})) == [(1.0, 2.0)]
    assert capture([{1: 2.0, 0: 1.0}]) == [(1.0, 2.0)]
    assert not told.reports


def test_a_frame_without_names_is_aligned_by_order(capture):
    """An unnamed pandas frame is an array."""
    assert capture(pd.DataFrame([[1.0, "x", True]])) == [ROW]


@pytest.mark.parametrize(
    ("features", "reason", "rows"),
    [
        (np.zeros(2), "shape", 1),
        (np.zeros((4, 2)), "shape", 4),
        (np.zeros((2, 2, 2)), "shape", 1),
        (np.float64(3.0), "unreadable", 1),
        ((1.0,), "shape", 1),
        ([[1, 2], [1]], "shape", 2),
        ([[1, 2], [1], [3]], "shape", 3),
        ([1.0] * 4, "shape", 1),
        (pd.DataFrame([[1, 2]] * 3), "shape", 3),
        (pl.Series([1, 2]), "shape", 1),
        (iter([1, 2, 3]), "unreadable", 1),
        ({1, 2, 3}, "unreadable", 1),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "unreadable", 1),
        (5, "unreadable", 1),
        ("text", "unreadable", 1),
        (None, "unreadable", 1),
        (object(), "unreadable", 1),
        ({"a": [1, 2], "b": [1], "c": [1]}, "unreadable", 1),
    ],
)
def test_what_cannot_be_read_is_dropped_and_counted(capture, told, features, reason, rows):
    """With a reason, a number of rows, and a report."""
    assert capture(features) is None
    assert told.dropped == [(reason, rows)]
    assert len(told.reports) == 1


@pytest.mark.parametrize(
    "features", [{}, [], (), np.zeros((0, 3)), pd.DataFrame({"a": [], "b": [], "c": []}), {"a": []}]
)
def test_nothing_is_no_error(capture, features):
    """An empty dict is a row of missing values, an empty batch no rows."""
    captured = capture(features)
    assert captured in (None, [], (None, None, None))


def test_the_row_is_a_copy(capture):
    """A caller that reuses its dict or array changes nothing that was captured."""
    row, array = {"a": 1.0, "b": "x", "c": True}, np.array([1.0, 2.0, 3.0])
    first, second = capture(row), capture(array)
    row["a"], array[:] = 9.0, 9.0
    assert capture.align([first]) == [ROW]
    assert np.frombuffer(second).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("rows", [2, SMALL_BATCH, SMALL_BATCH + 1, 200])
def test_a_batch_is_a_copy(capture, rows):
    """A model that works in place on its input is watched by what came in."""
    array, frame = np.ones((rows, 3)), pd.DataFrame(np.ones((rows, 3)), columns=list(NAMES))
    lists = {name: [1.0] * rows for name in NAMES}
    nested = [[1.0] * 3 for _ in range(rows)]
    captured = [capture(one) for one in (array, frame, lists, nested)]
    array[:] = 9.0
    frame[:] = 9.0
    for inner in (*lists.values(), *nested):
        inner[:] = [9.0] * len(inner)
    for one in captured:
        values = one.columns if isinstance(one, Batch) else one
        assert np.unique(np.array(values)).tolist() == [1.0]


@pytest.mark.parametrize("value", [Raises(), 10**400, -(10**400), [1, [2]], {}, np.zeros((2, 2)), b"x", float("nan")])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_odd_values_are_captured_and_counted(capture, told, value, place):
    """Whatever a feature holds, its row is counted once in each feature, and the row beside it as ever."""
    reference = Reference.fit({"a": np.arange(50.0), "b": ["x", "y"] * 25, "c": [True, False] * 25})
    layout = Layout(reference.features)
    row = [*ROW]
    row[place] = value
    captured = [capture(dict(zip(NAMES, row, strict=True))), capture({"a": 1.0, "b": "x", "c": True})]
    counts = layout.count_rows(captured)
    assert [int(counts[part].sum()) for part in layout.slices] == [2, 2, 2]
    assert not told.dropped


@pytest.mark.parametrize(
    ("value", "is_number"),
    [
        *((one, True) for one in (2.5, 7, True, math.nan, np.float32(1.5))),
        *((one, False) for one in (None, "text", Raises(), 10**400, [1, [2]])),
    ],
)
@pytest.mark.parametrize("missing", [False, True])
def test_dicts_of_numbers_are_packed_and_count_the_same(told, value, is_number, missing):
    """As bytes where all are numbers; a value that is none, or is missing, costs only that."""
    layout = Layout(Reference.fit({"a": np.arange(50.0), "b": np.arange(50.0)}).features)
    rows = [{"b": 3.0, "a": 1.0}, {"a": 30, "b": value}, {"a": 2.0} if missing else {"a": 2.0, "b": 49.0}]
    packing, plain = (
        FeatureReader(("a", "b"), lambda *one: told.reports.append(one), lambda *one: None, packs=packs)
        for packs in (True, False)
    )
    aligned = packing.align(rows)
    assert layout.count_rows(aligned).tolist() == layout.count_rows(plain.align(rows)).tolist()
    assert all(row.__class__ is bytes for row in aligned) == (is_number and not missing)


@pytest.mark.parametrize("value", [Raises(), 10**400, [1, [2]], [1.0], np.zeros(2), "text", None])
def test_odd_values_among_numbers_are_counted(value):
    """In a reference of numbers alone, where rows are read as one matrix."""
    layout = Layout(Reference.fit({"a": np.arange(50.0), "b": np.arange(50.0)}).features)
    for rows in ([(1.0, value)], [(value, value)], [(1.0, 2.0), (value, 3.0)]):
        counts = layout.count_rows(rows)
        assert [int(counts[part].sum()) for part in layout.slices] == [len(rows)] * 2


def test_a_reference_of_one_feature_reads_rows_too(told):
    """A row of one value."""
    capture = FeatureReader(("a",), lambda *one: told.reports.append(one), lambda *one: told.dropped.append(one))
    assert capture.align([capture({"a": 1.0})]) == [(1.0,)]
    assert np.frombuffer(capture(np.array([2.0]))).tolist() == [2.0]
    assert capture(np.array([2])) == (2,)
    assert capture(SimpleNamespace(a=3.0)) is None
    assert capture(np.zeros((2, 1))) == [(0.0,), (0.0,)]


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
def test_the_names_that_a_first_call_carries(features, names):
    """What a reference that is learnt from traffic is named after."""
    assert names_of(features) == names
