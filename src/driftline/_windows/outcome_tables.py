"""`OutcomeTables`: predictions and outcomes of one variant of a canary, by the time of the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._windows.blocks import BlockCounts
from driftline._windows.recent_blocks import RecentBlocks
from driftline.typing import Counts

__all__ = ["AGE_EDGES", "BAD", "GOOD", "PREDICTED", "OutcomeTables"]

PREDICTED, BAD, GOOD = 0, 1, 2
"""Columns: predictions that were remembered with an id, those with a wrong outcome so far, those with a right one."""

_HOUR, _DAY = 3_600.0, 86_400.0

AGE_EDGES = (
    1.0,
    10.0,
    60.0,
    600.0,
    _HOUR,
    6 * _HOUR,
    12 * _HOUR,
    *(days * _DAY for days in (1, 2, 3, 5, 7, 10, 14, 21, 30)),
)
"""
Edges of the classes of delay, in seconds between a prediction and its outcome. The classes are wider for longer delays,
because what a canary must know is when nearly all outcomes have come.
"""


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeTables:
    """
    Predictions with an id, and what their outcomes have shown so far, by the *time of the prediction*.

    Two variants are compared within a block: its predictions have the same age, so that delays need no model.
    ``a + b`` are the counts of two processes together, ``later - earlier`` those between two readings of one process. A
    corrected outcome moves a count from one column to another, so a difference may be negative.

    A difference has the delays of all outcomes of the later reading: how late outcomes come is learned from all of
    them, also from those of predictions before a canary began.

    Attributes:
        predictions: shape (blocks, 3), with the columns `PREDICTED`, `BAD` and `GOOD`.
        keys: shape (`KEY_BUCKETS`, 3), the same columns: predictions with a key, by bucket of the key.
        delays: shape (blocks, len(AGE_EDGES) + 1): outcomes by class of delay.
        rates: for each other rate of the outcomes by name, such as ``recall X``, shape (blocks, 2): (successes,
            trials).
        recent: *predictions* of the last blocks of several lengths, for exports.
    """

    predictions: BlockCounts
    keys: Counts
    delays: BlockCounts
    rates: Mapping[str, BlockCounts] = field(default_factory=dict)
    recent: RecentBlocks = field(default_factory=RecentBlocks.none)

    @classmethod
    def none(cls) -> OutcomeTables:
        """Return tables without predictions."""
        return cls(
            BlockCounts.none(3), np.zeros((KEY_BUCKETS, 3), dtype=np.int64), BlockCounts.none(len(AGE_EDGES) + 1)
        )

    def __add__(self, other: OutcomeTables) -> OutcomeTables:
        return self._combine(other, 1)

    def __sub__(self, earlier: OutcomeTables) -> OutcomeTables:
        return self._combine(earlier, -1)

    def _combine(self, other: OutcomeTables, sign: int) -> OutcomeTables:
        rates = dict(self.rates)
        for name, counts in other.rates.items():
            mine = rates.get(name, BlockCounts.none(2))
            rates[name] = mine + counts if sign > 0 else mine - counts
        return OutcomeTables(
            self.predictions + other.predictions if sign > 0 else self.predictions - other.predictions,
            self.keys + sign * other.keys,
            self.delays + other.delays if sign > 0 else self.delays,
            rates,
            self.recent + other.recent if sign > 0 else self.recent - other.recent,
        )
