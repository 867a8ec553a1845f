"""The rounds of a run to tables: medians, quartiles, ratios within a round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Values = Sequence[float]
FIRST_AIM = 0.15
"""p50 of what driftline adds to a call with 20 features, as a share of what the pair of instruments adds."""


INTRODUCTION = """# Performance

Written by `{command}` on {cpus} cores ({machine}), Python {python}, opentelemetry-sdk {sdk}, numpy {numpy};
{rounds} rounds. [How it is measured](../benchmarks/README.md).

## What a call pays

A function that does nothing, called with a dict of floats in a tight loop, beside the same function alone (what is
shown is the difference) and beside a counter and a histogram of the SDK with three attributes in it (*the pair*). CPU
is that of the whole process, with binning, judging, aggregation and a collection in it. In a tight loop p99.9 is the
time for which the drain thread holds the interpreter; a service that waits between calls does not see it."""

BATCHES = """
## Batches

20 columns of float64 through `monitor.observe`, beside one `searchsorted` and one `bincount` per column.

| rows in a batch | numpy matrix, million rows/s | pandas frame | searchsorted + bincount | matrix / floor |
|---:|---:|---:|---:|---:|"""


def median(values: Values) -> float:
    """The middle value."""
    return statistics.median(values)


def spread(values: Values) -> str:
    """The quartiles."""
    if len(values) < 2:
        return "-"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{low:.3g} – {high:.3g}"


def added(values: Values, bare: Values) -> list[float]:
    """What each round had more than the bare call of the same round."""
    return [value - floor for value, floor in zip(values, bare, strict=True)]


def ratios(values: Values, others: Values) -> list[float]:
    """Round by round."""
    return [value / other for value, other in zip(values, others, strict=True)]


def calls_table(calls: Mapping[str, Sequence[Mapping[str, float]]], pair: str) -> list[str]:
    """Rows of the table for one number of features; microseconds."""
    lines = [
        "| scenario | added p50, µs (quartiles) | p99 | p99.9 | CPU, µs | p50 / the pair's | CPU / the pair's |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    bare = {key: [one[key] for one in calls["bare"]] for key in ("p50", "p99", "p99.9", "cpu")}
    base = {key: added([one[key] for one in calls[pair]], bare[key]) for key in bare}
    for name, rounds in calls.items():
        if name == "bare":
            continue
        more = {key: added([one[key] for one in rounds], bare[key]) for key in bare}
        microseconds = {key: [value / 1e3 for value in values] for key, values in more.items()}
        lines.append(
            f"| {name} | {median(microseconds['p50']):.2f} ({spread(microseconds['p50'])}) "
            f"| {median(microseconds['p99']):.2f} | {median(microseconds['p99.9']):.1f} "
            f"| {median(microseconds['cpu']):.2f} "
            f"| {median(ratios(more['p50'], base['p50'])):.1%} | {median(ratios(more['cpu'], base['cpu'])):.1%} |"
        )
    return lines


def report(results: Mapping[str, Any]) -> str:
    """The whole document."""
    machine = results["machine"]
    pair = results["pair"]
    aim = _aim(results["calls"]["20"], pair)
    measured = f"{median(aim):.1%} (quartiles {spread([100 * one for one in aim])} %)"
    lines = [INTRODUCTION.format(**machine, command=results["command"], rounds=results["rounds"])]
    for width, calls in results["calls"].items():
        lines += ["", f"### {width} feature{'s' * (width != '1')}", "", *calls_table(calls, pair)]
    lines += [
        "",
        f"The first aim: with 20 features p50 below {FIRST_AIM:.0%} of the pair's. Measured: {measured}.",
        BATCHES,
    ]
    for batch, kinds in results["batches"].items():
        million = {kind: median(values) / 1e6 for kind, values in kinds.items()}
        share = median(ratios(kinds["numpy"], kinds["floor"]))
        lines.append(
            f"| {batch} | {million['numpy']:.2f} | {million['pandas']:.2f} | {million['floor']:.2f} | {share:.0%} |"
        )
    imports = {name: [1e3 * one for one in values] for name, values in results["imports"].items()}
    lines += ["", "## Start", "", "| a fresh interpreter that imports | ms (quartiles) |", "|---|---:|"]
    lines += [f"| {name} | {median(values):.0f} ({spread(values)}) |" for name, values in imports.items()]
    memory = results["memory"]
    mega = {key: median([one[key] for one in memory]) / 2**20 for key in ("before", "early", "late")}
    first, more = mega["early"] - mega["before"], mega["late"] - mega["early"]
    lines += ["", "## Memory", ""]
    lines += [
        f"A monitor over 20 features and its first 10,000 calls take {first:.1f} MiB; a million more {more:.1f} MiB."
    ]
    return "\n".join(lines) + "\n"


def _aim(calls: Mapping[str, Sequence[Mapping[str, float]]], pair: str) -> list[float]:
    bare = [one["p50"] for one in calls["bare"]]
    return ratios(
        added([one["p50"] for one in calls["driftline"]], bare), added([one["p50"] for one in calls[pair]], bare)
    )
