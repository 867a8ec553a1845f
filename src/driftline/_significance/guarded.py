"""A window that is not learned from yet, because a drift may have begun in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline._significance.block_pyramid import LevelSquares
from driftline._significance.clumps import RATES
from driftline._significance.components import SHAPE
from driftline.typing import Counts, Floats

__all__ = ["Guarded"]

MOST_UNUSUAL = 16.0
"""
Factor by which squared differences may exceed what was known before them, so that they count as usual. Users who send a
window of rows each hardly ever exceed it, because their rows are known to depend on each other.
"""

MOST_OF_FIRST = 256.0
"""The same factor for the first window, before which nothing is known. Rows that drift slowly do not exceed it."""


@dataclass(slots=True, eq=False)
class Guarded:
    """
    A window that is not learned from yet.

    Attributes:
        squares: the squared differences that it completed and that are not learned yet.
        counts: shape (bins,).
        expected: shape (bins,), the shares that were expected.
        rows: its rows.
        number: the time of its end, in windows.
        quiet: shape (features,), which features do not drift.
        kept: shape (features,), False for features whose differences are discarded.
    """

    squares: list[LevelSquares]
    counts: Counts
    expected: Floats
    rows: int
    number: float
    quiet: NDArray[np.bool_]
    kept: NDArray[np.bool_]

    def take_usual(self, levels: int, known: Floats, *, first: bool) -> list[LevelSquares]:
        """
        Take out the differences that are not far beyond what was known before, but for those of rates.

        What is left may be the difference across the beginning of a drift. If it were learned, the next window would
        not show the drift.

        Args:
            levels: number of block lengths that are taken, the shortest first.
            known: shape (levels, features, parts), the variance factors that were known.
            first: whether this is the first window of all.
        """
        most = MOST_OF_FIRST if first else MOST_UNUSUAL
        taken = []
        for index, each in enumerate(self.squares):
            if each.level < levels:
                beyond = each.sums > most * known[each.level] * each.numbers
                usual = np.repeat(~beyond[:, : SHAPE + 1].any(axis=1)[:, None], beyond.shape[1], axis=1)
                usual[:, RATES] = False
                chosen, self.squares[index] = each.split(usual)
                taken.append(chosen)
        return taken
