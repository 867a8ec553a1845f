"""
Which changes the default least effects let pass: the share of single windows that alarm, beside `min_effect=0`.

    python benchmarks/detection/least_effects.py                     # about ten seconds

Each change is drawn for 20 references of 10,000 independent rows and up to 400 windows. The level is that of one of
twenty features, and of one of three window lengths, at one window an hour and a budget of one false alarm in thirty
days. It writes one line for each change to standard output, as CSV.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import driftline as dl
from driftline._binning.layout import Layout, binner
from driftline._significance.combination import cauchy_combination
from driftline._significance.part_sizes import PartSizes
from driftline._significance.two_sample import TwoSample
from driftline.detection._least_effects import LeastEffects

Column = NDArray[Any]
Draw = Callable[[np.random.Generator, Column, int], Column]

SEED = 77
REFERENCES, REFERENCE_ROWS = 20, 10_000
WINDOWS: Mapping[int, int] = {1_000: 20, 2_000: 20, 5_000: 20, 20_000: 5}
"""Windows of each number of rows for each reference."""

FEATURES = 20
LEVEL = dl.FalseAlarms().level(3_600.0) / FEATURES
OLD_EFFECT = 0.05
"""The rule until release 0.1: the corrected PSI of the whole is at least this."""

SHARES = np.array([60, 30, 20, 15, 12]) / 137
"""Shares of five categories, as 1, 1/2, ... 1/5."""

LABELS = np.array(list("abcde"), dtype=object)


def moved(by: float, share: float = 1.0) -> Draw:
    """Move a share of the rows of a normal feature by standard deviations."""
    return lambda random, _, rows: random.normal(size=rows) + by * (random.random(rows) < share)


def wider(variance: float) -> Draw:
    """Multiply the variance of a normal feature."""
    return lambda random, _, rows: random.normal(size=rows) * np.sqrt(variance)


def replaced(share: float, value: Callable[[Column], float]) -> Draw:
    """Replace a share of the values of a normal feature by a value, which may depend on the reference."""
    return lambda random, training, rows: np.where(
        random.random(rows) < share, value(training), random.normal(size=rows)
    )


def mixed(points: float = 0.0, new: float = 0.0) -> Draw:
    """Move a share of all rows from the first category to the third, and replace another share by a new category."""
    shares = SHARES + points * np.array([-1, 0, 1, 0, 0])

    def draw(random: np.random.Generator, training: Column, rows: int) -> Column:
        del training
        labels = LABELS[random.choice(5, size=rows, p=shares)]
        labels[random.random(rows) < new] = "new"
        return labels

    return draw


NUMBERS: Mapping[str, Draw] = {
    "none": moved(0.0),
    "mean +0.1 σ": moved(0.1),
    "mean +0.2 σ": moved(0.2),
    "mean +0.25 σ": moved(0.25),
    "10 % of the rows +1 σ": moved(1.0, 0.1),
    "variance × 1.2": wider(1.2),
    "variance × 1.5": wider(1.5),
    "5 % of the rows at 3 σ": replaced(0.05, lambda _: 3.0),
    "0.5 % at three times the maximum": replaced(0.005, lambda training: 3.0 * float(training.max())),
    "1 % at three times the maximum": replaced(0.01, lambda training: 3.0 * float(training.max())),
    "0.5 % missing": replaced(0.005, lambda _: np.nan),
    "1 % missing": replaced(0.01, lambda _: np.nan),
}
CATEGORIES: Mapping[str, Draw] = {
    "none, five categories": mixed(),
    "2 points of a mix": mixed(0.02),
    "5 points of a mix": mixed(0.05),
    "0.5 % new categories": mixed(new=0.005),
    "1 % new categories": mixed(new=0.01),
}


def measure(changes: Mapping[str, Draw], training: list[Column], random: np.random.Generator) -> list[dict[str, Any]]:
    """Return, for each change and each number of rows, the shares of windows that alarm by three rules."""
    features = dl.Reference.fit({f"f{index}": column for index, column in enumerate(training)}).features
    layout = Layout(features)
    test, sizes_of = TwoSample(features, layout), PartSizes(features, layout)
    limits = LeastEffects(dl.FalseAlarms().min_effect).limits(features)
    bin_columns = [binner(feature.bins) for feature in features]
    table = []
    for change, draw in changes.items():
        row: dict[str, Any] = {"change": change}
        for rows, windows in WINDOWS.items():
            alarms = []
            for _ in range(windows):
                counts = np.concatenate(
                    [
                        np.bincount(bin_column(draw(random, column, rows)), minlength=feature.bins.size)
                        for bin_column, feature, column in zip(bin_columns, features, training, strict=True)
                    ]
                )
                result, (_, effect) = test(counts), test.effects(counts)
                counting = limits.counting(sizes_of(counts), effect) | np.isnan(result.parts)
                # A part that does not count is neutral, as in the rule.
                p = cauchy_combination(np.where(counting, result.parts, 0.5))
                alarms.append((p <= LEVEL, result.p <= LEVEL, (result.p <= LEVEL) & (effect >= OLD_EFFECT)))
            names = ("default", "min_effect=0", "corrected PSI of the whole")
            row.update(
                (f"{rows} rows: {name}", share)
                for name, share in zip(names, np.mean(alarms, axis=(0, 2)).round(2).tolist(), strict=True)
            )
        table.append(row)
    return table


def main() -> None:
    """Measure all changes."""
    random = np.random.default_rng(SEED)
    numbers = [random.normal(size=REFERENCE_ROWS) for _ in range(REFERENCES)]
    labels = [LABELS[random.choice(5, size=REFERENCE_ROWS, p=SHARES)] for _ in range(REFERENCES)]
    table = measure(NUMBERS, numbers, random) + measure(CATEGORIES, labels, random)
    writer = csv.DictWriter(sys.stdout, list(table[0]))
    writer.writeheader()
    writer.writerows(table)


if __name__ == "__main__":
    main()
