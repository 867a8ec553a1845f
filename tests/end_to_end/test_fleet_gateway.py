"""The gateway of examples/fleet/kubernetes as processes: its collector, its judge, and workers that export to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import yaml
from fleet_workers import LOCAL, SHIFT, Fleet, draw
from processes import free_port, wait_for_port

import driftline as dl

pytestmark = [pytest.mark.real, pytest.mark.system]

MANIFEST = Path(__file__).parents[2] / "examples" / "fleet" / "kubernetes" / "gateway.yaml"

FASTER = {"--window=1h": "--window=8s"}
"""Seconds in place of hours."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Gateway:
    """The containers of the pod as processes. Ports become free ones, and the folder of the state a temporary one."""

    def __init__(self, tools, folder, reference):
        everything = {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))}
        containers = everything["Deployment"]["spec"]["template"]["spec"]["containers"]
        self._collector, self._judge = (
            next(each for each in containers if each["name"] == name) for name in ("collector", "judge")
        )
        self._folder, self._tools = folder, tools
        self._ports, self._processes = {}, []
        (folder / "collector.yaml").write_text(self._local(everything["ConfigMap"]["data"]["collector.yaml"]))
        (folder / "state").mkdir()
        self._paths = {"/etc/driftline": folder, "/state": folder / "state", "orders.reference.json": reference}

    def port(self, port):
        return self._ports.setdefault(port, free_port())

    def _local(self, text):
        return re.sub(r"(?:0\.0\.0\.0|127\.0\.0\.1):(\d+)", lambda found: f"127.0.0.1:{self.port(found[1])}", text)

    def start(self, container, program, ready, extra=()):
        arguments = [FASTER.get(each, each) for each in container["args"]]
        for path, local in self._paths.items():
            arguments = [each.replace(path, str(local)) for each in arguments]
        environment = {each["name"]: self._local(each["value"]) for each in container.get("env", [])}
        environment["OTEL_METRIC_EXPORT_INTERVAL"] = "400"
        with (self._folder / f"{container['name']}.log").open("wb") as log:
            process = subprocess.Popen(
                [*program, *map(self._local, arguments), *extra],
                stdout=log,
                stderr=log,
                env={**os.environ, **LOCAL, **environment},
            )
        self._processes.append(process)
        wait_for_port(self.port(ready), process, lambda: self.log(container["name"]))

    def run(self):
        self.start(self._collector, [self._tools / "otelcol"], "4318")
        judge = [sys.executable, "-m", "driftline.cli", *self._judge["command"][1:]]
        self.start(self._judge, judge, "8321", ["--export-interval=400ms", "--budget=1/1h"])

    def log(self, name):
        return (self._folder / f"{name}.log").read_text(encoding="utf-8")

    def metrics(self):
        """Return what the Prometheus Operator would scrape."""
        with _direct.open(f"http://127.0.0.1:{self.port('8889')}/metrics", timeout=10) as response:
            return response.read().decode()

    def close(self):
        for process in reversed(self._processes):
            process.terminate()
            process.wait(20)


@pytest.fixture
def gateway(tools, tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "reference.json"
    dl.Reference.fit({"amount": random.normal(10.0, 2.0, 20_000), "age": random.normal(40.0, 10.0, 20_000)}).save(path)
    running = Gateway(tools, tmp_path, path)
    running.run()
    fleet = Fleet(f"http://127.0.0.1:{running.port('4318')}", tmp_path, str(path))
    try:
        yield running, fleet
    finally:
        fleet.close()
        running.close()


def test_the_judge_of_the_gateway_exports_states_that_are_scraped(gateway):
    """The amounts have drifted since before the workers started, and the age has not."""
    running, fleet = gateway
    fleet.start("worker-1", "worker-2")
    fleet.wait_until_ready()
    random = np.random.default_rng(1)
    states, end = {}, time.monotonic() + 60.0
    while states.get("amount") != "drifting" and time.monotonic() < end:
        for name in fleet.ready:
            fleet.send(name, 0, draw(random, 20, SHIFT))
        time.sleep(0.2)
        states = {
            labels["ml_feature_name"]: labels["ml_feature_drift_state"]
            for labels in series(running.metrics(), "ml_feature_drift_status")
            if labels["ml_window_scope"] == "fleet"
        }
    assert states == {"amount": "drifting", "age": "stable"}, running.log("judge")
    with _direct.open(f"http://127.0.0.1:{running.port('8321')}/healthz", timeout=10) as response:
        assert response.status == 200


def series(text, metric):
    """Return the labels of the series of a metric that are 1."""
    lines = re.findall(rf"^{metric}\{{(.*)\}} 1$", text, re.MULTILINE)
    return [dict(re.findall(r'(\w+)="([^"]*)"', labels)) for labels in lines]
