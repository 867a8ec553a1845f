"""The telemetry of a service arrives in the real collector and the real Prometheus, exactly."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

SERVICE = Path(__file__).with_name("service.py")


def serve(endpoint, protocol, *arguments, processes=1, **environment):
    """Run the service in several concurrent processes; return the number of all their predictions."""
    running = [
        subprocess.Popen(
            [sys.executable, SERVICE, "--seed", str(seed), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
                "no_grpc_proxy": "127.0.0.1",
                "OTEL_METRIC_EXPORT_INTERVAL": "500",
                **environment,
            },
        )
        for seed in range(1, processes + 1)
    ]
    served = 0
    for process in running:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        served += json.loads(out)["served"]
    return served


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("processes", [1, 4])
def test_prometheus_has_exactly_the_served_predictions(collector, prometheus, protocol, processes, eventually):
    """With one and four processes, over HTTP and gRPC."""
    with collector("prometheus.yaml", DRIFTLINE_PROMETHEUS=prometheus.url) as running:
        served = serve(running.endpoint(protocol), protocol, processes=processes)
        assert eventually(lambda: prometheus.value("sum(ml_predictions_served_total)"), served) == served
        instances = prometheus.value("count(count by (instance) (ml_predictions_served_total))")
    assert instances == processes
    observed = prometheus.query("sum by (ml_feature_name) (ml_feature_observations_total)")
    assert {labels["ml_feature_name"]: value for labels, value in observed} == dict.fromkeys(
        ("amount", "age", "channel", "prediction"), served
    )
    # 1000 single calls and one batch: each call has one duration.
    assert prometheus.value("sum(ml_prediction_duration_seconds_count)") == 1001 * processes


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_deltas_add_up_to_the_served_predictions(collector, protocol, eventually):
    """The processor cumulativetodelta converts the counters of four processes."""
    with collector("delta.yaml") as running:
        served = serve(running.endpoint(protocol), protocol, processes=4)

        def arrived():
            return sum(value for _, value in running.points("ml.predictions.served"))

        assert eventually(arrived, served) == served
        states = [value for _, value in running.points("ml.feature.drift.status")]
    assert set(states) <= {0, 1}


def test_delta_temporality_of_the_sdk_adds_up(collector, eventually):
    """The service exports deltas itself. Their points add up, and states stay 0 or 1."""
    with collector("local.yaml") as running:
        served = serve(
            running.endpoint("http/protobuf"),
            "http/protobuf",
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
        )

        def arrived():
            return sum(value for _, value in running.points("ml.predictions.served"))

        assert eventually(arrived, served) == served
        assert sum(value for _, value in running.points("ml.prediction.duration")) == 1001
        assert {value for _, value in running.points("ml.feature.drift.status")} == {0, 1}


def test_local_configuration_writes_metrics_and_events(collector, eventually):
    """The local configuration prints and writes all telemetry, including the events of a drift."""
    with collector("local.yaml") as running:
        serve(running.endpoint("http/protobuf"), "http/protobuf", "--shift")

        def changed():
            return [
                record["eventName"]
                for request in running.requests()
                for resource in request.get("resourceLogs", [])
                for scope in resource["scopeLogs"]
                for record in scope["logRecords"]
            ]

        eventually(lambda: bool(changed()) and bool(running.points("ml.feature.drift.score")), expected=True)
        names = Counter(changed())
        assert set(names) == {"ml.feature.drift.state_changed"}
        scored = {attributes["ml.feature.name"] for attributes, _ in running.points("ml.feature.drift.score")}
        assert scored == {"amount", "age", "channel", "prediction"}
        assert "Metrics" in running.log.read_text()


def test_injected_drift_appears_on_its_feature_only(collector, prometheus, eventually):
    """A shift of one feature is `drifting` in Prometheus, all other features are `stable`."""
    with collector("prometheus.yaml", DRIFTLINE_PROMETHEUS=prometheus.url) as running:
        serve(running.endpoint("http/protobuf"), "http/protobuf", "--shift")

        def drifting():
            samples = prometheus.query('ml_feature_drift_status{ml_feature_drift_state="drifting"} == 1')
            return [labels["ml_feature_name"] for labels, _ in samples]

        assert eventually(drifting, ["age"]) == ["age"]
        stable = prometheus.query('ml_feature_drift_status{ml_feature_drift_state="stable"} == 1')
        assert {labels["ml_feature_name"] for labels, _ in stable} == {"amount", "channel", "prediction"}


def test_a_failing_candidate_appears_as_rollback(collector, prometheus, eventually):
    """A candidate that fails on one channel is `rollback` in Prometheus until its process ends, and nothing else."""
    with collector("prometheus.yaml", DRIFTLINE_PROMETHEUS=prometheus.url) as running:
        served = serve(running.endpoint("http/protobuf"), "http/protobuf", "--canary")
        succeeded = 'sum(ml_predictions_served_total{error_type=""})'
        assert eventually(lambda: prometheus.value(succeeded), served) == served
        ever = "max_over_time(ml_canary_status[5m]) == 1"
        assert eventually(lambda: [labels["ml_canary_state"] for labels, _ in prometheus.query(ever)], ["rollback"])
        assert eventually(lambda: prometheus.value("sum(ml_canary_status)"), 0.0) == 0.0
        assert prometheus.value('ml_predictions_served_total{error_type="KeyError"}') > 0


def test_exemplars_lead_to_the_span_of_their_call(collector, eventually):
    """Each exemplar refers to a span that arrived. Spans carry the user's id, metrics do not."""
    with collector("local.yaml") as running:
        serve(running.endpoint("http/protobuf"), "http/protobuf", "--trace")

        def spans():
            return {
                (span["traceId"], span["spanId"]): {
                    attribute["key"]: attribute["value"]["stringValue"] for attribute in span["attributes"]
                }
                for request in running.requests()
                for resource in request.get("resourceSpans", [])
                for scope in resource["scopeSpans"]
                for span in scope["spans"]
            }

        assert eventually(lambda: len(spans()), 1_001) == 1_001

        def durations():
            return max((count for _, count in running.points("ml.prediction.duration")), default=0)

        # Spans and metrics are exported in separate requests.
        assert eventually(durations, 1_001) == 1_001
        text = running.file.read_text()
        metrics = [request for request in running.requests() if "resourceMetrics" in request]
        exemplars = [
            (exemplar["traceId"], exemplar["spanId"])
            for request in metrics
            for resource in request["resourceMetrics"]
            for scope in resource["scopeMetrics"]
            for metric in scope["metrics"]
            if metric["name"] == "ml.prediction.duration"
            for point in metric["histogram"]["dataPoints"]
            for exemplar in point.get("exemplars", [])
        ]
        seen = spans()
    assert exemplars
    assert set(exemplars) <= set(seen)
    for attributes in seen.values():
        assert attributes["enduser.id"] == "someone@example.com"
        assert (attributes["ml.model.name"], attributes["ml.model.version"]) == ("orders", "1")
        assert attributes["ml.prediction.id"]
    assert "someone@example.com" in text
    assert "someone@example.com" not in json.dumps(metrics)


def test_the_demo_exports_to_a_collector(collector, eventually):
    """``--otlp`` exports the demo's telemetry to a collector instead of the built-in receiver."""
    with collector("local.yaml") as running:
        done = subprocess.run(
            [sys.executable, "-m", "driftline.demo", "--quick", "--otlp", running.endpoint("http")],
            capture_output=True,
            text=True,
            check=True,
        )
        predictions = int(re.search(r"^([\d,]+) predictions made", done.stdout, re.MULTILINE)[1].replace(",", ""))

        def arrived():
            # The collector batches: it writes the last requests about a second later.
            points = running.points("ml.predictions.served")
            return sum({attributes["ml.model.variant"]: value for attributes, value in points}.values())

        assert eventually(arrived, predictions) == predictions > 20_000
