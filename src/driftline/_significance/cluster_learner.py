"""`ClusterLearner`: learns from windows how much the rows of one key depend on each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from driftline._binning.cluster_bins import ClusterBins
from driftline._significance.clusters import Correlations, key_rows, measure_variation
from driftline._significance.components import MISSING, OUTSIDE, SHAPE, Numbers
from driftline._significance.inflation import Inflation
from driftline.typing import Counts, Floats

__all__ = ["ClusterLearner", "KnownClusters"]

REMEMBERED = 64
"""Windows of a length after which older ones are forgotten: each new window takes 1/64 of the weight of the others."""

PRIOR_FREEDOM = 32.0
"""Most degrees of freedom of the reference's correlations at the start. One window has up to 127."""

RARE_PARTS = [SHAPE, OUTSIDE, MISSING]
"""Parts to which a single key can add many rows: a category, values out of range, or missing ones."""

CLUMP = 1.5
"""
Inflation of the windows at hand, as a multiple of what the correlation gives, from which it counts. Twelve independent
rows in 128 buckets exceed it with a probability of about 1e-3.
"""


class KnownClusters(NamedTuple):
    """
    What a reference knows of the keys of its rows.

    Attributes:
        correlations: the correlations between the rows of a key.
        size: rows of a key, weighted by rows.
        factors: shape (features, parts), variance of the means of its rows by the jackknife, as a multiple of that of
            independent ones.
    """

    correlations: Correlations
    size: float
    factors: Floats


class _Level:
    """
    What the windows of one length have shown.

    Args:
        windows: windows whose sum is measured.
        shape: the shape of their counts.
        prior: the correlations to start from.
    """

    __slots__ = ("_sum", "_windows", "correlations", "size", "summed")

    def __init__(self, windows: int, shape: tuple[int, int], prior: Correlations) -> None:
        self._windows = windows
        self._sum = np.zeros(shape, dtype=np.int32) if windows > 1 else None
        self.summed = 0
        self.correlations = prior
        self.size = 1.0

    def add(self, table: Numbers) -> Numbers | None:
        """Add the counts of a window. Return those of all windows once there are enough, and begin again."""
        if self._sum is None:
            return table
        self._sum += table
        self.summed += 1
        if self.summed < self._windows:
            return None
        whole: Numbers = self._sum.copy()
        self._sum[:] = 0
        self.summed = 0
        return whole


