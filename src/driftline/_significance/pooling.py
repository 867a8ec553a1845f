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
    begins: NDArray[np.bool_] = np.zeros((width, size), dtype=np.bool_)
    held: Floats = np.zeros(size)
    enough: list[bool] = np.logical_and.reduce(columns >= minimum, axis=1).tolist()
    alone = False
    for rows, begin, each_enough in zip(columns, begins, enough, strict=True):
        # A group with enough rows ends at the next bin. Mostly, all features have enough in the bin before.
        if alone:
            begin.fill(True)  # noqa: FBT003 - numpy takes it by position
            held = rows.copy()
        else:
            np.greater_equal(held, minimum, out=begin)
            np.copyto(held, 0.0, where=begin)
            held += rows
        alone = each_enough
    groups = np.cumsum(begins, axis=0, dtype=np.intp)
    # A last group with too few rows joins the one before it.
    np.minimum(groups, np.maximum(groups[-1] - (held < minimum), 0), out=groups)
    pooled: NDArray[np.intp] = np.ascontiguousarray(groups.T)
    return pooled
