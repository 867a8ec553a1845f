"""Collects the telemetry that arrives through OTLP, from which the screen and the summary are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline import semconv as sc
from driftline.demo.flights import hour_to_date

__all__ = ["DAY_BEGAN", "SIMULATED_HOUR", "DriftEvent", "Received", "VerdictEvent"]

SIMULATED_HOUR = "demo.simulated_hour"
"""The name of the demo's gauge of simulated time, in hours since `START`."""

DAY_BEGAN = "demo.day.began"
"""The name of the demo's event at the start of a simulated day. Later events happened on that day."""

RECENT_EXPORTS = 4
"""Number of latest exports whose counts the histograms show."""


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A change of a feature's state, with the simulated hour of the change."""

    hour: float
    feature: str
    previous: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class VerdictEvent:
    """A change of the verdict on the candidate, with the simulated hour of the change."""

    hour: float
    previous: str
    state: str
    reason: str


@dataclass(slots=True)
class Received:
    """
    The latest values of the metrics that have arrived, and all events.

    Args:
        variant: the variant whose features are kept.
    """

    variant: str
    hour: float = 0.0
    day: float = 0.0
    requests: int = 0
    served: dict[str, int] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    psi: dict[str, float] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    estimated: dict[str, float] = field(default_factory=dict)
    early_estimates: dict[str, tuple[float, float]] = field(default_factory=dict)
    """The hour and value of each variant's first estimate of accuracy, if it arrived before any outcome."""
    outcomes: dict[str, int] = field(default_factory=dict)
    canary: str = ""
    canary_reason: str = ""
    retraining: list[tuple[float, str]] = field(default_factory=list)
    drift: list[DriftEvent] = field(default_factory=list)
    verdicts: list[VerdictEvent] = field(default_factory=list)
    _bins: dict[str, dict[int, int]] = field(default_factory=dict)
    _history: deque[dict[str, dict[int, int]]] = field(default_factory=lambda: deque(maxlen=RECENT_EXPORTS))

    @property
    def total(self) -> int:
        """Number of predictions that all variants have served."""
        return sum(self.served.values())

    def outcomes_known(self, variant: str) -> tuple[int, int]:
        """Return (outcomes that are correct or incorrect, outcomes that are correct) of a variant so far."""
        right = self.outcomes.get(f"{variant} correct", 0)
        return right + self.outcomes.get(f"{variant} incorrect", 0), right

    def counts(self, feature: str, bins: int) -> NDArray[np.int64]:
        """Return a feature's rows per bin in the last `RECENT_EXPORTS` exports; *bins* is the number of bins."""
        latest = self._bins.get(feature, {})
        earlier = self._history[0].get(feature, {}) if self._history else {}
        return np.array([latest.get(index, 0) - earlier.get(index, 0) for index in range(bins)])

    def add_metrics(self, request: Any) -> None:
        """Update the values with the metrics of an ``ExportMetricsServiceRequest``."""
        self.requests += 1
        bins: dict[str, dict[int, int]] = {}
        for name, attributes, value in _points(request):
            variant = str(attributes.get(sc.ML_MODEL_VARIANT, ""))
            if name == SIMULATED_HOUR:
                self.hour = max(self.hour, value)
            elif name == sc.METRIC_PREDICTIONS_SERVED.name and "error.type" not in attributes:
                self.served[variant] = int(value)
            elif name == sc.METRIC_OUTCOMES.name:
                self.outcomes[f"{variant} {attributes[sc.ML_OUTCOME_RESULT]}"] = int(value)
            elif name == sc.METRIC_MODEL_ACCURACY.name:
                self.accuracy[variant] = value
            elif name == sc.METRIC_MODEL_ACCURACY_ESTIMATED.name:
                self.estimated[variant] = value
            elif name == sc.METRIC_CANARY_STATUS.name and value:
                self.canary = str(attributes[sc.ML_CANARY_STATE])
            elif variant == self.variant:
                self._add_feature_point(name, attributes, value, bins)
        if bins:
            self._history.append(self._bins)
            self._bins = bins
        self._keep_early_estimates()

    def _keep_early_estimates(self) -> None:
        for variant in self.estimated.keys() - self.accuracy.keys() - self.early_estimates.keys():
            self.early_estimates[variant] = self.hour, self.estimated[variant]

    def _add_feature_point(
        self, name: str, attributes: Mapping[str, Any], value: float, bins: dict[str, dict[int, int]]
    ) -> None:
        feature = str(attributes.get(sc.ML_FEATURE_NAME, ""))
        if name == sc.METRIC_FEATURE_DRIFT_STATUS.name and value:
            self.states[feature] = str(attributes[sc.ML_FEATURE_DRIFT_STATE])
        elif name == sc.METRIC_FEATURE_DRIFT_SCORE.name and attributes[sc.ML_DRIFT_DISTANCE] == "psi":
            self.psi[feature] = value
        elif name == sc.METRIC_FEATURE_OBSERVATIONS.name:
            bins.setdefault(feature, {})[int(attributes[sc.ML_FEATURE_BIN])] = int(value)

    def add_logs(self, request: Any) -> None:
        """Add the events of an ``ExportLogsServiceRequest``, in the order of their times."""
        records = [
            record
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
        # A request groups its events by scope. Their times give the order.
        for record in sorted(records, key=lambda record: int(record.time_unix_nano)):
            self._add_event(record.event_name, _to_dict(record.attributes))

    def _add_event(self, name: str, attributes: Mapping[str, Any]) -> None:
        hour = self.day
        if name == DAY_BEGAN:
            self.day = float(attributes[SIMULATED_HOUR])
        elif name == sc.EVENT_FEATURE_DRIFT_STATE_CHANGED:
            if attributes.get(sc.ML_MODEL_VARIANT) == self.variant:
                feature, reason = str(attributes[sc.ML_FEATURE_NAME]), str(attributes[sc.ML_DRIFT_REASON])
                previous = str(attributes[sc.ML_FEATURE_DRIFT_PREVIOUS_STATE])
                state = str(attributes[sc.ML_FEATURE_DRIFT_STATE])
                self.drift.append(DriftEvent(hour, feature, previous, state, reason))
        elif name == sc.EVENT_CANARY_VERDICT_CHANGED:
            self.canary_reason = str(attributes[sc.ML_CANARY_REASON])
            previous, state = str(attributes[sc.ML_CANARY_PREVIOUS_STATE]), str(attributes[sc.ML_CANARY_STATE])
            self.verdicts.append(VerdictEvent(hour, previous, state, self.canary_reason))
        elif name == sc.EVENT_RETRAINING_REQUESTED:
            reason = str(attributes[sc.ML_DRIFT_REASON])
            if attributes[sc.ML_RETRAINING_REASON] == "drift":
                # Each feature has an event with details, so the names are enough.
                latest = {event.feature: event.state for event in self.drift}
                names = [feature for feature, state in latest.items() if state == "drifting"]
                reason = f"{', '.join(names)} {'drifts' if len(names) == 1 else 'drift'}"
            self.retraining.append((hour, reason))

    @property
    def date(self) -> str:
        """The simulated date, such as ``"2013-05-01"``."""
        return f"{hour_to_date(self.hour):%Y-%m-%d}"


def _points(request: Any) -> Iterator[tuple[str, dict[str, Any], float]]:
    """
    Yield (name of the metric, attributes, value) of each data point of a sum or gauge.

    *request* is an OTLP export of metrics, as parsed protobuf.
    """
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind in {"sum", "gauge"}:
                    for point in getattr(metric, kind).data_points:
                        number = getattr(point, point.WhichOneof("value"))
                        yield metric.name, _to_dict(point.attributes), float(number)


def _to_dict(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}
