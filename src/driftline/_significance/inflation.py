"""What the scatter of blocks says about a window of any number of rows: how much larger its variance is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._significance.components import LOCATION, OUTSIDE, SHAPE
from driftline.typing import Floats

__all__ = ["STEADY_BLOCKS", "Inflation", "InflationCurve", "larger_inflation"]

Places: TypeAlias = NDArray[np.intp]
"""A length for each feature and part, by its place."""

SIGNIFICANT = 2.5
"""Standard normal quantile of 99.4 %: beyond it scatter counts as larger than that of independent rows."""

LIKELY = 1.3
"""Likewise of 90 %, for the median of all features."""

SEVERAL = 5
"""Features from which on that says something: of five it happens by chance once in a hundred times."""

GOES_ON = 1.0
"""Likewise of 84 %, for the scatter of longer blocks where that of shorter ones is larger already."""

FURTHEST = 2.0
"""
Lengths beyond the longest block to which growth is continued. A reference that is shorter than the changes in it cannot
know them: taking these for endless would silence every alarm, so it says that it is too short, and alarms come early.
"""

TWO_ROWS = 2.0
"""The shortest length that growth from a single row can be read off: the logarithm of one row is none."""

STEADY_BLOCKS = 32
"""Blocks from which the variance of the shape is known well enough to tell how far its tail reaches."""


@dataclass(frozen=True, slots=True, eq=False)
class Inflation:
    """
    Variance of a window's counts as a multiple of that of independent rows, for one number of rows.

    Attributes:
        factor: shape (features, parts), at least 1.
        freedom: shape (features, parts), degrees of freedom of the estimate; inf where rows are independent.
        directions: shape (features,), over how many directions of equal variance the shape scatters; inf where over all
            of them alike.
        common: shape (parts,), whether half of the features show beyond doubt that their rows depend on each other:
            they are then in the order in which they came.
    """

    factor: Floats
    freedom: Floats
    directions: Floats
    common: np.ndarray[Any, np.dtype[np.bool_]] | bool = False


class InflationCurve:
    """
    How the variance of counts grows with the number of rows.

    From the shortest length on, a longer one is taken where its variance is significantly larger: rows that are
    independent, or are so beyond some distance, are judged by many short blocks, and slow changes by few long ones.
    Where the variance has not stopped growing at the longest length it goes on with its last power to `FURTHEST`;
    where there is one length alone, with the power that has led there from a single row, which has the variance 1.

    Args:
        lengths: shape (lengths,), rows per block, ascending.
        blocks: shape (lengths,), degrees of freedom.
        factors: shape (lengths, features, parts), mean variance of a block's counts over that of independent rows.
        directions: shape (lengths, features), over how many directions of equal variance the shape scatters.
    """

    __slots__ = (
        "_beyond",
        "_blocks",
        "_chosen",
        "_common",
        "_directions",
        "_factor",
        "_freedom",
        "_lengths",
        "_limit",
        "_power",
        "_significant",
        "_way",
    )

    def __init__(self, lengths: Floats, blocks: Floats, factors: Floats, directions: Floats) -> None:
        self._lengths, self._blocks, self._directions = lengths, blocks, directions
        freedom = _freedom(blocks, factors, directions)
        self._chosen, before = _chosen(factors, freedom)
        at, at_before = _index(self._chosen), _index(before)
        self._factor = factor = factors[at]
        self._significant, self._common = self._shown(factor, freedom[at])
        self._freedom = np.where(self._significant, blocks[self._chosen], np.inf)
        self._freedom[:, OUTSIDE] = np.minimum(self._freedom[:, LOCATION], self._freedom[:, SHAPE])
        self._continue(freedom[at], freedom[at_before], factors[at_before], before)
        longer = np.arange(len(lengths))[:, None, None] > self._chosen
        way = np.maximum.accumulate(np.where(longer, 1.0, np.fmax(factors, 1.0)), axis=0)
        self._way = np.log(np.concatenate([np.ones_like(way[:1]), way]))

    @staticmethod
    def _shown(factor: Floats, freedom: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where rows depend on each other: they are independent unless shown otherwise. And whether half of all do."""
        sigma = np.log(np.maximum(factor, 1e-300)) / np.sqrt(2.0 / freedom)
        # What half of the features show a little is shown: from a few blocks none of them could show it alone.
        middle = _median(sigma)
        shown = middle > (LIKELY if len(factor) >= SEVERAL else SIGNIFICANT)
        significant = (sigma > SIGNIFICANT) | (shown & (sigma > 0.0))
        # Values that depend on each other in one respect do so in all, if less.
        significant[:, : SHAPE + 1] |= significant[:, : SHAPE + 1].any(axis=1, keepdims=True)
        return significant, middle > SIGNIFICANT

    def _continue(self, freedom: Floats, shorter_freedom: Floats, shorter: Floats, before: Places) -> None:
        """What the factors grow to, and how, beyond the lengths that are taken, from the ones before them."""
        factor, lengths, chosen = self._factor, self._lengths, self._chosen
        margin = SIGNIFICANT * np.sqrt(2.0 / freedom + 2.0 / shorter_freedom)
        with np.errstate(divide="ignore", invalid="ignore"):
            # A step that may be chance is taken, and not gone on with.
            stepped = (before < chosen) & (np.log(factor / shorter) > margin)
            doubling = np.log2(lengths[chosen] / lengths[before], where=stepped, out=np.ones_like(factor))
            # Var = I - c / length for rows that forget exponentially: two lengths give I.
            limit = np.maximum(factor, factor + (factor - shorter) / np.maximum(2**doubling - 1, 1))
            self._limit = np.where(stepped, limit, factor)
            if len(lengths) == 1:
                self._beyond: NDArray[np.bool_] = np.ones_like(stepped)
                self._power = np.clip(np.log(np.maximum(factor, 1.0)) / np.log(max(lengths[-1], TWO_ROWS)), 0.0, 1.0)
            else:
                self._beyond = stepped & (chosen == len(lengths) - 1)
                self._power = np.clip(np.log2(np.maximum(factor / shorter, 1.0)) / doubling, 0.0, 1.0)

    def __call__(self, rows: float, whole: float = 0.0) -> Inflation:
        """
        What a window of so many rows is to expect.

        Args:
            rows: of the window.
            whole: rows to which growth goes on where blocks of one length are all that is known: those of a window
                whose first blocks they are.
        """
        full = self._grown(rows, whole)
        full = np.maximum(np.nan_to_num(np.where(self._significant, full, 1.0), nan=1.0), 1.0)
        # Values out of range are too rare for a scatter of their own. They come in longer clumps than the values of one
        # bin do, and in shorter ones than the drifting of the mean: the geometric mean of the two.
        between = np.sqrt(full[:, SHAPE] * np.maximum(full[:, LOCATION], full[:, SHAPE]))
        full[:, OUTSIDE] = np.fmax(full[:, OUTSIDE], between)
        steady = np.flatnonzero((self._lengths <= max(rows, self._lengths[0])) & (self._blocks >= STEADY_BLOCKS))
        directions = self._directions[int(steady[-1]) if len(steady) else 0]
        directions = np.where(self._significant[:, SHAPE], directions, np.inf)
        return Inflation(full, self._freedom, directions, self._common)

    def _grown(self, rows: float, whole: float) -> Floats:
        """The factors of so many rows."""
        longest = self._lengths[-1]
        furthest = max(FURTHEST, whole / longest) if len(self._lengths) == 1 else FURTHEST
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = self._factor * np.clip(rows / longest, 1.0, furthest) ** self._power
        full = np.where(self._beyond, np.maximum(beyond, self._limit), self._limit)
        shorter_than = self._lengths[self._chosen] > rows
        if not shorter_than.any():
            return full
        return np.where(shorter_than, np.fmin(self._shorter(rows), np.fmax(full, 1.0)), full)

    def _shorter(self, rows: float) -> Floats:
        """The factor of a window shorter than the blocks taken: on the way there, which begins with 1 for a row."""
        lengths = np.log(np.concatenate([[1.0], self._lengths]))
        at = np.log(max(rows, 1.0))
        place = int(np.clip(np.searchsorted(lengths, at, side="right"), 1, len(lengths) - 1))
        span = lengths[place] - lengths[place - 1]
        # Blocks of a row each are where the way begins.
        share = min(1.0, (at - lengths[place - 1]) / span) if span > 0.0 else 1.0
        found: Floats = np.exp(self._way[place - 1] * (1.0 - share) + self._way[place] * share)
        return found

    def still_grows(self) -> NDArray[np.bool_]:
        """Whether the scatter of a feature has not stopped growing at the longest blocks: shape (features,)."""
        last = len(self._lengths) - 1
        found: NDArray[np.bool_] = (self._chosen[:, : SHAPE + 1] == last).any(axis=1) & (last > 0)
        return found


