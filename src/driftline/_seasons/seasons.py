"""`Seasons`: a reference's counts by hour of the day, day of the week and hour of the week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._seasons.calendar import DAY, HOUR, HOURS, WEEK, WEEKDAYS
from driftline._seasons.zones import UTC
from driftline.errors import ConfigurationError
from driftline.typing import Counts

__all__ = [
    "COURSES",
    "KINDS",
    "MAX_WEEK_BINS",
    "PERIODS",
    "Seasons",
    "add_seasons",
    "cell_in",
    "short_window",
    "sum_by_kind",
]

KINDS = {"hour": HOURS, "weekday": WEEKDAYS}
"""Kind of season to its number of cells: 24 hours of the day, 7 days of the week."""

PERIODS = {"hour": (DAY, "a day"), "weekday": (WEEK, "a week")}
"""Kind of season to its length in seconds and the name of that length."""

COURSES: dict[str, tuple[tuple[int, ...], ...]] = {
    "same": ((0, 1, 2, 3, 4, 5, 6),),
    "weekend": ((0, 1, 2, 3, 4), (5, 6)),
    "day": ((0,), (1,), (2,), (3,), (4,), (5,), (6,)),
}
"""
Name of a course of the day to the groups of weekdays that share it, the least flexible first. Monday is 0.

Within a group the day shifts the course as a whole. A group of one day is described by its own hours alone.
"""

MAX_WEEK_BINS = 10_000
"""
Most bins of all features together that are counted by hour of the week, for memory: 168 numbers of 8 bytes for each
bin are 13 MB. With more, all days have the same course.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Seasons:
    """
    The counts of a reference by season. ``a + b`` are the seasons of two parts of the training data together.

    Attributes:
        kinds: kinds of season by which windows are compared: ``"hour"``, ``"weekday"``, both, or none.
        counts: for each of *kinds*, counts of shape (cells, bins); the cells are 24 hours or 7 days in *timezone*.
        shown: kinds of season that the training data show, whether or not windows are compared by them.
        start: Unix time of the first row, in seconds.
        end: Unix time of the last row, in seconds.
        column: name of the column of times; None if the times were not a column of the training data.
        week: counts by hour of the week, shape (`CELLS`, bins). None without both kinds, in files of release 0.1 and
            0.2, and beyond `MAX_WEEK_BINS`.
        courses: for each feature, the name of its course of the day: a key of `COURSES`. Empty if *week* is None.
        timezone: name of the time zone of hours and days.
    """

    kinds: tuple[str, ...]
    counts: tuple[Counts, ...]
    shown: tuple[str, ...]
    start: float
    end: float
    column: str | None = None
    week: Counts | None = None
    courses: tuple[str, ...] = ()
    timezone: str = UTC

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seasons) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        tables = (*self.counts, *(() if self.week is None else (self.week,)))
        words = (self.kinds, self.shown, self.column, self.courses, self.timezone)
        return *words, self.start, self.end, *(counts.tobytes() for counts in tables)

    def __add__(self, other: Seasons) -> Seasons:
        """
        Combine the seasons of two parts of the training data, which have the same *kinds* and *timezone*.

        Counts are added, and the time range covers both parts. *shown* lists the kinds that either part shows, and a
        feature has the more flexible of both *courses*.

        Raises:
            ConfigurationError: the kinds or the time zones differ.
        """
        if self.kinds != other.kinds:
            msg = f"seasons={other.kinds!r}: expected those of the other part, {self.kinds!r}"
            raise ConfigurationError(msg)
        if self.timezone != other.timezone:
            msg = f"timezone={other.timezone!r}: expected that of the other part, {self.timezone!r}"
            raise ConfigurationError(msg)
        week: Counts | None = None
        courses: tuple[str, ...] = ()
        if self.week is not None and other.week is not None:
            week, order = self.week + other.week, tuple(COURSES)
            courses = tuple(max(pair, key=order.index) for pair in zip(self.courses, other.courses, strict=True))
        return Seasons(
            self.kinds,
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            tuple(kind for kind in KINDS if kind in {*self.shown, *other.shown}),
            min(self.start, other.start),
            max(self.end, other.end),
            self.column or other.column,
            week,
            courses,
            self.timezone,
        )

    def rows_per_day(self, rows: int) -> float:
        """Return the mean rows per day of a reference of *rows* rows. One of less than a day counts as a day."""
        return rows * DAY / max(self.end - self.start, DAY)


def add_seasons(a: Seasons | None, b: Seasons | None) -> Seasons | None:
    """
    Return the seasons of two parts of the training data together; None if neither part has seasons.

    Raises:
        ConfigurationError: only one part has seasons, or their kinds or time zones differ.
    """
    if a is None or b is None:
        if (a or b) is not None:
            msg = "seasons: one part has them and the other has not, expected both to be fitted with time="
            raise ConfigurationError(msg)
        return None
    return a + b


def cell_in(kind: str, cells: NDArray[np.intp]) -> NDArray[np.intp]:
    """Convert hours of the week to hours of the day if *kind* is "hour", or to days of the week if it is "weekday"."""
    cells_of_kind: NDArray[np.intp] = cells % HOURS if kind == "hour" else cells // HOURS
    return cells_of_kind


def sum_by_kind(kind: str, values: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    """
    Sum values of the hours of the week: per hour of the day, or per day of the week.

    Args:
        kind: ``"hour"`` or ``"weekday"``.
        values: an array with `CELLS` entries along *axis*.
        axis: the axis of the hours of the week.

    Returns:
        Sums with 24 or 7 entries along *axis*.
    """
    last = np.moveaxis(values, axis, -1)
    week = last.reshape(*last.shape[:-1], WEEKDAYS, HOURS)
    sums: NDArray[Any] = np.moveaxis(week.sum(axis=-2 if kind == "hour" else -1), -1, axis)
    return sums


def short_window(seasons: Seasons, rows: int, window_rows: int | None, window_seconds: float | None) -> str:
    """
    Return a warning if windows may differ from the reference because of a season alone; else an empty string.

    They may if the reference shows a season that is longer than a window, unless windows are compared by it.

    Args:
        seasons: the seasons of the reference.
        rows: rows of the reference, from which the duration of a window of rows is estimated.
        window_rows: rows of the window; None if it has a duration.
        window_seconds: seconds of the window; None if it has a number of rows.
    """
    seconds = (window_rows or 0) / seasons.rows_per_day(rows) * DAY if window_seconds is None else window_seconds
    missed = [kind for kind in seasons.shown if kind not in seasons.kinds and seconds < PERIODS[kind][0]]
    if not missed:
        return ""
    names = " and ".join(PERIODS[kind][1] for kind in missed)
    wanted = tuple(kind for kind in KINDS if kind in {*missed, *seasons.kinds})
    return (
        f"the reference changes with the season of {names}, and a window of about {seconds / HOUR:.3g} hours is "
        f"shorter: it differs from the whole without any drift; expected seasons={wanted!r} in Reference.fit, or "
        "a longer window"
    )
