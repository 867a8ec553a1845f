"""Combines p-values: those of the parts of a feature into one, and a level over the features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftline.typing import Counts, Floats

__all__ = ["bonferroni", "cauchy_combination", "combine_cotangents", "cotangents"]

MAX_P = 0.99
"""
Largest p-value in `cauchy_combination`. A p-value of 1 would become minus infinity there, and outweigh all others.
"""


def cauchy_combination(p: Floats) -> Floats:
    """
    Combine p-values, shape (..., parts), into one per row, shape (...,), which is valid whatever their dependence.

    Values that are nan are ignored. If all are nan, the result is 1.

    Source: Liu & Xie (2020), *Cauchy combination test*: the mean of tan((1/2 - p) pi) has Cauchy tails.

    >>> cauchy_combination(np.array([0.01, 0.5, np.nan])).round(3).tolist()
    0.02
    """
    known = ~np.isnan(p)
    return combine_cotangents(np.where(known, cotangents(p), 0.0), known.sum(axis=-1))


def cotangents(p: Floats) -> Floats:
    """Return the terms of `cauchy_combination`, shape (..., parts); that of 0.5 where *p* is nan."""
    clipped = np.minimum(np.maximum(np.where(np.isnan(p), 0.5, p), 1e-300), MAX_P)
    # Near 0, cot(p pi) is 1 / (p pi), and the tangent of (1/2 - p) pi would lose all digits.
    terms: Floats = np.where(clipped < 1e-9, 1.0 / (np.pi * clipped), 1.0 / np.tan(np.pi * clipped))  # noqa: PLR2004
    return terms


def combine_cotangents(terms: Floats, number: Counts) -> Floats:
    """Return the combined p-values of *number* terms of `cotangents` each, shape (...,). Further terms are 0."""
    mean = terms.sum(axis=-1) / np.maximum(number, 1)
    combined = np.where(mean > 1e9, 1.0 / (np.pi * np.maximum(mean, 1.0)), 0.5 - np.arctan(mean) / np.pi)  # noqa: PLR2004
    return np.where(number > 0, combined, 1.0)


def bonferroni(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return adjusted p-values, shape (n,): if no more than one is at or below a level by chance, that is its probability.

    The features that do not drift keep their part of the level, whatever the others do.

    >>> bonferroni(np.array([0.01, 0.04, 0.5])).round(3).tolist()
    [0.03, 0.12, 1.0]
    """
    return np.minimum(p * len(p), 1.0)
