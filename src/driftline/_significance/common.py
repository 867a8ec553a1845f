"""What the features have in common: how much their rows depend on each other, where each has few differences itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from driftline.typing import Floats

__all__ = ["PRIOR_DIFFERENCES", "Common", "find_common", "logarithms"]

LEAST_FREEDOM, MOST_FREEDOM = 4.0, 32.0
"""Limits of the number of differences that the common factor counts for. With 4, each feature soon has its own."""

ALONE = 2.0
"""Number of features that independent rows, and features that have nothing in common, count for."""

UNALIKE = 0.645
"""Variance of the logarithm of a mean of four squared differences: that of features with nothing in common."""

PRIOR_DIFFERENCES = 4.0
"""Number of differences that the factor of independent rows counts for at the shortest blocks."""

ODDS = 20.0
"""Odds that a feature is like the others before its own differences are seen."""

MOST_COMPARED = 16.0
"""
Most differences that count when a feature is compared with the others. With more, a feature of half of the common
factor would be unlike the others, although its longer blocks have the same growth.
"""


class Common(NamedTuple):
    """
    What is common to the features, as far as it fits each of them.

    Attributes:
        factor: shape (features, parts), variance factor of the differences of the shortest blocks; at least 1.
        freedom: the same shape, number of differences that the factor counts for.
        alike: the same shape, probability that the feature is like the others.
    """

    factor: Floats
    freedom: Floats
    alike: Floats


def find_common(means: Floats, numbers: Floats) -> Common:
    """
    Return what the factors of the features have in common.

    Means of few squared differences vary around the factor of a feature, and the factors around a common one. As in
    Smyth (2004), *Linear models and empirical Bayes methods*, the logarithms tell how much each of the two does. A mean
    of logarithms is not moved by a single feature whose rows depend on each other strongly.

    Args:
        means: shape (features, parts), mean squared differences of the shortest blocks, 1 for independent rows.
        numbers: the same shape, number of squared normal values in each mean; 0 where nothing is known.
    """
    positive, inverse, logs = logarithms(means, numbers)
    has = positive > 0.0
    # The variance of the logarithm of a chi-square over its degrees of freedom: the trigamma function.
    noise = inverse + 0.5 * inverse**2 + inverse**3 / 6.0
    count = positive.sum(axis=0)
    center = logs.sum(axis=0) / (len(logs) + ALONE)
    surplus = np.where(has, (logs - center) ** 2 - noise, 0.0).sum(axis=0)
    surplus = np.maximum((surplus + UNALIKE) / (count + 1.0), 1e-3)
    freedom = np.clip((1.0 + np.sqrt(1.0 + 2.0 * surplus)) / surplus, LEAST_FREEDOM, MOST_FREEDOM)
    center = np.maximum(center, 0.0)
    typical = np.maximum(logs.sum(axis=0) / np.maximum(count, 1), 0.0)
    alike = _alike(np.where(has, means, 1.0) / np.exp(typical), np.where(has, numbers, 0.0))
    return Common(np.exp(alike * center), alike * freedom + (1.0 - alike) * PRIOR_DIFFERENCES, alike)


def logarithms(means: Floats, numbers: Floats) -> tuple[Floats, Floats, Floats]:
    """
    Return where a mean of squared normal values is known, the inverse of half of its number of values, and its
    logarithm.

    The bias of the logarithm of a chi-square over its degrees of freedom, a digamma function, is removed.

    Args:
        means: the means.
        numbers: the same shape, number of squared values in each; 0 where nothing is known.

    Returns:
        Arrays of the same shape. The first is 1 where a mean is known, else all are 0.
    """
    has = (numbers > 0.0) & (means > 0.0)
    positive = has.astype(np.float64)
    inverse = positive / np.maximum(0.5 * numbers, 0.5)
    logs = np.log(np.where(has, means, 1.0)) + inverse * (0.5 + inverse / 12.0)
    return positive, inverse, logs


def _alike(ratios: Floats, numbers: Floats) -> Floats:
    """
    Return the probability that a feature is like the others, of the shape of the arguments.

    It compares two likelihoods of the differences: with the common factor, and with a factor of their own, which costs
    half of the logarithm of their number (Schwarz 1978).

    Args:
        ratios: mean squared differences, in units of the common factor.
        numbers: number of squared normal values in each.
    """
    compared = np.minimum(numbers, MOST_COMPARED)
    gain = 0.5 * compared * (ratios - 1.0 - np.log(ratios)) - 0.5 * np.log(np.maximum(compared, 1.0))
    result: Floats = ODDS / (ODDS + np.exp(np.minimum(gain, 700.0)))
    return result
