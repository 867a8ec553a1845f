"""Snapshots of the functions for two samples: what they hold, and what is exported of them."""

from __future__ import annotations

import math

import pytest

from driftline import ConfigurationError
from driftline.oneshot import (
    CanaryVerdict,
    DriftReport,
    build_observability_snapshot,
    evaluate_canary,
    record_snapshot,
)

LOUD = DriftReport("feature_value", 1.0, 2.0, 1.0, triggered=True)
QUIET = DriftReport("feature_value", 1.0, 1.0, 0.0, triggered=False)
HEALTHY = {"accuracy": 0.9, "latency": 0.1, "error_rate": 0.01}


def test_a_snapshot_has_the_keys_of_the_lesson():
    """They are drift, canary and counters."""
    verdict = evaluate_canary(HEALTHY, HEALTHY)
    snapshot = build_observability_snapshot(LOUD, verdict, predictions_served=1_250)
    assert snapshot == {
        "drift": {"feature": "feature_value", "score": 1.0, "triggered": True},
        "canary": {
            "promote": True,
            "reason": "Canary healthy",
            "metrics": {"accuracy": 0.9, "latency_delta": 0.0},
        },
        "counters": {"predictions_served_total": 1_250},
    }
    snapshot["canary"]["metrics"]["accuracy"] = 0.0
    assert verdict.metrics["accuracy"] == 0.9


def test_a_snapshot_is_exported_as_metrics(telemetry):
    """With the names of the registry. The next snapshot of the same feature replaces it."""
    for report, promote, served in ((LOUD, False, 10), (QUIET, True, 25)):
        verdict = CanaryVerdict(promote, "why", {})
        snapshot = build_observability_snapshot(report, verdict, predictions_served=served)
        record_snapshot(snapshot, meter_provider=telemetry.meter_provider)
        state = "drifting" if report.triggered else "stable"
        assert telemetry.value("ml.feature.drift.score", ml__drift__distance="mean") == report.drift_score
        assert telemetry.value("ml.feature.drift.status", ml__feature__drift__state=state) == 1
        assert telemetry.value("ml.feature.drift.status") == 1
        assert telemetry.value("ml.canary.status", ml__canary__state="promote" if promote else "rollback") == 1
        assert telemetry.value("ml.canary.status") == 1
        assert telemetry.value("ml.predictions.served") == served
    other = build_observability_snapshot(DriftReport("age", 1.0, 2.0, 3.0, True), verdict, predictions_served=30)
    record_snapshot(other, meter_provider=telemetry.meter_provider)
    assert telemetry.value("ml.feature.drift.score", ml__feature__name="age") == 3.0
    assert telemetry.value("ml.feature.drift.score", ml__feature__name="feature_value") == 0.0


@pytest.mark.parametrize(
    "snapshot",
    [
        {},
        None,
        5,
        {"drift": {}, "canary": {}, "counters": {}},
        {"drift": {"feature": "a", "score": "high", "triggered": True}},
        {
            "drift": {"feature": "a", "score": math.nan, "triggered": False},
            "canary": {"promote": True},
            "counters": {"predictions_served_total": 1},
        },
        {
            "drift": {"feature": "a", "score": 1.0, "triggered": True},
            "canary": {"promote": True},
            "counters": {"predictions_served_total": math.inf},
        },
        {
            "drift": {"feature": "a", "score": 1.0, "triggered": True},
            "canary": {"promote": True},
            "counters": {"predictions_served_total": "many"},
        },
    ],
)
def test_a_snapshot_of_another_form_is_refused(snapshot, telemetry):
    """The message contains what was expected, and nothing is exported."""
    with pytest.raises(ConfigurationError, match="expected what build_observability_snapshot returns"):
        record_snapshot(snapshot, meter_provider=telemetry.meter_provider)
    assert telemetry.points() == []
