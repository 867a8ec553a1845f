"""Each example runs as users run it, and its metrics arrive through OTLP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
VERSION, VARIANT, FEATURE = "ml.model.version", "ml.model.variant", "ml.feature.name"
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def environment(receiver):
    """Return the environment of a service that sends to *receiver*."""
    return {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONWARNINGS": "error",
    }


def run(example, receiver, folder):
    """Run an example and return its output."""
    process = subprocess.run(
        [sys.executable, EXAMPLES / example],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(receiver),
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert not process.stderr, process.stderr
    return process.stdout


def drifting(receiver):
    """Return the features with the state `drifting` in the last export."""
    states = receiver.last("ml.feature.drift.status")
    return {
        dict(key)[FEATURE] for key, on in states.items() if on and dict(key)["ml.feature.drift.state"] == "drifting"
    }


def test_each_example_has_a_test():
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in tests and path.stem not in tests] == []


def test_decorator(receiver, tmp_path):
    """All 12,000 predictions arrive, and only the shifted feature drifts."""
    printed = run("decorator.py", receiver, tmp_path)
    assert receiver.last("ml.predictions.served") == {((VERSION, "3"),): 12_000}
    assert receiver.last("ml.prediction.duration") == {((VERSION, "3"),): 12_000}
    assert drifting(receiver) == {"age"}
    assert "drifting" in printed.splitlines()[1]


def test_batch_job(receiver, tmp_path):
    """30,000 rows count as 30,000 predictions, and the changed mix drifts."""
    run("batch_job.py", receiver, tmp_path)
    assert receiver.last("ml.predictions.served") == {((VERSION, "2"),): 30_000}
    assert drifting(receiver) == {"channel", "prediction"}


def test_canary(receiver, tmp_path):
    """The verdict is rollback because of the errors, which are counted."""
    printed = run("canary.py", receiver, tmp_path)
    assert "rollback: error rate" in printed
    served = receiver.last("ml.predictions.served")
    failed = {key: count for key, count in served.items() if "error.type" in dict(key)}
    assert sum(served.values()) == 4_000
    assert [dict(key)["error.type"] for key in failed] == ["LookupError"]

    def states(requests=None):
        return {dict(key)["ml.canary.state"]: on for key, on in receiver.last("ml.canary.status", requests).items()}

    assert {"rollback": 1, "promote": 0, "inconclusive": 0} in [states(n) for n in range(len(receiver.requests))]
    assert states() == {"rollback": 0, "promote": 0, "inconclusive": 0}  # the canary has ended


@pytest.fixture
def api(receiver, tmp_path):
    """Run the FastAPI service under uvicorn and return its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "uvicorn.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "uvicorn", "fastapi_service:app", "--app-dir", EXAMPLES, "--port", str(port)]
        server = subprocess.Popen(command, stdout=output, stderr=output, env=environment(receiver))
    address = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 60
    while True:
        try:
            request_json(f"{address}/drift")
            break
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
    yield address
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) in {0, -signal.SIGTERM}, log.read_text()


def request_json(url, body=None):
    """Return the JSON answer to a GET, or to a POST of *body*."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})  # noqa: S310
    with _direct.open(request, timeout=10) as response:
        text = response.read()
    return json.loads(text) if text else None


def test_fastapi_service(api, receiver):
    """Predictions and outcomes over HTTP are counted, and exported while the service runs."""
    answers = [request_json(f"{api}/predict", {"amount": 10.0 + order, "age": 30}) for order in range(40)]
    assert answers[0]["late"] == pytest.approx(0.2)
    for answer in answers[:30]:
        request_json(f"{api}/outcome/{answer['id']}", {"late": answer["late"] > 0.5})
    request_json(f"{api}/outcome/unknown", {"late": True})
    assert set(request_json(f"{api}/drift")) == {"amount", "age", "prediction", "prediction.accuracy"}
    end = time.monotonic() + 30
    expected = {"correct": 30, "unmatched": 1}
    while time.monotonic() < end:
        results = {dict(key)["ml.outcome.result"]: count for key, count in receiver.last("ml.outcomes").items()}
        if results == expected:
            break
        time.sleep(0.1)
    assert results == expected
    assert receiver.last("ml.predictions.served") == {((VERSION, "3"),): 40}
