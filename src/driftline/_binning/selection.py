"""The counts to expect of new rows, where categories were selected by the rows that were counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, Feature
from driftline.typing import Counts, Floats

__all__ = ["NewRows", "expect_selected", "expected_rows", "known_bins"]

REACH = 6.0
"""
Distance from the last selected count, in square roots of counts, within which counts inform the correction. The square
root of a count has a standard deviation of 1/2, so this is twelve of them.
"""

CORRECTED = 2.5
"""
Distance above the last selected count, in square roots of counts, within which counts are corrected. Selection does not
lift a count that is five standard deviations above it.
"""

STEP = 0.2
"""Distance between the rates of the mixture, in square roots of counts: less than half a standard deviation."""

LEAST_RATE = 1e-3
"""Smallest rate of the mixture, in rows. A category with it is seen again in one of a thousand references."""

LEAST_CORRECTION = 0.01
"""Rows by which a count differs from its expectation if it is corrected: more than their rounding in a file."""

STEPS = 300
"""Steps of the expectation-maximisation algorithm. Further ones change no rate by a tenth of its standard error."""


def expect_selected(counts: Counts, selected: int) -> Floats:
    """
    Return how many of as many new rows each selected category should have, shape (selected,).

    The most frequent categories of a sample are too frequent in it: of a hundred equally frequent ones, the first fifty
    have more than half of the rows. The expectation is the mean of a category's rate, given its count. The rates of the
    categories near the last selected one are a mixture, which is estimated by maximum likelihood from their counts.

    Source: Robbins (1956), *An empirical Bayes approach to statistics*; Kiefer & Wolfowitz (1956) for the mixture;
    Efron (2011), *Tweedie's formula and selection bias*.

    Args:
        counts: shape (categories,), rows of each category, in descending order, each at least 1.
        selected: number of categories that are selected. If all are, nothing is corrected.
    """
    expected = counts[:selected].astype(np.float64)
    if selected >= len(counts) or not selected:
        return expected
    roots = np.sqrt(counts)
    middle = float(roots[selected])
    near = np.abs(roots - middle) < REACH
    values, times = np.unique(counts[near], return_counts=True)
    bottom = max(middle - REACH, np.sqrt(LEAST_RATE))
    rates = np.arange(bottom, middle + REACH, STEP) ** 2
    # Poisson probabilities of each value, without their common factorial, of categories that are seen at all.
    log = np.log(rates) * values[:, None] - rates - np.log(-np.expm1(-rates))
    likelihood = np.exp(log - log.max(axis=1, keepdims=True))
    weights = np.full(len(rates), 1.0 / len(rates))
    for _ in range(STEPS):
        posterior = likelihood * weights
        posterior /= posterior.sum(axis=1, keepdims=True)
        weights = times @ posterior / times.sum()
    posterior = likelihood * weights
    means = posterior @ rates / posterior.sum(axis=1)
    lifted = roots[:selected] < middle + CORRECTED
    expected[lifted] = means[np.searchsorted(values, counts[:selected][lifted])]
    return expected


def expected_rows(feature: Feature) -> Floats:
    """
    Return the rows with each own category to expect of as many new rows; empty if the counts are not selected.

    A reference of 0.1 does not have them. There they come from the number of rare categories, of those seen once and
    twice, and from the mean of the others.
    """
    bins = feature.bins
    if feature.expected or not isinstance(bins, CategoricalBins) or not bins.others or feature.rare:
        return np.array(feature.expected)
    return _approximate_rows(feature, bins)


@lru_cache(maxsize=1_024)
def _approximate_rows(feature: Feature, bins: CategoricalBins) -> Floats:
    """Return `expected_rows` for a reference of 0.1."""
    counts = feature.counts
    own = np.array(counts[: bins.other])
    if counts[bins.unseen] or (own < 1).any():
        # Another part of the data has determined the bins.
        return np.array([])
    once, twice = (max(rows - int((own == times).sum()), 0) for rows, times in ((feature.once, 1), (feature.twice, 2)))
    further = len(bins.others) - once - twice
    mean = (counts[bins.other] - once - 2 * twice) // further if further > 0 else 0
    rare = np.sort([*np.ones(once, int), *np.full(twice, 2), *np.full(max(further, 0), max(mean, 1))])[::-1]
    every = np.concatenate([np.sort(own)[::-1], np.minimum(rare, own.min())])
    expected = np.empty(len(own))
    expected[np.argsort(-own, kind="stable")] = expect_selected(every, len(own))
    return expected


def known_bins(feature: Feature) -> float:
    """
    Return how many of the bins of a feature the correction for selection makes free of chance; 0 without a correction.

    Of a hundred equally frequent categories, the rates of all are known by the mean of their counts. The variance of a
    rate, given a count, is the rate times the increase of the expectation by one more row (Robbins 1956). So one minus
    the slope of the expectations over the counts is the part of a bin that is free of chance.
    """
    expected = expected_rows(feature)
    counts = np.array(feature.counts[: len(expected)], dtype=np.float64)
    lifted = np.abs(counts - expected) > LEAST_CORRECTION
    counts, expected = counts[lifted], expected[lifted]
    variance = float(counts.var()) if len(counts) else 0.0
    if not variance:
        return 0.0
    slope = float(((counts - counts.mean()) * expected).mean()) / variance
    return len(counts) * (1.0 - min(max(slope, 0.0), 1.0))


class NewRows:
    """
    Converts the counts of training data to those that as many new rows should have.

    Three things differ for the categories of a feature, because the training data determined its bins:

    - No row of the training data is unseen. Of new rows, about the share of categories that the training data have
      once is unseen (Good 1953, *The population frequencies of species*).
    - The categories with bins of their own are too frequent (see `expect_selected`).
    - The other categories are too frequent by the rest. The sum of all bins stays.

    Numeric features, and categories whose bins were determined by other data, stay as they are.

    Args:
        features: the features whose bins lie side by side in a vector of counts.
    """

    __slots__ = ("_corrections",)

    def __init__(self, features: Sequence[Feature]) -> None:
        self._corrections: list[tuple[slice, Floats, float]] = []
        start = 0
        for feature in features:
            stop = start + feature.bins.size
            rows = expected_rows(feature)
            if isinstance(feature.bins, CategoricalBins) and (len(rows) or feature.unseen_share):
                factors = np.ones(feature.bins.other)
                if len(rows):
                    factors = rows / np.maximum(feature.counts[: feature.bins.other], 1)
                self._corrections.append((slice(start, stop), factors, feature.unseen_share))
            start = stop

    def __call__(self, counts: NDArray[Any]) -> NDArray[Any]:
        """
        Return the expected counts; they are *counts* itself if nothing differs.

        Args:
            counts: shape (bins of all features,), counts of the training data, or of a season of it.
        """
        if not self._corrections:
            return counts
        expected = counts.astype(np.float64)
        for bins, factors, unseen_share in self._corrections:
            expected[bins] = _expect(expected[bins], factors, unseen_share)
        return expected


def _expect(counts: Floats, factors: Floats, unseen_share: float) -> Floats:
    """Return the expected counts of one feature: categories, other, unseen, missing."""
    present = counts[:-1].sum()
    own, unseen = counts[:-3] * factors, min(counts[-2] + unseen_share * present, present)
    # Two estimates that together exceed the rows leave none for other categories.
    own = own * min(1.0, (present - unseen) / max(own.sum(), 1e-300))
    return np.array([*own, max(present - own.sum() - unseen, 0.0), unseen, counts[-1]])
