"""`Totals`: counts of rows and calls since the process started."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from driftline._runtime.call_keys import KEY_BUCKETS, ROW_KEY_BUCKETS
from driftline.typing import Counts

__all__ = [
    "DURATION_EDGES",
    "KEY_DURATION_EDGES",
    "Totals",
    "count_key_seconds",
    "count_row_keys",
    "count_seconds",
]

DURATION_EDGES = np.logspace(-6, 3, 901)
"""Edges of the bins of durations in seconds: 1 µs to 1000 s, 100 per decade. A quantile is off by at most 2.4 %."""

KEY_DURATION_EDGES = DURATION_EDGES[::20]
"""
Edges of the bins of durations by bucket of the key, in seconds, 5 per decade. They only estimate how much the calls of
a key depend on each other, and 47 bins of 128 buckets take 48 KB.
"""

KEY_COLUMNS = 2 + len(KEY_DURATION_EDGES) + 1
"""Columns of `Totals.keys`."""


@dataclass(slots=True)
class Totals:
    """
    Counts of rows and calls since the process started. Counters export them, and canaries compare them.

    Attributes:
        counts: rows per bin of all features, shape (bins,).
        rows: rows that are counted in the bins.
        served: rows of calls that returned.
        failed: name of the exception to rows of calls that raised it.
        failed_calls: calls that raised.
        batches: batches that `Monitor.observe` recorded, without a call.
        dropped: reason to rows that could not be counted.
        durations: calls per bin of `DURATION_EDGES`, shape (edges + 1,): below the first edge, between, above the last.
        keys: calls with a key, those that raised, and those that returned per bin of `KEY_DURATION_EDGES`, by bucket of
            the key, shape (`KEY_BUCKETS`, `KEY_COLUMNS`). A batch is one call, without a duration, which has a key if
            all its rows have the same bucket. So keys never exceed the calls.
        row_keys: rows of batches with a key of their own, by bucket of the key modulo `ROW_KEY_BUCKETS`.
        warm_up: what *durations* was when the warm-up ended. If None, it has not ended, or no canary has asked for it.
    """

    counts: Counts
    rows: int = 0
    served: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    failed_calls: int = 0
    batches: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    durations: Counts = field(default_factory=lambda: np.zeros(len(DURATION_EDGES) + 1, dtype=np.int64))
    keys: Counts = field(default_factory=lambda: np.zeros((KEY_BUCKETS, KEY_COLUMNS), dtype=np.int64))
    row_keys: Counts = field(default_factory=lambda: np.zeros(ROW_KEY_BUCKETS, dtype=np.int64))
    warm_up: Counts | None = None

    def calls(self) -> Counts:
        """Return the number of calls, a batch being one, and of those that raised, shape (2,)."""
        return np.array([int(self.durations.sum()) + self.failed_calls + self.batches, self.failed_calls])

    def copy(self) -> Totals:
        """Return an independent copy."""
        return Totals(
            self.counts.copy(),
            self.rows,
            self.served,
            dict(self.failed),
            self.failed_calls,
            self.batches,
            dict(self.dropped),
            self.durations.copy(),
            self.keys.copy(),
            self.row_keys.copy(),
            self.warm_up,
        )

    def add_calls(self, other: Totals) -> None:
        """Add the counts of *other* that do not depend on bins: rows served, failed and dropped, and those of calls."""
        self.served += other.served
        self.failed_calls += other.failed_calls
        self.batches += other.batches
        self.durations += other.durations
        self.keys += other.keys
        self.row_keys += other.row_keys
        for counts, others in ((self.failed, other.failed), (self.dropped, other.dropped)):
            for key, count in others.items():
                counts[key] = counts.get(key, 0) + count


def count_key_seconds(buckets: Sequence[int], seconds: Sequence[float]) -> Counts:
    """
    Count calls that returned as `Totals.keys` does.

    Args:
        buckets: the bucket of the key of each call.
        seconds: the durations, as many. None of them is nan.

    Returns:
        Shape (`KEY_BUCKETS`, `KEY_COLUMNS`).
    """
    keys = np.zeros((KEY_BUCKETS, KEY_COLUMNS), dtype=np.int64)
    if not len(buckets):
        return keys
    floats = np.frombuffer(struct.pack(f"{len(seconds)}d", *seconds))
    columns = 2 + np.searchsorted(KEY_DURATION_EDGES, floats, side="right")
    np.add.at(keys, (np.asarray(buckets), columns), 1)
    keys[:, 0] = keys[:, 2:].sum(axis=1)
    return keys


def count_row_keys(buckets: Iterable[int | None]) -> Counts:
    """Return the rows of a batch as `Totals.row_keys` has them, from the bucket of the key of each row."""
    keyed = [bucket for bucket in buckets if bucket is not None]
    return np.bincount(np.array(keyed, dtype=np.int64) % ROW_KEY_BUCKETS, minlength=ROW_KEY_BUCKETS)


def count_seconds(seconds: Sequence[float]) -> tuple[Counts, int]:
    """
    Count durations in the bins of `DURATION_EDGES`, except nan.

    Returns:
        Counts of shape (edges + 1,), and the number of durations that are not nan.
    """
    # They are floats of driftline, so that a look at their types, as in `as_floats`, is not needed.
    floats = np.frombuffer(struct.pack(f"{len(seconds)}d", *seconds))
    counts = np.bincount(np.searchsorted(DURATION_EDGES, floats, side="right"), minlength=len(DURATION_EDGES) + 1)
    missing = int(np.count_nonzero(np.isnan(floats)))
    counts[-1] -= missing  # nan is above the last edge
    return counts, len(seconds) - missing
