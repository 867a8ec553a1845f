"""A server that never idles: the latency of its answers under wrk (which has to be installed), as it is and watched."""

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

from calls import LEARNT, SCENARIOS, Predict, rows_of, set_up_sdk

KINDS = ("bare", "Counter.add + Histogram.record", "driftline", "driftline, no duration histogram")
WIDTH, CONNECTIONS, WARM_UP_SECONDS = 20, 32, 3
EXPORT_MILLISECONDS = 10_000
"""Six times as often as OpenTelemetry's default. A collection of some 300 points takes the SDK over ten of them."""

SCENARIO = "DRIFTLINE_SERVER_SCENARIO"


def made() -> Predict:
    """The function that answers, past what is learnt in its first windows."""
    make, sdk, warm_up = SCENARIOS[os.environ[SCENARIO]]
    if sdk:
        set_up_sdk(EXPORT_MILLISECONDS)
    function, finish = make(WIDTH)
    rows = rows_of(WIDTH)
    for turn in range(warm_up if warm_up == LEARNT else 0):
        function(rows[turn % len(rows)])
    finish()
    return function


def application() -> Callable[..., Awaitable[None]]:
    """An ASGI application: a prediction for each request."""
    predict, rows, turns = made(), rows_of(WIDTH), count()

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
    """Milliseconds at p50 and p99, and answers per second."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = [sys.executable, "-m", "uvicorn", "server:application", "--factory", "--port", str(port)]
    quiet = ["--log-level", "critical", "--lifespan", "off"]
    environment = {**os.environ, SCENARIO: scenario}
    with subprocess.Popen([*server, *quiet], cwd=Path(__file__).parent, env=environment) as running:  # noqa: S603 - ours
        try:
            _await(port)
            _wrk(port, WARM_UP_SECONDS)
            said = _wrk(port, seconds)
        finally:
            running.terminate()
    return _milliseconds(said, "50%"), _milliseconds(said, "99%"), float(_found(r"Requests/sec:\s+([\d.]+)", said)[1])


def _await(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)


def _wrk(port: int, seconds: int) -> str:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - as it stands here


def _milliseconds(said: str, share: str) -> float:
    value, unit = _found(rf"{share}\s+([\d.]+)(us|ms|s)\b", said).groups()
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1_000.0}[unit]


def _found(pattern: str, said: str) -> re.Match[str]:
    found = re.search(pattern, said)
    if found is None:
        sys.exit(f"wrk said nothing of the kind {pattern!r}:\n{said}")
    return found


def main() -> None:
    """Print a table: medians of the rounds, and their range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    asked = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not on PATH: it makes the load (Debian: apt install wrk)")
    found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in KINDS}
    for _ in range(asked.rounds):
        for kind in KINDS:
            found[kind].append(measured(kind, asked.seconds))
    print("| what watches the call | p50, ms | p99, ms | answers/s |\n|---|---:|---:|---:|")
    for kind, values in found.items():
        cells = [
            f"{statistics.median(v):.1f} ({min(v):.1f} – {max(v):.1f})" for v in list(zip(*values, strict=True))[:2]
        ]
        rate = statistics.median(value[2] for value in values)
        print(f"| {kind} | {cells[0]} | {cells[1]} | {rate:,.0f} |")


if __name__ == "__main__":
    main()
