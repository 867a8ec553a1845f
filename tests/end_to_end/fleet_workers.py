"""Workers of a service as processes, the rows that each has served, and rows with a drift."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from processes import LOCAL, free_port, is_listening, wait_for_end

WORKER = Path(__file__).with_name("fleet_worker.py")

SECONDS = 60.0
"""Seconds that a process may take to start or to end; reached only when a test fails."""

WINDOW, EXPORT_MILLISECONDS = "8s", 400

SHIFT = 1.6
"""The drift of the amounts, 0.8 standard deviations."""


@dataclass
class Served:
    """Rows that a worker has answered: when its answer came, and the rows."""

    at: float
    window: int
    rows: list[dict[str, float]]


class Fleet:
    """Workers that export to one collector, and what each has served."""

    def __init__(self, endpoint, folder, reference):
        self._endpoint, self._folder, self._reference = endpoint, folder, reference
        self._starting, self._ended = {}, {}
        self.ready = {}
        self.served = {}

    def start(self, *names):
        """Start workers; `poll` makes them ready when they listen."""
        for name in names:
            self._starting[name] = start_worker(
                name, self._folder, self._reference, OTEL_EXPORTER_OTLP_ENDPOINT=self._endpoint
            )

    def poll(self):
        """Make workers ready that listen by now."""
        for name, (port, process) in list(self._starting.items()):
            if is_listening(port):
                self.ready[name] = self._starting.pop(name)
                self.served[name] = []
            else:
                assert process.poll() is None, (self._folder / f"{name}.log").read_text()

    def wait_until_ready(self):
        end = time.monotonic() + SECONDS
        while self._starting:
            self.poll()
            assert time.monotonic() < end, self._starting
            time.sleep(0.05)

    def send(self, name, window, rows):
        """Let a worker predict rows."""
        predict(self.ready[name][0], rows)
        self.served[name].append(Served(time.time(), window, rows))

    def end(self, name, how):
        """Send a signal to a worker, which no longer serves. `close` waits for its end."""
        self._ended[name] = self.ready.pop(name)
        self._ended[name][1].send_signal(how)

    def close(self):
        for name in list(self.ready):
            self.end(name, signal.SIGTERM)
        for _, process in [*self._ended.values(), *self._starting.values()]:
            wait_for_end(process)


def start_worker(name, folder, reference, *, interval=EXPORT_MILLISECONDS, **environment):
    """Start a worker, and return its port and its process. It exports every *interval* milliseconds."""
    port = free_port()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, WORKER, str(port), reference, WINDOW, "1h"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                **LOCAL,
                "OTEL_METRIC_EXPORT_INTERVAL": str(interval),
                "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={name}",
                **environment,
            },
        )
    return port, process


def predict(port, rows):
    """Let the worker at a port predict rows."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/predict", json.dumps(rows))
        assert json.load(connection.getresponse()) == len(rows)
    finally:
        connection.close()


def draw(random, rows, shift):
    """Return rows whose amount is shifted by *shift*."""
    amount = random.normal(10.0 + shift, 2.0, rows)
    return [
        {"amount": a, "age": b} for a, b in zip(amount.tolist(), random.normal(40.0, 10.0, rows).tolist(), strict=True)
    ]
