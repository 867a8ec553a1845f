"""
How often the 95 % interval of the estimated accuracy holds the realised one where only the inputs change.

Each run fits a reference to scores and outcomes of one law, and serves a window of other scores of the same law. Rows
are independent, or have a common cause that the scores do not know: one for 50 rows, or an autoregressive one.

Run: ``python benchmarks/outcomes/estimate_coverage.py [--runs 200]``.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.signal import lfilter

import driftline as dl
from driftline.testing import in_memory_monitor
from driftline.typing import Floats

SIZES = ((500, 200), (2_000, 1_000), (10_000, 1_000), (10_000, 5_000))
"""Rows of the reference, and of the window."""

DEPENDENCES = ("independent", "days of 50 rows", "autoregressive, 0.98")
CAUSE = 0.6
"""Standard deviation of the common cause, in log-odds."""

MEAN, SPREAD, SHIFT, SLOPE = -0.3, 1.5, 1.5, 0.6
"""Log-odds of the scores, how much larger they are in a window, and the slope of the truth: scores are too certain."""

SEED = 20_261_129


def cause(dependence: str, rows: int, random: np.random.Generator) -> Floats:
    """Return what the rows have in common, shape (rows,)."""
    if dependence == "independent":
        return np.zeros(rows)
    if "days" in dependence:
        return np.asarray(CAUSE * random.normal(size=rows // 50 + 1).repeat(50)[:rows])
    noise = random.normal(size=rows + 500) * np.sqrt(1 - 0.98**2)
    return np.asarray(CAUSE * lfilter([1.0], [1.0, -0.98], noise)[500:])


def draw(dependence: str, rows: int, shift: float, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return scores and outcomes."""
    log_odds = random.normal(MEAN + shift, SPREAD, rows)
    truth = SLOPE * log_odds + 0.2 + cause(dependence, rows, random)
    return 1.0 / (1.0 + np.exp(-log_odds)), random.random(rows) < 1.0 / (1.0 + np.exp(-truth))


def measure(dependence: str, known: int, rows: int, shift: float, runs: int) -> tuple[float, float, float]:
    """Return the share of intervals that cover, their mean width, and that of the narrowest interval with 95 %."""
    random = np.random.default_rng([SEED, known, rows, round(10 * shift), DEPENDENCES.index(dependence)])
    covered, widths, errors = [], [], []
    for _ in range(runs):
        scores, truth = draw(dependence, known, 0.0, random)
        reference = dl.Reference.fit({"unused": np.zeros(known)}, predictions=scores, outcomes=truth)
        monitor = in_memory_monitor(reference=reference, window=dl.Window(rows=rows + 1))
        served, later = draw(dependence, rows, shift, random)
        monitor.observe({"unused": np.zeros(rows)}, served)
        estimate = monitor.estimated_accuracy()
        if estimate is None:
            msg = "the reference has no outcomes"
            raise ValueError(msg)
        realised = float(((served >= 0.5) == later).mean())
        covered.append(estimate.lower <= realised <= estimate.upper)
        widths.append(estimate.upper - estimate.lower)
        errors.append(estimate.value - realised)
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(np.mean(covered)), float(np.mean(widths)), float(high - low)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    arguments = parser.parse_args()
    print(f"| rows | reference | window | same inputs ({arguments.runs} runs) | larger scores |")
    print("|---|---|---|---|---|")
    for dependence in DEPENDENCES:
        for known, rows in SIZES:
            cells = []
            for shift in (0.0, SHIFT):
                covered, width, narrowest = measure(dependence, known, rows, shift, arguments.runs)
                cells.append(f"{covered:.1%} ({width:.2g}, {narrowest:.2g})")
            print(f"| {dependence} | {known:,} | {rows:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
