"""
Power and recovery on dependent rows, beside detectors that know the process.

    python benchmarks/detection/lumpy_power.py --case P1 --runs 20 --effect default
    PYTHONPATH=/other/tree/src python benchmarks/detection/lumpy_power.py --case P1,P5,P6

The first of ten features drifts. A drift is found in the first window in which the feature drifts, within 60 windows.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import lumpy_oracle as oracle
import lumpy_streams as lumpy
import numpy as np
from lumpy import can_run
from lumpy_scenarios import HORIZON, SCENARIOS, Scenario
from power import binomial_interval
from rules_driftline import RULES, Result, Watch, fit
from streams import generator

__all__ = ["ADWIN", "ORACLE", "RIVER", "known", "rows_of", "run", "until_end"]

REFERENCE = 20_000
ORACLE, ADWIN, RIVER = "oracle", "ADWIN, known variance", "river ADWIN"
MOVED = "f0"


@cache
def known(process: oracle.Process, months: int = 30) -> oracle.Known:
    """Return what the oracle knows of a process."""
    return oracle.know(process, months)


def run(
    scenario: Scenario, number: int, known_process: oracle.Known | None, rules: Iterable[str] = tuple(RULES)
) -> dict[str, Any]:
    """Run a scenario. Return the states of the feature, a letter for each window, and the delays of the others."""
    # The seed does not depend on the size of a drift, so that all sizes shift the same streams.
    process, rows = scenario.process, scenario.rows
    random = generator("lumpy power", process.name.partition(",")[0], rows, number)
    columns = dict(process.draw(random, REFERENCE + scenario.windows * rows))
    noise = generator("lumpy drift", number)
    if not scenario.cluster:
        columns.pop(lumpy.USER, None)
    order = noise.permutation(REFERENCE) if scenario.order == "shuffled" else np.arange(REFERENCE)
    training = {name: column[:REFERENCE][order] for name, column in columns.items()}
    served = {name: column[REFERENCE:] for name, column in columns.items()}
    moved = scenario.change(served[MOVED], training[MOVED], noise)
    drifts = np.repeat([scenario.drifts(window) for window in range(scenario.windows)], rows)
    served[MOVED] = np.where(drifts, moved, served[MOVED])
    names = [name for name in training if name != scenario.cluster]

    def reference_of(rows_of_training: Mapping[str, Any]) -> Any:
        return fit(rows_of_training, scenario.categories(names), cluster=scenario.cluster)

    reference = reference_of(training)
    watches = {rule: Watch(reference, rows, RULES[rule]) for rule in rules}
    letters: dict[str, list[str]] = {rule: [] for rule in watches}
    for window in range(scenario.windows):
        if window == scenario.replaced:
            other = reference_of({**process.draw(noise, REFERENCE)})
            for watch in watches.values():
                watch.replace(other)
        part = {name: column[window * rows : (window + 1) * rows] for name, column in served.items()}
        for rule, watch in watches.items():
            letters[rule].append(_letter(watch.feed(part)))
    for watch in watches.values():
        watch.close()
    states = {rule: "".join(each) for rule, each in letters.items()}
    delays = {} if known_process is None else _delays(scenario, known_process, training[MOVED], served[MOVED])
    return {"scenario": scenario.key, "number": number, "states": states, "delays": delays}


def _letter(result: Result) -> str:
    return "D" if MOVED in result.drifting else "I" if MOVED in result.undecided else "S"


def _delays(scenario: Scenario, process: oracle.Known, training: Any, served: Any) -> dict[str, int | None]:
    values = scenario.process.values(served)
    panes = values.reshape(-1, oracle.PANE).mean(axis=1)
    expected = float(scenario.process.values(training).mean())
    delays = {ORACLE: oracle.oracle_delay(process, panes, expected, scenario.begins)}
    # ADWIN compares with its own past, which a drift from the first row does not have.
    if scenario.begins:
        fed = values.reshape(-1, scenario.process.rows_per_value).mean(axis=1)
        delays[ADWIN] = oracle.adwin_delay(process, panes, scenario.begins)
        delays[RIVER] = oracle.river_delay(scenario.process, process, fed, scenario.begins)
    return delays


def _delay(states: str, begins: int) -> int | None:
    first = states.find("D", begins)
    return None if first < 0 else first - begins + 1


def until_end(states: str, ends: int) -> int | None:
    """Return the windows after the end of a drift in which it still drifts, or None if it did not drift then."""
    if states[ends - 1] != "D":
        return None
    after = states[ends:]
    return len(after) - len(after.lstrip("D"))


def rows_of(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table, one for each scenario and detector."""
    rows = []
    for scenario in SCENARIOS:
        parts = [each for each in runs if each["scenario"] == scenario.key]
        if not parts:
            continue
        for rule in parts[0]["states"]:
            states = [part["states"][rule] for part in parts]
            row = _row(scenario, f"driftline, {rule}", [_delay(each, scenario.begins) for each in states])
            rows.append({**row, **_recovery(scenario, states)})
        for detector in (ORACLE, ADWIN, RIVER):
            delays = [part["delays"][detector] for part in parts if detector in part["delays"]]
            if delays:
                rows.append(_row(scenario, detector, delays))
    return rows


