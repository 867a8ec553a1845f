"""How much the rows of one key, such as a user, depend on each other: from the variation between groups of keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline._binning.cluster_bins import ClusterBins
from driftline._significance.components import (
    LOCATION,
    MISSING,
    OUTSIDE,
    PARTS,
    SHAPE,
    SPREAD,
    Numbers,
    orthonormal_polynomials,
)
from driftline._significance.dependence import effective_directions
from driftline._significance.inflation import Inflation
from driftline.typing import Floats

__all__ = [
    "ROW_FREEDOM",
    "ROW_SIZE",
    "ClusterVariation",
    "Correlations",
    "jackknife_factor",
    "key_rows",
    "measure_variation",
]

FEATURE_CHUNK = 32
"""Features that are measured in one step, so that a table of 128 buckets and 32 bins takes 1 MB as floats."""

WEIGHT_CORRELATION = 0.05
"""
Correlation by which windows are weighted, so that the weights of all windows are alike. It only decides between windows
whose keys differ in size.
"""

MIN_WINDOW_FREEDOM = 0.1
"""Degrees of freedom of a window with a single group that has residuals. It must not be 0, which tells nothing."""

LEAST_OTHERS = 0.02
"""Smallest share of the rows of a window, those of other groups, from which the residual of a group is taken."""

MIN_PAIRS = 1e-3
"""Rows of a key beyond the first, on average over rows, from which windows tell something about the correlation."""

SIGNIFICANT_Z = 2.5
"""Standard normal quantile of 99.4 %: from there on, the correlation of the shape is taken as real."""

NO_SQUARES = 1e-300
"""Stands for a sum of 0 in a denominator."""

ROW_SIZE, ROW_FREEDOM = 4 * PARTS + 2, slice(2 * PARTS, 3 * PARTS)
"""Number of sums of `Correlations` of one feature, and which of them are the degrees of freedom."""

MIN_FREEDOM = 1.0
"""Fewest degrees of freedom. With fewer, Student's distribution would hardly have tails, and F no mean."""


class ClusterVariation(NamedTuple):
    """
    The variation between the groups of keys in one window.

    All have the shape (features, parts), except *directions*.

    Attributes:
        squares: sum over groups of the squared residuals from the mean of the window.
        base: the expectation of *squares* for independent rows.
        pairs: what *squares* grows by, beyond *base*, for each unit of the correlation between two rows of a key.
        freedom: degrees of freedom of *squares*; 0 where there is nothing to learn.
        weight: the same from the rows of each group alone. A weight that depended on *squares* would prefer small ones.
        excess: what the variance of this window exceeds that of independent rows by, times its squared rows: each
            residual from the mean of the other groups (jackknife).
        scale: the same variance, times the squared rows, that tests assume of independent rows.
        directions: shape (features,), effective number of independent directions of the shape.
    """

    squares: Floats
    base: Floats
    pairs: Floats
    freedom: Floats
    weight: Floats
    excess: Floats
    scale: Floats
    directions: Floats


def key_rows(rows: Numbers, *, exact: bool) -> Floats:
    """
    Return the sum over keys of their squared rows, shape (...).

    Args:
        rows: shape (groups, ...), the rows of each group.
        exact: whether a group is one key. If not, it is a bucket with the rows of many keys. A key falls into any
            bucket with the same probability. So the expectation of the squares of the buckets is the sum over keys
            plus a share 1 / groups of all other pairs of rows.
    """
    number = len(rows)
    squares: Floats = (rows.astype(np.float64) ** 2).sum(axis=0)
    if exact:
        return squares
    whole = rows.sum(axis=0, dtype=np.float64)
    of_keys: Floats = (squares - whole**2 / number) / (1.0 - 1.0 / number)
    bounded: Floats = np.minimum(np.maximum(of_keys, whole), np.maximum(squares, whole))
    return bounded


