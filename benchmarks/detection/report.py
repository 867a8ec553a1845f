"""Writes tables as CSV files and as the page ``docs/results/detection.md``, whose figures all come from the results."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sections_real import agreement_section, effects_section, flights_section, harmless_section, timing_section
from sections_simulated import false_alarms_section, level_section, power_section
from to_markdown import Results

__all__ = ["describe_machine", "write_csv", "write_page"]

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
"""The table of each section, and the function that writes the section."""

SUMMARY = "<!-- summary -->", "<!-- /summary -->"
"""The marks around the first section of the page, which is written by hand."""


def describe_machine() -> str:
    """Return the processors and versions that a page names."""
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, numpy {np.__version__}"


def write_csv(results: Results, out: Path) -> None:
    """Write one file per table."""
    alarms = [
        {"window": run["window"], "rule": run["rule"], **alarm}
        for run in results.get("flights", [])
        for alarm in run["alarms"]
    ]
    streams = [{"rule": stream["rule"], **alarm} for stream in results.get("public", []) for alarm in stream["alarms"]]
    for name, rows in {**results, "flights": alarms, "public": streams}.items():
        if isinstance(rows, list) and rows:
            with (out / f"{name.replace(' ', '_')}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)


def write_page(results: Results, page: Path, out: Path, machine: str) -> None:
    """
    Write the page, with a section for each part of the results.

    The text between the marks of the summary stays as it is.
    """
    seconds = ", ".join(
        f"{part} {elapsed:.0f} s ({cpu:.0f} s of CPU)" for part, (elapsed, cpu) in results["seconds"].items()
    )
    summary = ""
    if page.exists():
        summary = page.read_text(encoding="utf-8").partition(SUMMARY[0])[2].partition(SUMMARY[1])[0].strip()
    folder = os.path.relpath(out, page.parent)
    lines = [INTRODUCTION.format(summary=summary, machine=machine, seconds=seconds, csv_files=folder)]
    for name, section in SECTIONS:
        if name in results:
            lines += section(results, folder)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


INTRODUCTION = """# Detection: results

<!-- summary -->
{summary}
<!-- /summary -->

Written by `make bench-detection`, but for the summary, on {machine}. It is seeded, so a second run gives the same
figures except for the timing. Run time: {seconds}. The [folder of the CSV files]({csv_files}) has all tables.

The benchmark uses driftline as a user does: `Reference.fit`, a monitor with `FalseAlarms(1, per="30d")`, batches
through `monitor.observe`, states from `monitor.status()`. An *alarm* is a feature that starts to drift. *Least effect*
is `min_effect`, the smallest corrected PSI that the rule calls a drift. A least effect of 0 shows the test alone.
Intervals are exact 95 % intervals: Poisson for rates, binomial for shares. If alarms come in clusters, the interval of
a rate is too narrow. The CSV files have the largest number of alarms in one month."""
