"""
A host whose calls are interrupted at random moments: by signals in its main thread, by another thread in a second one.

``python interrupted.py INTERRUPTS SEED MODE`` prints what it has found as JSON. It is a program, because a host that
hangs must be killed. MODE is ``threaded`` or ``synchronous``.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import queue
import random
import signal
import sys
import threading
import time
import traceback

import numpy as np
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import driftline as dl
from driftline.testing import Probe

LOST_SECONDS = 5.0
"""Seconds after which an interrupt counts as lost."""


class TimedOut(Exception):  # noqa: N818 - as hosts name it
    """A time-out as that of Celery, billiard and rq."""


class TimedOutWithMessage(Exception):  # noqa: N818
    """A time-out that makes its message itself."""

    def __init__(self):
        super().__init__("took too long")


class Stopped(BaseException):
    """A time-out as that of gevent and dramatiq."""


KINDS = (TimedOut, TimedOutWithMessage, Stopped, KeyboardInterrupt)


class Host:
    """
    One thread of the host, which does what a service does until it is interrupted.

    Attributes:
        begun: number of predictions and rows that were begun.
        done: number of those that returned.
        outcomes: number of outcomes begun, and of those that returned.
    """

    def __init__(self, monitor, seed):
        self.random = random.Random(seed)
        self.monitor = monitor
        self.predict = monitor.instrument(lambda features: 0.5)
        self.with_output = monitor.instrument(lambda features: [0.5], output=lambda result: result[0])
        self.generate = monitor.instrument(self._generate)
        self.begun = self.done = 0
        self.outcomes = [0, 0]
        self.arrived = self.lost = self.wrong = 0
        self.steps = [
            *[self.call] * 8,
            *[self.block] * 3,
            self.call_with_output,
            self.iterate,
            *[self.batch] * 2,
            *[self.outcome] * 4,
            self.large_batch,
            self.flush,
            self.status,
        ]

    @staticmethod
    def _generate(features):
        yield 0.5
        yield 0.5

    def row(self):
        return {"x": self.random.random(), "color": "red"}

    def call(self):
        for _ in range(20):
            self.begun += 1
            self.predict(self.row())
            self.done += 1

    def call_with_output(self):
        self.begun += 1
        self.with_output(self.row())
        self.done += 1

    def iterate(self):
        self.begun += 1
        for _ in self.generate(self.row()):
            pass
        self.done += 1

    def block(self):
        self.begun += 1
        with self.monitor.prediction(self.row()) as call:
            call.output = 0.5
        self.done += 1

    def batch(self):
        self.begun += 5
        self.monitor.observe({"x": np.arange(5.0), "color": ["red"] * 5}, [0.5] * 5)
        self.done += 5

    def large_batch(self):
        self.begun += 40
        self.monitor.observe({"x": np.arange(40.0), "color": ["red"] * 40}, [0.5] * 40)
        self.done += 40

    def outcome(self):
        self.outcomes[0] += 1
        self.monitor.outcome(self.random.randrange(10**9), True)
        self.outcomes[1] += 1

    def flush(self):
        self.monitor.flush()

    def status(self):
        self.monitor.status()
        self.monitor.snapshot()

    def run_until_interrupted(self, start):
        """Call *start*, which arms an interrupt, and work until it arrives. Return whether it has."""
        sent = time.monotonic()
        kind = self.random.choice(KINDS)
        try:
            start(kind)
            while time.monotonic() < sent + LOST_SECONDS:
                self.random.choice(self.steps)()
        except KINDS as error:
            self.arrived += 1
            self.wrong += type(error) is not kind
            return True
        self.lost += 1
        return False


def main(interrupts, seed, mode):
    faulthandler.dump_traceback_later(60 + interrupts * 0.01, exit=True)
    unraisable = []
    sys.unraisablehook = lambda info: unraisable.append(f"{info.exc_type.__name__} in {info.object!r}"[:200])
    sys.setswitchinterval(1e-4)
    reader = InMemoryMetricReader()
    reference = dl.Reference.fit(
        {"x": np.linspace(0, 1, 500), "color": ["red", "blue"] * 250}, predictions=[0.2, 0.7] * 250
    )
    monitor = dl.Monitor(
        "flights",
        reference=reference,
        window=dl.Window(rows=2_000),
        rule=dl.Thresholds(psi=0.2),
        synchronous=mode == "synchronous",
        meter_provider=MeterProvider([reader]),
    )
    first, second, quiet = Host(monitor, seed), Host(monitor, seed + 1), Host(monitor, seed + 2)
    slowest, done = [0.0], threading.Event()

    raised = []

    stacks = []

    def on_alarm(signum, frame):
        stacks[:] = [traceback.format_stack(frame)[-6:]]
        raise raised[-1]

    signal.signal(signal.SIGALRM, on_alarm)

    def arm(kind):
        raised[:] = [kind]
        signal.setitimer(signal.ITIMER_REAL, first.random.uniform(20e-6, 1.5e-3))

    requests = queue.SimpleQueue()

    def send():
        while (request := requests.get()) is not None:
            thread, kind, seconds = request
            time.sleep(seconds)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(kind))

    def work():
        me = threading.get_ident()
        while not done.is_set() and second.arrived + second.lost < interrupts // 2:
            second.run_until_interrupted(lambda kind: requests.put((me, kind, second.random.uniform(20e-6, 1.5e-3))))

    def watch():
        """Serve without interrupts, and measure how long each step takes."""
        while not done.is_set():
            for step in (quiet.call, quiet.batch, quiet.outcome, quiet.flush, quiet.status, reader.collect):
                before = time.perf_counter()
                step()
                slowest[0] = max(slowest[0], time.perf_counter() - before)
            time.sleep(0.02)

    if sys.version_info < (3, 12):
        # Before 3.12, a new thread has the identity of the one that starts it until it runs. An exception that another
        # thread raises there meanwhile ends the new thread, and `Thread.start` waits for ever. So start the worker now.
        quiet.call()
    threads = [threading.Thread(target=target, daemon=True) for target in (send, work, watch)]
    for thread in threads:
        thread.start()
    while first.arrived + first.lost < interrupts - interrupts // 2:
        if not first.run_until_interrupted(arm):
            sys.stderr.write("".join(stacks[0]))
        signal.setitimer(signal.ITIMER_REAL, 0)
    threads[1].join()
    done.set()
    requests.put(None)
    threads[0].join()
    threads[2].join(60)

    hosts = (first, second, quiet)
    before = monitor.evidence().served
    first.call()
    monitor.flush()
    later = monitor.evidence().served - before
    totals = Probe(monitor).totals
    results = monitor.outcome_counts().results
    sys.stdout.write(
        json.dumps(
            {
                "arrived": first.arrived + second.arrived,
                "wrong": first.wrong + second.wrong,
                "lost": [first.lost, second.lost],
                "unraisable": unraisable,
                "slowest": slowest[0],
                "watcher_ended": not threads[2].is_alive(),
                "begun": sum(host.begun for host in hosts),
                "done": sum(host.done for host in hosts),
                "later": later,
                "served": totals.served + sum(totals.failed.values()),
                "rows": totals.rows + sum(totals.dropped.values()),
                "bins": int(totals.counts[Probe(monitor).bins_of("x")].sum()),
                "outcomes_begun": sum(host.outcomes[0] for host in hosts),
                "outcomes_done": sum(host.outcomes[1] for host in hosts),
                "outcomes": sum(results.values()),
                "errors": Probe(monitor).errors,
                "pending": [Probe(monitor).backlog, Probe(monitor).pending_outcomes],
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
