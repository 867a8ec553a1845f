"""Windows compared with the hours and days that their rows fall into."""

from __future__ import annotations

import datetime as dt
import json
import logging

import numpy as np
import pytest

from driftline import ConfigurationError, FalseAlarms, Reference, ReferenceError, Thresholds, Window
from driftline._binning.layout import Layout
from driftline._seasons.calendar import CELLS
from driftline._seasons.expectation import Expectation
from driftline._seasons.seasons import Seasons
from driftline._significance.components import LOCATION
from driftline.testing import ManualClock, Probe, in_memory_monitor

HOUR, DAY = 3_600.0, 86_400.0

MONDAY = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc).timestamp()

PER_HOUR = 400


def level(seconds, daily=1.0, weekly=0.0):
    """Return the mean at a time: a wave over the day, and another level at the weekend."""
    weekend = (np.floor((seconds - MONDAY) / DAY) % 7) >= 5
    return daily * np.sin(2 * np.pi * seconds / DAY) + weekly * weekend


def traffic(days, seed, start=MONDAY, per_hour=PER_HOUR, **seasons):
    """Return times, two features with and without seasons, and categories whose mix follows the hour."""
    random = np.random.default_rng(seed)
    seconds = start + np.sort(random.uniform(0, days * DAY, int(days * 24 * per_hour)))
    return {
        "time": seconds,
        "load": level(seconds, **seasons) + random.normal(size=len(seconds)),
        "calm": random.normal(size=len(seconds)),
        "channel": np.where(random.random(len(seconds)) < 0.5 + 0.3 * np.sin(2 * np.pi * seconds / DAY), "web", "app"),
    }


def served(reference, data, window=None, rule=None, shift=0.0):
    """Serve traffic at its own times. Return how often each feature began to drift, and the monitor."""
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
        for item in (clock, wall):
            item.advance(900.0)
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
def test_without_seasons_a_daily_wave_alarms_or_hides_a_shift(plain):
    """Thresholds alarm in most hours. A rule that learns dependence takes the wave for dependence."""
    begun, _ = served(plain, traffic(3, 1), rule=Thresholds(psi=0.2))
    assert begun["load"] >= 1
    assert served(plain, traffic(3, 1), shift=0.5)[1].status()["load"].state != "drifting"


@pytest.mark.parametrize("kinds", [("hour",), ("hour", "weekday")])
@pytest.mark.slow
def test_with_seasons_a_daily_wave_is_no_alarm_and_a_shift_is_found(kinds):
    """Over five days with hourly evaluations; the shift is half a standard deviation."""
    reference = Reference.fit(traffic(14, 0), time="time", seasons=kinds)
    assert set(served(reference, traffic(5, 2))[0].values()) == {0}
    begun, monitor = served(reference, traffic(1, 3), shift=0.5)
    assert begun["load"] >= 1
    assert begun["calm"] == begun["channel"] == 0
    assert monitor.status()["load"].state == "drifting"
    assert "location up" in monitor.status()["load"].reason


@pytest.mark.slow
def test_weekends_alarm_only_if_weekdays_are_not_compared():
    """Weekends are one standard deviation higher."""
    data = traffic(28, 4, per_hour=100, daily=0.0, weekly=1.0)
    week = traffic(7, 5, per_hour=100, start=MONDAY + 28 * DAY, daily=0.0, weekly=1.0)
    window = Window("3h")
    assert served(Reference.fit(data, time="time", seasons=["weekday"]), week, window)[0]["load"] == 0
    # The rule that knows no dependence, so that it cannot take the weekend for it.
    rule = Thresholds(psi=0.2)
    assert served(Reference.fit(data, time="time", seasons=["hour"]), week, window, rule)[0]["load"] >= 1
    assert served(Reference.fit(data, time="time", seasons=["weekday"]), week, window, rule)[0]["load"] == 0


