"""Tables to CSV files and to the page ``docs/detection.md``: every figure in its words comes out of the results."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

from sections_real import agreement_section, effects_section, flights_section, harmless_section, timing_section
from sections_simulated import false_alarms_section, level_section, power_section
from to_markdown import Results

__all__ = ["write_csv", "write_page"]

SECTIONS: tuple[tuple[str, Callable[[Results, str], list[str]]], ...] = (
    ("false_alarms", false_alarms_section),
    ("power", power_section),
    ("level", level_section),
    ("flights", flights_section),
    ("harmless", harmless_section),
    ("effects", effects_section),
    ("timing", timing_section),
    ("agreement", agreement_section),
)
"""The table that a section is about, and what writes it."""


def write_csv(results: Results, out: Path) -> None:
    """One file per table."""
    alarms = [
        {"window": run["window"], "rule": run["rule"], **alarm}
        for run in results.get("flights", [])
        for alarm in run["alarms"]
    ]
    for name, rows in {**results, "flights": alarms}.items():
        if isinstance(rows, list) and rows:
            with (out / f"{name.replace(' ', '_')}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


def write_page(results: Results, page: Path, out: Path, machine: str) -> None:
    """The page, with what parts there are."""
    plots = os.path.relpath(out, page.parent)
    seconds = ", ".join(
        f"{part} {taken:.0f} s ({cpu:.0f} s of CPU)" for part, (taken, cpu) in results["seconds"].items()
    )
    lines = [INTRODUCTION.format(machine=machine, seconds=seconds)]
    for name, section in SECTIONS:
        if name in results:
            lines += section(results, plots)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


INTRODUCTION = """# Detection: what alarms are worth

Written by `make bench-detection` on {machine}; seeded, so that a second run gives the same figures but for the timing.
Run time: {seconds}. All tables as CSV are in [`benchmarks/detection/results`](../benchmarks/detection/results).

driftline runs as a user runs it: `Reference.fit`, a monitor with `FalseAlarms(1, per="30d")`, batches through
`monitor.observe`, states read from `monitor.status()`. An *alarm* is a feature that starts to drift. *Least effect* is
`min_effect`, the least corrected PSI that the rule calls a drift: 0 shows what the test alone does, the default what a
user gets. Intervals are exact 95 % ones: Poisson for rates, binomial for shares. Alarms that come in clusters make an
interval of a rate too narrow; the largest number in one month is in the CSV."""
