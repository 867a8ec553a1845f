"""The long-run variance: how much the mean of any number of consecutive rows varies, from differences of blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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

LOG_LEAST_OF_SHORTER, LOG_MOST_GROWTH = float(np.log(LEAST_OF_SHORTER)), float(np.log(MOST_GROWTH))
"""The same limits as logarithms."""

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
        freedom = np.minimum(self.freedom[between.low], self.freedom[between.high])
        return np.ascontiguousarray(between.mean(self.factors)), np.ascontiguousarray(freedom)


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
    # Features last: sums over them, and numbers of a part, then run along rows without gaps.
    known, number = (np.ascontiguousarray(each.swapaxes(1, 2)) for each in (means, numbers))
    has = number > 0.0
    known, inverse = np.where(has, known, 0.0), has / np.maximum(number, 1.0)
    growth = _Growth.of(known, number)
    sure = number + GROWTH_DIFFERENCES
    size = number.shape[1:]
    factors, freedom = np.empty(number.shape), np.empty(number.shape)
    owned, lent = np.zeros(number.shape), np.empty(number.shape)
    before, apart, steady = np.full(size, PRIOR), np.zeros(size), np.zeros((size[0], 1))
    least = np.ascontiguousarray(np.broadcast_to(np.reshape(np.asarray(prior, dtype=np.float64), (-1, 1)), size))
    borrowed, alike = least, np.ones(size)
    if common is not None:
        before, borrowed, alike = (np.ascontiguousarray(each.T) for each in common)
    log_before, freedom_before = np.log(before), borrowed
    for level, reached in enumerate(growth.reached):
        expected = np.zeros(size)
        if level > 0:
            here = steady
            if reached:
                weight, seen = growth.at(level, before, log_before)
                total = weight + COMMON_DIFFERENCES
                here = (weight * seen + COMMON_DIFFERENCES * steady) / total
                certain = np.maximum(seen - np.sqrt(2.0 / np.maximum(weight, 1.0)), 0.0)
                steady = (weight * certain + COMMON_DIFFERENCES * steady) / total
            expected = np.minimum(np.maximum(alike * here + apart, LOG_LEAST_OF_SHORTER), LOG_MOST_GROWTH)
        step = np.exp(expected)
        continued = step * before
        if reached:
            total = number[level] + borrowed
            share = borrowed / total
            own = 1.0 - share
            factors[level] = np.maximum(own * known[level] + share * continued, LEAST_OF_SHORTER * continued)
            owned[level], lent[level] = own**2 * inverse[level], share * step
            freedom[level] = np.minimum(1.0 / (owned[level] + share**2 / freedom_before), total)
            log_continued, log_before = expected + log_before, np.log(factors[level])
            if level > 0:
                grown = log_before - log_continued
                apart = (number[level] * grown + GROWTH_DIFFERENCES * apart) / sure[level]
        else:
            factors[level], freedom[level] = continued, np.minimum(freedom_before, borrowed)
            lent[level], log_before = step, expected + log_before
        before, freedom_before = factors[level], freedom[level]
        borrowed = np.minimum(np.maximum(freedom_before, least), MOST_BORROWED)
    whole, degrees = _sum_up(factors, freedom, owned, lent, lengths)
    return LongRun(lengths, whole.swapaxes(1, 2), degrees.swapaxes(1, 2))


class _Growth(NamedTuple):
    """
    What the growth of all features together from one length to the next follows from, for all lengths.

    Each feature counts by its number of differences, in units of the feature's factor of the shorter length. So those
    whose rows depend on each other most do not outweigh the others.

    Attributes:
        weighted: shape (levels, parts, features), mean squared differences times their number.
        positive: the same shape, 1 where a mean is known and above 0, else 0.
        logs: the same shape, logarithms of the means without the bias of chance; 0 where not positive.
        inverse: shape (levels, parts, 1), one divided by the number of all differences; 0 without any.
        unknown: the same shape, 1 without any differences, else 0.
        counted: the same shape, the number that counts for the common growth.
        features: the same shape, number of positive features, at least 1.
        degrees: the same shape, degrees of freedom of the variance between features.
        chance: the same shape, the most that chance adds to that variance.
        reached: for each level, whether it has any difference.
    """

    weighted: Floats
    positive: Floats
    logs: Floats
    inverse: Floats
    unknown: Floats
    counted: Floats
    features: Floats
    degrees: Floats
    chance: Floats
    reached: list[bool]

    @classmethod
    def of(cls, known: Floats, number: Floats) -> _Growth:
        """Return the growth of these means (0 without differences) and numbers, shape (levels, parts, features)."""
        positive, halves, logs = logarithms(known, number)
        features = np.maximum(positive.sum(axis=2, keepdims=True), 1.0)
        degrees = np.maximum(features - 1.0, 1.0)
        whole = number.sum(axis=2, keepdims=True)
        # The variance of the logarithm of a chi-square over its degrees of freedom: the trigamma function.
        chance = (halves + 0.5 * halves**2).sum(axis=2, keepdims=True) / features
        return cls(
            number * known,
            positive,
            logs,
            (whole > 0.0) / np.maximum(whole, 1e-12),
            (whole <= 0.0).astype(np.float64),
            TOGETHER * np.minimum(number, MOST_OF_ONE).sum(axis=2, keepdims=True),
            features,
            degrees,
            chance * (1.0 + np.sqrt(2.0 / degrees)),
            (whole > 0.0).any(axis=(1, 2)).tolist(),
        )

    def at(self, level: int, before: Floats, log_before: Floats) -> tuple[Floats, Floats]:
        """
        Return how much the factor of all features together grows from one length to the next, as a logarithm.

        Args:
            level: the length.
            before: shape (parts, features), factors of the next shorter length.
            log_before: their logarithms.

        Returns:
            shape (parts, 1) each: the number of differences that it counts for, and the logarithm.
        """
        counted, positive = self.counted[level], self.positive[level]
        whole = (self.weighted[level] / before).sum(axis=1, keepdims=True)
        ratio = whole * self.inverse[level] + self.unknown[level]
        limited = np.minimum(np.maximum(ratio, 1.0 / MOST_GROWTH), MOST_GROWTH)
        # The variance between features of the logarithm of their growth, beyond that of chance.
        logs = self.logs[level] - positive * log_before
        apart = logs - positive * (logs.sum(axis=1, keepdims=True) / self.features[level])
        variance = np.einsum("pf,pf->p", apart, apart)[:, None] / self.degrees[level]
        unlike = np.maximum(variance - self.chance[level], 0.0)
        return counted / (1.0 + 0.5 * counted * unlike), np.log(limited)


def _sum_up(factors: Floats, freedom: Floats, owned: Floats, lent: Floats, lengths: Floats) -> tuple[Floats, Floats]:
    """
    Return the factors of means and their degrees of freedom, from those of differences.

    From the longest length down: V(n) = h(n) / 2 + V(2n), and beyond the longest the factor stays as it is. What a
    length borrows from the shorter one has the same error, so the errors of lengths are added up by their origin.

    Args:
        factors: shape (levels, parts, features), as all others but *lengths*; factors of the differences.
        freedom: their degrees of freedom.
        owned: squared weight of the differences of a length itself, divided by their number.
        lent: change of a factor with that of the next shorter length.
        lengths: shape (levels,), rows per block.
    """
    halves = 1.0 / (2.0 * lengths)
    parts = factors * halves[:, None, None]
    squares = factors**2
    per_freedom, squares = squares / freedom, np.multiply(squares, owned, out=squares)
    variance, later = parts[-1], np.zeros(factors.shape[1:])
    weight = np.full(factors.shape[1:], halves[-1])
    whole, spread = np.empty(factors.shape), np.empty(factors.shape)
    for level in range(len(lengths) - 1, -1, -1):
        whole[level] = variance = variance + parts[level]
        weight = weight + halves[level]
        square = weight**2
        spread[level] = square * per_freedom[level] + later
        later = later + square * squares[level]
        weight = weight * lent[level]
    degrees = whole**2 / np.maximum(spread, 1e-300)
    return np.maximum(whole * lengths[:, None, None], PRIOR), degrees
