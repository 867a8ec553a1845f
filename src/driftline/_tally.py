"""Counts since the start of this process."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from driftline._timing import DURATION_EDGES
from driftline._values import Counts

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Counts since the start of this process: what counters export and canaries compare."""

    counts: Counts
    rows: int = 0
    served: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    durations: Counts = field(default_factory=lambda: np.zeros(len(DURATION_EDGES) + 1, dtype=np.int64))

    def copy(self) -> Tally:
        """A tally that later rows do not change."""
        return Tally(
            self.counts.copy(),
            self.rows,
            self.served,
            dict(self.failed),
            dict(self.dropped),
            self.durations.copy(),
        )

    def add_calls(self, other: Tally) -> None:
        """Add what is known of calls whatever their features are."""
        self.served += other.served
        self.durations += other.durations
        for ours, theirs in ((self.failed, other.failed), (self.dropped, other.dropped)):
            for key, count in theirs.items():
                ours[key] = ours.get(key, 0) + count
