"""Counts to p-values: every part of every feature's difference tested, combined, and sharing one level."""

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
    Matrix,
    Numbers,
    matrices,
    orthonormal,
)
from driftline._significance.inflation import Inflation
from driftline._significance.pooling import pool_bins, sum_groups
from driftline.typing import Counts, Floats

__all__ = ["TwoSample", "TwoSampleResult", "benjamini_hochberg", "cauchy_combination"]

MIN_EXPECTED = 5.0
"""Expected rows per bin of a chi-square test (Cochran 1954); bins with fewer are pooled with their neighbours."""

MOST_P = 0.99
"""The Cauchy combination maps a p-value of 1 to minus infinity, which no other part could outweigh."""

SHIFT_SPREADS = 5**0.5 / 2
"""
A shift by d of the mean rank score moves the mean of its square by at most d^2, and the polynomial of spread is
sqrt(5)/2 times that square: so much of a wider spread is the shift itself, which is tested as location.
"""

SHIFT_BENDS = 0.1
"""
Share of the chi-square of a shift that is neither linear nor quadratic in the ranks, and is the shift's, not the
shape's: computed from quantiles 0.05 of a normal distribution that moves, 0.05 and 0.01 of Student's t with 3 and
5 degrees of freedom, 0 of a logistic one. Of peaked ones it is more; that part is in the scatter of the blocks.
"""

NEXT_TO_NONE = 1e-9
"""Rows in place of none: so few that they differ from nothing significantly."""

MOST_FREEDOM = 1e7
"""Degrees of freedom that are as good as infinite."""

