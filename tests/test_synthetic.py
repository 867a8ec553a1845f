"""Shifts on demand: each does what it says, where and when it says, and nothing else."""

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
SPREAD = 3.5 * np.sqrt(0.25 / ROWS)
"""A share of the rows is met to this, three and a half standard deviations."""


def random_of(seed=0):
    return np.random.default_rng(seed)


def strengths(schedule, rows=ROWS):
    return schedule(rows, random_of(1))


@pytest.fixture(params=["dict of arrays", "dict of lists", "frame"])
def data(request):
    """A number, a text, and a bystander."""
    random = random_of()
    columns = {
        "x": random.normal(50.0, 4.0, ROWS),
        "t": np.array(random.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1]), dtype=object),
        "y": random.random(ROWS),
    }
    if request.param == "frame":
        return pd.DataFrame(columns, index=np.arange(ROWS)[::-1])
    return columns if request.param == "dict of arrays" else {name: one.tolist() for name, one in columns.items()}


def numbers(data, name="x"):
    return np.array(data[name], dtype=np.float64)


def shares(data, name="t"):
    return pd.Series(list(data[name])).value_counts(normalize=True, dropna=False)


# --- what ------------------------------------------------------------------------------------------------------------


def test_a_mean_shift_adds_deviations(data):
    """Two of them; spread and order stay."""
    before, after = numbers(data), numbers(inject(data, MeanShift("x", by=2.0)))
    np.testing.assert_allclose(after, before + 2.0 * before.std())


def test_a_scale_shift_spreads_around_the_mean(data):
    """Three times as wide, the mean where it was."""
    before, after = numbers(data), numbers(inject(data, ScaleShift("x", factor=3.0)))
    assert after.mean() == pytest.approx(before.mean())
    assert after.std() == pytest.approx(3.0 * before.std())


def test_a_unit_change_multiplies(data):
    """Minutes to seconds."""
    np.testing.assert_allclose(numbers(inject(data, UnitChange("x", factor=60.0))), 60.0 * numbers(data))


def test_outliers_lie_where_they_are_asked_to(data):
    """A tenth of the rows at eight deviations, the others as they were."""
    before, after = numbers(data), numbers(inject(data, Outliers("x", rate=0.1, at=8.0)))
    moved = before != after
    assert moved.mean() == pytest.approx(0.1, abs=SPREAD)
    np.testing.assert_allclose(after[moved], before.mean() + 8.0 * before.std())


@pytest.mark.parametrize("name", ["x", "t"])
def test_missing_values_are_what_the_column_calls_missing(data, name):
    """Nan among numbers, None among texts."""
    after = inject(data, MissingRate(name, rate=0.25))[name]
    missing = [one for one in after if one is None or one != one]  # noqa: PLR0124
    assert len(missing) / ROWS == pytest.approx(0.25, abs=SPREAD)
    if name == "t":
        assert set(missing) <= {None, missing[0]}


def test_an_unseen_category_appears(data):
    """In a fifth of the rows, under the name it is given."""
    assert "new" not in shares(data).index
    assert shares(inject(data, UnseenCategory("t", rate=0.2, label="new")))["new"] == pytest.approx(0.2, abs=SPREAD)


def test_the_mix_moves_toward_a_category(data):
    """Half of what was another one is now this one."""
    before, after = shares(data), shares(inject(data, CategoryMix("t", toward="b", rate=0.5)))
    assert after["b"] == pytest.approx(before["b"] + 0.5 * (1 - before["b"]), abs=SPREAD)
    assert after["a"] / after["c"] == pytest.approx(before["a"] / before["c"], rel=0.2)


@pytest.mark.parametrize("shift", SHIFTS, ids=repr)
@pytest.mark.parametrize("when", [None, sudden(0.5), gradual(), incremental(0.2, 0.8), recurring(0.25)])
def test_the_input_and_the_other_columns_stay(data, shift, when):
    """A copy of the same kind, the same length, the same order; seeded."""
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
def test_no_strength_is_no_shift(data, shift):
    """Rows before the shift begins are as they were."""
    half = ROWS // 2
    before, after = list(data[shift.feature]), list(inject(data, shift, schedule=sudden(0.5))[shift.feature])
    # A scale shift takes the mean away and adds it again: equal but for rounding.
    assert after[:half] == (pytest.approx(before[:half]) if shift.feature == "x" else before[:half])
    assert str(after[half:]) != str(before[half:])


def test_shifts_of_one_feature_apply_one_after_the_other(data):
    """In the order given."""
    one = numbers(inject(data, UnitChange("x", 2.0), MeanShift("x", 1.0)))
    before = numbers(data)
    np.testing.assert_allclose(one, 2.0 * before + 2.0 * before.std())
    assert list(inject(data)["x"]) == list(data["x"])


def test_whole_numbers_become_floats_and_missing_ones_stay_missing():
    """A column of integers, and one with gaps."""
    assert inject({"x": np.array([1, 2, 3])}, UnitChange("x", 0.5))["x"].tolist() == [0.5, 1.0, 1.5]
    after = inject({"x": [1.0, None, 3.0]}, MeanShift("x", 1.0))["x"]
    np.testing.assert_allclose(after, [2.0, np.nan, 4.0])
    assert inject({"x": np.array([True, False])}, MissingRate("x", 1.0))["x"].tolist() == [None, None]


