"""One scenario of one peer, in the environment of that peer. Prints JSON."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

WIDTH = 20
NAMES = [f"f{index}" for index in range(WIDTH)]
DIFFERENT = 512
TRAINING_ROWS = 5_000

Call = Callable[[dict[str, float]], object]


def whylogs_rolling() -> Call:
    """A rolling logger that writes a profile every five minutes."""
    import whylogs as why  # noqa: PLC0415 - of this scenario, and so below

    logger = why.logger(mode="rolling", interval=5, when="M", base_name="bench")
    logger.append_writer("local", base_dir=tempfile.mkdtemp())
    return logger.log


def bentoml_monitor() -> Call:
    """One record a call, each feature logged by name."""
    import bentoml  # noqa: PLC0415 - as above

    os.chdir(tempfile.mkdtemp())

    def call(row: dict[str, float]) -> None:
        with bentoml.monitor("bench") as monitor:
            for name, value in row.items():
                monitor.log(value, name=name, role="feature", data_type="numerical")

    return call


def _each(make: Callable[[], Any], update: Callable[[Any, float], object]) -> Call:
    detectors = {name: make() for name in NAMES}

    def call(row: dict[str, float]) -> None:
        for name, value in row.items():
            update(detectors[name], value)

    return call


def river_adwin() -> Call:
    """A detector per feature."""
    from river import drift  # noqa: PLC0415 - as above

    return _each(drift.ADWIN, lambda detector, value: detector.update(value))


def river_page_hinkley() -> Call:
    """A detector per feature."""
    from river import drift  # noqa: PLC0415 - as above

    return _each(drift.PageHinkley, lambda detector, value: detector.update(value))


def frouros_page_hinkley() -> Call:
    """A detector per feature."""
    from frouros.detectors.concept_drift import PageHinkley, PageHinkleyConfig  # noqa: PLC0415 - as above

    return _each(lambda: PageHinkley(config=PageHinkleyConfig()), lambda detector, value: detector.update(value=value))


def frouros_adwin() -> Call:
    """A detector per feature; the values are positive, it refuses others."""
    from frouros.detectors.concept_drift import ADWIN, ADWINConfig  # noqa: PLC0415 - as above

    return _each(lambda: ADWIN(config=ADWINConfig()), lambda detector, value: detector.update(value=value))


CALLS: dict[str, tuple[str, Callable[[], Call], int]] = {
    "whylogs rolling logger": ("whylogs", whylogs_rolling, 1_500),
    "bentoml.monitor": ("bentoml", bentoml_monitor, 4_000),
    "river ADWIN per feature": ("river", river_adwin, 4_000),
    "river PageHinkley per feature": ("river", river_page_hinkley, 8_000),
    "frouros PageHinkley per feature": ("frouros", frouros_page_hinkley, 2_000),
    "frouros ADWIN per feature": ("frouros", frouros_adwin, 400),
}
"""By name: the peer, a function that returns the call, and the calls that take about a second."""


def whylogs_batch(training: Any) -> Callable[[Any], object]:
    """A profile of the batch."""
    del training
    import whylogs as why  # noqa: PLC0415 - as above

    return lambda frame: why.log(frame).view()


def evidently_batch(training: Any) -> Callable[[Any], object]:
    """The preset for drift."""
    from evidently import Report  # noqa: PLC0415 - as above
    from evidently.presets import DataDriftPreset  # noqa: PLC0415 - as above

    return lambda frame: Report([DataDriftPreset()]).run(frame, training)


def nannyml_batch(training: Any) -> Callable[[Any], object]:
    """The univariate calculator, fitted once, in its default chunks."""
    import nannyml  # noqa: PLC0415 - as above

    calculator = nannyml.UnivariateDriftCalculator(column_names=NAMES, chunk_number=10)
    calculator.fit(training)
    return calculator.calculate  # type: ignore[no-any-return]


BATCHES: dict[str, tuple[str, Callable[[Any], Callable[[Any], object]]]] = {
    "whylogs": ("whylogs", whylogs_batch),
    "evidently": ("evidently", evidently_batch),
    "nannyml": ("nannyml", nannyml_batch),
}


def measure_calls(name: str) -> dict[str, float]:
    """Return quantiles of the latency, and CPU of the process per call, in nanoseconds."""
    _, make, calls = CALLS[name]
    random = np.random.default_rng(1)
    rows = [dict(zip(NAMES, row, strict=True)) for row in random.random(size=(DIFFERENT, WIDTH)).tolist()]
    call = make()
    for turn in range(max(50, calls // 10)):
        call(rows[turn % DIFFERENT])
    taken, clock = np.empty(calls, dtype=np.int64), time.perf_counter_ns
    cpu = time.process_time_ns()
    for turn in range(calls):
        row = rows[turn % DIFFERENT]
        start = clock()
        call(row)
        taken[turn] = clock() - start
    cpu = (time.process_time_ns() - cpu) / calls
    p50, p99, p999 = np.quantile(taken, (0.5, 0.99, 0.999))
    return {"p50": float(p50), "p99": float(p99), "p99.9": float(p999), "cpu": cpu}


def measure_batches(name: str, batch: int, seconds: float) -> dict[str, float]:
    """Return rows per second of CPU."""
    import pandas as pd  # noqa: PLC0415 - not every environment has it

    random = np.random.default_rng(0)
    frames = [pd.DataFrame(random.normal(size=(batch, WIDTH)), columns=NAMES) for _ in range(3)]
    work = BATCHES[name][1](pd.DataFrame(random.normal(size=(TRAINING_ROWS, WIDTH)), columns=NAMES))
    work(frames[0])
    done, start, until = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        work(frames[done // batch % len(frames)])
        done += batch
    return {"rows": done / (time.process_time() - start)}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what a peer prints."""
    warnings.simplefilter("ignore")
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a descriptor
        out = os.dup(1)
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(out, 1)
            os.close(out)


def main() -> None:
    """Measure one scenario."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["calls", "batches"])
    parser.add_argument("name")
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=0.5)
    asked = parser.parse_args()
    with quiet():
        if asked.what == "calls":
            result = measure_calls(asked.name)
        else:
            result = measure_batches(asked.name, asked.batch, asked.seconds)
    print(json.dumps(result), flush=True)
    os._exit(0)  # threads of peers would continue to write


if __name__ == "__main__":
    main()
