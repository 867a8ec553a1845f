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
from driftline._seasons.calendar import DAY, cell_of
from driftline._seasons.expectation import KINDS, PERIODS, Expectation, OrderedRows, Seasons, cell_in
from driftline.errors import ConfigurationError
from driftline.typing import Column, Counts, Floats

__all__ = ["check_kinds", "drop_time_column", "fit_seasons", "kinds_like", "order_rows"]

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
    time_column: str | None = None,
) -> Seasons:
    """
    Count training data by season, and test which kinds of season they show.

    Args:
        features: the features, whose bins are counted.
        columns: the values of each feature.
        seconds: Unix time of each row in seconds, shape (rows,).
        kinds: kinds of season by which windows will be compared. Only these are counted, but all are tested.
        time_column: name of the column of times; None if the times were not a column.
    """
    cells = cell_of(seconds)
    tables: dict[str, list[Counts]] = {kind: [] for kind in kinds}
    shown = dict.fromkeys(KINDS, False)
    units = {kind: _assign_groups(seconds, kind) for kind in KINDS}
    level = SHOWN_LEVEL / len(features)
    for feature, column in zip(features, columns, strict=True):
        numbers = binner(feature.bins)(column)
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
    )


def _count_cells(cell: NDArray[np.intp], cells: int, numbers: NDArray[np.intp], bins: Bins) -> Counts:
    """Return rows per cell and bin, shape (cells, bins), from the cell and the bin number of each row."""
    return np.bincount(cell * bins.size + numbers, minlength=cells * bins.size).reshape(cells, bins.size)


def _assign_groups(seconds: Floats, kind: str) -> NDArray[np.intp] | None:
    """
    Assign the day (week) of each row to one of at most `MAX_GROUPS` groups.

    Args:
        seconds: Unix time of each row in seconds, shape (rows,).
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


def order_rows(seconds: Floats, seasons: Seasons, features: Sequence[Feature], layout: Layout) -> OrderedRows:
    """
    Return the order of rows by time, and the hour of the week of each row.

    Args:
        seconds: Unix time of each row in seconds, shape (rows,).
        seasons: the seasons of the same rows.
        features: the features.
        layout: the bins of the features.
    """
    order = np.argsort(seconds, kind="stable")
    expectation = Expectation(seasons, features, layout) if seasons.kinds else None
    return OrderedRows(order, cell_of(seconds[order]), expectation)
