"""A fleet is one model: eight workers, a kill, a restart, a late worker, an end, and the sum of what they counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fleet_workers import EXPORT_MILLISECONDS, LOCAL, SECONDS, SHIFT, WINDOW, Fleet, draw

import driftline as dl
from driftline._backends.counts import Grid
from driftline._backends.otlp_store import OtlpStore, retention_by
from driftline._backends.prometheus import PrometheusSource
from driftline.fleet import FleetJudge
from driftline.fleet._counts import FleetReader
from driftline.fleet._processes import FleetModel
from driftline.fleet._receiver.addresses import Address, Door
from driftline.fleet._receiver.grpc_server import GrpcReceiver
from driftline.fleet._receiver.http_server import HttpReceiver
from driftline.fleet._receiver.intake import Intake
from driftline.testing import ManualClock, in_memory_monitor

pytestmark = [pytest.mark.real, pytest.mark.system, pytest.mark.alone]

COLLECTOR = Path(__file__).with_name("fleet-collector.yaml")

BLOCKS, SERVING = 8, 6
"""Blocks of a second in a window, and the first ones, in which rows are served. The others are for their export."""

WINDOWS, CALM = 6, 4
"""Windows of the test, and the first ones, before the drift."""

ROWS = 64
"""
Rows of the fleet in a block: 384 in a window, of which each of eight workers has 48. The rule needs 200, more than a
worker has in four windows.
"""

RULE = dl.FalseAlarms(1, per="1h")
"""An hour has 450 such windows, about as many as 30 days have windows of an hour."""


def serve(fleet, start, command):
    """Let the fleet live for `WINDOWS` windows. Return ``driftline judge``, which runs at the end of the last one."""
    random = np.random.default_rng(7)
    asked = []
    events = {
        1 * BLOCKS + 3: lambda: (fleet.end("worker-3", signal.SIGKILL), fleet.start("worker-3b")),
        2 * BLOCKS + 1: lambda: fleet.start("worker-9"),
        3 * BLOCKS + 2: lambda: fleet.end("worker-5", signal.SIGTERM),
        WINDOWS * BLOCKS - 3: lambda: asked.append(command()),
    }
    for block in range(WINDOWS * BLOCKS):
        time.sleep(max(0.0, start + block - time.time()))
        events.get(block, lambda: None)()
        fleet.poll()
        if block % BLOCKS < SERVING:
            window = block // BLOCKS
            rows = draw(random, ROWS, SHIFT * (window >= CALM))
            names = sorted(fleet.ready)
            for index, name in enumerate(names):
                fleet.send(name, window, rows[index :: len(names)])
    time.sleep(max(0.0, start + WINDOWS * BLOCKS - time.time()))
    return asked[0]


@pytest.fixture
def reference(tmp_path):
    """Return the reference of the model, and the path of its file."""
    random = np.random.default_rng(0)
    fitted = dl.Reference.fit({"amount": random.normal(10.0, 2.0, 20_000), "age": random.normal(40.0, 10.0, 20_000)})
    fitted.save(tmp_path / "reference.json")
    return fitted, str(tmp_path / "reference.json")


@pytest.fixture
def doors():
    """Return two receivers of OTLP by temporality, each with its store."""
    opened = {}
    for temporality, receiver in (("cumulative", HttpReceiver), ("delta", GrpcReceiver)):
        # A service reads window by window; here all is read at the end.
        kept = {
            metric: replace(each, keep=SECONDS * 10, fine=SECONDS * 10) for metric, each in retention_by(1.0).items()
        }
        store = OtlpStore(kept)
        opened[temporality] = receiver(Address("127.0.0.1", 0), Door(), Intake(store)), store
    yield opened
    for receiver, _ in opened.values():
        receiver.close()


@pytest.fixture
def fleet(collector, prometheus, tmp_path, reference, doors):
    addresses = {f"FLEET_{name.upper()}": str(receiver.address) for name, (receiver, _) in doors.items()}
    with collector(COLLECTOR, DRIFTLINE_PROMETHEUS=prometheus.url, **addresses) as running:
        workers = Fleet(running.endpoint("http/protobuf"), tmp_path, reference[1])
        try:
            yield workers
        finally:
            workers.close()


COUNTED = 'sum by (instance) (last_over_time(ml_feature_observations_total{ml_feature_name="amount"}[10m]))'
EXPORTED = "max by (instance) (timestamp(last_over_time(ml_monitor_info[10m])))"


def by_worker(samples):
    return {labels["instance"].partition("/")[0]: value for labels, value in samples}


def scores_of(results):
    return [(each.feature, each.distance, each.length, each.rows, each.value, each.corrected) for each in results]


def first_drift(states):
    return next((window for window, state in enumerate(states) if state == "drifting"), WINDOWS)


class Watch:
    """A monitor in one process, to which a window of rows is fed."""

    def __init__(self, reference):
        self._clock = ManualClock()
        self.monitor = in_memory_monitor(
            "orders", reference=reference, window=dl.Window(WINDOW), rule=RULE, clock=self._clock
        )

    def feed(self, rows):
        """Serve the rows of a window in blocks, and return the scores and the states after it."""
        size = -(-len(rows) // BLOCKS) or 1
        for block in range(BLOCKS):
            part = rows[block * size : (block + 1) * size]
            if part:
                self.monitor.observe({name: [row[name] for row in part] for name in ("amount", "age")})
            self._clock.advance(1.0)
        return scores_of(self.monitor.scores()), self.monitor.status()


def rows_by_window(fleet, counted):
    """Return the rows of each worker by window, without the last ones of a worker that its counts do not have."""
    rows = {name: [[] for _ in range(WINDOWS)] for name in fleet.served}
    for name, parts in fleet.served.items():
        left = counted[name]
        for each in parts:
            rows[name][each.window].extend(each.rows[: max(0, left)])
            left -= len(each.rows)
    return rows


@pytest.mark.slow
def test_a_fleet_has_the_scores_of_one_process_that_saw_all_rows(fleet, prometheus, reference, doors, eventually):
    """Through a kill, a restart, a late worker and an end; its verdict comes sooner than any worker's."""
    fitted, path = reference
    command = [sys.executable, "-m", "driftline.cli", "judge", "--prometheus", prometheus.url, "--reference", path]
    command += ["--window", WINDOW, "--export-interval", f"{EXPORT_MILLISECONDS}ms", "--budget", "1/1h", "--json"]
    fleet.start(*(f"worker-{number}" for number in range(1, 9)))
    fleet.wait_until_ready()
    # As those of the command, the windows end at multiples of their length. The drift would begin within one otherwise.
    start = (time.time() + 2.0) // BLOCKS * BLOCKS + BLOCKS
    asked = serve(
        fleet, start, lambda: subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **LOCAL})
    )

    # The backend has what was served: of the killed worker at least what came before its last export.
    served = {name: sum(len(each.rows) for each in parts) for name, parts in fleet.served.items()}
    expected = {name: rows for name, rows in served.items() if name != "worker-3"}

    def counted():
        return {name: rows for name, rows in by_worker(prometheus.query(COUNTED)).items() if name != "worker-3"}

    assert eventually(counted, expected) == expected
    killed = int(by_worker(prometheus.query(COUNTED))["worker-3"])
    last_export = by_worker(prometheus.query(EXPORTED))["worker-3"]
    before = sum(len(each.rows) for each in fleet.served["worker-3"] if each.at < last_export)
    assert before <= killed <= served["worker-3"]

    # Window by window, the sources beside one process that saw the rows of all, and beside each worker alone.
    rows = rows_by_window(fleet, {**served, "worker-3": killed})
    everything, workers = Watch(fitted), {name: Watch(fitted) for name in rows}
    sources = {"prometheus": PrometheusSource(prometheus.url), **{name: store for name, (_, store) in doors.items()}}
    readings = {}
    for name, source in sources.items():
        reading = FleetReader(source, fitted, FleetModel("orders", "3")).read(Grid(start, 1.0, WINDOWS * BLOCKS + 1))
        assert (reading.processes, reading.notes) == (len(rows), ()), name
        readings[name] = reading, FleetJudge(fitted, dl.Window(WINDOW), RULE)
    states = {name: [] for name in (*sources, *workers)}
    for window in range(WINDOWS):
        of_window = [row for name in rows for row in rows[name][window]]
        scores, _ = everything.feed(of_window)
        for name, (reading, judge) in readings.items():
            judge.feed(reading.blocks[window * BLOCKS : (window + 1) * BLOCKS])
            result = judge.result()
            assert result.rows == len(of_window), (name, window)
            assert scores_of(result.scores) == scores, (name, window)
            assert result.features["age"].state == "stable", (name, window)
            states[name].append(result.features["amount"].state)
        for name, worker in workers.items():
            states[name].append(worker.feed(rows[name][window])[1]["amount"].state)
    for name in sources:
        assert states[name] == ["stable"] * CALM + ["drifting"] * (WINDOWS - CALM), name
    for name in workers:
        assert max(map(len, rows[name])) < RULE.min_rows, name
        assert first_drift(states[name]) > CALM, states

    # The command, at the end of the last window.
    document = json.loads(asked.communicate(timeout=SECONDS)[0])
    assert asked.returncode == 1, document
    assert {each["name"]: each["state"] for each in document["features"]} == {"amount": "drifting", "age": "stable"}
