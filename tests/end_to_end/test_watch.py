"""``driftline judge --watch`` as a process: behind a real collector, deltas, gRPC, restarts, TLS, signals."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from certificates import make_certificate
from fleet_workers import WINDOW, draw, predict, start_worker
from otlp_receiver import Receiver
from processes import LOCAL, free_port, wait_for_end, wait_for_port

import driftline as dl

pytestmark = [pytest.mark.real, pytest.mark.system]

POD = Path(__file__).with_name("pod.py")
COLLECTOR = Path(__file__).with_name("watch-collector.yaml")
EXPORT_MILLISECONDS = 300
SECONDS = 90.0
"""Seconds that a process or a state may take; reached only when a test fails."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def end_process(process, how=signal.SIGTERM):
    process.send_signal(how)
    return wait_for_end(process, 40)


class Workers:
    """Workers of a service, and a thread that sends rows to all of them."""

    def __init__(self, folder, reference):
        self.folder, self.reference, self.shift = folder, reference, 0.0
        self.processes = {}
        self._random = np.random.default_rng(3)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def start(self, *names, **environment):
        started = {}
        for name in names:
            started[name] = start_worker(name, self.folder, self.reference, interval=EXPORT_MILLISECONDS, **environment)
        for port, process in started.values():
            wait_for_port(port, process)
        self.processes = {**self.processes, **started}
        if not self._thread.is_alive():
            self._thread.start()

    def _send(self):
        while not self._ended.wait(0.1):
            for port, _ in self.processes.values():
                predict(port, draw(self._random, 20, self.shift))

    def close(self):
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(SECONDS)
        for _, process in self.processes.values():
            process.kill()
            process.wait()


class Judge:
    """The service, which can be ended and started again, and what it exports."""

    def __init__(self, folder, reference, *arguments):
        self.folder, self.output = folder, Receiver()
        self.output.start()
        self.health_port = free_port()
        self.command = [sys.executable, "-m", "driftline.cli", "judge", "--watch", "--reference", reference]
        self.command += ["--window", WINDOW, "--export-interval", f"{EXPORT_MILLISECONDS}ms", "--budget", "1/1h"]
        self.command += ["--state", str(folder / "state"), "--health", f"127.0.0.1:{self.health_port}", *arguments]
        self.starts = 0
        self.process = None

    def start(self):
        self.starts += 1
        with (self.folder / f"judge{self.starts}.log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    **LOCAL,
                    "OTEL_EXPORTER_OTLP_ENDPOINT": self.output.endpoint,
                    "OTEL_METRIC_EXPORT_INTERVAL": "500",
                    "OTEL_BLRP_SCHEDULE_DELAY": "100",
                },
            )
        wait_for_port(self.health_port, self.process)

    def end(self, how=signal.SIGTERM):
        return end_process(self.process, how)

    def close(self):
        if self.process.poll() is None:
            self.end()
        self.output.kill()

    def health(self):
        with _direct.open(f"http://127.0.0.1:{self.health_port}/healthz", timeout=10) as response:
            return json.load(response)

    def state(self, feature="amount"):
        """The state that is exported of a feature."""
        points = self.output.values("ml.feature.drift.status", ml__feature__name=feature, ml__window__scope="fleet")
        instances = {}
        for (instance, attributes), value in points.items():
            if value:
                instances[instance] = dict(attributes)["ml.feature.drift.state"]
        return list(instances.values())[-1] if instances else None

    def events(self):
        """The changes of state, without those to *unknown* and back: a busy machine may serve no rows for a window."""
        changes = [
            (attributes["ml.feature.name"], attributes["ml.feature.drift.state"])
            for name, attributes in self.output.events
            if name == "ml.feature.drift.state_changed" and attributes["ml.window.scope"] == "fleet"
        ]
        known, last, unknown = [], {}, set()
        for feature, state in changes:
            if state == "insufficient_data":
                unknown.add(feature)
                continue
            # What is first known of a feature is no change: it was stable.
            if feature not in unknown or state != last.get(feature, "stable"):
                known.append((feature, state))
            unknown.discard(feature)
            last[feature] = state
        return known

    def log(self):
        return "".join((self.folder / f"judge{number + 1}.log").read_text() for number in range(self.starts))


