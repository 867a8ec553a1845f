"""
Simulate how often canaries are wrong on traffic that comes in lumps, and how soon they decide.

``python benchmarks/canary/lumpy.py`` runs 2,000 runs of each cell with driftline's own functions of counts, 400 of the
cells about power, and writes `lumpy.csv` and `docs/results/canary-lumpy.md`. It writes `lumpy.csv` after each cell, and
``--continue`` runs the cells that it lacks. ``--runs 100 --dry`` is a rough look in some minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import lumpy_report
from lumpy_cells import cells
from lumpy_rates import Decisions, join
from lumpy_report import Result

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "results" / "canary-lumpy.md"
PART = 20
"""Runs that a process simulates together."""

POWER_RUNS = 400
"""Most runs of a cell about power or a limit."""


def part(index: int, runs: range) -> Decisions:
    """Return what some runs of a cell decided."""
    cell = cells()[index]
    return cell.simulate(runs, zlib.crc32(f"{cell.kind} {cell.name}".encode()))


def run(index: int, runs: int, pool: ProcessPoolExecutor) -> Result:
    """Simulate all runs of a cell."""
    cell = cells()[index]
    ranges = [range(start, min(start + PART, runs)) for start in range(0, runs, PART)]
    parts = list(pool.map(part, [index] * len(ranges), ranges))
    return Result.of(cell.topic, cell.kind, cell.name, join(parts))


def main() -> None:
    """Simulate, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000, help="runs of each cell (default 2000)")
    parser.add_argument("--only", default="", help="only cells whose topic, kind and name contain this")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--dry", action="store_true", help="write no files")
    parser.add_argument("--continue", dest="resume", action="store_true", help="only cells that lumpy.csv lacks")
    options = parser.parse_args()
    file = HERE / "lumpy.csv"
    results = lumpy_report.read(file) if options.resume or options.only else {}
    done = set(results) if options.resume else set()
    with ProcessPoolExecutor(options.workers) as pool:
        for index, cell in enumerate(cells()):
            key = cell.topic, cell.kind, cell.name
            if options.only not in " ".join(key) or key in done:
                continue
            began = time.monotonic()
            runs = min(options.runs, POWER_RUNS) if cell.kind in {"power", "limit"} else options.runs
            results[key] = result = run(index, runs, pool)
            print(f"{result.line()}; {time.monotonic() - began:.0f} s", flush=True)
            if not options.dry:
                lumpy_report.write(file, results.values())
    if not options.dry:
        order = [(cell.topic, cell.kind, cell.name) for cell in cells()]
        ordered = [results[key] for key in order if key in results]
        lumpy_report.write(file, ordered)
        lumpy_report.write_page(DOCUMENT, ordered)


if __name__ == "__main__":
    sys.exit(main())
