"""How much more the number of right predictions scatters over stretches of rows than that of independent ones would."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["dispersion"]

BLOCKS = 20
"""Stretches of consecutive rows that are compared: enough for a variance, each as long as the rows allow."""

LEAST_BLOCK = 50
"""Rows of a stretch; with fewer than 20 of these nothing is said."""


def dispersion(numbers: NDArray[np.intp], right: NDArray[np.bool_]) -> float:
    """
    The variance of the right predictions of a stretch, given the bins of them all, over that of independent rows.

    Rows next to each other share what no feature tells, such as the weather: then whole days are better or worse than
    their predictions promise. It is 1 for independent rows and never below (McCullagh & Nelder 1989, *Generalized
    linear models*, section 4.5), and 1 for rows that were shuffled, whatever they were before.

    Args:
        numbers: the bin of each prediction, shape (rows,), in the order in which they were made.
        right: whether it was right, shape (rows,).

    >>> random = np.random.default_rng(0)
    >>> days = np.repeat(random.random(20), 100)
    >>> dispersion(np.zeros(2_000, dtype=int), random.random(2_000) < days) > 10
    True
    """
    rows = len(right) // BLOCKS
    if rows < LEAST_BLOCK:
        return 1.0
    known = np.bincount(numbers)
    accuracy = np.bincount(numbers, weights=right) / np.maximum(known, 1)
    expected = accuracy[numbers]
    surplus = (right - expected)[: BLOCKS * rows].reshape(BLOCKS, rows).sum(axis=1)
    independent = float((expected * (1 - expected)).mean()) * rows
    if independent == 0.0:
        return 1.0
    return max(1.0, float(surplus @ surplus) / (BLOCKS - 1) / independent)