@pytest.fixture
def reference(tmp_path):
    random = np.random.default_rng(0)
    columns = {"amount": random.normal(10.0, 2.0, 20_000), "age": random.normal(40.0, 10.0, 20_000)}
    path = tmp_path / "reference.json"
    dl.Reference.fit(columns).save(path)
    return str(path)


@pytest.fixture
def workers(tmp_path, reference):
    started = Workers(tmp_path, reference)
    yield started
    started.close()


@pytest.fixture
def start_judge(tmp_path, reference):
    judges = []

    def start(*arguments):
        judges.append(Judge(tmp_path, reference, *arguments))
        judges[-1].start()
        return judges[-1]

    yield start
    for each in judges:
        each.close()


def expect_drift(service, workers, eventually):
    """The fleet is stable, then it drifts, and one event says so."""
    assert eventually(service.state, "stable", SECONDS) == "stable", (service.health(), service.log())
    workers.shift = 3.0
    assert eventually(service.state, "drifting", SECONDS) == "drifting", (service.health(), service.log())
    assert eventually(service.events, [("amount", "drifting")]) == [("amount", "drifting")]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_behind_the_collector_with_a_restart(collector, workers, start_judge, eventually, tmp_path, temporality, how):
    """The collector sends again what it could not send; no event is repeated, and no state is lost."""
    http_port = free_port()
    service = start_judge("--otlp", f"127.0.0.1:{http_port}")
    with collector(COLLECTOR, WATCH_RECEIVER=f"http://127.0.0.1:{http_port}") as running:
        workers.start(
            "a",
            "b",
            OTEL_EXPORTER_OTLP_ENDPOINT=running.endpoint("http/protobuf"),
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality,
        )
        expect_drift(service, workers, eventually)
        code = service.end(how)
        assert code == (0 if how == signal.SIGTERM else -signal.SIGKILL), service.log()
        workers.start(
            "c",
            OTEL_EXPORTER_OTLP_ENDPOINT=running.endpoint("http/protobuf"),
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality,
        )
        windows = service.output.requests
        service.start()
        assert eventually(lambda: service.health().get("processes", 0), 3) == 3, service.health()
        assert service.health()["state"] == "drifting"
        assert service.output.requests >= windows
        workers.shift = 0.0
        both = [("amount", "drifting"), ("amount", "stable")]
        assert eventually(service.events, both, SECONDS) == both, (service.health(), service.log())
        assert eventually(lambda: service.health()["problems"], {}) == {}
        assert service.health()["points"]["stored"] > 0
        assert service.health()["points"].get("refused", 0) == 0


def test_a_door_for_other_hosts(collector, workers, start_judge, eventually, tmp_path):
    """With TLS and a token, which the collector has, and others have not."""
    port, token = free_port(), "not-a-secret-of-any-server"
    (tmp_path / "token").write_text(token)
    files = make_certificate(tmp_path)
    door = ["--otlp-token-file", str(tmp_path / "token"), "--otlp-cert", str(files.chain), "--otlp-key", str(files.key)]
    service = start_judge("--otlp", f"0.0.0.0:{port}", *door)
    environment = {
        "WATCH_RECEIVER": f"https://localhost:{port}",
        "WATCH_AUTHORIZATION": f"Bearer {token}",
        "WATCH_CA": str(files.chain),
    }
    with collector(COLLECTOR, **environment) as running:
        workers.start("a", "b", OTEL_EXPORTER_OTLP_ENDPOINT=running.endpoint("http/protobuf"))
        assert eventually(service.state, "stable", SECONDS) == "stable", (service.health(), service.log())
    context = ssl.create_default_context(cafile=str(files.chain))
    connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
    connection.request("POST", "/v1/metrics", b"", {"Content-Type": "application/x-protobuf"})
    assert connection.getresponse().status == 401
    connection.close()
    assert service.end() == 0


