"""Overdispersion of right predictions: the variance between stretches of rows, relative to independent rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Floats

__all__ = ["dispersion", "excess_covariance"]

BLOCKS = 20
"""Number of stretches of consecutive rows to compare. It is enough for a variance, and leaves each stretch long."""

MIN_BLOCK = 50
"""Smallest number of rows of a stretch. With fewer rows, the dispersion is not estimated and counts as 1."""

MIN_SHORT_BLOCK = 10
"""Smallest number of rows of a stretch for `excess_covariance`, whose estimates may be negative and so average out."""

SHORTER = 4
"""Weight of stretches of half the length, in stretches, beside those of a length. Few stretches are a rough guess."""


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


def excess_covariance(
    expected: Floats, right: NDArray[np.bool_], groups: NDArray[np.intp], number: int
) -> tuple[tuple[float, ...], ...]:
    """
    Return what the dependence of rows adds to the variance of right predictions, per row and pair of groups.

    A cause such as the weather may make one label right more often and another one less. So what it adds depends on the
    labels in a window. In a window of n rows with the k-fold share of each group, the variance of the number of right
    predictions is n (Σ p (1-p) + k'Ek). E is the covariance that this function returns: that of the groups' numbers of
    right predictions in a stretch of rows, beyond the expected numbers, per row, less that of independent rows.

    Stretches of several lengths are compared, of which the longest ones count most. Too few rows give zeros.

    Args:
        expected: shape (rows,), the probability that each prediction is right, in the order of the predictions.
        right: shape (rows,), whether it was right.
        groups: shape (rows,), the group of each row, such as its predicted label.
        number: number of groups.

    >>> random = np.random.default_rng(0)
    >>> days = np.repeat(random.random(20), 100)
    >>> excess_covariance(np.full(2_000, 0.5), random.random(2_000) < days, np.zeros(2_000, dtype=int), 1)[0][0] > 2
    True
    """
    surplus, noise = right - expected, expected * (1.0 - expected)
    blocks = BLOCKS
    while len(surplus) >= 2 * blocks * MIN_SHORT_BLOCK:
        blocks *= 2
    excess: Floats = np.zeros((number, number))
    while blocks >= BLOCKS:
        rows = len(surplus) // blocks
        used = blocks * rows
        if rows >= MIN_SHORT_BLOCK:
            cells = np.repeat(np.arange(blocks), rows) * number + groups[:used]
            sums = np.bincount(cells, weights=surplus[:used], minlength=blocks * number).reshape(blocks, number)
            independent = np.bincount(groups[:used], weights=noise[:used], minlength=number) / used
            measured = sums.T @ sums / used - np.diag(independent)
            excess = (blocks * measured + SHORTER * excess) / (blocks + SHORTER)
        blocks //= 2
    return tuple(tuple(row) for row in excess.tolist())
