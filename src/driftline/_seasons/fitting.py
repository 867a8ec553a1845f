"""Fits `Seasons` to training data with times: counts by season, and tests which seasons the data show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, Feature
from driftline._binning.layout import Layout, binner
from driftline._capture.tables import Table
from driftline._runtime import validation as check
from driftline._seasons.calendar import CELLS, DAY, cell_of
from driftline._seasons.courses import choose_course, weeks_of
from driftline._seasons.expectation import Expectation, OrderedRows
from driftline._seasons.seasons import KINDS, MAX_WEEK_BINS, PERIODS, Seasons, cell_in
from driftline._seasons.zones import UTC, TimeZone
from driftline.errors import ConfigurationError
from driftline.typing import Column, Counts, Floats

__all__ = ["check_kinds", "drop_time_column", "fit_seasons", "kinds_like", "order_rows", "zone_like"]

MIN_PERIODS = {"hour": 8, "weekday": 4}
"""Kind of season to the fewest days (for "hour") or weeks (for "weekday") of data that can show it."""

MAX_GROUPS = 32
"""Most groups of days (weeks) that are compared; more would take memory and add little."""

REPEATED = 0.5
"""Share of the pattern of a day (week) that must repeat on other days (weeks) for it to be a season."""

SHOWN_LEVEL = 0.01
"""Probability of finding a season in data without any, over all features together."""

SHOWN_EFFECT = 0.01
"""
Smallest effect that is called a season: the mean chi-square distance between a cell and all rows. A shift by 0.1
standard deviations has this distance.
"""


def check_kinds(seasons: Any, *, timed: bool) -> tuple[str, ...]:
    """
    Check the argument ``seasons=`` of a fit, and return its kinds of season in the order of `KINDS`.

    Args:
        seasons: the value of the argument.
        timed: whether the data have times.

    Raises:
        ConfigurationError: a season is unknown or appears twice, or there are no times.
    """
    expected = f"expected some of {tuple(KINDS)}"
    if isinstance(seasons, (str, bytes)) or not isinstance(seasons, Sequence):
        msg = f"seasons={seasons!r}: {expected}"
        raise ConfigurationError(msg)
    if len(set(map(repr, seasons))) != len(seasons) or any(kind not in tuple(KINDS) for kind in seasons):
        msg = f"seasons={seasons!r}: {expected}, each once"
        raise ConfigurationError(msg)
    if seasons and not timed:
        msg = f"seasons={seasons!r} without time=: expected a column, or a time for each row"
        raise ConfigurationError(msg)
    return tuple(kind for kind in KINDS if kind in seasons)


def kinds_like(kinds: tuple[str, ...], seasons: Seasons | None, *, timed: bool) -> tuple[str, ...]:
    """
    Return the kinds of season by which data are counted when a fit has the argument ``like=``.

    They are the kinds of the reference in ``like=``.

    Args:
        kinds: the kinds in the argument ``seasons=``: the same ones, or none.
        seasons: the seasons of the reference in ``like=``; None if it has none.
        timed: whether the data have times.

    Raises:
        ConfigurationError: only the data or only the reference have times, or the kinds differ.
    """
    if (seasons is not None) != timed:
        msg = "time= must be given exactly when the reference given as like= was fitted with it"
        raise ConfigurationError(msg)
    others = () if seasons is None else seasons.kinds
    if kinds and kinds != others:
        msg = f"seasons={kinds!r}: expected those of the reference given as like=, {others!r}, or none"
        raise ConfigurationError(msg)
    return others


def zone_like(timezone: str | None, seasons: Seasons | None, *, timed: bool) -> str:
    """
    Return the name of the time zone of a fit: the argument ``timezone=``, or that of the reference in ``like=``.

    Args:
        timezone: the value of the argument.
        seasons: the seasons of the reference in ``like=``; None if it has none.
        timed: whether the data have times.

    Raises:
        ConfigurationError: there are no times, the reference has another time zone, or the value is not a string.
    """
    other = UTC if seasons is None else seasons.timezone
    if timezone is None:
        return other
    check.string("timezone", timezone)
    if not timed:
        msg = f"timezone={timezone!r} without time=: expected a column, or a time for each row"
        raise ConfigurationError(msg)
    if seasons is not None and timezone != other:
        msg = f"timezone={timezone!r}: expected that of the reference given as like=, {other!r}, or none"
        raise ConfigurationError(msg)
    return timezone


def drop_time_column(table: Table, names: Sequence[str], time: Any) -> tuple[tuple[str, ...], Table]:
    """
    Return the names and the table of the columns without the column of times.

    Args:
        table: all columns.
        names: their names.
        time: the argument ``time=``. Unless it is the name of a column, all columns are kept.

    Raises:
        ConfigurationError: there is no other column.
    """
    kept = tuple(index for index, name in enumerate(names) if not isinstance(time, str) or name != time)
    if not kept:
        msg = f"time={time!r}: the only column, expected features beside it"
        raise ConfigurationError(msg)
    features = tuple(names[index] for index in kept)
    return features, Table(table.names and features, tuple(table.columns[index] for index in kept), table.rows)


def fit_seasons(
    features: Sequence[Feature],
    columns: Sequence[Column],
    seconds: Floats,
    kinds: tuple[str, ...],
    zone: TimeZone,
    time_column: str | None = None,
) -> Seasons:
    """
    Count training data by season, and test which kinds of season they show.

    Args:
        features: the features, whose bins are counted.
        columns: the values of each feature.
        seconds: Unix time of each row in seconds, shape (rows,).
        kinds: kinds of season by which windows will be compared. Only these are counted, but all are tested.
        zone: the time zone of hours and days.
        time_column: name of the column of times; None if the times were not a column.
    """
    local = zone.to_local(seconds)
    cells = cell_of(local)
    tables: dict[str, list[Counts]] = {kind: [] for kind in kinds}
    shown = dict.fromkeys(KINDS, False)
    units = {kind: _assign_groups(local, kind) for kind in KINDS}
    level = SHOWN_LEVEL / len(features)
    by_week = _WeekCounts.of(features, kinds, local, cells)
    for feature, column in zip(features, columns, strict=True):
        numbers = binner(feature.bins)(column)
        if by_week is not None:
            by_week.add(numbers, feature.bins)
        for kind, size in KINDS.items():
            cell = cell_in(kind, cells)
            if kind in kinds:
                tables[kind].append(_count_cells(cell, size, numbers, feature.bins))
            unit = units[kind]
            if not shown[kind] and unit is not None:
                total = int(unit.max()) + 1
                table = _count_cells(unit * size + cell, total * size, numbers, feature.bins)
                shown[kind] = _shows_season(table.reshape(total, size, -1), level)
    return Seasons(
        kinds,
        tuple(np.concatenate(tables[kind], axis=1) for kind in kinds),
        tuple(kind for kind in KINDS if shown[kind]),
        float(seconds.min()),
        float(seconds.max()),
        time_column,
        None if by_week is None else np.concatenate(by_week.tables, axis=1),
        () if by_week is None else tuple(by_week.courses),
        zone.name,
    )


class _WeekCounts:
    """
    Counts features by hour of the week, and chooses their courses of the day.

    Args:
        cells: hour of the week of each row, shape (rows,).
        weeks: group of weeks of each row, shape (rows,); None if there are too few weeks to compare.

    Attributes:
        tables: counts of each feature so far, shape (`CELLS`, bins).
        courses: the course of each feature so far.
    """

    def __init__(self, cells: NDArray[np.intp], weeks: NDArray[np.intp] | None) -> None:
        self._cells, self._weeks = cells, weeks
        self.tables: list[Counts] = []
        self.courses: list[str] = []

    @classmethod
    def of(
        cls, features: Sequence[Feature], kinds: tuple[str, ...], local: Floats, cells: NDArray[np.intp]
    ) -> _WeekCounts | None:
        """Return the counts before the first feature; None without both kinds, or with too many bins."""
        if len(kinds) < len(KINDS) or sum(feature.bins.size for feature in features) > MAX_WEEK_BINS:
            return None
        return cls(cells, weeks_of(local))

    def add(self, numbers: NDArray[np.intp], bins: Bins) -> None:
        """Add a feature, of which *numbers* are the bin numbers of the rows, shape (rows,)."""
        if self._weeks is None:
            self.tables.append(_count_cells(self._cells, CELLS, numbers, bins))
            self.courses.append("weekend")
            return
        weeks = int(self._weeks.max()) + 1
        counts = _count_cells(self._weeks * CELLS + self._cells, weeks * CELLS, numbers, bins)
        counts = counts.reshape(weeks, CELLS, -1)
        self.tables.append(counts.sum(axis=0))
        self.courses.append(choose_course(counts, bins))


def _count_cells(cell: NDArray[np.intp], cells: int, numbers: NDArray[np.intp], bins: Bins) -> Counts:
    """Return rows per cell and bin, shape (cells, bins), from the cell and the bin number of each row."""
    return np.bincount(cell * bins.size + numbers, minlength=cells * bins.size).reshape(cells, bins.size)


def _assign_groups(seconds: Floats, kind: str) -> NDArray[np.intp] | None:
    """
    Assign the day (week) of each row to one of at most `MAX_GROUPS` groups.

    Args:
        seconds: local time of each row in seconds, shape (rows,).
        kind: ``"hour"`` to group days, ``"weekday"`` to group weeks.

    Returns:
        The number of each row's group, shape (rows,); None if there are fewer days (weeks) than `MIN_PERIODS`.
    """
    # Weeks begin on a Monday like the cells. The first Monday is 1970-01-05.
    shift = 4 * DAY if kind == "weekday" else 0.0
    _, unit = np.unique(np.floor((seconds - shift) / PERIODS[kind][0]), return_inverse=True)
    return None if unit.max() + 1 < MIN_PERIODS[kind] else unit % MAX_GROUPS


def _shows_season(table: Counts, level: float) -> bool:
    """
    Return whether a feature has the same pattern over the hours of each day (over the days of each week).

    Days are assumed to be independent, although the rows of one day may depend on each other. Without a season, the
    inner product of the patterns of two days has the mean 0. The mean over all pairs, divided by its standard error, is
    compared with Student's t. It is a degenerate U-statistic of degree two, so its variance is twice the one that the
    means of the single days suggest (Hoeffding 1948).

    Args:
        table: rows per group of days (weeks), cell and bin, shape (groups, cells, bins).
        level: probability of True without a season.
    """
    from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

    units = len(table)
    rows = table.sum(axis=2, keepdims=True)
    whole = table.sum(axis=(0, 1)) / table.sum()
    own = table.sum(axis=1, keepdims=True) / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    deviations = np.where(rows > 0, table / np.maximum(rows, 1) - own, 0.0)
    profiles = (deviations / np.sqrt(np.where(whole > 0, whole, 1.0))).reshape(units, -1)
    mean = profiles.mean(axis=0)
    with_others = (profiles @ mean * units - (profiles**2).sum(axis=1)) / (units - 1)
    repeated, length = float(with_others.mean()), float((mean**2).sum())
    if repeated <= REPEATED * length or repeated / table.shape[1] < SHOWN_EFFECT:
        return False
    spread = math.sqrt(2.0 / units) * float(with_others.std(ddof=1))
    return spread == 0.0 or float(special.stdtr(units - 1, -repeated / spread)) <= level


def order_rows(
    seconds: Floats, seasons: Seasons, features: Sequence[Feature], layout: Layout, zone: TimeZone
) -> OrderedRows:
    """
    Return the order of rows by time, and the hour of the week of each row.

    Args:
        seconds: Unix time of each row in seconds, shape (rows,).
        seasons: the seasons of the same rows.
        features: the features.
        layout: the bins of the features.
        zone: the time zone of the seasons.
    """
    order = np.argsort(seconds, kind="stable")
    expectation = Expectation(seasons, features, layout) if seasons.kinds else None
    return OrderedRows(order, cell_of(zone.to_local(seconds[order])), expectation)
