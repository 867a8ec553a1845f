"""Columns of every library stay codes if they are codes, and every way to count them gives the same counts."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline._binning.bins import (
    CategoricalBins,
    Feature,
    NumericBins,
)
from driftline._binning.comparison import MAX_CUTS, MAX_ROWS
from driftline._binning.layout import Layout, binner
from driftline._capture.columns import CategoricalColumn, as_codes, as_floats, as_objects, count_codes
from driftline._capture.libraries import read_column

NAN, INF = float("nan"), float("inf")
STRINGS = ["b", None, "a", "b"]
FLAGS = [True, None, False, True]
EDGE_CASES = [NAN, INF, -INF, 0.0, -0.0, 5e-324, -5e-324, sys.float_info.max, 1.0, np.nextafter(1.0, 0.0), 0.1]
NUMBERS = st.floats() | st.sampled_from(EDGE_CASES) | st.floats(width=32)
FINITE = st.floats(allow_nan=False, allow_infinity=False) | st.just(0.0)
ODD = NUMBERS | st.none() | st.booleans() | st.integers() | st.sampled_from(["0.5", "text", 10**400, -(10**400)])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pd.Series(STRINGS, dtype="category"), STRINGS),
        (pd.Categorical(STRINGS), STRINGS),
        (pd.CategoricalIndex(STRINGS), STRINGS),
        (pd.Series(STRINGS, dtype="string[pyarrow]"), STRINGS),
        (pd.Series(STRINGS, dtype=pd.ArrowDtype(pa.string())), STRINGS),
        (pd.Series(FLAGS, dtype="boolean"), FLAGS),
        (pd.array(FLAGS, dtype="boolean"), FLAGS),
        (pd.Series(FLAGS, dtype=pd.ArrowDtype(pa.bool_())), FLAGS),
        (pl.Series(STRINGS), STRINGS),
        (pl.Series(STRINGS, dtype=pl.Categorical), STRINGS),
        (pl.Series(STRINGS, dtype=pl.Enum(["c", "b", "a"])), STRINGS),
        (pl.Series(FLAGS), FLAGS),
        (pa.array(STRINGS), STRINGS),
        (pa.array(STRINGS).dictionary_encode(), STRINGS),
        (pa.chunked_array([STRINGS[:1], STRINGS[1:]]), STRINGS),
        (pa.chunked_array([pa.array(["x", "b"]).dictionary_encode(), pa.array(["b"]).dictionary_encode()]), [*"xbb"]),
        (pa.array(FLAGS), FLAGS),
        (pl.Series([None, None], dtype=pl.String), [None, None]),
        (pd.Series([None, None], dtype="category"), [None, None]),
    ],
    ids=lambda item: f"{type(item).__module__.partition('.')[0]} {getattr(item, 'dtype', getattr(item, 'type', ''))}",
)
def test_categorical_columns_of_every_library_stay_codes(column, values):
    """As a sequence, the column is its values, and so are its slices."""
    result = read_column(column)
    assert isinstance(result, CategoricalColumn)
    assert list(result) == values == as_objects(result)
    assert [result[index] for index in range(len(result))] == values
    assert list(result[1:]) == values[1:]
    assert len(result) == len(values)


def test_a_sliced_polars_categorical_has_its_own_labels():
    """However many labels the process has seen before."""
    for label in "stuvwxyz":
        pl.Series([label], dtype=pl.Categorical)
    whole = pl.Series(["q", "r", None, "q"], dtype=pl.Categorical)
    assert list(read_column(whole[1:])) == ["r", None, "q"]


@pytest.mark.parametrize(
    "column",
    [pa.chunked_array([], type=pa.string()), pl.Series([], dtype=pl.Categorical), pd.Series([], dtype="category")],
)
def test_an_empty_column_is_empty(column):
    assert list(read_column(column)) == []


def test_a_copy_does_not_share_codes():
    column = CategoricalColumn(np.array([0, 1, -1]), ("a", "b"))
    copied = column.copy()
    column.codes[:] = 0
    assert list(copied) == ["a", "b", None]


@given(st.lists(st.integers(-1, 20), max_size=300), st.integers(0, 12))
def test_codes_are_counted_and_missing_values_apart(codes, labels):
    codes = [code for code in codes if code < labels]
    missing, result = count_codes(CategoricalColumn(np.array(codes, dtype=np.int8), range(labels)))
    assert missing == codes.count(-1)
    assert result.tolist() == [codes.count(label) for label in range(labels)]


@pytest.mark.parametrize("dtype", ["i1", "u1", "i8", "u8", "?"])
def test_integers_of_a_small_range_are_codes(dtype):
    """Also at the ends of the range of their type."""
    info = np.iinfo(dtype) if dtype != "?" else None
    values = [0, 1, 1] if info is None else [info.max, info.max - 1, info.max]
    result = as_codes(np.array(values, dtype=dtype))
    assert list(result) == values
    if dtype == "i8":
        assert as_codes(np.array([info.min, info.max])) is None
        assert list(as_codes(np.array([info.min, info.min + 5]))) == [info.min, info.min + 5]


def _defined_bin(bins, value):
    """Return the bin of a value by the definition of the bins."""
    number = float(as_floats([value])[0])
    return bins.missing if np.isnan(number) else sum(cut <= number for cut in bins.cuts)


@given(
    st.lists(st.tuples(ODD, ODD, NUMBERS), min_size=1, max_size=70),
    st.lists(
        st.sets(st.floats(allow_nan=False, allow_infinity=False) | st.just(0.0), min_size=2, max_size=9),
        min_size=3,
        max_size=3,
    ),
    st.integers(1, 69),
)
def test_every_way_to_count_agrees_with_the_definition(rows, cuts, cut_at):
    """Value by value, by column, by rows, packed, in slices, and with predictions apart."""
    features = [
        Feature(str(index), NumericBins(tuple(sorted(item))), (0,) * (len(item) + 2)) for index, item in enumerate(cuts)
    ]
    layout = Layout(features)
    columns = [list(column) for column in zip(*rows, strict=True)]
    expected = np.zeros(layout.total, dtype=int)
    for feature, offset, column in zip(features, layout.offsets, columns, strict=True):
        for value in column:
            expected[offset + _defined_bin(feature.bins, value)] += 1
    floats = [as_floats(column) for column in columns]
    matrix = np.array(floats).T
    ways = {
        "columns": layout.count(columns, len(rows)),
        "floats": layout.count(floats, len(rows)),
        "strided": layout.count(matrix.T, len(rows)),
        "rows": layout.count_rows(rows),
        "predictions": layout.count_rows([row[:2] for row in rows], columns[2]),
        "packed": layout.count_rows([row.tobytes() for row in np.ascontiguousarray(matrix)]),
        "mixed": layout.count_rows([row.tobytes() if index % 3 else tuple(row) for index, row in enumerate(matrix)]),
        "parts": layout.count(columns, slice(0, min(cut_at, len(rows))))
        + layout.count(columns, slice(min(cut_at, len(rows)), len(rows))),
        "repeated": layout.count([np.tile(item, 100) for item in floats], 100 * len(rows)) // 100,
    }
    for numbers, column in zip((binner(feature.bins) for feature in features), columns, strict=True):
        assert numbers(column).tolist() == numbers(as_floats(column)).tolist()
    assert {way: counts.tolist() for way, counts in ways.items()} == dict.fromkeys(ways, expected.tolist())


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "i1", "i4", "i8", "u8", "?"])
@pytest.mark.parametrize("rows", [1, 7, 8, MAX_ROWS, MAX_ROWS + 1, 3 * MAX_ROWS + 5])
def test_numbers_of_any_dtype_get_the_bin_of_their_float(dtype, rows):
    """In long columns and short ones; the largest integers are rounded as float64 rounds them."""
    random = np.random.default_rng(rows)
    values = random.normal(size=rows) * 3
    column = (values > 0) if dtype == "?" else values.astype(dtype)
    if dtype in {"i8", "u8"}:
        column[0] = np.iinfo(dtype).max
    bins = NumericBins((-2.0, -0.5, 0.0, 1.0, 2.0**63))
    layout = Layout([Feature("x", bins, (0,) * bins.size), Feature("y", bins, (0,) * bins.size)])
    expected = np.bincount(binner(bins)(column.astype(np.float64)), minlength=bins.size).tolist()
    counted = layout.count([column, column[::-1]], rows)
    assert [counted[part].tolist() for part in layout.slices] == [expected, expected]


@pytest.mark.parametrize("cuts", [2, MAX_CUTS, MAX_CUTS + 1, 500])
def test_a_feature_with_many_cuts_is_counted_by_search(cuts):
    """Beside a feature with few cuts, and one with none."""
    bins = [NumericBins(tuple(range(cuts))), NumericBins((0.0, 1.0)), NumericBins(())]
    layout = Layout([Feature(str(index), item, (0,) * item.size) for index, item in enumerate(bins)])
    values = np.random.default_rng(0).integers(-5, cuts + 5, 3_000).astype(float)
    values[::10] = np.nan
    counted = layout.count([values] * 3, len(values))
    for item, part in zip(bins, layout.slices, strict=True):
        assert counted[part].tolist() == np.bincount(binner(item)(values), minlength=item.size).tolist()


@given(st.lists(st.sampled_from(["a", "b", "rare", "never", None]), min_size=1, max_size=50))
@pytest.mark.slow
def test_labels_of_every_library_have_the_same_counts(values):
    """Objects, categoricals, dictionaries and enumerations."""
    bins = CategoricalBins(("a", "b"), ("rare",))
    layout = Layout([Feature("x", bins, (0,) * bins.size)])
    expected = np.bincount(binner(bins)(values), minlength=bins.size).tolist()
    for column in (
        values,
        np.array(values, dtype=object),
        pd.Series(values, dtype="category"),
        pd.Series(values, dtype="str"),
        pl.Series(values, dtype=pl.String),
        pl.Series(values, dtype=pl.Categorical),
        pa.array(values, type=pa.string()).dictionary_encode(),
    ):
        assert layout.count([read_column(column)], len(values)).tolist() == expected
    assert layout.count_rows([(value,) for value in values]).tolist() == expected


def test_categories_that_are_numbers_are_counted_in_arrays():
    """By code or by value."""
    bins = CategoricalBins((1, 2), (3,))
    layout = Layout([Feature("x", bins, (0,) * bins.size)])
    for dtype in ("i1", "i8", "f4", "f8", "u2"):
        assert layout.count([np.array([1, 2, 2, 3, 4], dtype=dtype)], 5).tolist() == [1, 2, 1, 1, 0]
    flags = CategoricalBins((False, True))
    layout = Layout([Feature("x", flags, (0,) * flags.size)])
    assert layout.count([np.array([True, False, True])], 3).tolist() == [1, 2, 0, 0, 0]


def test_counting_restores_the_buffer_size_of_numpy():
    bins = NumericBins((0.0, 1.0))
    layout = Layout([Feature("x", bins, (0,) * bins.size)])
    before = np.getbufsize()
    layout.count([np.zeros(100)], 100)
    assert np.getbufsize() == before
