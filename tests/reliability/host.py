"""A host of many kinds, run as a process of its own: writes down what it served, for the tests to compare."""

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


def wrote(**counts):
    """Add a line to the ledger: one write, so that processes do not mix theirs."""
    line = json.dumps(counts) + "\n"
    descriptor = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def monitor_of(**options):
    """The monitor of all scenarios."""
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
    """Features of a call."""
    return {"x": float(turn % 100), "channel": ("web", "shop", "phone")[turn % 3]}


class Model:
    """A predict function and what it has done."""

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

    def wrote(self):
        wrote(served=self.served, failed=self.failed)


def threads(model, setup):
    """Eight threads."""
    running = [threading.Thread(target=model.serve, args=(2_000,)) for _ in range(8)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    model.wrote()


def cancellation(model, setup):
    """Tasks of which a third is cancelled half-way, and some before they have begun."""
    monitor = model.monitor
    counts = {"served": 0, "cancelled": 0, "never": 0}

    @monitor.instrument
    async def predict(features):
        await asyncio.sleep(0.05)
        return 0.5

    async def one(turn):
        try:
            await predict(row(turn))
        except asyncio.CancelledError:
            counts["cancelled"] += 1
            raise
        counts["served"] += 1

    async def main():
        tasks = [asyncio.create_task(one(turn)) for turn in range(300)]
        await asyncio.sleep(0.01)
        for task in tasks[::3]:
            task.cancel()
        late = [asyncio.create_task(one(turn)) for turn in range(20)]
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, *late, return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(predict(row(0)), 0.001)
        counts["cancelled"] += 1

    asyncio.run(main())
    wrote(served=counts["served"], failed=counts["cancelled"])


def generators(model, setup):
    """Used up, left half-way, closed, dropped, thrown into, never begun; and the same with async ones."""
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
    wrote(served=4 + 3, failed=1 + 1)


def errors(model, setup):
    """Exceptions of every kind go on to the caller as they are."""
    monitor = model.monitor
    failed = 0
    for error in (ValueError("a"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), BaseExceptionGroupOr("g")):

        @monitor.instrument
        def predict(features, error=error):
            raise error

        try:
            predict(row(1))
        except BaseException as caught:  # noqa: BLE001 - that is what is looked at
            failed += caught is error
    wrote(served=0, failed=failed)


class BaseExceptionGroupOr(BaseException):
    """A BaseException of the host's own."""


def fork(model, setup):
    """Children are forked in the middle of everything: calls, draining, judging, collecting, exporting."""
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
    for one in running:
        one.start()
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
                mine.wrote()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    done.set()
    for one in running:
        one.join()
    assert not any(statuses), statuses
    model.wrote()


def _worker(turns):
    model = Model(WORKER)
    model.serve(turns)
    model.wrote()
    return os.getpid()


WORKER = None
"""The monitor of a worker: a pool hands its functions over by name."""


def _begin():
    global WORKER  # noqa: PLW0603 - as above
    dl.configure_otlp("host")
    WORKER = monitor_of()


def pool(model, setup):
    """A pool that forks after the parent has served; its workers are told to end."""
    global WORKER  # noqa: PLW0603 - as above
    WORKER = model.monitor
    model.serve(70)
    with multiprocessing.get_context("fork").Pool(2) as workers:
        workers.map(_worker, [120, 130, 140, 150], chunksize=1)
        workers.close()
        workers.join()
    model.serve(30)
    model.wrote()


def executor(model, setup):
    """The same through concurrent.futures."""
    global WORKER  # noqa: PLW0603 - as above
    WORKER = model.monitor
    model.serve(70)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as workers:
        list(workers.map(_worker, [120, 130, 140, 150]))
    model.wrote()


def pool_of_its_own(model, setup):
    """Each worker of a forked pool sets itself up."""
    with multiprocessing.get_context("fork").Pool(2, _begin) as workers:
        workers.map(_worker, [120, 130, 140, 150], chunksize=1)
        workers.close()
        workers.join()


def _spawned(turns):
    _begin()
    model = Model(WORKER)
    model.serve(turns)
    model.wrote()


def spawn(model, setup):
    """Processes that start from nothing."""
    running = [multiprocessing.get_context("spawn").Process(target=_spawned, args=(100 + n,)) for n in range(3)]
    for one in running:
        one.start()
    model.serve(50)
    for one in running:
        one.join()
    model.wrote()


def forkserver(model, setup):
    """Processes that a server forks."""
    running = [multiprocessing.get_context("forkserver").Process(target=_spawned, args=(100 + n,)) for n in range(2)]
    for one in running:
        one.start()
    for one in running:
        one.join()
        assert one.exitcode == 0
    model.wrote()


def at_exit(model, setup):
    """The host predicts while it exits, first and last."""

    @atexit.register
    def last():
        model.serve(40)
        model.wrote()

    model.serve(10)


def first_at_exit(model, setup):
    """The very first prediction is made while the process exits: no thread can be started any more."""
    atexit.register(model.wrote)
    atexit.register(model.serve, 40)


def terminated(model, setup):
    """SIGTERM, which the host turns into an exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    model.serve(500)
    model.wrote()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def killed(model, setup):
    """SIGTERM without a handler: what was exported before stays, the rest is gone."""
    model.serve(500)
    setup.force_flush()
    model.wrote()
    model.serve(100)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)


def interrupted_threads(model, setup):
    """Daemon threads that predict until the interpreter takes them down."""

    def serve():
        turn = 0
        while True:
            model(turn)
            turn += 1

    for _ in range(4):
        threading.Thread(target=serve, daemon=True).start()
    time.sleep(0.5)
    model.wrote()


def main():
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    scenario = globals()[sys.argv[1]]
    if scenario is pool_of_its_own:
        scenario(None, None)
        return
    setup = dl.configure_otlp("host")
    monitor = monitor_of()
    model = Model(monitor)
    model.monitor = monitor
    scenario(model, setup)


if __name__ == "__main__":
    main()
