"""`Moments` of observed numbers, and e-values for a difference between two means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Moments", "log_e_two_means", "log_normal_cdf", "mean_difference_bounds"]

MIN_OBSERVATIONS = 100
"""Observations that each variant needs before its mean is tested, because the tests are asymptotic."""

OBSERVATIONS_PER_SKEWNESS = 355.0
"""
Observations that a variant needs per squared skewness before its mean is tested. With these, skewness does not distort
intervals of 95 %: Kohavi, Deng, Longbotham & Xu (2014), *Seven rules of thumb for web site experimenters*, rule 7.
"""

EFFECT = 0.1
"""Standard deviation of the mixture over effects, as a multiple of that of the observations (Cohen's d)."""

BISECTIONS = 30
"""Bisection steps of a bound; thirty make it accurate to a billionth of `REACH` standard errors."""

REACH = 1e3
"""Standard errors from the observed difference within which a bound is searched; every bound lies within."""


@dataclass(frozen=True, slots=True)
class Moments:
    """
    Count, mean, and sums of squared and cubed deviations from the mean, of observed numbers.

    ``a + b`` are the moments of all numbers of *a* and *b* together (Chan et al. 1983; Pébay 2008).

    Attributes:
        count: how many numbers.
        mean: their mean; 0 without numbers.
        squares: sum of squared deviations from the mean.
        cubes: sum of cubed deviations from the mean.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """Return the moments of *values*."""
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
        """Number of observations that are needed before the mean is tested; skewed numbers need more."""
        if self.squares <= 0.0:
            return MIN_OBSERVATIONS
        skewness: float = self.cubes / self.count / (self.squares / self.count) ** 1.5
        return max(MIN_OBSERVATIONS, math.ceil(OBSERVATIONS_PER_SKEWNESS * skewness**2))


Pairs: TypeAlias = "Sequence[tuple[Moments, Moments]]"
"""(baseline's moments, candidate's moments) of each stratum."""


def _weighted_difference(pairs: Pairs, slope: float) -> tuple[float, float, float] | None:
    """
    Average (candidate's mean - slope · baseline's mean) over strata, and return it with its accuracy.

    Strata have the weights n·m/(n + m) of Cochran (1954) and Mantel & Haenszel (1959); n and m are their observations.

    Returns:
        (average, its squared standard error, larger of the two variants' variances of observations). None if either
        variant has fewer observations than `Moments.needed`.
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
    Return the log e-value for a candidate's mean above, or below, slope · the baseline's mean + offset.

    The e-value is the normal mixture of Robbins (1970), over half a normal distribution of effects. Its time is the
    information in the observations (Jennison & Turnbull 1997). Variances are estimated, as in the asymptotic confidence
    sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024).

    Args:
        pairs: (baseline's moments, candidate's moments) of each stratum.
        slope: factor on the baseline's mean.
        offset: number that is added to slope · the baseline's mean.
        side: 1 for evidence that the candidate's mean is larger, -1 for smaller.
        scale: factor on the number of observations, to estimate the evidence after more of them.

    Returns:
        The natural logarithm of the e-value; 0 if either variant has fewer observations than `Moments.needed`.
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
    return 0.5 * math.log1p(-known) + 0.5 * known * z * z + math.log(2.0) + log_normal_cdf(z * math.sqrt(known))


def log_normal_cdf(z: float) -> float:
    """Return the logarithm of the standard normal distribution function."""
    if z > -30.0:  # noqa: PLR2004 - below it the tail is smaller than the smallest float
        return math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))
    return -0.5 * z * z - math.log(-z * math.sqrt(2.0 * math.pi))


def mean_difference_bounds(
    pairs: Pairs, *, lower: float, upper: float, scale: float = 1.0
) -> tuple[float, float] | None:
    """
    Return (lower bound, upper bound) of candidate's mean - baseline's mean, which may be read at any time.

    Args:
        pairs: (baseline's moments, candidate's moments) of each stratum.
        lower: probability that the lower bound is ever wrong, in (0, 1).
        upper: probability that the upper bound is ever wrong, in (0, 1).
        scale: factor on the number of observations, such as 1 / variance inflation.

    Returns:
        (lower, upper), in the unit of the observations. None if either variant has fewer observations than
        `Moments.needed`.
    """
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
