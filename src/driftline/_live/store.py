"""A store of received metrics for a live view: recent values of all metrics, histograms included."""

from __future__ import annotations

import math
from typing import Any

from driftline import semconv as sc
from driftline._backends.counts import MAX_COUNT
from driftline._backends.otlp_points import NO_VALUE
from driftline._backends.otlp_series import Retention
from driftline._backends.otlp_store import Added, OtlpStore
from driftline.semconv import Metric

__all__ = ["DURATIONS", "METRICS", "LiveStore", "buckets_as_sums"]

BUCKET = "le"
"""The attribute of a bucket of a histogram, which is its upper end: Prometheus' name for it."""

MAX_BUCKETS = 200
"""Buckets of a histogram that are read at most. Durations have 15, and an SDK allows any number."""

DURATIONS = Metric(
    sc.METRIC_PREDICTION_DURATION.name,
    "histogram",
    "s",
    sc.METRIC_PREDICTION_DURATION.brief,
    sc.METRIC_PREDICTION_DURATION.attributes | {BUCKET},
)
"""The buckets of the durations, each a counter of all durations up to its upper end."""

METRICS = (
    sc.METRIC_PREDICTIONS_SERVED,
    DURATIONS,
    sc.METRIC_FEATURE_DRIFT_SCORE,
    sc.METRIC_FEATURE_DRIFT_STATUS,
    sc.METRIC_FEATURE_OBSERVATIONS,
    sc.METRIC_CANARY_STATUS,
    sc.METRIC_CANARY_EVIDENCE,
    sc.METRIC_OUTCOMES,
    sc.METRIC_MODEL_ACCURACY,
    sc.METRIC_MODEL_ACCURACY_ESTIMATED,
    sc.METRIC_MODEL_PERFORMANCE,
    sc.METRIC_RETRAINING_REQUESTS,
    sc.METRIC_RETRAINING_QUEUE_SIZE,
    sc.METRIC_MONITOR_INFO,
    sc.METRIC_MONITOR_ERRORS,
    sc.METRIC_MONITOR_ROWS_DROPPED,
)
"""The metrics of a live view."""

NAMES = frozenset(metric.name for metric in METRICS)

RETENTION = Retention(resolution=0.25, fine=60.0, keep=600.0)
"""A view reads the last value of each series, and forgets a process that has been silent for some minutes."""


class LiveStore(OtlpStore):
    """An `OtlpStore` of the metrics of a live view."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(METRICS, RETENTION))

    def add(self, request: Any) -> Added:
        """Add the points of an ``ExportMetricsServiceRequest``, those of histograms of durations too."""
        buckets_as_sums(request)
        _skip_large(request)
        return super().add(request)


def buckets_as_sums(request: Any) -> None:
    """Replace the histograms of durations in a request by sums, one point for each bucket."""
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == DURATIONS.name and metric.WhichOneof("data") == "histogram":
                    _replace(metric)


def _skip_large(request: Any) -> None:
    """
    Mark points of gauges that the store would refuse as points without a value.

    They are ends of intervals that are open, and e-values, of which no view is made: 10 to the 17 is usual there.
    """
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name in NAMES and metric.WhichOneof("data") == "gauge":
                    for point in metric.gauge.data_points:
                        if point.WhichOneof("value") == "as_double" and not abs(point.as_double) < MAX_COUNT:
                            point.flags |= NO_VALUE


def _replace(metric: Any) -> None:
    histogram = type(metric.histogram)()
    histogram.CopyFrom(metric.histogram)
    metric.sum.SetInParent()  # which removes the histogram
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = histogram.aggregation_temporality, True
    for point in histogram.data_points:
        bounds, counts = point.explicit_bounds, point.bucket_counts
        if len(counts) != len(bounds) + 1 or len(counts) > MAX_BUCKETS:
            continue
        total = 0
        for bound, count in zip((*bounds, math.inf), counts, strict=True):
            total += count
            bucket = metric.sum.data_points.add(
                attributes=point.attributes,
                start_time_unix_nano=point.start_time_unix_nano,
                time_unix_nano=point.time_unix_nano,
                as_double=total,
                flags=point.flags,
            )
            bucket.attributes.add(key=BUCKET).value.string_value = f"{bound:g}"
