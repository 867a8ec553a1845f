"""The sections of the page about a monitor whose features are of several kinds."""

from __future__ import annotations

from collections.abc import Sequence

from rules_driftline import ZERO
from to_markdown import Row, table

__all__ = ["is_of_kinds", "kinds_section", "pairs_section"]

BESIDE_OTHERS, ALIKE = "M2", "M3"
"""The first characters of the keys of scenarios: a feature beside other kinds, and beside features of its kind."""


def is_of_kinds(scenario: str) -> bool:
    """Return whether the power of a scenario is shown in the table of pairs."""
    return scenario.startswith((BESIDE_OTHERS, ALIKE))


def kinds_section(rows: Sequence[Row]) -> list[str]:
    """Return the onsets of each kind of feature, of the cases whose features are of several kinds."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    first = {case: next(row for row in rows if row["case"] == case) for case in cases}
    heads = [
        f"{case}: {row['training data']}{', by key' if 'key' in row['traffic'] else ''}" for case, row in first.items()
    ]
    months = ", ".join(f"{case} {row['months']:g}" for case, row in first.items())
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    body = [(kind, *(text for case in cases for text in _cells(rows, case, kind))) for kind in kinds]
    return [
        "",
        "## Features of ten kinds in one monitor",
        "",
        (
            "One feature of each kind, windows of 1,000 rows, a least effect of 0. Each has a tenth of the budget, 0.1 "
            "onsets in thirty days. Only the feature *users* depends on the key. Training data that are shuffled are a "
            f"sample of 200,000 rows. Months: {months}. Onsets are all that were counted, with the 95 % interval of "
            "their number in thirty days."
        ),
        *table(
            ("kind of feature", *(name for head in heads for name in (f"onsets, {head}", "time", "cannot tell"))),
            body,
            left=1,
        ),
    ]


def _cells(rows: Sequence[Row], case: str, kind: str) -> tuple[str, str, str]:
    row = next(row for row in rows if (row["case"], row["kind"]) == (case, kind))
    return f"{row['onsets']} ({row['low']:.2f} to {row['high']:.2f})", f"{row['time']:.2%}", f"{row['cannot tell']:.0%}"


def pairs_section(rows: Sequence[Row]) -> list[str]:
    """Return the power for a change of one feature, beside features of other kinds and of its kind."""
    chosen = {row["scenario"]: row for row in rows if row["detector"] == f"driftline, {ZERO}"}
    pairs = [
        (row, chosen[ALIKE + key[len(BESIDE_OTHERS) :]])
        for key, row in chosen.items()
        if key.startswith(BESIDE_OTHERS) and ALIKE + key[len(BESIDE_OTHERS) :] in chosen
    ]
    if not pairs:
        return []
    body = [
        (
            beside["traffic"].partition(",")[0],
            beside["drift"],
            f"{beside['runs']}, {alike['runs']}",
            *map(_found, (beside, alike)),
        )
        for beside, alike in pairs
    ]
    return [
        "",
        (
            "One feature of ten changes in window 100, least effect 0: the share found within 60 windows with its 95 % "
            "interval, and the median of the windows until then. The nine others are of other kinds, or of the same."
        ),
        *table(("kind", "change", "runs", "beside other kinds", "beside the same kind"), body, left=2),
    ]


def _found(row: Row) -> str:
    median = "" if row["median windows"] is None else f", {row['median windows']:g}"
    return f"{row['found']:.0%} ({row['low']:.0%} to {row['high']:.0%}){median}"
