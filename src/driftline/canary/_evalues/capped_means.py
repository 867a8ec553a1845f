"""E-values for a difference between two means of numbers with heavy tails, which are capped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftline.canary._evalues.bounds import search_bound
from driftline.canary._evalues.design_effect import (
    MIN_KEYS,
    KeyedCounts,
    combine_design_effects,
    effective_clusters,
    fold_blocks,
    keys_in_effect,
    with_prior,
)
from driftline.canary._evalues.means import log_normal_cdf
from driftline.typing import Floats

__all__ = ["CappedMeans", "Caps", "ValueSums", "log_e_of_difference"]

BEYOND_CAP = 0.015
"""
Largest share of the numbers of one sign that lie beyond their cap. Edges of bins are 41 % apart, so it is about 1 % on
average.
"""

MIN_OBSERVATIONS = 100
"""Observations that each variant needs before its mean is tested, because the test is asymptotic."""

OBSERVATIONS_PER_SKEWNESS = 30.0
"""
Observations per squared skewness of the capped numbers that each variant needs before its mean is tested. Kohavi, Deng,
Longbotham & Xu (2014) ask for 355 for intervals of two sides; in simulations 30 keep wrong verdicts below alpha.
"""

RELATIVE_EFFECTS = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Standard deviations of the mixture over effects, as shares of the baseline's mean size."""

EFFECT = 0.1
"""One more, as a multiple of the standard deviation of the numbers, for means that are near 0."""

REACH = 1e3
"""Standard errors from the observed difference within which a bound is searched; every bound lies within."""


def log_e_of_difference(difference: float, variance: float, scales: Sequence[float]) -> float:
    """
    Return the log e-value for a positive mean of an estimate that is normally distributed.

    The e-value is the mean of the normal mixtures of Robbins (1970), each over half a normal distribution of effects.

    Args:
        difference: the estimate.
        variance: its variance, at least 0. If it is 0, the estimate is exact.
        scales: standard deviations of the distributions of effects.
    """
    if variance <= 0.0:
        return math.inf if difference > 0.0 else 0.0
    z = difference / math.sqrt(variance)
    logs = []
    for scale in scales:
        information = scale * scale / variance
        # The part of the effect's prior variance that the observations have removed.
        known = information / (1.0 + information)
        logs.append(
            math.log(2.0) - 0.5 * math.log1p(information) + 0.5 * known * z * z + log_normal_cdf(z * math.sqrt(known))
        )
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))


@dataclass(frozen=True, slots=True)
class Caps:
    """
    The numbers beyond which an observation counts as if it were this number.

    Attributes:
        low: the negative cap; -inf if there is none.
        high: the positive cap; inf if there is none.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class ValueSums:
    """
    Observed numbers of both variants by bin of their size. The first axis of the arrays has baseline and candidate.

    Attributes:
        blocks: observations and their sum by block of time and bin, shape (2, blocks, bins, 2).
        keys: the observations with a key and their sum by bucket, shape (2, buckets, bins, 2); no buckets without keys.
        squares: sums of the squared distances from the edges *near*, shape (2, bins).
        near: the edge of each bin that is nearer to 0, shape (bins,).
        far: the edge of each bin that is farther from 0, same shape.
    """

    blocks: Floats
    keys: Floats
    squares: Floats
    near: Floats
    far: Floats

    def choose_caps(self) -> Caps:
        """Return edges of bins beyond which at most `BEYOND_CAP` of the baseline's numbers of one sign lie."""
        counts, caps = self.blocks[0, ..., 0].sum(axis=0), []
        for sign in (-1.0, 1.0):
            used = sign * self.far > 0.0
            order = np.argsort(sign * self.near[used])
            sizes, numbers = self.near[used][order], counts[used][order]
            beyond = np.cumsum(numbers[::-1])[::-1]
            allowed = sizes[(beyond > 0.0) & (beyond <= BEYOND_CAP * numbers.sum())]
            caps.append(float(allowed[0]) if len(allowed) else sign * math.inf)
        return Caps(*caps)


