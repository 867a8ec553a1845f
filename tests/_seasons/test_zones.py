"""Hours and days in a time zone by name: days on which clocks change, offsets of half hours, data that are missing."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
import zoneinfo
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from driftline import ConfigurationError, Reference
from driftline._seasons.calendar import CELLS, EARLIEST, LATEST, cell_of
from driftline._seasons.clock import WeekClock
from driftline._seasons.zones import QUARTER, TimeZone
from driftline.testing import ManualClock, in_memory_monitor

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",  # 5:30
    "Asia/Kathmandu",  # 5:45
    "Australia/Lord_Howe",  # 10:30, 11:00 in summer
    "Pacific/Chatham",  # 12:45, 13:45 in summer
    "America/St_Johns",  # -3:30
    "Pacific/Apia",  # east of the date line since the end of 2011
    "Africa/Casablanca",  # an hour back during Ramadan
    "Etc/GMT+12",
)


def unix(*parts, zone="UTC", fold=0):
    return dt.datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def by_hand(seconds, zone):
    """Return the hour of the week as Python's own datetime has it."""
    when = dt.datetime.fromtimestamp(seconds, ZoneInfo(zone))
    return when.weekday() * 24 + when.hour


@pytest.mark.parametrize("zone", ZONES)
def test_local_hours_agree_with_datetime(zone):
    """At random times, and on every quarter of the days on which clocks change."""
    seconds = np.random.default_rng(0).uniform(0, 2.2e9, 500)
    for year, month, day in ((2024, 3, 31), (2024, 10, 27), (2024, 4, 7), (2024, 10, 6), (2024, 11, 3), (2011, 12, 29)):
        seconds = np.append(seconds, unix(year, month, day) - DAY + QUARTER * np.arange(4 * 96) + 1.0)
    local = TimeZone(zone).to_local(seconds)
    assert cell_of(local).tolist() == [by_hand(second, zone) for second in seconds.tolist()]


@pytest.mark.parametrize("zone", ZONES)
def test_local_times_are_read_as_datetime_reads_them(zone):
    """Repeated and missing hours included. Both directions agree outside of them."""
    starts = [dt.datetime(2024, 3, 31), dt.datetime(2024, 10, 27), dt.datetime(2024, 4, 7)]  # noqa: DTZ001
    naive = [start + dt.timedelta(minutes=7 * index) for start in starts for index in range(206)]
    local = np.array(naive, dtype="M8[us]").astype(np.int64) / 1e6
    expected = [when.replace(tzinfo=ZoneInfo(zone)).timestamp() for when in naive]
    converted = TimeZone(zone).to_unix(local)
    assert converted.tolist() == expected
    assert [TimeZone(zone).localise(when) for when in naive] == expected
    assert np.mean(TimeZone(zone).to_local(converted) == local) > 0.95


@pytest.mark.parametrize("zone", ZONES)
def test_the_clock_of_the_week_agrees_with_datetime_all_year(zone):
    """Stepped by five minutes around each change: it says when its hour is over, and only then."""
    tz = TimeZone(zone)
    year = unix(2024, 1, 1) + HOUR * np.arange(366 * 24)
    changes = year[1:][np.diff(tz.to_local(year) - year) != 0]
    for change in [*changes.tolist(), unix(2024, 5, 5)]:
        now = change - 6 * HOUR
        clock = WeekClock(lambda: now, tz)  # noqa: B023 - called before `now` changes
        looked_up = 0
        while now < change + 6 * HOUR:
            now += 300.0
            if clock.over:
                clock.advance()
                looked_up += 1
            counts = clock.append_cells(np.array([1]), 1)
            assert np.flatnonzero(counts[1:]).tolist() == [by_hand(now, zone)]
        # The hot path compares two numbers, and the zone is asked about once an hour.
        assert looked_up <= 14


def test_a_clock_that_is_set_back_is_noticed():
    now = unix(2024, 10, 27, 2, 30, zone="Europe/Berlin", fold=1)
    clock = WeekClock(lambda: now, TimeZone("Europe/Berlin"))
    assert not clock.over
    now -= 3 * HOUR
    assert clock.over


