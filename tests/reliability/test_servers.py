"""gunicorn with each of its workers, with and without preload: every answered request is a counted prediction."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("gunicorn")

REQUESTS = 240
CLIENTS = 6
SECONDS = 50
"""Seconds that a server may take to listen and to answer; reached only when it hangs."""


def free_port():
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stopped(server):
    """Send SIGTERM to a server, as an orchestrator does, and return its exit code."""
    server.send_signal(signal.SIGTERM)
    try:
        return server.wait(40)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        raise


@dataclass
class Server:
    """A running server and its log."""

    process: subprocess.Popen
    port: int
    log: Path

    def check(self, end):
        """Fail with the log when the server has ended, or when it does not answer in time."""
        assert self.process.poll() is None, self.log.read_text()
        assert time.monotonic() < end, self.log.read_text()


@contextmanager
def running(log, command, environment, port, codes=(0,)):
    """Run a server during the block, which begins when it listens."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    server = Server(process, port, log)
    try:
        end = time.monotonic() + SECONDS
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            server.check(end)
            time.sleep(0.05)
        yield server
    finally:
        code = stopped(process)
    assert code in codes, log.read_text()


def gunicorn(environment, log, *arguments, **more):
    """Run gunicorn."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--workers=2", f"--bind=127.0.0.1:{port}", "--graceful-timeout=20"]
    command += ["--config=python:gunicorn_setup", "--log-level=warning", *arguments]
    return running(log, command, {**environment, **more}, port)


def ask(server, requests=REQUESTS):
    """Send requests from several concurrent clients; return the number of right answers."""
    right, failed, lock = [0], [], threading.Lock()

    def client(first):
        for turn in range(first, requests, CLIENTS):
            end = time.monotonic() + SECONDS
            # A worker that ends closes connections unanswered. Such a request is sent again.
            while not failed:
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
                try:
                    connection.request("GET", f"/?{turn}")
                    answer = connection.getresponse()
                    body = answer.read()
                except (OSError, http.client.HTTPException):
                    server.check(end)
                    continue
                finally:
                    connection.close()
                assert (answer.status, body) == (200, repr(float(turn % 100) / 100.0).encode())
                with lock:
                    right[0] += 1
                break

    def guarded(first):
        try:
            client(first)
        except AssertionError as error:
            failed.append(error)

    clients = [threading.Thread(target=guarded, args=(first,)) for first in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    if failed:
        raise failed[0]
    return right[0]


WAYS = [
    ("sync", (), "import"),
    ("sync", ("--preload",), "import"),
    ("sync", ("--preload",), "post_fork"),
    ("gthread", ("--threads=4",), "post_fork"),
    ("gthread", ("--threads=4", "--preload"), "import"),
    ("gthread", ("--threads=4", "--preload"), "post_fork"),
    ("uvicorn_worker", (), "import"),
    ("uvicorn_worker", ("--preload",), "import"),
    ("uvicorn_worker", ("--preload",), "post_fork"),
    ("gevent", (), "post_fork"),
    ("gevent", (), "import"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("worker", "arguments", "setup"), WAYS, ids=lambda part: "".join(part) or "plain")
def test_every_answer_is_an_exported_prediction(receiver, environment, tmp_path, worker, arguments, setup):
    """Two workers export as two instances."""
    application = "web:wsgi"
    if worker == "uvicorn_worker":
        worker, application = "uvicorn_worker.UvicornWorker", "web:asgi"
        pytest.importorskip("uvicorn_worker")
    if worker == "gevent":
        pytest.importorskip("gevent")
    log = tmp_path / "gunicorn.log"
    with gunicorn(environment, log, f"--worker-class={worker}", *arguments, application, HOST_SETUP=setup) as server:
        assert ask(server) == REQUESTS
    assert receiver.served() == receiver.total("ml.prediction.duration") == REQUESTS
    assert receiver.observations("x") == receiver.observations("prediction") == REQUESTS
    assert len(receiver.instances()) in {1, 2}
    assert receiver.decreases == []


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_predictions_of_the_master_are_exported_once(receiver, environment, tmp_path, temporality):
    """The master exports its warm-up predictions, and no worker exports them again."""
    with gunicorn(
        environment,
        tmp_path / "gunicorn.log",
        "--preload",
        "web:wsgi",
        HOST_SETUP="import",
        HOST_WARM="25",
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality,
    ) as server:
        assert ask(server) == REQUESTS
    assert receiver.served() == receiver.total("ml.prediction.duration") == REQUESTS + 25
    assert receiver.observations("x") == REQUESTS + 25
    assert receiver.decreases == []


def test_replaced_workers_lose_no_predictions(receiver, environment, tmp_path):
    """With ``--max-requests`` workers end in mid-stream and others replace them."""
    arguments = ("--max-requests=40", "--preload", "web:wsgi")
    with gunicorn(environment, tmp_path / "gunicorn.log", *arguments, HOST_SETUP="import") as server:
        assert ask(server) == REQUESTS
    # A worker that ends may have answered a request that its client sent again.
    assert receiver.served() == receiver.observations("x") >= REQUESTS
    assert len(receiver.instances()) > 2
    assert receiver.decreases == []


def test_uvicorn_without_gunicorn(receiver, environment, tmp_path):
    """Uvicorn spawns two workers."""
    pytest.importorskip("uvicorn")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "web:asgi", f"--port={port}", "--workers=2", "--log-level=error"]
    # uvicorn ends by the signal after its workers have ended.
    codes = (0, -signal.SIGTERM)
    with running(tmp_path / "uvicorn.log", command, {**environment, "HOST_SETUP": "import"}, port, codes) as server:
        assert ask(server) == REQUESTS
    assert receiver.served() == receiver.total("ml.prediction.duration") == REQUESTS
    assert receiver.decreases == []


def test_a_dead_server_fails_its_test_with_its_log(environment, tmp_path):
    """It fails without waiting, at the start and between requests."""
    port = free_port()
    dies = [sys.executable, "-c", "raise SystemExit('no model here')"]
    with pytest.raises(AssertionError, match="no model here"), running(tmp_path / "a.log", dies, environment, port):
        pass
    listens = (
        "import socket, sys\n"
        f"with socket.create_server(('127.0.0.1', {port})) as server:\n"
        "    server.accept(), server.accept()\n"
        "sys.exit('the model is gone')"
    )
    command = [sys.executable, "-c", listens]
    with (
        pytest.raises(AssertionError, match="the model is gone"),
        running(tmp_path / "b.log", command, environment, port) as server,
    ):
        ask(server)
