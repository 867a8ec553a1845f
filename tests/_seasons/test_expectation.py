"""Windows compared with the hours and days that their rows fall into."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from driftline import ConfigurationError, FalseAlarms, Reference, ReferenceError, Thresholds, Window
from driftline._binning.layout import Layout
from driftline._seasons.calendar import CELLS, WeekClock, cell_of
from driftline._seasons.expectation import Expectation, Seasons
from driftline._significance.components import LOCATION
from driftline.testing import ManualClock, Probe, in_memory_monitor

HOUR, DAY = 3_600.0, 86_400.0

MONDAY = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc).timestamp()

PER_HOUR = 400


def level(seconds, daily=1.0, weekly=0.0):
    """The mean at a time: a wave over the day, and another level at the weekend."""
    weekend = (np.floor((seconds - MONDAY) / DAY) % 7) >= 5
    return daily * np.sin(2 * np.pi * seconds / DAY) + weekly * weekend


def traffic(days, seed, start=MONDAY, per_hour=PER_HOUR, **seasons):
    """Times and two features, one with seasons and one without; categories whose mix goes with the hour."""
    random = np.random.default_rng(seed)
    seconds = start + np.sort(random.uniform(0, days * DAY, int(days * 24 * per_hour)))
    return {
        "time": seconds,
        "load": level(seconds, **seasons) + random.normal(size=len(seconds)),
        "calm": random.normal(size=len(seconds)),
        "channel": np.where(random.random(len(seconds)) < 0.5 + 0.3 * np.sin(2 * np.pi * seconds / DAY), "web", "app"),
    }


def served(reference, data, window=None, rule=None, shift=0.0):
    """Serve the traffic at its own times; how often each feature began to drift, and the monitor."""
    clock, wall = ManualClock(), ManualClock()
    begin = float(data["time"][0])
    wall.advance(begin - wall())
    monitor = in_memory_monitor(
        reference=reference, window=window or Window("1h"), rule=rule or FalseAlarms(), clock=clock, wall_clock=wall
    )
    begun, before = dict.fromkeys(monitor.status(), 0), monitor.status()
    for quarter in range(int((data["time"][-1] - begin) // 900) + 1):
        here = slice(*np.searchsorted(data["time"], [begin + quarter * 900, begin + (quarter + 1) * 900]))
        frame = {name: data[name][here] for name in data if name != "time"}
        monitor.observe({**frame, "load": frame["load"] + shift})
        for one in (clock, wall):
            one.advance(900.0)
        after = monitor.status()
        for name, status in after.items():
            begun[name] += status.state == "drifting" and before[name].state != "drifting"
        before = after
    return begun, monitor


@pytest.fixture(scope="module")
def reference():
    """Two weeks with a season of a day."""
    return Reference.fit(traffic(14, 0), time="time", seasons=("hour", "weekday"))


@pytest.fixture(scope="module")
def plain():
    """The same without seasons."""
    data = traffic(14, 0)
    return Reference.fit({name: data[name] for name in data if name != "time"})


@pytest.mark.slow
def test_without_seasons_a_daily_wave_alarms_or_is_blind(plain):
    """By thresholds most hours drift; where dependence is learnt the wave is taken for it, and hides a shift."""
    begun, _ = served(plain, traffic(3, 1), rule=Thresholds(psi=0.2))
    assert begun["load"] >= 1
    assert served(plain, traffic(3, 1), shift=0.5)[1].status()["load"].state != "drifting"


@pytest.mark.parametrize("kinds", [("hour",), ("hour", "weekday")])
@pytest.mark.slow
def test_with_seasons_a_daily_wave_is_no_alarm_and_a_shift_on_top_is_found(kinds):
    """Five days judged every hour; half a standard deviation on top of the wave is found within one of them."""
    reference = Reference.fit(traffic(14, 0), time="time", seasons=kinds)
    assert set(served(reference, traffic(5, 2))[0].values()) == {0}
    begun, monitor = served(reference, traffic(1, 3), shift=0.5)
    assert begun["load"] >= 1
    assert begun["calm"] == begun["channel"] == 0
    assert monitor.status()["load"].state == "drifting"
    assert "location up" in monitor.status()["load"].reason


@pytest.mark.slow
def test_the_weekend_is_no_alarm_where_days_are_compared_and_one_where_they_are_not():
    """Four weeks of reference whose weekends lie one standard deviation higher."""
    data = traffic(28, 4, per_hour=100, daily=0.0, weekly=1.0)
    week = traffic(7, 5, per_hour=100, start=MONDAY + 28 * DAY, daily=0.0, weekly=1.0)
    window = Window("3h")
    assert served(Reference.fit(data, time="time", seasons=["weekday"]), week, window)[0]["load"] == 0
    # The rule that knows no dependence, so that it cannot take the weekend for it.
    rule = Thresholds(psi=0.2)
    assert served(Reference.fit(data, time="time", seasons=["hour"]), week, window, rule)[0]["load"] >= 1
    assert served(Reference.fit(data, time="time", seasons=["weekday"]), week, window, rule)[0]["load"] == 0


def test_distances_and_words_compare_with_the_season(reference, plain):
    """The PSI of an hour is that of noise, and the words start from what that hour is like."""
    _, monitor = served(reference, traffic(0.25, 6))
    scores = {(one.feature, one.distance): one for one in monitor.scores() if one.length == "1h"}
    assert abs(scores["load", "psi"].corrected) < 0.03
    _, blind = served(plain, traffic(0.25, 6))
    others = {(one.feature, one.distance): one for one in blind.scores() if one.length == "1h"}
    assert others["load", "psi"].corrected > 0.2
    # In words: the bins of a quarter of a day are where they are every day, and not where they are on average.
    assert "median" in str(others["load", "psi"])
    assert "median" not in str(scores["load", "psi"])
    assert abs(scores["load", "mean"].value) < 0.2 < abs(others["load", "mean"].value)


def test_scatter_of_the_reference_is_around_its_seasons(reference, plain):
    """The wave is no dependence of rows where it is known."""
    place = [feature.name for feature in reference.watched].index("load")
    assert reference.dependence.inflation(PER_HOUR).factor[place, LOCATION] < 1.2
    assert plain.dependence.inflation(PER_HOUR).factor[place, LOCATION] > 50
    assert reference.check.words.startswith("rows are independent")
    assert plain.check.words.startswith("rows are dependent")


def test_what_is_learnt_from_traffic_is_around_its_seasons(reference, plain):
    """
    Neighbouring blocks of a day and a half differ by the wave, and by little more.

    A little: what an hour is to expect moves in a step at its full, the wave moves on meanwhile.
    """
    data = traffic(1.5, 14)
    for one, least, most in ((reference, 1.0, 5.0), (plain, 100.0, np.inf)):
        _, monitor = served(one, data)
        place = [feature.name for feature in one.watched].index("load")
        assert least <= monitor.dependence.inflation(10 * PER_HOUR).factor[place, LOCATION] <= most


def test_rows_out_of_order_are_put_in_the_order_of_their_times():
    """Shuffled training data know their dependence when they know their times."""
    data = traffic(8, 7, per_hour=100)
    mixed = np.random.default_rng(0).permutation(len(data["time"]))
    shuffled = {name: column[mixed] for name, column in data.items()}
    kinds = ("hour",)
    ours, theirs = (Reference.fit(each, time="time", seasons=kinds) for each in (shuffled, data))
    assert (ours.dependence, ours.seasons) == (theirs.dependence, theirs.seasons)
    assert ours.check == theirs.check


def test_the_expectation_is_the_mix_of_the_cells():
    """By hand: one feature of two values, an hour with one of them and an hour with the other."""
    seconds = MONDAY + HOUR * np.repeat([0, 1, 25], [300, 100, 100])
    values = np.repeat(["a", "b", "b"], [300, 100, 100])
    reference = Reference.fit({"x": values}, time=seconds, seasons=["hour"])
    layout = Layout(reference.watched)
    expectation = Expectation(reference.seasons, reference.watched, layout)
    cells = np.zeros(CELLS, dtype=np.int64)
    cells[[0, 1]] = 30, 10
    shares = {"a": 0.75, "b": 0.25}
    found = expectation(cells)
    worth = 1 / (0.75**2 / 300 + 0.25**2 / 200)
    assert found[: len(shares)] == pytest.approx(
        [shares[name] * worth for name in reference.features[0].bins.categories]
    )
    # An hour without rows, and a window without rows, are like the whole.
    cells[:] = 0
    assert expectation(cells) == pytest.approx(np.array(reference.features[0].counts))
    cells[12] = 5
    assert expectation(cells) == pytest.approx(np.array(reference.features[0].counts))


def test_hours_and_days_act_apart():
    """The product of an hour's and a day's shares over those of the whole, made to shares again."""
    reference = Reference.fit(
        traffic(28, 8, per_hour=60, daily=0.5, weekly=0.5), time="time", seasons=("weekday", "hour")
    )
    assert reference.seasons.kinds == ("hour", "weekday")
    layout = Layout(reference.watched)
    expectation = Expectation(reference.seasons, reference.watched, layout)
    cell = 5 * 24 + 6
    cells = np.bincount([cell], minlength=CELLS) * 100
    hour, weekday = (table[place] for table, place in zip(reference.seasons.counts, (6, 5), strict=True))
    for place, feature in zip(layout.slices, reference.watched, strict=True):
        whole = np.array(feature.counts)
        by_hand = hour[place] * weekday[place] / np.maximum(whole, 1)
        found = expectation(cells)[place]
        assert found / found.sum() == pytest.approx(by_hand / by_hand.sum())
        assert found.sum() < min(hour[place].sum(), weekday[place].sum())


def test_parts_add_up():
    """The counts of two weeks fitted apart are those of both at once."""
    data = traffic(14, 9, per_hour=50)
    half = len(data["time"]) // 2
    parts = [{name: column[part] for name, column in data.items()} for part in (slice(half), slice(half, None))]
    first = Reference.fit(parts[0], time="time", seasons=["hour", "weekday"])
    second = Reference.fit(parts[1], time="time", like=first)
    both = first.merge(second).seasons
    whole = Reference.fit(data, time="time", like=first).seasons
    assert second.seasons.kinds == first.seasons.kinds
    assert all(map(np.array_equal, both.counts, whole.counts))
    assert (both.start, both.end) == (whole.start, whole.end)
    assert both.rows_per_day(len(data["time"])) == pytest.approx(50 * 24, rel=0.01)
    assert hash(both) == hash(first.seasons + second.seasons)


def test_parts_that_do_not_belong_together_are_refused():
    """Before anything is added."""
    data = traffic(2, 10, per_hour=20)
    features = {name: column for name, column in data.items() if name != "time"}
    timed = Reference.fit(data, time="time", seasons=["hour"])
    untimed = Reference.fit(features)
    with pytest.raises(ConfigurationError, match="one part has them and the other has not"):
        timed.merge(Reference(timed.features, timed.rows))
    other = timed.seasons
    with pytest.raises(ConfigurationError, match="expected those of the other part"):
        _ = other + Seasons((), (), (), other.start, other.end)
    with pytest.raises(ConfigurationError, match="time= must be given exactly when"):
        Reference.fit(features, like=timed)
    with pytest.raises(ConfigurationError, match="time= must be given exactly when"):
        Reference.fit(data, like=untimed, time="time")
    with pytest.raises(ConfigurationError, match=r"seasons=\('weekday',\): expected those of the reference"):
        Reference.fit(data, like=timed, time="time", seasons=["weekday"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": "when"}, r"time='when': no such column, expected a name from \['x'\]"),
        ({"time": "x"}, "time='x': the only column"),
        ({"time": [1.0]}, "time: 1 times, expected one for each of the 3 rows"),
        ({"time": 5}, "time=5: expected the name of a column"),
        ({"time": ["2024-01-01"] * 3}, "time: row 0 has '2024-01-01': expected a datetime"),
        ({"time": [0.0, None, 1.0]}, "time: row 1 has None"),
        ({"time": [0.0, 1.0, np.nan]}, "time: row 2 has nan"),
        ({"time": [0, 1, 1_700_000_000_000]}, "time: row 2 has 1700000000000"),
        ({"time": np.array(["2024-01-01", "NaT", "NaT"], "M8[D]")}, "time: row 1 has NaT"),
        ({"time": [0, 1, 2], "seasons": "hour"}, "seasons='hour': expected some of"),
        ({"time": [0, 1, 2], "seasons": ["month"]}, r"seasons=\['month'\]: expected some of .*, each once"),
        ({"time": [0, 1, 2], "seasons": ["hour", "hour"]}, "each once"),
        ({"time": [0, 1, 2], "seasons": [["hour"]]}, "each once"),
        ({"seasons": ["hour"]}, "without time="),
    ],
)
def test_bad_times_and_seasons_are_refused(arguments, message):
    """With what was given and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        Reference.fit({"x": [1.0, 2.0, 3.0]}, **arguments)


