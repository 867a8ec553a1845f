"""Measures the cost of an evaluation of 200 features at all window lengths, beside a lower bound."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from rules_driftline import Watch, fit
from streams import generator

__all__ = ["evaluations"]

FEATURES = 200
BINS = 17
"""Bins of a continuous column, with one below, one above and one for missing values."""

FLOOR = f"floor: one chi-square of {FEATURES} × {BINS}"

ROWS = 1_000
BEFORE = 40
"""Windows before the first measurement. They fill every window length and end the burn-in."""


def evaluations(rounds: int) -> list[dict[str, Any]]:
    """
    Measure evaluations with and without the default distances, in turns with a lower bound.

    The bound is Pearson's statistic over matrices of the same size, the least cost of one component at one length.
    """
    random = generator("timing")
    names = [f"f{place}" for place in range(FEATURES)]
    reference = fit(dict(zip(names, _values(random, 20 * ROWS), strict=True)))
    assert all(len(feature.counts) == BINS for feature in reference.features)  # noqa: S101 - the table states this number
    watches = {
        "evaluation": Watch(reference, ROWS, None),
        "evaluation with the four default distances": Watch(
            reference, ROWS, None, distances=("psi", "js", "wasserstein", "mean")
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*watches, FLOOR)}
    base = np.array([feature.counts for feature in reference.features], dtype=np.float64)
    for number in range(BEFORE + rounds):
        window = dict(zip(names, _values(random, ROWS), strict=True))
        for name, watch in watches.items():
            # Count all rows except the last one. It completes the window and starts the evaluation.
            watch.serve({name: column[:-1] for name, column in window.items()})
            watch.evaluate()
            start = time.perf_counter()
            watch.serve({name: column[-1:] for name, column in window.items()}, 0.0)
            watch.evaluate()
            seconds[name].append(time.perf_counter() - start)
        current = random.poisson(base / 20.0)
        start = time.perf_counter()
        _chi_square(base, current)
        seconds[FLOOR].append(time.perf_counter() - start)
        if number == BEFORE - 1:
            for values in seconds.values():
                values.clear()
    for watch in watches.values():
        watch.close()
    return [_row(name, values) for name, values in seconds.items()]


def _values(random: np.random.Generator, rows: int) -> Any:
    return random.normal(8.0, 3.0, size=(FEATURES, rows))


def _chi_square(reference: Any, current: Any) -> Any:
    m, n = reference.sum(axis=1, keepdims=True), current.sum(axis=1, keepdims=True)
    pooled = (reference + current) / (m + n)
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where(pooled > 0, (current / n - reference / m) ** 2 / pooled, 0.0)
    return terms.sum(axis=1) / (1 / n + 1 / m)[:, 0]


def _row(name: str, seconds: list[float]) -> dict[str, Any]:
    low, median, high = statistics.quantiles([1e3 * value for value in seconds], n=4, method="inclusive")
    return {
        "step": name,
        "evaluations": len(seconds),
        "median ms": round(median, 2),
        "quartiles ms": f"{low:.2f} to {high:.2f}",
        "fastest ms": round(1e3 * min(seconds), 2),
    }
