"""The differences of neighbouring blocks at lengths that double, in the order in which rows were served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline._significance.components import PARTS, Numbers
from driftline.typing import Counts, Floats

__all__ = ["BlockPyramid", "LevelSquares", "Pair", "PyramidSums"]

MEMORY = 400.0
"""Number of differences after which older ones are forgotten, at each length. It is half a month of hourly windows."""


class Pair(NamedTuple):
    """
    Two neighbouring blocks of the same length.

    Attributes:
        level: 0 for the shortest blocks, 1 for those of twice the length, and so on.
        first: shape (bins,), counts of the first block.
        second: shape (bins,), counts of the second block.
        valid: shape (features,), False for features that changed between the two.
    """

    level: int
    first: Counts
    second: Counts
    valid: NDArray[np.bool_]


class LevelSquares(NamedTuple):
    """
    The squared differences of the pairs of one level, shape (features, parts) each.

    Attributes:
        level: as in `Pair`.
        sums: their sums.
        numbers: their numbers.
        fourths: the sums of their squares.
    """

    level: int
    sums: Floats
    numbers: Numbers
    fourths: Floats

    def without(self, parts: Sequence[int]) -> LevelSquares:
        """Return the same without the differences of some parts."""
        sums, numbers, fourths = self.sums.copy(), self.numbers.copy(), self.fourths.copy()
        sums[:, [*parts]] = numbers[:, [*parts]] = fourths[:, [*parts]] = 0.0
        return LevelSquares(self.level, sums, numbers, fourths)

    def split(self, chosen: NDArray[np.bool_]) -> tuple[LevelSquares, LevelSquares]:
        """Return the differences that are chosen, and the others. *chosen* has shape (features, parts)."""
        of_chosen = [np.where(chosen, each, 0.0) for each in self[1:]]
        of_others = [np.where(chosen, 0.0, each) for each in self[1:]]
        return LevelSquares(self.level, *of_chosen), LevelSquares(self.level, *of_others)


class BlockPyramid:
    """
    Joins blocks to blocks of twice the length, and pairs each two neighbours. Only one half is kept at each level.

    Args:
        levels: number of block lengths.
        features: number of features.
    """

    __slots__ = ("_halves", "_levels", "_size", "_valid")

    def __init__(self, levels: int, features: int) -> None:
        self._levels, self._size = levels, features
        self._halves: list[Counts | None] = [None] * levels
        self._valid = np.ones((levels, features), dtype=np.bool_)

    def add(self, blocks: Sequence[Counts]) -> list[Pair]:
        """Add consecutive blocks of the shortest length, shape (bins,) each, and return the pairs they complete."""
        pairs: list[Pair] = []
        for block in blocks:
            level, joined = 0, block
            while level < self._levels:
                half = self._halves[level]
                if half is None:
                    self._halves[level] = joined
                    break
                valid = self._valid[level].copy()
                pairs.append(Pair(level, half, joined, valid))
                self._halves[level] = None
                self._valid[level] = True
                if level + 1 < self._levels:
                    self._valid[level + 1] &= valid
                joined = half + joined
                level += 1
        return pairs

    def cut(self, features: NDArray[np.bool_]) -> None:
        """Let no later pair hold rows of *features*, shape (features,), from before and from after this moment."""
        for level, half in enumerate(self._halves):
            if half is not None:
                self._valid[level] &= ~features


class PyramidSums:
    """
    Means of squared differences, with a number of differences beyond which old ones are forgotten.

    Attributes:
        means: shape (levels, features, parts), mean squared differences.
        fourths: shape (levels, features, parts), means of their squares.
        numbers: shape (levels, features, parts), number of differences, at most `MEMORY`.
    """

    __slots__ = ("fourths", "means", "numbers")

    def __init__(self, levels: int, features: int) -> None:
        self.means = np.zeros((levels, features, PARTS))
        self.fourths = np.zeros((levels, features, PARTS))
        self.numbers = np.zeros((levels, features, PARTS))

    def copy(self) -> PyramidSums:
        """Return sums that change separately."""
        other = PyramidSums.__new__(PyramidSums)
        other.means, other.fourths, other.numbers = self.means.copy(), self.fourths.copy(), self.numbers.copy()
        return other

    def add(self, squares: LevelSquares) -> None:
        """Add the differences of one level."""
        level, sums, numbers, fourths = squares
        total = np.minimum(self.numbers[level] + numbers, MEMORY)
        share = np.where(numbers > 0.0, 1.0 / np.maximum(total, 1.0), 0.0)
        self.means[level] += (sums - numbers * self.means[level]) * share
        self.fourths[level] += (fourths - numbers * self.fourths[level]) * share
        self.numbers[level] = total
