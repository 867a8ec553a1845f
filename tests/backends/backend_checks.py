"""Runs the service of these tests, and compares what arrived at a sink with what it served."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from driftline import semconv as sc

SERVICE = Path(__file__).with_name("backend_service.py")
EXPORTED = {
    *("ml.predictions.served", "ml.prediction.duration", "ml.feature.drift.score", "ml.feature.drift.status"),
    *("ml.feature.observations", "ml.outcomes", "ml.model.accuracy", "ml.model.accuracy.estimated", "ml.monitor.info"),
    *("ml.retraining.requests", "ml.retraining.queue.size", "ml.canary.status", "ml.canary.calls", "ml.canary.rows"),
    *("ml.canary.durations", "ml.canary.bins", "ml.canary.started", "ml.model.performance", "ml.canary.outcomes"),
}
"""Metrics that the service exports, of each kind of instrument."""

EVENTS = {"ml.feature.drift.state_changed", "ml.retraining.requested"}


def serve(variables, *arguments):
    """Run the service with these variables, and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, SERVICE, *arguments],
        env={**clean, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[0]) | {"log": done.stderr}


def assert_whole(sink, served):
    """Nothing is refused, every metric arrived, and counts are what was served."""
    assert sink.refusals == [], sink.refusals[:3]
    if sink.vendor.protocol == "remote write":
        assert_written(sink, served)
        return
    assert sink.names() >= EXPORTED, EXPORTED - sink.names()
    assert sink.names() <= set(sc.METRICS), sink.names() - set(sc.METRICS)
    baseline = sink.total("ml.predictions.served", **{"ml.model.version": "1"})
    assert baseline == served["baseline"] + served["failed"]
    assert sink.total("ml.predictions.served", **{"ml.model.version": "2"}) == served["candidate"]
    assert sink.total("ml.predictions.served", **{"error.type": "KeyError"}) == served["failed"]
    assert sink.total("ml.outcomes", **{"ml.outcome.result": "correct"}) > 0
    rows = {"amount": served["baseline"] + served["failed"], "prediction": served["baseline"]}
    for feature, count in rows.items():  # a failed call has features and no prediction
        assert sink.total("ml.feature.observations", **{"ml.feature.name": feature}) == count
    states = sink.last("ml.feature.drift.status")
    drifting = {
        dict(labels)["ml.feature.name"]
        for labels, value in states.items()
        if value == 1.0
        and dict(labels)["ml.feature.drift.state"] == "drifting"
        and dict(labels)["ml.model.version"] == "1"
    }
    assert "amount" in drifting
    assert "channel" not in drifting


def assert_written(sink, served):
    """The same of what came by remote write, in the names of Prometheus."""
    assert {name.replace(".", "_") for name in EXPORTED} <= {base(name) for name in sink.names()}
    assert sink.total("ml_predictions_served_total", ml_model_version="2") == served["candidate"]
    assert sink.total("ml_predictions_served_total", error_type="KeyError") == served["failed"]
    rows = served["baseline"] + served["failed"]
    assert sink.total("ml_feature_observations_total", ml_feature_name="amount") == rows


def base(name):
    """A name without the endings of Prometheus."""
    for ending in ("_total", "_bucket", "_sum", "_count", "_seconds"):
        name = name.removesuffix(ending)
    return name
