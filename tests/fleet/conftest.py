"""A fleet in memory: processes that count rows and export them to a store, and a monitor that sees the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from fleet_store import Pod, Store

import driftline as dl
from driftline._backends.counts import Grid
from driftline._binning.layout import Layout
from driftline.fleet import FleetJudge, FleetModel, FleetReader
from driftline.testing import ManualClock

START = 1_700_000_000.0 // 3_600.0 * 3_600.0
STEP = 450.0
"""Seconds of a block of a window of an hour."""


def traffic(random, rows, shift=0.0):
    """Rows of the features that `reference` has."""
    return {
        "amount": random.normal(10.0 + 2.0 * shift, 2.0, rows),
        "kind": random.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2]),
    }


@pytest.fixture(scope="session", name="reference")
def _reference():
    return dl.Reference.fit(traffic(np.random.default_rng(0), 20_000))


@pytest.fixture
def store():
    return Store()


class Fleet:
    """Processes that share the traffic of a model, and a monitor that sees all of it."""

    def __init__(self, store, reference, seed=1):
        self.store, self.reference, self.layout = store, reference, Layout(reference.watched)
        self.random = np.random.default_rng(seed)
        self.clock = ManualClock()
        self.monitor = dl.Monitor(
            "m", reference=reference, window=dl.Window("1h"), clock=self.clock, synchronous=True, enabled=True
        )
        self.monitor.observe(traffic(self.random, 0))  # the windows of both begin now
        self.pods, self.block = {}, 0

    def pod(self, name, **options):
        self.pods[name] = Pod(self.store, self.reference, name, **options)
        return self.pods[name]

    @property
    def now(self):
        return START + STEP * self.block

    def run(self, blocks, rows=400, shift=0.0, *, exports=4, silent=()):
        """Serve blocks of time. Each process gets a share of the rows of a block, and exports several times in it."""
        for _ in range(blocks):
            names = sorted(self.pods)
            served = traffic(self.random, rows, shift)
            self.monitor.observe(served)
            parts = np.array_split(self.random.permutation(rows), len(names) * exports)
            for export in range(exports):
                for index, name in enumerate(names):
                    part = parts[export * len(names) + index]
                    self.pods[name].serve({key: values[part] for key, values in served.items()})
                    if name not in silent:
                        self.pods[name].export(self.now + STEP * (export + 1) / exports)
            self.block += 1
            self.clock.advance(STEP)

    @property
    def grid(self):
        return Grid(START, STEP, self.block + 1)

    def read(self, **options):
        return FleetReader(self.store, self.reference, FleetModel("m", "1")).read(options.get("grid", self.grid))

    def evaluated(self, **options):
        fleet_judge = FleetJudge(self.reference, dl.Window("1h"), **options)
        fleet_judge.feed(self.read().blocks)
        return fleet_judge

    def seen_by_monitor(self):
        """The scores and states of the monitor after its last complete window."""
        self.monitor.observe(traffic(self.random, 0))
        self.monitor.flush()
        return self.monitor.scores(), self.monitor.status()

    @property
    def served(self):
        return sum(pod.counts for pod in self.pods.values())


@pytest.fixture(name="fleet")
def _fleet(store, reference):
    fleet = Fleet(store, reference)
    yield fleet
    fleet.monitor.shutdown()
