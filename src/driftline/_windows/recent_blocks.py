"""`RecentBlocks`: counts of the last blocks of time at several lengths, in a fixed number of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftline._windows.blocks import MAX_LEVEL
from driftline.typing import Counts

__all__ = ["RING_LEVELS", "RING_SLOTS", "RecentBlocks", "ring_blocks"]

RING_LEVELS = (6, 9, 12, 15, 17)
"""
Binary logarithms of the seconds of blocks: 1 min, 9 min, 1.1 h, 9 h and 1.5 d. The shortest block is as long as
a usual interval of exports.
"""

RING_SLOTS = 20
"""
Blocks of each length. They last 21 min, 2.8 h, 23 h, 7.6 d and 30 d, the time in which canaries are looked for. The
same times have 2.5 or 5 blocks of the next length.
"""

_LEVELS = np.array(RING_LEVELS)


def ring_blocks(last: Counts) -> Counts:
    """
    Return the index of the block that each slot of a ring holds, shape (levels, slots).

    A block is in the slot of its index modulo `RING_SLOTS`.

    Args:
        last: index of the last block of each level, shape (levels,).
    """
    ends = last[:, None]
    blocks: Counts = ends - (ends - np.arange(RING_SLOTS)) % RING_SLOTS
    return blocks


@dataclass(frozen=True, slots=True, eq=False)
class RecentBlocks:
    """
    Counts of the last `RING_SLOTS` blocks of each of `RING_LEVELS`. Each count is in a block of every level.

    Counts of a block are removed when a later block needs its slot. A sum or a difference has the
    last blocks of the later of the two.

    Attributes:
        last: index of the last block of each level, shape (levels,).
        counts: shape (levels, slots, columns).
    """

    last: Counts
    counts: Counts

    @classmethod
    def none(cls, columns: int = 3) -> RecentBlocks:
        """Return zeros."""
        levels = len(RING_LEVELS)
        return cls(np.zeros(levels, np.int64), np.zeros((levels, RING_SLOTS, columns), np.int64))

    def at(self, now: float) -> RecentBlocks:
        """
        Return the blocks that are the last ones at a time. The counts of others are removed.

        Args:
            now: Unix time in seconds.
        """
        return self._moved(_seconds(now) >> _LEVELS)

    def _moved(self, last: Counts) -> RecentBlocks:
        same = ring_blocks(self.last) == ring_blocks(last)
        return RecentBlocks(last, np.where(same[..., None], self.counts, 0))

    def with_counts(self, times: Sequence[float], columns: Sequence[int], amounts: Sequence[int]) -> RecentBlocks:
        """
        Return the blocks with more counts. Counts of blocks that are not among the last ones are dropped.

        Args:
            times: Unix time in seconds of each count.
            columns: column of each count.
            amounts: the counts.
        """
        if not len(times):
            return self
        blocks = _seconds(times)[:, None] >> _LEVELS
        moved = self._moved(np.maximum(self.last, blocks.max(axis=0)))
        kept = blocks > moved.last - RING_SLOTS
        rows, levels = np.nonzero(kept)
        cells = levels, blocks[kept] % RING_SLOTS, np.asarray(columns, dtype=np.intp)[rows]
        np.add.at(moved.counts, cells, np.asarray(amounts, dtype=np.int64)[rows])
        return moved

    def __add__(self, other: RecentBlocks) -> RecentBlocks:
        return self._combine(other, 1)

    def __sub__(self, earlier: RecentBlocks) -> RecentBlocks:
        return self._combine(earlier, -1)

    def _combine(self, other: RecentBlocks, sign: int) -> RecentBlocks:
        last = np.maximum(self.last, other.last)
        return RecentBlocks(last, self._moved(last).counts + sign * other._moved(last).counts)


def _seconds(times: Any) -> Counts:
    """Return whole seconds of Unix time; the times of wrong clocks become the nearest possible ones."""
    seconds: Counts = np.clip(np.asarray(times, dtype=np.float64), 0.0, 2.0**MAX_LEVEL).astype(np.int64)
    return seconds
