"""
Joins a million predictions with their outcomes through one file, by two processes, one of which is killed midway.

Outcomes arrive shuffled and late, 5 % of them never and 2 % twice. Another 1 % have ids without a prediction. Half of
the outcomes arrive in the process that did not predict. Process 0 is killed with SIGKILL in the middle, and restarts
after the block that it was in. At the end every id in the file is compared with the plan.

Run: ``python benchmarks/outcomes/join.py [--rows N]``. The exit code is 1 if any count differs from the plan.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import driftline as dl
from driftline.outcomes import read_totals

BLOCKS = 200
"""Blocks of rows. In each block, each process predicts half of the rows."""


@dataclass
class Plan:
    """The fate of each id. It depends on the number of rows only, so every process has the same plan."""

    rows: int

    def __post_init__(self) -> None:
        random = np.random.default_rng(7)
        self.scores = random.random(self.rows)
        self.truth = random.random(self.rows) < self.scores
        self.missing = random.random(self.rows) < 0.05
        self.twice = random.random(self.rows) < 0.02
        self.block = np.arange(self.rows) * BLOCKS // self.rows
        delay = random.integers(0, BLOCKS // 2, self.rows)
        self.arrival = np.minimum(self.block + delay, BLOCKS - 1)
        self.second_arrival = np.minimum(self.arrival + random.integers(0, 10, self.rows), BLOCKS - 1)
        self.receiver = random.integers(0, 2, self.rows)
        self.order = random.permutation(self.rows)
        self.unknown = self.rows // 100

    def predictions(self, worker: int, block: int) -> Any:
        """Return the rows that a process predicts in a block."""
        return np.flatnonzero((self.block == block) & (np.arange(self.rows) % 2 == worker))

    def outcomes(self, worker: int, block: int) -> Iterator[tuple[str, bool]]:
        """Yield the outcomes that arrive in a process in a block, shuffled."""
        own = (self.receiver == worker) & ~self.missing
        for row in self.order[(own & (self.arrival == block))[self.order]].tolist():
            yield str(row), bool(self.truth[row])
        for row in np.flatnonzero(own & self.twice & (self.second_arrival == block)).tolist():
            yield str(row), bool(self.truth[row])
        for row in range(block * 2 + worker, self.unknown, BLOCKS * 2):
            yield f"unknown-{row}", True


def work(plan: Plan, worker: int, first: int, path: str, progress: Path) -> None:
    """Run one process: predict, add outcomes, and record each block once it is in the file."""
    reference = dl.Reference.fit(
        {"score": plan.scores[:5_000]}, predictions=plan.scores[:5_000], outcomes=plan.truth[:5_000]
    )
    monitor = dl.Monitor(
        "load",
        version=str(worker),
        reference=reference,
        outcomes=path,
        meter_provider=MeterProvider([InMemoryMetricReader()]),
        enabled=True,
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with progress.open("a", encoding="ascii") as log:
        for block in range(first, BLOCKS):
            rows = plan.predictions(worker, block)
            monitor.observe({"score": plan.scores[rows]}, plan.scores[rows], prediction_ids=[str(row) for row in rows])
            outcomes = list(plan.outcomes(worker, block))
            monitor.outcomes([key for key, _ in outcomes], [actual for _, actual in outcomes])
            monitor.flush()
            log.write(f"{block}\n")
            log.flush()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"results": monitor.outcome_counts().results, "grown": grown}))


def check(plan: Plan, path: str, lost_block: int) -> list[str]:
    """Return a message for each difference from the plan. *lost_block* of process 0 may be in the file in part."""
    wrong = []
    totals = read_totals(path)
    total = {
        name: sum(counts.get(name, 0) for counts in totals.values())
        for name in (
            "remembered",
            "told",
            "correct",
            "incorrect",
            "duplicate",
            "unmatched",
            "early",
            "late",
            "expired",
            "replaced",
            "waiting",
        )
    }
    connection = sqlite3.connect(path)
    state = dict(connection.execute("SELECT id, state FROM record").fetchall())
    connection.close()
    waiting, early, done = ({key for key, number in state.items() if number == wanted} for wanted in (0, 1, 2))
    right = (plan.scores >= 0.5) == plan.truth
    correct = sum(bool(right[int(key)]) for key in done)

    def check_equal(what: str, actual: int, expected: int) -> None:
        if actual != expected:
            wrong.append(f"{what}: {actual}, expected {expected}")

    check_equal("remembered = waiting + done", total["remembered"], len(waiting) + len(done))
    check_equal("outcomes = done + early + duplicate", total["told"], len(done) + len(early) + total["duplicate"])
    check_equal("unmatched - early", total["unmatched"] - total["early"], len(early))
    check_equal("correct", total["correct"], correct)
    check_equal("incorrect", total["incorrect"], len(done) - correct)
    check_equal("late, expired, replaced", total["late"] + total["expired"] + total["replaced"], 0)
    # Each id outside the lost block must have its planned state.
    predicted_by = np.arange(plan.rows) % 2
    prediction_lost = (predicted_by == 0) & (plan.block == lost_block)
    outcome_lost = (plan.receiver == 0) & (plan.arrival == lost_block)
    certain = np.flatnonzero(~(prediction_lost | outcome_lost))
    check_equal(
        "ids with their planned state",
        sum(state.get(str(row)) == (0 if plan.missing[row] else 2) for row in certain),
        len(certain),
    )
    unknown = sum(key.startswith("unknown-") for key in early)
    unknown_lost = len(range(lost_block * 2, plan.unknown, BLOCKS * 2)) if lost_block >= 0 else 0
    if not plan.unknown - unknown_lost <= unknown <= plan.unknown:
        wrong.append(f"unknown ids: {unknown} of {plan.unknown}")
    lost = plan.rows - total["remembered"]
    size = len(plan.predictions(0, lost_block)) if lost_block >= 0 else 0
    if not 0 <= lost <= size:
        wrong.append(f"predictions lost: {lost}, expected at most the {size} of the block that was killed")
    print(json.dumps(total))
    print(f"predictions lost with the process: {lost} of the {size} in its block")
    return wrong


def run(rows: int) -> int:
    """Run both processes, kill one, and check the file. Return the exit code."""
    plan = Plan(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "outcomes.sqlite")
        progress = [Path(folder) / f"progress{worker}" for worker in (0, 1)]

        def start(worker: int, first: int) -> subprocess.Popen[str]:
            command = [sys.executable, __file__, "--rows", str(rows), "--worker", str(worker), "--first", str(first)]
            command += ["--path", path, "--progress", str(progress[worker])]
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this file

        start_time = time.perf_counter()
        processes = [start(0, 0), start(1, 0)]
        while _last(progress[0]) < BLOCKS // 2 and processes[0].poll() is None:
            time.sleep(0.002)
        processes[0].send_signal(signal.SIGKILL)
        killed = processes[0].wait() == -signal.SIGKILL
        lost_block = _last(progress[0]) + 1
        processes[0] = start(0, lost_block + 1)
        reports = [json.loads(process.communicate()[0]) for process in processes]
        seconds = time.perf_counter() - start_time
        wrong = check(plan, path, lost_block) if killed else ["process 0 had ended before it could be killed"]
        size = Path(path).stat().st_size
        print(f"{rows:,} predictions in {seconds:.1f} s, killed in block {lost_block} of {BLOCKS}")
        grown = [report["grown"] // 1024 for report in reports]
        print(f"memory grew by {grown} MiB per process, the file has {size / 2**20:.0f} MiB")
        for message in wrong:
            print(f"WRONG {message}")
        print("every count is exact" if not wrong else f"{len(wrong)} counts are not")
        return int(bool(wrong))


def _last(progress: Path) -> int:
    """Return the last block that a process has written, -1 before the first."""
    log = progress.read_text(encoding="ascii") if progress.exists() else ""
    return int(log.splitlines()[-1]) if log.endswith("\n") else -1


def main() -> int:
    """Run the benchmark, or with ``--worker`` one of its two processes. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is None:
        return run(arguments.rows)
    work(Plan(arguments.rows), arguments.worker, arguments.first, arguments.path, arguments.progress)
    return 0


if __name__ == "__main__":
    sys.exit(main())
