"""A value means the same bin alone, in a list, in an array of any width, and in the column of any library."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline import Reference
from driftline._binning.layout import binner
from driftline._capture.libraries import read_column

ROWS = 500
RNG = np.random.default_rng(5)
IDS = [2**53 + 1 + 2 * row for row in range(10)]

INTEGERS = {
    "few": [*range(8)],
    "many": [*range(-100, 100)],
    "above 2**53": IDS,
    "above 2**62": [2**63 - 1 - 3 * row for row in range(10)],
}
FLOATS = {
    "few": [0.1, 0.2, 0.3, 0.7],
    "many": np.round(RNG.normal(size=ROWS), 3).tolist(),
    "large": [1e300, -1e300, 0.0],
}


def column_of(values):
    """As many rows as a fit needs, with all of some values."""
    return [values[row % len(values)] for row in range(ROWS)]


def references(values):
    """The bins of a column as they are by default, as categories and as numbers."""
    for options in ({}, {"categorical": ["v"]}, {"numeric": ["v"]}):
        yield Reference.fit({"v": column_of(values)}, **options).features[0].bins


def columns(values, dtype=None):
    """The same values in a column of every library that can hold them."""
    yield values
    yield tuple(values)
    yield np.array(values, dtype=object)
    yield pd.Series(values, dtype=object)
    yield pl.Series(values, strict=False) if dtype is None else pl.Series(values, dtype=dtype)
    yield pa.array(values)
    yield pa.chunked_array([pa.array(values), pa.array(values[:0], pa.array(values).type)])
    yield pd.Series(pd.array(values, dtype=pd.ArrowDtype(pa.array(values).type)))
    yield pa.array(values).dictionary_encode()
    yield pd.Series(values, dtype=object).astype("category")


def integer_columns(values):
    """The same integers at every width that holds them, and where some are missing, in every nullable column."""
    present = [value for value in values if value is not None]
    low, high = min(present, default=0), max(present, default=0)
    for width in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        limits = np.iinfo(width)
        if not limits.min <= low <= high <= limits.max:
            continue
        yield pd.Series(pd.array(values, dtype=width.replace("i", "I", 1) if width[0] == "i" else "UI" + width[2:]))
        yield pl.Series(values, dtype=getattr(pl, width.replace("i", "I", 1) if width[0] == "i" else "UI" + width[2:]))
        yield pa.array(values, getattr(pa, width)())
        mask = [value is None for value in values]
        data = np.array([0 if value is None else value for value in values], dtype=width)
        yield np.ma.MaskedArray(data, mask)
        if not any(mask):
            yield data
            yield pd.Series(data)
    if hasattr(pl, "Int128"):  # not in the oldest polars
        yield pl.Series(values, dtype=pl.Int128)
    yield from columns(values, pl.Int64 if high < 2**63 else pl.UInt64)


def check(bins, values, candidates):
    """Each column has the bins that the values have one by one."""
    find = binner(bins)
    expected = [int(find([value])[0]) for value in values]
    for column in candidates:
        assert find(read_column(column)).tolist() == expected, type(column)


@pytest.mark.parametrize("kind", INTEGERS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_integers_mean_the_same_in_every_column(kind, data):
    """Up to 2**63, with and without missing ones."""
    values = data.draw(
        st.lists(st.none() | st.sampled_from(INTEGERS[kind]) | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9)
    )
    for bins in references(INTEGERS[kind]):
        check(bins, values, integer_columns(values))


@pytest.mark.parametrize("kind", FLOATS)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_floats_mean_the_same_in_every_column(kind, data):
    """In columns of 16 and 32 bits, as the scalars of numpy of that width."""
    values = data.draw(st.lists(st.sampled_from(FLOATS[kind]) | st.floats(), min_size=1, max_size=9))
    for bins in references(FLOATS[kind]):
        wide = np.array(values)
        check(bins, values, [values, wide, pd.Series(values), pl.Series(values), pa.array(values), wide.astype("g")])
        check(bins, list(wide), [values])
        nullable = pd.Series(pd.array(values, dtype="Float64"))
        check(bins, values, [nullable, pd.Series(pd.array(values, dtype="double[pyarrow]"))])
        for width in (np.float16, np.float32):
            with np.errstate(all="ignore"):
                narrow = wide.astype(width)
            check(bins, list(narrow), [narrow, pd.Series(narrow), pa.array(narrow), narrow.tolist()])
            if width is np.float32:
                check(bins, list(narrow), [pl.Series(narrow)])


LABELS = st.sampled_from(["a", "b", "", "1", "0.1", "nan", "é", "\x00"]) | st.text(max_size=3)
if len(pd.Series(["", "\x00"], dtype=object).astype("category").cat.categories) == 1:
    LABELS = LABELS.filter(lambda label: "\x00" not in label)  # the oldest pandas ends strings there


@given(values=st.lists(st.none() | LABELS, min_size=1, max_size=9))
@settings(max_examples=30, deadline=None)
def test_strings_mean_the_same_in_every_column(values):
    bins = Reference.fit({"v": column_of(["a", "b", "", "1", "0.1", "é"])}).features[0].bins
    texts = [value if value is None else value.encode("utf-8", "replace").decode() for value in values]
    check(bins, texts, columns(texts, pl.String))
    check(bins, texts, [pd.Series(texts, dtype="string"), pl.Series(texts, dtype=pl.String).cast(pl.Categorical)])
    arrays = [pd.Series(texts, dtype=object).array, pd.array(texts, dtype="string")]
    encoded = [value if value is None else value.encode() for value in texts]
    check(bins, texts, [*arrays, encoded, pd.Series(encoded, dtype=object), pl.Series(encoded, dtype=pl.Binary)])
    check(bins, texts, [pa.array(encoded, pa.binary()), pa.array(encoded, pa.binary()).dictionary_encode()])
    if None not in texts and not any(text.endswith("\x00") for text in texts):  # numpy cuts them
        check(bins, texts, [np.array(texts), np.array(encoded)])


class Answer(enum.Enum):
    YES = "yes"
    NO = "no"


@pytest.mark.parametrize("fitted", [[*Answer], ["yes", "no"]], ids=["members", "values"])
def test_a_member_of_an_enumeration_means_its_value_if_the_training_data_have_that(fitted):
    find = binner(Reference.fit({"v": column_of(fitted)}).features[0].bins)
    assert find([*Answer, None]).tolist() == find([*fitted, None]).tolist()


@given(values=st.lists(st.none() | st.booleans(), min_size=1, max_size=9))
@settings(max_examples=20, deadline=None)
def test_booleans_mean_the_same_in_every_column(values):
    for bins in references([False, True]):
        check(bins, values, columns(values, pl.Boolean))
        check(bins, values, [pd.Series(pd.array(values, dtype="boolean"))])
        mask = [value is None for value in values]
        check(bins, values, [np.ma.MaskedArray([bool(value) for value in values], mask)])


@pytest.mark.parametrize(
    "missing", [None, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT", "ns"), np.ma.masked], ids=repr
)
@pytest.mark.parametrize("values", [[1, 2, 3], [0.1, 0.2, 0.3], ["a", "b"]], ids=str)
def test_every_kind_of_missing_value_is_missing(values, missing):
    """Alone and among others."""
    bins = Reference.fit({"v": column_of(values)}).features[0].bins
    find = binner(bins)
    for column in ([missing], [missing, *values], pd.Series([missing, *values], dtype=object)):
        assert find(read_column(column))[0] == bins.missing


@given(values=st.lists(st.none() | st.decimals(-100, 100, places=2), min_size=1, max_size=9))
@settings(max_examples=20, deadline=None)
def test_decimals_mean_the_same_in_every_column(values):
    kind = pa.decimal128(10, 2)
    for bins in references([Decimal(row) / 4 for row in range(9)]):
        candidates = [values, np.array(values, dtype=object), pd.Series(values, dtype=object), pa.array(values, kind)]
        check(bins, values, [*candidates, pl.Series(values, dtype=pl.Decimal(10, 2))])
        check(bins, values, [pd.Series(pd.array(values, dtype=pd.ArrowDtype(kind)))])


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns"])
def test_dates_are_no_numbers_in_any_column(unit):
    """Of a feature that is a quantity."""
    days = [dt.datetime(2024, 1, 1), dt.datetime(2024, 5, 1)]  # noqa: DTZ001 - numpy has no time zones
    array = np.array(days, dtype=f"datetime64[{unit}]")
    bins = Reference.fit({"v": RNG.normal(size=ROWS)}).features[0].bins
    spans = array - array[0]
    for column in (
        days,
        array,
        list(array),
        pd.Series(array),
        spans,
        list(spans),
        pd.Series(spans),
        array.tolist()[:0],
    ):
        assert set(binner(bins)(read_column(column)).tolist()) <= {bins.missing}


def test_codes_above_2_to_the_53_are_fitted_exactly():
    """One category for each, from every nullable column."""
    values = [None, *column_of(IDS)]
    expected = Reference.fit({"v": values}, categorical=["v"]).features
    assert len(expected[0].bins.categories) == len(IDS)
    for column in integer_columns(values):
        assert Reference.fit({"v": column}, categorical=["v"]).features == expected, type(column)
