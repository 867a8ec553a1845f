"""Which references show a trend: the share of simulated ones, the table of docs/detection.md."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from driftline._binning.fitting import fit_feature
from driftline._binning.layout import binner
from driftline.reference._trend import TrendSearch

Values = NDArray[np.float64]

ROWS = (1_000, 5_000, 20_000)
"""Rows of a reference."""

FEATURES = 10
"""Features of a reference. All are alike, so each one is tested at the level of ten."""

random = np.random.default_rng(5)


def independent(rows: int) -> Values:
    """Return independent rows of variance 1."""
    return random.normal(size=rows)


def autoregressive(coefficient: float, rows: int) -> Values:
    """Return an AR(1) series of variance 1."""
    noise = random.normal(size=rows + 1_000) * np.sqrt(1 - coefficient**2)
    values = np.zeros(len(noise))
    for index in range(1, len(noise)):
        values[index] = coefficient * values[index - 1] + noise[index]
    return values[1_000:]


def states(rows: int) -> Values:
    """Return rows of two states 1.4 apart, each of 2,000 to 4,000 rows."""
    level: list[float] = []
    while len(level) < rows:
        level += [-0.7 if level and level[-1] > 0 else 0.7] * int(random.integers(2_000, 4_000))
    return np.array(level[:rows]) + 0.7 * independent(rows)


def ramp(size: float, rows: int) -> Values:
    """Return a level that rises by *size* over all rows."""
    return np.linspace(0.0, size, rows)


CASES = {
    "independent rows": independent,
    "lognormal rows": lambda rows: np.exp(2 * independent(rows)),
    "AR(1) 0.95": lambda rows: autoregressive(0.95, rows),
    "AR(1) 0.99": lambda rows: autoregressive(0.99, rows),
    "clumps of 50 rows": lambda rows: np.repeat(independent(rows // 50), 50),
    "a daily wave of 1 σ, 20 days": lambda rows: np.sin(np.arange(rows) * 40 * np.pi / rows) + independent(rows),
    "weekends 2 σ higher, 3 weeks": lambda rows: (np.arange(rows) * 21 // rows % 7 > 4) * 2.0 + independent(rows),
    "two states of 3,000 rows": states,
    "+0.5 σ over all rows": lambda rows: independent(rows) + ramp(0.5, rows),
    "+1 σ over all rows of AR(1) 0.95": lambda rows: autoregressive(0.95, rows) + ramp(1.0, rows),
    "+0.5 σ from 80 % of the rows on": lambda rows: independent(rows) + 0.5 * (np.arange(rows) > 0.8 * rows),
}


def shows_trend(values: Values) -> bool:
    """Return whether a feature of these values shows a trend, at the level of `FEATURES` features."""
    feature = fit_feature("x", values, categorical=False, max_categories=50)
    search, numbers = TrendSearch(len(values), None), binner(feature.bins)(values)
    for _ in range(FEATURES):
        search.add(feature, slice(0, feature.bins.size), numbers, values)
    return search.result() is not None


def main(references: int = 200) -> None:
    """Print the table."""
    print("| rows | " + " | ".join(f"{rows:,}" for rows in ROWS) + " |")
    print("|---|" + "---:|" * len(ROWS))
    for name, make in CASES.items():
        shares = [sum(shows_trend(make(rows)) for _ in range(references)) / references for rows in ROWS]
        print(f"| {name} | " + " | ".join(f"{100 * share:g} %" for share in shares) + " |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
