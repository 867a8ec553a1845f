"""Times of rows, read and put into hours of the week."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from driftline import ConfigurationError, Reference
from driftline._seasons.calendar import cell_of
from driftline._seasons.clock import WeekClock

HOUR = 3_600.0
MONDAY = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc).timestamp()


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
def test_invalid_times_and_seasons_are_refused(arguments, message):
    """The message names the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        Reference.fit({"x": [1.0, 2.0, 3.0]}, **arguments)


def test_times_of_every_type_are_read():
    """Naive times are UTC. The column of times is no feature."""
    seconds = MONDAY + HOUR * np.arange(200.0)
    naive = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=index) for index in range(200)]  # noqa: DTZ001
    east = dt.timezone(dt.timedelta(hours=5))
    columns = [
        seconds,
        seconds.tolist(),
        naive,
        np.array(naive, dtype="M8[ns]"),
        list(np.array(naive, dtype="M8[s]")),
        [item.replace(tzinfo=dt.timezone.utc).astimezone(east) for item in naive],
        pd.Series(naive),
        pd.Series(naive).dt.tz_localize("UTC"),
        pl.Series(naive),
    ]
    fitted = [Reference.fit({"x": np.arange(200.0)}, time=column, seasons=["hour"]) for column in columns]
    assert all(item == fitted[0] for item in fitted)
    frame = pd.DataFrame({"x": np.arange(200.0), "at": naive})
    by_name = Reference.fit(frame, time="at", seasons=["hour"])
    assert by_name.seasons.column == "at"
    assert replace(by_name, seasons=replace(by_name.seasons, column=None)) == fitted[0]
    assert Reference.fit(np.stack([np.arange(200.0), seconds], axis=1), time="1").features[0].name == "0"


def test_hours_of_the_week_agree_with_datetime():
    """Before and after 1970."""
    for seconds in np.random.default_rng(0).uniform(-1e9, 3e9, 200):
        when = dt.datetime.fromtimestamp(seconds, dt.timezone.utc)
        assert cell_of(np.array([seconds])).tolist() == [when.weekday() * 24 + when.hour]
    now = MONDAY + 1.0
    clock = WeekClock(lambda: now)
    assert not clock.over
    assert clock.append_cells(np.array([2, 1]), 3)[:3].tolist() == [2, 1, 3]
    now += HOUR
    assert clock.over


def test_the_code_of_the_page_on_seasons_prints_its_output(capsys):
    page = (Path(__file__).parents[2] / "docs" / "seasons.md").read_text(encoding="utf-8")
    code, printed = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("python", "text"))
    exec(compile(code, "seasons.md", "exec"), {})  # noqa: S102 - a page of this repository
    assert capsys.readouterr().out == printed
