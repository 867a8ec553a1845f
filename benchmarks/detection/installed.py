"""
Compares the restated rules with the libraries, and runs river's detectors. Writes JSON.

This script runs in the peers' environment:

``python installed.py OUT.json [--quick]``
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streaming
from numpy.typing import NDArray
from rules_peers import Panel
from streams import SHIFTS, Source, World, generator, reference_of

WORLD = World(("normal", "lognormal", "t2", "few", "cat5", "cat18"))
ROWS = 1_000
REFERENCE = 10_000

Columns = dict[str, NDArray[Any]]
Library = Callable[[Columns, list[Columns]], list[NDArray[np.float64]]]


def evidently(reference: Columns, windows: list[Columns]) -> list[NDArray[np.float64]]:
    """Return the values of `DataDriftPreset`."""
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    codes = list(WORLD.categorical)
    kinds = DataDefinition(
        numerical_columns=[name for name in WORLD.names if name not in codes], categorical_columns=codes
    )
    base = Dataset.from_pandas(pd.DataFrame(reference), data_definition=kinds)
    results = []
    for window in windows:
        current = Dataset.from_pandas(pd.DataFrame(window), data_definition=kinds)
        result = Report([DataDriftPreset()]).run(current, base).dict()
        values = {}
        for metric in result["metrics"]:
            name = metric["config"].get("column")
            if name in WORLD.names and isinstance(metric["value"], (int, float)):
                values[name] = float(metric["value"])
        results.append(np.array([values[name] for name in WORLD.names]))
    return results


def nannyml(reference: Columns, windows: list[Columns]) -> list[NDArray[np.float64]]:
    """Return Jensen-Shannon distances on the scale of nannyml's thresholds."""
    import nannyml as nml  # noqa: PLC0415

    calculator = nml.UnivariateDriftCalculator(
        column_names=list(WORLD.names),
        treat_as_categorical=list(WORLD.categorical),
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        chunk_size=ROWS,
    )
    calculator.fit(pd.DataFrame(reference))
    frame = calculator.calculate(pd.concat([pd.DataFrame(window) for window in windows], ignore_index=True)).to_df()
    frame = frame[frame[("chunk", "chunk", "period")] == "analysis"]
    own = calculator.result.filter(period="reference").to_df()
    ratios = []
    for name in WORLD.names:
        value = frame[(name, "jensen_shannon", "value")].to_numpy(dtype=float)
        mean = float(own[(name, "jensen_shannon", "value")].mean())
        limit = float(frame[(name, "jensen_shannon", "upper_threshold")].iloc[0])
        ratios.append((value - mean) / (limit - mean))
    return list(np.array(ratios).T)


def alibi(reference: Columns, windows: list[Columns]) -> list[NDArray[np.float64]]:
    """Return the logarithms of the p-values of `TabularDrift`, over that of the limit."""
    from alibi_detect.cd import TabularDrift  # noqa: PLC0415

    codes = {WORLD.names.index(name): None for name in WORLD.categorical}
    detector = TabularDrift(
        np.column_stack([reference[name] for name in WORLD.names]), p_val=0.05, categories_per_feature=codes
    )
    limit = 0.05 / len(WORLD.names)
    results = []
    for window in windows:
        output = detector.predict(np.column_stack([window[name] for name in WORLD.names]))["data"]
        p = np.maximum(np.asarray(output["p_val"], dtype=np.float64), 1e-300)
        results.append(np.log(p) / np.log(limit))
    return results


def agreement(windows: int) -> list[dict[str, Any]]:
    """Return for each rule the common flags of restatement and library, and the largest difference of their ratios."""
    source = Source(WORLD, generator("agreement"))
    reference = reference_of(source, REFERENCE, "time")
    noise = generator("agreement", "drift")
    drawn = []
    for number in range(windows):
        window = source.take(ROWS)
        drawn.append(SHIFTS["mean +0.2 σ"].change(window, noise) if number % 2 else window)
    cases: list[tuple[str, Library, Columns, bool]] = [
        ("evidently, reference > 1,000 rows", evidently, reference, False),
        (
            "evidently, reference of 1,000 rows",
            evidently,
            {name: column[-1_000:] for name, column in reference.items()},
            True,
        ),
        ("nannyml", nannyml, reference, False),
        ("alibi-detect", alibi, reference, False),
    ]
    rows = []
    for rule, library, base, tests in cases:
        start = time.perf_counter()
        original = np.array(library(base, drawn))
        if library is evidently:
            # It returns distances or p-values. Divide them by the limits 0.1 and 0.05.
            original = np.log(np.maximum(original, 1e-300)) / np.log(0.05) if tests else original / 0.1
        panel = Panel.fit(base, WORLD.categorical, ROWS)
        restated = np.array([panel(window)[rule] for window in drawn])
        rows.append(
            {
                "rule": rule,
                "decisions": restated.size,
                "flagged by the library": int((original >= 1.0).sum()),
                "flagged by the restatement": int((restated >= 1.0).sum()),
                "same": int(((original >= 1.0) == (restated >= 1.0)).sum()),
                "largest difference of the ratio": round(float(np.abs(restated - original).max()), 4),
                "seconds of the library": round(time.perf_counter() - start, 1),
            }
        )
    return rows


def river_agreement(values: int) -> list[dict[str, Any]]:
    """Compare the restated detectors with river's on the same values."""
    from river import drift  # noqa: PLC0415

    stream = generator("river agreement").normal(size=values)
    stream[values // 2 :] += 1.0
    rows = []
    for name, detector, restatement in (
        ("river PageHinkley", drift.PageHinkley(), streaming.page_hinkley),
        ("river KSWIN", drift.KSWIN(seed=1), streaming.kswin),
    ):
        original = []
        for step, value in enumerate(stream.tolist()):
            detector.update(value)
            if detector.drift_detected:
                original.append(step)
        restated = restatement(stream[np.newaxis])[:, 1].tolist()
        rows.append(
            {
                "detector": name,
                "values": values,
                "alarms of river": len(original),
                "alarms of the restatement": len(restated),
                "at the same values": len(set(original) & set(restated)),
            }
        )
    return rows


def main() -> None:
    """Run all comparisons, and write the results to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    start, own = time.perf_counter(), time.process_time()
    grid = streaming.false_alarms(0.05 if options.quick else 1.0)
    parameters = streaming.tuned(grid)
    result: dict[str, Any] = {
        "versions": {name: version(name) for name in ("evidently", "nannyml", "alibi-detect", "river")},
        "agreement": agreement(2 if options.quick else 10),
        "river agreement": river_agreement(500 if options.quick else 20_000),
        "streaming false alarms": grid,
        "tuned": parameters,
        "episodes": streaming.power(parameters, 2 if options.quick else 30),
    }
    result["seconds"] = round(time.perf_counter() - start, 1)
    result["cpu"] = round(time.process_time() - own, 1)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
