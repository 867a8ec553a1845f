"""Training data with times to seasons: what was asked for, counts by season, and whether there is a season at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import (
    Bins,
    Feature,
)
from driftline._binning.layout import Layout, binner
from driftline._capture.tables import Table
from driftline._seasons.calendar import DAY, cell_of
from driftline._seasons.expectation import KINDS, PERIODS, Expectation, OrderedRows, Seasons, cell_in
from driftline.errors import ConfigurationError
from driftline.typing import (
    Column,
    Counts,
    Floats,
)

__all__ = ["check_kinds", "drop_time_column", "fit_seasons", "kinds_like", "order_rows"]

LEAST_PERIODS = {"hour": 8, "weekday": 4}
"""Days, and weeks, of data that can show a season: fewer are no more than so many chances."""

MOST_UNITS = 32
"""Sets of days, or of weeks, that are compared: more would only cost memory while fitting."""

REPEATED = 0.5
"""Share of a profile that must be found again in other days (weeks) for it to be a season."""

SHOWN_LEVEL = 0.01
"""Chance, over all features, of taking chance for a season."""

SHOWN_EFFECT = 0.01
"""
Chi-square distance of the cells from the whole, on average, below which a season is too weak to mind: a shift of 0.1
standard deviations.
"""


def check_kinds(seasons: Any, *, timed: bool) -> tuple[str, ...]:
    """
    The seasons asked for, in the order of `KINDS`.

    Raises:
        ConfigurationError: an unknown season, one twice, seasons without times.
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
    The seasons of a reference whose bins are used, which more data are counted by.

    Raises:
        ConfigurationError: times for a reference without, or the other way round; other seasons than its own.
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
    The features: all columns but that of the time, where it is one of them.

    Raises:
        ConfigurationError: there is no other column.
    """
    kept = tuple(place for place, name in enumerate(names) if not isinstance(time, str) or name != time)
    if not kept:
        msg = f"time={time!r}: the only column, expected features beside it"
        raise ConfigurationError(msg)
    features = tuple(names[place] for place in kept)
    return features, Table(table.names and features, tuple(table.columns[place] for place in kept), table.rows)


def fit_seasons(
    features: Sequence[Feature], columns: Sequence[Column], seconds: Floats, kinds: tuple[str, ...]
) -> Seasons:
    """
    Count training data by season, and see which seasons they show.

    Args:
        features: fitted to the columns.
        columns: of as many values as there are times.
        seconds: UNIX seconds of each row.
        kinds: seasons that windows are to be compared by.
    """
    cells = cell_of(seconds)
    tables: dict[str, list[Counts]] = {kind: [] for kind in kinds}
    shown = dict.fromkeys(KINDS, False)
    units = {kind: _units(seconds, kind) for kind in KINDS}
    level = SHOWN_LEVEL / len(features)
    for feature, column in zip(features, columns, strict=True):
        numbers = binner(feature.bins)(column)
        for kind, number in KINDS.items():
            cell = cell_in(kind, cells)
            if kind in kinds:
                tables[kind].append(_table(cell, number, numbers, feature.bins))
            which = units[kind]
            if not shown[kind] and which is not None:
                total = int(which.max()) + 1
                table = _table(which * number + cell, total * number, numbers, feature.bins)
                shown[kind] = _shows(table.reshape(total, number, -1), level)
    return Seasons(
        kinds,
        tuple(np.concatenate(tables[kind], axis=1) for kind in kinds),
        tuple(kind for kind in KINDS if shown[kind]),
        float(seconds.min()),
        float(seconds.max()),
    )


def _table(cell: NDArray[np.intp], cells: int, numbers: NDArray[np.intp], bins: Bins) -> Counts:
    return np.bincount(cell * bins.size + numbers, minlength=cells * bins.size).reshape(cells, bins.size)


def _units(seconds: Floats, kind: str) -> NDArray[np.intp] | None:
    """The day (week) of each row, as places in at most `MOST_UNITS` sets of them; None where there are too few."""
    # Weeks begin on a Monday, as cells do: 1970-01-05.
    shift = 4 * DAY if kind == "weekday" else 0.0
    _, place = np.unique(np.floor((seconds - shift) / PERIODS[kind][0]), return_inverse=True)
    return None if place.max() + 1 < LEAST_PERIODS[kind] else place % MOST_UNITS


def _shows(table: Counts, level: float) -> bool:
    """
    Whether the profiles of days (weeks), counts of shape (days, cells, bins), repeat from one to the others.

    Days are the units, however rows within them depend on each other: without a season the inner product of the
    profiles of two days is 0 on average. Their mean over all pairs is held against its spread as Student's t: a
    degenerate U-statistic of degree two, whose variance is twice what the mean over each day suggests (Hoeffding 1948).
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
    """Put rows in the order of their times."""
    order = np.argsort(seconds, kind="stable")
    expectation = Expectation(seasons, features, layout) if seasons.kinds else None
    return OrderedRows(order, cell_of(seconds[order]), expectation)
