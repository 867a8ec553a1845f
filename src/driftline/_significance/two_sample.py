"""The two-sample test: it returns p-values for each part of the difference of each feature, and combines them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature
from driftline._binning.layout import Layout
from driftline._significance.components import (
    LOCATION,
    MISSING,
    OUTSIDE,
    PARTS,
    SHAPE,
    SPREAD,
    FeatureMatrix,
    Numbers,
    group_features,
    orthonormal_polynomials,
)
from driftline._significance.effect import NO_ROWS, measure_effect
from driftline._significance.inflation import Inflation
from driftline._significance.pooling import pool_bins, sum_groups
from driftline.typing import Counts, Floats

__all__ = ["TwoSample", "TwoSampleResult", "benjamini_hochberg", "cauchy_combination"]

MIN_EXPECTED = 5.0
"""Expected rows per bin of a chi-square test (Cochran 1954). Bins with fewer are pooled with their neighbours."""

MAX_P = 0.99
"""
Largest p-value in `cauchy_combination`. A p-value of 1 would become minus infinity there, and outweigh all others.
"""

SHIFT_SPREADS = 5**0.5 / 2
"""
Increase of the spread score per squared shift of the location score. A shift of the mean rank score by d increases the
mean of its square by at most d^2, and the polynomial of spread is sqrt(5)/2 times that square. The test of spread
subtracts this increase, because the test of location covers it.
"""

SHIFT_BENDS = 0.1
"""
Share of the chi-square of a shift that is neither linear nor quadratic in the ranks. The test of the shape subtracts
it, because it belongs to the shift. Computed from quantiles, it is 0.05 for a normal distribution that moves, 0.05 and
0.01 for Student's t with 3 and 5 degrees of freedom, and 0 for a logistic distribution. It is more for peaked
distributions, but for those the variance of the blocks contains it.
"""

MAX_FREEDOM = 1e7
"""Degrees of freedom that replace infinitely many. The tails are the same."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoSampleResult:
    """
    The test results of all features in one window.

    Attributes:
        p: shape (features,), combined p-values; nan where a feature has no rows.
        parts: shape (features, parts), p-values of the parts of `_significance.components`; nan where a part does not
            apply.
        direction: shape (features, parts), above 0 for up, wider or more, below 0 for the opposite.
        psi: shape (features,), PSI; nan where a feature has no rows.
        effect: shape (features,), PSI minus its expectation without drift; nan where a feature has no rows.
        rows: shape (features,), rows of the feature in the window.
    """

    p: Floats
    parts: Floats
    direction: Floats
    psi: Floats
    effect: Floats
    rows: Counts


