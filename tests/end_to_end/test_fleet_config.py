"""collector-config/fleet.yaml: counts per bin go to the judge alone, and the backend has the scores of the fleet."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from fleet_workers import EXPORT_MILLISECONDS, WINDOW, Fleet, draw
from processes import LOCAL, free_port, wait_for_end, wait_for_port

import driftline as dl

pytestmark = [pytest.mark.real, pytest.mark.system]


@pytest.fixture
def reference(tmp_path):
    random = np.random.default_rng(0)
    columns = {"amount": random.normal(10.0, 2.0, 20_000), "age": random.normal(40.0, 10.0, 20_000)}
    dl.Reference.fit(columns).save(tmp_path / "reference.json")
    return str(tmp_path / "reference.json")


@pytest.fixture
def judge_of(tmp_path, reference):
    """Return a function that starts ``driftline judge --watch`` as an OTLP receiver, which exports to a URL."""
    running = []

    def start(port, endpoint):
        command = [sys.executable, "-m", "driftline.cli", "judge", "--watch", f"--otlp=127.0.0.1:{port}"]
        command += [f"--reference={reference}", f"--window={WINDOW}", "--budget=1/1h"]
        command += [f"--export-interval={EXPORT_MILLISECONDS}ms", f"--state={tmp_path / 'judge.json'}"]
        command += [f"--health=127.0.0.1:{free_port()}"]
        own = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": str(EXPORT_MILLISECONDS)}
        with (tmp_path / "judge.log").open("wb") as log:
            running.append(subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **LOCAL, **own}))
        wait_for_port(port, running[-1], (tmp_path / "judge.log").read_text)

    yield start
    for process in running:
        process.terminate()
        wait_for_end(process)


@pytest.mark.slow
def test_the_backend_has_scores_of_the_fleet_and_no_bins(collector, prometheus, judge_of, reference, tmp_path):
    """And the predictions that were served, which are few series."""
    port = free_port()
    with collector(
        "fleet.yaml", DRIFTLINE_PROMETHEUS=prometheus.url, DRIFTLINE_FLEET=f"http://127.0.0.1:{port}"
    ) as run:
        judge_of(port, run.endpoint("http/protobuf"))
        fleet = Fleet(run.endpoint("http/protobuf"), tmp_path, reference)
        try:
            fleet.start("worker-1", "worker-2")
            fleet.wait_until_ready()
            random = np.random.default_rng(1)
            end = time.monotonic() + 60.0
            scores = 'count(ml_feature_drift_score{ml_window_scope="fleet",ml_window_length="8s"})'
            while prometheus.value(scores) is None and time.monotonic() < end:
                for name in fleet.ready:
                    fleet.send(name, 0, draw(random, 20, 0.0))
                time.sleep(0.2)
            # Four distances of two features.
            assert prometheus.value(scores) == 8.0, (tmp_path / "judge.log").read_text()
            assert prometheus.value('count(ml_feature_drift_status{ml_window_scope="fleet"})') == 6.0
            assert prometheus.query('ml_feature_drift_score{ml_window_scope=""}') == []
            assert prometheus.query("ml_feature_observations_total") == []
            assert prometheus.value('count(ml_monitor_info{ml_window_scope=""})') == 2.0
            served = prometheus.query("ml_predictions_served_total")
            assert {labels["instance"].partition("/")[0] for labels, _ in served} == {"worker-1", "worker-2"}
        finally:
            fleet.close()
