"""Shadows beside live calls: shared clients, candidates that hang or block, interrupts, forks, memory."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import httpx
import numpy as np
import pytest

import driftline as dl
from driftline.canary._shadows import calls

needs_signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers of signals here")


@pytest.fixture
def variants():
    """A baseline, a candidate and their canary."""
    random = np.random.default_rng(3)
    reference = dl.Reference.fit({"x": random.random(2_000)}, predictions=random.random(2_000))
    monitors = [dl.Monitor("m", version=version, reference=reference, synchronous=True) for version in ("1", "2")]
    canary = dl.Canary(*monitors, dl.CanaryPolicy(allowed_disagreement=0.02))
    yield *monitors, canary
    canary.close(0)
    for monitor in monitors:
        monitor.shutdown()


ROW = {"x": 0.5}


async def answer(reader, writer):
    """Answer each request of a connection."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n0.7")
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


@pytest.mark.slow
@pytest.mark.system
def test_no_live_call_fails_beside_a_shadow_that_shares_its_client(variants):
    """Nor does an identical candidate, but where it hangs in an await."""
    baseline, candidate, canary = variants
    asked, hung = [], []

    async def main():
        lock, semaphore = asyncio.Lock(), asyncio.Semaphore(5)
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        limits = httpx.Limits(max_connections=4)
        async with server, httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as client:

            async def ask(features):
                async with semaphore:
                    async with lock:
                        await asyncio.sleep(0)
                    return float((await client.get(url)).text)

            async def ask_or_hang(features):
                asked.append(1)
                if len(asked) % 100 == 0:
                    hung.append(1)
                    await asyncio.get_running_loop().create_future()
                return await ask(features)

            old, new = baseline.instrument(ask), candidate.instrument(ask_or_hang)
            predict = canary.shadow(old, new, concurrency=3, timeout=3, max_load=None)
            results = []
            for _ in range(100):
                results += await asyncio.gather(*(predict(ROW) for _ in range(30)), return_exceptions=True)
            assert await canary.aflush(60)
            return results

    results = asyncio.run(main())
    assert [result for result in results if result != 0.7] == []
    evidence = canary.evidence()
    served, repeated = evidence.pooled()
    assert (served.calls, served.failed_calls) == (3_000, 0)
    assert (repeated.calls, repeated.failed_calls) == (len(asked), len(hung))
    assert evidence.compared == evidence.agreed == len(asked) - len(hung)
    assert len(hung) > 3


@needs_signals
def test_an_interrupt_within_the_candidate_reaches_the_host(variants, caplog):
    """Ctrl-C comes while the candidate has the loop. asyncio logs no lost exception."""
    baseline, candidate, canary = variants

    async def serve(features):
        return 0.7

    async def interrupted(features):
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGINT)

    async def main():
        await predict(ROW)
        await asyncio.sleep(60)

    predict = canary.shadow(baseline.instrument(serve), candidate.instrument(interrupted))
    loop = asyncio.new_event_loop()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(main())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert canary.flush()
    gc.collect()
    assert "never retrieved" not in caplog.text


class TimedOut(Exception):  # noqa: N818 - as hosts name it
    """A time-out of a task queue, which a signal handler raises."""


@needs_signals
@pytest.mark.slow
def test_interrupts_of_callers_lose_no_account(variants, monkeypatch):
    """At any step of the shadow, hundreds of times. Then it has room for all calls, and they end."""
    monkeypatch.setattr(calls, "LOST_SECONDS", 0.05)
    baseline, candidate, canary = variants
    predict = canary.shadow(
        baseline.instrument(lambda features: 0.7), candidate.instrument(lambda features: 0.7), max_load=None
    )

    def interrupt(_, frame):
        if "_shadows" in frame.f_code.co_filename:
            raise TimedOut

    def serve():
        while time.monotonic() < end:
            predict(ROW)

    before, interrupts, end = signal.signal(signal.SIGALRM, interrupt), 0, time.monotonic() + 1.5
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while time.monotonic() < end:
            with contextlib.suppress(TimedOut):
                serve()
            interrupts += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupts > 20
    assert canary.flush(30)
    compared = canary.evidence().compared
    for _ in range(500):
        predict(ROW)
    assert canary.flush(30)
    assert canary.evidence().compared == compared + 500


