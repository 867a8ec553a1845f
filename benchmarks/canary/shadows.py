"""
The latency of live calls beside a shadow: async ones share a client with it, plain ones share the interpreter.

``live``: 100,000 async calls with the shadow and as many without it, in blocks that alternate, at 1,000 a second. Each
takes a lock and a semaphore; every fiftieth asks an HTTP server through one ``httpx.AsyncClient`` with ten connections.
The candidate does the same with the same objects, and every twentieth of its calls hangs in an await.

``load``: a baseline of 2 ms beside a candidate of 10 ms that never lets go of the interpreter, by ``max_load=``.

``throughput``: calls that a candidate of 100 ms has answered, of 500 at 431 a second, by ``concurrency=``.

Run: ``python benchmarks/canary/shadows.py live load throughput`` (about four minutes).
"""

# ruff: noqa: ARG001, ARG005 - models that ignore their input
from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

import driftline as dl

CALLS, BLOCK, RATE = 100_000, 2_500, 1_000.0
"""Live calls beside the shadow, calls of a block, and calls per second."""

HANGING = 20
"""Every so manieth call of the candidate hangs."""

RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n0.7"

ROW = {"x": 0.5}

SERVER = f"""
import asyncio
async def answer(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write({RESPONSE!r})
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@contextmanager
def http_server() -> Iterator[str]:
    """Run an HTTP server in another process, and return its address."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - a constant
        try:
            yield f"http://127.0.0.1:{int(next(iter(process.stdout or ())))}/"
        finally:
            process.kill()


def make_canary() -> tuple[dl.Monitor, dl.Monitor, dl.Canary]:
    """Return the monitors of a baseline and a candidate, and their canary."""
    random = np.random.default_rng(1)
    reference = dl.Reference.fit({"x": random.random(2_000)}, predictions=random.random(2_000))
    monitors = [dl.Monitor("m", version=version, reference=reference) for version in ("1", "2")]
    return monitors[0], monitors[1], dl.Canary(*monitors)


# --- live calls ------------------------------------------------------------------------------------------------------


async def pace(call: Callable[[], Awaitable[Any]], calls: int) -> tuple[NDArray[np.float64], int]:
    """Begin calls at `RATE`, whether or not those before have ended. Return their seconds, and how many failed."""
    seconds: list[float] = []
    failed = 0

    async def timed() -> None:
        nonlocal failed
        start = time.perf_counter()
        try:
            failed += await asyncio.wait_for(call(), 30) != 0.7
        except Exception:  # noqa: BLE001 - any failure of a live call counts
            failed += 1
        seconds.append(time.perf_counter() - start)

    loop, tasks = asyncio.get_running_loop(), set()
    start = loop.time()
    for number in range(calls):
        await asyncio.sleep(max(0.0, start + number / RATE - loop.time()))
        task = loop.create_task(timed())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    while tasks:
        await asyncio.wait(tasks)
    return np.array(seconds), failed


async def live(address: str) -> None:
    """Print the latency of live calls without and with a shadow."""
    baseline, candidate, canary = make_canary()
    lock, semaphore = asyncio.Lock(), asyncio.Semaphore(20)
    number = repeated = 0
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=10), trust_env=False) as client:

        async def serve(features: dict[str, float]) -> float:
            nonlocal number
            number += 1
            ask = number % 50 == 0
            async with semaphore:
                async with lock:
                    await asyncio.sleep(0)
                if ask:
                    return float((await client.get(address)).text)
            return 0.7

        async def repeat(features: dict[str, float]) -> float:
            nonlocal repeated
            repeated += 1
            if repeated % HANGING == 0:
                await asyncio.get_running_loop().create_future()
            return await serve(features)

        plain = baseline.instrument(serve)
        shadowed = canary.shadow(plain, candidate.instrument(repeat), concurrency=5, timeout=0.5)
        await pace(lambda: plain(ROW), BLOCK)
        blocks: dict[str, list[NDArray[np.float64]]] = {"without": [], "with": []}
        failures = dict.fromkeys(blocks, 0)
        for _ in range(CALLS // BLOCK):
            for name, function in zip(blocks, (plain, shadowed), strict=True):
                seconds, failed = await pace(lambda function=function: function(ROW), BLOCK)  # type: ignore[misc]
                blocks[name].append(seconds)
                failures[name] += failed
        await canary.aclose()
    evidence = canary.evidence()
    print("| live calls | failed | p50 ms | p99 ms | middle half of the blocks' p99 |\n|---|---:|---:|---:|---|")
    for name, parts in blocks.items():
        p99 = 1_000 * np.array([np.quantile(part, 0.99) for part in parts])
        p50 = 1_000 * float(np.median(np.concatenate(parts)))
        low, high = np.quantile(p99, (0.25, 0.75))
        print(
            f"| {name} the shadow: {sum(map(len, parts)):,} | {failures[name]} | {p50:.2f} | {np.median(p99):.2f} "
            f"| {low:.2f} to {high:.2f} |"
        )
    answered = evidence.pooled()[1]
    print(f"\nThe candidate repeated {answered.calls:,} calls; {answered.failed_calls:,} hung and were cancelled.\n")


# --- load and throughput ---------------------------------------------------------------------------------------------


def work(seconds: float) -> float:
    """Take processor time, and hold the interpreter meanwhile."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return 0.7


def load(calls: int = 1_000) -> None:
    """Print the latency of a baseline of 2 ms beside a candidate of 10 ms that never lets go of the interpreter."""
    print("| `max_load` | p50 ms | mean ms | p99 ms | calls repeated |\n|---|---:|---:|---:|---:|")
    for max_load in ("no shadow", 0.05, 0.1, 0.25, 0.5, None):
        baseline, candidate, canary = make_canary()
        predict = baseline.instrument(lambda features: work(0.002))
        if not isinstance(max_load, str):
            predict = canary.shadow(predict, candidate.instrument(lambda features: work(0.010)), max_load=max_load)
        seconds = []
        for _ in range(calls):
            start = time.perf_counter()
            predict(ROW)
            seconds.append(time.perf_counter() - start)
        repeated = canary.evidence().pooled()[1].calls
        canary.close(0)
        p50, p99 = 1_000 * np.quantile(seconds, (0.5, 0.99))
        print(f"| {max_load} | {p50:.1f} | {1_000 * np.mean(seconds):.1f} | {p99:.1f} | {repeated} of {calls} |")
    print()


def throughput(calls: int = 500, rate: float = 431.0) -> None:
    """Print how many calls a candidate that takes 100 ms has answered at the end of the live calls."""
    print("| `concurrency` | answered of 500 | dropped or pending |\n|---:|---:|---:|")
    for concurrency in (1, 4, 16, 64):
        baseline, candidate, canary = make_canary()
        repeat = candidate.instrument(lambda features: time.sleep(0.1) or 0.7)
        predict = canary.shadow(baseline.instrument(lambda features: 0.7), repeat, concurrency=concurrency)
        start = time.perf_counter()
        for number in range(calls):
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
            predict(ROW)
        answered = canary.evidence().compared
        canary.close(0)
        print(f"| {concurrency} | {answered} | {calls - answered} |")
    print()


def main(sections: list[str]) -> None:
    """Print the chosen sections."""
    if "throughput" in sections:
        throughput()
    if "load" in sections:
        load()
    if "live" in sections:
        with http_server() as address:
            asyncio.run(live(address))


if __name__ == "__main__":
    main(sys.argv[1:] or ["live", "load", "throughput"])
