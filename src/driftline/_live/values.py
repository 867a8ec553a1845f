"""The values of a live view. The terminal and the page are drawn from them, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = [
    "CanaryView",
    "CriterionView",
    "Event",
    "FeatureView",
    "Latency",
    "LiveView",
    "ModelKey",
    "ModelView",
    "Performance",
    "Problem",
]


class ModelKey(NamedTuple):
    """The name, version and variant of a model; empty strings for what it lacks."""

    name: str
    version: str = ""
    variant: str = ""

    def __str__(self) -> str:
        version = f"version {self.version}" if self.version else ""
        return " · ".join(part for part in (self.name, version, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Event:
    """
    A change that a monitor has reported, or that two readings show.

    Attributes:
        time: Unix time in seconds.
        kind: ``"drift"``, ``"canary"`` or ``"retraining"``.
        model: the model.
        subject: the feature, or the reason of a request for retraining; empty for a canary.
        state: the new state; empty for a request for retraining.
        previous: the state before; empty if there was none.
        reason: the sentence of the monitor; empty if only the states are known.
        effect: the bias-corrected PSI at the change; None if not reported.
        p_value: the p-value at the change; None if not reported.
    """

    time: float
    kind: str
    model: ModelKey
    subject: str = ""
    state: str = ""
    previous: str = ""
    reason: str = ""
    effect: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class FeatureView:
    """
    A feature.

    Attributes:
        name: the name.
        state: ``"drifting"``, ``"stable"`` or ``"insufficient_data"``: that of the process where it is worst.
        processes: numbers of processes in each state.
        distance: the name of the distance of *score*.
        score: the distance over the shortest window, raw; None if none is exported.
        length: the length of that window; an empty string if there is none.
        changed: the last change to the present state; None if no event of it has arrived.
        course: Unix times and scores, the earliest first.
        reference: shares of the rows of the reference by bin; empty if the reference is not known.
        current: shares of recent rows by bin; empty if not known.
    """

    name: str
    state: str
    processes: Mapping[str, int] = field(default_factory=dict)
    distance: str = "psi"
    score: float | None = None
    length: str = ""
    changed: Event | None = None
    course: Sequence[tuple[float, float]] = ()
    reference: Sequence[float] = ()
    current: Sequence[float] = ()

    @property
    def effect(self) -> float | None:
        """The bias-corrected PSI at the change to the present state; None if not reported."""
        return None if self.changed is None else self.changed.effect

    @property
    def p_value(self) -> float | None:
        """The p-value at the change to the present state; None if not reported."""
        return None if self.changed is None else self.changed.p_value

    @property
    def reason(self) -> str:
        """The sentence of the monitor about the present state; empty if none has arrived."""
        return "" if self.changed is None else self.changed.reason


@dataclass(frozen=True, slots=True)
class Latency:
    """
    Durations of recent calls, interpolated within the buckets of the histogram.

    Attributes:
        calls: number of calls.
        p50: the median in seconds; infinity beyond the last bucket.
        p95: the 95 % quantile in seconds.
    """

    calls: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Performance:
    """
    A measure of the quality of predictions, with its interval.

    Attributes:
        metric: the name, such as ``"auc"``, with the class if there is one.
        value: the value.
        lower: the lower end of its interval; None if not known.
        upper: the upper end of its interval.
    """

    metric: str
    value: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Errors of a monitor, or rows that it dropped.

    Attributes:
        kind: ``"errors"`` or ``"rows dropped"``.
        where: the place of the errors, or the reason of the rows.
        count: how many.
        remedy: what to do.
    """

    kind: str
    where: str
    count: int
    remedy: str


@dataclass(frozen=True, slots=True)
class ModelView:
    """
    A version and variant of a model.

    Attributes:
        key: its name, version and variant.
        served: predictions of all processes that succeeded.
        failed: predictions that failed, by type of error.
        rate: predictions per second of late, failed ones included; None before two exports have arrived.
        latency: durations of recent calls; None without any.
        accuracy: share of the latest outcomes that were predicted right; None if not known.
        estimated: accuracy expected without outcomes; None if not known.
        outcomes: numbers of outcomes by result.
        performance: measures of quality.
        features: those that matter most come first.
        retraining: requests for retraining by reason.
        queue: requests in the queue by state.
        problems: errors and dropped rows.
        processes: number of monitors.
    """

    key: ModelKey
    served: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    rate: float | None = None
    latency: Latency | None = None
    accuracy: float | None = None
    estimated: float | None = None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    performance: Sequence[Performance] = ()
    features: Sequence[FeatureView] = ()
    retraining: Mapping[str, int] = field(default_factory=dict)
    queue: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    processes: int = 0

    @property
    def predictions(self) -> int:
        """All predictions, failed ones included."""
        return self.served + sum(self.failed.values())

    @property
    def error_rate(self) -> float | None:
        """Share of the predictions that failed; None without any."""
        return sum(self.failed.values()) / self.predictions if self.predictions else None

    @property
    def known(self) -> int:
        """Number of outcomes that are joined with a prediction."""
        graded = self.outcomes.get("correct", 0) + self.outcomes.get("incorrect", 0)
        return graded or self.outcomes.get("matched", 0)


@dataclass(frozen=True, slots=True)
class CriterionView:
    """
    The evidence about a criterion of a canary. Positive numbers are harm.

    Attributes:
        name: the name.
        harm: how much worse the candidate is; None if not known.
        lower: the lower end of the interval of the harm.
        upper: the upper end.
        allowed: the largest harm that is allowed.
    """

    name: str
    harm: float | None
    lower: float | None
    upper: float | None
    allowed: float | None


@dataclass(frozen=True, slots=True)
class CanaryView:
    """
    A canary.

    Attributes:
        model: the name of the model.
        id: the id of the canary; empty if it has none.
        state: ``"promote"``, ``"rollback"`` or ``"inconclusive"``.
        reason: the sentence of the last event about this state; empty if none has arrived.
        criteria: the evidence.
    """

    model: str
    id: str
    state: str
    reason: str = ""
    criteria: Sequence[CriterionView] = ()


@dataclass(frozen=True, slots=True)
class LiveView:
    """
    All that a live view shows at a moment.

    Attributes:
        title: the title.
        source: where the telemetry comes from.
        time: the Unix time that is shown, in seconds.
        models: the models by name, version and variant.
        canaries: the canaries.
        events: recent events, the earliest first.
        trouble: why the source cannot be read; an empty string if it can.
        hint: what to do while no telemetry has arrived; an empty string afterwards.
        progress: share of what is to come that is done, for a replay; None for a service.
        dates_only: whether times are shown as dates, for a replay that is faster than the clock.
    """

    title: str
    source: str
    time: float
    models: Sequence[ModelView] = ()
    canaries: Sequence[CanaryView] = ()
    events: Sequence[Event] = ()
    trouble: str = ""
    hint: str = ""
    progress: float | None = None
    dates_only: bool = False
