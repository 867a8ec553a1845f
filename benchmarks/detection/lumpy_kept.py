"""
Write the page of lumpy traffic from months and runs that were kept, which may take many hours to simulate.

    python benchmarks/detection/lumpy.py --case D5 --months 20 --effect 0 --keep months.jsonl
    python benchmarks/detection/lumpy_power.py --case P1 --runs 100 --oracle --keep runs.jsonl
    python benchmarks/detection/lumpy_kept.py --months months.jsonl --runs runs.jsonl --words

Parts that are not given stay as they are in the folder of results.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lumpy
import lumpy_power
import lumpy_words
from lumpy_cases import CASES
from lumpy_report import write_lumpy_page
from lumpy_scenarios import SCENARIOS
from report import describe_machine, write_csv
from rules_driftline import RULES

__all__ = ["budget", "power"]

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/results/detection-lumpy.md"
DRAWS = 20
"""Draws of each shape and change whose words are compared with the raw rows."""


def budget(months: Iterable[lumpy.Counts]) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of cases, worst first, and of kinds of features, for rules that all months of a case have."""
    by_case: dict[str, list[lumpy.Counts]] = {}
    for month in sorted(months, key=lambda each: int(each["number"])):
        by_case.setdefault(month["case"], []).append(month)
    rows, kinds = [], []
    for case in CASES:
        each = by_case.get(case.key, [])
        for rule in RULES if each else ():
            if all(rule in month["counts"] for month in each):
                rows.append(lumpy.pooled(case, each, rule))
                kinds += lumpy.by_kind(case, each, rule)
    return {"lumpy": sorted(rows, key=lambda row: (-row["high"], -row["time"])), "lumpy_kinds": kinds}


def power(runs: Sequence[Any], before: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the table of power. Rows of *before* stay for scenarios and detectors of which there is no run."""
    by_rules: dict[tuple[str, ...], list[Any]] = {}
    for run in sorted(runs, key=lambda each: int(each["number"])):
        by_rules.setdefault(tuple(run["states"]), []).append(run)
    rows = [row for each in by_rules.values() for row in lumpy_power.rows_of(each)]
    known = {(row["scenario"], row["detector"]) for row in rows}
    rows += [row for row in before if (row["scenario"], row["detector"]) not in known]
    order = [scenario.key for scenario in SCENARIOS]
    return {"lumpy_power": sorted(rows, key=lambda row: order.index(row["scenario"]))}


def _lines(paths: Iterable[Path]) -> list[Any]:
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables, as JSON and CSV, and the page."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=Path, nargs="*", default=[], help="files of lumpy.py --keep")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="files of lumpy_power.py --keep")
    parser.add_argument("--words", action="store_true", help="compare words with raw rows")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the results")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page; its summary stays as it is")
    options = parser.parse_args(arguments)
    old = options.out / "raw" / "lumpy_power.json"
    before = json.loads(old.read_text(encoding="utf-8"))["lumpy_power"] if old.exists() else []
    parts: dict[str, tuple[bool, Callable[[], dict[str, Any]]]] = {
        "lumpy": (bool(options.months), lambda: budget(_lines(options.months))),
        "lumpy_power": (bool(options.runs), lambda: power(_lines(options.runs), before)),
        "words": (
            options.words,
            lambda: {
                "words": lumpy_words.measure(lumpy_words.map_in_turn, DRAWS),
                "temperatures": lumpy_words.temperatures(),
            },
        ),
    }
    (options.out / "raw").mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for name, (is_given, make) in parts.items():
        path = options.out / "raw" / f"{name}.json"
        if is_given:
            path.write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if path.exists():
            results.update(json.loads(path.read_text(encoding="utf-8")))
    tables = {name: rows for name, rows in results.items() if isinstance(rows, list)}
    write_csv(tables, options.out)
    write_lumpy_page(tables, options.page, options.out, describe_machine())


if __name__ == "__main__":
    main()
