"""Neighbouring bins taken together, so that none is judged by a handful of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Floats

__all__ = ["pool_bins", "sum_groups"]


def pool_bins(expected: Floats, least: float) -> NDArray[np.intp]:
    """
    The group of each bin: neighbours are taken together until each group expects enough rows.

    What is left at the right end, too little for a group of its own, joins the last one. Categories lie by their
    frequency, so the rare ones are taken together.

    Args:
        expected: rows per bin, shape (features, bins).
        least: rows that a group is to expect.

    >>> pool_bins(np.array([[1.0, 4.0, 6.0, 2.0, 2.0]]), 5.0).tolist()
    [[0, 0, 1, 1, 1]]
    """
    size, width = expected.shape
    groups: NDArray[np.intp] = np.zeros((size, width), dtype=np.intp)
    number: NDArray[np.intp] = np.zeros(size, dtype=np.intp)
    held: Floats = np.zeros(size)
    for place in range(width):
        # A group that has enough is closed when the next bin comes, unless that is all there is.
        full = held >= least
        number, held = number + full, np.where(full, 0.0, held) + expected[:, place]
        groups[:, place] = number
    last = np.maximum(number - (held < least), 0)
    found: NDArray[np.intp] = np.minimum(groups, last[:, None])
    return found


def sum_groups(values: NDArray[Any], groups: NDArray[np.intp]) -> Floats:
    """
    Sums of a matrix over the groups of its columns, of the same shape.

    >>> sum_groups(np.array([[1, 2, 3, 4]]), np.array([[0, 0, 1, 1]])).tolist()
    [[3.0, 7.0, 0.0, 0.0]]
    """
    size, width = groups.shape
    flat = (groups + np.arange(size)[:, None] * width).ravel()
    sums: Floats = np.bincount(flat, weights=values.ravel(), minlength=size * width).astype(np.float64)
    return sums.reshape(size, width)
