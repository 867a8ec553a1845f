"""`Seasons`: a reference's counts by hour of the day and day of the week. `Expectation`: the counts for a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._seasons.calendar import CELLS, DAY, HOUR, HOURS, WEEK, WEEKDAYS
from driftline.errors import ConfigurationError
from driftline.typing import Counts, Floats

__all__ = ["KINDS", "PERIODS", "Expectation", "OrderedRows", "Seasons", "add_seasons", "cell_in", "short_window"]

KINDS = {"hour": HOURS, "weekday": WEEKDAYS}
"""Kind of season to its number of cells: 24 hours of the day, 7 days of the week."""

PERIODS = {"hour": (DAY, "a day"), "weekday": (WEEK, "a week")}
"""Kind of season to its length in seconds and the name of that length."""

FLOOR = 0.1
"""
Smallest expected share of a bin by which variances are standardised, as a part of the bin's share of all rows. A rare
bin may have no rows in a small cell, and a new row in it must not get an infinite weight.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Seasons:
    """
    The counts of a reference by season. ``a + b`` are the seasons of two parts of the training data together.

    Attributes:
        kinds: kinds of season by which windows are compared: ``"hour"``, ``"weekday"``, both, or none.
        counts: for each of *kinds*, counts of shape (cells, bins); the cells are 24 hours or 7 days, in UTC.
        shown: kinds of season that the training data show, whether or not windows are compared by them.
        start: Unix time of the first row, in seconds.
        end: Unix time of the last row, in seconds.
        column: name of the column of times; None if the times were not a column of the training data.
    """

    kinds: tuple[str, ...]
    counts: tuple[Counts, ...]
    shown: tuple[str, ...]
    start: float
    end: float
    column: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seasons) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.kinds, self.shown, self.start, self.end, self.column, *(counts.tobytes() for counts in self.counts)

    def __add__(self, other: Seasons) -> Seasons:
        """
        Combine the seasons of two parts of the training data, which have the same *kinds*.

        Counts are added, and the time range covers both parts. *shown* lists the kinds that either part shows.

        Raises:
            ConfigurationError: the kinds differ.
        """
        if self.kinds != other.kinds:
            msg = f"seasons={other.kinds!r}: expected those of the other part, {self.kinds!r}"
            raise ConfigurationError(msg)
        return Seasons(
            self.kinds,
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            tuple(kind for kind in KINDS if kind in {*self.shown, *other.shown}),
            min(self.start, other.start),
            max(self.end, other.end),
            self.column or other.column,
        )

    def rows_per_day(self, rows: int) -> float:
        """Return the mean rows per day of a reference of *rows* rows. One of less than a day counts as a day."""
        return rows * DAY / max(self.end - self.start, DAY)


