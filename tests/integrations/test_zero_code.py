"""`mlflow models serve` without a line of driftline in it, and a receiver that must have what it served."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from libraries import require
from otlp_receiver import Receiver, eventually
from processes import free_port, wait_for_end, wait_for_port

require("mlflow")

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "zero-code"
BIN = Path(sys.executable).parent
SECONDS = 240
"""Seconds that a program may run; reached only when it hangs."""

pytestmark = pytest.mark.system


def store(folder):
    """Return the environment with which MLflow keeps runs and registered models in a folder."""
    uri = f"file://{folder}/mlruns"
    return {"MLFLOW_TRACKING_URI": uri, "MLFLOW_REGISTRY_URI": uri, "MLFLOW_ALLOW_FILE_STORE": "true"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A folder with a registry, in which the example has registered its model."""
    folder = tmp_path_factory.mktemp("registry")
    environment = {**os.environ, **store(folder)}
    subprocess.run(
        [sys.executable, EXAMPLE / "train_mlflow.py"], check=True, timeout=SECONDS, cwd=folder, env=environment
    )
    return folder


def request(port, rows, number):
    """Request predictions for batches of rows, and return how many came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    predictions = 0
    for _ in range(number):
        body = {"dataframe_split": {"columns": ["distance", "departure_delay"], "data": [[700.0, 60.0]] * rows}}
        connection.request("POST", "/invocations", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse().read()
        predictions += len(json.loads(answer)["predictions"])
    connection.close()
    return predictions


def is_running(group):
    """Return whether a process of a group is left: the command of MLflow starts the server in another process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("launcher", ["opentelemetry-instrument", "driftline run"])
def test_mlflow_serves_a_monitored_model(registry, tmp_path, launcher):
    """Everything that was served arrives after SIGTERM, under the name and version of the registry."""
    if launcher == "opentelemetry-instrument":
        require("opentelemetry.distro")
    port = free_port()
    with Receiver() as receiver:
        environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            **store(registry),
            "OTEL_SERVICE_NAME": "zero-code",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        words = ["mlflow", "models", "serve", "-m", "models:/delay@champion", "-p", str(port), "--env-manager", "local"]
        file = tmp_path / "log"
        with file.open("w") as log:
            process = subprocess.Popen(
                [*launcher.split(), *words],
                env=environment,
                cwd=tmp_path,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_for_port(port, process, file.read_text)
            with ThreadPoolExecutor(3) as pool:
                predictions = sum(pool.map(lambda rows: request(port, rows, 20), (1, 2, 7)))
            process.send_signal(signal.SIGTERM)
            wait_for_end(process, 60)
            assert eventually(lambda: is_running(process.pid), expected=False) is False
        finally:
            if is_running(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
        assert predictions == 200
        counts = {
            (dict(attributes)["ml.model.name"], dict(attributes).get("ml.model.version")): count
            for (_, attributes), count in receiver.values("ml.predictions.served").items()
        }
        assert counts == {("delay", "1"): 200}, file.read_text()
        assert receiver.values("ml.monitor.errors") == {}
