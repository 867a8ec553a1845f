"""Reads the times of training data, of any type and library."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from driftline._capture.columns import as_objects
from driftline._capture.libraries import read_column
from driftline._seasons.calendar import EARLIEST, LATEST
from driftline._seasons.zones import TimeZone
from driftline.errors import ConfigurationError
from driftline.typing import Column, Floats

__all__ = ["time_column"]


def time_column(time: Any, names: Sequence[str], columns: Sequence[Column], rows: int, zone: TimeZone) -> Floats:
    """
    Return the Unix time of each row in seconds, shape (rows,).

    Args:
        time: the argument ``time=``: the name of a column, or a time for each row. A time is a datetime, a
            datetime64, or a Unix time in seconds.
        names: names of the columns.
        columns: the columns.
        rows: number of rows.
        zone: the time zone of naive datetimes and of datetime64.

    Raises:
        ConfigurationError: the column is unknown, the number of times is not *rows*, or a value is not a time.
    """
    if isinstance(time, str):
        if time not in names:
            msg = f"time={time!r}: no such column, expected a name from {list(names)}, or a time for each row"
            raise ConfigurationError(msg)
        return _seconds(columns[list(names).index(time)], zone)
    try:
        values = read_column(time)
        number = len(values)
    except TypeError as error:
        msg = f"time={time!r}: expected the name of a column, or a time for each row"
        raise ConfigurationError(msg) from error
    if number != rows:
        msg = f"time: {number} times, expected one for each of the {rows} rows"
        raise ConfigurationError(msg)
    return _seconds(values, zone)


def _seconds(values: Column, zone: TimeZone) -> Floats:
    """Return a column of times as Unix times in seconds; raise ConfigurationError if a value is not a time."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        absent = np.isnat(values)
        if absent.any():
            _refuse(int(np.argmax(absent)), "NaT")
        return zone.to_unix(values.astype("datetime64[us]").astype(np.int64) / 1e6)
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        seconds = values.astype(np.float64)
        # A comparison with nan is false.
        if ((seconds >= EARLIEST) & (seconds < LATEST)).all():
            return seconds
    return np.array([_second(row, value, zone) for row, value in enumerate(as_objects(values))], dtype=np.float64)


def _second(row: int, value: Any, zone: TimeZone) -> float:
    if isinstance(value, dt.datetime) and value == value:  # noqa: PLR0124 - NaT is a datetime that differs from itself
        return zone.localise(value)
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return float(zone.to_unix(np.array([value.astype("datetime64[us]").astype(np.int64) / 1e6]))[0])
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        seconds = float(value)
        if math.isfinite(seconds) and EARLIEST <= seconds < LATEST:
            return seconds
    return _refuse(row, repr(value))


def _refuse(row: int, value: str) -> NoReturn:
    msg = f"time: row {row} has {value[:60]}: expected a datetime, a datetime64 or UNIX seconds"
    raise ConfigurationError(msg)
