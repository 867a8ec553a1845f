"""An alert of `driftline rules` reaches a webhook through the real Prometheus and the real Alertmanager, once."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

import driftline as dl
from driftline.cli import main

pytestmark = pytest.mark.real


class Hook(BaseHTTPRequestHandler):
    """Keeps the notifications that it receives."""

    def do_POST(self):
        """Keep one."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.notifications.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def hook():
    """A running webhook, with its address and its notifications."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.notifications = []
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_drift_of_many_features_pages_once(hook, run_alertmanager, run_prometheus, tmp_path, eventually, monkeypatch):
    """Twelve features of one model drift: one notification with one alert, which lists them."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    rules = tmp_path / "rules.yaml"
    assert main(["rules", "--output", str(rules)]) == 0
    random = np.random.default_rng(0)
    names = [f"f{number:02}" for number in range(12)]
    reference = dl.Reference.fit({name: random.normal(size=5_000) for name in names})
    with (
        run_alertmanager(hook.url) as alertmanager,
        run_prometheus(
            server_option="evaluation_interval: 1s",
            more=f"""
rule_files: [{rules}]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
""",
        ) as prometheus,
    ):
        exporter = OTLPMetricExporter(f"{prometheus.url}/api/v1/otlp/v1/metrics")
        provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
        monitor = dl.Monitor(
            "pages",
            reference=reference,
            window=dl.Window(rows=500),
            rule=dl.FalseAlarms(1, every="1h"),
            meter_provider=provider,
            synchronous=True,
        )

        def arrived():
            monitor.observe({name: random.normal(2.0, size=1_000) for name in names})
            provider.force_flush()
            return bool(hook.notifications)

        assert eventually(arrived, True)
        time.sleep(3)  # further evaluations, which must change nothing
        monitor.shutdown()
        provider.shutdown()
    (notification,) = hook.notifications
    (alert,) = notification["alerts"]
    assert notification["groupLabels"] == {"ml_model_name": "pages"}
    assert alert["status"] == "firing"
    assert alert["labels"] == {
        "alertname": "DriftlineFeaturesDrifting",
        "ml_model_name": "pages",
        "severity": "warning",
    }
    listed = ", ".join(names[:10])
    assert alert["annotations"]["description"] == f"12 features of pages differ from the reference: {listed}, …."
    assert alert["annotations"]["runbook_url"].endswith("troubleshooting.md#driftlinefeaturesdrifting")
