"""Times to cells of the week: of training data by a column of times, of traffic by the wall clock."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import as_objects, read_column
from driftline.errors import ConfigurationError
from driftline.typing import Column, Counts

__all__ = [
    "CELLS",
    "DAY",
    "EARLIEST",
    "HOUR",
    "HOURS",
    "LATEST",
    "WEEK",
    "WEEKDAYS",
    "WeekClock",
    "cell_of",
    "time_column",
]

HOURS, WEEKDAYS = 24, 7

CELLS = HOURS * WEEKDAYS
"""Hours of a week. The first is Monday 0:00 UTC."""

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0
"""Seconds of an hour, a day and a week."""

EPOCH_WEEKDAY = 3
"""Weekday of 1970-01-01, a Thursday. Monday is 0."""

EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_800.0
"""UNIX seconds of the years 1 and 10000. A number that is no date in between has another unit."""


def cell_of(seconds: NDArray[np.float64]) -> NDArray[np.intp]:
    """
    Return the hour of the week of UNIX seconds, in UTC: weekday * 24 + hour.

    >>> cell_of(np.array([0.0, 4 * 86_400.0])).tolist()
    [72, 0]
    """
    return (np.floor(seconds / HOUR).astype(np.int64) + EPOCH_WEEKDAY * HOURS) % CELLS


def time_column(time: Any, names: Sequence[str], columns: Sequence[Column], rows: int) -> NDArray[np.float64]:
    """
    Return UNIX seconds of every row, shape (rows,).

    Args:
        time: the name of a column, or a time for each row: datetimes (naive ones are UTC), datetime64, UNIX seconds.
        names: names of the columns.
        columns: the columns.
        rows: number of rows.

    Raises:
        ConfigurationError: there is no such column, or the times are too few, too many, missing or no times.
    """
    if isinstance(time, str):
        if time not in names:
            msg = f"time={time!r}: no such column, expected a name from {list(names)}, or a time for each row"
            raise ConfigurationError(msg)
        return _seconds(columns[list(names).index(time)])
    try:
        values = read_column(time)
        number = len(values)
    except TypeError as error:
        msg = f"time={time!r}: expected the name of a column, or a time for each row"
        raise ConfigurationError(msg) from error
    if number != rows:
        msg = f"time: {number} times, expected one for each of the {rows} rows"
        raise ConfigurationError(msg)
    return _seconds(values)


def _seconds(values: Column) -> NDArray[np.float64]:
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        absent = np.isnat(values)
        if absent.any():
            _refuse(int(np.argmax(absent)), "NaT")
        return values.astype("datetime64[us]").astype(np.int64) / 1e6
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        seconds = values.astype(np.float64)
        # A comparison with nan is false.
        if ((seconds >= EARLIEST) & (seconds < LATEST)).all():
            return seconds
    return np.array([_second(row, value) for row, value in enumerate(as_objects(values))], dtype=np.float64)


def _second(row: int, value: Any) -> float:
    if isinstance(value, dt.datetime) and value == value:  # noqa: PLR0124 - NaT is a datetime that differs from itself
        return (value if value.tzinfo is not None else value.replace(tzinfo=dt.timezone.utc)).timestamp()
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return int(value.astype("datetime64[us]").astype(np.int64)) / 1e6
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        seconds = float(value)
        if math.isfinite(seconds) and EARLIEST <= seconds < LATEST:
            return seconds
    return _refuse(row, repr(value))


def _refuse(row: int, value: str) -> NoReturn:
    msg = f"time: row {row} has {value[:60]}: expected a datetime, a datetime64 or UNIX seconds"
    raise ConfigurationError(msg)


class WeekClock:
    """
    The hour of the week that rows are counted in. It moves on after all pending rows have been counted.

    Args:
        wall: returns UNIX seconds, as `time.time`.
    """

    __slots__ = ("_cell", "_end", "_start", "_wall")

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.advance()

    @property
    def over(self) -> bool:
        """Whether the present hour is another one, also because the clock was set back."""
        return not self._start <= self._wall() < self._end

    def advance(self) -> None:
        """Move on to the present hour."""
        now = self._wall()
        self._start = math.floor(now / HOUR) * HOUR
        self._end = self._start + HOUR
        self._cell = int(cell_of(np.array([now]))[0])

    def append_cells(self, counts: Counts, rows: int) -> Counts:
        """Return the counts of *rows* rows, followed by the counts of their hours: shape (bins + `CELLS`,)."""
        longer = np.zeros(len(counts) + CELLS, dtype=np.int64)
        longer[: len(counts)] = counts
        longer[len(counts) + self._cell] = rows
        return longer
