"""Moments of numbers in bounded memory, and anytime-valid evidence about two means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Moments", "log_e_two_means", "mean_difference_bounds"]

MIN_OBSERVATIONS = 100
"""Observations of each variant before its mean is tested: the tests are asymptotic."""

OBSERVATIONS_PER_SKEWNESS = 355.0
"""
Observations per squared skewness before a mean is tested: Kohavi, Deng, Longbotham & Xu (2014), *Seven rules of thumb
for web site experimenters*, rule 7. With these, the skewness of the sampling distribution no longer matters at 95 %.
"""

EFFECT = 0.1
"""Standard deviation of the mixture over effects, in standard deviations of the observations: Cohen's d of 0.1."""

BISECTIONS = 30
"""Bisection steps of a bound: to a billionth of `REACH` standard errors."""

REACH = 1e3
"""Distance of the outermost bound from the observed difference, in standard errors: no level excludes it."""


@dataclass(frozen=True, slots=True)
class Moments:
    """
    Count, mean, and the sums of squared and cubed deviations from the mean of some numbers.

    Moments of several threads, processes or hosts add up with ``+`` (Chan et al. 1983; Pébay 2008).
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """Return the moments of some numbers."""
        total = cls()
        for value in values:
            total += cls(1, float(value))
        return total

    def __add__(self, other: Moments) -> Moments:
        n, m = self.count, other.count
        if not n or not m:
            return self if n else other
        total, step = n + m, other.mean - self.mean
        return Moments(
            total,
            self.mean + step * m / total,
            self.squares + other.squares + step**2 * n * m / total,
            self.cubes
            + other.cubes
            + step**3 * n * m * (n - m) / total**2
            + 3.0 * step * (n * other.squares - m * self.squares) / total,
        )

    @property
    def variance(self) -> float:
        """The variance of the observations, with the divisor n - 1; 0 for fewer than two."""
        return self.squares / (self.count - 1) if self.count > 1 else 0.0

    @property
    def needed(self) -> int:
        """Observations that are needed before the mean is tested."""
        if self.squares <= 0.0:
            return MIN_OBSERVATIONS
        skewness: float = self.cubes / self.count / (self.squares / self.count) ** 1.5
        return max(MIN_OBSERVATIONS, math.ceil(OBSERVATIONS_PER_SKEWNESS * skewness**2))


Pairs: TypeAlias = "Sequence[tuple[Moments, Moments]]"
"""Baseline and candidate of each stratum."""


def _weighted_difference(pairs: Pairs, slope: float) -> tuple[float, float, float] | None:
    """
    Return the mean of (candidate - slope · baseline) over strata, its squared error, and the larger variance.

    Strata have the weights n·m/(n + m) of Cochran, Mantel and Haenszel. None before there are enough observations.
    """
    pairs = [pair for pair in pairs if min(moments.count for moments in pair) > 1]
    pooled = [sum((pair[side] for pair in pairs), start=Moments()) for side in (0, 1)]
    if not pairs or any(moments.count < moments.needed for moments in pooled):
        return None
    weights = [a.count * b.count / (a.count + b.count) for a, b in pairs]
    total = sum(weights)
    difference = error = 0.0
    for weight, (a, b) in zip(weights, pairs, strict=True):
        difference += weight / total * (b.mean - slope * a.mean)
        error += (weight / total) ** 2 * (b.variance / b.count + slope**2 * a.variance / a.count)
    return difference, error, max(moments.variance for moments in pooled)


def log_e_two_means(
    pairs: Pairs, *, slope: float = 1.0, offset: float = 0.0, side: int = 1, scale: float = 1.0
) -> float:
    """
    Return the evidence that the candidate's mean lies beyond slope · the baseline's mean + offset.

    The normal mixture of Robbins (1970) over half a normal distribution of effects, in the time of the information in
    the observations (Jennison & Turnbull 1997), with estimated variances: the asymptotic confidence sequence of
    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024). It is asymptotic, so it is 0 before `Moments.needed`.

    Args:
        pairs: baseline and candidate of each stratum.
        slope: with *offset* the edge of the null hypothesis.
        offset: see *slope*.
        side: 1: evidence that the mean is larger; -1: smaller.
        scale: factor on the number of observations, to look ahead.

    Returns:
        The logarithm of the e-value.
    """
    estimate = _weighted_difference(pairs, slope)
    if estimate is None:
        return 0.0
    difference, error, variance = side * (estimate[0] - offset), estimate[1] / scale, estimate[2]
    if error <= 0.0:
        # Both variants are constant, so the difference is exact.
        return math.inf if difference > 0.0 else 0.0
    # The part of the effect's prior variance that the observations have removed.
    known = EFFECT**2 * variance / (EFFECT**2 * variance + error)
    z = difference / math.sqrt(error)
    return 0.5 * math.log1p(-known) + 0.5 * known * z * z + math.log(2.0) + _log_normal_cdf(z * math.sqrt(known))


def _log_normal_cdf(z: float) -> float:
    if z > -30.0:  # noqa: PLR2004 - below it the tail is smaller than the smallest float
        return math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))
    return -0.5 * z * z - math.log(-z * math.sqrt(2.0 * math.pi))


def mean_difference_bounds(
    pairs: Pairs, *, lower: float, upper: float, scale: float = 1.0
) -> tuple[float, float] | None:
    """Return bounds of (candidate's mean - baseline's mean), each of its level; None before there are any."""
    estimate = _weighted_difference(pairs, 1.0)
    if estimate is None:
        return None
    difference, reach = estimate[0], REACH * math.sqrt(estimate[1] / scale)
    bounds = []
    for side, level in ((1, lower), (-1, upper)):
        near, far = 0.0, reach
        for _ in range(BISECTIONS):
            middle = 0.5 * (near + far)
            log_e = log_e_two_means(pairs, offset=difference - side * middle, side=side, scale=scale)
            near, far = (middle, far) if log_e < -math.log(level) else (near, middle)
        bounds.append(difference - side * far)
    return bounds[0], bounds[1]
