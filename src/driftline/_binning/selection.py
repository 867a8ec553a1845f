"""The counts to expect of new rows, where categories were selected by the rows that were counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import CategoricalBins, Feature
from driftline.typing import Counts, Floats

__all__ = ["NewRows", "expect_selected"]

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
            if isinstance(feature.bins, CategoricalBins) and (feature.expected or feature.unseen_share):
                factors = np.ones(feature.bins.other)
                if feature.expected:
                    factors = np.array(feature.expected) / np.maximum(feature.counts[: feature.bins.other], 1)
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
