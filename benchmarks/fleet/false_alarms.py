"""
False alarms and power of a fleet whose counts are evaluated together, and of its pods when each evaluates its own.

    python benchmarks/fleet/false_alarms.py --months 8 --side together
    python benchmarks/fleet/false_alarms.py --traffic own --pods 40 --side alone --months 1 --keep months.jsonl
    python benchmarks/fleet/false_alarms.py --power --months 10 --keep power.jsonl
    python benchmarks/fleet/false_alarms.py --table benchmarks/fleet/results.jsonl

A window lasts an hour, and a month has 720. An *onset* is a feature that starts to drift: in the fleet, or in any
pod if each is alone. The budget of the judge, and of each monitor, is one false alarm in thirty days.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from judges import SIDES, fit_reference
from numpy.typing import NDArray
from pods import FEATURES, TRAFFIC, Fleet, Traffic, generator
from scipy.special import chdtri

__all__ = ["PODS", "delay_of", "interval", "simulate", "table"]

PODS = (1, 8, 40)
WINDOWS = 720
"""Windows of a month."""

QUIET, SHIFTED = 72, 96
"""Windows before the shift and after it, when power is measured. The longest look has 64."""

SHIFT = 0.5
"""The shift of the first feature, in standard deviations."""

Result = dict[str, Any]


def _start(traffic: Traffic, pods: int, number: int, what: str, side: str) -> tuple[Fleet, Any]:
    random = generator(what, traffic.key, pods, number)
    reference = fit_reference(random)
    return Fleet(traffic, pods, random), SIDES[side](reference, pods)


def simulate(traffic: Traffic, pods: int, number: int, side: str, windows: int = WINDOWS) -> Result:
    """Simulate a month without drift. The seed does not depend on the side, so both see the same rows."""
    fleet, judge = _start(traffic, pods, number, "month", side)
    before: frozenset[tuple[int, str]] = frozenset()
    onsets = loud = undecided = 0
    for _ in range(windows):
        judge.feed(fleet.take())
        onsets += len(judge.drifting - before)
        loud += bool(judge.drifting)
        undecided += judge.undecided
        before = judge.drifting
    judge.close()
    return {
        "traffic": traffic.key,
        "pods": pods,
        "number": number,
        "side": side,
        "windows": windows,
        "onsets": onsets,
        "loud": loud,
        "undecided": undecided / windows / FEATURES / judge.judges,
    }


def delay_of(traffic: Traffic, pods: int, number: int, side: str, quiet: int = QUIET, shifted: int = SHIFTED) -> Result:
    """
    Return in how many windows the shift of a feature is found.

    The *delay* is that of the first judge, and *half* that of half of the pods. None if it takes longer than the
    simulation. A judge in which the feature drifted before the shift does not count.
    """
    fleet, judge = _start(traffic, pods, number, "power", side)
    for _ in range(quiet):
        judge.feed(fleet.take())
    early = judge.drifting
    first: dict[int, int] = {}
    for window in range(1, shifted + 1):
        rows = fleet.take()
        rows[0] += SHIFT
        judge.feed(rows)
        for pod, feature in judge.drifting - early:
            if feature == "f0":
                first.setdefault(pod, window)
        if len(first) == judge.judges:
            break
    judge.close()
    delays = sorted(first.values())
    half = (judge.judges + 1) // 2
    return {
        "traffic": traffic.key,
        "pods": pods,
        "number": number,
        "side": side,
        "delay": delays[0] if delays else None,
        "half": delays[half - 1] if len(delays) >= half else None,
        "judges": judge.judges,
        "early": sum(feature == "f0" for _, feature in early),
    }


def interval(events: int, exposure: float) -> tuple[float, float]:
    """Return the exact 95 % confidence interval of a rate (Garwood 1936)."""
    low = float(chdtri(2 * events, 0.975)) / 2.0 if events else 0.0
    return low / exposure, float(chdtri(2 * events + 2, 0.025)) / 2.0 / exposure


def _key(result: Mapping[str, Any]) -> tuple[str, int, str]:
    return result["traffic"], result["pods"], result["side"]


def _rate(months: Sequence[Mapping[str, Any]]) -> str:
    if not months:
        return ""
    exposure, onsets = sum(month["windows"] for month in months) / WINDOWS, sum(month["onsets"] for month in months)
    low, high = interval(onsets, exposure)
    return f"{onsets / exposure:.2f} ({low:.2f} to {high:.2f}), {exposure:g}"


def _delay(runs: Sequence[Mapping[str, Any]], which: str) -> str:
    if not runs:
        return ""
    delays: NDArray[np.float64] = np.array([np.inf if run[which] is None else run[which] for run in runs])
    return "/".join(
        f"{value:.0f}" if np.isfinite(value) else f">{SHIFTED}"
        for value in np.quantile(delays, [0.5, 1.0], method="inverted_cdf")
    )


def table(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a table: onsets in thirty days with their interval and months, delays as median/longest."""
    grouped: dict[tuple[str, int, str], list[Mapping[str, Any]]] = {}
    for result in results:
        grouped.setdefault(_key(result), []).append(result)
    lines = [
        "| traffic | pods | false alarms, together | alone | delay, together | first pod alone | half of them |",
        "|---|---:|---|---|---:|---:|---:|",
    ]
    for traffic in TRAFFIC.values():
        for pods in PODS:
            parts = {side: grouped.get((traffic.key, pods, side), []) for side in SIDES}
            months = {side: [each for each in part if "onsets" in each] for side, part in parts.items()}
            runs = {side: [each for each in part if "delay" in each] for side, part in parts.items()}
            cells = [
                traffic.name,
                str(pods),
                _rate(months["together"]),
                _rate(months["alone"]),
                _delay(runs["together"], "delay"),
                _delay(runs["alone"], "delay"),
                _delay(runs["alone"], "half"),
            ]
            if any(cells[2:]):
                lines.append(f"| {' | '.join(cells)} |")
    return lines


