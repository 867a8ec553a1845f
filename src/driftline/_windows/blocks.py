"""Counts per block of time, on a grid of Unix time that all processes and hosts share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Counts

__all__ = ["MAX_BLOCKS", "MAX_LEVEL", "BlockCounts", "BlockTable", "align_blocks", "align_strata"]

MAX_BLOCKS = 64
"""Blocks that a table holds at most. Beyond it, neighbouring blocks become one, so that memory is fixed."""

MAX_LEVEL = 40
"""Largest level of a block, 2^40 s, about 35,000 years. All times of all clocks fit into two blocks of this level."""


LONG_LEVEL = 4
"""
Level of blocks, 16 s, from which on strata are not made longer for the sake of overlap. Base rates do not move within
16 s. Two variants that are called by turns, or whose calls are counted at other moments, overlap within them.
"""

SHORT_SECONDS = 32
"""Longest time that may be a single stratum, wherever the borders of blocks lie in it."""

LEAST_OVERLAP = 0.6
"""Part of the comparison without strata that shorter strata must leave. A ramp from 5 to 50 % leaves 0.83."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockCounts:
    """
    Counts per block of Unix time. A block lasts 2^*level* seconds, and starts at a multiple of that.

    Blocks of one level consist of two blocks of the level below. Counts of any two processes therefore add up exactly,
    at the coarser of their two levels.

    Attributes:
        level: binary logarithm of the seconds of a block, from 0 to `MAX_LEVEL`.
        first: index of the first block: its start is *first* · 2^*level* seconds of Unix time.
        counts: shape (blocks, ...), at most `MAX_BLOCKS` blocks.
    """

    level: int
    first: int
    counts: Counts

    @classmethod
    def none(cls, *columns: int) -> BlockCounts:
        """Return counts of this shape without any block."""
        return cls(0, 0, np.zeros((0, *columns), dtype=np.int64))

    @property
    def seconds(self) -> int:
        """Length of a block, in seconds."""
        return int(2**self.level)

    def __len__(self) -> int:
        return len(self.counts)

    def __add__(self, other: BlockCounts) -> BlockCounts:
        return self._combine(other, 1)

    def __sub__(self, earlier: BlockCounts) -> BlockCounts:
        """Return the counts since *earlier*, a reading of the same table."""
        return self._combine(earlier, -1)

    def _combine(self, other: BlockCounts, sign: int) -> BlockCounts:
        """Return self + sign · other, at the finest common level that has at most `MAX_BLOCKS` blocks."""
        if not len(other) or not other.counts.any():
            return self
        if (self.level, self.first, len(self)) == (other.level, other.first, len(other)):
            return BlockCounts(self.level, self.first, self.counts + sign * other.counts)
        (level, first), (own, others) = align_blocks((self, other))
        return BlockCounts(level, first, own + sign * others)

    def at_level(self, level: int) -> BlockCounts:
        """Return these counts over the longer blocks of a higher level."""
        if level <= self.level:
            return self
        shift = level - self.level
        first = self.first >> shift
        blocks = ((self.first + len(self) - 1) >> shift) - first + 1 if len(self) else 0
        counts = np.zeros((blocks, *self.counts.shape[1:]), dtype=self.counts.dtype)
        np.add.at(counts, ((self.first + np.arange(len(self))) >> shift) - first, self.counts)
        return BlockCounts(level, first, counts)

    def total(self) -> Counts:
        """Return the sum over all blocks, shape (...)."""
        total: Counts = self.counts.sum(axis=0, dtype=self.counts.dtype)
        return total

    def trimmed(self) -> BlockCounts:
        """Return these counts without empty blocks at both ends."""
        used = np.flatnonzero(self.counts.reshape(len(self), -1).any(axis=1)) if len(self) else np.zeros(0, np.intp)
        if not len(used):
            return replace(self, counts=self.counts[:0])
        start, end = int(used[0]), int(used[-1]) + 1
        return replace(self, first=self.first + start, counts=self.counts[start:end])


