"""Writes the figures of the benchmark that the README shows, between two marks in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rules_driftline import DEFAULT, ZERO
from to_markdown import Results, share, table

__all__ = ["write_summary"]

BEGIN, END = "<!-- what make bench-detection found -->", "<!-- end -->"

CASES = (
    ("iid, mixed kinds", "independent rows"),
    ("AR(1) 0.9", "rows that depend on their neighbours"),
    ("daily season, 4 days", "a daily season"),
)
"""Streams without drift that all rules evaluated, with training data in time order, and their names in the README."""

WINDOW = 1_000
"""Rows of the windows that the README shows."""

SHIFTS = ("mean +0.1 σ", "mean +0.2 σ", "5 % outliers at 3 σ")


def write_summary(results: Results, readme: Path) -> None:
    """
    Replace the text between the marks of the README.

    Raises:
        ValueError: the README has no marks.
    """
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"{readme}: expected {BEGIN!r} and {END!r}"
        raise ValueError(msg)
    readme.write_text("\n".join([before + BEGIN, *summary(results), END + after]), encoding="utf-8")


def summary(results: Results) -> list[str]:
    """Return the lines of a table of false alarms and delays by rule."""
    alarms: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in results["false_alarms"]:
        if row["training data"] == "time" and row["features"] == 20 and row["window rows"] == WINDOW:
            alarms.setdefault(row["rule"], {}).setdefault(row["case"], row)
    power = {
        (row["rule"], row["shift"]): row
        for row in [*results["power"], *results.get("streaming power", [])]
        if row["window rows"] == WINDOW
    }
    body = []
    for rule in [DEFAULT, ZERO, *(rule for rule in alarms if rule not in {DEFAULT, ZERO})]:
        driftline = {DEFAULT: "driftline, default", ZERO: "driftline, least effect 0"}.get(rule)
        streams = [alarms[rule].get(case) for case, _ in CASES]
        if None in streams:
            continue
        body.append(
            (
                f"**{driftline}**" if driftline else rule,
                *("" if row is None else f"{row['alarms in 30 days']:,.1f}" for row in streams),
                *(share(power.get((driftline or f"{rule}, tuned", shift))) for shift in SHIFTS),
            )
        )
    return table(("rule", *(name for _, name in CASES), *SHIFTS), body)