def test_times_may_come_in_any_form():
    """Naive times are UTC, others are what they say; the column of the time is no feature."""
    seconds = MONDAY + HOUR * np.arange(200.0)
    naive = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=place) for place in range(200)]  # noqa: DTZ001
    east = dt.timezone(dt.timedelta(hours=5))
    columns = [
        seconds,
        seconds.tolist(),
        naive,
        np.array(naive, dtype="M8[ns]"),
        list(np.array(naive, dtype="M8[s]")),
        [one.replace(tzinfo=dt.timezone.utc).astimezone(east) for one in naive],
        pd.Series(naive),
        pd.Series(naive).dt.tz_localize("UTC"),
        pl.Series(naive),
    ]
    fitted = [Reference.fit({"x": np.arange(200.0)}, time=column, seasons=["hour"]) for column in columns]
    assert all(one == fitted[0] for one in fitted)
    frame = pd.DataFrame({"x": np.arange(200.0), "at": naive})
    assert Reference.fit(frame, time="at", seasons=["hour"]) == fitted[0]
    assert Reference.fit(np.stack([np.arange(200.0), seconds], axis=1), time="1").features[0].name == "0"


def test_a_file_holds_the_seasons(reference, plain):
    """The same bytes, the same reference; none where there are none."""
    text = reference.to_json()
    again = Reference.from_json(text)
    assert again == reference
    assert again.to_json() == text
    assert "seasons" not in json.loads(plain.to_json())
    assert reference != plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": "now"}, "seasons.start is 'now', expected a finite number"),
        ({"start": 1e300}, "seasons.start is 1e.300, expected UNIX seconds"),
        ({"end": -1e9}, "seasons.end is -1000000000.0, expected at least the start"),
        ({"shown": ["month"]}, r"seasons.shown\[0\] is 'month', expected 'hour' or 'weekday'"),
        ({"counts": {"month": []}}, "seasons.counts is 'month', expected 'hour' or 'weekday'"),
        ({"counts": {"hour": 3}}, "seasons.counts.hour is 3, expected an array"),
        ({"counts": {"hour": [[]] * 24}}, r"seasons.counts.hour\[0\] is an array of 0, expected"),
        ({"counts": {"hour": []}}, "seasons.counts.hour is an array of 0, expected 24 items"),
    ],
)
def test_a_damaged_file_says_where(change, message):
    """Never a crash."""
    reference = Reference.fit({"x": np.arange(100.0)}, time=np.arange(100.0) * HOUR, seasons=["hour"])
    document = json.loads(reference.to_json())
    document["seasons"].update(change)
    with pytest.raises(ReferenceError, match=message):
        Reference.from_json(json.dumps(document))


