"""Values to bin numbers: every kind of value has exactly one bin."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import Reference
from driftline._binning.bins import (
    CategoricalBins,
    NumericBins,
)
from driftline._binning.layout import Layout, binner

ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(), max_size=2)
    | st.just(pd.NA)
    | st.just(pd.NaT)
    | st.just(np.float32(1.5))
    | st.just(Decimal(2))
    | st.just(dt.date(2013, 1, 1))
    | st.just(object())
)


@given(st.lists(st.floats(width=32) | st.floats(), max_size=50), st.sets(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_numbers_fall_between_their_cuts(values, cuts):
    """Half-open bins, nan as missing, infinities out of range: as a loop over the values says."""
    bins = NumericBins(tuple(sorted(cuts)))

    def one(value):
        return bins.missing if np.isnan(value) else sum(cut <= value for cut in bins.cuts)

    assert binner(bins)(np.array(values, dtype=np.float64)).tolist() == [one(value) for value in values]


@pytest.mark.parametrize("bins", [NumericBins((0.0, 1.0, 2.0)), NumericBins(()), CategoricalBins(("a", 1), ("b",))])
@given(values=st.lists(ANYTHING, min_size=1, max_size=20))
@pytest.mark.slow
def test_anything_has_a_bin(bins, values):
    """A value of any type is counted somewhere, and nothing raises."""
    numbers = binner(bins)(values)
    assert len(numbers) == len(values)
    assert ((numbers >= 0) & (numbers < bins.size)).all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", 0), ("b", 1), ("rare", 2), ("never", 3), (None, 4), (float("nan"), 4), (pd.NA, 4), (pd.NaT, 4), ([1], 3)],
)
def test_categories_are_known_other_unseen_or_missing(value, expected):
    """An unhashable value is one that was never seen."""
    bins = CategoricalBins(("a", "b"), ("rare",))
    assert binner(bins)([value]).tolist() == [expected]
    assert binner(CategoricalBins(("a", "b"), ("rare",), open=True))(["never"]).tolist() == [bins.other]


@pytest.mark.parametrize("value", [True, 1, 1.0, np.int64(1), np.float32(1.0), np.bool_(True)])
def test_a_category_is_found_whatever_library_it_comes_from(value):
    """1, 1.0, True and numpy's are one category, as they are one key of a dict."""
    assert binner(CategoricalBins((1, 0)))([value]).tolist() == [0]
    assert binner(CategoricalBins((1, 0)))(np.array([value])).tolist() == [0]


def test_float32_values_stay_in_the_range_of_float64_training():
    """A service that computes in float32 is not out of range by rounding."""
    values = np.random.default_rng(0).normal(size=2_000)
    feature = Reference.fit({"x": values}).features[0]
    counts = np.bincount(binner(feature.bins)(values.astype(np.float32)), minlength=feature.bins.size)
    assert counts[0] == counts[-2] == 0


def test_rows_and_columns_are_counted_alike(reference, training):
    """Row by row, column by column, in stretches: one vector of counts."""
    layout = Layout(reference.watched)
    columns = [*training.features.values(), training.predictions]
    rows = list(zip(*columns, strict=True))
    whole = layout.count(columns, len(rows))
    assert layout.count_rows(rows).tolist() == whole.tolist()
    parts = [layout.count(columns, slice(start, start + 999)) for start in range(0, len(rows) - 999, 999)]
    parts.append(layout.count(columns, slice(999 * len(parts), len(rows))))
    assert sum(parts).tolist() == whole.tolist()
    assert whole.tolist() == [count for one in reference.watched for count in one.counts]


def test_a_column_that_lacks_is_missing_in_every_row(reference):
    """None stands for a column that the call did not bring."""
    layout = Layout(reference.watched)
    counts = layout.count([None] * len(reference.watched), 7)
    assert [counts[place].tolist()[-1] for place in layout.slices] == [7] * len(reference.watched)
    assert counts.sum() == 7 * len(reference.watched)


def test_bins_have_names():
    """What reasons and dashboards call them."""
    numeric = NumericBins((0.0, 1.5, 3.0))
    assert [numeric.label(number) for number in range(numeric.size)] == [
        "below 0",
        "0 to 1.5",
        "1.5 to 3",
        "above 3",
        "missing",
    ]
    categorical = CategoricalBins(("a",))
    assert [categorical.label(number) for number in range(categorical.size)] == ["a", "other", "unseen", "missing"]
    assert [NumericBins(()).label(number) for number in range(2)] == ["present", "missing"]
