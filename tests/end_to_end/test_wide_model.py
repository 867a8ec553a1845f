"""Every series of a wide model arrives in Prometheus, through a collector with its default limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.real, pytest.mark.alone]

SERVICE = Path(__file__).with_name("wide_service.py")
NAMES = {
    "ml.feature.drift.score": "ml_feature_drift_score",
    "ml.feature.drift.status": "ml_feature_drift_status",
    "ml.feature.observations": "ml_feature_observations_total",
    "ml.predictions.served": "ml_predictions_served_total",
    "ml.monitor.info": "ml_monitor_info",
}


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_every_series_of_2000_features_arrives(collector, prometheus, tmp_path, eventually, protocol):
    with collector("prometheus.yaml", DRIFTLINE_PROMETHEUS=prometheus.url) as running:
        done = subprocess.run(
            [sys.executable, SERVICE, tmp_path / "reference.json"],
            capture_output=True,
            text=True,
            check=True,
            env={
                **os.environ,
                "OTEL_EXPORTER_OTLP_ENDPOINT": running.endpoint(protocol),
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
                "no_grpc_proxy": "127.0.0.1",
            },
        )
        planned = json.loads(done.stdout)["metrics"]

        def arrived():
            return {name: prometheus.value(f"count({stored})") for name, stored in NAMES.items()}

        assert eventually(arrived, planned) == planned
    assert planned["ml.feature.observations"] > 30_000
    assert done.stderr == ""
    assert prometheus.value('count({"otel.metric.overflow"="true"}) or count({otel_metric_overflow="true"})') is None
