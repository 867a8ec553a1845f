"""Hosts of many kinds, run as separate processes: each writes its counts to a ledger, for the tests to compare."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import faulthandler
import gc
import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import driftline as dl

LEDGER = os.environ["HOST_LEDGER"]
REFERENCE = os.environ["HOST_REFERENCE"]


def write_counts(**counts):
    """Append a line to the ledger in one write, so that lines of several processes do not mix."""
    line = json.dumps(counts) + "\n"
    descriptor = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def monitor_of(**options):
    """Return the monitor of all scenarios."""
    return dl.Monitor(
        "m",
        **{
            "reference": REFERENCE,
            "window": dl.Window(rows=200),
            "rule": dl.Thresholds(psi=0.2),
            "export_bins": True,
            **options,
        },
    )


def row(turn):
    """Return the features of a call."""
    return {"x": float(turn % 100), "channel": ("web", "shop", "phone")[turn % 3]}


class Model:
    """A predict function and its counts."""

    def __init__(self, monitor):
        self.lock = threading.Lock()
        self.served = self.failed = 0

        @monitor.instrument
        def predict(features):
            if features["x"] == 13.0:
                message = "no"
                raise ValueError(message)
            return features["x"] / 100.0

        self._predict = predict

    def __call__(self, turn):
        try:
            self._predict(row(turn))
        except ValueError:
            with self.lock:
                self.failed += 1
        else:
            with self.lock:
                self.served += 1

    def serve(self, turns):
        for turn in range(turns):
            self(turn)

    def write_counts(self):
        write_counts(served=self.served, failed=self.failed)


def threads(model, setup):
    """Eight threads."""
    running = [threading.Thread(target=model.serve, args=(2_000,)) for _ in range(8)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    model.write_counts()


def cancellation(model, setup):
    """Cancel a third of the tasks half-way, and some before they begin."""
    monitor = model.monitor
    counts = {"served": 0, "cancelled": 0, "never": 0}

    @monitor.instrument
    async def predict(features):
        await asyncio.sleep(0.05)
        return 0.5

    async def call(turn):
        try:
            await predict(row(turn))
        except asyncio.CancelledError:
            counts["cancelled"] += 1
            raise
        counts["served"] += 1

    async def main():
        tasks = [asyncio.create_task(call(turn)) for turn in range(300)]
        await asyncio.sleep(0.01)
        for task in tasks[::3]:
            task.cancel()
        late = [asyncio.create_task(call(turn)) for turn in range(20)]
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, *late, return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(predict(row(0)), 0.001)
        counts["cancelled"] += 1

    asyncio.run(main())
    write_counts(served=counts["served"], failed=counts["cancelled"])


def generators(model, setup):
    """Exhaust, abandon, close, drop and throw into generators, or never begin them; the same with async generators."""
    monitor = model.monitor

    @monitor.instrument
    def tokens(features):
        for turn in range(5):
            yield turn / 10.0

    @monitor.instrument
    async def later(features):
        for turn in range(5):
            await asyncio.sleep(0)
            yield turn / 10.0

    list(tokens(row(1)))
    for _ in tokens(row(2)):
        break
    closed = tokens(row(3))
    next(closed)
    closed.close()
    dropped = tokens(row(4))
    next(dropped)
    del dropped
    gc.collect()
    tokens(row(5))
    thrown = tokens(row(6))
    next(thrown)
    with contextlib.suppress(KeyError):
        thrown.throw(KeyError("x"))

    async def main():
        async for _ in later(row(1)):
            pass
        left = later(row(2))
        async for _ in left:
            break
        await left.aclose()
        forgotten = later(row(3))
        await forgotten.__anext__()
        del forgotten
        gc.collect()
        later(row(4))
        failing = later(row(5))
        await failing.__anext__()
        with contextlib.suppress(KeyError):
            await failing.athrow(KeyError("x"))

    asyncio.run(main())
    write_counts(served=4 + 3, failed=1 + 1)


def errors(model, setup):
    """Exceptions of every kind reach the caller unchanged."""
    monitor = model.monitor
    failed = 0
    for error in (ValueError("a"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), BaseExceptionGroupOr("g")):

        @monitor.instrument
        def predict(features, error=error):
            raise error

        try:
            predict(row(1))
        except BaseException as caught:  # noqa: BLE001 - the subject of this scenario
            failed += caught is error
    write_counts(served=0, failed=failed)


class BaseExceptionGroupOr(BaseException):
    """A BaseException that the host defines."""


def fork(model, setup):
    """Fork children in the middle of calls, drains, evaluations, collections and exports."""
    chance = random.Random(int(os.environ.get("HOST_SEED", "1")))
    done = threading.Event()

    def serve():
        turn = 0
        while not done.wait(0.0005):
            model(turn)
            turn += 1

    def flush():
        while not done.wait(0.01):
            setup.meter_provider.force_flush()

    running = [threading.Thread(target=serve) for _ in range(3)] + [threading.Thread(target=flush)]
    for thread in running:
        thread.start()
    children = []
    for _ in range(12):
        time.sleep(chance.random() * 0.15)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                mine = Model(model.monitor)
                mine.serve(150)
                model.monitor.flush()
                setup.force_flush()
                mine.write_counts()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    done.set()
    for thread in running:
        thread.join()
    assert not any(statuses), statuses
    model.write_counts()


def _worker(turns):
    model = Model(WORKER)
    model.serve(turns)
    model.write_counts()
    return os.getpid()


WORKER = None
"""The monitor of a worker. It is global because a pool passes functions by name."""


def _begin():
    global WORKER  # noqa: PLW0603 - as above
    dl.configure_otlp("host")
    WORKER = monitor_of()


def pool(model, setup):
    """Run a pool that forks after the parent has served, and close it."""
    global WORKER  # noqa: PLW0603 - as above
    WORKER = model.monitor
    model.serve(70)
    with multiprocessing.get_context("fork").Pool(2) as workers:
        workers.map(_worker, [120, 130, 140, 150], chunksize=1)
        workers.close()
        workers.join()
    model.serve(30)
    model.write_counts()


def executor(model, setup):
    """Run the same with concurrent.futures."""
    global WORKER  # noqa: PLW0603 - as above
    WORKER = model.monitor
    model.serve(70)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as workers:
        list(workers.map(_worker, [120, 130, 140, 150]))
    model.write_counts()


def pool_that_sets_up(model, setup):
    """Each worker of a forked pool sets up its telemetry."""
    with multiprocessing.get_context("fork").Pool(2, _begin) as workers:
        workers.map(_worker, [120, 130, 140, 150], chunksize=1)
        workers.close()
        workers.join()


def _spawned(turns):
    _begin()
    model = Model(WORKER)
    model.serve(turns)
    model.write_counts()


def spawn(model, setup):
    """Run processes that start without the parent's state."""
    running = [multiprocessing.get_context("spawn").Process(target=_spawned, args=(100 + n,)) for n in range(3)]
    for process in running:
        process.start()
    model.serve(50)
    for process in running:
        process.join()
    model.write_counts()


