"""Latency of a server under constant load from wrk (which must be installed), with and without instrumentation."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import count
from pathlib import Path
from typing import Any

from calls import LEARNED, SCENARIOS, Predict, rows_of, set_up_sdk

KINDS = ("bare", "Counter.add + Histogram.record", "driftline", "driftline, no duration histogram")
WIDTH, CONNECTIONS, WARM_UP_SECONDS = 20, 32, 3
EXPORT_MILLISECONDS = 10_000
"""
Time between two exports, a sixth of OpenTelemetry's default.

A collection of about 300 points takes the SDK over 10 ms.
"""

SCENARIO = "DRIFTLINE_SERVER_SCENARIO"


def warmed_up() -> Predict:
    """Return the function of the scenario after its first windows."""
    make, sdk, warm_up = SCENARIOS[os.environ[SCENARIO]]
    if sdk:
        set_up_sdk(EXPORT_MILLISECONDS)
    function, finish = make(WIDTH)
    rows = rows_of(WIDTH)
    for turn in range(warm_up if warm_up == LEARNED else 0):
        function(rows[turn % len(rows)])
    finish()
    return function


def application() -> Callable[..., Awaitable[None]]:
    """Return an ASGI application that makes a prediction for each request."""
    predict, rows, turns = warmed_up(), rows_of(WIDTH), count()

    async def answer(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        del receive
        if scope["type"] != "http":
            return
        body = str(predict(dict(rows[next(turns) % len(rows)]))).encode()
        length = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})

    return answer


def measured(scenario: str, seconds: int) -> tuple[float, float, float]:
    """Return p50 and p99 in milliseconds, and answers per second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = [sys.executable, "-m", "uvicorn", "server:application", "--factory", "--port", str(port)]
    quiet = ["--log-level", "critical", "--lifespan", "off"]
    environment = {**os.environ, SCENARIO: scenario}
    with subprocess.Popen([*server, *quiet], cwd=Path(__file__).parent, env=environment) as running:  # noqa: S603 - this folder's own script
        try:
            _await(port)
            _wrk(port, WARM_UP_SECONDS)
            report = _wrk(port, seconds)
        finally:
            running.terminate()
    rate = _search(r"Requests/sec:\s+([\d.]+)", report)[1]
    return _milliseconds(report, "50%"), _milliseconds(report, "99%"), float(rate)


def _await(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)


def _wrk(port: int, seconds: int) -> str:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - a constant command


def _milliseconds(report: str, share: str) -> float:
    value, unit = _search(rf"{share}\s+([\d.]+)(us|ms|s)\b", report).groups()
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1_000.0}[unit]


def _search(pattern: str, report: str) -> re.Match[str]:
    match = re.search(pattern, report)
    if match is None:
        sys.exit(f"the report of wrk has no {pattern!r}:\n{report}")
    return match


def main() -> None:
    """Print a table: medians of the rounds, and their range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not on PATH: it produces the load (Debian: apt install wrk)")
    rounds: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in KINDS}
    for _ in range(asked.rounds):
        for kind in KINDS:
            rounds[kind].append(measured(kind, asked.seconds))
    print("| instrumentation | p50, ms | p99, ms | answers/s |\n|---|---:|---:|---:|")
    for kind, values in rounds.items():
        cells = [
            f"{statistics.median(v):.1f} ({min(v):.1f} – {max(v):.1f})" for v in list(zip(*values, strict=True))[:2]
        ]
        rate = statistics.median(value[2] for value in values)
        print(f"| {kind} | {cells[0]} | {cells[1]} | {rate:,.0f} |")


if __name__ == "__main__":
    main()
