"""`Blocks`: the counts of a whole fleet in consecutive blocks of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Counts

__all__ = ["TOLERANCE", "Blocks", "blocks_until", "settle"]

TOLERANCE = 1e-6
"""Largest difference of two times that count as one, as a share of the seconds of a block: they are floats."""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """
    Rows of all processes per block of time and bin.

    A row counts in the block in which its process exported it.

    Attributes:
        start: Unix time in seconds at which the first block starts.
        step: seconds of a block.
        counts: shape (blocks, bins), rows per bin of all features, in the order of the reference.
        exporting: shape (blocks,), number of processes that exported in each block. With 0, nothing is known about it.
        whole: shape (blocks,), whether a block has all rows of its time and no others. It has not if a process was
            silent in it and exported again later, nor if a process exported in it what it had counted while silent.
    """

    start: float
    step: float
    counts: Counts
    exporting: Counts
    whole: NDArray[np.bool_]

    @classmethod
    def none(cls, start: float, step: float, bins: int, blocks: int = 0) -> Blocks:
        """Return blocks in which no process exported."""
        counts = np.zeros((blocks, bins), dtype=np.int64)
        return cls(start, step, counts, np.zeros(blocks, dtype=np.int64), np.zeros(blocks, dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def end(self) -> float:
        """Unix time in seconds at which the last block ends."""
        return self.start + self.step * len(self)

    def __getitem__(self, blocks: slice) -> Blocks:
        """Return consecutive blocks, which share their memory with these."""
        first, last, _ = blocks.indices(len(self))
        part = slice(first, max(first, last))
        return Blocks(
            self.start + self.step * first, self.step, self.counts[part], self.exporting[part], self.whole[part]
        )

    def replaced(self, part: slice, by: Blocks) -> Blocks:
        """Return a copy with other blocks at the indices *part*."""
        copy = replace(self, counts=self.counts.copy(), exporting=self.exporting.copy(), whole=self.whole.copy())
        copy.counts[part], copy.exporting[part], copy.whole[part] = by.counts, by.exporting, by.whole
        return copy

    def __add__(self, later: Blocks) -> Blocks:
        """Return these blocks and *later* ones of the same step, with unknown blocks in the time between."""
        between = Blocks.none(self.end, self.step, self.counts.shape[1], round((later.start - self.end) / self.step))
        parts = self, between, later
        return Blocks(
            self.start,
            self.step,
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.exporting for part in parts]),
            np.concatenate([part.whole for part in parts]),
        )


def blocks_until(now: float, blocks: Blocks | None) -> Blocks | None:
    """Return the blocks that end by a Unix time, None if none does. Later ones are of a clock that was ahead."""
    if blocks is None:
        return None
    number = math.floor((now - blocks.start) / blocks.step + TOLERANCE)
    return blocks[:number] if number > 0 else None


def settle(counts: Counts) -> tuple[Counts, Counts]:
    """
    Move negative counts to later blocks, so that no count is negative and the sums stay.

    A count is negative if a store had a larger value before: when the clock of a process was set back, or when the
    store was read again and has lost a value. The value that comes next makes up for it.

    Args:
        counts: shape (blocks, bins).

    Returns:
        Counts of the same shape, and what is left for later blocks, shape (bins,), at most 0.
    """
    rest = np.zeros(counts.shape[1], dtype=np.int64)
    if (counts >= 0).all():
        return counts, rest
    settled = np.empty_like(counts)
    for index, block in enumerate(counts):
        total = block + rest
        settled[index], rest = np.maximum(total, 0), np.minimum(total, 0)
    return settled, rest