def test_counts_of_other_rows_are_no_seasons():
    """They must add up to the features, and each cell to as many rows for all of them."""
    data = {"x": np.arange(100.0), "y": ["a", "b"] * 50}
    reference = Reference.fit(data, time=np.arange(100.0) * HOUR, seasons=["hour"])
    document = json.loads(reference.to_json())
    hours = document["seasons"]["counts"]["hour"]
    hours[0][1] += 1
    with pytest.raises(ReferenceError, match="counts that add up to those of the features"):
        Reference.from_json(json.dumps(document))
    hours[0][1] -= 1
    # From one hour to another, for the last feature alone: the sums over hours stay.
    place = next(place for place in range(len(hours[0]) - 1, 0, -1) if hours[0][place])
    hours[0][place] -= 1
    hours[1][place] += 1
    with pytest.raises(ReferenceError, match="equally many rows for every feature"):
        Reference.from_json(json.dumps(document))


def test_a_season_that_is_shown_and_not_told_of_is_said_once(caplog):
    """A window of less than a day, of a reference that has a day."""
    data = traffic(28, 11, per_hour=60, weekly=1.0)
    told = Reference.fit(data, time="time")
    assert told.seasons.shown == ("hour", "weekday")
    assert told.seasons.kinds == ()
    cases = [
        (told, Window("1h"), "a day and a week"),
        (told, Window(rows=24 * 60 * 2), "a week"),
        (told, Window("2d"), "a week"),
        (told, Window("7d"), ""),
        (Reference.fit(data, time="time", seasons=["hour"]), Window("1h"), "a week"),
        (Reference.fit(data, time="time", seasons=["hour", "weekday"]), Window("1h"), ""),
    ]
    for reference, window, words in cases:
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="driftline"):
            monitor = in_memory_monitor(reference=reference, window=window)
            monitor.observe({name: column[:500] for name, column in data.items() if name != "time"})
            monitor.flush()
        said = [one.getMessage() for one in caplog.records if "season" in one.getMessage()]
        assert len(said) == bool(words)
        assert words in "".join(said)
        assert "a day" not in words or "seasons=('hour', 'weekday')" in said[0]


