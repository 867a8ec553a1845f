"""All benchmarks, their scenarios in turn, round after round: ``make bench``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from calls import SCENARIOS
from report import report

HERE = Path(__file__).parent
WIDTHS = (1, 20, 200)
MEMORY_ROUNDS = 3
BATCHES = (100, 1_000, 10_000)
PAIR = "Counter.add + Histogram.record"
ONLY_AT_20 = {"Histogram.record per feature"}
"""At 200 features it takes a millisecond a call, and says nothing new."""

IMPORTS = {
    "nothing": "pass",
    "numpy and the OpenTelemetry API": "import numpy, opentelemetry.metrics, opentelemetry.trace, opentelemetry._logs",
    "driftline": "import driftline",
}


def child(script: str, *arguments: str) -> Any:
    """What a scenario prints."""
    done = subprocess.run(  # noqa: S603 - this folder's own scripts
        [sys.executable, HERE / script, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def fresh(code: str) -> float:
    """Seconds that a fresh interpreter takes."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - as above
    return time.perf_counter() - start


def one_round(results: dict[str, Any], calls: int, seconds: str) -> None:
    """Every scenario once."""
    for width in WIDTHS:
        for name in SCENARIOS:
            if width == 20 or name not in ONLY_AT_20:
                found = child("calls.py", name, "--width", str(width), "--calls", str(calls))
                results["calls"][str(width)].setdefault(name, []).append(found)
    for batch in BATCHES:
        for kind in ("numpy", "pandas", "floor"):
            found = child("bulk.py", kind, "--batch", str(batch), "--seconds", seconds)
            results["batches"][str(batch)].setdefault(kind, []).append(found["rows"])
    for name, code in IMPORTS.items():
        results["imports"].setdefault(name, []).append(fresh(code))


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough look; nothing is written")
    parser.add_argument("--rounds", type=int, default=None)
    asked = parser.parse_args()
    rounds = asked.rounds or (2 if asked.quick else 7)
    calls = 5_000 if asked.quick else 30_000
    results: dict[str, Any] = {
        "command": "make bench",
        "rounds": rounds,
        "pair": PAIR,
        "machine": {
            "cpus": os.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "sdk": version("opentelemetry-sdk"),
            "numpy": version("numpy"),
        },
        "calls": {str(width): {} for width in WIDTHS},
        "batches": {str(batch): {} for batch in BATCHES},
        "imports": {},
        "memory": [],
    }
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        one_round(results, calls, "0.3" if asked.quick else "1.0")
        if number < MEMORY_ROUNDS:
            results["memory"].append(child("bulk.py", "memory"))
    text = report(results)
    print(text)
    if not asked.quick:
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / "latest.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (HERE.parent / "docs" / "performance.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
