"""
A service at full speed under injected faults: its counts stay exact and its memory flat.

``python tests/reliability/soak.py --minutes 30 [--seed N]`` prints the seed, then a line every ten seconds. It exits
with 1 when a count is wrong or memory has grown.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import random
import secrets
import sys
import threading
import time
from pathlib import Path

import numpy as np
from otlp_receiver import Receiver, eventually

import driftline as dl

THREADS = 3
ROWS_AT_ONCE = 400
"""Rows of a batch."""

WARM_SHARE = 0.3
"""Share of the time before memory is checked; by then every buffer, cache and series has been in use."""

GROWTH = 16 * 2**20
"""
Bytes by which the minimum of resident memory may rise between the two halves of that time.

The allocator needs such a tolerance. The minimum shows leaks only: pending telemetry comes and goes with the collector.
"""

FAULTS = (
    None,
    None,
    None,
    400,
    404,
    429,
    500,
    503,
    "slow",
    "close",
    "half",
    "reset",
    "kill",
    "replace",
    "fork",
    "clock",
)
NAMES = ("x", "y", "channel")


class Clock:
    """A monotonic clock that jumps."""

    def __init__(self):
        self.offset = 0.0

    def __call__(self):
        return time.monotonic() + self.offset


class Load:
    """Threads that serve as fast as they can, and their counts."""

    def __init__(self, monitor):
        self.monitor = monitor
        self.stop = threading.Event()
        self.served = [0] * THREADS
        self.failed = [0] * THREADS
        self.odd = [0] * THREADS
        self._threads = [threading.Thread(target=self._serve, args=(number,)) for number in range(THREADS)]

    def start(self):
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def end(self):
        """Stop the threads after their present call."""
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _serve(self, number):
        @self.monitor.instrument
        def predict(features):
            if features["x"] == 13.0:
                message = "no"
                raise ValueError(message)
            return features["x"] / 100.0

        @self.monitor.instrument
        def predict_many(features):
            return features["x"] / 100.0

        @self.monitor.instrument
        def stream(features):
            yield features["x"]
            yield features["x"]

        many = {"x": np.arange(ROWS_AT_ONCE) % 100.0, "y": np.ones(ROWS_AT_ONCE), "channel": ["web"] * ROWS_AT_ONCE}
        turn = number
        while not self.stop.is_set():
            turn += 1
            row = {"x": float(turn % 100), "y": float(turn % 7), "channel": ("web", "shop", "new")[turn % 3]}
            if turn % 500 == 0:
                predict_many(many)
                self.served[number] += ROWS_AT_ONCE
            elif turn % 97 == 0:
                for _ in stream(row):
                    break
                self.served[number] += 1
            elif turn % 89 == 0:
                predict({"x": 1.0, "unknown": object()})
                self.served[number] += 1
            else:
                try:
                    result = predict(row)
                except ValueError:
                    self.failed[number] += 1
                else:
                    self.served[number] += 1
                    self.odd[number] += result != row["x"] / 100.0


def resident():
    """Return the resident bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def references(chance):
    """Return two references with equal features and different cuts."""
    fitted = []
    for low in (0.0, 10.0):
        values = np.random.default_rng(chance.randrange(2**32))
        columns = {"x": values.normal(low + 50.0, 25.0, 2_000), "y": values.integers(0, 7, 2_000).astype(float)}
        columns["channel"] = values.choice(["web", "shop", "phone"], 2_000).tolist()
        fitted.append(dl.Reference.fit(columns, predictions=values.random(2_000)))
    return fitted


