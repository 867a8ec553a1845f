"""Two samples in hand: stateless functions for a script, a notebook or a nightly job."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftline._capture.columns import as_floats
from driftline._capture.tables import is_column, read_table
from driftline.errors import ConfigurationError
from driftline.otel import Instruments, MeterProvider, Reading, instruments_for
from driftline.results import CanaryState, FeatureStatus, Score
from driftline.semconv import ML_MODEL_NAME

__all__ = [
    "CanaryVerdict",
    "DriftReport",
    "build_observability_snapshot",
    "compute_mean_drift",
    "detect_drift_across_features",
    "enqueue_retraining_tasks",
    "evaluate_canary",
    "record_snapshot",
    "should_trigger_retraining",
]

FEATURE = "feature_value"
"""The name that a report has when nobody gave one."""

LEAST_SPREAD = 1e-6
"""Stands in for the standard deviation of a constant baseline."""

LEAST_ACCURACY, MOST_LATENCY = 0.78, 0.5
"""Retraining is due below this accuracy, or above this many seconds."""

ERROR_RATIO = 1.2
"""A candidate's error rate may be the baseline's times this."""

DECIMALS = 4

MODEL = "oneshot"
"""``ml.model.name`` of what `record_snapshot` exports: a snapshot does not know its model."""

LENGTH = "sample"
"""``ml.window.length`` of the same: two samples are no window."""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """Means of two samples, their distance in standard deviations of the baseline, and whether that is too much."""

    feature: str
    baseline_mean: float
    current_mean: float
    drift_score: float
    triggered: bool


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """Whether to promote, why, and the numbers that decided."""

    promote: bool
    reason: str
    metrics: dict[str, float]


def compute_mean_drift(baseline: Any, current: Any, *, threshold: float = 0.2) -> DriftReport:
    """
    Compare the means of two samples: |difference| / population standard deviation of the baseline.

    The decision is taken on the unrounded score; the numbers of the report are rounded to 4 decimals.

    Raises:
        ValueError: a sample is empty.

    >>> compute_mean_drift([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]).drift_score
    1.2247
    """
    return _report(FEATURE, baseline, current, threshold)


def _report(feature: str, baseline: Any, current: Any, threshold: float) -> DriftReport:
    before, after = _sample(baseline, "baseline"), _sample(current, "current")
    # By its range: rounding gives a constant such as 0.1, 0.1, 0.1 a standard deviation that is not quite 0.
    constant = before.min() == before.max()
    spread = LEAST_SPREAD if constant else float(before.std()) or LEAST_SPREAD
    score = abs(float(after.mean()) - float(before.mean())) / spread
    return DriftReport(
        feature,
        round(float(before.mean()), DECIMALS),
        round(float(after.mean()), DECIMALS),
        round(score, DECIMALS),
        score >= threshold,
    )


def _sample(values: Any, what: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    sample = as_floats(values if is_column(values) else list(values))
    if not len(sample):
        msg = f"{what}: an empty sample, expected at least one value"
        raise ValueError(msg)
    return sample


def detect_drift_across_features(
    baseline_frame: Any, current_frame: Any, *, threshold: float = 0.2
) -> dict[str, DriftReport]:
    """
    `compute_mean_drift` of every column of the baseline that the current frame has too.

    Args:
        baseline_frame: a dict of columns, or a frame of any library.
        current_frame: likewise.
        threshold: of the score.

    Raises:
        ConfigurationError: one of the two is no frame with named columns.
        ValueError: a column is empty.
    """
    before, after = _columns(baseline_frame, "baseline_frame"), _columns(current_frame, "current_frame")
    return {name: _report(name, column, after[name], threshold) for name, column in before.items() if name in after}


def _columns(frame: Any, what: str) -> dict[str, Any]:
    if isinstance(frame, Mapping):
        return {str(name): column for name, column in frame.items()}  # two samples of a column may differ in length
    try:
        table = read_table(frame)
    except (TypeError, ValueError) as error:
        msg = f"{what}: {error}"
        raise ConfigurationError(msg) from error
    if table.names is None:
        msg = f"{what}: columns without names, expected named ones"
        raise ConfigurationError(msg)
    return dict(zip(table.names, table.columns, strict=True))


def should_trigger_retraining(report: DriftReport, *, accuracy: float, latency: float) -> bool:
    """Whether the report triggered, accuracy is below 0.78, or latency above 0.5 seconds."""
    return report.triggered or accuracy < LEAST_ACCURACY or latency > MOST_LATENCY


def enqueue_retraining_tasks(
    reports: Mapping[str, DriftReport] | Sequence[DriftReport], *, accuracy: float, latency: float
) -> list[str]:
    """The features whose reports ask for retraining."""
    each = reports.values() if isinstance(reports, Mapping) else reports
    return [report.feature for report in each if should_trigger_retraining(report, accuracy=accuracy, latency=latency)]


def evaluate_canary(
    baseline_metrics: Mapping[str, float],
    candidate_metrics: Mapping[str, float],
    *,
    allowed_latency_delta: float = 0.05,
    min_accuracy: float = 0.8,
) -> CanaryVerdict:
    """
    Judge a candidate by its ``accuracy``, ``latency`` (seconds) and ``error_rate``, in this order; what is absent is 0.

    >>> evaluate_canary({"latency": 0.1}, {"accuracy": 0.9, "latency": 0.12}).reason
    'Canary healthy'
    """
    accuracy = candidate_metrics.get("accuracy", 0.0)
    if accuracy < min_accuracy:
        return CanaryVerdict(promote=False, reason="Accuracy below threshold", metrics={"accuracy": accuracy})
    delta = candidate_metrics.get("latency", 0.0) - baseline_metrics.get("latency", 0.0)
    rounded = round(delta, DECIMALS)
    if delta > allowed_latency_delta:
        return CanaryVerdict(promote=False, reason="Latency regression", metrics={"latency_delta": rounded})
    errors = candidate_metrics.get("error_rate", 0.0)
    if errors > baseline_metrics.get("error_rate", 0.0) * ERROR_RATIO:
        return CanaryVerdict(promote=False, reason="Error rate increase", metrics={"error_rate": errors})
    return CanaryVerdict(
        promote=True, reason="Canary healthy", metrics={"accuracy": accuracy, "latency_delta": rounded}
    )


def build_observability_snapshot(
    report: DriftReport, verdict: CanaryVerdict, *, predictions_served: int
) -> dict[str, Any]:
    """A report, a verdict and a counter as one plain dict."""
    return {
        "drift": {"feature": report.feature, "score": report.drift_score, "triggered": report.triggered},
        "canary": {"promote": verdict.promote, "reason": verdict.reason, "metrics": dict(verdict.metrics)},
        "counters": {"predictions_served_total": predictions_served},
    }


class _Recorded:
    """The snapshots recorded with one meter provider: the last of every feature, the last verdict and count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scores: dict[str, Score] = {}
        self._status: dict[str, FeatureStatus] = {}
        self._canary: CanaryState | None = None
        self._served = 0
        self._process: int | None = None

    def put(self, feature: str, score: float, *, triggered: bool, promote: bool, served: int) -> None:
        with self._lock:
            self._scores[feature] = Score(feature, "mean", score, None, 0, LENGTH)
            self._status[feature] = FeatureStatus("drifting" if triggered else "stable", None, None, 0, "")
            self._canary = "promote" if promote else "rollback"
            self._served = served
            self._process = os.getpid()

    def reading(self) -> Reading | None:
        """See `driftline.otel.Source`; None in the child of a fork, which has recorded nothing yet."""
        if self._process != os.getpid():
            return None
        with self._lock:
            return Reading(
                {ML_MODEL_NAME: MODEL},
                self._served,
                scores=tuple(self._scores.values()),
                status=dict(self._status),
                canary=self._canary,
            )


