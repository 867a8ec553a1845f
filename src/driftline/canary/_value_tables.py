"""`ValueTables`: the numbers that a guardrail observed for one variant, by size, time and key."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._windows.blocks import MAX_LEVEL, BlockCounts
from driftline.typing import Counts, Floats

__all__ = ["LAST_BIN", "MAX_VALUE", "ValueRecorder", "ValueTables", "float_blocks", "value_bin", "value_edges"]

MAX_VALUE = 2.0**300
"""Largest size of an observed number, 2e90, so that no sum of its cubes overflows. Larger ones are errors."""

SMALLEST_EXPONENT = -64
"""Numbers smaller than 2^-64, 5e-20, are in one bin with a lower edge of 0."""

BINS_PER_OCTAVE = 2
"""Bins between a number and its double. An edge is 41 % above the one before."""

LAST_BIN = BINS_PER_OCTAVE * (300 - SMALLEST_EXPONENT) + 1
"""Number of the bin of the largest positive number. The bins of negative numbers have the opposite numbers."""

HALF_ROOT = math.sqrt(0.5)

BLOCKS = 64
"""Most blocks of time that a table of values has."""

FIRST_COLUMNS = 8
"""Bins for which a recorder has memory at first. It doubles when more bins are used."""


def value_bin(value: float) -> int:
    """
    Return the number of the bin of a finite number of at most `MAX_VALUE`: 0 for zero, negative for a negative number.

    >>> [value_bin(value) for value in (0.0, 1.0, 1.5, 2.0, -2.0)]
    [0, 130, 131, 132, -132]
    """
    if value == 0.0:
        return 0
    mantissa, exponent = math.frexp(abs(value))
    index = BINS_PER_OCTAVE * (exponent - SMALLEST_EXPONENT) + (mantissa >= HALF_ROOT)
    bounded = min(max(index, 1), LAST_BIN)
    return bounded if value > 0.0 else -bounded


def value_edges(bins: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """
    Return the edges of bins: (those that are nearer to 0, those that are farther from it).

    >>> value_edges(np.array([-132, 0, 1, 132]))[0]
    array([-2.,  0.,  0.,  2.])
    """
    size = np.abs(bins)
    near, far = (np.sign(bins) * 2.0 ** ((size - shift) / BINS_PER_OCTAVE + SMALLEST_EXPONENT) for shift in (2, 1))
    return np.where(size > 1, near, 0.0), np.where(size > 0, far, 0.0)


def near_edge(number: int) -> float:
    """Return the edge of a bin that is nearer to 0."""
    size = abs(number)
    return math.copysign(2.0 ** ((size - 2) / BINS_PER_OCTAVE + SMALLEST_EXPONENT), number) if size > 1 else 0.0


def float_blocks(level: int, first: int, counts: Floats) -> BlockCounts:
    """Return block counts that hold floats, because sums of numbers are beside the counts."""
    return BlockCounts(level, first, counts)  # type: ignore[arg-type] # all its methods keep the type of the array


@dataclass(frozen=True, slots=True, eq=False)
class ValueTables:
    """
    Numbers that a guardrail observed for one variant, counted and added up by bin of their size.

    ``a + b`` are the numbers of two processes together.

    Attributes:
        bins: numbers of the bins in use, ascending, shape (bins,): see `value_edges`.
        squares: sums of the squared distances from the edge of the bin that is nearer to 0, shape (bins,).
        blocks: observations and their sum by block of time, shape (blocks, bins, 2).
        keys: observations with a key and their sum by bucket of the key, shape (`KEY_BUCKETS`, bins, 2). It has no
            buckets if no observation had a key.
    """

    bins: NDArray[np.int64]
    squares: Floats
    blocks: BlockCounts
    keys: Floats

    @classmethod
    def none(cls) -> ValueTables:
        """Return tables without any number."""
        return cls(
            np.zeros(0, dtype=np.int64), np.zeros(0), float_blocks(0, 0, np.zeros((0, 0, 2))), np.zeros((0, 0, 2))
        )

    def __add__(self, other: ValueTables) -> ValueTables:
        bins = np.union1d(self.bins, other.bins)
        mine, others = self.over(bins), other.over(bins)
        keys = mine.keys + others.keys if len(mine.keys) and len(others.keys) else mine.keys
        return ValueTables(
            bins, mine.squares + others.squares, mine.blocks + others.blocks, keys if len(keys) else others.keys
        )

    def over(self, bins: NDArray[np.int64]) -> ValueTables:
        """Return these tables with columns for *bins*, ascending, which have all bins in use."""
        if np.array_equal(bins, self.bins):
            return self
        columns = np.searchsorted(bins, self.bins)
        blocks, keys = (np.zeros((len(table), len(bins), 2)) for table in (self.blocks, self.keys))
        blocks[:, columns], keys[:, columns] = self.blocks.counts, self.keys
        squares = np.zeros(len(bins))
        squares[columns] = self.squares
        return ValueTables(bins, squares, float_blocks(self.blocks.level, self.blocks.first, blocks), keys)

    @property
    def count(self) -> int:
        """Number of observations."""
        return int(self.blocks.counts[..., 0].sum())

    def count_rate(self) -> tuple[BlockCounts, Counts]:
        """
        Return the observations of a guardrail of the kind "rate", and those that were true.

        Returns:
            (by block of time, shape (blocks, 2); by bucket of their key, shape (`KEY_BUCKETS`, 2)).
        """
        true = self.bins == value_bin(1.0)
        blocks, keys = (
            np.stack([table[..., 0].sum(axis=1), table[:, true, 0].sum(axis=1)], axis=-1).astype(np.int64)
            for table in (self.blocks.counts, self.keys)
        )
        buckets = keys if len(keys) else np.zeros((KEY_BUCKETS, 2), dtype=np.int64)
        return BlockCounts(self.blocks.level, self.blocks.first, blocks), buckets


class ValueRecorder:
    """Collects the numbers that a guardrail observes for one variant. It takes no lock."""

    __slots__ = ("_blocks", "_columns", "_first", "_keys", "_level", "_squares", "_used")

    def __init__(self) -> None:
        self._columns: dict[int, int] = {}
        self._squares: list[float] = []
        self._blocks = np.zeros((BLOCKS, FIRST_COLUMNS, 2))
        self._keys: Floats | None = None
        self._level = self._first = self._used = 0

    def add(self, value: float, now: float, bucket: int | None = None) -> None:
        """
        Add a number.

        Args:
            value: a finite number of at most `MAX_VALUE`.
            now: Unix time in seconds. If the clock was set back to before the first block, the first block is meant.
            bucket: bucket of the key; None without a key.
        """
        number = value_bin(value)
        column = self._column(number)
        self._squares[column] += (value - near_edge(number)) ** 2
        block = self._block(now)  # this may replace the array
        cell = self._blocks[block, column]
        cell[0] += 1.0
        cell[1] += value
        if bucket is not None:
            if self._keys is None:
                self._keys = np.zeros((KEY_BUCKETS, self._blocks.shape[1], 2))
            cell = self._keys[bucket, column]
            cell[0] += 1.0
            cell[1] += value

    def _column(self, number: int) -> int:
        column = self._columns.get(number)
        if column is None:
            column = len(self._squares)
            if column == self._blocks.shape[1]:
                self._blocks = np.concatenate([self._blocks, np.zeros_like(self._blocks)], axis=1)
                if self._keys is not None:
                    self._keys = np.concatenate([self._keys, np.zeros_like(self._keys)], axis=1)
            self._columns[number] = column
            self._squares.append(0.0)
        return column

    def _block(self, now: float) -> int:
        seconds: int = max(0, min(int(now), 2**MAX_LEVEL))
        if not self._used:
            self._first = seconds >> self._level
        index = (seconds >> self._level) - self._first
        while index >= BLOCKS:
            self._fold()
            index = (seconds >> self._level) - self._first
        index = max(0, index)
        self._used = max(self._used, index + 1)
        return index

    def _fold(self) -> None:
        table = float_blocks(self._level, self._first, self._blocks[: self._used]).at_level(self._level + 1)
        blocks = np.zeros_like(self._blocks)
        blocks[: len(table)] = table.counts
        self._blocks, self._level, self._first, self._used = blocks, table.level, table.first, len(table)

    def read(self) -> ValueTables:
        """Return a copy of the tables."""
        bins = np.array(sorted(self._columns), dtype=np.int64)
        columns = [self._columns[number] for number in bins.tolist()]
        blocks = float_blocks(self._level, self._first, self._blocks[: self._used, columns])
        squares = np.array([self._squares[column] for column in columns])
        keys = np.zeros((0, len(bins), 2)) if self._keys is None else self._keys[:, columns]
        return ValueTables(bins, squares, blocks, keys)
