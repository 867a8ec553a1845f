"""Shares in each hour of the week: effects that add up, weekends with a course of their own, hours without rows."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from driftline import Reference, ReferenceError
from driftline._binning.layout import Layout
from driftline._seasons import fitting
from driftline._seasons.calendar import CELLS
from driftline._seasons.expectation import Expectation
from driftline._seasons.main_effects import fit_main_effects
from driftline._seasons.models import course_shares
from driftline._seasons.seasons import COURSES

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0
MONDAY = 1_704_067_200.0
BOTH = ("hour", "weekday")

HOURS = np.sin(2 * np.pi * np.arange(24) / 24)
DAYS = np.array([0.0, 0.1, 0.2, 0.1, -0.1, 0.6, 0.8])

ADDED = DAYS[:, None] + HOURS
"""Means by weekday and hour that are the sum of both effects."""

WEEKEND = np.where(np.arange(7)[:, None] >= 5, 0.5 + 0.4 * np.roll(HOURS, 8), HOURS)
"""Means of which the course of the day is another one at weekends."""

OWN = np.array([np.roll(HOURS, 3 * day) for day in range(7)])
"""Means of which every weekday has its own course of the day."""

FLAT = np.zeros((7, 24))


def rows_of(means, weeks, per_hour, seed, block=1):
    """Return times and values, with equally many rows in each hour; *block* neighbouring rows are equal."""
    random = np.random.default_rng(seed)
    cells = np.repeat(np.arange(int(weeks * CELLS)), per_hour)
    noise = np.repeat(random.normal(size=len(cells) // block), block)
    return MONDAY + cells * HOUR + 1.0, means.ravel()[cells % CELLS] + noise


def fitted(means, weeks, per_hour, seed=0, block=1, **arguments):
    times, values = rows_of(means, weeks, per_hour, seed, block)
    return Reference.fit({"x": values}, time=times, **{"seasons": BOTH, **arguments})


def expectation_of(reference):
    return Expectation(reference.seasons, reference.watched, Layout(reference.watched))


def one_cell(cell, rows=100):
    return np.bincount([cell], minlength=CELLS) * rows


@pytest.mark.parametrize(
    ("means", "weeks", "per_hour", "course"),
    [
        (FLAT, 4, 100, "same"),
        (ADDED, 4, 100, "same"),
        (ADDED, 8, 200, "same"),
        (WEEKEND, 2, 100, "weekend"),
        (WEEKEND, 4, 100, "weekend"),
        (OWN, 2, 100, "day"),
        (OWN, 8, 20, "day"),
        # Less than two weeks do not show what repeats.
        (ADDED, 1, 100, "weekend"),
        (OWN, 1, 100, "weekend"),
    ],
)
def test_the_least_flexible_course_that_fits_is_chosen(means, weeks, per_hour, course):
    """A seed in five or so takes a more flexible one, which costs effective rows and is not wrong."""
    courses = [fitted(means, weeks, per_hour, seed).seasons.courses for seed in range(5)]
    order = tuple(COURSES)
    assert all(order.index(chosen) >= order.index(course) for (chosen,) in courses)
    assert sum(chosen == course for (chosen,) in courses) >= 2


def test_rows_that_depend_on_each_other_show_no_course():
    """Each value stands for a quarter of an hour, so that every hour departs from the mean, but not weekly alike."""
    chosen = [fitted(FLAT, 4, 100, seed, block=25).seasons.courses[0] for seed in range(8)]
    assert chosen.count("same") >= 5


def test_a_single_hour_of_a_weekday_stands_out():
    """The sum over all hours hardly shows it."""
    means = FLAT.copy()
    means[2, 9] = 1.0
    assert all(fitted(means, 4, 200, seed).seasons.courses == ("day",) for seed in range(5))


def test_effects_of_hour_and_day_add_up_in_the_mean():
    """The expected mean of each hour of the week is that of the rows; their product misses it by a third of sigma."""
    reference = fitted(ADDED, 8, 200)
    expectation, feature = expectation_of(reference), reference.features[0]
    times, values = rows_of(ADDED, 8, 200, 0)
    numbers = np.searchsorted(feature.bins.cuts, values, side="right")
    size = feature.bins.size
    middle = np.bincount(numbers, values, size) / np.maximum(np.bincount(numbers, minlength=size), 1)
    cells = ((times - MONDAY) // HOUR).astype(int) % CELLS
    for cell in range(CELLS):
        expected = expectation.shares(one_cell(cell)) @ middle
        # Within a bin, values of another hour have another mean, so middles are not exact.
        assert expected == pytest.approx(values[cells == cell].mean(), abs=0.12)
    hours, days = (counts / counts.sum(axis=1, keepdims=True) for counts in reference.seasons.counts)
    product = hours[6] * days[6] / np.maximum(expectation.overall, 1e-9)
    assert product @ middle / product.sum() < ADDED[6, 6] - 0.12


def test_the_fit_reproduces_the_counts_of_hours_and_of_days():
    """As a fit of maximum likelihood does, with other numbers of rows in each hour of each day."""
    random = np.random.default_rng(1)
    counts = random.poisson(random.gamma(1.0, 40.0, size=(7, 24, 1)) * random.dirichlet(np.ones(6), size=(7, 24)))
    rows = counts.sum(axis=2).astype(float)
    shares = course_shares(COURSES["same"], rows, counts.sum(axis=0)[:, None], counts.sum(axis=1)[:, None])
    expected = rows[..., None] * shares[:, 0].reshape(7, 24, 6)
    assert shares.sum(axis=2) == pytest.approx(1.0)
    assert expected.sum(axis=0) == pytest.approx(counts.sum(axis=0), rel=0.01, abs=0.5)
    assert expected.sum(axis=1) == pytest.approx(counts.sum(axis=1), rel=0.01, abs=0.5)


def test_hours_and_days_that_multiply_are_found_exactly():
    """The odds of three categories, by hand."""
    overall, hours, days = np.array([0.5, 0.3, 0.2]), np.ones((24, 3)), np.ones((7, 3))
    hours[8:12, 0], days[5:, 2] = 3.0, 4.0
    odds = overall * hours * days[:, None]
    counts = 1e6 * odds / odds.sum(axis=2, keepdims=True)
    rows = np.full((7, 24), 1e6)
    shares = course_shares(COURSES["same"], rows, counts.sum(axis=0)[:, None], counts.sum(axis=1)[:, None])
    assert shares.reshape(7, 24, 3) == pytest.approx(counts / 1e6, rel=1e-3)


def test_hours_and_days_without_rows_have_no_effect():
    """Also if they are all empty."""
    counts = np.zeros((1, 24, 2))
    by_hour, by_day = fit_main_effects(counts, np.zeros((1, 7, 2)), np.zeros((7, 24)))
    assert by_hour.min() == by_hour.max() == by_day.min() == by_day.max() == 1.0


@pytest.mark.parametrize("course", COURSES)
def test_hours_of_the_week_without_rows_are_expected_like_other_days(course):
    """Of an office that is closed at night, and on Sundays: finite shares that sum to 1, and rows to compare with."""
    times, values = rows_of(ADDED, 4, 50, 2)
    hour = ((times - MONDAY) // HOUR).astype(int) % CELLS
    open_ = (hour % 24 >= 8) & (hour % 24 < 18) & (hour < 6 * 24)
    reference = Reference.fit({"x": values[open_]}, time=times[open_], seasons=BOTH)
    reference = replace(reference, seasons=replace(reference.seasons, courses=(course,)))
    expectation = expectation_of(reference)
    for cell in range(CELLS):
        counts = expectation(one_cell(cell))
        assert np.isfinite(counts).all()
        assert counts.min() >= 0
        assert 100 < counts.sum() <= reference.rows * 1.001
    closed = expectation.shares(one_cell(6 * 24 + 10))
    assert closed == pytest.approx(
        expectation_of(fitted_hours(times[open_], values[open_])).shares(one_cell(10)), abs=0.1
    )


def fitted_hours(times, values):
    return Reference.fit({"x": values}, time=times, seasons=["hour"])


def test_an_hour_and_a_day_without_a_bin_in_common_get_the_shares_of_all_rows():
    """At 0:00 all rows are "a", on Tuesdays all are "b". At 0:00 on Tuesdays there are none."""
    times = MONDAY + HOUR * np.repeat([0, 1, 30], [50, 50, 50])
    reference = Reference.fit({"x": np.repeat(["a", "b", "b"], 50)}, time=times, seasons=BOTH)
    shares = expectation_of(reference).shares(one_cell(24))
    assert shares.sum() == pytest.approx(1.0)
    assert np.isfinite(shares).all()


def test_effective_rows_follow_the_course():
    """By hand: 4 weeks of 100 rows an hour."""
    reference = fitted(ADDED, 4, 100)
    seasons = reference.seasons
    hour, day, whole, cell = 2_800.0, 9_600.0, 67_200.0, 400.0
    by_course = {
        "same": 1 / (1 / hour + 1 / day - 1 / whole),
        "weekend": 1 / (1 / (2 * cell) + 1 / day - 1 / (2 * day)),
        "day": cell,
    }
    for course, rows in by_course.items():
        expectation = expectation_of(replace(reference, seasons=replace(seasons, courses=(course,))))
        assert expectation(one_cell(5 * 24 + 3)).sum() == pytest.approx(rows)
        # A window of a week has the rows of the reference, whatever the course.
        assert expectation(np.full(CELLS, 7)).sum() == pytest.approx(whole)
        # A block of the reference loses its own part.
        freedom = expectation.freedom(np.eye(CELLS, dtype=np.int64) * 100)
        assert freedom == pytest.approx([CELLS - {"same": 30, "weekend": 53, "day": 168}[course] / 4])


def test_features_have_courses_of_their_own():
    """The effective rows differ, and shares sum to 1 for each."""
    times, values = rows_of(OWN, 4, 100, 3)
    data = {"own": values, "flat": np.random.default_rng(4).normal(size=len(times))}
    reference = Reference.fit(data, time=times, seasons=BOTH)
    reference = replace(reference, seasons=replace(reference.seasons, courses=("day", "same")))
    counts = expectation_of(reference)(one_cell(30))
    own, flat = (counts[bins].sum() for bins in Layout(reference.watched).slices)
    assert own == pytest.approx(400)
    assert flat > 2_000


def test_parts_that_are_merged_take_the_more_flexible_course():
    first = fitted(ADDED, 4, 50)
    times, values = rows_of(OWN, 4, 50, 5)
    second = Reference.fit({"x": values}, time=times + 4 * WEEK, like=first)
    assert second.seasons.courses == ("day",)
    assert first.merge(second).seasons.courses == ("day",)
    old = replace(first, seasons=replace(first.seasons, week=None, courses=()))
    merged = old.merge(second).seasons
    assert (merged.week, merged.courses) == (None, ())
    assert np.array_equal(merged.counts[0], first.seasons.counts[0] + second.seasons.counts[0])


def test_a_reference_without_hours_of_the_week_has_the_same_course_every_day(monkeypatch):
    """As files of release 0.2, and those with very many bins."""
    monkeypatch.setattr(fitting, "MAX_WEEK_BINS", 5)
    old = fitted(ADDED, 4, 100)
    assert (old.seasons.week, old.seasons.courses) == (None, ())
    assert json.loads(old.to_json())["schema_version"] == 1
    assert Reference.from_json(old.to_json()) == old
    monkeypatch.undo()
    new = fitted(ADDED, 4, 100)
    same = replace(new, seasons=replace(new.seasons, courses=("same",)))
    for cell in (0, 40, 167):
        assert expectation_of(old)(one_cell(cell)) == pytest.approx(expectation_of(same)(one_cell(cell)), rel=1e-4)


def test_a_file_holds_the_hours_of_the_week():
    """As version 4, which older code refuses."""
    reference = fitted(WEEKEND, 4, 20)
    text = reference.to_json()
    assert json.loads(text)["schema_version"] == 4
    assert Reference.from_json(text) == reference
    assert Reference.from_json(text).to_json() == text


def change_line(document, text):
    document["counts"]["week"][0] = text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.update(courses=["same", "day"]), "courses is an array of 2, expected a course for each feature"),
        (lambda it: it.update(courses=["month"]), r"courses\[0\] is 'month', expected 'same' or 'weekend' or 'day'"),
        (lambda it: it["counts"].update(hour=[]), "counts is an object with the keys .*, expected no other counts"),
        (lambda it: it["counts"]["week"].pop(), "counts.week is an array of 167, expected 168 items"),
        (lambda it: change_line(it, ""), r"week\[0\] is '', expected whole numbers"),
        (lambda it: change_line(it, "1 -2"), r"week\[0\] is '-2', expected whole numbers"),
        (lambda it: change_line(it, "1 \u0661"), r"week\[0\] is .*, expected whole numbers"),
        (lambda it: change_line(it, "9" * 5_000), r"week\[0\] is .*, expected whole numbers"),
        (lambda it: change_line(it, "1 2"), r"week\[1\] is an array of \d+, expected 2"),
        (lambda it: change_line(it, "0 " * 10_000 + "0"), r"a string of 10001 numbers, expected at most 10000"),
        (lambda it: change_line(it, "7" + it["counts"]["week"][0][1:]), "counts that add up to those of the features"),
        (lambda it: it.update(timezone="../../etc/passwd"), "timezone is .*, expected the name of a time zone"),
        (lambda it: it.update(timezone=3), "timezone is 3"),
    ],
)
def test_an_error_names_the_damaged_part(change, message):
    document = json.loads(fitted(FLAT, 2, 5).to_json())
    change(document["seasons"])
    with pytest.raises(ReferenceError, match=message):
        Reference.from_json(json.dumps(document))
