"""Numbers in bounded memory: their moments, and anytime-valid evidence about two means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Moments", "bounds_of_means", "log_e_two_means"]

LEAST = 100
"""Observations of each variant before a mean is judged: the tests are asymptotic."""

SKEW = 355.0
"""
Observations per squared skewness before a mean is judged: Kohavi, Deng, Longbotham & Xu (2014), *Seven rules of thumb
for web site experimenters*, rule 7; the rule is for a sampling distribution whose skewness no longer matters at 95 %.
"""

EFFECT = 0.1
"""Standard deviation of the mixture over effects, in standard deviations of the observations: Cohen's d of 0.1."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean, and the sums of squared and cubed deviations from it; they add up (Chan et al. 1983; Pébay 2008)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        """The moments of some numbers."""
        found = cls()
        for value in values:
            found += cls(1, float(value))
        return found

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
        """The variance of the observations (n - 1 below); 0 for fewer than two."""
        return self.squares / (self.count - 1) if self.count > 1 else 0.0

    @property
    def needed(self) -> int:
        """Observations that must be there before the mean is judged."""
        if self.squares <= 0.0:
            return LEAST
        skewness: float = self.cubes / self.count / (self.squares / self.count) ** 1.5
        return max(LEAST, math.ceil(SKEW * skewness**2))


Pairs: TypeAlias = "Sequence[tuple[Moments, Moments]]"
"""Baseline and candidate of each stratum."""


def _difference(pairs: Pairs, slope: float) -> tuple[float, float, float] | None:
    """
    Mean of (candidate - slope · baseline) over strata, its squared error, and the larger variance of the observations.

    Strata weigh n·m/(n + m), as by Cochran, Mantel and Haenszel. None before there is enough to judge.
    """
    pairs = [pair for pair in pairs if min(one.count for one in pair) > 1]
    pooled = [sum((pair[place] for pair in pairs), start=Moments()) for place in (0, 1)]
    if not pairs or any(one.count < one.needed for one in pooled):
        return None
    weights = [a.count * b.count / (a.count + b.count) for a, b in pairs]
    whole = sum(weights)
    difference = error = 0.0
    for weight, (a, b) in zip(weights, pairs, strict=True):
        difference += weight / whole * (b.mean - slope * a.mean)
        error += (weight / whole) ** 2 * (b.variance / b.count + slope**2 * a.variance / a.count)
    return difference, error, max(one.variance for one in pooled)


def log_e_two_means(
    pairs: Pairs, *, slope: float = 1.0, offset: float = 0.0, side: int = 1, scale: float = 1.0
) -> float:
    """
    Evidence that the candidate's mean lies beyond slope · the baseline's + offset; side as in `log_e_two_rates`.

    The normal mixture of Robbins (1970) over half a normal distribution of effects, in the time of the information that
    the observations have brought (Jennison & Turnbull 1997), with estimated variances: the asymptotic confidence
    sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024). Asymptotic: 0 before `Moments.needed`.

    Args:
        pairs: baseline and candidate of each stratum.
        slope: with *offset* the edge of the null hypothesis.
        offset: see *slope*.
        side: 1: evidence that the mean is larger; -1: smaller.
        scale: as if there were so many times the observations.

    Returns:
        The logarithm of the e-value.
    """
    found = _difference(pairs, slope)
    if found is None:
        return 0.0
    difference, error, variance = side * (found[0] - offset), found[1] / scale, found[2]
    if error <= 0.0:
        # Constants on both sides: they differ by this for certain, or they do not.
        return math.inf if difference > 0.0 else 0.0
    # The part of the effect's variance that the observations have taken away.
    known = EFFECT**2 * variance / (EFFECT**2 * variance + error)
    z = difference / math.sqrt(error)
    return 0.5 * math.log1p(-known) + 0.5 * known * z * z + math.log(2.0) + _log_normal_cdf(z * math.sqrt(known))


def _log_normal_cdf(z: float) -> float:
    if z > -30.0:  # noqa: PLR2004 - below it the tail is smaller than the smallest float
        return math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))
    return -0.5 * z * z - math.log(-z * math.sqrt(2.0 * math.pi))


BISECTIONS = 30
"""Of a bound: to a billionth of `REACH` standard errors."""

REACH = 1e3
"""Standard errors beyond which no bound lies: at fewer the evidence is beyond any level."""


def bounds_of_means(pairs: Pairs, *, lower: float, upper: float, scale: float = 1.0) -> tuple[float, float] | None:
    """Bounds of (candidate's mean - baseline's mean), one of each level; None before there are any."""
    found = _difference(pairs, 1.0)
    if found is None:
        return None
    seen, reach = found[0], REACH * math.sqrt(found[1] / scale)
    bounds = []
    for side, level in ((1, lower), (-1, upper)):
        near, far = 0.0, reach
        for _ in range(BISECTIONS):
            middle = 0.5 * (near + far)
            evidence = log_e_two_means(pairs, offset=seen - side * middle, side=side, scale=scale)
            near, far = (middle, far) if evidence < -math.log(level) else (near, middle)
        bounds.append(seen - side * far)
    return bounds[0], bounds[1]
