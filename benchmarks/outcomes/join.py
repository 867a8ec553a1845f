"""
A million predictions joined with their outcomes through one file, by two processes, one of which is killed on the way.

Outcomes come shuffled, late, 5 % of them never and 2 % twice, and 1 % more for predictions that nobody made; half of
them are told by the process that did not predict. Process 0 is killed with SIGKILL in the middle and started again
after the block that it was in. At the end every id in the file is compared with what was planned for it.

Run: ``python benchmarks/outcomes/join.py [--rows N]``; the exit code is 1 when any count is not what it should be.
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
"""Blocks that the rows are cut into; half of them are each process's."""


@dataclass
class Plan:
    """What happens to each id, the same in every process: it depends on nothing but the number of rows."""

    rows: int

    def __post_init__(self) -> None:
        random = np.random.default_rng(7)
        self.scores = random.random(self.rows)
        self.truth = random.random(self.rows) < self.scores
        self.missing = random.random(self.rows) < 0.05
        self.twice = random.random(self.rows) < 0.02
        self.block = np.arange(self.rows) * BLOCKS // self.rows
        delay = random.integers(0, BLOCKS // 2, self.rows)
        self.told = np.minimum(self.block + delay, BLOCKS - 1)
        self.told_again = np.minimum(self.told + random.integers(0, 10, self.rows), BLOCKS - 1)
        self.teller = random.integers(0, 2, self.rows)
        self.order = random.permutation(self.rows)
        self.unknown = self.rows // 100

    def predictions(self, worker: int, block: int) -> Any:
        """Ids that a process predicts."""
        return np.flatnonzero((self.block == block) & (np.arange(self.rows) % 2 == worker))

    def outcomes(self, worker: int, block: int) -> Iterator[tuple[str, bool]]:
        """Ids whose outcome it tells, shuffled."""
        mine = (self.teller == worker) & ~self.missing
        for row in self.order[(mine & (self.told == block))[self.order]].tolist():
            yield str(row), bool(self.truth[row])
        for row in np.flatnonzero(mine & self.twice & (self.told_again == block)).tolist():
            yield str(row), bool(self.truth[row])
        for row in range(block * 2 + worker, self.unknown, BLOCKS * 2):
            yield f"nobody-{row}", True


def work(plan: Plan, worker: int, first: int, path: str, progress: Path) -> None:
    """One process: predict, tell, and say after each block that it is in the file."""
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
    with progress.open("a", encoding="ascii") as said:
        for block in range(first, BLOCKS):
            rows = plan.predictions(worker, block)
            monitor.observe({"score": plan.scores[rows]}, plan.scores[rows], prediction_ids=[str(row) for row in rows])
            told = list(plan.outcomes(worker, block))
            monitor.outcomes([one for one, _ in told], [actual for _, actual in told])
            monitor.flush()
            said.write(f"{block}\n")
            said.flush()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"results": monitor.outcome_counts().results, "grown": grown}))


def check(plan: Plan, path: str, lost_block: int) -> list[str]:
    """Everything that is not as planned, in words; *lost_block* of process 0 may be there in part."""
    wrong = []
    totals = read_totals(path)
    total = {
        name: sum(one.get(name, 0) for one in totals.values())
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
    waiting, early, done = ({one for one, number in state.items() if number == wanted} for wanted in (0, 1, 2))
    right = (plan.scores >= 0.5) == plan.truth
    correct = sum(bool(right[int(one)]) for one in done)

    def equal(what: str, found: int, expected: int) -> None:
        if found != expected:
            wrong.append(f"{what}: {found}, expected {expected}")

    equal("remembered = waiting + done", total["remembered"], len(waiting) + len(done))
    equal("told = done + early + duplicate", total["told"], len(done) + len(early) + total["duplicate"])
    equal("unmatched - early", total["unmatched"] - total["early"], len(early))
    equal("correct", total["correct"], correct)
    equal("incorrect", total["incorrect"], len(done) - correct)
    equal("late, expired, replaced", total["late"] + total["expired"] + total["replaced"], 0)
    # Of what was not in the lost block, each id is as planned.
    predicted_by = np.arange(plan.rows) % 2
    unsure = ((predicted_by == 0) & (plan.block == lost_block)) | ((plan.teller == 0) & (plan.told == lost_block))
    sure = np.flatnonzero(~unsure)
    equal(
        "ids that are as planned",
        sum(state.get(str(one)) == (0 if plan.missing[one] else 2) for one in sure),
        len(sure),
    )
    nobody = sum(one.startswith("nobody-") for one in early)
    unknown_lost = len(range(lost_block * 2, plan.unknown, BLOCKS * 2)) if lost_block >= 0 else 0
    if not plan.unknown - unknown_lost <= nobody <= plan.unknown:
        wrong.append(f"unknown ids: {nobody} of {plan.unknown}")
    lost = plan.rows - total["remembered"]
    size = len(plan.predictions(0, lost_block)) if lost_block >= 0 else 0
    if not 0 <= lost <= size:
        wrong.append(f"predictions lost: {lost}, expected at most the {size} of the block that was killed")
    print(json.dumps(total))
    print(f"predictions lost with the process: {lost} of the {size} in its block")
    return wrong


def run(rows: int) -> int:
    """Both processes, the kill, the check."""
    plan = Plan(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "outcomes.sqlite")
        progress = [Path(folder) / f"progress{worker}" for worker in (0, 1)]

        def start(worker: int, first: int) -> subprocess.Popen[str]:
            command = [sys.executable, __file__, "--rows", str(rows), "--worker", str(worker), "--first", str(first)]
            command += ["--path", path, "--progress", str(progress[worker])]
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - this file

        began = time.perf_counter()
        processes = [start(0, 0), start(1, 0)]
        while _last(progress[0]) < BLOCKS // 2 and processes[0].poll() is None:
            time.sleep(0.002)
        processes[0].send_signal(signal.SIGKILL)
        killed = processes[0].wait() == -signal.SIGKILL
        lost_block = _last(progress[0]) + 1
        processes[0] = start(0, lost_block + 1)
        said = [json.loads(one.communicate()[0]) for one in processes]
        seconds = time.perf_counter() - began
        wrong = check(plan, path, lost_block) if killed else ["process 0 had ended before it could be killed"]
        size = Path(path).stat().st_size
        print(f"{rows:,} predictions in {seconds:.1f} s, killed in block {lost_block} of {BLOCKS}")
        grown = [one["grown"] // 1024 for one in said]
        print(f"memory grew by {grown} MiB per process, the file has {size / 2**20:.0f} MiB")
        for one in wrong:
            print(f"WRONG {one}")
        print("every count is exact" if not wrong else f"{len(wrong)} counts are not")
        return int(bool(wrong))


def _last(progress: Path) -> int:
    """The last block that a process has said is in the file; -1 before the first."""
    said = progress.read_text(encoding="ascii") if progress.exists() else ""
    return int(said.splitlines()[-1]) if said.endswith("\n") else -1


def main() -> int:
    """The parent, or with ``--worker`` one of the two processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker is None:
        return run(asked.rows)
    work(Plan(asked.rows), asked.worker, asked.first, asked.path, asked.progress)
    return 0


if __name__ == "__main__":
    sys.exit(main())