def _chosen(factors: Floats, freedom: Floats) -> tuple[Places, Places]:
    """Per feature and part the length that is taken, and the one before it on the way there."""
    shape = factors.shape[1:]
    chosen, before = np.zeros(shape, dtype=np.intp), np.zeros(shape, dtype=np.intp)
    # A factor of 0 (blocks that are all alike) is as small as one can be, and no step up from another one.
    logs = np.log(np.maximum(factors, 1e-12))
    current, before_it = logs[0], freedom[0]
    for place in range(1, len(factors)):
        # Rows that depend on each other are the more alike the longer one looks: little is asked for then.
        asked = np.where(current > SIGNIFICANT * np.sqrt(2.0 / before_it), GOES_ON, SIGNIFICANT)
        margin = asked * np.sqrt(2.0 / freedom[place] + 2.0 / before_it)
        # A length of which nothing is known (nan) is no step.
        further = logs[place] - current
        up = (further > margin) & (further < np.inf)
        if up.any():
            before, chosen = np.where(up, chosen, before), np.where(up, place, chosen)
            current, before_it = np.where(up, logs[place], current), np.where(up, freedom[place], before_it)
    return chosen, before


def _freedom(blocks: Floats, factors: Floats, directions: Floats) -> Floats:
    """Degrees of freedom of each factor, shape (lengths, features, parts): every direction of a block is one."""
    found = np.tile(blocks[:, None, None], factors.shape[1:])
    found[:, :, SHAPE] *= directions
    return found