def forked(monitor, setup):
    """Fork a child that serves 200 predictions; return its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        predict = monitor.instrument(lambda features: 0.5)
        for turn in range(200):
            predict({"x": float(turn), "y": 1.0, "channel": "web"})
        status = 0 if setup.force_flush() else 1
    finally:
        os._exit(status)


class Trouble:
    """Faults, chosen at random one after another."""

    def __init__(self, chance, receiver, monitor, setup, clock):
        self._chance, self._receiver, self._monitor, self._setup = chance, receiver, monitor, setup
        self._clock = clock
        self._references = references(chance)
        self.children = 0
        self.counts = {}

    def next(self):
        """Inject a fault for up to two seconds."""
        fault = self._chance.choice(FAULTS)
        self.counts[str(fault)] = self.counts.get(str(fault), 0) + 1
        seconds = self._chance.uniform(0.2, 2.0)
        if fault == "kill":
            self._receiver.kill()
            time.sleep(seconds)
            self._receiver.start()
        elif fault == "replace":
            self._monitor.replace_reference(self._chance.choice(self._references))
        elif fault == "fork":
            _, status = os.waitpid(forked(self._monitor, self._setup), 0)
            assert status == 0, f"a child ended with {status}"
            self.children += 1
        elif fault == "clock":
            self._clock.offset += self._chance.choice([-3600.0, -1.0, 1.0, 86400.0])
        else:
            self._receiver.fault = fault
            time.sleep(seconds)
            self._receiver.fault = None


def soak(minutes, seed):
    """Run, and return the list of failures."""
    chance = random.Random(seed)
    clock = Clock()
    end = time.monotonic() + minutes * 60.0
    warm_at = time.monotonic() + minutes * 60.0 * WARM_SHARE
    with Receiver() as receiver:
        receiver.seconds = 30.0
        os.environ.update(NO_PROXY="127.0.0.1", OTEL_EXPORTER_OTLP_TIMEOUT="2", OTEL_METRIC_EXPORT_INTERVAL="500")
        setup = dl.configure_otlp("soak", endpoint=receiver.endpoint)
        monitor = dl.Monitor(
            "soak",
            reference=references(chance)[0],
            window=dl.Window("2s", every="1s"),
            rule=dl.Thresholds(psi=0.2),
            export_bins=True,
            clock=clock,
        )
        trouble, load = Trouble(chance, receiver, monitor, setup, clock), Load(monitor)
        load.start()
        held, printed = [], time.monotonic()
        try:
            while time.monotonic() < end:
                time.sleep(chance.uniform(0.1, 1.0))
                trouble.next()
                if time.monotonic() >= warm_at:
                    held.append(resident())
                if time.monotonic() - printed >= 10.0:
                    printed = time.monotonic()
                    now = sum(load.served) + sum(load.failed)
                    print(f"{end - printed:7.0f} s left, {now:,} calls, {resident() / 2**20:.1f} MiB", flush=True)
        finally:
            load.end()
        receiver.fault = None
        return _differences(load, trouble, receiver, monitor, setup, held)


def _differences(load, trouble, receiver, monitor, setup, held):
    monitor.flush()
    served, failed = sum(load.served) + 200 * trouble.children, sum(load.failed)
    wrong = []

    def arrived():
        setup.force_flush()
        return receiver.served(), sum(receiver.failed().values()), receiver.observations("y")

    seen = eventually(arrived, (served, failed, served + failed))
    if seen != (served, failed, served + failed):
        wrong.append(f"served, failed, rows {seen}: expected {(served, failed, served + failed)}")
    if sum(load.odd):
        wrong.append(f"{sum(load.odd)} results of the host differ")
    if receiver.decreases:
        wrong.append(f"a counter went down: {receiver.decreases[:3]}")
    half = len(held) // 2
    grown = min([*held[half:], resident()]) - min(held[: half + 1])
    if grown > GROWTH:
        wrong.append(f"memory grew by {grown / 2**20:.1f} MiB")
    lost = {
        dict(key[1]).get("ml.monitor.signal"): value
        for key, value in receiver.values("ml.monitor.telemetry.lost").items()
    }
    errors = {dict(key[1])["ml.monitor.place"]: value for key, value in receiver.values("ml.monitor.errors").items()}
    print(f"served {served:,}, failed {failed:,}, processes {1 + trouble.children}, memory {grown / 2**20:+.1f} MiB")
    print(f"faults {dict(sorted(trouble.counts.items()))}")
    print(f"lost {lost}, errors {errors}, events arrived {len(receiver.events)}")
    return wrong


def main():
    """Print the seed, run, and print the failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None)
    asked = parser.parse_args()
    seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    for name in ("opentelemetry", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    wrong = soak(asked.minutes, seed)
    for failure in wrong:
        print(f"WRONG: {failure}")
    print("soak: exact and flat" if not wrong else "soak: FAILED", flush=True)
    # The receiver's threads may wait for clients that are gone.
    sys.stdout.flush()
    os._exit(bool(wrong))


if __name__ == "__main__":
    main()
