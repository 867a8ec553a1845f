"""A rollout with a version per pod: services, the real collector and Prometheus, and ``driftline canary``."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from processes import LOCAL, free_port, wait_for_port

pytestmark = pytest.mark.real

POD = Path(__file__).with_name("pod.py")
SECONDS = 150.0
"""
Seconds that a pod or a verdict may take; reached only when a test fails. Outcomes of the minute in which a canary
began do not count beside an older baseline, so a verdict on them takes up to 64 s and some seconds of evidence.
"""

PRODUCTION = 'deployment_environment_name="production"'

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Cluster:
    """Pods that export to one collector, and the traffic that they get."""

    def __init__(self, endpoint, folder):
        self.endpoint, self.folder = endpoint, folder
        self.pods = {}
        self.quiet = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send_traffic)
        self._thread.start()

    def start(self, names, canary_id, version, *arguments, environment="production"):
        """Start pods, and return when all of them serve."""
        started = {}
        for name in names:
            port = free_port()
            with (self.folder / f"{name}.log").open("ab") as log:
                started[name] = (
                    port,
                    subprocess.Popen(
                        [sys.executable, POD, "--port", str(port), "--version", version, *arguments],
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        env={
                            **os.environ,
                            **LOCAL,
                            "DRIFTLINE_CANARY_ID": canary_id,
                            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
                            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                            "OTEL_METRIC_EXPORT_INTERVAL": "500",
                            "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={environment}",
                        },
                    ),
                )
        for name, (port, process) in started.items():
            wait_for_port(port, process, (self.folder / f"{name}.log").read_text)
        self.pods = {**self.pods, **started}

    def end(self, *names, how=signal.SIGTERM):
        """Stop pods: `signal.SIGTERM` lets them export a last time, `signal.SIGKILL` does not."""
        ended = [self.pods[name][1] for name in names]
        self.pods = {name: pod for name, pod in self.pods.items() if name not in names}
        for process in ended:
            process.send_signal(how)
        end = time.monotonic() + 20.0
        while any(process.poll() is None for process in ended) and time.monotonic() < end:
            time.sleep(0.05)
        for process in ended:
            process.kill()
            process.wait()

    def close(self):
        self._ended.set()
        self._thread.join(SECONDS)
        self.end(*self.pods)

    def _send_traffic(self):
        while not self._ended.wait(0.02):
            for name in self.pods.keys() - self.quiet:
                self.call(name, 20)

    def call(self, name, calls):
        """Let a pod predict a number of times."""
        with suppress(OSError, KeyError, http.client.HTTPException):  # the pod may end meanwhile
            url = f"http://127.0.0.1:{self.pods[name][0]}/predict?calls={calls}"
            with _direct.open(urllib.request.Request(url, method="POST"), timeout=10) as response:
                response.read()


@pytest.fixture
def cluster(collector, prometheus, tmp_path):
    with collector("prometheus.yaml", DRIFTLINE_PROMETHEUS=prometheus.url) as running:
        pods = Cluster(running.endpoint("http/protobuf"), tmp_path)
        try:
            yield pods
        finally:
            pods.close()


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(
        json.dumps(
            {
                "allowed_error_increase": 0.05,
                "allowed_accuracy_drop": None,
                "allowed_latency_delta": None,
                "allowed_feature_drift": None,
            }
        )
    )
    return path


@pytest.fixture
def canary_command(prometheus, policy):
    """Return a function that starts ``driftline canary``, and one that returns its code and output."""
    running = []

    def start(*arguments, wait=True):
        command = [sys.executable, "-m", "driftline.cli", "canary", "--prometheus", prometheus.url]
        command += ["--model", "checkout", "--policy", str(policy), "--export-interval", "2s", *arguments]
        if wait:
            command += ["--wait", "--timeout", f"{SECONDS:.0f}s", "--interval", "500ms"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **LOCAL}
        )
        running.append(process)
        return process

    def finish(process):
        out, err = process.communicate(timeout=2 * SECONDS)
        return process.returncode, out, err

    yield start, finish
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()


EXPORTED = 'count(count by (ml_canary_process) (ml_canary_calls_total{{ml_canary_id="{}"}}))'
"""Processes of a canary whose calls are in Prometheus. Fewer may be enough for a verdict."""


@pytest.mark.slow
def test_a_rollout_of_many_pods(cluster, canary_command, prometheus, eventually):
    """One verdict of all pods: through a restart, a scale-up, a killed pod, a second release, and a namesake."""
    start, finish = canary_command
    cluster.start(("old-1", "old-2", "old-3"), "release-1", "1", "--baseline")

    # A release that fails. Its pods are restarted, killed and added before they have served enough for a verdict.
    new = ("new-1", "new-2", "new-3")
    cluster.quiet = {*new, "new-4"}
    cluster.start(new, "release-2", "2", "--failing", "4")
    assert finish(start("--version", "2", "--id", "release-9", wait=False))[0] == 2
    for name in new:
        cluster.call(name, 3)
    exported = 'count(count by (ml_canary_process) (ml_canary_calls_total{ml_model_version="2"}))'
    assert eventually(lambda: prometheus.value(exported), 3.0) == 3.0
    waiting = start("--version", "2", "--id", "release-2", "--selector", PRODUCTION)
    assert (
        waiting.stderr.readline()
        == "canary release-2: 3 processes of the baseline and 3 of the candidate have exported\n"
    )
    cluster.end("new-1")
    cluster.end("new-2", how=signal.SIGKILL)
    cluster.start(("new-1", "new-4"), "release-2", "2", "--failing", "4")
    for name in ("new-1", "new-4"):
        cluster.call(name, 3)
    assert eventually(lambda: prometheus.value(exported), 5.0) == 5.0
    assert waiting.poll() is None, finish(waiting)
    cluster.quiet = set()
    code, out, err = finish(waiting)
    assert code == 1, (out, err)
    assert "error rate" in out
    assert "canary release-2: 3 processes of the baseline and 5 of the candidate" in err

    # Rolled back. A fixed build of the same version is released immediately.
    cluster.end("new-1", "new-3", "new-4")
    cluster.start(("fixed-1", "fixed-2", "fixed-3"), "release-3", "2")
    # A service of the same model, version and id in staging fails.
    cluster.start(("staging",), "release-3", "2", "--failing", "1", environment="staging")
    assert eventually(lambda: prometheus.value(EXPORTED.format("release-3")), 4.0) == 4.0
    code, out, err = finish(start("--version", "2", "--selector", PRODUCTION))
    assert code == 0, (out, err)
    assert "canary release-3: 3 processes of the baseline and 3 of the candidate" in err
    assert "and 4 of the candidate" in finish(start("--version", "2", "--id", "release-3", wait=False))[2]
    # The verdict on the first release stands for later readers.
    assert finish(start("--version", "2", "--id", "release-2", wait=False))[0] == 1

    # Promoted: its pods serve on as the baseline of the next release, and the old ones end.
    cluster.end("old-1", "old-2", "old-3", "staging")
    cluster.start(("next-1", "next-2"), "release-4", "3", "--failing", "4")
    assert eventually(lambda: prometheus.value(EXPORTED.format("release-4")), 2.0) == 2.0
    arguments = ("--version", "3", "--baseline-version", "2", "--selector", PRODUCTION)
    code, out, err = finish(start(*arguments))
    assert code == 1, (out, err)
    assert "canary release-4: 3 processes of the baseline and 2 of the candidate" in err


@pytest.mark.slow
def test_outcomes_are_compared_with_those_of_an_older_baseline(cluster, canary_command, policy, prometheus, eventually):
    """By the time of the prediction, with what the pods of both versions have exported."""
    start, finish = canary_command
    policy.write_text(
        json.dumps({**json.loads(policy.read_text()), "allowed_accuracy_drop": 0.05, "allowed_error_increase": None})
    )
    cluster.start(("old-1", "old-2"), "release-1", "1", "--baseline", "--wrong", "0.1")
    assert eventually(lambda: prometheus.value("count(ml_canary_counted_seconds)"), 2.0) == 2.0
    time.sleep(5.0)  # more than two export intervals, so that the baseline is older than the canary
    cluster.start(("new-1", "new-2"), "release-2", "2", "--wrong", "0.4")
    code, out, err = finish(start("--version", "2"))
    assert code == 1, (out, err)
    assert "accuracy" in out
    assert "do not count" not in err


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["NoTranslation", "NoUTF8EscapingWithSuffixes"])
def test_evidence_is_read_from_a_prometheus_with_other_names(run_prometheus, tmp_path, policy, strategy):
    """The pods send to its OTLP receiver directly."""
    with run_prometheus(f"translation_strategy: {strategy}") as server:
        cluster = Cluster(f"{server.url}/api/v1/otlp", tmp_path)
        try:
            cluster.start(("old",), "release-1", "1", "--baseline")
            cluster.start(("new",), "release-2", "2", "--failing", "4")
            command = [
                sys.executable,
                "-m",
                "driftline.cli",
                "canary",
                "--prometheus",
                server.url,
                "--model",
                "checkout",
            ]
            command += ["--version", "2", "--policy", str(policy), "--export-interval", "2s"]
            command += ["--wait", "--timeout", "30s", "--interval", "500ms"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **LOCAL})
        finally:
            cluster.close()
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "1 processes of the baseline and 1 of the candidate" in done.stderr
