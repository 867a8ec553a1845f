"""Overdispersion of right predictions: the variance between stretches of rows, relative to independent rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["dispersion"]

BLOCKS = 20
"""Number of stretches of consecutive rows to compare. It is enough for a variance, and leaves each stretch long."""

MIN_BLOCK = 50
"""Smallest number of rows of a stretch. With fewer rows, the dispersion is not estimated and counts as 1."""


def dispersion(numbers: NDArray[np.intp], right: NDArray[np.bool_]) -> float:
    """
    Return the variance of the number of right predictions in a stretch of rows, divided by that of independent rows.

    Neighbouring rows share causes that no feature shows, such as the weather. So on some days more predictions are
    right, or fewer, than their bins suggest. The dispersion is at least 1, and 1 for independent or shuffled rows
    (McCullagh & Nelder 1989, *Generalized linear models*, section 4.5). Too few rows also give 1.

    Args:
        numbers: shape (rows,), the bin of each prediction, in the order of the predictions.
        right: shape (rows,), whether the prediction was right.

    >>> random = np.random.default_rng(0)
    >>> days = np.repeat(random.random(20), 100)
    >>> dispersion(np.zeros(2_000, dtype=int), random.random(2_000) < days) > 10
    True
    """
    rows = len(right) // BLOCKS
    if rows < MIN_BLOCK:
        return 1.0
    known = np.bincount(numbers)
    accuracy = np.bincount(numbers, weights=right) / np.maximum(known, 1)
    expected = accuracy[numbers]
    surplus = (right - expected)[: BLOCKS * rows].reshape(BLOCKS, rows).sum(axis=1)
    independent = float((expected * (1 - expected)).mean()) * rows
    if independent == 0.0:
        return 1.0
    return max(1.0, float(surplus @ surplus) / (BLOCKS - 1) / independent)
