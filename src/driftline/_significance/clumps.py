"""How values of one window clump: rows that are missing or out of range together count as fewer events."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from driftline._significance.block_pyramid import LevelSquares
from driftline._significance.components import MISSING, OUTSIDE
from driftline.typing import Floats

__all__ = ["RATES", "window_clumps"]

RATES = (OUTSIDE, MISSING)
"""The parts that are rates of events."""

PRIOR_DIFFERENCES = 2.0
"""Differences that a factor of 1 counts for. A single pair of blocks then has a third of the weight."""

MOST_BY_CHANCE = 30.0
"""
Sum of the squared differences of eight blocks that independent events hardly ever exceed: the chi-square of seven
degrees of freedom is above 30 with a probability of 1e-4.
"""

LEAST_RATE = 1e-9
"""Smallest variance of a rate that is divided by."""


def window_clumps(squares: Sequence[LevelSquares], rates: Floats, levels: int, events: Callable[[], Floats]) -> Floats:
    """
    Return the variance factor of rates that the blocks of one window show, at least 1, shape (features, 2).

    The long-run variance of an event that has hardly been seen is not known. The window that has it shows whether the
    events come one by one or in a run. The largest factor over the block lengths counts.

    Args:
        squares: squared differences between the blocks of the window.
        rates: shape (features, 2), rates of the window: out of range, and missing.
        levels: number of block lengths within a window.
        events: returns the events of each block, shape (blocks, features, 2). It is called if some are in clumps.
    """
    unit = np.maximum(rates * (1.0 - rates), LEAST_RATE)
    factors, whole = np.ones(rates.shape), np.zeros(rates.shape)
    for level, sums, numbers, _ in squares:
        if level < levels:
            own = (sums[:, RATES] / unit + PRIOR_DIFFERENCES) / (numbers[:, RATES] + PRIOR_DIFFERENCES)
            np.maximum(factors, own, out=factors)
            whole += sums[:, RATES] / unit
    certain = whole - MOST_BY_CHANCE
    if (certain > factors).any():
        np.maximum(factors, np.minimum(certain, _events_per_run(events())), out=factors)
    return factors


def _events_per_run(events: Floats) -> Floats:
    """
    Return the events per run of blocks that have many of them, shape (features, 2).

    One run raises the number of events once and lowers it once. So half of the sum of all changes, in units of the
    largest number, is the number of runs.

    Args:
        events: events of each block, shape (blocks, features, 2).
    """
    changes = np.abs(np.diff(events, axis=0, prepend=0.0, append=0.0)).sum(axis=0)
    runs = np.maximum(0.5 * changes / np.maximum(events.max(axis=0), LEAST_RATE), 1.0)
    per_run: Floats = events.sum(axis=0) / runs
    return per_run
