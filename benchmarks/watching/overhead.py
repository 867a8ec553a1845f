"""
The cost of `driftline.watch`: calls of a watched model beside those of the bare one, in turn, one by one, in one run.

``python benchmarks/watching/overhead.py`` prints the table of ``docs/watching.md``.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import driftline as dl

FEATURES = 20


def data(rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return a frame of 18 numeric features and 2 categorical ones."""
    frame = pd.DataFrame(rng.normal(size=(rows, FEATURES - 2)), columns=[f"x{i}" for i in range(FEATURES - 2)])
    frame["carrier"] = rng.choice(["AA", "DL", "UA", "WN"], rows)
    frame["day"] = rng.choice(["mon", "tue", "wed", "thu", "fri"], rows)
    return frame


def compare(bare: Callable[[Any], Any], watched: Callable[[Any], Any], argument: Any, calls: int) -> tuple[float, ...]:
    """Return the median seconds of processor of a bare and of a watched call, and the ratio with its 95 % interval."""
    for _ in range(40):
        bare(argument)
        watched(argument)
    times = np.empty((calls, 2))
    for row in times:
        for column, function in enumerate((bare, watched)):
            start = time.thread_time()
            function(argument)
            row[column] = time.thread_time() - start
    drawn = np.random.default_rng(0).integers(0, calls, (400, calls))
    medians = np.median(times[drawn], axis=1)
    low, high = np.percentile(medians[:, 1] / medians[:, 0], [2.5, 97.5])
    plain, seen = np.median(times, axis=0)
    return plain, seen, seen / plain, low, high


def main(calls: int = 400) -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    train = data(20_000, rng)
    target = (train["x0"] + (train["carrier"] == "AA") > 0).astype(int)
    columns = make_column_transformer(
        (StandardScaler(), [name for name in train if name.startswith("x")]), (OneHotEncoder(), ["carrier", "day"])
    )
    models = {
        "pipeline: scaling, one-hot, logistic regression": make_pipeline(columns, LogisticRegression()),
        "pipeline: scaling, one-hot, forest of 100 trees": make_pipeline(
            columns, RandomForestClassifier(100, max_depth=8, random_state=0)
        ),
    }
    print("Processor time of the calling thread.\n")
    print("| model | rows | bare call | watched call | ratio | its 95 % interval |")
    print("|---|---:|---:|---:|---:|---|")
    for name, model in models.items():
        model.fit(train, target)
        bare = copy.deepcopy(model)
        reference = dl.Reference.fit(train, predictions=model.predict_proba(train))
        dl.watch(model, name="m", reference=reference)
        for rows in (1, 1_000):
            frame = data(rows, rng)
            plain, watched, ratio, low, high = compare(bare.predict_proba, model.predict_proba, frame, calls)
            print(
                f"| {name} | {rows:,} | {plain * 1e3:.2f} ms | {watched * 1e3:.2f} ms | {ratio:.3f} "
                f"| {low:.3f} to {high:.3f} |"
            )
        dl.unwatch(model)
    array = np.random.default_rng(1).normal(size=(20_000, FEATURES))
    model = LogisticRegression().fit(array, array[:, 0] > 0)
    bare = copy.deepcopy(model)
    dl.watch(model, name="m", reference=dl.Reference.fit(array, predictions=model.predict_proba(array)))
    for rows in (1, 1_000):
        plain, watched, ratio, low, high = compare(bare.predict_proba, model.predict_proba, array[:rows], calls)
        print(
            f"| logistic regression on an array | {rows:,} | {plain * 1e3:.2f} ms | {watched * 1e3:.2f} ms "
            f"| {ratio:.3f} | {low:.3f} to {high:.3f} |"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
