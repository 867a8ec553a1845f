"""Values to bin numbers: a value of any kind has exactly one bin."""

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
from driftline._capture.columns import CategoricalColumn

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
def test_numbers_get_the_bin_between_their_cuts(values, cuts):
    """Bins are half-open, nan is missing, infinities are out of range."""
    bins = NumericBins(tuple(sorted(cuts)))

    def bin_of(value):
        return bins.missing if np.isnan(value) else sum(cut <= value for cut in bins.cuts)

    assert binner(bins)(np.array(values, dtype=np.float64)).tolist() == [bin_of(value) for value in values]


@pytest.mark.parametrize("bins", [NumericBins((0.0, 1.0, 2.0)), NumericBins(()), CategoricalBins(("a", 1), ("b",))])
@given(values=st.lists(ANYTHING, min_size=1, max_size=20))
@pytest.mark.slow
def test_a_value_of_any_type_gets_a_bin(bins, values):
    """Nothing raises."""
    numbers = binner(bins)(values)
    assert len(numbers) == len(values)
    assert ((numbers >= 0) & (numbers < bins.size)).all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", 0), ("b", 1), ("rare", 2), ("never", 3), (None, 4), (float("nan"), 4), (pd.NA, 4), (pd.NaT, 4), ([1], 3)],
)
def test_categories_are_known_other_unseen_or_missing(value, expected):
    """An unhashable value is unseen."""
    bins = CategoricalBins(("a", "b"), ("rare",))
    assert binner(bins)([value]).tolist() == [expected]
    assert binner(CategoricalBins(("a", "b"), ("rare",), open=True))(["never"]).tolist() == [bins.other]


@pytest.mark.parametrize("value", [True, 1, 1.0, np.int64(1), np.float32(1.0), np.bool_(True)])
def test_equal_numbers_of_any_type_are_one_category(value):
    """1, 1.0, True and those of numpy, as they are one key of a dict."""
    assert binner(CategoricalBins((1, 0)))([value]).tolist() == [0]
    assert binner(CategoricalBins((1, 0)))(np.array([value])).tolist() == [0]


def test_float32_values_stay_in_the_range_of_float64_training():
    """Rounding in a service that computes in float32 puts no value out of range."""
    values = np.random.default_rng(0).normal(size=2_000)
    feature = Reference.fit({"x": values}).features[0]
    counts = np.bincount(binner(feature.bins)(values.astype(np.float32)), minlength=feature.bins.size)
    assert counts[0] == counts[-2] == 0


def test_rows_and_columns_have_the_same_counts(reference, training):
    """Row by row, column by column, and in slices."""
    layout = Layout(reference.watched)
    columns = [*training.features.values(), training.predictions]
    rows = list(zip(*columns, strict=True))
    whole = layout.count(columns, len(rows))
    assert layout.count_rows(rows).tolist() == whole.tolist()
    parts = [layout.count(columns, slice(start, start + 999)) for start in range(0, len(rows) - 999, 999)]
    parts.append(layout.count(columns, slice(999 * len(parts), len(rows))))
    assert sum(parts).tolist() == whole.tolist()
    assert whole.tolist() == [count for feature in reference.watched for count in feature.counts]


def test_only_labels_that_occur_get_a_bin():
    """A batch is counted in parts. A part with fewer rows than labels does not bin all labels of the batch."""

    class Label(str):
        __slots__ = ()
        binned = 0

        def __hash__(self):
            Label.binned += 1
            return super().__hash__()

    reference = Reference.fit({"shop": ["a"] * 6 + ["b"] * 4})
    layout = Layout(reference.watched)
    labels = [Label(name) for name in ("a", "b", *map(str, range(1_000)))]
    column = CategoricalColumn(np.array([0, 1, 1, 2, 3, -1], dtype=np.int16), labels)
    counts = layout.count([column], 6)
    feature = reference.features[0]
    assert counts[feature.bins.categories.index("b")] == 2
    assert counts[feature.bins.unseen] == 2
    assert counts[feature.bins.missing] == 1
    assert Label.binned < 20


def test_an_absent_column_is_missing_in_every_row(reference):
    """None stands for a column that the call does not have."""
    layout = Layout(reference.watched)
    counts = layout.count([None] * len(reference.watched), 7)
    assert [counts[bins].tolist()[-1] for bins in layout.slices] == [7] * len(reference.watched)
    assert counts.sum() == 7 * len(reference.watched)
