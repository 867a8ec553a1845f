"""Hours of the week: of training data from its times, of traffic from the wall clock."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import as_objects
from driftline._capture.libraries import read_column
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
"""Number of hours of a week, which are also called its cells. Cell 0 starts on Monday 0:00 UTC."""

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 604_800.0
"""Seconds of an hour, a day and a week."""

EPOCH_WEEKDAY = 3
"""Weekday of 1970-01-01, a Thursday. Monday is 0."""

EARLIEST, LATEST = -62_135_596_800.0, 253_402_300_800.0
"""Unix time in seconds at the start of the years 1 and 10000. A number outside of them has another unit."""


def cell_of(seconds: NDArray[np.float64]) -> NDArray[np.intp]:
    """
    Return the hour of the week in UTC, weekday * 24 + hour, of Unix times in seconds.

    >>> cell_of(np.array([0.0, 4 * 86_400.0])).tolist()
    [72, 0]
    """
    return (np.floor(seconds / HOUR).astype(np.int64) + EPOCH_WEEKDAY * HOURS) % CELLS


def time_column(time: Any, names: Sequence[str], columns: Sequence[Column], rows: int) -> NDArray[np.float64]:
    """
    Return the Unix time of each row in seconds, shape (rows,).

    Args:
        time: the argument ``time=``: the name of a column, or a time for each row. A time is a datetime (naive ones are
            UTC), a datetime64, or a Unix time in seconds.
        names: names of the columns.
        columns: the columns.
        rows: number of rows.

    Raises:
        ConfigurationError: the column is unknown, the number of times is not *rows*, or a value is not a time.
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
    """Return a column of times as Unix times in seconds; raise ConfigurationError if a value is not a time."""
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
    Keeps the hour of the week in which rows are counted, until `advance` is called.

    Args:
        wall: returns the Unix time in seconds, as `time.time`.
    """

    __slots__ = ("_cell", "_end", "_start", "_wall")

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.advance()

    @property
    def over(self) -> bool:
        """Whether the kept hour differs from the present one, because it ended or the clock was set back."""
        return not self._start <= self._wall() < self._end

    def advance(self) -> None:
        """Replace the kept hour by the present one. The caller has counted all rows of the earlier hour."""
        now = self._wall()
        self._start = math.floor(now / HOUR) * HOUR
        self._end = self._start + HOUR
        self._cell = int(cell_of(np.array([now]))[0])

    def append_cells(self, counts: Counts, rows: int) -> Counts:
        """
        Return *counts*, followed by one count per hour of the week, shape (bins + `CELLS`,).

        The count of the kept hour is *rows*. Those of the other hours are 0.

        Args:
            counts: shape (bins,), rows per bin.
            rows: number of rows.
        """
        longer = np.zeros(len(counts) + CELLS, dtype=np.int64)
        longer[: len(counts)] = counts
        longer[len(counts) + self._cell] = rows
        return longer
