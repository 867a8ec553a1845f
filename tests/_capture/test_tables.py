"""Tables of every library as columns, and columns of anything as floats."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline._capture.columns import as_floats, as_objects
from driftline._capture.libraries import is_column
from driftline._capture.tables import is_table, read_table

NAN, INF = float("nan"), float("inf")
DATA = {"n": [1.5, None, 3.0], "t": ["a", None, "c"], "b": [True, None, False]}


class Raises:
    """Its conversion raises an unexpected exception."""

    def __float__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "make",
    [
        dict,
        pd.DataFrame,
        lambda data: pd.DataFrame(data).convert_dtypes(),
        lambda data: pd.DataFrame(data).convert_dtypes(dtype_backend="pyarrow"),
        pl.DataFrame,
        pa.table,
        pa.RecordBatch.from_pydict,
        lambda data: {name: pd.Series(column) for name, column in data.items()},
        lambda data: {name: pl.Series(column) for name, column in data.items()},
        lambda data: {name: pa.array(column) for name, column in data.items()},
        lambda data: {name: pa.chunked_array([column[:1], column[1:]]) for name, column in data.items()},
        lambda data: {name: np.array(column, dtype=object) for name, column in data.items()},
        lambda data: {name: tuple(column) for name, column in data.items()},
    ],
    ids=[
        "lists",
        "pandas",
        "pandas nullable",
        "pandas arrow",
        "polars",
        "pyarrow table",
        "record batch",
        "dict of pandas",
        "dict of polars",
        "dict of pyarrow",
        "dict of chunked",
        "dict of objects",
        "dict of tuples",
    ],
)
def test_tables_of_every_library_have_the_same_columns(make):
    """Names in their order, numbers as numbers, missing values as None or nan."""
    table = read_table(make(DATA))
    assert (table.names, table.rows) == (("n", "t", "b"), 3)
    numbers, texts, flags = table.columns
    np.testing.assert_array_equal(as_floats(numbers), [1.5, NAN, 3.0])
    for column, expected in ((texts, ["a", None, "c"]), (flags, [True, None, False])):
        for value, wanted in zip(as_objects(column), expected, strict=True):
            # numpy has no missing string: pandas has nan in a column of objects.
            assert value == wanted or (wanted is None and value is not True and value != value)  # noqa: PLR0124


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (True, 1.0),
        ("2.5", 2.5),
        ("text", NAN),
        (None, NAN),
        (NAN, NAN),
        (pd.NA, NAN),
        (pd.NaT, NAN),
        (-INF, -INF),
        (10**400, INF),
        (-(10**400), -INF),
        (Fraction(-(10**400), 3), -INF),
        (Decimal("1.25"), 1.25),
        ([1.0], NAN),
        ([], NAN),
        ({}, NAN),
        (np.array([1.0]), 1.0),
        (np.array([1.0, 2.0]), NAN),
        (np.array(2.0), 2.0),
        (np.float32(0.5), 0.5),
        (1 + 2j, NAN),
        (dt.date(2013, 1, 1), NAN),
        (object(), NAN),
        (Raises(), NAN),
    ],
    ids=lambda value: re.sub(r" object at 0x\w+", "", repr(value)),
)
def test_any_value_becomes_a_float_or_nan(value, expected):
    """Alone, twice, and among others."""
    np.testing.assert_array_equal(as_floats([value]), [expected])
    np.testing.assert_array_equal(as_floats([value, value]), [expected, expected])
    np.testing.assert_array_equal(as_floats([1.0, value, "x"]), [1.0, expected, NAN])


@given(st.lists(st.integers() | st.floats() | st.none() | st.text() | st.lists(st.floats(), max_size=2), max_size=9))
@pytest.mark.slow
def test_a_column_of_anything_has_one_float_per_value(values):
    floats = as_floats(values)
    assert floats.shape == (len(values),)
    assert floats.dtype == np.float64


@pytest.mark.parametrize(
    "column",
    [
        np.array([1 + 2j, 3]),
        np.array(["2024-01-01"], dtype="datetime64[D]"),
        np.array([5], dtype="timedelta64[ns]"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    ],
    ids=lambda item: str(item.dtype),
)
def test_arrays_without_numbers_become_nan(column):
    """Numpy would return the days of a date, or the real part of a complex number."""
    assert np.isnan(as_floats(column)).all()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u8", "i8", "?"])
def test_arrays_of_any_number_dtype_keep_their_values(dtype):
    np.testing.assert_array_equal(as_floats(np.array([0, 1, 1], dtype=dtype)), [0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("data", "table", "column"),
    [
        (np.zeros((2, 2)), True, False),
        (np.zeros(2), False, True),
        ({"a": [1]}, True, False),
        ({"a": 1}, False, False),
        ({}, False, False),
        (pd.DataFrame({"a": [1]}), True, False),
        (pd.Series([1]), False, True),
        (pd.Index([1]), False, True),
        (pd.array([1], dtype="Int64"), False, True),
        (pl.DataFrame({"a": [1]}), True, False),
        (pl.Series([1]), False, True),
        (pa.table({"a": [1]}), True, False),
        (pa.array([1]), False, True),
        ([1], False, True),
        ("text", False, False),
        (None, False, False),
    ],
)
def test_tables_and_columns_are_recognised_by_their_type(data, table, column):
    assert (is_table(data), is_column(data)) == (table, column)


def test_names_become_strings():
    """A RangeIndex is not a name."""
    assert read_table({0: [1], 1: [2]}).names == ("0", "1")
    assert read_table(pd.DataFrame({5: [1], "x": [2]})).names == ("5", "x")
    assert read_table(pd.DataFrame([[1, 2]])).names is None
    assert read_table(np.zeros((1, 2))).names is None


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (5, TypeError, "got int, expected a dict of columns"),
        ("text", TypeError, "got str, expected a dict of columns"),
        ([1, 2], TypeError, "got list, expected a dict of columns"),
        (np.zeros(3), ValueError, r"expected a 2-D array of rows and columns, got 1 dimension"),
        (np.zeros((1, 1, 1)), ValueError, "got 3 dimension"),
        ({"a": [1], "b": [1, 2]}, ValueError, r"columns differ in length: 'a' has 1, 'b' has 2 rows"),
        ({1: [1], "1": [2]}, ValueError, r"columns \['1'\] appear more than once"),
    ],
)
def test_other_values_are_refused_as_tables(data, error, message):
    """The message names the type and what was expected."""
    with pytest.raises(error, match=message):
        read_table(data)
