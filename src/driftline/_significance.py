"""Counts to p-values: the two-sample test of every feature, and how they share one level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from driftline._binning import Layout
from driftline._scoring import group_by_width
from driftline._values import Counts, Feature

__all__ = ["benjamini_hochberg", "two_sample_p_values"]

MIN_EXPECTED = 5.0
"""Expected rows per bin of a chi-square test (Cochran 1954); bins with fewer are pooled."""


def two_sample_p_values(features: Sequence[Feature], layout: Layout) -> Callable[[Counts], NDArray[np.float64]]:
    """
    Pearson's two-sample chi-square test of each feature's counts against the reference's, rows taken as independent.

    Bins of fewer than five expected rows are pooled. The function returned maps a flat vector of counts to p-values,
    shape (features,); nan where a feature has no rows.
    """
    from scipy.special import chdtrc  # noqa: PLC0415 - see FalseAlarms.__init__

    groups = group_by_width(features, layout)

    def p_values(counts: Counts) -> NDArray[np.float64]:
        p = np.full(len(features), np.nan)
        for group in groups:
            statistic, freedom = _pooled_chi_square(group.reference, counts[group.bins])
            with np.errstate(invalid="ignore"):
                found = np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), statistic), 1.0)
            p[list(group.places)] = np.where(np.isnan(statistic), np.nan, found)
        return p

    return p_values


def _pooled_chi_square(reference: Counts, current: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Σ (c/n − r/m)² / π / (1/n + 1/m) per row of two matrices of shape (features, bins), and its degrees of freedom.

    Bins that expect fewer than `MIN_EXPECTED` rows on either side are pooled into one, and that one joins the smallest
    of the others where it is still too small.
    """
    m, n = reference.sum(axis=1, keepdims=True), current.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (reference + current) / (m + n)
        expected = pooled * np.minimum(m, n)
        small = expected < MIN_EXPECTED
        share_r, share_c = reference / m, current / n
        rest_r, rest_c, rest_pooled = (np.where(small, x, 0.0).sum(axis=1) for x in (share_r, share_c, pooled))
        kept_pooled = np.where(small, np.inf, pooled)
        smallest = kept_pooled.argmin(axis=1)
        joins = (rest_pooled * np.minimum(m, n)[:, 0] < MIN_EXPECTED) & np.isfinite(kept_pooled.min(axis=1))
        rows = np.arange(len(reference))
        for share, rest in ((share_r, rest_r), (share_c, rest_c), (pooled, rest_pooled)):
            share[rows, smallest] += np.where(joins, rest, 0.0)
        terms = np.where(small, 0.0, (share_c - share_r) ** 2 / pooled)
        rest_term = np.where(joins | (rest_pooled == 0.0), 0.0, (rest_c - rest_r) ** 2 / rest_pooled)
        statistic = (terms.sum(axis=1) + rest_term) / (1 / n + 1 / m)[:, 0]
    bins = (~small).sum(axis=1) + np.where(joins | (rest_pooled == 0.0), 0, 1)
    return np.where((n * m)[:, 0] > 0, statistic, np.nan), np.maximum(bins - 1.0, 0.0)


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Adjusted p-values: those at or below a level are the discoveries at that false discovery rate.

    Source: Benjamini & Hochberg (1995); under no drift at all the chance of any discovery is at most the level.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    if not len(p):
        return p
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted
