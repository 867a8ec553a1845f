"""
Compare two checkouts of driftline: the same measurements in turn, as ratios new / old.

Each measurement runs in a separate process, with the scripts and the sources of its checkout. Old and new take turns.
Every second round starts with the other checkout, so that a machine that becomes slower affects both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

NEW = Path(__file__).resolve().parents[1]

CALLS = "40000"
"""Calls of one measurement."""

IMPORTS = 10
"""Imports of one measurement; the fastest counts."""

IMPORT_AND_SERVE = """
import time
start = time.perf_counter()
import driftline
driftline.Monitor
print(time.perf_counter() - start)
"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A command in a checkout, and the figures that it prints by name, all of them costs (less is better)."""

    name: str
    run: Callable[[Path], dict[str, float]]


def _output_of(checkout: Path, arguments: Sequence[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, *arguments]
    process = subprocess.run(  # noqa: S603 - our own scripts
        command, cwd=checkout / "benchmarks", env=environment, check=True, capture_output=True, text=True
    )
    return process.stdout


def calls(scenario: str, width: int) -> Measurement:
    """Latency (p50, p99.9) and CPU per call, in nanoseconds."""

    def run(checkout: Path) -> dict[str, float]:
        figures = json.loads(_output_of(checkout, ["calls.py", scenario, "--width", str(width), "--calls", CALLS]))
        return {name: figures[name] for name in ("p50", "p99.9", "cpu")}

    return Measurement(f"{scenario}, {width} features", run)


def batches(kind: str, batch: int) -> Measurement:
    """CPU seconds per row of `Monitor.observe`."""

    def run(checkout: Path) -> dict[str, float]:
        arguments = ["batches.py", "observe", "--kind", kind, "--batch", str(batch)]
        return {"cpu of a row": 1.0 / json.loads(_output_of(checkout, arguments))["rows"]}

    return Measurement(f"observe, {kind}, {batch} rows", run)


def _import_seconds(checkout: Path) -> dict[str, float]:
    return {"seconds": min(float(_output_of(checkout, ["-c", IMPORT_AND_SERVE])) for _ in range(IMPORTS))}


MEASUREMENTS = (
    calls("driftline", 2),
    calls("driftline", 20),
    calls("driftline", 200),
    calls("driftline, no duration histogram", 20),
    calls("driftline, synchronous", 20),
    batches("numpy float64", 10_000),
    batches("numpy float64", 100),
    batches("pandas float64", 10_000),
    batches("pandas category", 10_000),
    batches("polars Float64", 10_000),
    batches("pyarrow double", 10_000),
    Measurement("import of driftline and its Monitor", _import_seconds),
)


def compare(old: Path, rounds: int) -> None:
    """Print the median of the ratios of each figure, with their quartiles, and the medians of both checkouts."""
    print("| what | figure | old | new | new / old | quartiles |\n|---|---|---:|---:|---:|---:|")
    for measurement in MEASUREMENTS:
        olds, news = [], []
        for turn in range(rounds):
            order = ((old, olds), (NEW, news))
            for checkout, figures in order if turn % 2 == 0 else reversed(order):
                figures.append(measurement.run(checkout))
        for figure in olds[0]:
            ratios = [new[figure] / before[figure] for before, new in zip(olds, news, strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            before, now = (statistics.median(figures[figure] for figures in each) for each in (olds, news))
            row = f"{before:.4g} | {now:.4g} | {middle:.3f} | {low:.3f} to {high:.3f}"
            print(f"| {measurement.name} | {figure} | {row} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, help="a checkout of the commit to compare with")
    parser.add_argument("--rounds", type=int, default=7, help="at least 2")
    options = parser.parse_args()
    compare(options.old.resolve(), options.rounds)