def stored(paths: Iterable[Path]) -> list[Result]:
    """Return the results in files that have a JSON value in each line."""
    return [json.loads(line) for path in paths if path.exists() for line in path.read_text("utf-8").splitlines()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate, and print a line for each month or run; or print the table of what was simulated."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traffic", choices=TRAFFIC, action="append", help="may be repeated; all by default")
    parser.add_argument("--pods", type=int, action="append", help="may be repeated; 1, 8 and 40 by default")
    parser.add_argument("--side", choices=SIDES, action="append", help="may be repeated; both by default")
    parser.add_argument("--months", type=int, default=1)
    parser.add_argument("--days", type=float, default=30.0, help="days of each month")
    parser.add_argument("--power", action="store_true", help="measure delays instead of false alarms")
    parser.add_argument("--first", type=int, default=0, help="number of the first month: other seeds")
    parser.add_argument("--seconds", type=float, default=280.0, help="start no further month after this time")
    parser.add_argument("--keep", type=Path, help="a file of results: those in it are not simulated again")
    parser.add_argument("--table", type=Path, nargs="+", help="print the table of these files")
    options = parser.parse_args(arguments)
    if options.table:
        print("\n".join(table(stored(options.table))))
        return
    known = {(*_key(each), each["number"], "delay" in each) for each in stored([options.keep] if options.keep else [])}
    began = time.monotonic()
    for number in range(options.first, options.first + options.months):
        for key in options.traffic or TRAFFIC:
            for pods in options.pods or PODS:
                for side in options.side or SIDES:
                    if (key, pods, side, number, options.power) in known or time.monotonic() - began > options.seconds:
                        continue
                    if options.power:
                        result = delay_of(TRAFFIC[key], pods, number, side)
                    else:
                        result = simulate(TRAFFIC[key], pods, number, side, round(options.days * 24))
                    line = json.dumps(result)
                    print(line, flush=True)
                    if options.keep:
                        with options.keep.open("a", encoding="utf-8") as file:
                            file.write(line + "\n")


if __name__ == "__main__":
    main()
