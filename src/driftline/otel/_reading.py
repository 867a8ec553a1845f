"""The values of one monitor at one moment, as the instruments export them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from driftline.canary import Criterion
from driftline.outcomes._metrics import Performance
from driftline.results import (
    CanaryState,
    FeatureStatus,
    Score,
)
from driftline.typing import Counts

__all__ = [
    "Reading",
]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a monitor has to say at one moment; empty parts yield nothing."""

    attributes: Mapping[str, str]
    served: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    scores: Sequence[Score] = ()
    status: Mapping[str, FeatureStatus] = field(default_factory=dict)
    bins: Mapping[tuple[str, str], Counts] = field(default_factory=dict)
    """Counts per bin, by the fingerprint of the reference and the feature."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    accuracy: float | None = None
    accuracy_estimated: float | None = None
    retraining_requests: Mapping[str, int] = field(default_factory=dict)
    retraining_queue: Mapping[str, int] = field(default_factory=dict)
    canary: CanaryState | None = None
    performance: Sequence[Performance] = ()
    evidence: Sequence[Criterion] = ()

    def counters(self) -> Reading:
        """The part that adds up for ever: what is left of a monitor that was shut down."""
        return Reading(
            self.attributes,
            self.served,
            self.failed,
            self.dropped,
            self.errors,
            bins=self.bins,
            outcomes=self.outcomes,
            retraining_requests=self.retraining_requests,
        )

    def plus(self, other: Reading) -> Reading:
        """The counters of both; they are of one model, version and variant."""
        bins = dict(self.bins)
        for key, counts in other.bins.items():
            # Of equal fingerprint are equal bins.
            bins[key] = bins[key] + counts if key in bins else counts
        return Reading(
            self.attributes,
            self.served + other.served,
            _sum(self.failed, other.failed),
            _sum(self.dropped, other.dropped),
            _sum(self.errors, other.errors),
            bins=bins,
            outcomes=_sum(self.outcomes, other.outcomes),
            retraining_requests=_sum(self.retraining_requests, other.retraining_requests),
        )


def _sum(ours: Mapping[str, int], theirs: Mapping[str, int]) -> dict[str, int]:
    return {key: ours.get(key, 0) + theirs.get(key, 0) for key in (*ours, *theirs)}
