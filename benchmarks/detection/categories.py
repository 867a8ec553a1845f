"""
False alarms and power for categorical features of few and many categories.

    python benchmarks/detection/categories.py                        # about five minutes

Each case draws training data of m rows, fits their bins, and tests windows of n rows. Counts of windows are drawn over
the bins, whose true shares are known, so no row is ever made. Windows come once an hour, and are tested at the lengths
1, 4 and 16 of the default rule. Rows are independent.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline import FalseAlarms
from driftline._binning.fitting import fit_feature
from driftline._binning.layout import Layout, binner
from driftline._capture.columns import CategoricalColumn
from driftline._significance.combination import cauchy_combination
from driftline._significance.part_sizes import PartSizes
from driftline._significance.two_sample import TwoSample
from driftline.detection._least_effects import LeastEffects
from driftline.detection._scoring import group_by_width
from driftline.distances import psi

REFERENCES, WINDOWS = 100, 40
"""Training data of each case, and windows of each length that are tested against each."""

CATEGORIES = (10, 50, 100, 500, 1_000, 2_000, 5_000, 20_000)
REFERENCE_ROWS = (1_000, 2_000, 10_000, 100_000)
WINDOW_ROWS = (1_000, 5_000)
HOUR, MONTH = 3_600.0, 720
"""Seconds between windows, and windows in thirty days."""

PSI_LIMITS = (0.1, 0.2)
"""Usual limits of `Thresholds(psi=...)`."""

RULE = FalseAlarms()

CHANGES = ("new 1 %", "new 5 %", "new 20 %", "one category +5 points", "one category +10 points", "exponent × 1.3")
"""Changes: rows of categories that never were; rows that move to the third category; frequent categories more so."""


def shares_of(kind: str, categories: int) -> NDArray[np.float64]:
    """Return the share of each category, shape (categories,)."""
    weights = np.ones(categories)
    if kind == "Zipf":
        weights /= np.arange(1, categories + 1)
    return weights / weights.sum()


def changed(shares: NDArray[np.float64], change: str) -> tuple[NDArray[np.float64], float]:
    """Return the shares of known categories after a change, and the share of new ones."""
    if change.startswith("new"):
        new = float(change.split()[1]) / 100
        return shares * (1 - new), new
    if change.startswith("one"):
        points = float(change.split("+")[1].split(maxsplit=1)[0]) / 100
        moved = shares * (1 - points)
        moved[2] += points
        return moved, 0.0
    powered = shares**1.3
    return powered / powered.sum(), 0.0


class Case:
    """
    The features of several references over the same categories.

    Args:
        kind: "Zipf", "uniform", or "id" for values that never occur twice.
        categories: number of categories.
        rows: rows of each reference.
        seed: of the random numbers.
    """

    def __init__(self, kind: str, categories: int, rows: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.shares = shares_of(kind, categories)
        self.unique = kind == "id"
        self.rows = rows
        labels = [f"c{number}" for number in range(categories)]
        self.features, self.bins = [], []
        for number in range(REFERENCES):
            if self.unique:
                codes = np.arange(rows)
            else:
                codes = np.repeat(np.arange(categories), self.random.multinomial(rows, self.shares))
            column = CategoricalColumn(codes.astype(np.int64), labels)
            feature = fit_feature(f"x{number}", column, categorical=True, max_categories=50)
            self.features.append(feature)
            self.bins.append(binner(feature.bins)(labels))
        self.layout = Layout(self.features)
        self.test = TwoSample(self.features, self.layout)
        self.sizes, self.least = PartSizes(self.features, self.layout), LeastEffects(RULE.min_effect)
        self.groups = group_by_width(self.features, self.layout)

    def windows(self, rows: int, number: int, change: str = "") -> Iterator[NDArray[np.int64]]:
        """Yield the counts of *number* windows over the bins of all references, shape (bins,)."""
        shares, new = changed(self.shares, change) if change else (self.shares, 0.0)
        if self.unique:
            shares, new = shares * 0, 1.0
        drawn = []
        for feature, bins in zip(self.features, self.bins, strict=True):
            of_bins = np.bincount(bins, weights=shares, minlength=feature.bins.size)
            of_bins[feature.bins.other if feature.bins.open else feature.bins.unseen] += new
            drawn.append(self.random.multinomial(rows, of_bins / of_bins.sum(), size=number))
        yield from np.concatenate(drawn, axis=1)

    def alarms(self, rows: int, length: int, change: str = "") -> dict[str, Any]:
        """Return the shares of windows that alarm, with any effect and with the default."""
        level = RULE.level(HOUR * length)
        limits = self.least.limits(self.features)
        any_effect, default = [], []
        for counts in self.windows(rows * length, WINDOWS, change):
            result = self.test(counts)
            counting = limits.counting(self.sizes(counts), self.test.effects(counts)[1]) | np.isnan(result.parts)
            any_effect.append(result.p <= level)
            # A part that does not count is neutral, as in the rule.
            default.append(cauchy_combination(np.where(counting, result.parts, 0.5)) <= level)
        return {"any effect": float(np.mean(any_effect)), "default": float(np.mean(default))}

    def psi(self, rows: int) -> NDArray[np.float64]:
        """Return the exported PSI of windows without drift, shape (windows × references,)."""
        values = []
        for counts in self.windows(rows, WINDOWS):
            for group in self.groups:
                before, after, smoothing = group.reference, counts[group.bins], 0.5
                if hasattr(group, "compared"):  # releases after 0.1
                    before, after, smoothing = group.compared(after)
                values.append(np.atleast_1d(psi(before, after, smoothing=smoothing)))
        return np.concatenate(values)


def cases(rows: int) -> Iterator[tuple[str, int]]:
    """Yield the kind and the number of categories of each case."""
    yield from itertools.product(("Zipf", "uniform"), CATEGORIES)
    yield "id", rows


def main() -> None:
    """Write one line for each case to standard output, as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--power", action="store_true", help="drifts instead of false alarms")
    parser.add_argument("--rows", type=int, nargs="*", default=REFERENCE_ROWS, help="rows of the training data")
    arguments = parser.parse_args()
    writer = None
    for m in arguments.rows:
        for kind, categories in cases(m):
            case = Case(kind, categories, m, seed=categories + m)
            for n in WINDOW_ROWS:
                row: dict[str, Any] = {"shares": kind, "categories": categories, "reference": m, "window": n}
                if arguments.power:
                    for change in CHANGES if kind != "id" else CHANGES[:0]:
                        row[change] = case.alarms(n, 1, change)["default"]
                else:
                    by_length = {length: case.alarms(n, length) for length in RULE.lengths}
                    for rule in ("any effect", "default"):
                        month = sum(MONTH / length * result[rule] for length, result in by_length.items())
                        row[f"{rule}: alarms in 30 days"] = round(month, 2)
                    values = case.psi(n)
                    for limit in PSI_LIMITS:
                        row[f"windows of psi {limit:g}"] = round(float((values >= limit).mean()), 4)
                if writer is None:
                    writer = csv.DictWriter(sys.stdout, list(row))
                    writer.writeheader()
                writer.writerow(row)
                sys.stdout.flush()


if __name__ == "__main__":
    main()
