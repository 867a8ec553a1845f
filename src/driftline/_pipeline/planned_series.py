"""How many series a monitor exports, computed from its reference and its settings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from driftline import semconv as sc
from driftline._binning.bins import Feature, NumericBins
from driftline._binning.layout import Layout
from driftline._windows.ring import WindowCounts
from driftline.detection import Rule
from driftline.detection._evaluator import LONGEST_SCORED
from driftline.detection._scoring import NamedDistance, Scorer, resolve_distances
from driftline.reference import Reference

__all__ = ["planned_series"]

STATES = len(sc.FEATURE_DRIFT_STATES)
"""Series of the state of a feature or a detector."""

HISTOGRAM_SERIES = len(sc.DURATION_BUCKETS) + 3
"""Series of ``ml.prediction.duration`` in a backend: a bucket for each bound and one beyond, the sum and the count."""

BOUNDS = len(sc.MODEL_PERFORMANCE_BOUNDS)
"""Series of one metric of ``ml.model.performance``."""


def planned_series(
    reference: Reference,
    distances: Sequence[NamedDistance],
    rule: Rule,
    *,
    bins: bool,
    durations: bool = True,
    fleet: bool = False,
    detectors: int = 0,
) -> dict[str, int]:
    """
    Return the largest number of series that one monitor exports of each metric, in the order of their number.

    Outcomes, canaries, retraining and errors add further series once they happen.

    Args:
        reference: the reference.
        distances: the distances of the monitor. The rule may add some.
        rule: the rule of the monitor.
        bins: whether counts per bin are exported.
        durations: whether durations are exported.
        fleet: whether the states of features are those of a fleet, which this monitor does not export.
        detectors: the number of stream detectors.
    """
    states = 0 if fleet else len(reference.watched)
    lengths = sum(length <= LONGEST_SCORED for length in rule.lengths)
    series = {
        sc.METRIC_FEATURE_DRIFT_SCORE: lengths * _scores(reference, distances, rule),
        sc.METRIC_FEATURE_DRIFT_STATUS: STATES * (states + detectors),
        sc.METRIC_PREDICTION_DURATION: HISTOGRAM_SERIES * durations,
        sc.METRIC_FEATURE_OBSERVATIONS: bins * sum(map(_reachable, reference.watched)),
        sc.METRIC_PREDICTIONS_SERVED: 1,
        sc.METRIC_MONITOR_INFO: 1,
    }
    if reference.outcomes is not None and reference.prediction is not None:
        series |= {sc.METRIC_MODEL_ACCURACY_ESTIMATED: 1, sc.METRIC_MODEL_PERFORMANCE: BOUNDS}
    ordered = sorted(series.items(), key=lambda each: -each[1])
    return {metric.name: number for metric, number in ordered if number}


def _reachable(feature: Feature) -> int:
    """Return the number of bins that rows can fall into. A bin without rows has no series."""
    bins = feature.bins
    if isinstance(bins, NumericBins):
        return bins.size
    # Without rare categories no row is *other*, unless the categories are open: then no row is *unseen*.
    return bins.size - int(bins.open or not bins.others)


def _scores(reference: Reference, distances: Sequence[NamedDistance], rule: Rule) -> int:
    """Return the number of scores of one window, in which every distance that a feature can have is defined."""
    names = {distance.name for distance in distances}
    computed = (*distances, *resolve_distances([name for name in rule.distances if name not in names]))
    features = reference.watched
    # User functions are not called here: they may be slow, and may raise.
    own = [distance for distance in computed if not distance.vectorised]
    scorer = Scorer(features, Layout(features), [each for each in computed if each.vectorised], lambda *_: None)
    counts = np.concatenate([np.asarray(feature.counts, dtype=np.int64) for feature in features])
    return len(scorer(WindowCounts(counts, reference.rows), "")) + len(own) * len(features)
