"""The hidden variance: what the spread of the training data leaves unexplained within blocks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from driftline._significance.components import LOCATION, MISSING
from driftline._significance.dependence import Dependence
from driftline._significance.moves import Moves
from driftline.typing import Floats

__all__ = ["Hidden", "WholeSpread", "WindowSpread", "most_hidden"]

WHOLE_Z, LOOK_Z = 2.5, 2.0
"""Standard errors by which the hidden variance of all rows, and of one look, has to exceed 0."""

COMMON_Z, LEAST_Z = 1.0, 0.5
"""
Standard errors that the features show on average by chance, and the fewest that a feature needs if all show more. Users
and states are seldom in one feature alone.
"""

ALONE = 2.0
"""Number of features without hidden variance that count beside those of the monitor."""

PRIOR_BLOCKS = 6.0
"""Number of blocks that the spread of independent rows counts for, where few blocks are known."""

FULL_SHARE = 0.5
"""
Rows served, as a share of those of the reference, up to which all of the hidden variance counts. Later it fades with
the square of their number: had the process other states, it would have visited them.
"""

NORMAL_SPREAD = 2.0
"""Variance of the squared deviation of a normal value, in units of its squared variance."""


MIN_BLOCKS = 16.0
"""Number of blocks of training data from which their means show the states of a process."""

ORDERED_Z = 2.5
"""Standard errors that are added to the logarithm of a variance factor of training data in the order of time."""


def most_hidden(ordered: Dependence, rows: int) -> Floats:
    """
    Return the most that may hide from a look, from training data in the order of time, shape (2, features).

    A state that outlasts a block of the training data is in the variance of the means of such blocks. It is inf where
    that is not known.

    Args:
        ordered: the dependence of the training data.
        rows: rows of the look.
    """
    usable = np.flatnonzero((ordered.blocks >= MIN_BLOCKS) & (ordered.lengths <= max(rows, ordered.lengths[0])))
    if not len(usable):
        return np.full((2, ordered.factors.shape[1]), np.inf)
    # Chance is larger for few long blocks, so a shorter length may have the better limit.
    errors = np.sqrt(2.0 / ordered.blocks[usable])[:, None, None]
    factors = ordered.factors[usable][:, :, [LOCATION, MISSING]]
    upper = np.maximum(factors, 1.0) * np.exp(ORDERED_Z * errors) / ordered.lengths[usable][:, None, None]
    most: Floats = np.min(np.nan_to_num(upper, nan=np.inf), axis=0).T
    return most


@dataclass(frozen=True, slots=True, eq=False)
class WindowSpread:
    """
    Sums over the blocks of one window, or of several.

    They are one array, because windows are added up all the time.

    Attributes:
        sums: shape (7, features), or (9, features) with seasons: two rows for each of the properties, one for *mean*.
    """

    sums: Floats

    @property
    def within(self) -> Floats:
        """Sums of the variance within blocks: of location, and of a value being missing, shape (2, features)."""
        part: Floats = self.sums[0:2]
        return part

    @property
    def squares(self) -> Floats:
        """Sums of the squares of the variance within blocks, shape (2, features)."""
        part: Floats = self.sums[2:4]
        return part

    @property
    def blocks(self) -> Floats:
        """Number of blocks with rows, shape (2, features)."""
        part: Floats = self.sums[4:6]
        return part

    @property
    def total(self) -> Floats:
        """Sums of the variance that the seasons expect, shape (2, features). Without seasons there are none."""
        part: Floats = self.sums[7:9]
        return part

    @property
    def mean(self) -> Floats:
        """Sums of the mean location score, shape (features,)."""
        part: Floats = self.sums[6]
        return part

    @classmethod
    def none(cls, features: int, *, seasonal: bool) -> WindowSpread:
        """Return the sums over no blocks."""
        return cls(np.zeros((9 if seasonal else 7, features)))

    @classmethod
    def of(cls, blocks: Floats, total: Floats | None) -> WindowSpread:
        """
        Return the sums over blocks.

        Args:
            blocks: shape (blocks, features, 3), as `BlockScores.within` returns them.
            total: shape (features, 2), the variances that the season expects. If None, there are no seasons.
        """
        known = np.isfinite(blocks[:, :, :2])
        values = np.where(known, blocks[:, :, :2], 0.0)
        sums = np.empty((7 if total is None else 9, blocks.shape[1]))
        sums[0:2] = values.sum(axis=0).T
        sums[2:4] = (values**2).sum(axis=0).T
        sums[4:6] = known.sum(axis=0).T
        sums[6] = np.where(known[:, :, 0], blocks[:, :, 2], 0.0).sum(axis=0)
        if total is not None:
            sums[7:9] = total.T * sums[4:6]
        return cls(sums)

    def plus(self, other: WindowSpread, weight: Floats | float = 1.0) -> WindowSpread:
        """Return the sum of both, the *other* one with a weight, a number or of shape (features,)."""
        return WindowSpread(self.sums + weight * other.sums)


@dataclass(frozen=True, slots=True, eq=False)
class WholeSpread:
    """
    What the rows served so far say, and what is known of their dependence: the same for all looks after a window.

    Attributes:
        hidden: shape (2, features), hidden variance of all rows.
        fade: shape (features,), factor by which it has faded.
        seen: shape (2, features), variance of the mean of a block, as far as it is known.
        spread: shape (2, features), variance of the variance within a block.
        of_reference: shape (2, features), squared error of the variance of the reference.
    """

    hidden: Floats
    fade: Floats
    seen: Floats
    spread: Floats
    of_reference: Floats


class Hidden:
    """
    The variance between blocks that has not been seen yet.

    The variance of a row is that within blocks plus that between them. The sum is known from the reference, even if its
    order is lost. If what was seen between blocks does not make up the rest, the process has states that it has not
    visited yet, and the mean of the rows so far is one of them.

    Args:
        moved: what a distribution that only moves looks like in its bins.
        rates: shape (features,), rates of missing values in the reference.
        reference_rows: rows of the reference.
        windows: number of windows of the longest look.
        seasonal: whether the season of a window says which variance to expect.
    """

    __slots__ = (
        "_latest",
        "_moved",
        "_recent",
        "_reference_rows",
        "_rows",
        "_seasonal",
        "_unit",
        "_unit_above_0",
        "_whole",
    )

    def __init__(self, moved: Moves, rates: Floats, reference_rows: float, windows: int, *, seasonal: bool) -> None:
        self._moved, self._reference_rows, self._seasonal = moved, reference_rows, seasonal
        self._unit = np.stack([np.ones(len(rates)), rates * (1.0 - rates)])
        self._unit_above_0 = np.maximum(self._unit, 1e-12)
        self._recent: deque[WindowSpread] = deque(maxlen=windows)
        size = len(rates)
        self._whole = WindowSpread.none(size, seasonal=seasonal)
        self._latest: WindowSpread | None = None
        self._rows = np.zeros(size)

    def add(self, window: WindowSpread, rows: int) -> None:
        """Add the blocks of a window of *rows* rows."""
        self._whole, self._latest = self._whole.plus(window), window
        self._recent.append(window)
        self._rows += rows

    def drop_latest(self, features: NDArray[np.bool_], rows: int) -> None:
        """Take the latest window out of the sums of features that drift, shape (features,)."""
        if self._latest is not None:
            weight = features.astype(np.float64)
            self._whole = self._whole.plus(self._latest, -weight)
            self._rows = self._rows - rows * weight

    def whole(self, seen: Floats, block_rows: float, effective: Floats) -> WholeSpread:
        """
        Return what all rows served so far say.

        Args:
            seen: shape (2, features), variance of the mean of a block, as far as it is known.
            block_rows: rows of a block.
            effective: shape (2, features), rows of the reference that are as good as independent ones. From few of
                them the variance of a row is not known well.
        """
        fade = np.minimum(1.0, FULL_SHARE * self._reference_rows / np.maximum(self._rows, 1.0)) ** 2
        unit = self._unit_above_0
        prior = np.stack([np.full(unit.shape[1], NORMAL_SPREAD), 1.0 / unit[1]]) / block_rows
        known = np.maximum(self._whole.blocks, 1.0)
        mean = self._whole.within / known / unit
        spread = np.maximum(self._whole.squares / known / unit**2 - mean**2, 0.0)
        spread = (known * spread + PRIOR_BLOCKS * prior) / (known + PRIOR_BLOCKS)
        whole = WholeSpread(fade, fade, seen, spread, NORMAL_SPREAD / effective)
        return replace(whole, hidden=self._left(self._whole, whole, (WHOLE_Z, 2.0)) * fade)

    def __call__(self, windows: int, whole: WholeSpread, varies: Floats, most: Floats | None = None) -> Floats:
        """
        Return the hidden variance of location and of missing values, in units of one row's, shape (2, features).

        Args:
            windows: number of windows of the look.
            whole: what all rows served so far say.
            varies: shape (2, features), the share of the variance of a look that dependence has been seen to add. Where
                rows have proved independent, a look is no separate state.
            most: shape (2, features), the most that may hide. If None, there is no limit.
        """
        hidden = self._at(windows, whole, varies)
        return hidden if most is None else np.minimum(hidden, most)

    def _at(self, windows: int, whole: WholeSpread, varies: Floats) -> Floats:
        """Return the hidden variance of a look without a limit, shape (2, features)."""
        if not varies.any():
            return whole.hidden
        look = self._recent[-1].sums
        for window in list(self._recent)[-windows:-1]:
            look = look + window.sums
        here = self._left(WindowSpread(look), whole, (LOOK_Z, 1.0))
        here *= varies
        # What is missing can only be fewer, and the rows served so far show whether that is a state.
        here[1] *= whole.fade
        larger: Floats = np.maximum(whole.hidden, here)
        return larger

    def _left(self, sums: WindowSpread, whole: WholeSpread, margin: tuple[float, float]) -> Floats:
        """
        Return the hidden variance of sums over blocks. *margin* is the number of standard errors, and the factor of the
        variance of the mean that neighbouring blocks are alike by.
        """
        z, alike = margin
        blocks = np.maximum(sums.blocks, 1.0)
        unit = self._unit_above_0
        within = sums.within / blocks / unit
        error = np.sqrt(alike * whole.spread / blocks + whole.of_reference)
        if self._seasonal:
            total = sums.total / blocks / unit
        else:
            total = np.ones(within.shape)
            total[0] = self._moved.variance(sums.mean / blocks[0])
        rest = total - within - whole.seen
        usable = (sums.blocks > 0.0) & np.isfinite(rest) & (self._unit > 0.0)
        # What all features show on average, a single one need not show by itself.
        shown = np.where(usable, rest / error, 0.0).sum(axis=1, keepdims=True)
        shown /= usable.sum(axis=1, keepdims=True) + ALONE
        needed = np.maximum(z - np.maximum(shown - COMMON_Z, 0.0), LEAST_Z)
        return np.where(usable, np.maximum(rest - needed * error, 0.0), 0.0)