SMOOTHING = 0.5
"""As in `driftline.distances.psi`, of which the effect is the corrected form."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoSampleResult:
    """
    What a window says about every feature.

    Attributes:
        p: shape (features,), the parts combined; nan where a feature has no rows.
        parts: shape (features, parts), p-values; nan where a part does not apply.
        direction: shape (features, parts), which way: above 0 for up, wider, more; below 0 for the opposite.
        psi: shape (features,).
        effect: shape (features,), PSI less what it is expected to be under no drift.
        rows: shape (features,).
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

    The two-sample chi-square is split into orthogonal parts: location, spread and the remaining shape; beside it the
    rates of missing values, of values out of range and of unseen categories are compared. Where rows depend on each
    other, the second-order correction of Rao & Scott (1984) with the finite number of blocks.

    Args:
        features: what is tested, in the order of *layout*.
        layout: where their bins lie.
    """

    __slots__ = ("_bins", "_first", "_matrices", "_rows", "_size", "_special")

    def __init__(self, features: Sequence[Feature], layout: Layout) -> None:
        from scipy import special  # noqa: PLC0415 - see FalseAlarms.__init__

        self._special: Any = special
        self._matrices = matrices(features, layout)
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
        Test a flat vector of counts.

        Args:
            counts: of the window, over all bins; what follows (the hours of the week) is left alone.
            rows: of the window.
            inflation: what dependence does to the variance of so many rows; None: rows are independent.
            reference: counts to compare with instead of those of the features, over all bins; they need not be whole.
        """
        found = TwoSampleResult(
            np.full(self._size, np.nan),
            np.full((self._size, PARTS), np.nan),
            np.zeros((self._size, PARTS)),
            np.full(self._size, np.nan),
            np.full(self._size, np.nan),
            np.zeros(self._size, dtype=np.int64),
        )
        longer = np.concatenate([counts[: self._bins], [0]])
        compared, reference_rows = self._matrices, float(self._rows)
        if reference is not None:
            expected = np.concatenate([reference, [0.0]])
            compared = tuple(matrix.against(expected) for matrix in self._matrices)
            reference_rows = max(float(reference[self._first].sum()), 1.0)
        inflated = self._inflated(max(rows, 1), reference_rows, inflation)
        for matrix in compared:
            self._test(matrix, longer, inflated, found)
        known = found.rows > 0
        if known.any():
            found.p[known] = cauchy_combination(found.parts[known])
        return found

    def _inflated(self, rows: int, reference_rows: float, inflation: Callable[[float], Inflation] | None) -> Inflation:
        """The variance of the difference: the window's and the reference's, each inflated as their lengths are."""
        if inflation is None:
            size = self._size
            return Inflation(np.ones((size, PARTS)), np.full((size, PARTS), np.inf), np.full(size, np.inf))
        window, whole = inflation(rows), inflation(reference_rows)
        factor = (window.factor / rows + whole.factor / reference_rows) / (1 / rows + 1 / reference_rows)
        return Inflation(factor, window.freedom, window.directions)

    def _test(self, matrix: Matrix, counts: Counts, inflation: Inflation, found: TwoSampleResult) -> None:
        places = matrix.places
        current, missing = counts[matrix.bins], counts[matrix.missing]
        n, m = current.sum(axis=1), matrix.reference.sum(axis=1)
        rows, reference_rows = n + missing, m + matrix.reference_missing
        factor, freedom, directions = (
            part[places] for part in (inflation.factor, inflation.freedom, inflation.directions)
        )
        parts = np.full((len(places), PARTS), np.nan)
        direction = np.zeros((len(places), PARTS))
        self._shapes(matrix, current, (factor, freedom, directions), parts, direction)
        outside, before = matrix.outside_of(counts), matrix.reference_outside
        sure = matrix.certain
        for part, events, reference_events, of, reference_of, edges in (
            (OUTSIDE, outside, before * sure, n, m * sure, matrix.edges * sure),
            (MISSING, missing, matrix.reference_missing, rows, reference_rows, None),
        ):
            parts[:, part], direction[:, part] = self._rates(
                events, reference_events, of, reference_of, factor[:, part], freedom[:, part], edges
            )
        found.parts[places], found.direction[places], found.rows[places] = parts, direction, rows
        self._effects(matrix, current, missing, factor[:, SHAPE], found)

    def _shapes(
        self,
        matrix: Matrix,
        current: Counts,
        inflation: tuple[Floats, Floats, Floats],
        parts: Floats,
        direction: Floats,
    ) -> None:
        """Location, spread and shape of the present values, after pooling bins that expect too few rows."""
        factor, freedom, directions = inflation
        reference = matrix.reference
        n = np.maximum(current.sum(axis=1, keepdims=True), NEXT_TO_NONE)
        m = np.maximum(reference.sum(axis=1, keepdims=True), NEXT_TO_NONE)
        pooled = (reference + current) / (m + n)
        groups = pool_bins(pooled * np.minimum(m, n) / factor[:, SHAPE, None], MIN_EXPECTED)
        shares_r = sum_groups(reference, groups) / m
        shares_c = sum_groups(current, groups) / n
        shares = sum_groups(pooled, groups)
        difference = shares_c - shares_r
        scale = 1 / n[:, 0] + 1 / m[:, 0]
        root = np.sqrt(shares)
        deviates = difference / np.where(shares > 0, root, 1.0)
        dependent = np.isfinite(directions)
        if dependent.any():
            # Of the roots, to first order the same (Freeman & Tukey 1950), where that is less: a clump of rows in a
            # rare bin, of which dependent rows have many, does not reach as far; an empty bin reaches too far there.
            roots = 2.0 * (np.sqrt(shares_c) - np.sqrt(shares_r))
            tame = dependent[:, None] & (np.abs(roots) < np.abs(deviates))
            deviates = np.where(tame, roots, deviates)
        rest = (deviates**2).sum(axis=1) / scale
        free = np.maximum((shares > 0).sum(axis=1) - 1.0, 0.0)
        shift = np.zeros(len(free))
        if matrix.ordered:
            for part, polynomial in zip((LOCATION, SPREAD), orthonormal(shares), strict=True):
                has = polynomial.any(axis=1)
                moved = (polynomial * difference).sum(axis=1)
                if part == LOCATION:
                    shift = moved
                else:
                    moved = np.where(moved > 0, np.maximum(moved - SHIFT_SPREADS * shift**2, 0.0), moved)
                score = moved / np.sqrt(scale)
                tail = 2.0 * self._special.stdtr(
                    np.minimum(freedom[:, part], MOST_FREEDOM), -np.abs(score) / np.sqrt(factor[:, part])
                )
                parts[has, part], direction[has, part] = tail[has], np.sign(score[has])
                along = (polynomial * root * deviates).sum(axis=1) ** 2 / scale
                rest = rest - np.where(has, along, 0.0)
                free = free - has
        nu = np.minimum(free, directions)
        with np.errstate(invalid="ignore", divide="ignore"):
            rest = rest - SHIFT_BENDS * shift**2 / scale
            ratio = np.maximum(rest, 0.0) / (free * factor[:, SHAPE])
            tail = self._special.fdtrc(nu, np.minimum(freedom[:, SHAPE], MOST_FREEDOM) * nu, ratio)
        has = (free > 0) & np.isfinite(tail)
        parts[has, SHAPE] = tail[has]

    def _rates(
        self,
        events: Numbers,
        reference_events: Numbers,
        rows: Numbers,
        reference_rows: Numbers,
        factor: Floats,
        freedom: Floats,
        edges: Numbers | None,
    ) -> tuple[Floats, Floats]:
        """
        The rate of something rare compared: exact given the sum of both sides, so that a handful is not taken for many.

        Given their sum the events of the window are binomial with the window's share of the rows (Przyborowski &
        Wilenski 1940); dividing by 1 - rate gives the smaller variance of a common event (hypergeometric), dividing by
        the factor that of dependent rows, and the tail is then read from Student's t for the blocks behind the factor.
        With *edges*, rows that the reference stands for without having them, only more of it counts, not less.
        """
        special = self._special
        if not events.any() and not reference_events.any():
            # Nothing missing anywhere, as most often.
            return np.full(len(events), np.nan), np.full(len(events), -1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            total = events + reference_events
            rate = total / (rows + reference_rows)
            share = rows / (rows + reference_rows)
            weight = 1.0 / (factor * np.maximum(1.0 - rate, 1e-12))
            here, there = events * weight, reference_events * weight + (0 if edges is None else edges)
            upper = np.where(here > 0, special.betainc(np.maximum(here, 1e-12), there + 1.0, share), 1.0)
            more = events >= share * total
            p = upper
            if edges is None:
                lower = np.where(there > 0, special.betaincc(here + 1.0, np.maximum(there, 1e-12), share), 1.0)
                p = np.minimum(2.0 * np.minimum(upper, lower), 1.0)
            known = np.isfinite(freedom)
            student = special.stdtr(np.minimum(freedom, MOST_FREEDOM), special.ndtri(np.maximum(p, 1e-300)))
            p = np.where(known, np.maximum(student, p), p)
        applies = (total > 0) & (rows > 0) & (reference_rows > 0) & (rate < 1.0)
        return np.where(applies, p, np.nan), np.where(more, 1.0, -1.0)

    @staticmethod
    def _effects(matrix: Matrix, current: Counts, missing: Counts, factor: Floats, found: TwoSampleResult) -> None:
        """PSI over all bins, and less what is expected under no drift (Yurdakul & Naranjo 2020) of dependent rows."""
        real = np.concatenate([matrix.real, np.ones((len(missing), 1), dtype=bool)], axis=1)
        r = np.concatenate([matrix.reference, matrix.reference_missing[:, None]], axis=1).astype(np.float64)
        c = np.concatenate([current, missing[:, None]], axis=1).astype(np.float64)
        smoothing = SMOOTHING * real
        p, q = r + smoothing, c + smoothing
        m, n = r.sum(axis=1), c.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
            psi = ((q - p) * np.log(q / p, where=real, out=np.zeros_like(q))).sum(axis=1)
            bias = (((r + c) > 0).sum(axis=1) - 1) * factor * (1 / m + 1 / n)
        known = n > 0
        found.psi[matrix.places] = np.where(known, psi, np.nan)
        found.effect[matrix.places] = np.where(known, psi - bias, np.nan)


def cauchy_combination(p: Floats) -> Floats:
    """
    One p-value of several, shape (..., parts) to (...,), however they depend on each other; nan are left out.

    Source: Liu & Xie (2020), *Cauchy combination test*: the mean of tan((1/2 - p) pi) has Cauchy tails.

    >>> cauchy_combination(np.array([0.01, 0.5, np.nan])).round(3).tolist()
    0.02
    """
    known = ~np.isnan(p)
    number = known.sum(axis=-1)
    clipped = np.clip(np.where(known, p, 0.5), 1e-300, MOST_P)
    # cot(p pi) is 1 / (p pi) near 0, where the tangent of (1/2 - p) pi has lost all digits.
    cotangent = np.where(clipped < 1e-9, 1.0 / (np.pi * clipped), 1.0 / np.tan(np.pi * clipped))  # noqa: PLR2004
    mean = np.where(known, cotangent, 0.0).sum(axis=-1) / np.maximum(number, 1)
    combined = np.where(mean > 1e9, 1.0 / (np.pi * np.maximum(mean, 1.0)), 0.5 - np.arctan(mean) / np.pi)  # noqa: PLR2004
    return np.where(number > 0, combined, 1.0)


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