def forkserver(model, setup):
    """Run processes that a server forks."""
    running = [multiprocessing.get_context("forkserver").Process(target=_spawned, args=(100 + n,)) for n in range(2)]
    for process in running:
        process.start()
    for process in running:
        process.join()
        assert process.exitcode == 0
    model.write_counts()


def at_exit(model, setup):
    """Predict before and during the exit."""

    @atexit.register
    def last():
        model.serve(40)
        model.write_counts()

    model.serve(10)


def first_at_exit(model, setup):
    """Make the first prediction during the exit, when no thread can start."""
    atexit.register(model.write_counts)
    atexit.register(model.serve, 40)


def terminated(model, setup):
    """Turn SIGTERM into an exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    model.serve(500)
    model.write_counts()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def killed(model, setup):
    """Receive SIGTERM without a handler: earlier exports stay, the rest is lost."""
    model.serve(500)
    setup.force_flush()
    model.write_counts()
    model.serve(100)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def interrupted_threads(model, setup):
    """Run daemon threads that predict until the interpreter ends them."""

    def serve():
        turn = 0
        while True:
            model(turn)
            turn += 1

    for _ in range(4):
        threading.Thread(target=serve, daemon=True).start()
    time.sleep(0.5)
    model.write_counts()


def main():
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    scenario = globals()[sys.argv[1]]
    if scenario is pool_that_sets_up:
        scenario(None, None)
        return
    setup = dl.configure_otlp("host")
    monitor = monitor_of()
    model = Model(monitor)
    model.monitor = monitor
    scenario(model, setup)


if __name__ == "__main__":
    main()
