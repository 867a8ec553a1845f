"""The long-run variance: how much the mean of any number of consecutive rows varies, from differences of blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftline._significance.common import PRIOR_DIFFERENCES, Common, logarithms
from driftline._significance.interpolation import Between
from driftline.typing import Floats

__all__ = ["LongRun", "long_run"]

PRIOR = 1.0
"""The factor assumed before any difference is known: that of independent rows."""

MOST_BORROWED = 64.0
"""
Most differences that the factor of the next shorter blocks counts for. With fewer, long blocks have factors of a
handful of differences; with more, they never show dependence of their own (tuned on the streams of
``benchmarks/detection/lumpy.py``).
"""

LEAST_OF_SHORTER = 0.8
"""Smallest factor of a block length relative to the next shorter one. Dependence hardly ever falls with length."""

COMMON_DIFFERENCES = 24.0
"""Number of differences of all features together that the growth so far counts for."""

TOGETHER, MOST_OF_ONE = 0.5, 8.0
"""
Share of the differences of all features that counts for the common growth, because features are seldom independent, and
the most that one of them counts for.
"""

MOST_GROWTH = 2.5
"""Largest growth of the factor from one length to the next that is continued to lengths that are not known."""

GROWTH_DIFFERENCES = 8.0
"""
Number of differences that no further growth counts for. One pair of blocks of independent rows that differ by chance
must not be continued over many lengths.
"""


@dataclass(frozen=True, slots=True, eq=False)
class LongRun:
    """
    Variance of the mean of n rows, in units of the variance of one row, for lengths n that double.

    Attributes:
        lengths: shape (levels,), rows, ascending.
        factors: shape (levels, features, parts), n times the variance of the mean of n rows. 1 for independent rows.
        freedom: the same shape, degrees of freedom of *factors*.
    """

    lengths: Floats
    factors: Floats
    freedom: Floats

    def at(self, rows: float) -> tuple[Floats, Floats]:
        """Return the factors and their degrees of freedom for a number of rows, shape (features, parts) each."""
        between = Between.of(self.lengths, rows)
        return between.mean(self.factors), np.minimum(self.freedom[between.low], self.freedom[between.high])


def long_run(
    means: Floats,
    numbers: Floats,
    lengths: Floats,
    prior: Floats | float = PRIOR_DIFFERENCES,
    common: Common | None = None,
) -> LongRun:
    """
    Estimate the long-run variance from the squared differences of neighbouring blocks.

    With h(n) half the mean squared difference of neighbouring means of n rows, V(n) = h(n) / 2 + V(2n): the variance of
    a mean about the process splits into what two neighbours do not share and what they do. A constant shift is in no
    difference. Each length borrows from the next shorter one where it has few differences itself.

    Source: the Haar wavelet variance (Percival 1995, *On estimation of the wavelet variance*).

    Args:
        means: shape (levels, features, parts), mean squared differences, each divided by 1/n + 1/m and by the variance
            of one row. Where nothing is known, any number.
        numbers: the same shape, number of differences.
        lengths: shape (levels,), rows per block. Each is twice the one before.
        prior: number of differences that the factor of independent rows counts for at the shortest blocks, a number or
            of shape (parts,).
        common: what features have in common. If None, rows are assumed to be independent where nothing is known.
    """
    size = means.shape[1:]
    levels = len(lengths)
    factors, freedom = np.empty(means.shape), np.empty(means.shape)
    owned, lent = np.zeros(means.shape), np.zeros(means.shape)
    has = numbers > 0.0
    known, inverse = np.where(has, means, 0.0), np.where(has, 1.0 / np.maximum(numbers, 1.0), 0.0)
    reached = [bool(each.any()) for each in has]
    before, apart = np.full(size, PRIOR), np.zeros(size)
    least = np.broadcast_to(np.asarray(prior, dtype=np.float64), size)
    borrowed = least
    alike = np.ones(size) if common is None else common.alike
    if common is not None:
        before, borrowed = common.factor, common.freedom
    freedom_before, steady = borrowed, np.zeros(size[1:])
    for level in range(levels):
        number, expected = numbers[level], np.zeros(size)
        if level > 0:
            weight, seen = _common_growth(known[level], number, before)
            here = (weight * seen + COMMON_DIFFERENCES * steady) / (weight + COMMON_DIFFERENCES)
            expected = np.clip(alike * here + apart, np.log(LEAST_OF_SHORTER), np.log(MOST_GROWTH))
            sure = np.maximum(seen - np.sqrt(2.0 / np.maximum(weight, 1.0)), 0.0)
            steady = (weight * sure + COMMON_DIFFERENCES * steady) / (weight + COMMON_DIFFERENCES)
        continued = np.exp(expected) * before
        if reached[level]:
            total = number + borrowed
            share = borrowed / total
            own = 1.0 - share
            factors[level] = np.maximum(own * known[level] + share * continued, LEAST_OF_SHORTER * continued)
            freedom[level] = np.minimum(1.0 / (own**2 * inverse[level] + share**2 / freedom_before), total)
            owned[level], lent[level] = own**2 * inverse[level], share * continued / np.maximum(before, 1e-12)
            if level > 0:
                grown = np.log(factors[level] / np.maximum(continued, 1e-12))
                apart = (number * grown + GROWTH_DIFFERENCES * apart) / (number + GROWTH_DIFFERENCES)
        else:
            factors[level], freedom[level] = continued, np.minimum(freedom_before, borrowed)
            lent[level] = continued / np.maximum(before, 1e-12)
        before, freedom_before = factors[level], freedom[level]
        borrowed = np.minimum(np.maximum(freedom_before, least), MOST_BORROWED)
    return LongRun(lengths, *_sum_up(factors, freedom, owned, lent, lengths))


def _common_growth(known: Floats, number: Floats, before: Floats) -> tuple[Floats, Floats]:
    """
    Return how much the factor of all features together grows from one length to the next, as a logarithm.

    Each feature counts by its number of differences, in units of the feature's factor of the shorter length. So those
    whose rows depend on each other most do not outweigh the others.

    Args:
        known: shape (features, parts), mean squared differences of the length.
        number: their number.
        before: factors of the next shorter length.

    Returns:
        shape (parts,) each: the number of differences that it counts for, and the logarithm.
    """
    whole = number.sum(axis=0)
    grown = known / np.maximum(before, 1e-12)
    ratio = (number * grown).sum(axis=0) / np.maximum(whole, 1e-12)
    limited = np.clip(np.where(whole > 0.0, ratio, 1.0), 1.0 / MOST_GROWTH, MOST_GROWTH)
    counted = TOGETHER * np.minimum(number, MOST_OF_ONE).sum(axis=0)
    return counted / (1.0 + 0.5 * counted * _unlike(grown, number)), np.log(limited)


def _unlike(ratios: Floats, number: Floats) -> Floats:
    """
    Return the variance between features of the logarithm of their growth, beyond that of chance, shape (parts,).

    Args:
        ratios: shape (features, parts), their growth.
        number: the same shape, number of differences of each.
    """
    has, half, logs = logarithms(ratios, number)
    count = has.sum(axis=0)
    center = logs.sum(axis=0) / np.maximum(count, 1)
    degrees = np.maximum(count - 1.0, 1.0)
    variance = np.where(has, (logs - center) ** 2, 0.0).sum(axis=0) / degrees
    # The variance of the logarithm of a chi-square over its degrees of freedom: the trigamma function.
    chance = np.where(has, 1.0 / half + 1.0 / (2.0 * half**2), 0.0).sum(axis=0) / np.maximum(count, 1)
    unlike: Floats = np.maximum(variance - chance * (1.0 + np.sqrt(2.0 / degrees)), 0.0)
    return unlike


def _sum_up(factors: Floats, freedom: Floats, owned: Floats, lent: Floats, lengths: Floats) -> tuple[Floats, Floats]:
    """
    Return the factors of means and their degrees of freedom, from those of differences.

    From the longest length down: V(n) = h(n) / 2 + V(2n), and beyond the longest the factor stays as it is. What a
    length borrows from the shorter one has the same error, so the errors of lengths are added up by their origin.

    Args:
        factors: shape (levels, features, parts), as all others but *lengths*; factors of the differences.
        freedom: their degrees of freedom.
        owned: squared weight of the differences of a length itself, divided by their number.
        lent: change of a factor with that of the next shorter length.
        lengths: shape (levels,), rows per block.
    """
    halves = 1.0 / (2.0 * lengths)
    variance, later = factors[-1] * halves[-1], np.zeros(factors.shape[1:])
    weight = np.full(factors.shape[1:], halves[-1])
    whole, degrees = np.empty(factors.shape), np.empty(factors.shape)
    for level in range(len(lengths) - 1, -1, -1):
        variance = variance + factors[level] * halves[level]
        weight = weight + halves[level]
        spread = (weight * factors[level]) ** 2 / freedom[level] + later
        whole[level] = np.maximum(variance * lengths[level], PRIOR)
        degrees[level] = variance**2 / np.maximum(spread, 1e-300)
        later = later + (weight * factors[level]) ** 2 * owned[level]
        weight = weight * lent[level]
    return whole, degrees