def measure_variation(
    table: Numbers, bins: ClusterBins, reference: Numbers | None = None, *, exact: bool
) -> ClusterVariation:
    """
    Measure the variation between the groups of keys in one window.

    With S_b the sum of a score over the n_b rows of group b and r_b = S_b - n_b ȳ, squares = Σ r_b². The sums of two
    groups are independent. If two rows of one key have the correlation ρ, S_b has the variance n_b + ρ (m_b - n_b),
    where m_b is the sum of the squared rows of its keys. From that follows the expectation of Σ r_b², with
    c_b = 1 - 2 n_b/n + Σ n_b²/n²: Σ c_b n_b + ρ Σ c_b (m_b - n_b).

    Source: Liang & Zeger (1986), *Longitudinal data analysis using generalized linear models*, for the variance between
    clusters; Bell & McCaffrey (2002), *Bias reduction in standard errors for linear regression with multi-stage
    samples*, for its expectation; Kish (1965), *Survey sampling*, for the correlation.

    Args:
        table: shape (groups, bins), counts of the rows of each group in *bins*.
        bins: the bins.
        reference: shape (bins,), counts of the reference. Scores are those of reference and window together, as in
            tests. If None, of the window alone.
        exact: as for `key_rows`.
    """
    features = len(bins.missing)
    result = ClusterVariation._make([*(np.zeros((features, PARTS)) for _ in range(7)), np.ones(features)])
    padded = np.concatenate([table, np.zeros((len(table), 1), dtype=table.dtype)], axis=1)
    before = np.zeros(table.shape[1] + 1) if reference is None else np.append(reference, 0.0)
    for start in range(0, features, FEATURE_CHUNK):
        part = slice(start, min(start + FEATURE_CHUNK, features))
        chunk = ClusterVariation(*(each[part] for each in result))
        present = padded[:, bins.present[part]].astype(np.float64)
        missing = padded[:, bins.missing[part]].astype(np.float64)
        outside = padded[:, bins.outside[part, 1]].astype(np.float64)
        outside += np.where(bins.ordered[part], padded[:, bins.outside[part, 0]], 0)
        rows = present.sum(axis=2)
        weights = _Weights.of(rows, exact=exact)
        _measure_distribution(present, before[bins.present[part]], weights, bins.ordered[part], chunk)
        _measure_rate(OUTSIDE, outside, rows, weights, chunk)
        rows = rows + missing
        _measure_rate(MISSING, missing, rows, _Weights.of(rows, exact=exact), chunk)
    return result