def test_times_at_the_ends_of_the_calendar_are_no_error():
    for name in ("Etc/GMT+12", "Etc/GMT-14", "Europe/Berlin"):
        zone = TimeZone(name)
        ends = np.array([EARLIEST, LATEST - 1.0])
        assert np.isfinite(zone.to_local(ends)).all()
        assert np.isfinite(zone.to_unix(ends)).all()


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_naive_times_are_local_and_others_are_not_changed(zone):
    """Of every library, with the clock change in between. Numbers are Unix times."""
    seconds = unix(2024, 3, 25) + HOUR * np.arange(24 * 14.0)
    aware = [dt.datetime.fromtimestamp(second, ZoneInfo(zone)) for second in seconds]
    # The repeated hour cannot be read from naive times, which is in autumn in the north and in April in the south.
    kept = [index for index, when in enumerate(aware) if when.fold == 0]
    seconds, aware = seconds[kept], [aware[index] for index in kept]
    naive = [when.replace(tzinfo=None) for when in aware]
    utc = [dt.datetime.fromtimestamp(second, dt.timezone.utc) for second in seconds]
    columns = [
        seconds,
        seconds.tolist(),
        aware,
        utc,
        naive,
        np.array(naive, dtype="M8[s]"),
        list(np.array(naive, dtype="M8[ns]")),
        pd.Series(naive),
        pd.Series(pd.DatetimeIndex(utc)),
        pd.Series(pd.DatetimeIndex(utc)).dt.tz_convert(zone),
        pd.Series(pd.DatetimeIndex(utc)).dt.tz_convert("Asia/Tokyo"),
        pd.Series(pd.DatetimeIndex(utc)).astype("timestamp[us, tz=UTC][pyarrow]"),
        pl.Series(naive),
        pl.Series(utc),
        pl.Series(utc).dt.convert_time_zone("Asia/Tokyo"),
        pa.array(naive),
        pa.array(utc, pa.timestamp("us", "UTC")),
        pa.array(utc, pa.timestamp("ns", "Asia/Tokyo")),
    ]
    data = {"x": np.arange(float(len(seconds)))}
    fitted = [Reference.fit(data, time=column, seasons=["hour", "weekday"], timezone=zone) for column in columns]
    assert all(item == fitted[0] for item in fitted)
    seasons = fitted[0].seasons
    assert (seasons.timezone, seasons.start) == (zone, seconds[0])
    by_cell = np.bincount([by_hand(second, zone) for second in seconds], minlength=CELLS)
    assert seasons.week.sum(axis=1).tolist() == by_cell.tolist()


def test_fold_tells_the_second_of_a_repeated_hour():
    berlin = {"timezone": "Europe/Berlin", "seasons": ["hour"]}
    first, second = (
        Reference.fit({"x": [1.0, 2.0]}, time=[dt.datetime(2024, 10, 27, 2, 30, fold=fold)] * 2, **berlin)  # noqa: DTZ001
        for fold in (0, 1)
    )
    assert second.seasons.start - first.seasons.start == HOUR
    assert np.flatnonzero(first.seasons.counts[0].sum(axis=1)).tolist() == [2]
    assert np.flatnonzero(second.seasons.counts[0].sum(axis=1)).tolist() == [2]


def test_habits_stay_in_their_hour_when_clocks_change():
    """People come from 8:00 to 18:00 local time, in winter and in summer. In UTC, they seem to come an hour earlier."""
    start = unix(2024, 2, 26, zone="Europe/Berlin")
    hours = start + HOUR * np.arange(8 * 168)
    local = np.array([dt.datetime.fromtimestamp(second, ZoneInfo("Europe/Berlin")).hour for second in hours])
    values = np.repeat((local >= 8) & (local < 18), 10).astype(float)
    times = np.repeat(hours, 10)
    in_berlin = Reference.fit({"x": values}, time=times, seasons=["hour"], timezone="Europe/Berlin")
    in_utc = Reference.fit({"x": values}, time=times, seasons=["hour"])
    mixed = [((item.seasons.counts[0] > 0).sum(axis=1) > 1).sum() for item in (in_berlin, in_utc)]
    assert mixed == [0, 2]


