"""A column to a feature: its kind, its cuts, and the columns that are refused."""

from __future__ import annotations

import datetime as dt
import enum
import math
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import ConfigurationError, Reference
from driftline._binning.bins import (
    CategoricalBins,
    NumericBins,
)
from driftline._binning.cuts import FEW_VALUES
from driftline._binning.fitting import fit_feature

DATE = dt.datetime(2013, 1, 1)  # noqa: DTZ001 - data have no zone


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Size(str, enum.Enum):
    SMALL = "s"
    LARGE = "l"


def fitted(values, categorical=None, most=50):
    return fit_feature("x", values, categorical, most)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=200))
def test_training_data_are_within_the_range(values):
    """Every finite value has a bin between the cuts, and cuts increase strictly."""
    feature = fitted(np.array(values, dtype=np.float64))
    assert list(feature.bins.cuts) == sorted(set(feature.bins.cuts))
    assert sum(feature.counts) == len(values)
    assert feature.counts[0] == feature.counts[-2] == feature.counts[-1] == 0


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60))
def test_bins_of_any_floats_survive_a_file(values):
    """Denormal, huge and nearly equal numbers too."""
    reference = Reference.fit({"x": values}, numeric=["x"])
    assert Reference.from_json(reference.to_json()) == reference
    assert sum(reference.features[0].counts) == len(values)


@pytest.mark.parametrize("value", [0.1, 0.3, 1e-300, -7.7, 3.4e38, 1e139])
def test_a_constant_has_a_standard_deviation_of_zero(value):
    """Rounding gives a column of 0.1 a deviation of 1e-17, which would put every other value far away."""
    feature = fitted(np.full(1_000, value))
    assert (feature.moments.mean, feature.moments.std) == (value, 0.0)
    assert feature.positions()[:3].tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("stand_in", [1e308, -1.7976931348623157e308, 1e200])
def test_numbers_whose_squares_overflow_are_out_of_range(stand_in):
    """They change neither the bins nor the moments of the others."""
    feature = fitted(np.append(np.arange(100.0), stand_in))
    assert feature.bins == fitted(np.arange(100.0)).bins
    assert feature.moments == fitted(np.arange(100.0)).moments
    assert feature.counts[0 if stand_in < 0 else -2] == 1


@pytest.mark.parametrize("distinct", [1, 2, FEW_VALUES])
def test_few_distinct_values_get_a_bin_each(distinct):
    """Further bins are empty."""
    feature = fitted(np.repeat(np.arange(float(distinct)), 7))
    assert [count for count in feature.counts if count] == [7] * distinct


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, 2.0] * 50, NumericBins),
        ([0, 1] * 50, CategoricalBins),
        (list(range(10)) * 5, CategoricalBins),
        (list(range(11)) * 5, NumericBins),
        ([1, 2, 3], NumericBins),
        ([True, False], CategoricalBins),
        (np.array([True, False]), CategoricalBins),
        (["a"], CategoricalBins),
        ([1, "a"], CategoricalBins),
        ([b"a", b"b"], CategoricalBins),
        ([Colour.RED, Colour.BLUE], CategoricalBins),
        ([Decimal(1), Decimal(2)], NumericBins),
        ([None, None], CategoricalBins),
        ([math.nan, math.nan], CategoricalBins),
        (np.full(2, math.nan), CategoricalBins),
        ([1.0, math.nan], NumericBins),
        ([], CategoricalBins),
    ],
)
def test_values_decide_the_kind_of_a_column(values, kind):
    """Strings, booleans and enumerations are labels, and so are few integers that occur often."""
    assert isinstance(fitted(values).bins, kind)


@pytest.mark.parametrize(
    "values",
    [
        [Colour.RED, Colour.BLUE],
        [Size.SMALL, Size.LARGE],
        [b"a", b"b"],
        [uuid.UUID(int=1), uuid.UUID(int=2)],
        [1.5, float("inf")],
        list(np.array(["a", "b"])),
        list(np.array([1, 2])),
        ["\ud800", "ü"],
        [0, 2**70],
    ],
    ids=repr,
)
def test_categories_of_any_type_survive_a_file(values, tmp_path):
    """After saving and loading, each value still has its own bin."""
    reference = Reference.fit({"x": values * 50}, categorical=["x"])
    assert reference.features[0].counts == (50, 50, 0, 0, 0)
    reference.save(tmp_path / "r.json")
    loaded = Reference.load(tmp_path / "r.json")
    assert loaded == reference
    assert loaded.fingerprint == reference.fingerprint
    assert Reference.fit({"x": values * 3}, like=loaded).features[0].counts == (3, 3, 0, 0, 0)