def align_blocks(tables: Iterable[BlockCounts], most: int = MAX_BLOCKS) -> tuple[tuple[int, int], list[Counts]]:
    """
    Bring tables to one grid: the finest with at most *most* blocks that all tables have or can be folded to.

    Args:
        tables: the tables. Tables without blocks become zeros.
        most: largest number of blocks, at least 2.

    Returns:
        (level, index of the first block), and the counts of each table, shape (blocks, ...).
    """
    tables = list(tables)
    used = [table for table in tables if len(table)]
    if not used:
        return (0, 0), [table.counts for table in tables]
    level = max(table.level for table in used)
    while True:
        first = min((table.first << table.level) >> level for table in used)
        last = max(((table.first + len(table) << table.level) - 1) >> level for table in used)
        if last - first < most:
            break
        level += 1
    aligned = []
    for table in tables:
        counts = np.zeros((last - first + 1, *table.counts.shape[1:]), dtype=table.counts.dtype)
        if len(table):
            folded = table.at_level(level)
            counts[folded.first - first : folded.first - first + len(folded)] = folded.counts
        aligned.append(counts)
    return (level, first), aligned


def align_strata(pair: tuple[BlockCounts, BlockCounts], most: int) -> list[Counts]:
    """
    Bring two tables to blocks within which they are compared.

    Blocks are as short as *most* allows, but long enough for both tables to have counts in the same ones: up to 16 s,
    or a single block if all counts lie within `SHORT_SECONDS`. The choice depends on the number of counts alone.

    Args:
        pair: the tables.
        most: largest number of blocks, at least 2.

    Returns:
        The counts of each table, shape (blocks, ...).
    """
    (level, _), aligned = align_blocks(pair, most)
    while level < LONG_LEVEL and len(aligned[0]) > 1 and _overlap(aligned) < LEAST_OVERLAP:
        (level, _), aligned = align_blocks([table.at_level(level + 1) for table in pair], most)
    if len(aligned[0]) << level <= SHORT_SECONDS and _overlap(aligned) < LEAST_OVERLAP:
        return [table.total()[None] for table in pair]
    return aligned


def _overlap(aligned: Sequence[Counts]) -> float:
    """Return Σ n·m/(n + m) over blocks as a part of that of the sums; n and m are the counts of the two tables."""
    n, m = (counts.sum(axis=tuple(range(1, counts.ndim))).astype(np.float64) for counts in aligned)
    whole = float(n.sum() * m.sum())
    if whole <= 0.0:
        return 1.0
    return float((n * m / np.maximum(n + m, 1.0)).sum() * (n.sum() + m.sum()) / whole)


class BlockTable:
    """
    Counts per block of time that grow. `row` returns the counts of the present block, to which the caller adds.

    It holds at most `MAX_BLOCKS` blocks: when time goes on, neighbouring blocks become one. It takes no lock.

    Args:
        columns: shape of the counts of a block.
        most: largest number of blocks, an even number of at most `MAX_BLOCKS`.
    """

    __slots__ = ("_columns", "_counts", "_first", "_level", "_most", "_used")

    def __init__(self, *columns: int, most: int = MAX_BLOCKS) -> None:
        self._columns, self._most = columns, most
        self.clear()

    def clear(self) -> None:
        """Remove all blocks."""
        self._counts: NDArray[Any] = np.zeros((self._most, *self._columns), dtype=np.int64)
        self._level = self._first = self._used = 0

    def row(self, now: float) -> Counts:
        """
        Return the counts of the block of a time, as a view to which the caller adds.

        If the clock was set back to before the first block, this is the first block.

        Args:
            now: Unix time in seconds.
        """
        seconds = max(0, min(int(now), 2**MAX_LEVEL))
        if not self._used:
            self._first = seconds >> self._level
        index = (seconds >> self._level) - self._first
        while index >= self._most:
            self._fold()
            index = (seconds >> self._level) - self._first
        index = max(0, index)
        self._used = max(self._used, index + 1)
        row: Counts = self._counts[index]
        return row

    def borders(self, now: float) -> tuple[float, float]:
        """
        Return the times between which `row` returns the same counts as for *now*, as (start, end) in Unix seconds.

        The end does not belong to the block. The first block also has all times before it.
        """
        self.row(now)
        seconds = max(0, min(int(now), 2**MAX_LEVEL))
        block = max(seconds >> self._level, self._first)
        start = -math.inf if block == self._first else float(block << self._level)
        return start, float((block + 1) << self._level)

    def _fold(self) -> None:
        table = self.read().at_level(self._level + 1)
        counts = np.zeros_like(self._counts)
        counts[: len(table)] = table.counts
        # In one step, so that an interrupt leaves either the old or the new blocks.
        self._counts, self._level, self._first, self._used = counts, table.level, table.first, len(table)

    def read(self) -> BlockCounts:
        """Return a copy of the counts."""
        return BlockCounts(self._level, self._first, self._counts[: self._used].copy())