class Input:
    """An input whose end is seen."""


def test_inputs_are_released_without_a_collection_of_garbage(variants):
    """Else the memory of large inputs would pile up between collections."""
    baseline, candidate, canary = variants
    select = {"features": lambda features, _: features}
    references = []

    async def serve(features, body):
        await asyncio.sleep(0)
        return 0.7

    async def fail(features, body):
        await asyncio.sleep(0)
        raise KeyError

    async def hang(features, body):
        await asyncio.get_running_loop().create_future()

    async def main():
        for function in (serve, fail, hang):
            predict = canary.shadow(
                baseline.instrument(**select)(serve), candidate.instrument(**select)(function), timeout=0.01
            )
            for _ in range(5):
                body = Input()
                references.append(weakref.ref(body))
                await predict(ROW, body)
                del body
        assert await canary.aflush()
        await asyncio.sleep(0)
        return sum(reference() is not None for reference in references)

    gc.collect()
    gc.disable()
    try:
        alive = asyncio.run(main())
    finally:
        gc.enable()
    assert (alive, len(references)) == (0, 15)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_within_a_loop_counts_its_own_calls(variants):
    """Those that are pending in the parent end there, and count there only."""
    baseline, candidate, canary = variants

    async def serve(features):
        await asyncio.sleep(0)
        return 0.7

    async def serve_once():
        await predict(ROW)
        return await canary.aflush()

    async def main():
        await predict(ROW)
        await asyncio.sleep(0)
        child = os.fork()
        if child == 0:
            right = False
            try:
                # No loop runs in the child, so it may run another one.
                right = asyncio.run(serve_once()) and canary.evidence().compared == 1
            finally:
                os._exit(0 if right else 1)
        assert await canary.aflush()
        return child

    predict = canary.shadow(baseline.instrument(serve), candidate.instrument(serve))
    child = asyncio.run(main())
    assert canary.evidence().compared == 1
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.slow
def test_many_threads_share_a_shadow(variants):
    """No call is lost, and none counts twice."""
    baseline, candidate, canary = variants
    predict = canary.shadow(
        baseline.instrument(lambda features: 0.7),
        candidate.instrument(lambda features: 0.7),
        concurrency=4,
        size=100_000,
        max_load=None,
    )
    threads = [threading.Thread(target=lambda: [predict(ROW) for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert canary.flush(60)
    evidence = canary.evidence()
    assert (evidence.compared, evidence.pooled()[1].calls) == (4_000, 4_000)


HOST = """
import asyncio, sys, threading, time
import driftline as dl

monitors = [dl.Monitor("m", version=version, reference=dl.Reference.load(sys.argv[1])) for version in "12"]
canary = dl.Canary(*monitors)
row = {"x": 1.0, "channel": "web"}


def hang(features):
    threading.Event().wait()


def spin(features):
    while True:
        pass


async def serve(features):
    return 0.7


async def hang_in_await(features):
    await asyncio.get_running_loop().create_future()


if sys.argv[2] == "await":
    predict = canary.shadow(monitors[0].instrument(serve), monitors[1].instrument(hang_in_await))
    loop = asyncio.new_event_loop()
    for _ in range(3):
        loop.run_until_complete(predict(row))  # and neither cancels its tasks nor closes the loop
else:
    predict = canary.shadow(monitors[0].instrument(lambda features: 0.7), globals()[sys.argv[2]], concurrency=2)
    for _ in range(20):
        predict(row)
    time.sleep(0.05)
print("end", flush=True)
"""
"""A program that ends while its candidate does not."""


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.parametrize("way", ["hang", "spin", "await"])
def test_a_program_ends_beside_a_candidate_that_does_not(way, reference_file):
    """In time, without an error."""
    command = [sys.executable, "-c", HOST, str(reference_file), way]
    host = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (host.returncode, host.stdout) == (0, "end\n")
    assert "Traceback" not in host.stderr
    assert "Task" not in host.stderr