@pytest.mark.parametrize("seed", range(5))
def test_no_season_is_shown_where_there_is_none(seed):
    """Of rows that depend on each other over hours, too: days are what is compared."""
    random = np.random.default_rng(seed)
    columns = {
        f"x{place}": np.convolve(random.normal(size=20_199), np.ones(200) / 200**0.5, "valid") for place in range(5)
    }
    seconds = MONDAY + np.arange(20_000) * DAY / 500
    assert Reference.fit(columns, time=seconds).seasons.shown == ()


def test_too_few_days_show_nothing():
    """Seven days are no more than seven chances."""
    assert Reference.fit(traffic(7, 12, per_hour=50), time="time").seasons.shown == ()
    assert Reference.fit(traffic(8, 12, per_hour=50), time="time").seasons.shown == ("hour",)


def test_off_by_default_the_counts_are_as_long_as_ever(plain, reference):
    """With seasons they are longer by the hours of a week, and add up like all others."""
    total = Layout(plain.watched).total
    data = {name: column[:100] for name, column in traffic(1, 13).items() if name != "time"}

    def snapshot(of):
        monitor = in_memory_monitor(reference=of, wall_clock=lambda: MONDAY + 30 * HOUR)
        monitor.observe(data)
        return monitor.snapshot().counts

    assert len(snapshot(plain)) == total
    counts = snapshot(reference)
    assert len(counts) == total + CELLS
    assert counts[total + 30] == counts[total:].sum() == 100
    assert np.array_equal(counts[:total], snapshot(plain))
    timed_only = Reference(plain.features, plain.rows, seasons=Seasons((), (), ("hour",), MONDAY, MONDAY + DAY))
    assert len(snapshot(timed_only)) == total


