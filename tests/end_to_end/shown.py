"""The queries of a dashboard, as Grafana sends them, and a run that fills a Prometheus for them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

SERVICE = Path(__file__).with_name("watched.py")

CHOICES = {
    "model": "flight-delay",
    "version": ".*",
    "variant": ".*",
    "instance": ".*",
    "scope": "()",
    "window": "10s",
    "feature": "dep_delay",
    "distance": "psi",
}
"""What is chosen at the top of a dashboard."""


def read(file):
    """Return a dashboard, and the title and the expressions of each of its panels."""
    dashboard = json.loads(Path(file).read_text(encoding="utf-8"))
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    return dashboard, panels


def filled(expression, choices=None):
    """Return an expression with the choices in place of the variables."""
    values = {**CHOICES, **(choices or {})}
    return re.sub(r"\$(\w+)", lambda match: values[match[1]], expression)


@contextmanager
def serving(prometheus_url, reference, seconds, environment):
    """Run the service until it has served, and let it stay during the block. Its events cannot be sent."""
    running = subprocess.Popen(
        [sys.executable, SERVICE, "--seconds", f"{seconds}", "--reference", reference],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{prometheus_url}/api/v1/otlp/v1/metrics",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",  # nothing listens there: events are lost
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_BLRP_SCHEDULE_DELAY": "500",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            **environment,
        },
    )
    try:
        assert running.stdout.readline() == "served\n"
        yield
    finally:
        running.communicate(timeout=60)
