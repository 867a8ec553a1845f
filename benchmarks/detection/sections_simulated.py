"""The page's sections on simulated streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rules_ours import DEFAULT, ZERO
from to_markdown import Results, Row, rate, share, table

__all__ = ["false_alarms_section", "level_section", "power_section"]

OURS = ("driftline, least effect 0", "driftline, default")


def false_alarms_section(results: Results, plots: str) -> list[str]:
    """Alarms without drift, ours and the peers'."""
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
        body.append((*shown, f"{zero['months']:g}", rate(zero), rate(rules.get(DEFAULT)), f"{zero['judged']:.0%}"))
    lines = [
        "",
        "## No drift: alarms in thirty days at a budget of one",
        "",
        *_verdict(rows),
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
                "judged",
            ),
            body,
        ),
        (
            "*Judged* is the share of windows after which features had a state at all. Every month has a "
            "reference of its own."
        ),
    ]
    return lines + _peers_alarms(cases)


def _verdict(rows: Sequence[Row]) -> list[str]:
    """Whether the aim is reached, in words."""
    lines = []
    for rule in (ZERO, DEFAULT):
        of = [row for row in rows if row["rule"] == rule and row["aim applies"]]
        above = [row for row in of if row["alarms in 30 days"] > 1.0]
        sure = [row for row in above if row["low"] > 1.0]
        worst = max(of, key=lambda row: row["alarms in 30 days"])
        lines.append(
            f"- {rule}: at most one alarm in {len(of) - len(above)} of {len(of)} cases; in {len(sure)} the interval "
            f"lies wholly above 1. The most is {worst['alarms in 30 days']:,.2f}: {_case(worst)}."
        )
    silent = [row for row in rows if row["rule"] == ZERO and row["case"].startswith("iid") and row["high"] < 0.05]
    iid = [row for row in rows if row["rule"] == ZERO and row["case"].startswith("iid")]
    lines.append(
        f"- a rule that never speaks is no rule: of the {len(iid)} iid cases, {len(silent)} have an interval below "
        f"0.05; together they had {sum(row['alarms'] for row in iid)} alarms in {sum(row['months'] for row in iid):g} "
        "months."
    )
    return lines


def _case(row: Row) -> str:
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
        "### Beside the default rules of others",
        "",
        (
            "Alarms in thirty days on the same streams: a feature that is flagged and was not in the window before. "
            "The rules are restated (see the end) so that months of windows can be judged."
        ),
        *table(head, body),
    ]


def power_section(results: Results, plots: str) -> list[str]:
    """Who finds a drift, and when."""
    rows: list[Row] = results["power"]
    lines = [
        "",
        "## Power and delay: one of twenty features drifts",
        "",
        (
            "A reference of 10,000 rows, 32 windows without drift, then the drift. Cells: share of episodes in which "
            "it was found within the horizon, and the median of rows until then where at least half were. Peers' rules"
            " are tuned: their thresholds, one for each kind of feature, are set so that the whole model has one alarm"
            " in 720 windows (thirty days of hours) without drift, which is driftline's budget. What that came to on "
            "other references (a *limit* is a multiple of the rule's default; for rules that look at p-values, of "
            "their logarithm):"
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
            of = [row for row in rows if row["window rows"] == size] + (streaming if size == 1_000 else [])
            lines += _power_table(of, size, tuned=tuned)
    if streaming:
        lines += [
            "",
            (
                "river's detectors are fed value by value and have no windows; they had 42,000 values before the "
                "drift. Tuned, they have one false alarm in 14.4 million values (thirty days of 1,000 rows an hour, "
                "twenty features), by a line through the logarithms of the rates measured at other parameters:"
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
    rules = [rule for rule in dict.fromkeys(row["rule"] for row in rows) if rule in OURS or rule.endswith(last)]
    shifts = list(dict.fromkeys(row["shift"] for row in rows))
    by_key = {(row["shift"], row["rule"]): row for row in rows}
    what = "tuned to one alarm in 720 windows" if tuned else "at the peers' defaults, however often they alarm"
    horizon = max(row["horizon"] for row in rows if row["window rows"] == size)
    body = [
        (rule if rule in OURS else rule.removesuffix(last), *(share(by_key.get((shift, rule))) for shift in shifts))
        for rule in rules
    ]
    return [
        "",
        f"### Windows of {size:,} rows, {what}",
        "",
        f"Horizon: {horizon:,} rows.",
        *table(("rule", *shifts), body),
    ]


def _comparison(rows: Sequence[Row]) -> list[str]:
    """Against the best tuned peer, drift by drift."""
    lines = []
    for ours in OURS:
        ahead, level, behind = 0, 0, []
        for size in sorted({row["window rows"] for row in rows}):
            for shift in dict.fromkeys(row["shift"] for row in rows):
                of = {row["rule"]: row for row in rows if (row["shift"], row["window rows"]) == (shift, size)}
                mine = _speed(of[ours])
                name, best = min(
                    ((rule, _speed(row)) for rule, row in of.items() if rule.endswith("tuned")), key=lambda one: one[1]
                )
                if mine < best:
                    ahead += 1
                elif mine == best:
                    level += 1
                else:
                    peer = of[name]
                    behind.append(f"{shift} at {size:,} ({share(of[ours])} against {share(peer)} of {name})")
        lines.append(
            f"- {ours} beside the best of the tuned peers, each drift and window: sooner or more often found in "
            f"{ahead}, the same in {level}, behind in {len(behind)}"
            + (": " + "; ".join(behind) if behind else "")
            + "."
        )
    return ["", *lines]


def _speed(row: Row) -> tuple[float, float]:
    """Sorts by the median of rows until found, then by the share that was not found."""
    middle = row["median rows until found"]
    return (float("inf") if middle is None else float(middle), 1.0 - row["found"])


def level_section(results: Results, plots: str) -> list[str]:
    """Single windows at the level of the prototypes."""
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
    unjudged = sum(row["not judged"] for row in results["level"])
    return [
        "",
        "## A single window at level 0.05 / 20",
        "",
        (
            f"Share of {windows} windows whose p-value is at most 0.0025, a reference of 10,000 rows. The prototype is"
            " the components test on ten decile bins that this was built from; no drift should give 0.0025."
        ),
        *table(("drift", "window", "driftline", "Kolmogorov-Smirnov", "prototype"), body),
        *([f"{unjudged} windows had no p-value."] if unjudged else []),
    ]
