"""Simulated traffic of two variants, as cumulative counts at every look, for many runs together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftline._windows.totals import DURATION_EDGES

LOOK_ROWS = 100
"""Rows of the candidate between two looks."""

SIGMA, MEDIAN_SECONDS = 0.5, 0.02
"""Latency is lognormal: a median of 20 ms, a 95th percentile of 45 ms."""

PREDICTION_SHARES = np.full(10, 0.1)
QUANTILE = 0.95
Z_95 = 1.6448536269514722

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """The true rates of one variant."""

    error: float
    wrong: float = 0.12
    latency: float = 1.0
    """A factor on every duration."""


@dataclass(frozen=True)
class Traffic:
    """Cumulative counts at each look; the last axis of histograms is their bins."""

    rows: tuple[Counts, Counts]
    errors: tuple[Counts, Counts]
    wrong: tuple[Counts, Counts]
    latency: tuple[Counts, Counts]
    predictions: tuple[Counts, Counts]
    edges: NDArray[np.float64]
    """Edges of the bins of latency: those of driftline around the quantile; the outer bins hold all other durations."""
    quantile_bin: int
    """The edge below the baseline's true quantile."""

    @property
    def runs(self) -> int:
        """Simulated runs."""
        return self.rows[0].shape[0]


def simulate(
    baseline: Truth, candidate: Truth, share: float, runs: int, looks: int, seed: int, *, histograms: bool = True
) -> Traffic:
    """
    Simulate traffic that is split at random.

    Args:
        baseline: the true rates of the baseline.
        candidate: the true rates of the candidate.
        share: the candidate's share of the rows.
        runs: number of runs.
        looks: number of looks, with `LOOK_ROWS` rows of the candidate between two of them on average.
        seed: seed of the random numbers.
        histograms: whether to simulate latency and predictions.
    """
    random = np.random.default_rng(seed)
    total = round(LOOK_ROWS / share)
    new_c = random.binomial(total, share, (runs, looks))
    news = (total - new_c, new_c)
    true_quantile = MEDIAN_SECONDS * np.exp(Z_95 * SIGMA)
    index = int(np.searchsorted(DURATION_EDGES, true_quantile, side="right")) - 1
    kept = slice(index - 10, index + 30)
    edges = DURATION_EDGES[kept]
    parts: dict[str, list[Counts]] = {name: [] for name in ("rows", "errors", "wrong", "latency", "predictions")}
    for truth, new in zip((baseline, candidate), news, strict=True):
        errors = random.binomial(new, truth.error)
        served = new - errors
        drawn = {"rows": new, "errors": errors, "wrong": random.binomial(served, truth.wrong)}
        if histograms:
            drawn["latency"] = random.multinomial(served, _shares(edges, truth.latency))
            drawn["predictions"] = random.multinomial(served, PREDICTION_SHARES)
        for name, counts in parts.items():
            counts.append(np.cumsum(drawn[name], axis=1) if name in drawn else np.zeros((0,), dtype=np.int64))
    pairs = {name: (counts[0], counts[1]) for name, counts in parts.items()}
    return Traffic(**pairs, edges=edges, quantile_bin=10)


def _shares(edges: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Return the shares of a lognormal distribution below the first edge, between, and above the last."""
    from scipy.stats import norm  # noqa: PLC0415 - half a second of import that `--help` does not need

    below = norm.cdf(np.log(edges / (MEDIAN_SECONDS * factor)) / SIGMA)
    shares: NDArray[np.float64] = np.diff(below, prepend=0.0, append=1.0)
    return shares
