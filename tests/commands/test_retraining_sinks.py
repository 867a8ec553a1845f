"""The sinks of `driftline judge --watch`: requests in its queue reach a command and a URL."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from receivers import Receiver, request, running, wait_for

from driftline import Reference, RetrainingQueue
from driftline.cli import main
from driftline.commands import _watch

WATCH = ("--watch", "--otlp", "127.0.0.1:0")
URL, TOKEN = "--retraining-cloudevents", "--retraining-cloudevents-token-file"


@pytest.fixture
def judge(tmp_path, monkeypatch):
    """Run the service with further arguments until a condition holds, and return its code and its health."""
    reference = tmp_path / "reference.json"
    Reference.fit({"age": np.random.default_rng(0).normal(size=300)}).save(reference)
    monkeypatch.setattr(_watch, "_set_up", lambda name: lambda: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    seen = {}

    def run(*more, until=lambda: True):
        def serve(service, receivers):
            wait_for(until)
            _, seen["health"] = service.health.report()
            receivers.close()

        monkeypatch.setattr(_watch, "run_until_signal", serve)
        return main(["judge", "--reference", str(reference), *WATCH, *more]), seen.get("health")

    return run


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a line of a POSIX shell")
def test_requests_reach_a_command_and_a_url(judge, tmp_path):
    """Those in the queue when the service starts, too. The health shows what is wrong."""
    queue = RetrainingQueue(tmp_path / "queue.db")
    queue.put(request())
    (tmp_path / "token").write_text("s3cret\n")
    receiver = Receiver()
    with running(receiver) as url:
        code, health = judge(
            *("--retraining-queue", str(tmp_path / "queue.db"), "--retraining-command", f"cat > {tmp_path}/got.json"),
            *("--retraining-cloudevents", url, "--retraining-cloudevents-token-file", str(tmp_path / "token")),
            until=lambda: receiver.actions and (tmp_path / "got.json").exists(),
        )
    assert (code, health["retraining"]) == (0, {})
    assert json.loads((tmp_path / "got.json").read_text())["id"] == "retrain-m-3-1"
    ((headers, _, _),) = receiver.posts
    assert headers["authorization"] == "Bearer s3cret"
    queue.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--retraining-command", "true"), "--retraining-command: expected with --retraining-queue only"),
        (("--retraining-mlflow",), "--retraining-mlflow: expected with --retraining-queue only"),
        (("--retraining-cloudevents-token-file", "x"), "with --retraining-queue only"),
        (("--retraining-queue", "Q", "--retraining-cloudevents-token-file", "x"), "with --retraining-cloudevents only"),
        (("--retraining-queue", "Q", "--retraining-cloudevents", "ftp://x"), "url ftp://x: expected an address"),
        (
            (
                "--retraining-queue",
                "Q",
                "--retraining-cloudevents",
                "http://x",
                "--retraining-cloudevents-token-file",
                "/no",
            ),
            "--retraining-cloudevents-token-file /no: cannot be read",
        ),
        (("--retraining-queue", "Q", "--retraining-command", " "), "command=' '"),
    ],
)
def test_wrong_arguments_are_errors(judge, arguments, message, capsys, tmp_path):
    """They end the service at its start."""
    filled = [str(tmp_path / "queue.db") if each == "Q" else each for each in arguments]
    assert judge(*filled)[0] == 3
    assert message in capsys.readouterr().err