class TwoSample:
    """
    Tests windows of counts against the counts of a reference.

    The test splits the two-sample chi-square into orthogonal parts: location, spread and the remaining shape. Beside
    them, it compares the rates of missing values, of values out of range and of unseen categories. For dependent rows
    it applies the second-order correction of Rao & Scott (1984), with the degrees of freedom of a finite number of
    blocks.

    Args:
        features: the features to test, in the order of *layout*.
        layout: the layout of their bins.
    """

    __slots__ = ("_bins", "_first", "_matrices", "_rows", "_size", "_special")

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

        self._special: Any = special
        self._matrices = group_features(features, layout)
        self._size = len(features)
        self._bins, self._first = layout.total, slice(*layout.sizes[:1])
        self._rows = max((sum(feature.counts) for feature in features), default=1) or 1

    def __call__(
        self,
        counts: Counts,
        rows: int,
        inflation: Callable[[float], Inflation] | None = None,
        reference: Floats | None = None,
    ) -> TwoSampleResult:
        """
        Test the counts of a window, and return the results of all features.

        Args:
            counts: flat counts over the bins of all features. Entries after the bins (the hours of the week) are
                ignored.
            rows: rows of the window.
            inflation: returns the variance inflation for a number of rows. If None, rows are independent.
            reference: shape (bins,), counts to compare with, which need not be whole. If None, the counts of the
                features in the reference.
        """
        result = TwoSampleResult(
            np.full(self._size, np.nan),
            np.full((self._size, PARTS), np.nan),
            np.zeros((self._size, PARTS)),
            np.full(self._size, np.nan),
            np.full(self._size, np.nan),
            np.zeros(self._size, dtype=np.int64),
        )
        padded = np.concatenate([counts[: self._bins], [0]])
        matrices, reference_rows = self._matrices, float(self._rows)
        if reference is not None:
            expected = np.concatenate([reference, [0.0]])
            matrices = tuple(matrix.with_reference(expected) for matrix in self._matrices)
            reference_rows = max(float(reference[self._first].sum()), 1.0)
        difference_inflation = self._difference_inflation(max(rows, 1), reference_rows, inflation)
        for matrix in matrices:
            self._test_matrix(matrix, padded, difference_inflation, result)
        known = result.rows > 0
        if known.any():
            result.p[known] = cauchy_combination(result.parts[known])
        return result

    def _difference_inflation(
        self, rows: int, reference_rows: float, inflation: Callable[[float], Inflation] | None
    ) -> Inflation:
        """
        Return the inflation of the difference between window and reference: the mean of both, weighted by 1 / rows.

        If *inflation* is None, return that of independent rows.
        """
        if inflation is None:
            size = self._size
            return Inflation(np.ones((size, PARTS)), np.full((size, PARTS), np.inf), np.full(size, np.inf))
        window, whole = inflation(rows), inflation(reference_rows)
        factor = (window.factor / rows + whole.factor / reference_rows) / (1 / rows + 1 / reference_rows)
        return Inflation(factor, window.freedom, window.directions)

    def _test_matrix(
        self, matrix: FeatureMatrix, counts: Counts, inflation: Inflation, result: TwoSampleResult
    ) -> None:
        """Test the features of one matrix, and write their rows of *result* except the combined p-values."""
        indices = matrix.indices
        current, missing = counts[matrix.bins], counts[matrix.missing]
        n, m = current.sum(axis=1), matrix.reference.sum(axis=1)
        rows, reference_rows = n + missing, m + matrix.reference_missing
        factor, freedom, directions = (
            part[indices] for part in (inflation.factor, inflation.freedom, inflation.directions)
        )
        parts = np.full((len(indices), PARTS), np.nan)
        direction = np.zeros((len(indices), PARTS))
        self._test_distribution(matrix, current, (factor, freedom, directions), parts, direction)
        outside, before = matrix.count_outside(counts), matrix.reference_outside
        reliability = matrix.reliability
        latent = matrix.latent_outside * reliability
        for part, events, reference_events, trials, reference_trials, latent_events in (
            (OUTSIDE, outside, before * reliability, n, m * reliability, latent),
            (MISSING, missing, matrix.reference_missing, rows, reference_rows, None),
        ):
            parts[:, part], direction[:, part] = self._test_rate(
                events, reference_events, trials, reference_trials, factor[:, part], freedom[:, part], latent_events
            )
        result.parts[indices], result.direction[indices], result.rows[indices] = parts, direction, rows
        result.psi[indices], result.effect[indices] = measure_effect(matrix, current, missing, factor[:, SHAPE])

    def _test_distribution(
        self,
        matrix: FeatureMatrix,
        current: Counts,
        inflation: tuple[Floats, Floats, Floats],
        parts: Floats,
        direction: Floats,
    ) -> None:
        """
        Test location, spread and shape without missing values, and write the p-values and directions.

        Args:
            matrix: the features.
            current: shape (features, bins), counts of the window. Bins that expect less than `MIN_EXPECTED` rows are
                pooled. Unseen categories are dropped, because `_test_rate` tests them.
            inflation: factor, freedom and directions of the `Inflation` of these features.
            parts: shape (features, parts), the p-values to write.
            direction: shape (features, parts), the directions to write.
        """
        factor, freedom, directions = inflation
        reference, current = matrix.without_unseen(matrix.reference), matrix.without_unseen(current)
        n = np.maximum(current.sum(axis=1, keepdims=True), NO_ROWS)
        m = np.maximum(reference.sum(axis=1, keepdims=True), NO_ROWS)
        pooled = (reference + current) / (m + n)
        groups = pool_bins(pooled * np.minimum(m, n) / factor[:, SHAPE, None], MIN_EXPECTED)
        shares_r = sum_groups(reference, groups) / m
        shares_c = sum_groups(current, groups) / n
        shares = sum_groups(pooled, groups)
        difference = shares_c - shares_r
        scale = 1 / n[:, 0] + 1 / m[:, 0]
        variances = shares
        if matrix.selected.any():
            # Categories were selected for being frequent in the reference. The variance of one that was so by luck is
            # that of its count there, even if a large window shows that it is rare.
            of_selected = (shares / n + np.maximum(shares, shares_r) / m) / scale[:, None]
            variances = np.where(matrix.selected[:, None], of_selected, shares)
        root = np.sqrt(variances)
        deviates = difference / np.where(shares > 0, root, 1.0)
        dependent = np.isfinite(directions)
        if dependent.any():
            # Use the deviates of the roots (Freeman & Tukey 1950) where they are smaller. To first order both are the
            # same. Those of the roots limit the effect of a clump in a rare bin, which dependent rows often have. But
            # they are too large for an empty bin.
            roots = 2.0 * (np.sqrt(shares_c) - np.sqrt(shares_r))
            tame = dependent[:, None] & (np.abs(roots) < np.abs(deviates))
            deviates = np.where(tame, roots, deviates)
        rest = (deviates**2).sum(axis=1) / scale
        free = np.maximum((shares > 0).sum(axis=1) - 1.0, 0.0)
        shift = np.zeros(len(free))
        if matrix.ordered:
            for part, polynomial in zip((LOCATION, SPREAD), orthonormal_polynomials(shares), strict=True):
                has = polynomial.any(axis=1)
                change = (polynomial * difference).sum(axis=1)
                if part == LOCATION:
                    shift = change
                else:
                    change = np.where(change > 0, np.maximum(change - SHIFT_SPREADS * shift**2, 0.0), change)
                score = change / np.sqrt(scale)
                tail = 2.0 * self._special.stdtr(
                    np.minimum(freedom[:, part], MAX_FREEDOM), -np.abs(score) / np.sqrt(factor[:, part])
                )
                parts[has, part], direction[has, part] = tail[has], np.sign(score[has])
                along = (polynomial * root * deviates).sum(axis=1) ** 2 / scale
                rest = rest - np.where(has, along, 0.0)
                free = free - has
        nu = np.minimum(free, directions)
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = rest - SHIFT_BENDS * shift**2 / scale
            ratio = np.maximum(rest, 0.0) / (free * factor[:, SHAPE])
            tail = self._special.fdtrc(nu, np.minimum(freedom[:, SHAPE], MAX_FREEDOM) * nu, ratio)
        has = (free > 0) & np.isfinite(tail)
        parts[has, SHAPE] = tail[has]

    def _test_rate(
        self,
        events: Numbers,
        reference_events: Numbers,
        rows: Numbers,
        reference_rows: Numbers,
        factor: Floats,
        freedom: Floats,
        latent: Numbers | None,
    ) -> tuple[Floats, Floats]:
        """
        Return the p-values and directions of the difference between two rates, shape (features,) each.

        A p-value is nan where there are no events or no rows. A direction is 1 for a higher rate in the window, else
        -1. The test is exact given the sum of the events of both sides, so that it is valid for few events. Given that
        sum, the events of the window are binomial with the window's share of the rows (Przyborowski & Wilenski 1940).
        Dividing by 1 - rate gives the smaller variance of a frequent event (hypergeometric). Dividing by *factor* gives
        the variance of dependent rows. The tail is then that of Student's t.

        Args:
            events: shape (features,), events of the window.
            reference_events: shape (features,), events of the reference.
            rows: shape (features,), rows of the window.
            reference_rows: shape (features,), rows of the reference.
            factor: shape (features,), variance inflation.
            freedom: shape (features,), degrees of freedom of *factor*; inf for independent rows.
            latent: shape (features,), further events that the reference would have if its range came from other rows.
                With them, only an increase counts. If None, both directions count.
        """
        special = self._special
        if not events.any() and not reference_events.any():
            # The usual case: no value is missing anywhere.
            return np.full(len(events), np.nan), np.full(len(events), -1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = events + reference_events
            rate = total / (rows + reference_rows)
            share = rows / (rows + reference_rows)
            # One row less than all is the nearest rate to 1 that rows can show.
            weight = 1.0 / (factor * np.maximum(1.0 - rate, 1.0 / (rows + reference_rows)))
            here, there = events * weight, reference_events * weight + (0 if latent is None else latent)
            upper = np.where(here > 0, special.betainc(np.maximum(here, 1e-12), there + 1.0, share), 1.0)
            more = events >= share * total
            p = upper
            if latent is None:
                lower = np.where(there > 0, special.betaincc(here + 1.0, np.maximum(there, 1e-12), share), 1.0)
                p = np.minimum(2.0 * np.minimum(upper, lower), 1.0)
            dependent = np.isfinite(freedom)
            student = special.stdtr(np.minimum(freedom, MAX_FREEDOM), special.ndtri(np.maximum(p, 1e-300)))
            p = np.where(dependent, np.maximum(student, p), p)
        # All rows of an identifier are unseen on both sides, which is no difference. Missing ones tell nothing.
        all_may_be = np.zeros(len(events), dtype=np.bool_) if latent is None else latent == 0
        applies = (total > 0) & (rows > 0) & (reference_rows > 0) & ((rate < 1.0) | all_may_be)
        return np.where(applies, p, np.nan), np.where(more, 1.0, -1.0)


def cauchy_combination(p: Floats) -> Floats:
    """
    Combine p-values, shape (..., parts), into one per row, shape (...,), which is valid whatever their dependence.

    Values that are nan are ignored. If all are nan, the result is 1.

    Source: Liu & Xie (2020), *Cauchy combination test*: the mean of tan((1/2 - p) pi) has Cauchy tails.

    >>> cauchy_combination(np.array([0.01, 0.5, np.nan])).round(3).tolist()
    0.02
    """
    known = ~np.isnan(p)
    number = known.sum(axis=-1)
    clipped = np.clip(np.where(known, p, 0.5), 1e-300, MAX_P)
    # Near 0, cot(p pi) is 1 / (p pi), and the tangent of (1/2 - p) pi would lose all digits.
    cotangent = np.where(clipped < 1e-9, 1.0 / (np.pi * clipped), 1.0 / np.tan(np.pi * clipped))  # noqa: PLR2004
    mean = np.where(known, cotangent, 0.0).sum(axis=-1) / np.maximum(number, 1)
    combined = np.where(mean > 1e9, 1.0 / (np.pi * np.maximum(mean, 1.0)), 0.5 - np.arctan(mean) / np.pi)  # noqa: PLR2004
    return np.where(number > 0, combined, 1.0)


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    Return adjusted p-values, shape (n,): those at or below a level are the discoveries at that false discovery rate.

    If no null hypothesis is false, the probability of any discovery is at most the level.

    Source: Benjamini & Hochberg (1995).

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