def test_a_canary_is_decided(start_judge, eventually, tmp_path):
    """Pods of two versions; every third call of the candidate raises."""
    model = dl.Reference.fit(
        {"amount": np.random.default_rng(0).normal(10.0, 2.0, 2_000)},
        predictions=np.random.default_rng(1).uniform(size=2_000),
    )
    model.save(tmp_path / "reference.json")  # that of the pods
    port = free_port()
    service = start_judge("--otlp", f"127.0.0.1:{port}", "--version", "1")
    pods = []
    for version, *arguments in (("1", "--baseline"), ("2", "--failing", "3")):
        serving = free_port()
        with (tmp_path / f"pod{version}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, POD, "--port", str(serving), "--version", version, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    **LOCAL,
                    "DRIFTLINE_CANARY_ID": "r1",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                    "OTEL_METRIC_EXPORT_INTERVAL": str(EXPORT_MILLISECONDS),
                },
            )
        pods.append((serving, process))
    try:
        for serving, process in pods:
            wait_for_port(serving, process)

        def verdict():
            for serving, _ in pods:
                url = f"http://127.0.0.1:{serving}/predict?calls=40"
                with _direct.open(urllib.request.Request(url, method="POST"), timeout=20):
                    pass
            points = service.output.values("ml.canary.status", ml__canary__id="r1", ml__window__scope="fleet")
            return [dict(attributes) for (_, attributes), value in points.items() if value]

        def state():
            return [each["ml.canary.state"] for each in verdict()]

        assert eventually(state, ["rollback"], SECONDS) == ["rollback"], (service.health(), service.log())
        (attributes,) = verdict()
        assert (attributes["ml.model.name"], attributes["ml.model.version"]) == ("checkout", "2")
        changes = [event for name, event in service.output.events if name == "ml.canary.verdict_changed"]
        assert [each["ml.canary.state"] for each in changes] == ["rollback"]
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        service.start()
        assert eventually(lambda: service.health().get("model"), "checkout, version 1") == "checkout, version 1"
        assert eventually(state, ["rollback", "rollback"]) == ["rollback", "rollback"]  # of both processes
        changes = [event for name, event in service.output.events if name == "ml.canary.verdict_changed"]
        assert len(changes) == 1
    finally:
        for _, process in pods:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_over_grpc_without_a_collector(workers, start_judge, eventually):
    port = free_port()
    service = start_judge("--otlp-grpc", f"127.0.0.1:{port}")
    wait_for_port(port, service.process)
    # The workers use http/protobuf unless the variable says otherwise.
    workers.start("a", "b", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    expect_drift(service, workers, eventually)
    assert service.end() == 0


@pytest.mark.slow
def test_from_prometheus_which_is_gone_for_a_while(run_prometheus, workers, start_judge, eventually):
    with run_prometheus() as server:
        service = start_judge("--prometheus", server.url)
        workers.start("a", "b", OTEL_EXPORTER_OTLP_ENDPOINT=f"{server.url}/api/v1/otlp")
        expect_drift(service, workers, eventually)
    assert eventually(lambda: service.health()["status"], "degraded") == "degraded"
    assert service.process.poll() is None
    assert service.end() == 0
    assert service.log().count("counts: <urlopen error") == 1, service.log()


def test_a_damaged_state_ends_it_with_an_error(reference, tmp_path):
    state = tmp_path / "state"
    state.write_bytes(b"something else")
    command = [sys.executable, "-m", "driftline.cli", "judge", "--watch", "--reference", reference, "--window", WINDOW]
    command += ["--export-interval", "300ms", "--otlp", "127.0.0.1:0", "--state", str(state)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SECONDS, env={**os.environ, **LOCAL}
    )
    assert done.returncode == 3
    assert "is damaged or holds something else" in done.stderr
    assert "move it away" in done.stderr
    assert state.read_bytes() == b"something else"
