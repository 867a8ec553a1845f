"""One scenario in this process: rows per second of batches, or memory after many calls. Prints JSON."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import driftline as dl

COLUMNS = 20
TRAINING_ROWS = 5_000
CALLS_BEFORE, CALLS_AFTER = 10_000, 1_000_000
"""Memory is read after so many calls; what it grows between the two is what a long life costs."""


def monitor() -> tuple[dl.Monitor, dl.Reference]:
    """A monitor over numbers, without an SDK: what is measured is driftline's own part."""
    random = np.random.default_rng(0)
    names = [f"f{place}" for place in range(COLUMNS)]
    reference = dl.Reference.fit(dict(zip(names, random.normal(size=(COLUMNS, TRAINING_ROWS)), strict=True)))
    return dl.Monitor("bench", reference=reference), reference


def numpy_floor(reference: dl.Reference) -> Callable[[Any], None]:
    """The least that counting can be: one searchsorted and one bincount per column."""
    cuts = [np.array(feature.bins.cuts) for feature in reference.features]  # type: ignore[union-attr]

    def count(matrix: Any) -> None:
        for column, edges in zip(matrix.T, cuts, strict=True):
            np.bincount(np.searchsorted(edges, column, side="right"), minlength=len(edges) + 2)

    return count


def rows_per_second(kind: str, batch: int, seconds: float) -> float:
    """Rows counted per second in batches of *batch* rows."""
    watched, reference = monitor()
    matrix: Any = np.random.default_rng(1).normal(size=(batch, COLUMNS))
    if kind == "pandas":
        matrix = pd.DataFrame(matrix, columns=[feature.name for feature in reference.features])
    work = numpy_floor(reference) if kind == "floor" else watched.observe
    work(matrix)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        work(matrix)
        done += batch
    watched.flush()
    return done / (time.perf_counter() - start)


def memory() -> dict[str, float]:
    """Resident bytes of this process: before a monitor is made, after the first calls, and after a million."""
    before = _resident()
    watched, reference = monitor()
    predict = watched.instrument(lambda features: features["f0"])
    row = {feature.name: 0.5 for feature in reference.features}
    seen = {"before": before}
    for name, calls in (("early", CALLS_BEFORE), ("late", CALLS_AFTER)):
        for _ in range(calls):
            predict(row)
        watched.flush()
        seen[name] = _resident()
    return seen


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=["floor", "numpy", "pandas", "memory"])
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    asked = parser.parse_args()
    if asked.scenario == "memory":
        print(json.dumps(memory()))
    else:
        print(json.dumps({"rows": rows_per_second(asked.scenario, asked.batch, asked.seconds)}))
