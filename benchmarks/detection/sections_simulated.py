"""The sections of the page on simulated streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rules_driftline import DEFAULT, ZERO
from to_markdown import Results, Row, rate, share, table

__all__ = ["false_alarms_section", "level_section", "power_section"]

DRIFTLINE = ("driftline, least effect 0", "driftline, default")


def false_alarms_section(results: Results, plots: str) -> list[str]:
    """Return the section on alarms without drift, of driftline and of its peers."""
    rows: list[Row] = results["false_alarms"]
    keys = ("case", "features", "window rows", "a window every", "reference rows", "training data")
    cases: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        cases.setdefault(tuple(row[key] for key in keys), {})[row["rule"]] = row
    body = []
    for key, rules in cases.items():
        zero = rules[ZERO]
        name = key[0] if zero["aim applies"] else f"{key[0]} (the reference cannot know its season)"
        shown = (name, key[1], f"{key[2]:,}", key[3], f"{key[4]:,}", key[5])
        body.append((*shown, f"{zero['months']:g}", rate(zero), rate(rules.get(DEFAULT)), f"{zero['evaluated']:.0%}"))
    lines = [
        "",
        "## Without drift: alarms in thirty days at a budget of one",
        "",
        *_compare_with_budget(rows),
        "",
        f"![Alarms in thirty days without drift, by case]({plots}/false_alarms.png)",
        *table(
            (
                "stream",
                "features",
                "window",
                "every",
                "reference",
                "training data",
                "months",
                ZERO,
                "default",
                "evaluated",
            ),
            body,
        ),
        (
            "*Evaluated* is the share of windows after which features had a state other than insufficient_data. Every "
            "month has a separate reference."
        ),
    ]
    return lines + _peers_alarms(cases)


def _compare_with_budget(rows: Sequence[Row]) -> list[str]:
    """Return whether the rates stay within the budget."""
    lines = []
    for rule in (ZERO, DEFAULT):
        cases = [row for row in rows if row["rule"] == rule and row["aim applies"]]
        above = [row for row in cases if row["alarms in 30 days"] > 1.0]
        significant = [row for row in above if row["low"] > 1.0]
        worst = max(cases, key=lambda row: row["alarms in 30 days"])
        lines.append(
            f"- {rule}: at most one alarm in {len(cases) - len(above)} of {len(cases)} cases. In {len(significant)} "
            f"cases the whole interval is above 1. The largest rate is {worst['alarms in 30 days']:,.2f}: "
            f"{_describe(worst)}."
        )
    silent = [row for row in rows if row["rule"] == ZERO and row["case"].startswith("iid") and row["high"] < 0.05]
    iid = [row for row in rows if row["rule"] == ZERO and row["case"].startswith("iid")]
    lines.append(
        f"- A rule that never alarms would be useless. Of the {len(iid)} iid cases, {len(silent)} have an interval "
        f"below 0.05. Together they had {sum(row['alarms'] for row in iid)} alarms in "
        f"{sum(row['months'] for row in iid):g} months."
    )
    return lines


def _describe(row: Row) -> str:
    return (
        f"{row['case']}, {row['features']} features, windows of {row['window rows']:,} rows, a reference of "
        f"{row['reference rows']:,} ({row['training data']})"
    )


def _peers_alarms(cases: Mapping[tuple[Any, ...], Mapping[str, Row]]) -> list[str]:
    watched = {key: rules for key, rules in cases.items() if set(rules) - {ZERO, DEFAULT}}
    if not watched:
        return []
    names = list(dict.fromkeys(rule for rules in watched.values() for rule in rules))
    head = ["rule at its default", *(f"{key[0]}, {key[5]}" for key in watched)]
    body = []
    for name in names:
        label = f"driftline, {name}" if name in {ZERO, DEFAULT} else name
        cells = [f"{rules[name]['alarms in 30 days']:,.1f}" if name in rules else "" for rules in watched.values()]
        body.append((label, *cells))
    return [
        "",
        "### Default rules of other libraries",
        "",
        (
            "Alarms in thirty days on the same streams. An alarm of another library is a feature that it flags and did "
            "not flag in the window before. The rules are restated (see the end) to evaluate months of windows."
        ),
        *table(head, body),
    ]


def power_section(results: Results, plots: str) -> list[str]:
    """Return the section on which rules find a drift, and when."""
    rows: list[Row] = results["power"]
    lines = [
        "",
        "## Power and delay: one of twenty features drifts",
        "",
        (
            "Each episode has a reference of 10,000 rows, then 32 windows without drift, then the drift. Cells show "
            "the share of episodes in which the drift was found within the horizon, and the median of the rows until "
            "then if at least half were found. The rules of other libraries are tuned: each kind of feature has a "
            "threshold, set so that the whole model has one alarm in 720 windows (thirty days of hours) without drift, "
            "which is driftline's budget. The table shows the rates on other references. A *limit* is a multiple of "
            "the rule's default, or of its logarithm for p-values."
        ),
    ]
    tuning: list[Row] = results.get("tuning", [])
    body = [
        (
            row["rule"],
            f"{row['window rows']:,}",
            f"{row['limit of a normal feature']:.2f}",
            "" if row["limit of five categories"] == float("inf") else f"{row['limit of five categories']:.2f}",
            f"{row['windows flagged in 30 days']:,.2f} ({row['low']:,.2f} to {row['high']:,.2f})",
        )
        for row in tuning
    ]
    lines += table(
        ("rule", "window", "limit, normal", "limit, five categories", "windows flagged in 30 days without drift"), body
    )
    lines += _comparison(rows)
    lines += ["", f"![Rows until a shift of the mean is found]({plots}/delay.png)"]
    lines += ["", f"![Share of drifts found, by rule]({plots}/power.png)"]
    streaming: list[Row] = results.get("streaming power", [])
    for tuned in (True, False):
        for size in sorted({row["window rows"] for row in rows}):
            shown = [row for row in rows if row["window rows"] == size] + (streaming if size == 1_000 else [])
            lines += _power_table(shown, size, tuned=tuned)
    if streaming:
        lines += [
            "",
            (
                "river's detectors get single values and have no windows. They had 42,000 values before the drift. "
                "Tuned, they have one false alarm in 14.4 million values (thirty days of 1,000 rows an hour, twenty "
                "features). Their parameter comes from a line through the logarithms of the rates at other parameters:"
            ),
            *table(
                ("detector", "parameter", "alarms in 30 days, iid normal"),
                [
                    (
                        row["detector"] + (", default" if row["is the default"] else ""),
                        f"{row['parameter']:g}",
                        f"{row['alarms in 30 days']:,.0f} ({row['alarms']:,} in {row['values']:,} values)",
                    )
                    for row in results["streaming false alarms"]
                ],
            ),
            "Tuned: " + ", ".join(f"{name} {value:.3g}" for name, value in results["tuned"].items()) + ".",
        ]
    return lines


def _power_table(rows: Sequence[Row], size: int, *, tuned: bool) -> list[str]:
    last = ", tuned" if tuned else ", default"
    rules = [rule for rule in dict.fromkeys(row["rule"] for row in rows) if rule in DRIFTLINE or rule.endswith(last)]
    shifts = list(dict.fromkeys(row["shift"] for row in rows))
    by_key = {(row["shift"], row["rule"]): row for row in rows}
    limits = "tuned to one alarm in 720 windows" if tuned else "at the peers' defaults, however often they alarm"
    horizon = max(row["horizon"] for row in rows if row["window rows"] == size)
    body = [
        (
            rule if rule in DRIFTLINE else rule.removesuffix(last),
            *(share(by_key.get((shift, rule))) for shift in shifts),
        )
        for rule in rules
    ]
    return [
        "",
        f"### Windows of {size:,} rows, {limits}",
        "",
        f"Horizon: {horizon:,} rows.",
        *table(("rule", *shifts), body),
    ]


def _comparison(rows: Sequence[Row]) -> list[str]:
    """Compare driftline with the best tuned peer, for each drift and window."""
    lines = []
    for own in DRIFTLINE:
        ahead, level, behind = 0, 0, []
        for size in sorted({row["window rows"] for row in rows}):
            for shift in dict.fromkeys(row["shift"] for row in rows):
                by_rule = {row["rule"]: row for row in rows if (row["shift"], row["window rows"]) == (shift, size)}
                speed = _speed(by_rule[own])
                name, best = min(
                    ((rule, _speed(row)) for rule, row in by_rule.items() if rule.endswith("tuned")),
                    key=lambda item: item[1],
                )
                if speed < best:
                    ahead += 1
                elif speed == best:
                    level += 1
                else:
                    peer = by_rule[name]
                    behind.append(f"{shift} at {size:,} ({share(by_rule[own])} against {share(peer)} of {name})")
        lines.append(
            f"- {own} and the best tuned peer, for each drift and window: found sooner or more often in {ahead}, the "
            f"same in {level}, later or less often in {len(behind)}"
            + (": " + "; ".join(behind) if behind else "")
            + "."
        )
    return ["", *lines]


def _speed(row: Row) -> tuple[float, float]:
    """Return a sort key: the median of the rows until found, then the share that was not found."""
    median = row["median rows until found"]
    return (float("inf") if median is None else float(median), 1.0 - row["found"])


def level_section(results: Results, plots: str) -> list[str]:
    """Return the section on single windows at the level of the prototypes."""
    del plots
    body = [
        (
            row["shift"],
            f"{row['window rows']:,}",
            f"{row['driftline']:.2f} ({row['low']:.2f} to {row['high']:.2f})",
            f"{row['Kolmogorov-Smirnov']:.2f}",
            "" if row["prototype"] is None else f"{row['prototype']:.2f}",
        )
        for row in results["level"]
    ]
    windows = results["level"][0]["windows"]
    untested = sum(row["without a p-value"] for row in results["level"])
    return [
        "",
        "## A single window at level 0.05 / 20",
        "",
        (
            f"Share of {windows} windows whose p-value is at most 0.0025, with a reference of 10,000 rows. Without "
            "drift the share should be 0.0025. The prototype is the components test on ten decile bins that preceded "
            "driftline's test."
        ),
        *table(("drift", "window", "driftline", "Kolmogorov-Smirnov", "prototype"), body),
        *([f"{untested} windows had no p-value."] if untested else []),
    ]
