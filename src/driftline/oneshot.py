"""Functions that compare two samples, for a script, a notebook or a nightly job."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import as_floats, as_objects
from driftline._capture.labels import is_missing
from driftline._capture.libraries import is_column, read_column
from driftline._capture.tables import read_table
from driftline.errors import ConfigurationError
from driftline.otel import Instruments, MeterProvider, Reading, instruments_for
from driftline.results import CanaryState, FeatureStatus, Score
from driftline.semconv import ML_MODEL_NAME
from driftline.typing import Column, Floats

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

MAX_SQUARED = 1e150
"""Largest absolute value whose square, summed up over a sample, does not overflow."""

MIN_ACCURACY = 0.78
"""Accuracy below which `should_trigger_retraining` returns True."""

MAX_LATENCY = 0.5
"""Latency in seconds above which `should_trigger_retraining` returns True."""

ERROR_RATIO = 1.2
"""Largest accepted error rate of a candidate, as a multiple of the baseline's."""

DECIMALS = 4
"""Number of decimals to which reports and verdicts are rounded."""

MODEL, LENGTH = "oneshot", "sample"
"""``ml.model.name`` and ``ml.window.length`` of `record_snapshot`, because a snapshot has no model and no window."""


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

    Missing values (None, nan, NA) are not part of a sample. With an infinite value in *current*, the score is infinite.

    Args:
        baseline: a sequence, array, series or iterable of numbers.
        current: the sample to compare with it, of any of these types.
        threshold: score from which the report is triggered.

    Raises:
        ValueError: a sample has no values but missing ones, or a value that is not a number. The baseline has an
            infinite value. The threshold is nan.

    >>> compute_mean_drift([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]).drift_score
    1.2247
    """
    return _report(FEATURE, baseline, current, threshold)


def _report(feature: str, baseline: Any, current: Any, threshold: float) -> DriftReport:
    _refuse_nan("threshold", threshold)
    before, after = _read_sample(baseline, "baseline", feature), _read_sample(current, "current", feature)
    if not np.isfinite(before).all():
        msg = f"baseline: an infinite value{_of(feature)}, expected finite ones"
        raise ValueError(msg)
    unit = _unit(before, after)
    # Compare the extremes, because rounding gives a constant such as 0.1, 0.1, 0.1 a deviation slightly above 0.
    constant = before.min() == before.max()
    with np.errstate(all="ignore"):  # the mean of inf and -inf is nan; squares of small numbers are 0
        first, second = _mean(before / unit), _mean(after / unit)
        spread = (0.0 if constant else float((before / unit).std())) or MIN_SPREAD / unit
    score = abs(second - first) / spread if math.isfinite(second) else math.inf
    return DriftReport(
        feature,
        round(first * unit, DECIMALS),
        round(second * unit, DECIMALS),
        round(score, DECIMALS),
        score >= threshold,
    )


def _mean(sample: Floats) -> float:
    """Return the mean. That of a constant is the constant, without the error of rounding, which grows with the rows."""
    return float(sample[0]) if sample.min() == sample.max() else float(sample.mean())


def _unit(*samples: Floats) -> float:
    """Return 1, or the largest finite absolute value if squares of the values would overflow."""
    largest = max(float(np.abs(sample[np.isfinite(sample)]).max(initial=0.0)) for sample in samples)
    return largest if largest > MAX_SQUARED else 1.0


def _read_sample(values: Any, name: str, feature: str) -> Floats:
    """
    Return the numbers of a sample, without missing values.

    Args:
        values: the sample, of any type.
        name: the argument that it belongs to, for messages.
        feature: the name of its feature, for messages.

    Raises:
        ValueError: there are no numbers, or a value is neither a number nor missing.
    """
    if isinstance(values, np.ma.MaskedArray):
        values = values.tolist()  # with None where a value is masked
    column = read_column(values if is_column(values) else list(values))
    sample = as_floats(column)
    missing = np.isnan(sample)
    if missing.any():
        if kind := _other_type(column, missing):
            msg = f"{name}: a value of type {kind}{_of(feature)}, expected numbers, or None where one is missing"
            raise ValueError(msg)
        sample = sample[~missing]
    if not len(sample):
        kind = "a sample of missing values" if len(missing) else "an empty sample"
        msg = f"{name}: {kind}{_of(feature)}, expected at least one value"
        raise ValueError(msg)
    return sample


def _other_type(column: Column, unread: NDArray[np.bool_]) -> str:
    """Return the type of the first value that is not a number and not missing; empty if there is none."""
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "fiub":
            return ""
        if column.dtype.kind in "cmMV":
            return str(column.dtype)
    values = as_objects(column)
    rows = np.flatnonzero(unread).tolist()
    return next((type(values[row]).__name__ for row in rows if not is_missing(values[row])), "")


def _of(feature: str) -> str:
    return "" if feature == FEATURE else f" in feature {feature!r}"


def _refuse_nan(name: str, value: float) -> None:
    """Raise if a limit is nan, which no number is above or below."""
    if value != value:  # noqa: PLR0124 - nan of any type
        msg = f"{name}={value!r}: expected a number"
        raise ConfigurationError(msg)


def detect_drift_across_features(
    baseline_frame: Any, current_frame: Any, *, threshold: float = 0.2
) -> dict[str, DriftReport]:
    """
    Apply `compute_mean_drift` to every column that both frames have. Select the columns of numbers before.

    Args:
        baseline_frame: a dict of columns, or a data frame of any library.
        current_frame: the frame to compare with it, of any of these types.
        threshold: score from which a report is triggered.

    Returns:
        The report of each column by name.

    Raises:
        ConfigurationError: an argument is not a frame with named columns.
        ValueError: a column has no numbers, or a value that is not a number, such as a text.
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
    if table.names is not None:
        return dict(zip(table.names, table.columns, strict=True))
    msg = f"{name}: columns without names, expected named ones"
    raise ConfigurationError(msg)