def test_the_hour_served_is_local(monkeypatch):
    """Whatever the time zone of the server."""
    data = {"x": np.arange(400.0)}
    times = unix(2024, 1, 1) + HOUR * np.arange(400)
    reference = Reference.fit(data, time=times, seasons=["hour", "weekday"], timezone="Asia/Kolkata")
    reference = Reference.from_json(reference.to_json())
    for server in ("UTC", "America/New_York", "Asia/Tokyo"):
        if hasattr(time, "tzset"):
            monkeypatch.setenv("TZ", server)
            time.tzset()
        wall = ManualClock()
        wall.advance(unix(2024, 6, 3, 20, 15) - wall())
        monitor = in_memory_monitor(reference=reference, wall_clock=wall)
        for expected in (24 + 1, 24 + 1, 24 + 2):
            monitor.observe({"x": 1.0})
            cells = monitor.snapshot().counts[-CELLS:]
            assert cells[expected]
            # 20:15 UTC is 1:45 in Kolkata, and 20:30 is 2:00.
            wall.advance(14 * 60.0)
    monkeypatch.undo()
    if hasattr(time, "tzset"):
        time.tzset()


def test_a_file_holds_the_name_of_the_zone():
    """Version 4. Without a name the file stays as it was."""
    data, times = {"x": np.arange(100.0)}, HOUR * np.arange(100)
    berlin = Reference.fit(data, time=times, seasons=["hour"], timezone="Europe/Berlin")
    document = json.loads(berlin.to_json())
    assert (document["schema_version"], document["seasons"]["timezone"]) == (4, "Europe/Berlin")
    assert Reference.from_json(berlin.to_json()) == berlin
    for name in (None, "UTC"):
        document = json.loads(Reference.fit(data, time=times, seasons=["hour"], timezone=name).to_json())
        assert document["schema_version"] == 1
        assert "timezone" not in document["seasons"]


def test_parts_are_counted_in_the_zone_of_the_first():
    data, times = {"x": np.arange(100.0)}, HOUR * np.arange(100)
    first = Reference.fit(data, time=times, seasons=["hour"], timezone="Europe/Berlin")
    second = Reference.fit(data, time=times, like=first)
    assert second.seasons.timezone == "Europe/Berlin"
    assert first.merge(second).seasons.timezone == "Europe/Berlin"
    with pytest.raises(ConfigurationError, match="timezone='UTC': expected that of the reference given as like="):
        Reference.fit(data, time=times, like=first, timezone="UTC")
    with pytest.raises(ConfigurationError, match="timezone='UTC': expected that of the other part, 'Europe/Berlin'"):
        first.merge(Reference.fit(data, time=times, seasons=["hour"]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Europe/Berln", "timezone='Europe/Berln': no such time zone, expected a name such as 'Europe/Berlin'"),
        ("", "timezone='': no such time zone"),
        ("Europe", "timezone='Europe': no such time zone"),
        ("../../etc/passwd", "no such time zone"),
        ("/etc/localtime", "no such time zone"),
        ("Europe\x00Berlin", "no such time zone"),
        ("x" * 5_000, "timezone='x+': no such time zone"),
        ("localtime", "no such time zone"),
        (3, "timezone=3: expected a string"),
        (dt.timezone.utc, "timezone=.*: expected a string"),
    ],
)
def test_invalid_zones_are_refused(value, message):
    with pytest.raises(ConfigurationError, match=message):
        Reference.fit({"x": [1.0, 2.0]}, time=[0.0, 1.0], timezone=value)


def test_a_zone_needs_times():
    with pytest.raises(ConfigurationError, match="timezone='UTC' without time="):
        Reference.fit({"x": [1.0, 2.0]}, timezone="UTC")


def test_a_machine_without_data_of_time_zones_says_what_to_install(monkeypatch):
    """As on Windows. UTC needs none."""
    data, times = {"x": np.arange(100.0)}, HOUR * np.arange(100)
    berlin = Reference.fit(data, time=times, seasons=["hour"], timezone="Europe/Berlin")
    for name in [name for name in sys.modules if name.partition(".")[0] == "tzdata"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tzdata", None)
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([])
    ZoneInfo.clear_cache()
    try:
        with pytest.raises(ConfigurationError, match="no data of time zones, expected them: pip install tzdata"):
            Reference.fit(data, time=times, seasons=["hour"], timezone="Europe/Berlin")
        with pytest.raises(ConfigurationError, match="pip install tzdata"):
            in_memory_monitor(reference=berlin)
        assert Reference.fit(data, time=times, seasons=["hour"], timezone="UTC").seasons.timezone == "UTC"
    finally:
        zoneinfo.reset_tzpath(before)
        ZoneInfo.clear_cache()
