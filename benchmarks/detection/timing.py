"""Measures the cost of an evaluation of 200 features at all window lengths, beside a lower bound, and its memory."""

from __future__ import annotations

import gc
import statistics
import time
import tracemalloc
from typing import Any

import numpy as np
from rules_driftline import Watch, fit
from streams import generator

__all__ = ["FEATURES", "Ticks", "evaluations", "memory"]

FEATURES = 200
BINS = 17
"""Bins of a continuous column, with one below, one above and one for missing values."""

FLOOR = f"floor: one chi-square of {FEATURES} × {BINS}"

ROWS = 1_000
BEFORE = 40
"""Windows before the first measurement, after which the evaluation uses long windows too."""

FILLED = 80
"""Windows before memory is measured. They fill every window length."""

MIB = 2.0**20


class Ticks:
    """A monitor of 200 features whose evaluations are measured one by one."""

    def __init__(self, windows: int = BEFORE) -> None:
        self._random = generator("timing")
        self._names = [f"f{place}" for place in range(FEATURES)]
        self.watch = Watch(fit(self._columns(20 * ROWS)), ROWS, None)
        for _ in range(windows):
            self.next()

    def next(self) -> float:
        """Serve a window, and return the milliseconds of its last row and its evaluation."""
        window = self._columns(ROWS)
        # Count all rows except the last one. It completes the window and starts the evaluation.
        self.watch.serve({name: column[:-1] for name, column in window.items()})
        self.watch.evaluate()
        start = time.perf_counter()
        self.watch.serve({name: column[-1:] for name, column in window.items()}, 0.0)
        self.watch.evaluate()
        return 1e3 * (time.perf_counter() - start)

    def _columns(self, rows: int) -> dict[str, Any]:
        return dict(zip(self._names, _values(self._random, rows), strict=True))


def memory(windows: int = FILLED) -> dict[str, float]:
    """Return the MiB that Python and numpy allocate for a reference of 200 features, and for its monitor."""
    random = generator("memory")
    names = [f"f{place}" for place in range(FEATURES)]
    training = dict(zip(names, _values(random, 20 * ROWS), strict=True))
    fit(training)  # what is imported and cached once does not count
    tracemalloc.start()
    reference = fit(training)
    of_reference = _traced()
    watch = Watch(reference, ROWS, None)
    for _ in range(windows):
        watch.feed(dict(zip(names, _values(random, ROWS), strict=True)))
    of_both = _traced()
    tracemalloc.stop()
    watch.close()
    return {
        "features": FEATURES,
        "windows": windows,
        "reference MiB": round(of_reference / MIB, 2),
        "monitor MiB": round((of_both - of_reference) / MIB, 2),
    }


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


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
