"""`Totals`: counts of rows and calls since the process started."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from driftline.typing import Counts

__all__ = ["DURATION_EDGES", "Totals", "count_seconds"]

DURATION_EDGES = np.logspace(-6, 3, 901)
"""Edges of the bins of durations in seconds: 1 µs to 1000 s, 100 per decade. A quantile is off by at most 2.4 %."""


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
    """

    counts: Counts
    rows: int = 0
    served: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    failed_calls: int = 0
    batches: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    durations: Counts = field(default_factory=lambda: np.zeros(len(DURATION_EDGES) + 1, dtype=np.int64))

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
        )

    def add_calls(self, other: Totals) -> None:
        """Add the counts of *other* that do not depend on bins: rows served, failed and dropped, calls, durations."""
        self.served += other.served
        self.failed_calls += other.failed_calls
        self.batches += other.batches
        self.durations += other.durations
        for counts, others in ((self.failed, other.failed), (self.dropped, other.dropped)):
            for key, count in others.items():
                counts[key] = counts.get(key, 0) + count


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
