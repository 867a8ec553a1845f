"""Seasons: the counts of a reference by hour of the day and by day of the week, and what a window is to expect."""

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
"""Kinds of season, each with its number of cells."""

PERIODS = {"hour": (DAY, "a day"), "weekday": (WEEK, "a week")}
"""Seconds that a season takes, and how it is called."""

FLOOR = 0.1
"""
Share of its overall share that a bin is at least expected to have where variances are standardised by it: in a cell of
few rows a rare bin may never have been seen, and no row in it can have infinite weight.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Seasons:
    """
    The counts of a reference by season. They add up like all other counts.

    Attributes:
        kinds: the seasons that windows are compared by: ``"hour"``, ``"weekday"``, both, or none.
        counts: per kind the counts of its cells, shape (24 or 7, bins); hours and days are those of UTC.
        shown: seasons that the training data show, whether or not windows are compared by them.
        start: UNIX seconds of the first row.
        end: UNIX seconds of the last row.
    """

    kinds: tuple[str, ...]
    counts: tuple[Counts, ...]
    shown: tuple[str, ...]
    start: float
    end: float

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seasons) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.kinds, self.shown, self.start, self.end, *(one.tobytes() for one in self.counts)

    def __add__(self, other: Seasons) -> Seasons:
        """
        The counts of both; what either of them shows is shown.

        Raises:
            ConfigurationError: they are of other kinds.
        """
        if self.kinds != other.kinds:
            msg = f"seasons={other.kinds!r}: expected those of the other part, {self.kinds!r}"
            raise ConfigurationError(msg)
        return Seasons(
            self.kinds,
            tuple(ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)),
            tuple(kind for kind in KINDS if kind in {*self.shown, *other.shown}),
            min(self.start, other.start),
            max(self.end, other.end),
        )

    def rows_per_day(self, rows: int) -> float:
        """How many of so many rows came in a day, of at least one day."""
        return rows * DAY / max(self.end - self.start, DAY)


def add_seasons(ours: Seasons | None, theirs: Seasons | None) -> Seasons | None:
    """
    The seasons of two parts of the training data.

    Raises:
        ConfigurationError: only one of them has seasons, or they are of other kinds.
    """
    if ours is None or theirs is None:
        if (ours or theirs) is not None:
            msg = "seasons: one part has them and the other has not, expected both to be fitted with time="
            raise ConfigurationError(msg)
        return None
    return ours + theirs


def cell_in(kind: str, cells: NDArray[np.intp]) -> NDArray[np.intp]:
    """The hour of the day, or the day of the week, of hours of the week."""
    found: NDArray[np.intp] = cells % HOURS if kind == "hour" else cells // HOURS
    return found


def _by_kind(kind: str, weights: NDArray[Any]) -> NDArray[Any]:
    """Sums over hours of the week, shape (..., `CELLS`), for the cells of a kind."""
    week = weights.reshape(*weights.shape[:-1], WEEKDAYS, HOURS)
    found: NDArray[Any] = week.sum(axis=-2 if kind == "hour" else -1)
    return found


class Expectation:
    """
    What windows are to expect by the hours of the week that their rows fall into.

    Args:
        seasons: of the reference.
        features: what is watched, in the order of *layout*.
        layout: where their bins lie.
    """

    __slots__ = ("_kinds", "_norms", "_offsets", "_rows", "_sizes", "overall")

    def __init__(self, seasons: Seasons, features: Sequence[Feature], layout: Layout) -> None:
        counts = np.concatenate([np.array(feature.counts, dtype=np.int64) for feature in features])
        self._sizes, self._offsets = layout.sizes, layout.offsets
        self._rows = float(counts[: layout.sizes[0]].sum())
        self.overall: Floats = counts / self._rows
        self._kinds = tuple((kind, *self._shares(one)) for kind, one in zip(seasons.kinds, seasons.counts, strict=True))
        self._norms = self._sums() if len(self._kinds) > 1 else np.empty((0, 0, 0))

    def _shares(self, counts: Counts) -> tuple[Floats, Floats]:
        """Shares and rows of each cell; an empty one is taken to be like the whole."""
        rows = counts[:, : self._sizes[0]].sum(axis=1).astype(np.float64)
        filled = rows > 0
        shares = np.where(filled[:, None], counts / np.maximum(rows, 1.0)[:, None], self.overall)
        return shares, np.where(filled, rows, self._rows)

    def _sums(self) -> Floats:
        """What the shares of an hour times those of a day over the whole's add up to: (weekdays, hours, features)."""
        (_, hours, _), (_, days, _) = self._kinds
        tilted = hours / np.where(self.overall > 0, self.overall, 1.0)
        return np.stack([np.add.reduceat(tilted * day, self._offsets, axis=1) for day in days])

    def _mixed(self, weights: Floats) -> Floats:
        """
        Two seasons as if they acted apart: weights of the hours of the week, shape (`CELLS`,), to shares (bins,).

        Of each hour and day the product of their shares over those of the whole, made to shares again; where they have
        no bin in common, the shares of the whole.
        """
        (_, hours, _), (_, days, _) = self._kinds
        week = weights.reshape(WEEKDAYS, HOURS)
        found, apart = np.zeros_like(self.overall), np.zeros(len(self._sizes))
        used = np.flatnonzero(week.any(axis=0))
        for day in np.flatnonzero(week.any(axis=1)):
            norms = self._norms[day, used]
            share = week[day, used, None] / np.where(norms > 0, norms, np.inf)
            apart += week[day, used] @ (norms <= 0)
            found += days[day] * (np.repeat(share, self._sizes, axis=1) * hours[used]).sum(axis=0)
        found /= np.where(self.overall > 0, self.overall, 1.0)
        return found + np.repeat(apart, self._sizes) * self.overall

    def of_feature(self, place: slice, cells: Counts) -> Floats:
        """The shares that one feature is to have in blocks, to standardise by: (blocks, `CELLS`) to (blocks, bins)."""
        week, overall = np.arange(CELLS), self.overall[place]
        profiles: NDArray[np.float64] = np.ones((CELLS, len(overall)))
        for number, (kind, shares, _) in enumerate(self._kinds):
            profiles *= shares[cell_in(kind, week), place]
            if number:
                profiles /= np.where(overall > 0, overall, 1.0)
        norm = profiles.sum(axis=1, keepdims=True)
        profiles = np.where(norm > 0, profiles / np.where(norm > 0, norm, 1.0), overall)
        rows = cells.sum(axis=1, keepdims=True)
        raised = np.maximum(cells / np.maximum(rows, 1) @ profiles, FLOOR * overall)
        found: Floats = raised / raised.sum(axis=1, keepdims=True)
        return found

    def freedom(self, cells: Counts) -> float:
        """
        Degrees of freedom of blocks around their expectation, of rows per hour of the week, shape (blocks, `CELLS`).

        A block of n rows, n_c of them in a cell of m_c, is part of its own expectation: that takes
        sum(n_c^2 / m_c) / n of one degree away; one in all for blocks that each hold all of the season.
        """
        rows = np.maximum(cells.sum(axis=1), 1)
        taken = 1.0 - len(self._kinds)
        for kind, _, m in self._kinds:
            taken += float((_by_kind(kind, cells) ** 2 / m / rows[:, None]).sum())
        return len(cells) - taken

    def shares(self, cells: Counts) -> Floats:
        """
        The mix of profiles for rows per hour of the week, shape (`CELLS`,): shape (bins,).

        Rows of no hour at all expect what the whole reference has.
        """
        rows = int(cells.sum())
        if not rows:
            return self.overall
        if len(self._kinds) > 1:
            return self._mixed(cells / rows)
        kind, shares, _ = self._kinds[0]
        found: Floats = _by_kind(kind, cells / rows) @ shares
        return found

    def __call__(self, cells: Counts) -> Floats:
        """
        The counts that a window is to be compared with, shape (bins,): its mix of profiles, times what they are worth.

        A mix of cells with m rows each by shares w is known as well as 1 / sum(w^2 / m) rows are (Kish 1965). Where two
        seasons are multiplied the variances of their logarithms add up, less that of the whole, which is in both.
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
        """Shares as they are to standardise by, shape (..., bins), see `FLOOR`."""
        raised = np.maximum(shares, FLOOR * self.overall)
        norm = np.add.reduceat(raised, self._offsets, axis=-1)
        found: Floats = raised / np.repeat(norm, self._sizes, axis=-1)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class OrderedRows:
    """
    Rows of training data in time.

    Attributes:
        order: shape (rows,), the rows in the order in which they came to be.
        cells: shape (rows,), their hours of the week in that order.
        expectation: what they are to expect; None where windows are compared by no season.
    """

    order: NDArray[np.intp]
    cells: NDArray[np.intp]
    expectation: Expectation | None

    def cell_counts(self, length: int) -> Counts:
        """Rows per hour of the week of blocks of so many rows: shape (blocks, `CELLS`)."""
        number = len(self.cells) // length
        which = np.repeat(np.arange(number), length)
        counted = np.bincount(which * CELLS + self.cells[: number * length], minlength=number * CELLS)
        return counted.reshape(number, CELLS)


def short_window(seasons: Seasons, rows: int, window_rows: int | None, window_seconds: float | None) -> str:
    """
    What is to be said of a window that is shorter than a season which its reference shows and is not told of.

    Args:
        seasons: of the reference.
        rows: of the reference, which tell how long a window of rows takes.
        window_rows: of the window, where its length is one of rows.
        window_seconds: of the window, where its length is one of time.
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
