"""
Traces how far one step travels through the code: calls, files entered, and returns to a file that was left.

    PYTHONPATH=src python benchmarks/trace.py

Two features, no prediction, a synchronous monitor. Only the public interface is used, so that ``PYTHONPATH`` may name
any other version of the source tree.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from inspect import CO_GENERATOR
from pathlib import Path
from types import FrameType

import numpy as np
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

import driftline as dl

ROOT = str(Path(dl.__file__).parent)
WINDOW_ROWS = 100

LEARNING_WINDOWS = 32
"""Windows from which a monitor learns the dependence of rows. The trace is of a later window, the usual case."""

INLINED = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})
"""Names of code that Python 3.12 and later run without a call."""


class Trace:
    """The files of the functions of driftline that one step calls, in the order of the calls."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self._generators: set[FrameType] = set()

    def run(self, step: Callable[[], object]) -> Trace:
        """Run *step* and record its calls."""
        sys.setprofile(self._on_event)
        try:
            step()
        finally:
            sys.setprofile(None)
        return self

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(ROOT) or code.co_name in INLINED:
            return
        if code.co_flags & CO_GENERATOR:
            # A generator that resumes is not another call.
            if frame in self._generators:
                return
            self._generators.add(frame)
        self.files.append(code.co_filename[len(ROOT) + 1 :])

    def counts(self) -> dict[str, int]:
        """Calls, files, and calls into a file that was entered before and left since."""
        entered: set[str] = set()
        last, returns = "", 0
        for file in self.files:
            returns += file != last and file in entered
            entered.add(file)
            last = file
        return {"calls": len(self.files), "files": len(entered), "returns": returns}


def steps() -> dict[str, Trace]:
    """Return the traces of the four steps. All imports happen before."""
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({"a": random.normal(size=5_000), "b": random.normal(size=5_000)})
    rows = [{"a": float(a), "b": float(b)} for a, b in random.normal(size=(2 * WINDOW_ROWS, 2))]
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monitors: list[dl.Monitor] = []

    def make(name: str) -> None:
        monitors.append(
            dl.Monitor(
                name, reference=reference, synchronous=True, window=dl.Window(rows=WINDOW_ROWS), meter_provider=provider
            )
        )

    def serve(features: list[dict[str, float]]) -> None:
        for row in features:
            predict(row)

    def fill() -> None:
        predict(rows[2 * WINDOW_ROWS - 1])
        monitors[-1].status()

    make("imports")
    monitors.pop().shutdown()
    reader.collect()
    traces = {"Monitor(...)": Trace().run(lambda: make("traced"))}

    @monitors[-1].instrument
    def predict(features: dict[str, float]) -> float:
        del features
        return 0.5

    for _ in range(LEARNING_WINDOWS):
        serve(rows[:WINDOW_ROWS])
        monitors[-1].status()
    serve(rows[WINDOW_ROWS : WINDOW_ROWS + 50])
    traces["a call on the fast path"] = Trace().run(lambda: predict(rows[WINDOW_ROWS + 50]))
    serve(rows[WINDOW_ROWS + 51 : 2 * WINDOW_ROWS - 1])
    traces["a call that fills a window, and status()"] = Trace().run(fill)
    reader.collect()
    traces["one collection"] = Trace().run(reader.collect)
    return traces


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--files", action="store_true", help="print the calls into each file as well")
    options = parser.parse_args()
    traces = steps()
    if options.json:
        print(json.dumps({name: trace.counts() for name, trace in traces.items()}))
        return
    for name, trace in traces.items():
        counts = trace.counts()
        print(f"{name:45}{counts['calls']:6} calls{counts['files']:5} files{counts['returns']:5} returns")
        if options.files:
            for file, calls in Counter(trace.files).most_common():
                print(f"    {calls:5}  {file}")


if __name__ == "__main__":
    main()