def jackknife_factor(variation: ClusterVariation) -> Floats:
    """Return the variance of the means of a window over that of independent rows, shape (features, parts)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.nan_to_num(variation.excess / variation.scale, nan=0.0, posinf=0.0, neginf=0.0)
    factor: Floats = 1.0 + np.maximum(excess, 0.0)
    return factor


class _Weights(NamedTuple):
    """
    What follows from the rows of each group alone.

    Attributes:
        rows: shape (groups, features), the rows of each group.
        each: shape (groups, features), expected squared residual of a group at the correlation 0, then 1.
        base: shape (features,), the sum of the first over groups.
        pairs: shape (features,), the sum of the second over groups, less *base*.
        most: shape (features,), an upper bound of the degrees of freedom.
    """

    rows: Floats
    each: tuple[Floats, Floats]
    base: Floats
    pairs: Floats
    most: Floats

    @classmethod
    def of(cls, rows: Floats, *, exact: bool) -> _Weights:
        whole = np.maximum(rows.sum(axis=0), 1.0)
        squares = (rows**2).sum(axis=0)
        correction = 1.0 - 2.0 * rows / whole + squares / whole**2
        # Buckets with many rows have them from large keys.
        of_keys = rows**2 * (key_rows(rows, exact=exact) / np.maximum(squares, 1.0))
        independent, same = correction * rows, correction * of_keys
        base = independent.sum(axis=0)
        most = np.minimum(whole**2 / np.maximum(squares, 1.0), (rows > 0).sum(axis=0)) - 1.0
        return cls(rows, (independent, same), base, same.sum(axis=0) - base, most)


def _freedom(squares: Floats, most: Floats) -> Floats:
    """Return the degrees of freedom of a sum of *squares* over groups, shape (groups, features), at most *most*."""
    number: Floats = squares.sum(axis=0) ** 2 / np.maximum((squares**2).sum(axis=0), NO_SQUARES)
    return np.maximum(np.minimum(number - 1.0, most), 0.0)


def _measure_distribution(
    present: Floats, reference: Numbers, weights: _Weights, ordered: NDArray[np.bool_], result: ClusterVariation
) -> None:
    """
    Write the variation of location, spread and shape.

    Args:
        present: shape (groups, features, bins), counts of the groups.
        reference: shape (features, bins), counts of the reference.
        weights: what follows from the rows of each group.
        ordered: shape (features,), whether the bins are in order.
        result: the variation to write.
    """
    rows, counts = weights.rows, present.sum(axis=0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    pooled = counts + reference
    pooled = pooled / np.maximum(pooled.sum(axis=1, keepdims=True), 1.0)
    filled = pooled > 0.0
    inverse = np.where(filled, 1.0 / np.where(filled, pooled, 1.0), 0.0)
    # The square of a residual in three terms, so that no array of residuals is needed, which takes half of the time.
    rest = np.einsum("gfb,gfb,fb->gf", present, present, inverse)
    rest -= 2.0 * rows * np.einsum("gfb,fb->gf", present, shares * inverse)
    rest += rows**2 * (shares**2 * inverse).sum(axis=1)
    variance = (shares * (1.0 - shares) * inverse).sum(axis=1)
    free = filled.sum(axis=1) - 1.0
    for part, polynomial in zip((LOCATION, SPREAD), orthonormal_polynomials(pooled), strict=True):
        has = polynomial.any(axis=1) & ordered
        residual = np.einsum("gfb,fb->gf", present, polynomial) - rows * (shares * polynomial).sum(axis=1)
        squares = np.where(has, residual**2, 0.0)
        own = np.where(has, (shares * polynomial**2).sum(axis=1) - (shares * polynomial).sum(axis=1) ** 2, 0.0)
        _write(part, squares, own, has.astype(np.float64), weights, result)
        rest, variance, free = rest - squares, variance - own, free - has
    free = np.maximum(free, 0.0)
    rest = np.where(free > 0.0, np.maximum(rest, 0.0), 0.0)
    _write(SHAPE, rest, np.where(free > 0.0, np.maximum(variance, 0.0), 0.0), free, weights, result)
    independent, same = weights.each
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (rest.sum(axis=0) / np.maximum(free, 1.0) - weights.base) / weights.pairs
        correlation = np.clip(np.nan_to_num(correlation), 0.0, 1.0)
        expected = independent * (1.0 - correlation) + same * correlation
        relative = np.where(rows > 0.0, rest / expected, 0.0)
        # Groups with many rows count more, because those with few have heavier tails.
        total = expected.sum(axis=0)
        mean = (expected * relative).sum(axis=0) / total
        variance = (expected * (relative - mean) ** 2).sum(axis=0) / total
    free = np.maximum(free, 1.0)
    result.directions[:] = np.fmax(np.nan_to_num(effective_directions(mean, variance, free), nan=1.0), 1.0)


def _measure_rate(part: int, events: Floats, rows: Floats, weights: _Weights, result: ClusterVariation) -> None:
    """Write the variation of a rate. *events* and *rows* have the shape (groups, features)."""
    rate = events.sum(axis=0) / np.maximum(rows.sum(axis=0), 1.0)
    variance = rate * (1.0 - rate)
    _write(part, (events - rows * rate) ** 2, variance, variance, weights, result)
    result.weight[:, part] = np.minimum(result.weight[:, part], events.sum(axis=0))


def _write(
    part: int, squares: Floats, variance: Floats, assumed: Floats, weights: _Weights, result: ClusterVariation
) -> None:
    """
    Write the variation of a part.

    Args:
        part: the part.
        squares: shape (groups, features), squared residuals.
        variance: shape (features,), variance of the score of one row of the window.
        assumed: shape (features,), the same as tests assume it.
        weights: what follows from the rows of each group.
        result: the variation to write.
    """
    result.squares[:, part] = squares.sum(axis=0)
    result.base[:, part], result.pairs[:, part] = variance * weights.base, assumed * weights.pairs
    result.freedom[:, part] = np.where(variance > 0.0, _freedom(squares, weights.most), 0.0)
    whole = weights.rows.sum(axis=0)
    others = np.maximum(1.0 - weights.rows / np.maximum(whole, 1.0), LEAST_OTHERS)
    result.excess[:, part] = (squares / others**2).sum(axis=0) - variance * whole
    result.scale[:, part] = assumed * whole
    result.weight[:, part] = np.where(variance > 0.0, np.maximum(weights.most, 0.0), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Correlations:
    """
    The correlation between two rows of one key, with what it is known from.

    Everything is a sum over windows, so that correlations of several windows or data sets can be added.

    Attributes:
        products: shape (features, parts), Σ w · pairs · (squares - base) over windows, with w = weight / (base +
            `WEIGHT_CORRELATION` · pairs)².
        weights: shape (features, parts), Σ w · pairs². The correlation is *products* / *weights*.
        freedom: shape (features, parts), the sum of the degrees of freedom of windows.
        further: shape (features, parts), Σ freedom · pairs / base, from which follows the size of the keys.
        bends: shape (features, 2), the sum of 1 / directions of windows, and their number.
    """

    products: Floats
    weights: Floats
    freedom: Floats
    further: Floats
    bends: Floats

    @classmethod
    def none(cls, features: int) -> Correlations:
        """Return the correlations of no window."""
        return cls.of([*(np.zeros((features, PARTS)) for _ in range(4)), np.zeros((features, 2))])

    @classmethod
    def of(cls, sums: Iterable[Floats]) -> Correlations:
        """Return the correlations with these sums, which are in the order of `sums`."""
        products, weights, freedom, further, bends = sums
        return cls(products, weights, freedom, further, bends)

    @classmethod
    def of_rows(cls, rows: Sequence[Floats | None]) -> Correlations:
        """Return the correlations of features from their `rows`; nothing is known of a feature without one."""
        flat = np.stack([np.zeros(ROW_SIZE) if row is None else row for row in rows])
        return cls.of(np.split(flat, [PARTS, 2 * PARTS, 3 * PARTS, 4 * PARTS], axis=1))

    @property
    def rows(self) -> Floats:
        """All sums of each feature side by side, shape (features, `ROW_SIZE`)."""
        return np.concatenate(self.sums, axis=1)

    @property
    def sums(self) -> tuple[Floats, ...]:
        """All sums, in the order of the arguments of the constructor."""
        return self.products, self.weights, self.freedom, self.further, self.bends

    @property
    def values(self) -> Floats:
        """
        The correlations, at least 0, shape (features, parts); nan where nothing is known.

        They are in units of the variance that tests assume, so that those of spread and shape may exceed 1.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.maximum(self.products / self.weights, 0.0)

    def plus(self, variation: ClusterVariation) -> Correlations:
        """Return the correlations with those of one more window."""
        base, pairs = variation.base, variation.pairs
        known = (variation.weight > 0.0) & (base > 0.0) & (pairs > MIN_PAIRS * base)
        freedom = np.where(known, np.maximum(variation.freedom, MIN_WINDOW_FREEDOM), 0.0)
        expected = np.where(known, base + WEIGHT_CORRELATION * pairs, 1.0)
        weights = np.where(known, variation.weight, 0.0) / expected**2
        bends = np.stack([1.0 / variation.directions, np.ones_like(variation.directions)], axis=1)
        return self + Correlations(
            weights * pairs * (variation.squares - base),
            weights * pairs**2,
            freedom,
            freedom * pairs / np.where(known, base, 1.0),
            bends * known[:, SHAPE, None],
        )

    def times(self, share: float) -> Correlations:
        """Return the same correlations, known from a share of the windows."""
        return Correlations.of(each * share for each in self.sums)

    def __add__(self, other: Correlations) -> Correlations:
        return Correlations.of(own + others for own, others in zip(self.sums, other.sums, strict=True))

    def limited(self, freedom: float) -> Correlations:
        """Return the same correlations with at most this many degrees of freedom."""
        share = np.minimum(freedom / np.maximum(self.freedom, NO_SQUARES), 1.0)
        return Correlations.of([*(each * share for each in self.sums[:4]), self.bends * share[:, SHAPE, None]])

    def better(self, other: Correlations) -> Correlations:
        """Return for each feature and part those of the two whose correlation has the smaller variance."""
        own, others = (each.weights for each in (self, other))
        keep = own >= others
        parts = [np.where(keep, a, b) for a, b in zip(self.sums[:4], other.sums[:4], strict=True)]
        return Correlations.of([*parts, np.where(keep[:, SHAPE, None], self.bends, other.bends)])

    def inflation(self, size: float) -> Inflation:
        """
        Return the variance inflation of rows whose keys have *size* rows each, weighted by rows.

        It is 1 + ρ (size - 1). A part of which no variation is known yet has the correlation 1, if it is a rate: values
        that are rare often come from one key. For other parts the inflation is 1.
        """
        further = max(size - 1.0, 0.0)
        correlations = self.values
        known = np.isfinite(correlations)
        rates = np.zeros(PARTS, dtype=bool)
        rates[[OUTSIDE, MISSING]] = True
        correlations = np.where(known, correlations, rates)
        factor = 1.0 + further * correlations
        with np.errstate(invalid="ignore", divide="ignore"):
            seen = self.further / self.freedom
            # The relative error of 1 + ρ (size - 1), where that of 1 + ρ · seen is √(2 / freedom).
            stretch = further / factor * (1.0 + correlations * seen) / seen
            freedom = np.where(known & (factor > 1.0), self.freedom / np.maximum(stretch, 1.0) ** 2, np.inf)
            real = np.log1p(correlations * seen)[:, SHAPE] * np.sqrt(self.freedom[:, SHAPE] / 2.0) > SIGNIFICANT_Z
            directions = np.where(known[:, SHAPE] & real, self.bends[:, 1] / self.bends[:, 0], np.inf)
        return Inflation(factor, np.maximum(freedom, MIN_FREEDOM), directions)