def test_scores_and_explanations_compare_with_the_season(reference, plain):
    """The PSI of an hour is that of noise, and the explanation starts from that hour."""
    _, monitor = served(reference, traffic(0.25, 6))
    scores = {(item.feature, item.distance): item for item in monitor.scores() if item.length == "1h"}
    assert abs(scores["load", "psi"].corrected) < 0.03
    _, blind = served(plain, traffic(0.25, 6))
    others = {(item.feature, item.distance): item for item in blind.scores() if item.length == "1h"}
    assert others["load", "psi"].corrected > 0.2
    # In words: the bins of a quarter of a day are where they are every day, and not where they are on average.
    assert "median" in str(others["load", "psi"])
    assert "median" not in str(scores["load", "psi"])
    assert abs(scores["load", "mean"].value) < 0.2 < abs(others["load", "mean"].value)


def test_dependence_of_the_reference_is_measured_around_its_seasons(reference, plain):
    """A known wave is no dependence of rows."""
    index = [feature.name for feature in reference.watched].index("load")
    assert reference.dependence.inflation(PER_HOUR).factor[index, LOCATION] < 1.2
    assert plain.dependence.inflation(PER_HOUR).factor[index, LOCATION] > 50
    assert reference.check.words.startswith("rows are independent")
    assert plain.check.words.startswith("rows are dependent")


def test_dependence_of_traffic_is_measured_around_its_seasons(reference, plain):
    """The expected counts change in steps at the full hour, so a little of the wave remains."""
    data = traffic(1.5, 14)
    for item, least, most in ((reference, 1.0, 5.0), (plain, 100.0, np.inf)):
        _, monitor = served(item, data)
        index = [feature.name for feature in item.watched].index("load")
        assert least <= monitor.dependence.inflation(10 * PER_HOUR).factor[index, LOCATION] <= most


def test_shuffled_rows_are_sorted_by_their_times():
    """Their dependence is then known."""
    data = traffic(8, 7, per_hour=100)
    mixed = np.random.default_rng(0).permutation(len(data["time"]))
    shuffled = {name: column[mixed] for name, column in data.items()}
    kinds = ("hour",)
    a, b = (Reference.fit(each, time="time", seasons=kinds) for each in (shuffled, data))
    assert (a.dependence, a.seasons) == (b.dependence, b.seasons)
    assert a.check == b.check


def test_the_expectation_is_the_mix_of_the_cells():
    """By hand: one feature of two values, one value in each of two hours."""
    seconds = MONDAY + HOUR * np.repeat([0, 1, 25], [300, 100, 100])
    values = np.repeat(["a", "b", "b"], [300, 100, 100])
    reference = Reference.fit({"x": values}, time=seconds, seasons=["hour"])
    layout = Layout(reference.watched)
    expectation = Expectation(reference.seasons, reference.watched, layout)
    cells = np.zeros(CELLS, dtype=np.int64)
    cells[[0, 1]] = 30, 10
    shares = {"a": 0.75, "b": 0.25}
    result = expectation(cells)
    effective_rows = 1 / (0.75**2 / 300 + 0.25**2 / 200)
    assert result[: len(shares)] == pytest.approx(
        [shares[name] * effective_rows for name in reference.features[0].bins.categories]
    )
    # An hour without rows, and a window without rows, are like the whole.
    cells[:] = 0
    assert expectation(cells) == pytest.approx(np.array(reference.features[0].counts))
    cells[12] = 5
    assert expectation(cells) == pytest.approx(np.array(reference.features[0].counts))


def test_seasons_of_parts_add_up():
    """To the counts of all data."""
    data = traffic(14, 9, per_hour=50)
    half = len(data["time"]) // 2
    parts = [{name: column[part] for name, column in data.items()} for part in (slice(half), slice(half, None))]
    first = Reference.fit(parts[0], time="time", seasons=["hour", "weekday"])
    second = Reference.fit(parts[1], time="time", like=first)
    both = first.merge(second).seasons
    whole = Reference.fit(data, time="time", like=first).seasons
    assert second.seasons.kinds == first.seasons.kinds
    assert all(map(np.array_equal, (*both.counts, both.week), (*whole.counts, whole.week)))
    assert (both.start, both.end) == (whole.start, whole.end)
    assert both.rows_per_day(len(data["time"])) == pytest.approx(50 * 24, rel=0.01)
    assert hash(both) == hash(first.seasons + second.seasons)


