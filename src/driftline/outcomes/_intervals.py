"""
Two-sided 95 % intervals of proportions and means from counts and moments, with plain Python.

They hold for independent values and for one look. `docs/outcomes-statistics.md` has their measured coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["Z", "bounded_mean_interval", "mean_interval", "positive_mean_interval", "proportion_interval", "solve"]

Z = 1.959964
"""The 97.5 % quantile of the normal distribution."""

TAIL = 0.025
"""Probability of each tail outside an interval."""

EXACT_TRIALS = 20
"""Fewest trials for which Agresti and Coull's interval covers at least 93 %. With fewer, the interval is exact."""

MAX_LOG_WIDTH = 30.0
"""Largest half width of an interval on the scale of logarithms: a factor of 1e13."""

STEPS = 50
"""Halvings of an interval in `solve`, after which its ends are neighbouring floats."""


def solve(is_below: Callable[[float], bool], low: float, high: float) -> float:
    """Return the number between *low* and *high* up to which *is_below* is True, by bisection."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2


def proportion_interval(successes: float, trials: float) -> tuple[float, float]:
    """
    Return the interval of a proportion.

    Sources: Agresti & Coull 1998, *Approximate is better than "exact" for interval estimation of binomial proportions*.
    For fewer than 20 whole trials the interval of Clopper & Pearson 1934.

    >>> [round(bound, 3) for bound in proportion_interval(80, 100)]
    [0.71, 0.867]
    """
    if not trials:
        return 0.0, 1.0
    if trials < EXACT_TRIALS and trials == int(trials) and successes == int(successes):
        return _exact_interval(int(successes), int(trials))
    rows = trials + Z * Z
    middle = (successes + Z * Z / 2) / rows
    half = Z * math.sqrt(middle * (1 - middle) / rows)
    share = successes / trials
    # Rounding must not leave the proportion itself outside the interval.
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def _exact_interval(successes: int, trials: int) -> tuple[float, float]:
    def at_most(number: int, share: float) -> float:
        return sum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(number + 1))

    low = 0.0 if not successes else solve(lambda p: 1 - at_most(successes - 1, p) < TAIL, 0.0, 1.0)
    high = 1.0 if successes == trials else solve(lambda p: at_most(successes, p) > TAIL, 0.0, 1.0)
    share = successes / trials
    return min(low, share), max(high, share)


def bounded_mean_interval(mean: float, variance: float, rows: int) -> tuple[float, float]:
    """
    Return the interval of the mean of values in [0, 1].

    It is that of a proportion with ``rows / f`` trials. f is the variance divided by that of values which are 0 or 1,
    with one value of 0 and of 1 added to the data. So a rare large value that has not occurred yet is allowed for.

    Args:
        mean: their mean.
        variance: their variance, with the divisor *rows*.
        rows: their number.
    """
    total = rows + 2
    middle = (mean * rows + 1) / total
    square = ((variance + mean * mean) * rows + 1) / total
    factor = min(1.0, max((square - middle * middle) / (middle * (1 - middle)), 1e-12))
    trials = rows / factor
    rows_and_more = trials + Z * Z
    center = (mean * trials + Z * Z / 2) / rows_and_more
    half = Z * math.sqrt(center * (1 - center) / rows_and_more)
    return min(mean, max(0.0, center - half)), max(mean, min(1.0, center + half))


def mean_interval(mean: float, variance: float, rows: int) -> tuple[float, float]:
    """
    Return the interval of a mean, by Student's t. *variance* has the divisor *rows*, which is at least 2.

    >>> [round(bound, 2) for bound in mean_interval(0.0, 9.0, 10)]
    [-2.26, 2.26]
    """
    half = student_quantile(rows - 1) * math.sqrt(variance / (rows - 1))
    return mean - half, mean + half


def positive_mean_interval(mean: float, variance: float, rows: int) -> tuple[float, float]:
    """
    Return the interval of the mean of positive values, whose distribution is skewed.

    It is symmetric on the scale of logarithms, from the delta method, so that it stays above 0.

    Args:
        mean: their mean, at least 0.
        variance: their variance, with the divisor *rows*.
        rows: their number, at least 2.
    """
    if mean <= 0.0:
        return mean, mean
    # Student's t instead of the normal quantile, because the variance is estimated. Beyond the limit both ends say
    # nothing.
    half = min(student_quantile(rows - 1) * math.sqrt(variance / (rows - 1)) / mean, MAX_LOG_WIDTH)
    return mean * math.exp(-half), mean * math.exp(half)


def student_quantile(degrees: int) -> float:
    """
    Return the 97.5 % quantile of Student's t, within 0.5 %.

    Source: Cornish & Fisher 1937; one and two degrees of freedom exactly.
    """
    if degrees == 1:
        return 12.7062
    if degrees == 2:  # noqa: PLR2004 - see above
        return 4.3027
    z, n = Z, float(degrees)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / n + second / n**2 + third / n**3 + fourth / n**4
