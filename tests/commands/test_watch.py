"""Arguments of ``driftline judge --watch``."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack

import pytest

import driftline as dl
from driftline._runtime.file_lock import lock_file
from driftline.cli import main
from driftline.commands import _state, _watch


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.json"
    dl.Reference.fit({"x": [float(number % 50) for number in range(500)]}).save(path)
    return str(path)


WATCH = ("--watch", "--otlp", "127.0.0.1:0")
PROMETHEUS = ("--prometheus", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected --prometheus, or --watch with --otlp or --otlp-grpc"),
        (("--watch",), "expected --prometheus, or --watch with"),
        (("--otlp",), "--otlp: expected with --watch only"),
        ((*PROMETHEUS, "--health"), "--health: expected with --watch only"),
        ((*PROMETHEUS, "--policy", "x"), "--policy: expected with --watch only"),
        ((*PROMETHEUS, *WATCH), "--otlp: expected without --prometheus"),
        ((*PROMETHEUS, "--watch", "--otlp-cert", "x"), "--otlp-cert: expected with --otlp or --otlp-grpc only"),
        ((*WATCH, "--tenant", "x"), "--tenant: expected with --prometheus only"),
        ((*WATCH, "--selector", "x"), "--selector: expected with --prometheus only"),
        (("--watch", "--otlp", "x:1", "--otlp-grpc", "x:1"), "expected another port than --otlp"),
        (("--watch", "--otlp", "0.0.0.0:1"), "any host could send counts otherwise"),
        (("--watch", "--otlp-grpc", "[::]:1"), "any host could send counts otherwise"),
        (("--watch", "--otlp", "http://x"), "expected an address such as 127.0.0.1:4319"),
        ((*WATCH, "--health", "x:y"), "expected an address such as 127.0.0.1:8321"),
        ((*WATCH, "--otlp-token-file", "/no/such"), "--otlp-token-file /no/such"),
        ((*WATCH, "--otlp-cert", "/no/such"), "--otlp-cert and --otlp-key: expected both or none"),
        ((*WATCH, "--state", "/no/such/folder/state"), "--state /no/such/folder/state"),
        ((*WATCH, "--policy", "/no/such"), "/no/such"),
        ((*WATCH, "--window", "60s"), "--window"),
    ],
)
def test_arguments_that_do_not_fit(reference, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(_watch, "_set_up", lambda _: lambda: None)
    assert main(["judge", "--reference", reference, *arguments]) == 3
    assert message in capsys.readouterr().err


def test_two_processes_need_two_files(reference, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(_state, "LOCK_SECONDS", 0.1)
    with lock_file(tmp_path / "state.lock", 1.0):
        assert main(["judge", "--reference", reference, *WATCH, "--state", str(tmp_path / "state")]) == 3
    assert "another process has it" in capsys.readouterr().err


def test_what_it_serves(reference, monkeypatch, tmp_path):
    """Receivers of both protocols, and the health, until the end; then the telemetry is sent for the last time."""
    seen, order = {}, []

    def run(service, receivers):
        alive, seen["health"] = service.health.report()
        assert alive
        receivers.close()
        service.close()
        order.append("ended")

    monkeypatch.setattr(_watch, "run_until_signal", run)
    monkeypatch.setattr(_watch, "_set_up", lambda name: lambda: order.append(name))
    arguments = (*WATCH, "--otlp-grpc", "127.0.0.1:0", "--health", "127.0.0.1:0", "--state", str(tmp_path / "state"))
    more = ("--retraining-queue", str(tmp_path / "queue"), "--service-name", "fleet-of-m")
    assert main(["judge", "--reference", reference, *arguments, *more]) == 0
    assert order == ["ended", "fleet-of-m"]
    assert seen["health"]["otlp"] == seen["health"]["otlp_grpc"] == {"accepted": 0, "refused": {}}
    assert seen["health"]["series"] == 0
    assert (tmp_path / "state").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(number):
    """The receivers are closed first, so that what they confirmed is in the state that is saved."""
    order = []

    class Service:
        def run(self, ended):
            os.kill(os.getpid(), number)
            order.append(ended.wait(30))

        def close(self):
            order.append("saved")

    receivers = ExitStack()
    receivers.callback(order.append, "closed")
    before = signal.getsignal(number)
    _watch.run_until_signal(Service(), receivers)
    assert sorted(order[:2], key=str) == [True, "closed"]
    assert order[2:] == ["saved"]
    assert signal.getsignal(number) is before


def test_a_reading_that_goes_on_is_not_saved(monkeypatch):
    monkeypatch.setattr(_watch, "GRACE_SECONDS", 0.05)
    over, saved = threading.Event(), []

    class Service:
        def run(self, ended):
            os.kill(os.getpid(), signal.SIGTERM)
            over.wait(30)

        def close(self):
            saved.append(True)

    _watch.run_until_signal(Service(), ExitStack())
    over.set()
    assert saved == []


def test_a_service_that_ends_by_itself_is_an_error():
    """Its counts are saved."""
    saved = []

    class Service:
        def run(self, ended):
            pass

        def close(self):
            saved.append(True)

    with pytest.raises(RuntimeError, match="ended by itself"):
        _watch.run_until_signal(Service(), ExitStack())
    assert saved == [True]
