"""One of three ways to drain the buffer, under one kind of traffic. Prints JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from calls import monitor_of, predict, rows_of, set_up_sdk
from opentelemetry import metrics

WIDTH = 20
WAIT = 0.001
"""Seconds between the calls of a service that waits for requests."""

TASKS = 50


def drained_by(drainer: str) -> tuple[Callable[[Any], float], Callable[[], None]]:
    """Return the instrumented function, drained by a thread, by callers alone, or by metric collections alone."""
    monitor = monitor_of(WIDTH, synchronous=drainer == "caller")
    if drainer == "collection":
        # Not a choice of users. The thread is never started, and callers help only when the buffer is full.
        worker: Any = monitor._pipeline.worker  # noqa: SLF001 - see above
        worker.start = worker.wake = lambda: None
    return monitor.instrument(predict), monitor.flush


def in_threads(function: Callable[[Any], float], threads: int, seconds: float, wait: float) -> list[int]:
    """Return the latencies of threads that call in a loop, in nanoseconds."""
    rows, latencies = rows_of(WIDTH), [[] for _ in range(threads)]
    until = time.perf_counter() + seconds

    def serve(taken: list[int]) -> None:
        clock, turn = time.perf_counter_ns, 0
        while time.perf_counter() < until:
            row = rows[turn % len(rows)]
            turn += 1
            start = clock()
            function(row)
            taken.append(clock() - start)
            if wait:
                time.sleep(wait)

    workers = [threading.Thread(target=serve, args=(taken,)) for taken in latencies]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [latency for taken in latencies for latency in taken]


def in_tasks(function: Callable[[Any], float], seconds: float) -> list[int]:
    """Return the latencies of tasks of one event loop that wait between their calls, in nanoseconds."""
    rows, taken = rows_of(WIDTH), []
    until = time.perf_counter() + seconds

    async def serve(number: int) -> None:
        clock, turn = time.perf_counter_ns, number
        while time.perf_counter() < until:
            row = rows[turn % len(rows)]
            turn += TASKS
            start = clock()
            function(row)
            taken.append(clock() - start)
            await asyncio.sleep(WAIT)

    async def all_of_them() -> None:
        await asyncio.gather(*(serve(number) for number in range(TASKS)))

    asyncio.run(all_of_them())
    return taken


TRAFFIC: dict[str, Callable[[Callable[[Any], float], float], list[int]]] = {
    "waiting, 1 thread": lambda function, seconds: in_threads(function, 1, seconds, WAIT),
    "waiting, 4 threads": lambda function, seconds: in_threads(function, 4, seconds, WAIT),
    "waiting, 16 threads": lambda function, seconds: in_threads(function, 16, seconds, WAIT),
    "asyncio, 50 tasks": in_tasks,
    "saturated, 1 thread": lambda function, seconds: in_threads(function, 1, seconds, 0.0),
    "saturated, 4 threads": lambda function, seconds: in_threads(function, 4, seconds, 0.0),
    "saturated, 16 threads": lambda function, seconds: in_threads(function, 16, seconds, 0.0),
}
WAYS = ("thread", "caller", "collection", "bare")


def measure(drainer: str, traffic: str, seconds: float) -> dict[str, float]:
    """Return quantiles of the latency and CPU of the process per call, in nanoseconds, and calls per second."""
    set_up_sdk()
    function, finish = (predict, lambda: None) if drainer == "bare" else drained_by(drainer)
    run = TRAFFIC[traffic]
    run(function, 0.3)
    cpu, start = time.process_time_ns(), time.perf_counter()
    taken = run(function, seconds)
    rate = len(taken) / (time.perf_counter() - start)
    finish()
    metrics.get_meter_provider().force_flush()  # type: ignore[attr-defined]
    cpu = (time.process_time_ns() - cpu) / len(taken)
    p50, p99, p999 = np.quantile(taken, (0.5, 0.99, 0.999))
    return {"p50": p50, "p99": p99, "p99.9": p999, "max": float(max(taken)), "cpu": cpu, "rate": rate}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("drainer", choices=WAYS)
    parser.add_argument("traffic", choices=TRAFFIC)
    parser.add_argument("--seconds", type=float, default=1.5)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.drainer, asked.traffic, asked.seconds)))
