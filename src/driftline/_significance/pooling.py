"""Pools neighbouring bins, so that no bin of a test expects only a handful of rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Floats

__all__ = ["pool_bins"]


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
    # By column, because columns of contiguous numbers are added faster.
    columns = np.ascontiguousarray(expected.T)
    groups: NDArray[np.intp] = np.zeros((width, size), dtype=np.intp)
    number: NDArray[np.intp] = np.zeros(size, dtype=np.intp)
    held: Floats = np.zeros(size)
    full: NDArray[np.bool_] = np.zeros(size, dtype=np.bool_)
    for rows, group in zip(columns, groups, strict=True):
        # A group with enough rows ends at the next bin. A last group with too few rows joins the one before it.
        np.greater_equal(held, minimum, out=full)
        number = np.add(number, full, out=group)
        np.copyto(held, 0.0, where=full)
        held += rows
    last = np.maximum(number - (held < minimum), 0)
    pooled: NDArray[np.intp] = np.ascontiguousarray(np.minimum(groups, last).T)
    return pooled
