"""
What one collection of metrics costs: the processes of two source trees run in turn.

    python benchmarks/collection.py OLD/src NEW/src
    python benchmarks/collection.py

Without arguments the script measures the driftline that it imports, in this process, and prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from statistics import median, quantiles
from typing import Any

import numpy as np
from opentelemetry.metrics import CallbackOptions, NoOpMeter, NoOpMeterProvider, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import driftline as dl

WIDTHS = (20, 200)
"""Features of the model."""

WINDOWS, WINDOW_ROWS = 20, 1_000
"""Windows served before the first collection: enough for scores of each window length, and for all bins."""

COLLECTIONS = 25

CALLS_BETWEEN = 10
"""Calls between two collections, so that there is something to bin."""


class BareMeter(NoOpMeter):
    """A meter that keeps the callbacks of observables, so that they can be called without the SDK."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.callbacks: list[Callable[[CallbackOptions], Iterable[Observation]]] = []

    def _keep(self, name: str, callbacks: Any = None, unit: str = "", description: str = "") -> Any:
        del name, unit, description
        self.callbacks.extend(callbacks)

    create_observable_counter = _keep
    create_observable_gauge = _keep
    create_observable_up_down_counter = _keep

    def collect(self) -> int:
        """Call each callback as the SDK does, and return the number of observations."""
        options = CallbackOptions()
        return sum(1 for callback in self.callbacks for _ in callback(options))


class BareProvider(NoOpMeterProvider):
    """A provider of one bare meter."""

    def __init__(self) -> None:
        self.meter = BareMeter("bare")

    def get_meter(self, *_: Any, **__: Any) -> Any:
        """Return the meter."""
        return self.meter


def measure(width: int) -> dict[str, float]:
    """Return CPU milliseconds of one collection: with the SDK, and of driftline's callbacks alone."""
    reader = InMemoryMetricReader()
    bare = BareProvider()
    whole = _milliseconds(width, MeterProvider([reader]), reader.collect)
    alone = _milliseconds(width, bare, bare.meter.collect)
    return {"points": bare.meter.collect(), "with SDK": whole, "driftline": alone}


def _milliseconds(width: int, provider: Any, collect: Callable[[], object]) -> float:
    random = np.random.default_rng(width)
    names = [f"f{index}" for index in range(width)]
    training = random.normal(size=(5_000, width))
    monitor = dl.Monitor(
        "m",
        reference=dl.Reference.fit(dict(zip(names, training.T, strict=True)), predictions=random.random(5_000)),
        window=dl.Window(rows=WINDOW_ROWS),
        export_bins=True,
        synchronous=True,
        meter_provider=provider,
    )

    @monitor.instrument
    def predict(features: dict[str, float]) -> float:
        return float(features["f0"] > 0)

    for _ in range(WINDOWS):
        monitor.observe(random.normal(size=(WINDOW_ROWS, width)), random.random(WINDOW_ROWS))
    rows = [dict(zip(names, row, strict=True)) for row in random.normal(size=(CALLS_BETWEEN, width)).tolist()]
    collect()
    times = []
    for _ in range(COLLECTIONS):
        for row in rows:
            predict(row)
        start = time.process_time()
        collect()
        times.append(time.process_time() - start)
    return median(times) * 1e3


def _in_tree(tree: str, width: int) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": tree}
    command = [sys.executable, __file__, "--width", str(width)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - this file
    measured: dict[str, float] = json.loads(result.stdout)
    return measured


def _spread(values: list[float]) -> str:
    low, _, high = quantiles(values, n=4)
    return f"{median(values):8.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Compare two trees, or measure this one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trees", nargs="*", help="two source trees: the old one, the new one")
    parser.add_argument("--width", type=int, help="measure this many features in this process")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.width or not options.trees:
        print(json.dumps(measure(options.width or WIDTHS[0])))
        return
    old, new = options.trees
    for width in WIDTHS:
        rounds = [(_in_tree(old, width), _in_tree(new, width)) for _ in range(options.rounds)]
        print(f"{width} features, {rounds[0][0]['points']:.0f} and {rounds[0][1]['points']:.0f} points, ms of CPU")
        for part in ("with SDK", "driftline"):
            before, after = ([each[place][part] for each in rounds] for place in (0, 1))
            ratios = [one / other for one, other in zip(after, before, strict=True)]
            print(f"  {part:10} old {_spread(before)}   new {_spread(after)}   ratio {_spread(ratios)}")


if __name__ == "__main__":
    main()