def test_rows_that_wait_belong_to_the_hour_in_which_they_came(reference):
    """Nobody drains a synchronous monitor at the full hour: the next row does."""
    wall = ManualClock()
    wall.advance(MONDAY - wall())
    monitor = in_memory_monitor(reference=reference, wall_clock=wall)
    row = {"load": 0.0, "calm": 0.0, "channel": "web"}
    for rows in (3, 4):
        for _ in range(rows):
            monitor.observe(row)
        wall.advance(HOUR)
    wall.advance(-2 * HOUR)
    monitor.observe(row)
    cells = monitor.snapshot().counts[-CELLS:]
    assert cells[:3].tolist() == [4, 4, 0]


def test_a_clock_starts_anew_in_the_child_of_a_fork(reference):
    """Counts, scores and what was learnt are gone; the hour is the present one."""
    wall = ManualClock()
    wall.advance(MONDAY - wall())
    monitor = in_memory_monitor(reference=reference, wall_clock=wall)
    row = {"load": 0.0, "calm": 0.0, "channel": "web"}
    monitor.observe(row)
    wall.advance(5 * HOUR)
    Probe(monitor).become_fork_child()
    assert monitor.snapshot().counts.sum() == 0
    monitor.observe(row)
    cells = monitor.snapshot().counts[-CELLS:]
    assert np.flatnonzero(cells).tolist() == [5]


def test_the_clock_of_the_week_is_that_of_the_calendar():
    """Against datetime, before and after 1970."""
    for seconds in np.random.default_rng(0).uniform(-1e9, 3e9, 200):
        when = dt.datetime.fromtimestamp(seconds, dt.timezone.utc)
        assert cell_of(np.array([seconds])).tolist() == [when.weekday() * 24 + when.hour]
    now = MONDAY + 1.0
    clock = WeekClock(lambda: now)
    assert not clock.over
    assert clock.append_cells(np.array([2, 1]), 3)[:3].tolist() == [2, 1, 3]
    now += HOUR
    assert clock.over


def test_the_page_on_seasons_prints_what_it_says(capsys):
    """Its code, as it stands."""
    page = (Path(__file__).parents[2] / "docs" / "seasons.md").read_text(encoding="utf-8")
    code, printed = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("python", "text"))
    exec(compile(code, "seasons.md", "exec"), {})  # noqa: S102 - the page is ours
    assert capsys.readouterr().out == printed


def test_a_wall_clock_must_be_one(plain):
    """As the other clock."""
    with pytest.raises(ConfigurationError, match="wall_clock=None: expected a function"):
        in_memory_monitor(reference=plain, wall_clock=None)
