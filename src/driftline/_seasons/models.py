"""Models of the shares of bins in each hour of the week: of one kind of season, and of hours and weekdays together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.layout import Layout
from driftline._seasons.calendar import CELLS, HOURS, WEEKDAYS
from driftline._seasons.main_effects import fit_main_effects
from driftline._seasons.seasons import COURSES, Seasons, cell_in, sum_by_kind
from driftline.typing import Counts, Floats

__all__ = ["Model", "OneSeason", "TwoSeasons", "course_shares"]

Days: TypeAlias = "tuple[int, ...]"
"""Weekdays. Monday is 0."""

MAX_BATCH = 2**20
"""Largest product of hours of the week, features and bins that are fitted in one step, for memory."""


class Model(Protocol):
    """The shares of bins in each hour of the week, and the variance of these shares."""

    def profiles(self, cells: NDArray[np.intp], bins: slice) -> Floats:
        """
        Return the shares of bins in hours of the week, shape (cells, bins). They sum to 1 over the bins of a feature.

        Args:
            cells: the hours of the week.
            bins: indices of the bins of one feature, or of all.
        """
        ...

    def variances(self, weights: Floats) -> Floats:
        """
        Return the variance of a mix of shares, in units of that of one row, shape (..., features).

        Args:
            weights: weights of the hours of the week, shape (..., `CELLS`). Their sum is 1.
        """
        ...


class OneSeason:
    """
    Shares by hour of the day or by day of the week: those of the rows of the same hour, or of the same day.

    A cell without rows gets the shares and the number of rows of the whole reference.

    Args:
        seasons: the seasons of the reference, of one kind.
        overall: share of each bin in all rows, shape (bins,).
        layout: the bins of the features.
    """

    __slots__ = ("_features", "_kind", "_rows", "_shares")

    def __init__(self, seasons: Seasons, overall: Floats, layout: Layout) -> None:
        (self._kind,), (counts,) = seasons.kinds, seasons.counts
        self._features = len(layout.sizes)
        rows = counts[:, : layout.sizes[0]].sum(axis=1).astype(np.float64)
        self._rows = np.where(rows > 0, rows, rows.sum())
        self._shares: Floats = np.where(rows[:, None] > 0, counts / np.maximum(rows, 1.0)[:, None], overall)

    def profiles(self, cells: NDArray[np.intp], bins: slice) -> Floats:
        """Return the shares of bins in hours of the week: see `Model`."""
        profiles: Floats = self._shares[cell_in(self._kind, cells), bins]
        return profiles

    def variances(self, weights: Floats) -> Floats:
        """Return sum(w^2 / m) over the cells, of m rows each (Kish 1965): see `Model`."""
        variance = (sum_by_kind(self._kind, weights) ** 2 / self._rows).sum(axis=-1)
        return np.repeat(variance[..., None], self._features, axis=-1)


class TwoSeasons:
    """
    Shares by hour and weekday: from effects of both, or from the hours of each day by themselves.

    Each feature has a course of the day (see `COURSES`). Within a group of days the shares come from effects of hour
    and day (see `fit_main_effects`). In a group of one day they are those of each hour of it. An hour of the week
    without rows gets the shares that a course common to all days gives it.

    Args:
        seasons: the seasons of the reference, of both kinds.
        overall: share of each bin in all rows, shape (bins,).
        layout: the bins of the features.
    """

    __slots__ = ("_courses", "_rows", "_table")

    def __init__(self, seasons: Seasons, overall: Floats, layout: Layout) -> None:
        first = layout.sizes[0]
        if seasons.week is None:
            # Without counts by hour of the week, suppose that all days have their rows at the same hours.
            by_hour, by_day = (counts[:, :first].sum(axis=1) for counts in seasons.counts)
            self._rows: Floats = np.outer(by_day, by_hour) / max(by_day.sum(), 1)
        else:
            self._rows = seasons.week[:, :first].sum(axis=1).reshape(WEEKDAYS, HOURS).astype(np.float64)
        self._courses = np.array([_ORDER.index(name) for name in seasons.courses or ("same",) * len(layout.sizes)])
        self._table = np.empty((CELLS, len(overall)), dtype=np.float32)
        sizes = np.array(layout.sizes)
        for size in np.unique(sizes):
            for course in np.unique(self._courses):
                alike = np.flatnonzero((sizes == size) & (self._courses == course))
                step = max(1, MAX_BATCH // (CELLS * int(size)))
                for start in range(0, len(alike), step):
                    features = alike[start : start + step]
                    bins = (np.array(layout.offsets)[features][:, None] + np.arange(size)).ravel()
                    tables = seasons.counts if seasons.week is None else (*seasons.counts, seasons.week)
                    parts = [part[:, bins].reshape(len(part), len(features), size) for part in tables]
                    shares = course_shares(COURSES[_ORDER[course]], self._rows, *parts)
                    self._table[:, bins] = shares.reshape(CELLS, -1)

    def profiles(self, cells: NDArray[np.intp], bins: slice) -> Floats:
        """Return the shares of bins in hours of the week: see `Model`."""
        profiles: Floats = self._table[cells, bins].astype(np.float64)
        return profiles

    def variances(self, weights: Floats) -> Floats:
        """
        Return the variance of a mix of shares: see `Model`.

        The variances of the logarithms of the shares of hour and day add up, less that of the overall shares, within
        each group of days that has its own course.
        """
        by_course = np.empty((*weights.shape[:-1], len(_ORDER)))
        week = weights.reshape(*weights.shape[:-1], WEEKDAYS, HOURS)
        for course in np.unique(self._courses):
            groups = [list(group) for group in COURSES[_ORDER[course]]]
            filled = np.ones(self._rows.shape, dtype=np.bool_)
            if len(groups) > 1:
                for group in groups:
                    filled[group] = _filled(self._rows[group])
            # Hours without rows on these days get the shares of the course of all days.
            variance = self._variance(week * ~filled, list(range(WEEKDAYS)))
            for group in groups:
                variance += self._variance((week * filled)[..., group, :], group)
            by_course[..., course] = variance
        return by_course[..., self._courses]

    def _variance(self, weights: Floats, group: list[int]) -> Floats:
        """Return the variance of the mix of a group's shares, shape (...), for weights of shape (..., days, 24)."""
        rows, whole = self._rows[group], self._rows.sum()
        hours, days = rows.sum(axis=0), rows.sum(axis=1)
        by_hour, by_day = weights.sum(axis=-2), weights.sum(axis=-1)
        variance: Floats = (by_hour**2 / np.where(hours > 0, hours, whole)).sum(axis=-1)
        variance += (by_day**2 / np.where(days > 0, days, whole)).sum(axis=-1)
        variance -= by_day.sum(axis=-1) ** 2 / (rows.sum() or whole)
        return variance


