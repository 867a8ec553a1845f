"""
Alarms on lumpy traffic without drift, through the public API: onsets, and the share of time in a false drift.

    python benchmarks/detection/lumpy.py --case D2 --months 4 --effect 0
    PYTHONPATH=/other/tree/src python benchmarks/detection/lumpy.py --case all --months 1

A month has 720 windows. An *onset* is a feature that starts to drift. *Time* is the share of windows in which any
feature drifts. Alarms of features that truly drift do not count.
"""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from false_alarms import poisson_interval
from lumpy_cases import DAYS, Case, draw_month, matching
from rules_driftline import RULES, Watch, fit

import driftline as dl

__all__ = ["WINDOWS", "Counts", "by_kind", "can_run", "line", "pooled", "simulate", "stored"]

WINDOWS = DAYS * 24

Counts = dict[str, Any]


def can_run(cluster: str | None) -> bool:
    """Return whether this version of driftline knows clusters, if a case needs them."""
    return cluster is None or "cluster" in inspect.signature(dl.Reference.fit).parameters


def simulate(case: Case, number: int, rules: Iterable[str] = tuple(RULES), windows: int = WINDOWS) -> Counts:
    """Simulate one month of a case. Return what each rule did, by rule."""
    month = draw_month(case, number, windows)
    features = [name for name in month.served if name != case.cluster]
    reference = fit(
        month.training,
        case.categories(features),
        time=month.times if case.seasons else None,
        seasons=case.seasons,
        cluster=case.cluster,
    )
    began = month.began if case.seasons else 0.0
    watches = {rule: Watch(reference, case.rows, RULES[rule], began=began) for rule in rules}
    right = {f"f{index}" for index in range(case.drifted)}
    false = len(features) - len(right)
    counts: dict[str, Counter[str]] = {rule: Counter() for rule in watches}
    for index in range(windows):
        rows = month.window(index, case.rows)
        for rule, watch in watches.items():
            result = watch.feed(rows)
            wrong = result.drifting - right
            counts[rule].update(
                windows=1,
                onsets=len(set(result.started) - right),
                time=bool(wrong),
                features=len(wrong) / false,  # type: ignore[arg-type] - a counter adds up any numbers
                undecided=len(result.undecided - right) / false,  # type: ignore[arg-type]
                **{f"onsets of {name}": 1 for name in set(result.started) - right},
                **{f"time of {name}": 1 for name in wrong},
                **{f"undecided of {name}": 1 for name in result.undecided},
                undecided_late=(2 * index >= windows) * len(result.undecided - right) / false,  # type: ignore[arg-type]
            )
    for watch in watches.values():
        watch.close()
    return {"case": case.key, "number": number, "counts": {rule: dict(each) for rule, each in counts.items()}}


def pooled(case: Case, months: Sequence[Mapping[str, Any]], rule: str) -> dict[str, Any]:
    """Return one row of the table: the months of a case under a rule."""
    parts = [month["counts"][rule] for month in months]
    windows = sum(part["windows"] for part in parts)
    exposure = windows / WINDOWS
    onsets = sum(part["onsets"] for part in parts)
    low, high = poisson_interval(onsets, exposure)

    def share(name: str, of: float = windows) -> float:
        return round(float(sum(part[name] for part in parts)) / of, 5)

    return {
        "case": case.key,
        "traffic": case.name,
        "training data": case.order,
        "window rows": case.rows,
        "rule": rule,
        "months": round(exposure, 2),
        "onsets": onsets,
        "onsets in 30 days": round(onsets / exposure, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "time": share("time"),
        "time of a feature": share("features"),
        "cannot tell": share("undecided"),
        "cannot tell, second half": share("undecided_late", sum(part["windows"] // 2 for part in parts)),
        "most onsets in a month": max(part["onsets"] for part in parts),
        "most time in a month": round(max(part["time"] / part["windows"] for part in parts), 4),
        "aim": "" if not case.aim else "met" if high <= 2.0 and share("time") <= 0.01 else "missed",
    }


def by_kind(case: Case, months: Sequence[Mapping[str, Any]], rule: str) -> list[dict[str, Any]]:
    """Return a row for each feature of a case whose features are of several kinds."""
    parts = [month["counts"][rule] for month in months]
    windows = sum(part["windows"] for part in parts)
    rows = []
    for index, kind in enumerate(case.kinds):
        onsets, time, undecided = (
            sum(part.get(f"{name} of f{index}", 0) for part in parts) for name in ("onsets", "time", "undecided")
        )
        low, high = poisson_interval(onsets, windows / WINDOWS)
        rows.append(
            {
                "case": case.key,
                "traffic": case.name,
                "training data": case.order,
                "rule": rule,
                "kind": kind,
                "months": round(windows / WINDOWS, 2),
                "onsets": onsets,
                "low": round(low, 3),
                "high": round(high, 3),
                "time": round(time / windows, 5),
                "cannot tell": round(undecided / windows, 5),
            }
        )
    return rows


def line(row: Mapping[str, Any], seconds: float) -> str:
    """Return a row for a terminal."""
    onsets = f"{row['onsets in 30 days']:6.2f} ({row['low']:.2f} to {row['high']:.2f})"
    time_in_drift = f"time {row['time']:6.2%} (feature {row['time of a feature']:6.2%}"
    time_in_drift += f", worst month {row['most time in a month']:4.0%})"
    cannot_tell = f"cannot tell {row['cannot tell']:6.1%} (2nd half {row['cannot tell, second half']:4.0%})"
    about = f"{row['traffic']}, {row['training data']}, {row['window rows']} rows"
    rule = row["rule"].replace("least effect", "").strip()
    return f"{row['case']:4} {rule:8} onsets {onsets:24} {time_in_drift} {cannot_tell} {seconds:5.1f} s  {about}"


def stored(path: Path | None) -> dict[tuple[str, int], Counts]:
    """Return the months of a file with a JSON value in each line, by case and number."""
    if path is None or not path.exists():
        return {}
    months = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {(month["case"], month["number"]): month for month in months}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each case and rule."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="all", help="keys such as D2 or D2a,D9; all by default")
    parser.add_argument("--months", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="number of the first month: other seeds")
    parser.add_argument("--days", type=float, default=DAYS, help="days of each month")
    parser.add_argument("--effect", choices=("0", "default", "both"), default="both")
    parser.add_argument("--keep", type=Path, help="a file of months: those in it are not simulated again")
    options = parser.parse_args(arguments)
    kept = stored(options.keep)
    rules = [rule for rule in RULES if options.effect in ("both", rule.replace("least effect", "").strip())]
    for case in matching(options.case):
        if not can_run(case.cluster):
            print(f"{case.key:4} needs what this version lacks: {case.name}")
            continue
        began = time.perf_counter()
        months = []
        for number in range(options.first, options.first + options.months):
            month = kept.get((case.key, number)) or simulate(case, number, rules, round(options.days * 24))
            months.append(month)
            if options.keep and (case.key, number) not in kept:
                with options.keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(month) + "\n")
        seconds = (time.perf_counter() - began) / len(months)
        for rule in rules:
            print(line(pooled(case, months, rule), seconds), flush=True)


if __name__ == "__main__":
    main()
