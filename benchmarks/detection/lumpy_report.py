"""Writes the page ``docs/results/detection-lumpy.md``, whose figures all come from the results."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lumpy_mixed_page import is_of_kinds, kinds_section, pairs_section
from lumpy_power import ADWIN, ORACLE, RIVER
from public_page import SUMMARY, public_section, summary_of
from rules_driftline import DEFAULT, ZERO
from to_markdown import Results, Row, table

__all__ = ["SUMMARY", "write_lumpy_page"]

RULE_NAMES = f"driftline, {ZERO}", f"driftline, {DEFAULT}"


BY_HAND = "<!-- onsets -->", "<!-- /onsets -->"
"""The marks around the section with what ``onsets.py`` printed, which stays as it is."""


def write_lumpy_page(results: Results, page: Path, out: Path, machine: str) -> None:
    """Write the page. The texts between the marks of the summary and of `BY_HAND` stay as they are."""
    summary, onsets = summary_of(page), _between(page, BY_HAND)
    lines = [INTRODUCTION.format(summary=summary, machine=machine, csv_files=os.path.relpath(out, page.parent))]
    for name, section in SECTIONS:
        if results.get(name):
            lines += section(results[name])
    if onsets:
        lines += ["", BY_HAND[0], "", onsets, "", BY_HAND[1]]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _between(page: Path, marks: tuple[str, str]) -> str:
    """Return the text between two marks of a page, or nothing if there is none."""
    if not page.exists():
        return ""
    return page.read_text(encoding="utf-8").partition(marks[0])[2].partition(marks[1])[0].strip()


def _budget(rows: Sequence[Row]) -> list[str]:
    by_case: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_case.setdefault(row["case"], {})[row["rule"]] = row
    missed = [row for row in rows if row["aim"] == "missed"]
    rules = [rule for rule in (DEFAULT, ZERO) if any(rule in both for both in by_case.values())]
    body = [
        (
            case,
            first["traffic"],
            first["training data"],
            f"{first['window rows']:,}",
            f"{first['months']:g}",
            *(text for rule in rules for text in _onsets_and_time(both[rule])),
            f"{first['cannot tell']:.0%}",
            "none" if not first["aim"] else "missed" if any(row["aim"] == "missed" for row in both.values()) else "met",
        )
        for case, both in by_case.items()
        for first in [next(iter(both.values()))]
    ]
    aimed = sum(1 for row in rows if row["aim"])
    return [
        "",
        "## Nothing drifts: onsets in thirty days, and time in a false drift",
        "",
        (
            "Ten features, a budget of one alarm in thirty days, an evaluation an hour. The aim: the upper end of the "
            "interval of onsets is at most 2, and the time is at most 1 %. "
            f"{aimed - len(missed)} of {aimed} cases and rules meet it. "
            "*Time* is the share of windows in which any feature drifts, so it is up to ten times that of one "
            "feature. The worst case is first."
        ),
        *table(
            (
                *("case", "traffic", "training data", "window", "months"),
                *(f"{name}, {rule}" for rule in rules for name in ("onsets", "time")),
                *("cannot tell", "aim"),
            ),
            body,
            left=3,
        ),
    ]


def _onsets_and_time(row: Row) -> tuple[str, str]:
    return f"{row['onsets in 30 days']:.2f} ({row['low']:.2f} to {row['high']:.2f})", f"{row['time']:.2%}"


def _power(rows: Sequence[Row]) -> list[str]:
    by_scenario: dict[str, dict[str, Row]] = {}
    rows = [row for row in rows if not is_of_kinds(row["scenario"])]
    for row in rows:
        by_scenario.setdefault(row["scenario"], {})[row["detector"]] = row
    detectors = (*RULE_NAMES[::-1], ORACLE, ADWIN, RIVER)
    body, recovery = [], []
    for scenario, by_detector in by_scenario.items():
        first = next(iter(by_detector.values()))
        about = (scenario, first["traffic"], first["drift"], first["training data"])
        cells = (_share(by_detector.get(detector)) for detector in detectors)
        runs = dict.fromkeys(str(by_detector[detector]["runs"]) for detector in detectors if detector in by_detector)
        body.append((*about, ", ".join(runs), *cells))
        recovery += [
            (*about[:3], rule, f"{row['windows after its end, median']:g}", f"{row['windows after its end, 90 %']:g}")
            for rule in RULE_NAMES
            if (row := by_detector.get(rule)) and row["windows after its end, median"] is not None
        ]
    lines = [
        "",
        "## One of ten features drifts: power and recovery",
        "",
        (
            "Share of drifts found within 60 windows, and the median of the windows until then. The drift begins in "
            "window 100 unless stated otherwise. The oracle knows the variance of means over 1, 4, 16 and 64 windows. "
            "ADWIN knows the variance of means of panes, or is that of river. Both are tuned to the same budget on the "
            "same process. Of two numbers of runs, the first is that of *default*."
        ),
        *table(
            ("case", "traffic", "drift", "training data", "runs", "default", "least effect 0", *detectors[2:]),
            body,
            left=4,
        ),
    ]
    if recovery:
        head = ("case", "traffic", "drift", "rule", "median", "90 %")
        lines += [
            "A drift that ended: the windows after its end in which the feature still drifts.",
            *table(head, recovery, left=4),
        ]
    return lines


def _share(row: Row | None) -> str:
    if row is None:
        return ""
    median = row["median windows"]
    return f"{row['found']:.0%}" + (f", {median:g}" if median is not None else "")


def _words(rows: Sequence[Row]) -> list[str]:
    head = ("change", "alarms", "lead with the right words", "with medians", "largest error, σ", "medians refuted")
    body = [
        (
            row["change"],
            row["alarms"],
            f"{row['leads with the right words']:.0%}",
            row["with medians"],
            "" if row["largest error of a median, σ"] is None else row["largest error of a median, σ"],
            row["medians refuted"],
        )
        for row in rows
    ]
    wrong = [f"- {row['change']}: {row['a wrong one']}" for row in rows if row["a wrong one"]]
    return [
        "",
        "## What reasons say",
        "",
        (
            "Alarms of one window of 2,000 rows, of nine shapes, compared with the raw rows. The raw rows refute a "
            "median that is farther away than the error that the reason states."
        ),
        *table(head, body),
        *(["Examples of other leading words:", "", *wrong] if wrong else []),
    ]


def _temperatures(rows: Sequence[Row]) -> list[str]:
    return [
        "",
        "Hourly temperatures with a season of hours, compared with those of January. The first alarm of each month:",
        "",
        *(f"- the mean moved by {row['mean moved by, σ of an hour']} σ of an hour: {row['reason']}" for row in rows),
    ]


SECTIONS: tuple[tuple[str, Callable[[Any], list[str]]], ...] = (
    ("lumpy", _budget),
    ("lumpy_power", _power),
    ("lumpy_kinds", kinds_section),
    ("lumpy_power", pairs_section),
    ("words", _words),
    ("temperatures", _temperatures),
    ("public", public_section),
)

INTRODUCTION = """# Detection on lumpy traffic: results

<!-- summary -->
{summary}
<!-- /summary -->

Written by `make bench-detection`, but for the summary, on {machine}. It is seeded, so a second run gives the same
figures. The [folder of the CSV files]({csv_files}) has all tables. [Detection](detection.md) has the results on
independent and mildly dependent rows.

A table has the first months and runs, as many as were run. An *onset* is a feature that starts to drift. *Default*
is the default least effect, and a least effect of 0 shows the test alone. *Cannot tell* is the share of features and
windows with the state `insufficient_data`. Training data are 20,000 consecutive rows before the rows served, unless
stated otherwise. All features of a case depend in the same way, but for M1 to M3. Intervals are exact 95 % intervals:
Poisson for rates, binomial for shares. Onsets that come in clusters make an interval of a rate too narrow."""
