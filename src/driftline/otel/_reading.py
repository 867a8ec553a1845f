"""The values of one monitor at one instant, as the instruments export them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from driftline import semconv as sc
from driftline.canary import Criterion
from driftline.canary._export import Point
from driftline.outcomes._performance import Performance
from driftline.results import CanaryState, FeatureStatus, Score
from driftline.typing import Counts

__all__ = ["Reading", "merged_points"]


@dataclass(frozen=True, slots=True)
class Reading:
    """
    The values of one monitor at one instant. Empty parts export nothing.

    Attributes:
        attributes: model, version and variant.
        served: the number of predictions.
        failed: the number of predictions that raised, by error type.
        dropped: the number of rows that are in no window, by reason.
        errors: the number of errors of driftline and of user functions, by place.
        scores: the distances of the last windows.
        status: the states of features, detectors and limits.
        bins: the exported counts per bin, by (fingerprint of the reference, name of the feature).
        outcomes: the number of outcomes, by result.
        accuracy: the share of right predictions among the latest outcomes, from 0 to 1. None without outcomes.
        accuracy_estimated: the accuracy expected of the predictions in the window, from 0 to 1. None if unknown.
        retraining_requests: the number of requests, by reason.
        retraining_queue: the number of requests in the queue, by kind and state.
        retraining_transitions: the number of reported changes of the state of requests, by state.
        canary: the state of the last verdict, or None without one. "ended" if the canary has ended in this process.
        canary_id: the id of the canary, if it was given.
        canary_points: the evidence of canaries, as points of metrics.
        performance: metrics of the latest outcomes.
        evidence: the criteria of the last verdict.
        info: the attributes of ``ml.monitor.info`` beside those of the model. None if the source is no monitor.
        process: the id of the process in exported counts.
    """

    attributes: Mapping[str, str]
    served: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    scores: Sequence[Score] = ()
    status: Mapping[str, FeatureStatus] = field(default_factory=dict)
    bins: Mapping[tuple[str, str], Counts] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    accuracy: float | None = None
    accuracy_estimated: float | None = None
    retraining_requests: Mapping[str, int] = field(default_factory=dict)
    retraining_queue: Mapping[tuple[str, str], int] = field(default_factory=dict)
    canary: CanaryState | Literal["ended"] | None = None
    canary_id: str | None = None
    canary_points: Mapping[sc.Metric, Sequence[Point]] = field(default_factory=dict)
    performance: Sequence[Performance] = ()
    evidence: Sequence[Criterion] = ()
    info: Mapping[str, str | int] | None = None
    process: str = ""
    retraining_transitions: Mapping[str, int] = field(default_factory=dict)

    def counters(self) -> Reading:
        """Return a reading with the counters alone, which are still exported after the monitor was shut down."""
        return Reading(
            self.attributes,
            self.served,
            self.failed,
            self.dropped,
            self.errors,
            bins=self.bins,
            outcomes=self.outcomes,
            retraining_requests=self.retraining_requests,
            retraining_transitions=self.retraining_transitions,
        )

    def states(self) -> Reading:
        """Return a reading with all but the counters."""
        return Reading(
            self.attributes,
            scores=self.scores,
            status=self.status,
            accuracy=self.accuracy,
            accuracy_estimated=self.accuracy_estimated,
            retraining_queue=self.retraining_queue,
            canary=self.canary,
            canary_id=self.canary_id,
            canary_points=self.canary_points,
            performance=self.performance,
            evidence=self.evidence,
            info=self.info,
        )

    def over(self, earlier: Reading) -> Reading:
        """Return these states, and those of an earlier monitor of the same model that this one does not have."""
        scored = {(score.feature, score.distance, score.length) for score in self.scores}
        kept = [score for score in earlier.scores if (score.feature, score.distance, score.length) not in scored]
        return Reading(
            self.attributes,
            scores=(*kept, *self.scores),
            status={**earlier.status, **self.status},
            accuracy=earlier.accuracy if self.accuracy is None else self.accuracy,
            accuracy_estimated=(
                earlier.accuracy_estimated if self.accuracy_estimated is None else self.accuracy_estimated
            ),
            retraining_queue={**earlier.retraining_queue, **self.retraining_queue},
            canary=self.canary or earlier.canary,
            canary_id=self.canary_id if self.canary else earlier.canary_id,
            canary_points=merged_points((earlier.canary_points, self.canary_points)),
            performance=self.performance or earlier.performance,
            evidence=self.evidence if self.canary else earlier.evidence,
            info=earlier.info if self.info is None else self.info,
        )

    def plus(self, other: Reading) -> Reading:
        """Return the sum of the counters of two monitors of one model, version and variant. Other parts are empty."""
        bins = dict(self.bins)
        for key, counts in other.bins.items():
            # Equal fingerprints mean equal bins.
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
            retraining_transitions=_sum(self.retraining_transitions, other.retraining_transitions),
        )


def merged_points(parts: Iterable[Mapping[sc.Metric, Sequence[Point]]]) -> dict[sc.Metric, list[Point]]:
    """Return the points of several canaries together, by metric."""
    merged: dict[sc.Metric, list[Point]] = {}
    for part in parts:
        for metric, points in part.items():
            merged.setdefault(metric, []).extend(points)
    return merged


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    """Return the sums of two mappings by key. A missing key counts as 0."""
    return {key: first.get(key, 0) + second.get(key, 0) for key in (*first, *second)}
