"""One scenario in this process: rows per second of batches. Prints JSON."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from calls import LEARNED

import driftline as dl
from driftline._binning.layout import Layout

COLUMNS = 20
TRAINING_ROWS = 5_000
DIFFERENT_VALUES = 200_000
"""Rows in distinct batches, used in turn: the branch predictor would memorise a single batch."""

LABELS = ("web", "shop", "phone", "letter")


def names() -> list[str]:
    """Return the names of the features."""
    return [f"f{index}" for index in range(COLUMNS)]


def numbers_of(rows: int, seed: int) -> Any:
    """Return normal numbers, shape (rows, columns)."""
    return np.random.default_rng(seed).normal(size=(rows, COLUMNS))


def labels_of(rows: int, seed: int) -> Any:
    """Return labels, shape (rows, columns)."""
    return np.random.default_rng(seed).choice(LABELS, size=(rows, COLUMNS))


def as_float64(rows: int, seed: int) -> Any:
    """Return a numpy matrix."""
    return numbers_of(rows, seed)


def as_float32(rows: int, seed: int) -> Any:
    """Return a numpy matrix of float32."""
    return numbers_of(rows, seed).astype(np.float32)


def as_int64(rows: int, seed: int) -> Any:
    """Return a numpy matrix of integers."""
    return (numbers_of(rows, seed) * 100).astype(np.int64)


def as_pandas(rows: int, seed: int) -> Any:
    """Return a pandas frame."""
    return pd.DataFrame(numbers_of(rows, seed), columns=names())


def as_nullable(rows: int, seed: int) -> Any:
    """Return a pandas frame of nullable Float64, 1 % of it missing."""
    matrix = numbers_of(rows, seed)
    matrix[np.random.default_rng(seed).random(matrix.shape) < 0.01] = np.nan
    return pd.DataFrame(matrix, columns=names()).astype("Float64")


def as_polars(rows: int, seed: int) -> Any:
    """Return a polars frame."""
    return pl.DataFrame(numbers_of(rows, seed), schema=names())


def as_arrow(rows: int, seed: int) -> Any:
    """Return a pyarrow table."""
    return as_polars(rows, seed).to_arrow()


def as_categorical(rows: int, seed: int) -> Any:
    """Return a pandas frame of categoricals."""
    return pd.DataFrame(labels_of(rows, seed), columns=names()).astype("category")


def as_strings(rows: int, seed: int) -> Any:
    """Return a pandas frame of strings as Python objects."""
    return pd.DataFrame(labels_of(rows, seed), columns=names()).astype(object)


def as_polars_enum(rows: int, seed: int) -> Any:
    """Return a polars frame of enumerations."""
    return pl.DataFrame(labels_of(rows, seed), schema=names()).cast(pl.Enum(LABELS))


KINDS: dict[str, Callable[[int, int], Any]] = {
    "numpy float64": as_float64,
    "numpy float32": as_float32,
    "numpy int64": as_int64,
    "pandas float64": as_pandas,
    "pandas Float64 (nullable)": as_nullable,
    "polars Float64": as_polars,
    "pyarrow double": as_arrow,
    "pandas category": as_categorical,
    "pandas object (strings)": as_strings,
    "polars Enum": as_polars_enum,
}


def floor_of(layout_reference: dl.Reference) -> Callable[[Any], None]:
    """Return the usual way to count: one searchsorted and one bincount per column."""
    cuts = [np.array(feature.bins.cuts) for feature in layout_reference.features]  # type: ignore[union-attr]

    def count(matrix: Any) -> None:
        for column, edges in zip(matrix.T, cuts, strict=True):
            np.bincount(np.searchsorted(edges, column, side="right"), minlength=len(edges) + 2)

    return count


def rows_per_second(scenario: str, kind: str, batch: int, seconds: float) -> float:
    """Return rows per second of CPU, in batches of *batch* rows."""
    make = KINDS[kind]
    reference = dl.Reference.fit(make(TRAINING_ROWS, 0))
    batches = [make(batch, seed) for seed in range(1, 1 + max(2, min(40, DIFFERENT_VALUES // batch)))]
    monitor = dl.Monitor("bench", reference=reference)
    work: Callable[[Any], None] = monitor.observe
    if scenario == "floor":
        work = floor_of(reference)
    elif scenario == "count":
        layout = Layout(reference.features)

        def work(matrix: Any) -> None:
            layout.count(matrix.T, len(matrix))

    warm_up = -(-LEARNED // batch) if work == monitor.observe else 2
    for rows in islice(cycle(batches), warm_up):
        work(rows)
    monitor.flush()
    done, start, until = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        for rows in batches:
            work(rows)
        done += batch * len(batches)
    monitor.flush()
    return done / (time.process_time() - start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=["floor", "count", "observe"])
    parser.add_argument("--kind", choices=KINDS, default="numpy float64")
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0.5)
    asked = parser.parse_args()
    print(json.dumps({"rows": rows_per_second(asked.scenario, asked.kind, asked.batch, asked.seconds)}))