@pytest.mark.parametrize("shift", [one for one in SHIFTS if one.feature == "x"], ids=repr)
@pytest.mark.parametrize("column", [[], [None, None], [float("nan")], [float("inf"), 1.0, 3.0], [5.0]])
def test_columns_with_nothing_to_measure_are_no_error(shift, column):
    """Empty, all missing, infinite, a single value."""
    assert len(inject({"x": column}, shift)["x"]) == len(column)


# --- when ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(0, 100))
def test_sudden_is_nothing_and_then_all(rows, percent):
    """From the share of the rows on."""
    found = strengths(sudden(percent / 100), rows)
    assert found.tolist() == [1.0 if place / rows >= percent / 100 else 0.0 for place in range(rows)]


def test_incremental_is_a_ramp():
    """Every row gets more than the one before, between the two shares."""
    found = strengths(incremental(0.25, 0.75), 100)
    assert found[:26].tolist() == [0.0] * 26
    assert found[75:].tolist() == [1.0] * 25
    np.testing.assert_allclose(np.diff(found[25:76]), 0.02)


def test_gradual_is_more_and_more_rows_in_full():
    """Nothing in between: each row has the shift or has it not."""
    found = strengths(gradual(0.25, 0.75), 20_000)
    assert set(found.tolist()) == {0.0, 1.0}
    assert found[:5_000].sum() == 0
    assert found[15_000:].sum() == 5_000
    for share in (0.35, 0.5, 0.65):
        around = found[int(20_000 * share) - 500 : int(20_000 * share) + 500]
        assert around.mean() == pytest.approx((share - 0.25) * 2, abs=0.06)


@pytest.mark.parametrize(
    ("rows", "periods", "on"), [(10, 5, 1), (12, 4, 1), (100, 10, 3), (1_000, 10, 50), (60, 3, 20)]
)
def test_recurring_is_the_end_of_each_period(rows, periods, on):
    """Exactly so many rows at the end of each period, whatever rounding makes of a fifth."""
    each = rows // periods
    found = strengths(recurring(1 / periods, duty=on / each), rows).reshape(periods, each)
    assert found.tolist() == [[0.0] * (each - on) + [1.0] * on] * periods


def test_recurring_always_and_never():
    """A duty of all, and of nothing."""
    assert strengths(recurring(0.2, duty=1.0), 50).tolist() == [1.0] * 50
    assert strengths(recurring(0.2, duty=0.0), 50).tolist() == [0.0] * 50


@pytest.mark.parametrize("schedule", [sudden(), gradual(), incremental(), recurring(0.5)])
def test_no_rows_have_no_strength(schedule):
    """An empty sample."""
    assert strengths(schedule, 0).shape == (0,)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MeanShift("x", by="much"), "by='much': expected a number from -inf to inf"),
        (lambda: MeanShift("x", by=float("nan")), "by=nan: expected a number"),
        (lambda: MeanShift("x", by=True), "by=True: expected a number"),
        (lambda: ScaleShift("x", factor=-1.0), "factor=-1.0: expected a number from 0 to inf"),
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
        (lambda: recurring(0.0), "period=0.0: expected a share of the rows above 0"),
        (lambda: recurring(1.5), "period=1.5: expected a number from 0 to 1"),
        (lambda: recurring(0.5, duty=-1), "duty=-1: expected a number from 0 to 1"),
    ],
)
def test_bad_shifts_and_schedules_are_refused(make, message):
    """When they are made: the message names the argument, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        ({"x": [1.0]}, {"shifts": [MeanShift("z", 1.0)]}, r"feature='z': expected one of \['x'\]"),
        ({"x": ["a"]}, {"shifts": [MeanShift("x", 1.0)]}, "feature='x' holds texts: expected a column of numbers"),
        ({"x": ["a"]}, {"shifts": [CategoryMix("x", "b", 0.5)]}, "toward='b': expected a category that 'x' has"),
        ({"x": ["a"]}, {"shifts": [UnseenCategory("x", 0.5, "a")]}, "label='a': expected a category that 'x' does not"),
        ([1, 2], {"shifts": [MeanShift("x", 1.0)]}, "data is a list: expected a dict of columns or a pandas DataFrame"),
        (np.zeros((2, 2)), {"shifts": []}, "data is a ndarray: expected a dict of columns"),
        (pl.DataFrame({"x": [1.0]}), {"shifts": []}, "data is a DataFrame: expected a dict of columns or a pandas"),
        (None, {"shifts": []}, "data is a NoneType: expected a dict of columns"),
        ({"x": [1.0]}, {"shifts": ["x"]}, r"shifts=\['x'\]: expected shifts such as MeanShift"),
        ({"x": [1.0]}, {"shifts": [], "schedule": 5}, r"schedule=5: expected sudden\(\.\.\.\)"),
        ({"x": [1.0]}, {"shifts": [], "seed": "x"}, "seed='x': expected a whole number of at least 0"),
        ({"x": [1.0]}, {"shifts": [], "seed": -1}, "seed=-1: expected a whole number of at least 0"),
    ],
)
def test_bad_injections_are_refused(data, arguments, message):
    """The message names what came and what was expected."""
    options = {name: value for name, value in arguments.items() if name != "shifts"}
    with pytest.raises(ConfigurationError, match=message):
        inject(data, *arguments["shifts"], **options)
