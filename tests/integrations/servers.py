"""Real servers in processes: started, asked by several clients, and stopped as an orchestrator does it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from processes import LOCAL, wait_for_port

__all__ = ["APPS", "Server", "answers", "environment_of", "post", "post_all", "row", "running"]

APPS = Path(__file__).parent / "apps"
"""The folder of the services."""

CLIENTS = 4
STOP_SECONDS = 60
"""Seconds that a server may take to stop; reached only when it hangs."""

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def row(turn):
    """Return the features of one request."""
    return {"x": float(turn % 100), "channel": ("web", "shop", "phone")[turn % 3]}


def environment_of(receiver, reference_file, folder, **more):
    """
    Return the environment of a service that sends to the receiver.

    It exports each hour, so that what arrives was sent at the stop.
    """
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")},
        **LOCAL,
        "SERVICE_REFERENCE": str(reference_file),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        "OTEL_SERVICE_NAME": "service",
        "PYTHONPATH": str(APPS),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "HOME": str(folder),
        **more,
    }


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen
    url: str
    log: Path

    def stop(self, number=signal.SIGTERM):
        """Ask the server to stop, and wait for its end and that of all processes that it has started."""
        self.process.send_signal(number)
        end = time.monotonic() + STOP_SECONDS
        while self.process.poll() is None or _is_alive(self.process.pid):
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)


def _is_alive(session):
    """Return whether a process of this session runs. Some servers end before the processes that they have started."""
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of = file.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                return True
    return False


@contextlib.contextmanager
def running(command, environment, log, port=None, *, ready=None):
    """Run a server during the block, which begins when it listens, or when *ready* returns true."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment,
            cwd=log.parent,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        if port is not None:
            wait_for_port(port, process, log.read_text)
        end = time.monotonic() + STOP_SECONDS
        while ready is not None and not ready(server):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield server
        if process.poll() is None:
            server.stop()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url):
    """Return whether a GET is answered with 200."""
    try:
        with _opener.open(url, timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def post(url, body, **headers):
    """Send JSON; return the status and the answer."""
    request = urllib.request.Request(  # noqa: S310 - a server of the tests
        url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}, method="POST"
    )
    try:
        with _opener.open(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def post_all(url, bodies):
    """Send several bodies from several clients. Return the answers in the order of the bodies; all must be 200."""
    results = [None] * len(bodies)

    def client(first):
        for turn in range(first, len(bodies), CLIENTS):
            results[turn] = post(url, bodies[turn])

    clients = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    refused = [answer for answer in results if answer is None or answer[0] != 200]
    assert refused == [], refused[:3]
    return [answer for _, answer in results]