def should_trigger_retraining(report: DriftReport, *, accuracy: float, latency: float) -> bool:
    """
    Return True if the report is triggered, *accuracy* is below 0.78, or *latency* is above 0.5 seconds.

    An unknown accuracy or latency (nan or None) is not within its limit.
    """
    return report.triggered or not _known(accuracy) >= MIN_ACCURACY or not _known(latency) <= MAX_LATENCY


def enqueue_retraining_tasks(
    reports: Mapping[str, DriftReport] | Sequence[DriftReport], *, accuracy: float, latency: float
) -> list[str]:
    """
    Return the names of the features for whose report `should_trigger_retraining` returns True, in order.

    The caller enqueues them; this function only selects them.
    """
    items = reports.values() if isinstance(reports, Mapping) else reports
    return [each.feature for each in items if should_trigger_retraining(each, accuracy=accuracy, latency=latency)]


def evaluate_canary(
    baseline_metrics: Mapping[str, float],
    candidate_metrics: Mapping[str, float],
    *,
    allowed_latency_delta: float = 0.05,
    min_accuracy: float = 0.8,
) -> CanaryVerdict:
    """
    Decide a canary by its ``accuracy``, ``latency`` (seconds) and ``error_rate``, in this order.

    The first failed criterion is the reason. An absent metric counts as 0. The error rate of the candidate may be at
    most 1.2 times that of the baseline. An unknown metric (nan, None or infinite) promotes nothing: an unknown accuracy
    counts as 0, and an unknown latency or error rate of either variant is the reason.

    Args:
        baseline_metrics: the metrics of the baseline.
        candidate_metrics: the metrics of the candidate.
        allowed_latency_delta: seconds by which the latency of the candidate may exceed that of the baseline.
        min_accuracy: smallest accuracy of the candidate.

    Raises:
        ConfigurationError: a limit is nan.

    >>> evaluate_canary({"latency": 0.1}, {"accuracy": 0.9, "latency": 0.12}).reason
    'Canary healthy'
    >>> evaluate_canary({"latency": 0.1}, {"accuracy": 0.9, "latency": float("nan")}).reason
    'Latency unknown'
    """
    _refuse_nan("allowed_latency_delta", allowed_latency_delta)
    _refuse_nan("min_accuracy", min_accuracy)
    accuracy = _known(candidate_metrics.get("accuracy", 0.0))
    accuracy = accuracy if math.isfinite(accuracy) else 0.0
    if accuracy < min_accuracy:
        return CanaryVerdict(promote=False, reason="Accuracy below threshold", metrics={"accuracy": accuracy})
    before, after = (_known(metrics.get("latency", 0.0)) for metrics in (baseline_metrics, candidate_metrics))
    if not math.isfinite(before) or math.isnan(after):
        return CanaryVerdict(promote=False, reason="Latency unknown", metrics={})
    delta = after - before
    rounded = round(delta, DECIMALS)
    if not -math.inf < delta <= allowed_latency_delta:
        return CanaryVerdict(promote=False, reason="Latency regression", metrics={"latency_delta": rounded})
    usual, errors = (_known(metrics.get("error_rate", 0.0)) for metrics in (baseline_metrics, candidate_metrics))
    if not math.isfinite(usual) or math.isnan(errors):
        return CanaryVerdict(promote=False, reason="Error rate unknown", metrics={})
    if errors > usual * ERROR_RATIO:
        return CanaryVerdict(promote=False, reason="Error rate increase", metrics={"error_rate": errors})
    return CanaryVerdict(
        promote=True, reason="Canary healthy", metrics={"accuracy": accuracy, "latency_delta": rounded}
    )


def _known(value: Any) -> float:
    """Return a metric as a float; nan if it is unknown: nan, None, NA, or no number at all."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


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
        ConfigurationError: the snapshot lacks a part, a part is of the wrong type, or the score is nan.
    """
    try:
        drift, canary = snapshot["drift"], snapshot["canary"]
        feature, score, triggered = str(drift["feature"]), float(drift["score"]), bool(drift["triggered"])
        promote, served = bool(canary["promote"]), int(snapshot["counters"]["predictions_served_total"])
        _refuse_nan("score", score)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        msg = f"snapshot={str(snapshot)[:200]}: expected what build_observability_snapshot returns ({error!r})"
        raise ConfigurationError(msg) from error
    instruments = instruments_for(meter_provider)
    with _recording:
        snapshots = _recorded.get(instruments)
        if snapshots is None:
            snapshots = _recorded[instruments] = _RecordedSnapshots()
            instruments.add(snapshots)
    snapshots.record(feature, score, triggered=triggered, promote=promote, served=served)
