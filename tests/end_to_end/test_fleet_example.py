"""The services of examples/fleet/compose.yaml as processes: traffic drifts, and an alert arrives at the webhook."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from compose import Compose

pytestmark = [pytest.mark.real, pytest.mark.system]

FLEET = Path(__file__).parents[2] / "examples" / "fleet"

VARIABLES = {
    "EXPORT_INTERVAL": "500",
    "WINDOW": "10s",
    "RATE": "60",
    "DRIFT_AFTER": "30",
    "FACTOR": "4",
    "BUDGET": "1/1h",
}
"""Seconds in place of hours."""

ORDER = ("generator", "webhook", "alertmanager", "prometheus", "collector", "judge", "service", "traffic")
"""All services but Grafana, which is not there."""


def faster(text):
    """Return a configuration with shorter intervals."""
    return re.sub(r"(evaluation_interval|group_wait): \d+s", r"\1: 1s", text)


@pytest.fixture
def composition(tools, tmp_path):
    running = Compose(FLEET / "compose.yaml", tmp_path, tools, VARIABLES, faster)
    # What the Dockerfile does.
    for name in re.findall(r"examples/fleet/(\w+\.\w+)\b", (FLEET / "Dockerfile").read_text(encoding="utf-8")):
        shutil.copy(FLEET / name, running.app)
    subprocess.run([sys.executable, "train.py", "orders.reference.json"], cwd=running.app, check=True)
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.slow
def test_an_alert_of_the_fleet_arrives_at_the_webhook(composition, prometheus_at, eventually):
    """Six processes in three replicas are evaluated as one, and the alert names the model once."""
    assert {*ORDER, "grafana"} == composition.services.keys()
    pytest.importorskip("grafana_foundation_sdk", reason="the dashboards need Python 3.11")
    composition.start(*ORDER)
    generated = {path.name for path in composition.volume("generated").rglob("*.*")}
    assert generated == {"rules.yaml", "driftline-models.json", "driftline-model.json"}
    server = prometheus_at(composition.port("prometheus", "9090"))
    workers = 'count(count by (ml_monitor_process) (ml_monitor_info{ml_model_name="orders",ml_window_scope=""}))'
    assert eventually(lambda: server.value(workers), 6.0) == 6.0
    drifting = 'ml_feature_drift_status{ml_feature_drift_state="drifting",ml_window_scope="fleet"} == 1'

    def features():
        return {labels["ml_feature_name"] for labels, _ in server.query(drifting)}

    assert eventually(features, {"amount", "prediction"}, 120.0) == {"amount", "prediction"}, composition.log("judge")

    def alerts():
        lines = composition.log("webhook").splitlines()
        return {line for line in lines if line.startswith("firing DriftlineFeaturesDrifting")}

    expected = {"firing DriftlineFeaturesDrifting 2 features of orders differ from the reference: amount, prediction."}
    assert eventually(lambda: alerts() & expected, expected) == expected, alerts()

    # A replica that ends exports its last counts, and the judge goes on without it.
    replica = composition.processes("service")[0]
    replica.send_signal(signal.SIGTERM)
    assert replica.wait(30) == 0, composition.log("service")
    assert composition.processes("judge")[0].poll() is None, composition.log("judge")
