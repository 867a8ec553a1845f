"""Synthetic shifts change the chosen rows of the chosen columns, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import ConfigurationError
from driftline.synthetic import (
    CategoryMix,
    MeanShift,
    MissingRate,
    Outliers,
    ScaleShift,
    UnitChange,
    UnseenCategory,
    gradual,
    incremental,
    inject,
    recurring,
    sudden,
)

ROWS = 4_000
SHIFTS = [
    MeanShift("x", by=2.0),
    ScaleShift("x", factor=3.0),
    UnitChange("x", factor=60.0),
    Outliers("x", rate=0.1, at=8.0),
    MissingRate("x", rate=0.25),
    MissingRate("t", rate=0.25),
    UnseenCategory("t", rate=0.2),
    CategoryMix("t", toward="b", rate=0.5),
]
TOLERANCE = 3.5 * np.sqrt(0.25 / ROWS)
"""Tolerance of a share of the rows: three and a half standard deviations."""


def random_of(seed=0):
    return np.random.default_rng(seed)


def strengths(schedule, rows=ROWS):
    return schedule(rows, random_of(1))


@pytest.fixture(params=["dict of arrays", "dict of lists", "frame"])
def data(request):
    """Data with a numeric column, one of strings, and one that no shift changes."""
    random = random_of()
    columns = {
        "x": random.normal(50.0, 4.0, ROWS),
        "t": np.array(random.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1]), dtype=object),
        "y": random.random(ROWS),
    }
    if request.param == "frame":
        return pd.DataFrame(columns, index=np.arange(ROWS)[::-1])
    return columns if request.param == "dict of arrays" else {name: column.tolist() for name, column in columns.items()}


def numbers(data, name="x"):
    return np.array(data[name], dtype=np.float64)


def shares(data, name="t"):
    return pd.Series(list(data[name])).value_counts(normalize=True, dropna=False)


# --- shifts ----------------------------------------------------------------------------------------------------------


def test_a_mean_shift_adds_deviations(data):
    """The deviation and the order of the values stay the same."""
    before, after = numbers(data), numbers(inject(data, MeanShift("x", by=2.0)))
    np.testing.assert_allclose(after, before + 2.0 * before.std())


def test_a_scale_shift_multiplies_the_deviation(data):
    """The mean stays the same."""
    before, after = numbers(data), numbers(inject(data, ScaleShift("x", factor=3.0)))
    assert after.mean() == pytest.approx(before.mean())
    assert after.std() == pytest.approx(3.0 * before.std())


def test_a_unit_change_multiplies(data):
    """As from minutes to seconds."""
    np.testing.assert_allclose(numbers(inject(data, UnitChange("x", factor=60.0))), 60.0 * numbers(data))


def test_outliers_move_a_share_of_the_rows(data):
    """A tenth of the rows moves to eight deviations. The others stay the same."""
    before, after = numbers(data), numbers(inject(data, Outliers("x", rate=0.1, at=8.0)))
    moved = before != after
    assert moved.mean() == pytest.approx(0.1, abs=TOLERANCE)
    np.testing.assert_allclose(after[moved], before.mean() + 8.0 * before.std())


@pytest.mark.parametrize("name", ["x", "t"])
def test_missing_values_match_the_kind_of_the_column(data, name):
    """They are nan among numbers and None among strings."""
    after = inject(data, MissingRate(name, rate=0.25))[name]
    missing = [value for value in after if value is None or value != value]  # noqa: PLR0124
    assert len(missing) / ROWS == pytest.approx(0.25, abs=TOLERANCE)
    if name == "t":
        assert set(missing) <= {None, missing[0]}


def test_an_unseen_category_appears(data):
    """In a fifth of the rows, with the label that is passed."""
    assert "new" not in shares(data).index
    assert shares(inject(data, UnseenCategory("t", rate=0.2, label="new")))["new"] == pytest.approx(0.2, abs=TOLERANCE)


def test_the_mix_moves_toward_a_category(data):
    """Half of the rows with another category change to it."""
    before, after = shares(data), shares(inject(data, CategoryMix("t", toward="b", rate=0.5)))
    assert after["b"] == pytest.approx(before["b"] + 0.5 * (1 - before["b"]), abs=TOLERANCE)
    assert after["a"] / after["c"] == pytest.approx(before["a"] / before["c"], rel=0.2)


@pytest.mark.parametrize("shift", SHIFTS, ids=repr)
@pytest.mark.parametrize("when", [None, sudden(0.5), gradual(), incremental(0.2, 0.8), recurring(0.25)])
def test_the_input_and_the_other_columns_stay_the_same(data, shift, when):
    """The result is a copy of the same kind, length and order, and depends on the seed."""
    copy = {name: list(data[name]) for name in data}
    after = inject(data, shift, schedule=when, seed=5)
    assert type(after) is type(data)
    assert list(after) == list(data)
    assert {name: list(data[name]) for name in data} == copy
    for name, column in copy.items():
        assert type(after[name]) is type(data[name])
        assert len(after[name]) == ROWS
        if name != shift.feature:
            assert list(after[name]) == column
    assert str(list(after[shift.feature])) != str(copy[shift.feature])
    again, other = inject(data, shift, schedule=when, seed=5), inject(data, shift, schedule=when, seed=6)
    assert str(list(again[shift.feature])) == str(list(after[shift.feature]))
    if when is None and isinstance(shift, (Outliers, MissingRate, UnseenCategory, CategoryMix)):
        assert str(list(other[shift.feature])) != str(list(after[shift.feature]))
    if isinstance(after, pd.DataFrame):
        assert after.index.equals(data.index)


@pytest.mark.parametrize("shift", SHIFTS, ids=repr)
def test_rows_before_a_shift_stay_the_same(data, shift):
    """Their strength is 0."""
    half = ROWS // 2
    before, after = list(data[shift.feature]), list(inject(data, shift, schedule=sudden(0.5))[shift.feature])
    # A scale shift subtracts the mean and adds it again, so values are equal up to rounding.
    assert after[:half] == (pytest.approx(before[:half]) if shift.feature == "x" else before[:half])
    assert str(after[half:]) != str(before[half:])


def test_shifts_of_one_feature_apply_in_order(data):
    """Without shifts, the values stay the same."""
    shifted = numbers(inject(data, UnitChange("x", 2.0), MeanShift("x", 1.0)))
    before = numbers(data)
    np.testing.assert_allclose(shifted, 2.0 * before + 2.0 * before.std())
    assert list(inject(data)["x"]) == list(data["x"])


def test_integers_become_floats_and_missing_values_stay_missing():
    """Missing values of a boolean column are None."""
    assert inject({"x": np.array([1, 2, 3])}, UnitChange("x", 0.5))["x"].tolist() == [0.5, 1.0, 1.5]
    after = inject({"x": [1.0, None, 3.0]}, MeanShift("x", 1.0))["x"]
    np.testing.assert_allclose(after, [2.0, np.nan, 4.0])
    assert inject({"x": np.array([True, False])}, MissingRate("x", 1.0))["x"].tolist() == [None, None]


@pytest.mark.parametrize("shift", [shift for shift in SHIFTS if shift.feature == "x"], ids=repr)
@pytest.mark.parametrize("column", [[], [None, None], [float("nan")], [float("inf"), 1.0, 3.0], [5.0]])
def test_columns_without_a_deviation_are_accepted(shift, column):
    """Empty columns, and columns with missing values only, infinity or a single value."""
    assert len(inject({"x": column}, shift)["x"]) == len(column)


# --- schedules -------------------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(0, 100))
def test_sudden_gives_the_whole_shift_from_a_share_on(rows, percent):
    """Rows before have none."""
    values = strengths(sudden(percent / 100), rows)
    assert values.tolist() == [1.0 if row / rows >= percent / 100 else 0.0 for row in range(rows)]


def test_incremental_is_a_ramp():
    """Between the two shares, every row gets more than the row before."""
    values = strengths(incremental(0.25, 0.75), 100)
    assert values[:26].tolist() == [0.0] * 26
    assert values[75:].tolist() == [1.0] * 25
    np.testing.assert_allclose(np.diff(values[25:76]), 0.02)


def test_gradual_gives_the_whole_shift_to_more_and_more_rows():
    """Each row has the whole shift or none."""
    values = strengths(gradual(0.25, 0.75), 20_000)
    assert set(values.tolist()) == {0.0, 1.0}
    assert values[:5_000].sum() == 0
    assert values[15_000:].sum() == 5_000
    for share in (0.35, 0.5, 0.65):
        around = values[int(20_000 * share) - 500 : int(20_000 * share) + 500]
        assert around.mean() == pytest.approx((share - 0.25) * 2, abs=0.06)


@pytest.mark.parametrize(
    ("rows", "periods", "on"), [(10, 5, 1), (12, 4, 1), (100, 10, 3), (1_000, 10, 50), (60, 3, 20)]
)
def test_recurring_shifts_the_end_of_each_period(rows, periods, on):
    """Exactly the right number of rows, in spite of rounding."""
    each = rows // periods
    values = strengths(recurring(1 / periods, duty=on / each), rows).reshape(periods, each)
    assert values.tolist() == [[0.0] * (each - on) + [1.0] * on] * periods


def test_recurring_accepts_a_duty_of_0_and_1():
    """That is no shift, or a shift of all rows."""
    assert strengths(recurring(0.2, duty=1.0), 50).tolist() == [1.0] * 50
    assert strengths(recurring(0.2, duty=0.0), 50).tolist() == [0.0] * 50


@pytest.mark.parametrize("schedule", [sudden(), gradual(), incremental(), recurring(0.5)])
def test_schedules_accept_an_empty_sample(schedule):
    """They return an empty array."""
    assert strengths(schedule, 0).shape == (0,)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeanShift("x", by="much"), "by='much': expected a number"),
        (lambda: MeanShift("x", by=float("nan")), "by=nan: expected a number"),
        (lambda: MeanShift("x", by=True), "by=True: expected a number"),
        (lambda: ScaleShift("x", factor=-1.0), "factor=-1.0: expected a number of at least 0"),
        (lambda: UnitChange("x", factor=None), "factor=None: expected a number"),
        (lambda: Outliers("x", rate=1.5), "rate=1.5: expected a number from 0 to 1"),
        (lambda: Outliers("x", rate=0.5, at="far"), "at='far': expected a number"),
        (lambda: MissingRate("x", rate=-0.1), "rate=-0.1: expected a number from 0 to 1"),
        (lambda: UnseenCategory("x", rate=2), "rate=2: expected a number from 0 to 1"),
        (lambda: CategoryMix("x", toward="a", rate="half"), "rate='half': expected a number from 0 to 1"),
        (lambda: sudden(1.5), "at=1.5: expected a number from 0 to 1"),
        (lambda: sudden("now"), "at='now': expected a number from 0 to 1"),
        (lambda: gradual(-0.1), "start=-0.1: expected a number from 0 to 1"),
        (lambda: gradual(0.5, 0.5), "start=0.5, end=0.5: expected start before end"),
        (lambda: incremental(0.9, 0.1), "start=0.9, end=0.1: expected start before end"),
        (lambda: incremental(0.1, None), "end=None: expected a number from 0 to 1"),
        (lambda: recurring(0.0), "period=0.0: expected a number above 0 and at most 1"),
        (lambda: recurring(1.5), "period=1.5: expected a number above 0 and at most 1"),
        (lambda: recurring(0.5, duty=-1), "duty=-1: expected a number from 0 to 1"),
    ],
)
def test_bad_shifts_and_schedules_are_refused(make, message):
    """The message contains the argument, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        ({"x": [1.0]}, {"shifts": [MeanShift("z", 1.0)]}, r"feature='z': expected one of \['x'\]"),
        ({"x": ["a"]}, {"shifts": [MeanShift("x", 1.0)]}, "feature='x' holds strings: expected a column of numbers"),
        ({"x": ["a"]}, {"shifts": [CategoryMix("x", "b", 0.5)]}, "toward='b': expected a category that 'x' has"),
        ({"x": ["a"]}, {"shifts": [UnseenCategory("x", 0.5, "a")]}, "label='a': expected a category that 'x' does not"),
        ([1, 2], {"shifts": [MeanShift("x", 1.0)]}, "data is a list: expected a dict of columns or a pandas DataFrame"),
        (np.zeros((2, 2)), {"shifts": []}, "data is a ndarray: expected a dict of columns"),
        (pl.DataFrame({"x": [1.0]}), {"shifts": []}, "data is a DataFrame: expected a dict of columns or a pandas"),
        (None, {"shifts": []}, "data is a NoneType: expected a dict of columns"),
        ({"x": [1.0]}, {"shifts": ["x"]}, r"shifts=\['x'\]: expected shifts such as MeanShift"),
        ({"x": [1.0]}, {"shifts": [], "schedule": 5}, r"schedule=5: expected sudden\(\.\.\.\)"),
        ({"x": [1.0]}, {"shifts": [], "seed": "x"}, "seed='x': expected an integer of at least 0"),
        ({"x": [1.0]}, {"shifts": [], "seed": -1}, "seed=-1: expected an integer of at least 0"),
    ],
)
def test_bad_injections_are_refused(data, arguments, message):
    """The message contains the argument and what was expected."""
    options = {name: value for name, value in arguments.items() if name != "shifts"}
    with pytest.raises(ConfigurationError, match=message):
        inject(data, *arguments["shifts"], **options)
