"""Variance inflation (design effect): how much larger the variance of a window is than that of independent rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._significance.components import LOCATION, OUTSIDE, SHAPE
from driftline._significance.interpolation import Between
from driftline.typing import Floats

__all__ = ["RELIABLE_BLOCKS", "Inflation", "InflationCurve", "difference_inflation", "outside_factor"]

LengthIndices: TypeAlias = NDArray[np.intp]
"""Shape (features, parts), for each feature and part the index of a block length in ascending order."""

SIGNIFICANT_Z = 2.5
"""Standard normal quantile of 99.4 %. A variance beyond it is significantly larger than that of independent rows."""

COMMON_Z = 1.3
"""Standard normal quantile of 90 %. If the median of all features exceeds it, their rows count as dependent."""

COMMON_FEATURES = 5
"""Smallest number of features for `COMMON_Z`. The median of five features exceeds it by chance in 1 % of cases."""

CONTINUED_Z = 1.0
"""Standard normal quantile of 84 %, the criterion for a step to a longer block after rows have proved dependent."""

MAX_EXTRAPOLATION = 2.0
"""
Multiple of the longest block up to which the inflation is extrapolated. A reference that is shorter than its slow
changes does not show them, and unlimited extrapolation would prevent every alarm. With the limit, alarms come too early
instead, and the self-check reports that the reference is too short.
"""

MIN_POWER_ROWS = 2.0
"""Smallest number of rows whose logarithm can be divided by, because the logarithm of one row is 0."""

RELIABLE_BLOCKS = 32
"""Smallest number of blocks from which the effective number of directions is estimated."""


@dataclass(frozen=True, slots=True, eq=False)
class Inflation:
    """
    Variance of the counts of a window as a multiple of that of independent rows, for one number of rows.

    Attributes:
        factor: shape (features, parts), at least 1.
        freedom: shape (features, parts), degrees of freedom of the estimate; inf where rows are independent.
        directions: shape (features,), effective number of independent directions in which the shape varies; inf if it
            varies in all directions equally.
    """

    factor: Floats
    freedom: Floats
    directions: Floats


class InflationCurve:
    """
    The variance inflation as a function of the number of rows.

    The curve starts at the shortest block length and steps to a longer one where its variance is significantly larger.
    So it uses many short blocks if rows are independent, or independent beyond some distance. It uses few long blocks
    for slow changes. Where the variance still grows at the longest length, a power of the number of rows continues the
    curve up to `MAX_EXTRAPOLATION`. The last step determines that power. With a single length, the
    step begins at one row, which has the inflation 1.

    Args:
        lengths: shape (lengths,), rows per block, ascending.
        blocks: shape (lengths,), degrees of freedom, about the number of blocks.
        factors: shape (lengths, features, parts), variance of a block's counts divided by that of independent rows; nan
            if unknown. The parts are those of `components.NUMERIC`: location, spread, shape and so on.
        directions: shape (lengths, features), effective number of independent directions in which the part *shape* (or
            *mix*) varies.
    """

    __slots__ = (
        "_blocks",
        "_chosen",
        "_directions",
        "_extrapolated",
        "_factor",
        "_freedom",
        "_lengths",
        "_limit",
        "_path",
        "_power",
        "_significant",
    )

    def __init__(self, lengths: Floats, blocks: Floats, factors: Floats, directions: Floats) -> None:
        self._lengths, self._blocks, self._directions = lengths, blocks, directions
        freedom = _factor_freedom(blocks, factors, directions)
        self._chosen, before = _choose_lengths(factors, freedom)
        at, at_before = _index_of(self._chosen), _index_of(before)
        self._factor = factor = factors[at]
        self._significant = self._find_dependent(factor, freedom[at])
        self._freedom = np.where(self._significant, blocks[self._chosen], np.inf)
        self._freedom[:, OUTSIDE] = np.minimum(self._freedom[:, LOCATION], self._freedom[:, SHAPE])
        self._prepare_extrapolation(freedom[at], freedom[at_before], factors[at_before], before)
        longer = np.arange(len(lengths))[:, None, None] > self._chosen
        path = np.maximum.accumulate(np.where(longer, 1.0, np.fmax(factors, 1.0)), axis=0)
        self._path = np.concatenate([np.ones_like(path[:1]), path])

    @staticmethod
    def _find_dependent(factor: Floats, freedom: Floats) -> NDArray[np.bool_]:
        """
        Return which features are dependent in which part, shape (features, parts).

        A feature is dependent if its variance is significantly larger than that of independent rows. For parts in which
        half of the features show dependence, any larger variance is enough.

        Args:
            factor: shape (features, parts), the factors at the chosen block lengths.
            freedom: shape (features, parts), degrees of freedom of *factor*.
        """
        sigma = np.log(np.maximum(factor, 1e-300)) / np.sqrt(2.0 / freedom)
        # If half of the features show some dependence, it is real. With few blocks no single feature could prove it.
        middle = _median(sigma)
        common = middle > (COMMON_Z if len(factor) >= COMMON_FEATURES else SIGNIFICANT_Z)
        significant = (sigma > SIGNIFICANT_Z) | (common & (sigma > 0.0))
        # Values that are dependent in one part are dependent in the others too, perhaps to a lesser degree.
        significant[:, : SHAPE + 1] |= significant[:, : SHAPE + 1].any(axis=1, keepdims=True)
        return significant

    def _prepare_extrapolation(
        self, freedom: Floats, shorter_freedom: Floats, shorter: Floats, before: LengthIndices
    ) -> None:
        """
        Set how the curve continues beyond the chosen block lengths.

        `_limit` is the variance inflation at which it levels off. `_power` is the exponent of the number of rows, for
        factors that still grow.

        Args:
            freedom: shape (features, parts), degrees of freedom of the factors at the chosen lengths.
            shorter_freedom: shape (features, parts), degrees of freedom of *shorter*.
            shorter: shape (features, parts), the factors at the lengths *before*.
            before: indices of the block lengths that the chosen ones are compared with. They are shorter or the same.
        """
        factor, lengths, chosen = self._factor, self._lengths, self._chosen
        margin = SIGNIFICANT_Z * np.sqrt(2.0 / freedom + 2.0 / shorter_freedom)
        with np.errstate(divide="ignore", invalid="ignore"):
            # A step that may be chance counts, but the curve is not extrapolated from it.
            stepped = (before < chosen) & (np.log(factor / shorter) > margin)
            doublings = np.log2(lengths[chosen] / lengths[before], where=stepped, out=np.ones_like(factor))
            # If the correlation decays exponentially, variance = limit - c / length. Two lengths give the limit.
            limit = np.maximum(factor, factor + (factor - shorter) / np.maximum(2**doublings - 1, 1))
            self._limit = np.where(stepped, limit, factor)
            if len(lengths) == 1:
                self._extrapolated: NDArray[np.bool_] = np.ones_like(stepped)
                self._power = np.clip(
                    np.log(np.maximum(factor, 1.0)) / np.log(max(lengths[-1], MIN_POWER_ROWS)), 0.0, 1.0
                )
            else:
                self._extrapolated = stepped & (chosen == len(lengths) - 1)
                self._power = np.clip(np.log2(np.maximum(factor / shorter, 1.0)) / doublings, 0.0, 1.0)

    def __call__(self, rows: float, whole: float = 0.0) -> Inflation:
        """
        Return the inflation of the counts of a window.

        Args:
            rows: rows of the window.
            whole: rows up to which the curve of a single block length is extrapolated, if that is further than
                `MAX_EXTRAPOLATION`: those of a window of which one block length is known.
        """
        full = self._factor_at(rows, whole)
        full = np.maximum(np.nan_to_num(np.where(self._significant, full, 1.0), nan=1.0), 1.0)
        full[:, OUTSIDE] = np.fmax(full[:, OUTSIDE], outside_factor(full))
        reliable = np.flatnonzero((self._lengths <= max(rows, self._lengths[0])) & (self._blocks >= RELIABLE_BLOCKS))
        directions = self._directions[int(reliable[-1]) if len(reliable) else 0]
        directions = np.where(self._significant[:, SHAPE], directions, np.inf)
        return Inflation(full, self._freedom, directions)

    def _factor_at(self, rows: float, whole: float) -> Floats:
        """Return the factors for a number of rows, shape (features, parts), also where rows count as independent."""
        longest = self._lengths[-1]
        furthest = max(MAX_EXTRAPOLATION, whole / longest) if len(self._lengths) == 1 else MAX_EXTRAPOLATION
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = self._factor * np.clip(rows / longest, 1.0, furthest) ** self._power
        full = np.where(self._extrapolated, np.maximum(beyond, self._limit), self._limit)
        shorter_than = self._lengths[self._chosen] > rows
        if not shorter_than.any():
            return full
        return np.where(shorter_than, np.fmin(self._interpolate(rows), np.fmax(full, 1.0)), full)

    def _interpolate(self, rows: float) -> Floats:
        """
        Return the factors of a window that is shorter than the chosen blocks, shape (features, parts).

        They are linear in the logarithms between the block lengths, and 1 for a window of one row.
        """
        return Between.of(np.concatenate([[1.0], self._lengths]), rows).mean(self._path)

    def still_grows(self) -> NDArray[np.bool_]:
        """Return, for each feature, whether its variance still grows at the longest block length, shape (features,)."""
        last = len(self._lengths) - 1
        growing: NDArray[np.bool_] = (self._chosen[:, : SHAPE + 1] == last).any(axis=1) & (last > 0)
        return growing


def _choose_lengths(factors: Floats, freedom: Floats) -> tuple[LengthIndices, LengthIndices]:
    """
    Return the index of the block length that the curve uses for each feature and part, and of the length before it.

    Args:
        factors: shape (lengths, features, parts), the variance factors.
        freedom: the same shape, their degrees of freedom.
    """
    shape = factors.shape[1:]
    chosen, before = np.zeros(shape, dtype=np.intp), np.zeros(shape, dtype=np.intp)
    # A factor of 0 (all blocks alike) gets a finite logarithm, so small that it is never a step up.
    logs = np.log(np.maximum(factors, 1e-12))
    current, current_freedom = logs[0], freedom[0]
    for index in range(1, len(factors)):
        # The variance of dependent rows grows with the block length, so a weaker criterion is enough for them.
        criterion = np.where(current > SIGNIFICANT_Z * np.sqrt(2.0 / current_freedom), CONTINUED_Z, SIGNIFICANT_Z)
        margin = criterion * np.sqrt(2.0 / freedom[index] + 2.0 / current_freedom)
        # A length with an unknown factor (nan) is not a step.
        increase = logs[index] - current
        up = (increase > margin) & (increase < np.inf)
        if up.any():
            before, chosen = np.where(up, chosen, before), np.where(up, index, chosen)
            current, current_freedom = np.where(up, logs[index], current), np.where(up, freedom[index], current_freedom)
    return chosen, before


def _factor_freedom(blocks: Floats, factors: Floats, directions: Floats) -> Floats:
    """
    Return the degrees of freedom of each factor, shape (lengths, features, parts).

    For the shape they are those of the blocks times its number of directions. For other parts they are those of the
    blocks.
    """
    freedom = np.tile(blocks[:, None, None], factors.shape[1:])
    freedom[:, :, SHAPE] *= directions
    return freedom


def _index_of(indices: LengthIndices) -> tuple[LengthIndices, LengthIndices, LengthIndices]:
    """Return an index that selects one length for each feature and part from an array (lengths, features, parts)."""
    features, parts = indices.shape
    return indices, np.arange(features)[:, None], np.arange(parts)


def _median(values: Floats) -> Floats:
    """
    Return the median of each column of a matrix, ignoring nan; 0 for a column that has only nan.

    It is ten times as fast as `numpy.nanmedian`.
    """
    ordered = np.sort(values, axis=0)  # nan come last
    known = len(values) - np.isnan(values).sum(axis=0)
    column = np.arange(values.shape[1])
    low, high = ordered[np.maximum(known - 1, 0) // 2, column], ordered[np.minimum(known // 2, len(values) - 1), column]
    return np.where(known > 0, (low + high) / 2.0, 0.0)


def outside_factor(factor: Floats) -> Floats:
    """
    Return the least variance factor of values out of range, shape (...,), which are too rare for a separate estimate.

    They come in longer clumps than the values of one bin, and in shorter clumps than the drifting of the mean. So it is
    the geometric mean of the two.

    Args:
        factor: shape (..., parts), the factors of all parts.
    """
    shape = factor[..., SHAPE]
    between: Floats = np.sqrt(shape * np.maximum(factor[..., LOCATION], shape))
    return between


def difference_inflation(curve: Callable[[float], Inflation], rows: float, reference_rows: Floats) -> Inflation:
    """
    Return the inflation of the difference between rows and a reference: the mean of both, weighted by 1 / rows.

    Args:
        curve: returns the inflation of a number of rows.
        rows: rows of the window.
        reference_rows: shape (features, 1), effective rows of the reference. The largest decides about its inflation.
    """
    window, whole = curve(rows), curve(float(reference_rows.max()))
    factor = (window.factor / rows + whole.factor / reference_rows) / (1 / rows + 1 / reference_rows)
    return Inflation(factor, window.freedom, window.directions)