_ORDER = tuple(COURSES)


def course_shares(
    groups: Sequence[Days], rows: Floats, hours: Counts, days: Counts, week: Counts | None = None
) -> Floats:
    """
    Return the shares of features of equally many bins in each hour of the week, shape (`CELLS`, features, bins).

    Args:
        groups: groups of weekdays that share a course of the day. Without *week*, all days share one.
        rows: rows in each hour of each day, shape (7, 24).
        hours: counts by hour of the day, shape (24, features, bins).
        days: counts by weekday, shape (7, features, bins).
        week: counts by hour of the week, shape (`CELLS`, features, bins); None if they are not known.
    """
    shares = _mix(rows, hours, days)
    if week is not None and len(groups) > 1:
        week = week.reshape(WEEKDAYS, HOURS, *week.shape[1:])
        for group in map(list, groups):
            counts, of_group = week[group], rows[group]
            own = _mix(of_group, counts.sum(axis=0), counts.sum(axis=1))
            # In an hour without rows on these days, the course of all days is the best that is known.
            shares[group] = np.where(_filled(of_group)[:, :, None, None], own, shares[group])
    return shares.reshape(CELLS, *shares.shape[2:])


def _filled(rows: Floats) -> NDArray[np.bool_]:
    """Return whether some days have rows at an hour, and a day has rows, shape (days, 24) as *rows*."""
    filled: NDArray[np.bool_] = (rows.sum(axis=0) > 0) & (rows.sum(axis=1) > 0)[:, None]
    return filled


def _mix(rows: Floats, hours: Counts, days: Counts) -> Floats:
    """
    Return the shares that effects of hour and day give to each hour of some days, shape (days, 24, features, bins).

    If an hour and a day have no bin in common, the shares are those of all of these days.

    Args:
        rows: shape (days, 24), rows in each hour of each day.
        hours: shape (24, features, bins), counts by hour of these days.
        days: shape (days, features, bins), counts by day.
    """
    by_hour, by_day = fit_main_effects(hours.swapaxes(0, 1), days.swapaxes(0, 1), rows)
    whole = days.sum(axis=0).astype(np.float64)
    mixed = whole * by_day.swapaxes(0, 1)[:, None] * by_hour.swapaxes(0, 1)
    sums = mixed.sum(axis=-1, keepdims=True)
    shares: Floats = np.where(sums > 0, mixed / np.where(sums > 0, sums, 1.0), _scaled(whole))
    return shares


def _scaled(counts: Floats) -> Floats:
    """Return counts, shape (features, bins), scaled to a sum of 1 per feature."""
    scaled: Floats = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1.0)
    return scaled
