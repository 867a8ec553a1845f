"""The effect: how far a window is from the reference, whether or not the difference is significant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftline._significance.components import FeatureMatrix
from driftline.distances import SMOOTHING
from driftline.typing import Counts, Floats

__all__ = ["NO_ROWS", "measure_effect"]

NO_ROWS = 1e-9
"""Number of rows that replaces 0 in a denominator. With so few rows, no difference is significant."""


def measure_effect(matrix: FeatureMatrix, current: Counts, missing: Counts, factor: Floats) -> tuple[Floats, Floats]:
    """
    Return PSI over all bins, and the effect: PSI minus its expectation without drift, shape (features,) each.

    Both are nan where a feature has no rows. Unseen rows beyond those that are to be expected count as a bin that the
    reference does not fill. So one percent of new categories has the same effect whether or not the reference expects
    others. The pseudo-count per bin is that of `driftline.distances.psi`.

    Source of the expectation: Yurdakul & Naranjo (2020). It is multiplied by *factor*, the variance inflation.

    Args:
        matrix: the features.
        current: shape (features, bins), counts of the window.
        missing: shape (features,), missing values of the window.
        factor: shape (features,), variance inflation.
    """
    real = np.concatenate([matrix.real, np.ones((len(missing), 1), dtype=bool)], axis=1)
    r = np.concatenate([matrix.reference, matrix.reference_missing[:, None]], axis=1).astype(np.float64)
    c = np.concatenate([current, missing[:, None]], axis=1).astype(np.float64)
    smoothing = SMOOTHING * real
    if matrix.groups is not None:
        r, c = matrix.groups.merge(r), matrix.groups.merge(c)
        smoothing = np.minimum(smoothing, matrix.groups.smoothing(r, c))
    if not matrix.ordered:
        r, c, smoothing = _split_unseen(matrix.unseen, r, c, smoothing)
    p, q = r + smoothing, c + smoothing
    m, n = r.sum(axis=1), c.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
        psi = ((q - p) * np.log(q / p, where=p > 0, out=np.zeros_like(q))).sum(axis=1)
        free = ((r + c) > 0).sum(axis=1) - 1
        bias = factor * (free / n + np.maximum(free - matrix.known, 0) / m)
    known = n > 0
    return np.where(known, psi, np.nan), np.where(known, psi - bias, np.nan)


def _split_unseen(unseen: NDArray[np.intp], r: Floats, c: Floats, smoothing: Floats) -> tuple[Floats, Floats, Floats]:
    """
    Move the unseen rows of windows that the reference does not expect to a further column.

    Args:
        unseen: shape (features,), column of the bin of unseen categories.
        r: shape (features, bins), expected counts of the reference. The last column is that of missing values.
        c: shape (features, bins), counts of the window.
        smoothing: shape (features, bins), pseudo-counts.

    Returns:
        The three with a further column. It has no pseudo-count for features without such rows.
    """
    rows = np.arange(len(unseen))
    expected = r[rows, unseen] / np.maximum(r[:, :-1].sum(axis=1), NO_ROWS) * c[:, :-1].sum(axis=1)
    beyond = np.where(expected > 0, np.maximum(c[rows, unseen] - expected, 0.0), 0.0)[:, None]
    c = np.concatenate([c, beyond], axis=1)
    c[rows, unseen] -= beyond[:, 0]
    return (
        np.concatenate([r, np.zeros_like(beyond)], axis=1),
        c,
        np.concatenate([smoothing, np.where(beyond > 0, SMOOTHING, 0.0)], axis=1),
    )
