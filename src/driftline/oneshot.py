"""Functions that compare two samples, for a script, a notebook or a nightly job."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftline._capture.columns import as_floats
from driftline._capture.libraries import is_column, read_column
from driftline._capture.tables import read_table
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
"""`DriftReport.feature` in the result of `compute_mean_drift`, whose samples have no name."""

MIN_SPREAD = 1e-6
"""Standard deviation that replaces the 0 of a constant baseline."""

MIN_ACCURACY = 0.78
"""Accuracy below which `should_trigger_retraining` returns True."""

MAX_LATENCY = 0.5
"""Latency in seconds above which `should_trigger_retraining` returns True."""

ERROR_RATIO = 1.2
"""Largest accepted error rate of a candidate, as a multiple of the baseline's."""

DECIMALS = 4
"""Number of decimals to which reports and verdicts are rounded."""

MODEL = "oneshot"
"""``ml.model.name`` of the metrics of `record_snapshot`, because a snapshot does not know its model."""

LENGTH = "sample"
"""``ml.window.length`` of the metrics of `record_snapshot`, because two samples are not a window."""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """
    The comparison of the means of two samples.

    Attributes:
        feature: the name of the feature; ``"feature_value"`` if the samples have none.
        baseline_mean: mean of the baseline, rounded to 4 decimals.
        current_mean: mean of the current sample, rounded to 4 decimals.
        drift_score: distance of the means in standard deviations of the baseline, rounded to 4 decimals.
        triggered: whether the unrounded score is at or above the threshold.
    """

    feature: str
    baseline_mean: float
    current_mean: float
    drift_score: float
    triggered: bool


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """
    The decision on a canary.

    Attributes:
        promote: whether to promote the candidate.
        reason: a sentence about the criterion that decided.
        metrics: the numbers that decided, by name.
    """

    promote: bool
    reason: str
    metrics: dict[str, float]


def compute_mean_drift(baseline: Any, current: Any, *, threshold: float = 0.2) -> DriftReport:
    """
    Compare the means of two samples: |difference| / population standard deviation of the baseline.

    Args:
        baseline: a sequence, array, series or iterable of numbers.
        current: the sample to compare with it, of any of these types.
        threshold: score from which the report is triggered.

    Raises:
        ValueError: a sample is empty.

    >>> compute_mean_drift([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]).drift_score
    1.2247
    """
    return _report(FEATURE, baseline, current, threshold)


def _report(feature: str, baseline: Any, current: Any, threshold: float) -> DriftReport:
    before, after = _read_sample(baseline, "baseline"), _read_sample(current, "current")
    # Compare the extremes, because rounding gives a constant such as 0.1, 0.1, 0.1 a deviation slightly above 0.
    constant = before.min() == before.max()
    spread = MIN_SPREAD if constant else float(before.std()) or MIN_SPREAD
    score = abs(float(after.mean()) - float(before.mean())) / spread
    return DriftReport(
        feature,
        round(float(before.mean()), DECIMALS),
        round(float(after.mean()), DECIMALS),
        round(score, DECIMALS),
        score >= threshold,
    )


