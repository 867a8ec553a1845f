"""The two-sample test: it returns p-values for each part of the difference of each feature, and combines them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftline._binning.bins import Feature
from driftline._binning.groups import sum_groups
from driftline._binning.layout import Layout
from driftline._significance.combination import cauchy_combination
from driftline._significance.compared_counts import ComparedCounts
from driftline._significance.components import (
    LOCATION,
    MISSING,
    OUTSIDE,
    PARTS,
    SHAPE,
    SPREAD,
    FeatureMatrix,
    group_features,
    orthonormal_polynomials,
)
from driftline._significance.effect import NO_ROWS, measure_effect
from driftline._significance.inflation import Inflation
from driftline._significance.moves import Moves
from driftline._significance.pooling import pool_bins
from driftline._significance.rate_test import MAX_FREEDOM, compare_rates, rate_deviation
from driftline.typing import Counts, Floats

__all__ = ["MIN_EXPECTED", "TwoSample", "TwoSampleResult"]

MIN_EXPECTED = 5.0
"""Expected rows per bin of a chi-square test (Cochran 1954). Bins with fewer are pooled with their neighbours."""

LEAST_WORTH = 4 * MIN_EXPECTED
"""
Independent rows that a window counts for at least when its bins are pooled. With a single bin left, there would be no
location to test, and so nothing that could be too weak to show.
"""

SHIFT_SPREADS = 5**0.5 / 2
"""
Increase of the spread score per squared shift of the location score. A shift of the mean rank score by d increases the
mean of its square by at most d^2, and the polynomial of spread is sqrt(5)/2 times that square. The test of spread
subtracts this increase, because the test of location covers it.
"""


@dataclass(frozen=True, slots=True, eq=False)
class TwoSampleResult:
    """
    The test results of all features in one window.

    Attributes:
        parts: shape (features, parts), p-values of the parts of `_significance.components`; nan where a part does not
            apply.
        direction: shape (features, parts), above 0 for up, wider or more, below 0 for the opposite.
        rows: shape (features,), rows of the feature in the window.
        deviation: shape (features, parts), the difference in units of the standard deviation of one row, without sign;
            nan where a part does not apply.
    """

    parts: Floats
    direction: Floats
    rows: Counts
    deviation: Floats

    @property
    def p(self) -> Floats:
        """Combined p-values, shape (features,); nan where a feature has no rows."""
        return np.where(self.rows > 0, cauchy_combination(self.parts), np.nan)


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

    __slots__ = ("_baseline", "_bins", "_independent", "_matrices", "_moves", "_size", "_special", "_usual")

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

        self._special: Any = special
        self._matrices = group_features(features, layout)
        self._usual = tuple(map(ComparedCounts.of, self._matrices))
        self._baseline: tuple[Floats, tuple[ComparedCounts, ...]] | None = None
        self._size = len(features)
        self._bins = layout.total
        self._moves = Moves.share(features, layout)
        size = len(features)
        self._independent = Inflation(np.ones((size, PARTS)), np.full((size, PARTS), np.inf), np.full(size, np.inf))

    def __call__(
        self, counts: Counts, inflation: Inflation | None = None, baseline: Floats | None = None
    ) -> TwoSampleResult:
        """
        Test the counts of a window, and return the results of all features.

        Args:
            counts: flat counts over the bins of all features. Entries after the bins (the hours of the week) are
                ignored.
            inflation: the variance inflation of the difference between window and baseline. If None, rows are
                independent.
            baseline: shape (bins,), counts that the test compares with, which need not be whole and must not change. If
                None, those of the features in the reference.
        """
        if inflation is None:
            inflation = self._independent
        padded = np.concatenate([counts[: self._bins], [0]])
        result = TwoSampleResult(
            np.full((self._size, PARTS), np.nan),
            np.zeros((self._size, PARTS)),
            np.zeros(self._size, dtype=np.int64),
            np.full((self._size, PARTS), np.nan),
        )
        for compared in self._compared_with(baseline):
            self._test_matrix(compared, padded, inflation, result)
        return result

    def effects(
        self, counts: Counts, factor: Floats | None = None, reference: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """
        Return PSI, and the effect: PSI minus its expectation without drift, shape (features,) each.

        Both are nan where a feature has no rows.

        Args:
            counts: flat counts, as for the test.
            factor: shape (features, parts), the variance inflation from which the expectation follows. If None, rows
                are independent.
            reference: shape (bins,), counts from which the effect is measured, which need not be whole. If None, those
                of the features in the reference.
        """
        factor = self._independent.factor if factor is None else factor
        padded = np.concatenate([counts[: self._bins], [0]])
        psi, effect = np.empty((2, self._size))
        for plain in self._matrices:
            matrix = plain if reference is None else plain.with_reference(np.append(reference, 0.0))
            indices = matrix.indices
            psi[indices], effect[indices] = measure_effect(
                matrix, padded[matrix.bins], padded[matrix.missing], factor[indices, SHAPE]
            )
        return psi, effect

    def _compared_with(self, baseline: Floats | None) -> tuple[ComparedCounts, ...]:
        """Return what to compare with. Looks of one window mostly have the same baseline, so it is prepared once."""
        if baseline is None:
            return self._usual
        latest = self._baseline
        if latest is None or latest[0] is not baseline:
            padded = np.append(baseline, 0.0)
            compared = tuple(ComparedCounts.of(matrix.with_reference(padded)) for matrix in self._matrices)
            self._baseline = latest = baseline, compared
        return latest[1]

    def _test_matrix(
        self, compared: ComparedCounts, counts: Counts, inflation: Inflation, result: TwoSampleResult
    ) -> None:
        """
        Test the features of one matrix, and write their rows of *result*.

        Args:
            compared: the features, with the counts to compare with.
            counts: shape (bins + 1,), counts of the window and padding.
            inflation: variance inflation of the difference.
            result: the results to write.
        """
        matrix = compared.matrix
        indices = matrix.indices
        current, missing = counts[matrix.bins], counts[matrix.missing]
        n = current.sum(axis=1)
        rows = n + missing
        factor, freedom, directions = (
            part[indices] for part in (inflation.factor, inflation.freedom, inflation.directions)
        )
        parts = np.full((len(indices), PARTS), np.nan)
        direction, deviation = np.zeros((len(indices), PARTS)), np.full((len(indices), PARTS), np.nan)
        self._test_distribution(compared, current, (factor, freedom, directions), parts, direction, deviation)
        for part, events, reference_events, trials, reference_trials, latent_events in (
            (OUTSIDE, matrix.count_outside(counts), compared.outside, n, compared.trials, compared.latent),
            (MISSING, missing, matrix.reference_missing, rows, compared.rows, None),
        ):
            parts[:, part], direction[:, part] = compare_rates(
                events, reference_events, trials, reference_trials, factor[:, part], freedom[:, part], latent_events
            )
            deviation[:, part] = rate_deviation(events, reference_events, trials, reference_trials)
        result.parts[indices], result.direction[indices], result.rows[indices] = parts, direction, rows
        result.deviation[indices] = deviation

    def _test_distribution(
        self,
        compared: ComparedCounts,
        current: Counts,
        inflation: tuple[Floats, Floats, Floats],
        parts: Floats,
        direction: Floats,
        deviation: Floats,
    ) -> None:
        """
        Test location, spread and shape without missing values, and write the p-values and directions.

        Args:
            compared: the features, with the counts to compare with.
            current: shape (features, bins), counts of the window. Bins that expect less than `MIN_EXPECTED` rows are
                pooled. Unseen categories are dropped, because `compare_rates` tests them.
            inflation: factor, freedom and directions of the `Inflation` of these features.
            parts: shape (features, parts), the p-values to write.
            direction: shape (features, parts), the directions to write.
            deviation: shape (features, parts), the deviations to write.
        """
        factor, freedom, directions = inflation
        matrix, reference, m = compared.matrix, compared.known, compared.known_rows
        current = matrix.without_unseen(current)
        n = np.maximum(current.sum(axis=1, keepdims=True), NO_ROWS)
        whole = m + n
        groups = pool_bins((reference + current) * (_worth(m, n, factor[:, SHAPE, None]) / whole), MIN_EXPECTED)
        grouped_r, grouped_c = sum_groups(reference, groups), sum_groups(current, groups)
        shares_r, shares_c, shares = grouped_r / m, grouped_c / n, (grouped_r + grouped_c) / whole
        difference = shares_c - shares_r
        scale = 1 / n[:, 0] + 1 / m[:, 0]
        variances = shares
        if matrix.selected.any():
            # Categories were selected for being frequent in the reference. The variance of one that was so by luck is
            # that of its count there, even if a large window shows that it is rare.
            of_selected = (shares / n + np.maximum(shares, shares_r) / m) / scale[:, None]
            variances = np.where(matrix.selected[:, None], of_selected, shares)
        root = np.sqrt(variances)
        filled = shares > 0
        deviates = difference / np.where(filled, root, 1.0)
        dependent = np.flatnonzero(np.isfinite(directions))
        if len(dependent):
            # Use the deviates of the roots (Freeman & Tukey 1950) where they are smaller. To first order both are the
            # same. Those of the roots limit the effect of a clump in a rare bin, which dependent rows often have. But
            # they are too large for an empty bin.
            roots = 2.0 * (np.sqrt(shares_c[dependent]) - np.sqrt(shares_r[dependent]))
            own = deviates[dependent]
            deviates[dependent] = np.where(np.abs(roots) < np.abs(own), roots, own)
        rest = np.einsum("fb,fb->f", deviates, deviates) / scale
        free = np.maximum(filled.astype(np.float64) @ np.ones(filled.shape[1]) - 1.0, 0.0)
        weighed = root * deviates
        shift = np.zeros(len(free))
        if matrix.ordered:
            for part, polynomial in zip((LOCATION, SPREAD), orthonormal_polynomials(shares), strict=True):
                has = polynomial.any(axis=1)
                change = np.einsum("fb,fb->f", polynomial, difference)
                if part == LOCATION:
                    shift = change
                else:
                    change = np.sign(change) * np.maximum(np.abs(change) - SHIFT_SPREADS * shift**2, 0.0)
                score = change / np.sqrt(scale)
                tail = 2.0 * self._special.stdtr(
                    np.minimum(freedom[:, part], MAX_FREEDOM), -np.abs(score) / np.sqrt(factor[:, part])
                )
                parts[:, part] = np.where(has, tail, np.nan)
                direction[:, part], deviation[:, part] = np.sign(score), np.where(has, np.abs(change), np.nan)
                along = np.einsum("fb,fb->f", polynomial, weighed) ** 2 / scale
                rest = rest - np.where(has, along, 0.0)
                free = free - has
        nu = np.minimum(free, directions)
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = self._straighten(matrix, rest, shift, scale)
            ratio = np.maximum(rest, 0.0) / (free * factor[:, SHAPE])
            tail = self._special.fdtrc(nu, np.minimum(freedom[:, SHAPE], MAX_FREEDOM) * nu, ratio)
        has = (free > 0) & np.isfinite(tail)
        parts[:, SHAPE] = np.where(has, tail, np.nan)
        excess = np.maximum(rest - free * factor[:, SHAPE], 0.0) * scale
        deviation[:, SHAPE] = np.where(has, np.sqrt(excess), np.nan)

    def _straighten(self, matrix: FeatureMatrix, rest: Floats, shift: Floats, scale: Floats) -> Floats:
        """
        Return the chi-square of the shape without what a shift bends, which belongs to the shift. See `Moves`.

        The two need not point the same way, so their lengths are subtracted.

        Args:
            matrix: the features, shape (features,) in what follows.
            rest: the chi-square without location and spread.
            shift: the shift of the mean location score.
            scale: 1 / rows of the window + 1 / rows of the baseline.
        """
        if not matrix.ordered:
            return rest
        moved = np.zeros(self._size)
        moved[matrix.indices] = shift
        bends = np.sqrt(self._moves.bend(moved)[matrix.indices] / scale)
        straight: Floats = np.maximum(np.sqrt(np.maximum(rest, 0.0)) - bends, 0.0) ** 2
        return straight


def _worth(reference_rows: Floats, rows: Floats, factor: Floats) -> Floats:
    """Return the independent rows that the smaller side counts for when bins are pooled, shape (features, 1)."""
    smaller = np.minimum(reference_rows, rows)
    worth: Floats = np.maximum(smaller / factor, np.minimum(smaller, LEAST_WORTH))
    return worth