def _row(scenario: Scenario, detector: str, delays: Sequence[int | None]) -> dict[str, Any]:
    windows = np.array([np.inf if delay is None else delay for delay in delays])
    hits = windows <= HORIZON
    low, high = binomial_interval(int(hits.sum()), len(windows))
    median = float(np.median(windows))
    return {
        "scenario": scenario.key,
        "traffic": scenario.process.name,
        "drift": scenario.name,
        "training data": scenario.order,
        "detector": detector,
        "runs": len(windows),
        "found": round(float(hits.mean()), 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "median windows": median if median <= HORIZON else None,
        "in the first window": round(float((windows == 1).mean()), 3),
        "windows after its end, median": None,
        "windows after its end, 90 %": None,
        "in drift once found": None,
        "in drift before": None,
        "cannot tell before": None,
    }


def _recovery(scenario: Scenario, states: Sequence[str]) -> dict[str, Any]:
    before = "".join(each[: scenario.begins] for each in states if not scenario.before)
    ends = len(states[0]) if scenario.lasts is None else scenario.begins + scenario.lasts
    after_alarm = [each[scenario.begins : ends].lstrip("SI") for each in states]
    row: dict[str, Any] = {
        "in drift once found": round("".join(after_alarm).count("D") / max(1, sum(map(len, after_alarm))), 3),
        "in drift before": round(before.count("D") / len(before), 4) if before else None,
        "cannot tell before": round(before.count("I") / len(before), 3) if before else None,
    }
    if scenario.lasts is not None:
        after = [left for each in states if (left := until_end(each, ends)) is not None]
        row["windows after its end, median"] = float(np.median(after)) if after else None
        row["windows after its end, 90 %"] = float(np.quantile(after, 0.9)) if after else None
    return row


def line(row: Mapping[str, Any]) -> str:
    """Return a row for a terminal."""
    median = "" if row["median windows"] is None else f"{row['median windows']:g}"
    text = f"{row['scenario']:4} {row['detector']:33} found {row['found']:4.0%} median {median:4}"
    if row["in drift once found"] is not None:
        text += f" then in drift {row['in drift once found']:4.0%}"
    if row["in drift before"] is not None:
        text += f" before {row['in drift before']:6.2%} cannot tell {row['cannot tell before']:4.0%}"
    if row["windows after its end, median"] is not None:
        text += f" after the end {row['windows after its end, median']:g}, 90 % {row['windows after its end, 90 %']:g}"
    return f"{text}  {row['traffic']}, {row['drift']}, {row['training data']}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each scenario and detector."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="all", help="keys such as P1 or P6,P7a; all by default")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first run: other seeds")
    parser.add_argument("--effect", choices=("0", "default", "both"), default="both")
    parser.add_argument("--oracle", action="store_true", help="run the oracle and ADWIN too")
    parser.add_argument("--keep", type=Path, help="a file that the runs are appended to")
    options = parser.parse_args(arguments)
    rules = [rule for rule in RULES if options.effect in ("both", rule.replace("least effect", "").strip())]
    wanted = options.case.split(",")
    for scenario in SCENARIOS:
        if not (options.case == "all" or scenario.key in wanted or scenario.key.rstrip("abcdefg") in wanted):
            continue
        if not can_run(scenario.cluster):
            print(f"{scenario.key:4} needs what this version lacks: {scenario.name}")
            continue
        process = known(scenario.process) if options.oracle and scenario.oracle else None
        began = time.perf_counter()
        runs = [run(scenario, options.first + number, process, rules) for number in range(options.runs)]
        if options.keep:
            with options.keep.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(each) + "\n" for each in runs)
        for row in rows_of(runs):
            print(line(row), flush=True)
        print(f"     {(time.perf_counter() - began) / len(runs):.1f} s a run", flush=True)


if __name__ == "__main__":
    main()