def add_seasons(a: Seasons | None, b: Seasons | None) -> Seasons | None:
    """
    Return the seasons of two parts of the training data together; None if neither part has seasons.

    Raises:
        ConfigurationError: only one part has seasons, or their kinds differ.
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


def _by_kind(kind: str, weights: NDArray[Any]) -> NDArray[Any]:
    """
    Sum weights of the hours of the week: per hour of the day, or per day of the week.

    Args:
        kind: ``"hour"`` or ``"weekday"``.
        weights: shape (..., `CELLS`).

    Returns:
        Sums of shape (..., 24) or (..., 7).
    """
    week = weights.reshape(*weights.shape[:-1], WEEKDAYS, HOURS)
    sums: NDArray[Any] = week.sum(axis=-2 if kind == "hour" else -1)
    return sums


class Expectation:
    """
    Computes the counts that a window should have without drift, given the hours of the week of its rows.

    Args:
        seasons: the seasons of the reference, of at least one kind.
        features: the features, in the order of *layout*.
        layout: the bins of the features.

    Attributes:
        overall: share of each bin in all rows of the reference, shape (bins,).
    """

    __slots__ = ("_kinds", "_norms", "_offsets", "_rows", "_sizes", "overall")

    def __init__(self, seasons: Seasons, features: Sequence[Feature], layout: Layout) -> None:
        counts = np.concatenate([np.array(feature.counts, dtype=np.int64) for feature in features])
        self._sizes, self._offsets = layout.sizes, layout.offsets
        self._rows = float(counts[: layout.sizes[0]].sum())
        self.overall: Floats = counts / self._rows
        by_kind = zip(seasons.kinds, seasons.counts, strict=True)
        self._kinds = tuple((kind, *self._shares(cell_counts)) for kind, cell_counts in by_kind)
        self._norms = self._sums() if len(self._kinds) > 1 else np.empty((0, 0, 0))

    def _shares(self, counts: Counts) -> tuple[Floats, Floats]:
        """
        Convert the counts of one kind of season, shape (cells, bins), to shares.

        Returns:
            Share of each bin in the rows of each cell, shape (cells, bins), and rows per cell, shape (cells,). A cell
            without rows gets the shares and the number of rows of the whole reference.
        """
        rows = counts[:, : self._sizes[0]].sum(axis=1).astype(np.float64)
        filled = rows > 0
        shares = np.where(filled[:, None], counts / np.maximum(rows, 1.0)[:, None], self.overall)
        return shares, np.where(filled, rows, self._rows)

    def _sums(self) -> Floats:
        """
        Return the sums by which `_mixed` scales the shares of a weekday and an hour to 1.

        Returns:
            For each weekday, hour and feature: the sum over its bins of hourly share · daily share / overall share.
            Shape (weekdays, hours, features).
        """
        (_, hours, _), (_, days, _) = self._kinds
        tilted = hours / np.where(self.overall > 0, self.overall, 1.0)
        return np.stack([np.add.reduceat(tilted * day, self._offsets, axis=1) for day in days])

    def _mixed(self, weights: Floats) -> Floats:
        """
        Return the expected shares with both kinds of season, shape (bins,).

        The two seasons are assumed to act independently. The shares of an hour on a weekday are hourly shares times
        daily shares, divided by the overall shares and scaled to a sum of 1. If the hour and the weekday have no bin
        in common, the shares are the overall ones.

        Args:
            weights: share of the rows in each hour of the week, shape (`CELLS`,).
        """
        (_, hours, _), (_, days, _) = self._kinds
        week = weights.reshape(WEEKDAYS, HOURS)
        shares, disjoint = np.zeros_like(self.overall), np.zeros(len(self._sizes))
        used = np.flatnonzero(week.any(axis=0))
        for day in np.flatnonzero(week.any(axis=1)):
            norms = self._norms[day, used]
            factors = week[day, used, None] / np.where(norms > 0, norms, np.inf)
            disjoint += week[day, used] @ (norms <= 0)
            shares += days[day] * (np.repeat(factors, self._sizes, axis=1) * hours[used]).sum(axis=0)
        shares /= np.where(self.overall > 0, self.overall, 1.0)
        return shares + np.repeat(disjoint, self._sizes) * self.overall

    def of_feature(self, bins: slice, cells: Counts) -> Floats:
        """
        Return the expected shares of one feature's bins in blocks of rows, shape (blocks, bins).

        A share is at least `FLOOR` times the overall share. The shares of each block sum to 1.

        Args:
            bins: indices of the feature's bins.
            cells: rows of each block by hour of the week, shape (blocks, `CELLS`).
        """
        week, overall = np.arange(CELLS), self.overall[bins]
        profiles: NDArray[np.float64] = np.ones((CELLS, len(overall)))
        for index, (kind, shares, _) in enumerate(self._kinds):
            profiles *= shares[cell_in(kind, week), bins]
            if index:
                profiles /= np.where(overall > 0, overall, 1.0)
        norm = profiles.sum(axis=1, keepdims=True)
        profiles = np.where(norm > 0, profiles / np.where(norm > 0, norm, 1.0), overall)
        rows = cells.sum(axis=1, keepdims=True)
        raised = np.maximum(cells / np.maximum(rows, 1) @ profiles, FLOOR * overall)
        expected: Floats = raised / raised.sum(axis=1, keepdims=True)
        return expected

    def freedom(self, cells: Counts) -> float:
        """
        Return the degrees of freedom of the variance of blocks around their expected counts.

        They are the number of blocks, less the lost ones. A block loses some because it is a part of the reference,
        from which its expectation is computed. A block of n rows, of which n_c are in a cell of m_c rows, loses
        sum(n_c^2 / m_c) / n. Blocks that each hold a whole season lose one degree together.

        Args:
            cells: rows of each block by hour of the week, shape (blocks, `CELLS`).
        """
        rows = np.maximum(cells.sum(axis=1), 1)
        lost = 1.0 - len(self._kinds)
        for kind, _, m in self._kinds:
            lost += float((_by_kind(kind, cells) ** 2 / m / rows[:, None]).sum())
        return len(cells) - lost

    def shares(self, cells: Counts) -> Floats:
        """
        Return the expected shares of a window, shape (bins,); the overall shares if it has no rows.

        Args:
            cells: rows of the window by hour of the week, shape (`CELLS`,).
        """
        rows = int(cells.sum())
        if not rows:
            return self.overall
        if len(self._kinds) > 1:
            return self._mixed(cells / rows)
        kind, shares, _ = self._kinds[0]
        mixed: Floats = _by_kind(kind, cells / rows) @ shares
        return mixed

    def __call__(self, cells: Counts) -> Floats:
        """
        Return the counts with which a window is compared, shape (bins,): expected shares times effective rows.

        The effective rows of a mix of cells with weights w and m rows each are 1 / sum(w^2 / m) (Kish 1965). With two
        seasons, the variances of the logarithms of both shares add up, less that of the overall shares. For a window
        without rows, return the counts of the reference.

        Args:
            cells: rows of the window by hour of the week, shape (`CELLS`,).
        """
        total = int(cells.sum())
        if not total:
            return self.overall * self._rows
        weights = cells / total
        variance = (1 - len(self._kinds)) / self._rows
        for kind, _, rows in self._kinds:
            variance += float((_by_kind(kind, weights) ** 2 / rows).sum())
        return self.shares(cells) / variance

    def floored(self, shares: Floats) -> Floats:
        """
        Return *shares*, shape (..., bins), each at least `FLOOR` times the overall share.

        The result is scaled to sum to 1 per feature. Variances are standardised by the result.
        """
        raised = np.maximum(shares, FLOOR * self.overall)
        norm = np.add.reduceat(raised, self._offsets, axis=-1)
        floored: Floats = raised / np.repeat(norm, self._sizes, axis=-1)
        return floored


@dataclass(frozen=True, slots=True, eq=False)
class OrderedRows:
    """
    The order of rows of training data by time, and their hours of the week.

    Attributes:
        order: indices that sort the rows by time, shape (rows,).
        cells: hour of the week of each row in this order, shape (rows,).
        expectation: computes expected counts of blocks of rows; None if windows are not compared by seasons.
    """

    order: NDArray[np.intp]
    cells: NDArray[np.intp]
    expectation: Expectation | None

    def cell_counts(self, length: int) -> Counts:
        """
        Return the number of rows per hour of the week in each block of *length* rows, shape (blocks, `CELLS`).

        Rows after the last whole block are ignored.
        """
        blocks = len(self.cells) // length
        block_of_row = np.repeat(np.arange(blocks), length)
        counts = np.bincount(block_of_row * CELLS + self.cells[: blocks * length], minlength=blocks * CELLS)
        return counts.reshape(blocks, CELLS)


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
