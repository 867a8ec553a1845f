"""Pools neighbouring bins, so that no bin of a test expects only a handful of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Floats

__all__ = ["pool_bins", "sum_groups"]


def pool_bins(expected: Floats, minimum: float) -> NDArray[np.intp]:
    """
    Return the group of each bin, shape (features, bins): neighbours share one until it expects enough rows.

    Bins at the right end that expect too few rows for a group join the last group. Categories are ordered by
    frequency, so the rare ones are pooled.

    Args:
        expected: shape (features, bins), expected rows.
        minimum: rows that each group has to expect.

    >>> pool_bins(np.array([[1.0, 4.0, 6.0, 2.0, 2.0]]), 5.0).tolist()
    [[0, 0, 1, 1, 1]]
    """
    size, width = expected.shape
    groups: NDArray[np.intp] = np.zeros((size, width), dtype=np.intp)
    number: NDArray[np.intp] = np.zeros(size, dtype=np.intp)
    held: Floats = np.zeros(size)
    for column in range(width):
        # A group with enough rows ends at the next bin. A last group with too few rows joins the one before it.
        full = held >= minimum
        number, held = number + full, np.where(full, 0.0, held) + expected[:, column]
        groups[:, column] = number
    last = np.maximum(number - (held < minimum), 0)
    pooled: NDArray[np.intp] = np.minimum(groups, last[:, None])
    return pooled


def sum_groups(values: NDArray[Any], groups: NDArray[np.intp]) -> Floats:
    """
    Return the sums of each row of a matrix over the groups of its columns, in the same shape.

    Column g holds the sums of group g. Columns after the last group are 0.

    >>> sum_groups(np.array([[1, 2, 3, 4]]), np.array([[0, 0, 1, 1]])).tolist()
    [[3.0, 7.0, 0.0, 0.0]]
    """
    size, width = groups.shape
    flat = (groups + np.arange(size)[:, None] * width).ravel()
    sums: Floats = np.bincount(flat, weights=values.ravel(), minlength=size * width).astype(np.float64)
    return sums.reshape(size, width)