_recorded: weakref.WeakKeyDictionary[Instruments, _Recorded] = weakref.WeakKeyDictionary()
_recording = threading.Lock()


def record_snapshot(snapshot: Mapping[str, Any], *, meter_provider: MeterProvider | None = None) -> None:
    """
    Export a snapshot of `build_observability_snapshot` as metrics, from now on and until the next one of its feature.

    They are ``ml.feature.drift.score`` (distance ``mean``), ``ml.feature.drift.status``, ``ml.canary.status`` and
    ``ml.predictions.served``, of the model ``oneshot``.

    Args:
        snapshot: the drift, the verdict and the count.
        meter_provider: the global one by default.

    Raises:
        ConfigurationError: the snapshot lacks a part, or one is of the wrong type.
    """
    try:
        drift, canary = snapshot["drift"], snapshot["canary"]
        feature, score, triggered = str(drift["feature"]), float(drift["score"]), bool(drift["triggered"])
        promote, served = bool(canary["promote"]), int(snapshot["counters"]["predictions_served_total"])
    except (KeyError, TypeError, ValueError) as error:
        msg = f"snapshot={str(snapshot)[:200]}: expected what build_observability_snapshot returns ({error!r})"
        raise ConfigurationError(msg) from error
    instruments = instruments_for(meter_provider)
    with _recording:
        recorded = _recorded.get(instruments)
        if recorded is None:
            recorded = _recorded[instruments] = _Recorded()
            instruments.add(recorded)
    recorded.put(feature, score, triggered=triggered, promote=promote, served=served)