def _read_sample(values: Any, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    sample = as_floats(read_column(values) if is_column(values) else list(values))
    if not len(sample):
        msg = f"{name}: an empty sample, expected at least one value"
        raise ValueError(msg)
    return sample


def detect_drift_across_features(
    baseline_frame: Any, current_frame: Any, *, threshold: float = 0.2
) -> dict[str, DriftReport]:
    """
    Apply `compute_mean_drift` to every column that both frames have.

    Args:
        baseline_frame: a dict of columns, or a data frame of any library.
        current_frame: the frame to compare with it, of any of these types.
        threshold: score from which a report is triggered.

    Returns:
        The report of each column by name.

    Raises:
        ConfigurationError: an argument is not a frame with named columns.
        ValueError: a column is empty.
    """
    before, after = _read_columns(baseline_frame, "baseline_frame"), _read_columns(current_frame, "current_frame")
    return {name: _report(name, column, after[name], threshold) for name, column in before.items() if name in after}


def _read_columns(frame: Any, name: str) -> dict[str, Any]:
    if isinstance(frame, Mapping):
        return {str(key): column for key, column in frame.items()}  # columns of a dict may differ in length
    try:
        table = read_table(frame)
    except (TypeError, ValueError) as error:
        msg = f"{name}: {error}"
        raise ConfigurationError(msg) from error
    if table.names is None:
        msg = f"{name}: columns without names, expected named ones"
        raise ConfigurationError(msg)
    return dict(zip(table.names, table.columns, strict=True))


def should_trigger_retraining(report: DriftReport, *, accuracy: float, latency: float) -> bool:
    """Return True if the report is triggered, *accuracy* is below 0.78, or *latency* is above 0.5 seconds."""
    return report.triggered or accuracy < MIN_ACCURACY or latency > MAX_LATENCY


def enqueue_retraining_tasks(
    reports: Mapping[str, DriftReport] | Sequence[DriftReport], *, accuracy: float, latency: float
) -> list[str]:
    """
    Return the names of the features for whose report `should_trigger_retraining` returns True, in order.

    The caller enqueues them; this function only selects them.
    """
    items = reports.values() if isinstance(reports, Mapping) else reports
    return [report.feature for report in items if should_trigger_retraining(report, accuracy=accuracy, latency=latency)]


def evaluate_canary(
    baseline_metrics: Mapping[str, float],
    candidate_metrics: Mapping[str, float],
    *,
    allowed_latency_delta: float = 0.05,
    min_accuracy: float = 0.8,
) -> CanaryVerdict:
    """
    Decide a canary by its ``accuracy``, ``latency`` (seconds) and ``error_rate``, in this order.

    The candidate is promoted if it fails no criterion. Otherwise the first failed one is the reason. An absent metric
    counts as 0. The error rate of the candidate may be at most 1.2 times that of the baseline.

    Args:
        baseline_metrics: the metrics of the baseline.
        candidate_metrics: the metrics of the candidate.
        allowed_latency_delta: seconds by which the latency of the candidate may exceed that of the baseline.
        min_accuracy: smallest accuracy of the candidate.

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
    """Return a report, a verdict and the number of predictions as one dict that can be converted to JSON."""
    return {
        "drift": {"feature": report.feature, "score": report.drift_score, "triggered": report.triggered},
        "canary": {"promote": verdict.promote, "reason": verdict.reason, "metrics": dict(verdict.metrics)},
        "counters": {"predictions_served_total": predictions_served},
    }


class _RecordedSnapshots:
    """The snapshots of one meter provider: the latest score and state of each feature, the latest verdict and count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scores: dict[str, Score] = {}
        self._status: dict[str, FeatureStatus] = {}
        self._canary: CanaryState | None = None
        self._served = 0
        self._process: int | None = None

    def record(self, feature: str, score: float, *, triggered: bool, promote: bool, served: int) -> None:
        """Replace the score and state of a feature, the verdict and the number of predictions."""
        with self._lock:
            self._scores[feature] = Score(feature, "mean", score, None, 0, LENGTH)
            self._status[feature] = FeatureStatus("drifting" if triggered else "stable", None, None, 0, "")
            self._canary = "promote" if promote else "rollback"
            self._served = served
            self._process = os.getpid()

    def reading(self) -> Reading | None:
        """Return the values to export. Return None in the child of a fork until the child records one."""
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


_recorded: weakref.WeakKeyDictionary[Instruments, _RecordedSnapshots] = weakref.WeakKeyDictionary()
_recording = threading.Lock()


def record_snapshot(snapshot: Mapping[str, Any], *, meter_provider: MeterProvider | None = None) -> None:
    """
    Export a snapshot of `build_observability_snapshot` as metrics, until the next snapshot of the same feature.

    The metrics are ``ml.feature.drift.score`` (distance ``mean``), ``ml.feature.drift.status``,
    ``ml.canary.status`` and ``ml.predictions.served``, with the model name ``oneshot``.

    Args:
        snapshot: the result of `build_observability_snapshot`.
        meter_provider: provider of the metrics. If None, the global one.

    Raises:
        ConfigurationError: the snapshot lacks a part, or a part is of the wrong type.
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
        snapshots = _recorded.get(instruments)
        if snapshots is None:
            snapshots = _recorded[instruments] = _RecordedSnapshots()
            instruments.add(snapshots)
    snapshots.record(feature, score, triggered=triggered, promote=promote, served=served)
