"""Every query of docs/alarms.md has a result in the real Prometheus when a feature drifts."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

import driftline as dl

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "alarms.md"
QUERIES = [
    textwrap.dedent(block).strip()
    for block in re.findall(r"^ *```promql\n(.*?)^ *```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
]

DOTTED = '{"ml.'
"""How a query begins that is for a server that keeps the dots of names."""


def flaky(reference, current, /):
    """Raise for every window, but not for the check at configuration."""
    if len(current) > 3:
        raise ArithmeticError
    return 0.0


def test_every_query_returns_the_alarm(prometheus, eventually, monkeypatch):
    """A drifting feature, the accuracy of its model, and the errors of driftline itself."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    exporter = OTLPMetricExporter(f"{prometheus.url}/api/v1/otlp/v1/metrics")
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({"delay": random.normal(size=5_000)}, predictions=random.random(5_000))
    monitor = dl.Monitor(
        "m",
        reference=reference,
        window=dl.Window(rows=500),
        rule=dl.FalseAlarms(1, every="1h"),
        distances=(flaky,),
        meter_provider=provider,
        synchronous=True,
    )

    def serve():
        ids = [f"{number}" for number in random.integers(0, 2**62, 1_000)]
        monitor.observe({"delay": random.normal(2.0, size=1_000)}, random.random(1_000), prediction_ids=ids)
        for prediction_id in ids:
            monitor.outcome(prediction_id, True)
        provider.force_flush()

    for _ in range(3):
        serve()
    # A feature whose state is not known is a list to look at, and there is none here.
    (unknown,) = [query for query in QUERIES if "insufficient_data" in query]
    usual = [query for query in QUERIES if not query.startswith(DOTTED) and query != unknown]
    assert len(usual) == 4
    for query in usual:
        assert eventually(lambda query=query: serve() or bool(prometheus.query(query)), True), query
    (alarm,) = {labels["ml_feature_name"] for labels, _ in prometheus.query(QUERIES[0])} - {"prediction"}
    assert alarm == "delay"
    assert monitor.status()["delay"].reason.startswith("delay: location up")
    # The one for a server that keeps dots is understood, and finds nothing in this one.
    assert prometheus.query(unknown) == []
    (dotted,) = [query for query in QUERIES if query.startswith(DOTTED)]
    assert prometheus.query(dotted) == []
    monitor.shutdown()
    provider.shutdown()
