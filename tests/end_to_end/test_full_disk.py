"""The real collector with a full disk: it refuses requests, the host does not notice, and no count is lost."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from senders import SETTINGS, providers_to
from served import EXPECTED, ROWS, serve

import driftline as dl

pytestmark = pytest.mark.real

# No batch processor, which would answer before it has written.
CONFIG = """
receivers: {otlp: {protocols: {http: {endpoint: "${env:DRIFTLINE_OTLP_HTTP}"}}}}
exporters: {file: {path: "${env:DRIFTLINE_OTLP_FILE}", flush_interval: 50ms}}
service:
  pipelines:
    metrics: {receivers: [otlp], exporters: [file]}
    logs: {receivers: [otlp], exporters: [file]}
  telemetry: {metrics: {level: none}}
"""


def test_a_full_disk_of_the_collector_loses_no_counts(collector, eventually, tmp_path, monkeypatch, caplog):
    """Every write to /dev/full fails as on a full disk. With a disk that has room again, the counts are exact."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    config = tmp_path / "full.yaml"
    config.write_text(CONFIG)
    reference = dl.Reference.fit({"x": np.arange(100.0), "channel": ["web", "shop", "phone", "web"] * 25})
    caplog.set_level(logging.WARNING, "driftline")
    with collector(config, DRIFTLINE_OTLP_FILE="/dev/full") as full:
        providers = providers_to(full.endpoint("http"))
        monitor = dl.Monitor("m", reference=reference, **providers)
        assert serve(monitor) == EXPECTED
        assert eventually(lambda: "metrics could not be sent" in caplog.text, expected=True)
        assert serve(monitor) == EXPECTED
        assert "no space left on device" in full.log.read_text()
    with collector(config, ports=(full.grpc, full.http)) as roomy:
        assert serve(monitor) == EXPECTED

        def arrived(metric):
            return max((value for _, value in roomy.points(metric)), default=0)

        assert eventually(lambda: arrived("ml.predictions.served"), 3 * len(ROWS)) == 3 * len(ROWS)
        assert eventually(lambda: arrived("ml.prediction.duration"), 3 * len(ROWS)) == 3 * len(ROWS)
        assert eventually(lambda: arrived("ml.monitor.telemetry.lost") > 0, expected=True)
        monitor.shutdown()
        for provider in providers.values():
            provider.shutdown()
    assert len([record for record in caplog.records if "metrics could not be sent" in record.message]) == 1