def test_the_number_1_and_the_string_1_are_two_categories():
    """Their order does not depend on the order of the rows."""
    for values in (["1", 1, "x"] * 9, [1, "x", "1"] * 9):
        assert [type(label) for label in fitted(values).bins.categories] == [int, str, str]


@pytest.mark.parametrize(
    "values",
    [
        [DATE] * 9,
        [None, DATE],
        [DATE.date(), 5],
        [dt.time(1)],
        [dt.timedelta(1)],
        [np.datetime64("2024-01-01")],
        np.array(["2024-01-01"], dtype="datetime64[D]"),
        np.array([5], dtype="timedelta64[s]"),
        [pd.Timestamp("2024-01-01", tz="UTC")],
    ],
    ids=repr,
)
@pytest.mark.parametrize("categorical", [None, True, False])
def test_dates_are_refused(values, categorical):
    """The dates of the training data do not come again."""
    with pytest.raises(ConfigurationError, match=r"column 'x' holds dates: expected .* \(derive a number"):
        fitted(values, categorical)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([DATE]),
        pd.Series([DATE]).dt.tz_localize("UTC"),
        pd.Series(pd.to_timedelta([1], unit="s")),
        pl.Series([DATE]),
        pl.Series([DATE.date()]),
        pa.array([DATE]),
        pa.array([DATE.date()]),
    ],
    ids=lambda values: f"{type(values).__module__} {getattr(values, 'dtype', None) or values.type}",
)
def test_dates_of_every_library_are_refused(column):
    """They are not taken for missing values."""
    with pytest.raises(ConfigurationError, match="column 'x' holds dates"):
        Reference.fit({"x": column})


@pytest.mark.parametrize(
    ("values", "categorical", "message"),
    [
        ([{"a": 1}], None, "values of type dict"),
        ([{"a": 1}], True, "values of type dict"),
        ([[1, 2]], None, "values of type list"),
        ([(1, 2)], True, "values of type tuple"),
        ([object()], None, "values of type object"),
        ([1 + 2j], True, "values of type complex"),
        (np.array([1 + 2j]), None, "values of dtype complex128"),
        (np.array([(1, 2)], dtype=[("a", int), ("b", int)]), None, "values of dtype"),
    ],
)
def test_records_and_objects_are_refused(values, categorical, message):
    """The message names the column and the type."""
    with pytest.raises(ConfigurationError, match=f"column 'x' holds {message}"):
        fitted(values, categorical)


@pytest.mark.parametrize(
    ("values", "part", "came"),
    [
        ([1.5, 2.5], ["a", "b"], "str, expected numbers"),
        ([1.5, 2.5], [dt.date(2020, 1, 1)] * 2, "date, expected numbers"),
        (["a", "b"], [1.5, 2.5], "float, expected strings"),
        (["a", "b"], [["a"], ["b"]], "list of 1 item, expected strings"),
    ],
)
def test_a_part_of_another_type_than_the_first_is_refused(values, part, came):
    """Its values would be missing ones, which training data do not have."""
    first = Reference.fit({"x": values * 50})
    with pytest.raises(ConfigurationError, match=f"column 'x': got {came}"):
        Reference.fit({"x": part * 50}, like=first)
    assert Reference.fit({"x": [None] * 9}, like=first).features[0].counts[-1] == 9


def test_columns_of_several_texts_in_each_row_are_refused():
    """One text in each row of a matrix is a column."""
    texts = np.array(["a", "b"] * 50)
    assert Reference.fit({"x": texts[:, None]}) == Reference.fit({"x": texts})
    with pytest.raises(ConfigurationError, match=r"column 'x' holds arrays of shape \(2,\)"):
        Reference.fit({"x": texts.reshape(50, 2)})


def test_a_numeric_column_without_numbers_is_refused():
    """Strings that are numbers are numbers."""
    with pytest.raises(ConfigurationError, match="column 'x' is named in numeric= and holds no number"):
        fitted(["a", "b"], categorical=False)
    assert fitted(["1.5", "2.5"], categorical=False).moments.mean == 2.0


def test_a_column_of_missing_values_is_accepted():
    """None, nan, NA and NaT. It has no category."""
    feature = fitted([None, float("nan"), pd.NA, pd.NaT])
    assert feature.counts == (0, 0, 4)


def test_a_column_of_infinite_values_has_a_bin_for_finite_ones():
    feature = fitted(np.array([math.inf, -math.inf, math.inf]))
    assert feature.counts == (1, 0, 2, 0)