def _index(places: Places) -> tuple[Places, Places, Places]:
    """What takes, of an array (lengths, features, parts), the values at one length of each feature and part."""
    features, parts = places.shape
    return places, np.arange(features)[:, None], np.arange(parts)


def _median(values: Floats) -> Floats:
    """The median of each column without what is not known, as `numpy.nanmedian` a tenth as fast; 0 of nothing."""
    ordered = np.sort(values, axis=0)  # nan come last
    known = len(values) - np.isnan(values).sum(axis=0)
    column = np.arange(values.shape[1])
    low, high = ordered[np.maximum(known - 1, 0) // 2, column], ordered[np.minimum(known // 2, len(values) - 1), column]
    return np.where(known > 0, (low + high) / 2.0, 0.0)


def larger_inflation(one: Inflation, other: Inflation) -> Inflation:
    """
    The larger of two inflations, with its degrees of freedom; never less than the first.

    Where the first has rows in their order and knows them from more blocks, the other counts if it is significantly
    larger: the first few blocks served must not outweigh the thousands of such a reference.
    """
    margin = np.where(
        one.common & np.isfinite(one.freedom) & (other.freedom < one.freedom),
        SIGNIFICANT * np.sqrt(2.0 / one.freedom + 2.0 / other.freedom),
        0.0,
    )
    first = np.log(other.factor / one.factor) <= margin
    return Inflation(
        np.where(first, one.factor, other.factor),
        # Of equal ones the estimate that is known better.
        np.where(
            one.factor == other.factor,
            np.maximum(one.freedom, other.freedom),
            np.where(first, one.freedom, other.freedom),
        ),
        np.minimum(one.directions, other.directions),
        one.common | other.common,
    )