def test_parts_with_different_seasons_are_refused():
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


def test_a_file_holds_the_seasons(reference, plain):
    """A reference without seasons has no such key."""
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
def test_an_error_names_the_damaged_part(change, message):
    reference = Reference.fit({"x": np.arange(100.0)}, time=np.arange(100.0) * HOUR, seasons=["hour"])
    document = json.loads(reference.to_json())
    document["seasons"].update(change)
    with pytest.raises(ReferenceError, match=message):
        Reference.from_json(json.dumps(document))


def test_seasons_that_count_other_rows_are_refused():
    """They add up to the features, and each cell has equally many rows of every feature."""
    data = {"x": np.arange(100.0), "y": ["a", "b"] * 50}
    reference = Reference.fit(data, time=np.arange(100.0) * HOUR, seasons=["hour"])
    document = json.loads(reference.to_json())
    assert document["schema_version"] == 1
    hours = document["seasons"]["counts"]["hour"]
    hours[0][1] += 1
    with pytest.raises(ReferenceError, match="counts that add up to those of the features"):
        Reference.from_json(json.dumps(document))
    hours[0][1] -= 1
    # From one hour to another, for the last feature alone: the sums over hours stay.
    index = next(index for index in range(len(hours[0]) - 1, 0, -1) if hours[0][index])
    hours[0][index] -= 1
    hours[1][index] += 1
    with pytest.raises(ReferenceError, match="equally many rows for every feature"):
        Reference.from_json(json.dumps(document))


def test_a_shown_season_that_is_not_compared_is_logged_once(caplog):
    """If the window is shorter than the season."""
    data = traffic(28, 11, per_hour=60, weekly=1.0)
    timed = Reference.fit(data, time="time")
    assert timed.seasons.shown == ("hour", "weekday")
    assert timed.seasons.kinds == ()
    cases = [
        (timed, Window("1h"), "a day and a week"),
        (timed, Window(rows=24 * 60 * 2), "a week"),
        (timed, Window("2d"), "a week"),
        (timed, Window("7d"), ""),
        (Reference.fit(data, time="time", seasons=["hour"]), Window("1h"), "a week"),
        (Reference.fit(data, time="time", seasons=["hour", "weekday"]), Window("1h"), ""),
    ]
    for reference, window, words in cases:
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="driftline"):
            monitor = in_memory_monitor(reference=reference, window=window)
            monitor.observe({name: column[:500] for name, column in data.items() if name != "time"})
            monitor.flush()
        warnings = [item.getMessage() for item in caplog.records if "season" in item.getMessage()]
        assert len(warnings) == bool(words)
        assert words in "".join(warnings)
        assert "a day" not in words or "seasons=('hour', 'weekday')" in warnings[0]


@pytest.mark.parametrize("seed", range(5))
def test_data_without_a_season_show_none(seed):
    """Also if rows depend on each other over hours."""
    random = np.random.default_rng(seed)
    columns = {
        f"x{index}": np.convolve(random.normal(size=20_199), np.ones(200) / 200**0.5, "valid") for index in range(5)
    }
    seconds = MONDAY + np.arange(20_000) * DAY / 500
    assert Reference.fit(columns, time=seconds).seasons.shown == ()


def test_fewer_than_eight_days_show_no_season():
    assert Reference.fit(traffic(7, 12, per_hour=50), time="time").seasons.shown == ()
    assert Reference.fit(traffic(8, 12, per_hour=50), time="time").seasons.shown == ("hour",)


def test_counts_have_hours_only_with_seasons(plain, reference):
    """They then end with the hours of the week, and add up as all counts do."""
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


def test_pending_rows_belong_to_the_hour_in_which_they_came(reference):
    """In a synchronous monitor, the first row of an hour drains those of the hour before."""
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


def test_the_child_of_a_fork_starts_in_the_present_hour(reference):
    """Without counts, scores and what was learned."""
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


def test_a_wall_clock_that_is_no_function_is_refused(plain):
    with pytest.raises(ConfigurationError, match="wall_clock=None: expected a function"):
        in_memory_monitor(reference=plain, wall_clock=None)