class ClusterLearner:
    """
    Learns the correlation between the rows of a key from windows, and gives the variance inflation of a window.

    A residual is taken around the mean of its window. So a drift of all keys is no variation, and learning never stops.
    The correlation is that of traffic; how many rows the keys have is that of the window at hand.

    Args:
        bins: the bins of the features.
        counts: shape (bins,), the counts of the reference in *bins*.
        lengths: numbers of windows that are evaluated together. Each is learned from by itself.
        buckets: number of buckets of keys.
        known: what the reference knows; None if it was fitted without keys.
        learned: what earlier monitors have learned. Of each part, what is known better counts. If None, nothing.

    Attributes:
        bins: as above.
    """

    __slots__ = (
        "_buckets",
        "_counts",
        "_known",
        "_lengths",
        "_levels",
        "_partial",
        "_prior",
        "_recent",
        "_reference_rows",
        "bins",
    )

    def __init__(
        self,
        bins: ClusterBins,
        counts: Numbers,
        lengths: Sequence[int],
        buckets: int,
        known: KnownClusters | None = None,
        learned: Correlations | None = None,
    ) -> None:
        self.bins, self._counts, self._buckets, self._known = bins, counts, buckets, known
        self._prior = Correlations.none(len(bins.missing)) if known is None else known.correlations
        if learned is not None:
            self._prior = self._prior.better(learned)
        self._lengths = sorted({1, *lengths})
        self._reference_rows = float(counts[: int(bins.missing[0]) + 1].sum())
        self.reset()

    def reset(self) -> None:
        """Forget all windows."""
        shape, prior = (self._buckets, self.bins.total), self._prior.limited(PRIOR_FREEDOM)
        self._partial: Correlations | None = None
        self._levels = {length: _Level(length, shape, prior) for length in self._lengths}
        self._recent: deque[tuple[Floats, Floats, float, float]] = deque(maxlen=max(self._lengths))

    def learn(self, table: Numbers) -> None:
        """Learn from a window. *table* has the shape (buckets, bins) and is not kept."""
        for length, level in self._levels.items():
            whole = level.add(table)
            if whole is None or not whole.any():
                continue
            variation = measure_variation(whole, self.bins, self._counts, exact=False)
            level.correlations = level.correlations.times(1.0 - 1.0 / REMEMBERED).plus(variation)
            rows = self._rows_of(whole)
            squares, number = float(key_rows(rows, exact=False)), float(rows.sum())
            level.size = max(level.size, squares / number)
            if length == 1:
                self._recent.append((variation.excess[:, RARE_PARTS], variation.scale[:, RARE_PARTS], squares, number))

    def learn_partial(self, table: Numbers) -> None:
        """Learn from the rows so far, for as long as no window is complete."""
        variation = measure_variation(table, self.bins, self._counts, exact=False)
        self._partial = Correlations.none(len(self.bins.missing)).plus(variation)

    def _rows_of(self, table: Numbers) -> Counts:
        """Return the rows of each bucket, from the bins of the first feature, shape (buckets,)."""
        end = int(self.bins.missing[0]) + 1
        rows: Counts = table[:, :end].sum(axis=1, dtype=np.int64)
        return rows

    @property
    def correlations(self) -> Correlations:
        """What is known of the correlations, from windows of the length that tells most of each part."""
        return self._correlations(max(self._lengths))

    def inflations(self, buckets: Counts, rows: int, length: int) -> tuple[Inflation, Inflation]:
        """
        Return the inflation of a window that keys cause, and that of the reference.

        The degrees of freedom of the first are those of the difference of the two.

        Args:
            buckets: shape (buckets,), the rows of a window by the bucket of their key.
            rows: rows of the window, those without a key included.
            length: number of windows that it is the sum of.
        """
        reference = self._of_reference()
        window = self._of_window(buckets, length)
        freedom = _pooled_freedom((window, 1.0 / max(rows, 1)), (reference, 1.0 / max(self._reference_rows, 1.0)))
        directions = np.minimum(window.directions, reference.directions)
        return Inflation(window.factor, freedom, directions), reference

    def _of_window(self, buckets: Counts, length: int) -> Inflation:
        """Return the inflation of a window with these rows by bucket."""
        whole = float(buckets.sum())
        size = float(key_rows(buckets, exact=False)) / whole if whole else 1.0
        result = self._correlations(length).inflation(size)
        recent = [*self._recent][-length:]
        if not recent or not whole:
            return result
        excess, scale, squares, number = (sum(part[1:], part[0]) for part in zip(*recent, strict=True))
        # Keys that are in several windows have more rows in their sum than in each.
        longer = max(size / (squares / number), 1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            own = 1.0 + np.nan_to_num(excess / scale, nan=0.0, posinf=0.0, neginf=0.0) * longer
        factor = result.factor.copy()
        usual = factor[:, RARE_PARTS]
        factor[:, RARE_PARTS] = np.where(own > CLUMP * usual, own, usual)
        return Inflation(factor, result.freedom, result.directions)

    def _of_reference(self) -> Inflation:
        """Return the inflation of the reference. If it has no keys, they count as large as the largest of traffic."""
        if self._known is not None:
            known = self._known.correlations.inflation(self._known.size)
            return replace(known, factor=np.maximum(known.factor, self._known.factors))
        size = max(level.size for level in self._levels.values())
        return self._correlations(max(self._lengths)).inflation(size)

    def _correlations(self, length: int) -> Correlations:
        """Return the correlations from windows of at most *length*, of each part those that are known best."""
        levels = [self._levels[each].correlations for each in self._lengths if each <= length]
        best = levels[0]
        for further in levels[1:]:
            best = best.better(further)
        if self._partial is not None and not best.weights.any():
            return self._partial
        return best


def _pooled_freedom(first: tuple[Inflation, float], second: tuple[Inflation, float | Floats]) -> Floats:
    """
    Return the degrees of freedom of the sum of two variances, shape (features, parts).

    Source: Satterthwaite (1946).

    Args:
        first: an inflation, and the variance of independent rows that it multiplies.
        second: another; its variance may have the shape (features, 1).
    """
    own, other = (inflation.factor * variance for inflation, variance in (first, second))
    with np.errstate(divide="ignore"):
        freedom: Floats = (own + other) ** 2 / (own**2 / first[0].freedom + other**2 / second[0].freedom)
    return freedom