class CappedMeans:
    """
    The difference between the means of both variants' capped numbers, and evidence about it.

    The difference is the mean over strata, which are pairs of neighbouring blocks of time, with the weights n·m/(n + m)
    of Cochran (1954). Its variance is that of independent numbers times the design effect of keys and time.

    Args:
        sums: the observed numbers.
        inflation: the least design effect.

    Attributes:
        caps: the caps, from the baseline's numbers.
        count: observations of both variants, shape (2,).
        raw: means of all numbers as they are, shape (2,).
        means: means of the capped numbers, shape (2,).
        lost: share of the baseline's total that lies beyond the caps, in [0, 1].
        kept: share of the baseline's total that is of numbers within the caps, in [0, 1].
        attenuation: the change of the baseline's capped mean if all numbers change by a share, as a multiple of it.
        needed: observations that both variants need, shape (2,).
        keys: keys in effect of the variant that has fewer; infinity without keys.
        design_effect: the design effect.
        ready: whether there are enough observations and keys.
    """

    __slots__ = (
        "_inside",
        "_replaced",
        "_scales",
        "_strata",
        "_sums",
        "_variances",
        "attenuation",
        "caps",
        "count",
        "design_effect",
        "kept",
        "keys",
        "lost",
        "means",
        "needed",
        "raw",
        "ready",
    )

    def __init__(self, sums: ValueSums, *, inflation: float = 1.0) -> None:
        self._sums, self.caps = sums, sums.choose_caps()
        self._inside = (sums.far <= self.caps.high) & (sums.far >= self.caps.low)
        self._replaced = np.where(self._inside, 0.0, np.clip(sums.far, self.caps.low, self.caps.high))
        total = sums.blocks.sum(axis=1)
        self.count: Floats = total[..., 0].sum(axis=-1)
        count = np.maximum(self.count, 1.0)
        self.raw: Floats = total[..., 1].sum(axis=-1) / count
        self.means: Floats = self._capped(total) / count
        central = self._central_squares(total)
        self._variances: Floats = central / np.maximum(self.count - 1.0, 1.0)
        self.needed = self._observations_needed(total, central)
        sizes = np.abs(total[0, :, 1])
        whole, within = float(sizes.sum()), float(sizes[self._inside].sum())
        capped = float(np.where(self._inside, sizes, np.abs(self._replaced) * total[0, :, 0]).sum())
        self.lost, self.kept, self.attenuation = 0.0, 1.0, 1.0
        if capped > 0.0:
            self.lost, self.kept, self.attenuation = 1.0 - capped / whole, within / whole, within / capped
        spread = math.sqrt(float(self._variances.max()))
        self._scales = [effect * capped / float(count[0]) for effect in RELATIVE_EFFECTS] + [EFFECT * spread]
        # Shape (kind, variant, strata): observations and capped sums.
        blocks = np.stack([sums.blocks[..., 0].sum(axis=-1), self._capped(sums.blocks)])
        self._strata = fold_blocks(blocks)
        self.design_effect, self.keys = max(inflation, 1.0), math.inf
        self.ready = bool((self.count >= self.needed).all())
        if self.ready:
            self._estimate_design_effect(blocks)
            self.ready = self.keys >= MIN_KEYS

    def _capped(self, table: Floats) -> Floats:
        """Return the sums of capped numbers: shape (..., bins, 2) becomes (...)."""
        capped: Floats = table[..., 1] @ self._inside.astype(np.float64) + table[..., 0] @ self._replaced
        return capped

    def _central_squares(self, total: Floats) -> Floats:
        """Return the sums of squared deviations of the capped numbers from their means, shape (2,)."""
        near, means = self._sums.near, self.means[:, None]
        within = self._sums.squares + 2.0 * (near - means) * (total[..., 1] - near * total[..., 0])
        within += total[..., 0] * (near - means) ** 2
        beyond = total[..., 0] * (self._replaced - means) ** 2
        squares: Floats = np.maximum(np.where(self._inside, within, beyond), 0.0).sum(axis=-1)
        return squares

    def _observations_needed(self, total: Floats, central: Floats) -> Floats:
        """Return the observations that both variants need, shape (2,). Skewed numbers need more."""
        count = np.maximum(total[..., 0], 1.0)
        middles = np.where(self._inside, total[..., 1] / count, self._replaced) - self.means[:, None]
        observations = np.maximum(self.count, 1.0)
        cubes = (total[..., 0] * middles**3).sum(axis=-1) / observations
        variances = central / observations
        skewness = np.divide(cubes, variances**1.5, out=np.zeros(2), where=variances > 0.0)
        needed: Floats = np.maximum(MIN_OBSERVATIONS, np.ceil(OBSERVATIONS_PER_SKEWNESS * skewness**2))
        return needed

    def _estimate_design_effect(self, blocks: Floats) -> None:
        time, keys = self._time_effect(blocks), 1.0
        table = self._sums.keys
        if table[..., 0].any():
            counted = KeyedCounts.of(np.zeros(table.shape[:2]), table[..., 0].sum(axis=-1), None, self.count)
            self.keys = float(keys_in_effect(counted).min())
            keys = float(with_prior(self._key_inflation(counted).max(), counted))
        self.design_effect = max(self.design_effect, float(combine_design_effects(np.array(keys), np.array(time))))

    def _time_effect(self, blocks: Floats) -> float:
        """Return the design effect of time, as `time_design_effect` for rates; 1 without variance."""
        (n, m), (baseline, candidate) = blocks[:, :, blocks[0].all(axis=0)]
        weights = n * m / (n + m)
        differences = weights * (candidate / m - baseline / n)
        clusters = float(effective_clusters(weights))
        independent = float((weights**2 * (self._variances[1] / m + self._variances[0] / n)).sum())
        if clusters <= 1.0 or independent <= 0.0:
            return 1.0
        residuals = differences - weights * differences.sum() / weights.sum()
        return float((residuals**2).sum()) / independent * clusters / (clusters - 1.0)

    def _key_inflation(self, counted: KeyedCounts) -> Floats:
        """Return the inflation of the variance of each variant's mean by keys, shape (2,); 1 without variance."""
        keyed = counted.trials.sum(axis=-1)
        sums = self._capped(self._sums.keys)
        means = np.divide(sums.sum(axis=-1), keyed, out=np.zeros(2), where=keyed > 0.0)
        residuals = ((sums - means[:, None] * counted.trials) ** 2).sum(axis=-1)
        clusters = effective_clusters(counted.trials)
        residuals *= np.where(clusters > 1.0, clusters / np.maximum(clusters - 1.0, 1e-12), 1.0)
        independent = self._variances * (keyed + counted.single)
        total = residuals + counted.single * self._variances
        inflation: Floats = np.divide(total, independent, out=np.ones(2), where=independent > 0.0)
        return inflation

    def difference(self, slope: float = 1.0) -> tuple[float, float]:
        """Return (candidate's mean - slope · baseline's mean, its variance); (0, inf) without common strata."""
        (n, m), (baseline, candidate) = self._strata[:, :, self._strata[0].all(axis=0)]
        if not len(n):
            return 0.0, math.inf
        weights = n * m / (n + m)
        weights /= weights.sum()
        difference = float((weights * (candidate / m - slope * baseline / n)).sum())
        variance = float((weights**2 * (self._variances[1] / m + slope**2 * self._variances[0] / n)).sum())
        return difference, self.design_effect * variance

    def log_e(self, *, slope: float = 1.0, offset: float = 0.0, side: int = 1, scale: float = 1.0) -> float:
        """
        Return the log e-value for a candidate's mean above, or below, slope · the baseline's mean + offset.

        Args:
            slope: factor on the baseline's mean.
            offset: number that is added to slope · the baseline's mean.
            side: 1 for evidence that the candidate's mean is larger, -1 for smaller.
            scale: factor on the number of observations, to estimate the evidence after more of them.

        Returns:
            The natural logarithm of the e-value; 0 if the comparison is not *ready*.
        """
        difference, variance = self.difference(slope)
        if not self.ready or math.isinf(variance):
            return 0.0
        return log_e_of_difference(side * (difference - offset), variance / scale, self._scales)

    def bound(self, side: int, level: float) -> float:
        """Return the lower (*side* 1) or upper (-1) bound of the difference; infinite if there is none yet."""
        difference, variance = self.difference()
        if not self.ready or math.isinf(variance):
            return -side * math.inf
        error = math.sqrt(variance)
        if not error:
            return difference

        def log_e(value: float) -> float:
            return log_e_of_difference(side * (difference - value), variance, self._scales)

        return search_bound(log_e, difference, difference - side * REACH * error, -math.log(level), error)
