"""Labels: short, the same in a file, and the same at fit and while serving."""

from __future__ import annotations

import enum
import json
import uuid
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from driftline import Reference
from driftline._binning.layout import binner
from driftline._capture.columns import CategoricalColumn
from driftline._capture.labels import MAX_LABEL, label_of, shorten_label
from driftline._capture.libraries import read_column


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


LONG = "x" * 2_000
ANY_TEXT = st.text(st.characters(), max_size=300)
LABELS = (
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.floats(allow_nan=False, width=32)
    | st.floats(allow_nan=False, width=16)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | ANY_TEXT
    | st.binary(max_size=300)
    | st.uuids()
    | st.sampled_from([Colour.RED, Level.HIGH, LONG, LONG + "y", 10**4_000, -(10**4_000), Decimal("1e99999")])
)


def bins_of(values):
    reference = Reference.fit({"x": values}, categorical=["x"], max_categories=1_000)
    return reference.features[0].bins


@given(LABELS)
@example("\ud83d\ude00")
@example("\ud83d" * 300)
@example(10**128)
@example(Decimal("1.10"))
def test_a_label_is_short_its_own_label_and_the_same_in_a_file(value):
    label = label_of(value)
    assert len(str(label)) <= MAX_LABEL
    assert label_of(label) == label
    read_back = json.loads(json.dumps(label))
    assert (read_back, type(read_back)) == (label, type(label))


@given(st.lists(LABELS, min_size=1, max_size=20))
@example([Fraction(0, 1), False])
@example([float("-inf"), Decimal("-Infinity")])
@example([int(1e200), 1e200, Decimal(int(1e200))])
def test_a_value_has_its_bin_of_the_fit_while_serving(values):
    """Alone, in a list, in a tuple, in an array of objects, as codes, and after the row was bounded at capture."""
    bins = bins_of(values)
    bin_column = binner(bins)
    expected = [bin_column([value])[0] for value in values]
    assert max(expected) < bins.other
    assert [bins.categories[number] == label_of(value) for number, value in zip(expected, values, strict=True)]
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    codes = CategoricalColumn(np.arange(len(values)), values)
    for column in (values, tuple(values), objects, codes, [label_of(value) for value in values]):
        assert bin_column(column).tolist() == expected


@given(st.lists(st.integers(-999, 999), min_size=1, max_size=20), st.sampled_from([1, 10, 100]))
def test_a_number_has_the_same_label_at_every_width(numbers, divisor):
    """Also codes that became floats because a value was missing."""
    values = [number / divisor for number in numbers]
    narrow = np.float16 if max(map(abs, numbers)) < 100 or divisor == 1 else np.float32
    bins = bins_of(values)
    expected = binner(bins)(values).tolist()
    assert bins.unseen not in expected
    for kind in (narrow, np.float32, np.float64, np.longdouble):
        served = np.array(values, dtype=kind)
        assert binner(bins)(read_column(served)).tolist() == expected
        assert binner(bins)(list(served)).tolist() == expected
        assert bins_of(served).categories == bins.categories
    decimals = [Decimal(str(value)) for value in values]
    assert binner(bins)(decimals).tolist() == expected
    assert bins_of(decimals).categories == bins.categories


@pytest.mark.parametrize(
    "column",
    [
        pd.Series,
        lambda values: pd.Series(values).astype("category"),
        lambda values: pd.Series(values, dtype="string[pyarrow]"),
        pl.Series,
        lambda values: pl.Series(values, dtype=pl.Categorical),
        lambda values: pl.Series(values, dtype=pl.Enum(sorted(set(values)))),
        pa.array,
        lambda values: pa.array(values).dictionary_encode(),
        lambda values: pa.chunked_array([values[:2], values[2:]]),
        np.array,
        lambda values: np.array(values, dtype=object),
    ],
)
def test_a_long_string_has_the_same_label_in_every_column(column):
    values = [LONG, LONG + "y", "short", LONG]
    bins = bins_of(column(values))
    assert set(bins.categories) == set(map(shorten_label, values))
    assert binner(bins)(read_column(column(values))).tolist() == binner(bins)(values).tolist()
    assert bins.unseen not in binner(bins)(values)


def test_an_integer_that_python_cannot_write_has_a_label():
    """Python refuses to convert more than 4,300 digits."""
    assert len(label_of(10**5_000)) == MAX_LABEL
    assert label_of(10**5_000) != label_of(10**5_000 + 1)


def test_a_shortened_label_keeps_its_beginning_and_differs_from_others():
    first, second = shorten_label(LONG), shorten_label(LONG + "y")
    assert len(first) == MAX_LABEL
    assert first.startswith("x" * 100)
    assert first != second
    assert shorten_label("x" * MAX_LABEL) == "x" * MAX_LABEL


def test_numbers_of_different_types_are_one_category():
    values = [5, 5.0, Decimal(5), Decimal("5.00"), np.int8(5), np.float32(5), Level.HIGH, 3, True, 1]
    assert set(bins_of(values).categories) == {5, 3, 1}
    assert label_of(Fraction(1, 2)) == label_of(Decimal("0.50")) == 0.5
    assert label_of(uuid.UUID(int=1)) == str(uuid.UUID(int=1))


def test_bytes_of_an_earlier_release_keep_their_bin():
    """Release 0.1 wrote bytes as in Python source."""
    text = Reference.fit({"x": ["one", "one", "two"]}).to_json()
    old = text.replace('"one"', "\"b'one'\"").replace('"two"', "\"b'\\\\xff'\"")
    bins = Reference.from_json(old).features[0].bins
    assert bins.categories == ("b'one'", "b'\\xff'")
    assert binner(bins)([b"one", "one", b"\xff", "b'"]).tolist() == [0, 0, 1, bins.unseen]


def test_a_label_of_an_earlier_release_keeps_its_bin():
    """A reference of 0.1 may hold long labels and the digits of a float32."""
    text = Reference.fit({"x": ["long", "long", "number"]}).to_json()
    old = text.replace('"long"', f'"{LONG}"').replace('"number"', str(float(np.float32(0.1))))
    bins = Reference.from_json(old).features[0].bins
    assert bins.categories == (LONG, float(np.float32(0.1)))
    assert binner(bins)([LONG, shorten_label(LONG), 0.1, np.float32(0.1)]).tolist() == [0, 0, 1, 1]
