"""
Run in the peers' own environment: the restated rules beside the libraries, and river's detectors. Writes JSON.

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
    """What `DataDriftPreset` measures, over its limits."""
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # noqa: PLC0415

    codes = list(WORLD.categorical)
    kinds = DataDefinition(
        numerical_columns=[name for name in WORLD.names if name not in codes], categorical_columns=codes
    )
    base = Dataset.from_pandas(pd.DataFrame(reference), data_definition=kinds)
    found = []
    for window in windows:
        current = Dataset.from_pandas(pd.DataFrame(window), data_definition=kinds)
        result = Report([DataDriftPreset()]).run(current, base).dict()
        values = {}
        for metric in result["metrics"]:
            name = metric["config"].get("column")
            if name in WORLD.names and isinstance(metric["value"], (int, float)):
                values[name] = float(metric["value"])
        found.append(np.array([values[name] for name in WORLD.names]))
    return found


def nannyml(reference: Columns, windows: list[Columns]) -> list[NDArray[np.float64]]:
    """Jensen-Shannon distance, scaled as its own thresholds are."""
    import nannyml as nml  # noqa: PLC0415

    calculator = nml.UnivariateDriftCalculator(
        column_names=list(WORLD.names),
        treat_as_categorical=list(WORLD.categorical),
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        chunk_size=ROWS,
    )
    calculator.fit(pd.DataFrame(reference))
    frame = calculator.calculate(pd.concat([pd.DataFrame(one) for one in windows], ignore_index=True)).to_df()
    frame = frame[frame[("chunk", "chunk", "period")] == "analysis"]
    own = calculator.result.filter(period="reference").to_df()
    ratios = []
    for name in WORLD.names:
        value = frame[(name, "jensen_shannon", "value")].to_numpy(dtype=float)
        middle = float(own[(name, "jensen_shannon", "value")].mean())
        limit = float(frame[(name, "jensen_shannon", "upper_threshold")].iloc[0])
        ratios.append((value - middle) / (limit - middle))
    return list(np.array(ratios).T)


def alibi(reference: Columns, windows: list[Columns]) -> list[NDArray[np.float64]]:
    """The p-values of `TabularDrift`."""
    from alibi_detect.cd import TabularDrift  # noqa: PLC0415

    codes = {WORLD.names.index(name): None for name in WORLD.categorical}
    detector = TabularDrift(
        np.column_stack([reference[name] for name in WORLD.names]), p_val=0.05, categories_per_feature=codes
    )
    limit = 0.05 / len(WORLD.names)
    found = []
    for window in windows:
        said = detector.predict(np.column_stack([window[name] for name in WORLD.names]))["data"]
        p = np.maximum(np.asarray(said["p_val"], dtype=np.float64), 1e-300)
        found.append(np.log(p) / np.log(limit))
    return found


def agreement(windows: int) -> list[dict[str, Any]]:
    """Per rule: how many flags the restatement and the library have in common, and how far their numbers are apart."""
    source = Source(WORLD, generator("agreement"))
    reference = reference_of(source, REFERENCE, "time")
    noise = generator("agreement", "drift")
    drawn = []
    for number in range(windows):
        window = source.take(ROWS)
        drawn.append(SHIFTS["mean +0.2 σ"].change(window, noise) if number % 2 else window)
    asked: list[tuple[str, Library, Columns, bool]] = [
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
    for rule, library, base, tests in asked:
        start = time.perf_counter()
        theirs = np.array(library(base, drawn))
        if library is evidently:
            # It gives distances, or p-values, and not their ratio to the limit of 0.1 or 0.05.
            theirs = np.log(np.maximum(theirs, 1e-300)) / np.log(0.05) if tests else theirs / 0.1
        panel = Panel.fit(base, WORLD.categorical, ROWS)
        ours = np.array([panel(window)[rule] for window in drawn])
        rows.append(
            {
                "rule": rule,
                "judgements": ours.size,
                "flagged by the library": int((theirs >= 1.0).sum()),
                "flagged by the restatement": int((ours >= 1.0).sum()),
                "same": int(((theirs >= 1.0) == (ours >= 1.0)).sum()),
                "largest difference of the ratio": round(float(np.abs(ours - theirs).max()), 4),
                "seconds of the library": round(time.perf_counter() - start, 1),
            }
        )
    return rows


def river_agreement(values: int) -> list[dict[str, Any]]:
    """The restated detectors beside river's on the same values."""
    from river import drift  # noqa: PLC0415

    stream = generator("river agreement").normal(size=values)
    stream[values // 2 :] += 1.0
    rows = []
    for name, detector, restated in (
        ("river PageHinkley", drift.PageHinkley(), streaming.page_hinkley),
        ("river KSWIN", drift.KSWIN(seed=1), streaming.kswin),
    ):
        theirs = []
        for step, value in enumerate(stream.tolist()):
            detector.update(value)
            if detector.drift_detected:
                theirs.append(step)
        ours = restated(stream[np.newaxis])[:, 1].tolist()
        rows.append(
            {
                "detector": name,
                "values": values,
                "alarms of river": len(theirs),
                "alarms of the restatement": len(ours),
                "at the same values": len(set(theirs) & set(ours)),
            }
        )
    return rows


def main() -> None:
    """Everything, to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    start, own = time.perf_counter(), time.process_time()
    grid = streaming.false_alarms(0.05 if asked.quick else 1.0)
    parameters = streaming.tuned(grid)
    result: dict[str, Any] = {
        "versions": {name: version(name) for name in ("evidently", "nannyml", "alibi-detect", "river")},
        "agreement": agreement(2 if asked.quick else 10),
        "river agreement": river_agreement(500 if asked.quick else 20_000),
        "streaming false alarms": grid,
        "tuned": parameters,
        "episodes": streaming.power(parameters, 2 if asked.quick else 30),
    }
    result["seconds"] = round(time.perf_counter() - start, 1)
    result["cpu"] = round(time.process_time() - own, 1)
    asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
