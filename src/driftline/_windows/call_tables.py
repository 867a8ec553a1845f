"""`CallTables`: the calls of one variant of a canary, by block of time and by bucket of keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from driftline._runtime.call_keys import KEY_BUCKETS, ROW_KEY_BUCKETS
from driftline._windows.blocks import BlockCounts
from driftline._windows.totals import DURATION_EDGES, KEY_DURATION_EDGES
from driftline.typing import Counts

__all__ = ["CallTables"]


@dataclass(frozen=True, slots=True, eq=False)
class CallTables:
    """
    Calls of one variant by block of time and by bucket of their keys.

    ``a + b`` are the calls of two processes together, ``later - earlier`` those between two readings of one process.

    Attributes:
        calls: shape (blocks, 2): calls, and those that raised.
        durations: shape (blocks, edges + 1): calls that returned, by bin of `DURATION_EDGES`, without the warm-up.
        warm_up: shape (edges + 1,): calls that returned during the warm-up of their process, by bin of their duration.
        keys: shape (`KEY_BUCKETS`, 2): calls with a key, and those that raised, by bucket of the key.
        bins: for each feature and the prediction by name, rows per bin, shape (blocks, bins). Blocks are as many as
            memory allows, so fewer than of *calls*.
        key_durations: shape (`KEY_BUCKETS`, bins): calls with a key that returned, by bucket of the key and by bin of
            `KEY_DURATION_EDGES`. Exported evidence has none of them.
        row_keys: shape (`ROW_KEY_BUCKETS`,): rows of batches with a key of their own, by bucket of the key modulo that.
    """

    calls: BlockCounts
    durations: BlockCounts
    warm_up: Counts
    keys: Counts
    bins: Mapping[str, BlockCounts] = field(default_factory=dict)
    key_durations: Counts = field(
        default_factory=lambda: np.zeros((KEY_BUCKETS, len(KEY_DURATION_EDGES) + 1), dtype=np.int64)
    )
    row_keys: Counts = field(default_factory=lambda: np.zeros(ROW_KEY_BUCKETS, dtype=np.int64))

    @classmethod
    def none(cls) -> CallTables:
        """Return tables without calls."""
        size = len(DURATION_EDGES) + 1
        return cls(
            BlockCounts.none(2),
            BlockCounts.none(size),
            np.zeros(size, dtype=np.int64),
            np.zeros((KEY_BUCKETS, 2), dtype=np.int64),
        )

    def __add__(self, other: CallTables) -> CallTables:
        return self._combine(other, 1)

    def __sub__(self, earlier: CallTables) -> CallTables:
        return self._combine(earlier, -1)

    def _combine(self, other: CallTables, sign: int) -> CallTables:
        bins = dict(self.bins)
        for name, counts in other.bins.items():
            mine = bins.get(name)
            if mine is None:
                mine = BlockCounts.none(*counts.counts.shape[1:])
            bins[name] = mine + counts if sign > 0 else mine - counts
        return CallTables(
            self.calls + other.calls if sign > 0 else self.calls - other.calls,
            self.durations + other.durations if sign > 0 else self.durations - other.durations,
            self.warm_up + sign * other.warm_up,
            self.keys + sign * other.keys,
            bins,
            self.key_durations + sign * other.key_durations,
            self.row_keys + sign * other.row_keys,
        )

    @property
    def has_keys(self) -> bool:
        """Whether any call had a key."""
        return bool(self.keys.any())
