"""Whether the counts of a feature look like the training data in another unit, rather than like a real change."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from driftline._binning.bins import Feature, NumericBins
from driftline.typing import Counts, Floats

__all__ = ["CONVERSIONS", "Conversion", "UnitChange", "find_unit_change"]


class Conversion(NamedTuple):
    """A change of unit: x becomes ``factor * x + offset``."""

    words: str
    factor: float
    offset: float = 0.0


def _both_ways(first: str, second: str, factor: float, offset: float = 0.0) -> tuple[Conversion, Conversion]:
    return (
        Conversion(f"{first} to {second}", factor, offset),
        Conversion(f"{second} to {first}", 1.0 / factor, -offset / factor),
    )


CONVERSIONS = (
    *_both_ways("miles", "kilometres", 1.609344),
    *_both_ways("feet", "metres", 0.3048),
    *_both_ways("inches", "centimetres", 2.54),
    *_both_ways("pounds", "kilograms", 0.45359237),
    *_both_ways("gallons", "litres", 3.785411784),
    *_both_ways("knots", "kilometres per hour", 1.852),
    *_both_ways("metres per second", "kilometres per hour", 3.6),
    *_both_ways("metres per second", "miles per hour", 2.2369362921),
    *_both_ways("degrees Celsius", "degrees Fahrenheit", 1.8, 32.0),
    *_both_ways("degrees Celsius", "kelvins", 1.0, 273.15),
    *_both_ways("hours", "minutes", 60.0),
    *_both_ways("hours", "seconds", 3_600.0),
    *_both_ways("days", "hours", 24.0),
    *_both_ways("weeks", "days", 7.0),
    *_both_ways("years", "months", 12.0),
    *_both_ways("a number", "ten times it", 10.0),
    *_both_ways("a share", "per cent", 100.0),
    *_both_ways("a number", "thousands", 1e-3),
    *_both_ways("a number", "millions", 1e-6),
    Conversion("a number to its negative", -1.0),
)
"""The conversions that are tried. Factors are those of the international yard and pound, and of the SI."""

LEAST_ROWS = 100
"""Fewest rows of a window that are compared."""

MOST_ROWS = 1_000
"""Rows that count at most. Rows of one window depend on each other, so more would make a small difference certain."""

LEAST_DIFFERENCE = 0.2
"""Smallest Kullback-Leibler divergence of the window from the reference, in nats a row. A shift of 0.63 σ has it."""

REMAINDER = 0.15
"""Largest share of this divergence that a conversion leaves unexplained."""

CLOSE = 0.05
"""Divergence in nats a row that counts as explained in any case: uniform values within a bin are an approximation."""

LEAST_ODDS = 30.0
"""Smallest Bayes factor for a change of unit (Jeffreys 1961, *Theory of Probability*: very strong evidence)."""

BETTER = 0.003
"""Divergence in nats a row by which the best real change may explain more than the conversion: 3 nats in all rows."""

STRAY = 0.02
"""Share of the rows that may be anywhere, so that a few stray values do not decide."""

OUTSIDE = 0.5
"""Share of the rows out of range from which the counts cannot tell units apart."""

SCALES = np.exp(np.linspace(math.log(0.4), math.log(2.5), 73))
"""Factors of the spread of a real change, equally likely on the scale of logarithms."""

SHIFTS = np.linspace(-3.0, 3.0, 121)
"""Shifts of the median of a real change, in spreads (see `_Distribution.spread`), equally likely."""


class UnitChange(NamedTuple):
    """
    A change of unit that explains the counts of a window.

    Attributes:
        conversion: the conversion.
        odds: the Bayes factor against a real change of location and spread, as a logarithm to base 10.
    """

    conversion: Conversion
    odds: float


def find_unit_change(feature: Feature, current: Counts) -> UnitChange | None:
    """
    Return the change of unit that explains the counts of a window; None if none does clearly better than a real change.

    A real change by a factor close to that of a conversion passes for it.

    The likelihood of the counts under each conversion of the training data is compared with their mean likelihood under
    real changes of location and spread, which are uniform over `SHIFTS` and `SCALES`.

    Args:
        feature: the feature of the reference.
        current: shape (bins,), counts of the window.
    """
    bins, moments = feature.bins, feature.moments
    if not isinstance(bins, NumericBins) or moments is None or len(bins.cuts) < 3 or moments.std <= 0.0:  # noqa: PLR2004
        return None
    present = np.asarray(current[:-1], dtype=np.float64)
    rows = float(present.sum())
    if rows < LEAST_ROWS or (present[0] + present[-1]) > OUTSIDE * rows:
        return None
    shares = present / rows
    distribution = _Distribution(feature)
    before = distribution.divergence(shares, np.ones(1), np.zeros(1))[0]
    if before < LEAST_DIFFERENCE:
        return None
    factors = np.array([each.factor for each in CONVERSIONS])
    offsets = np.array([each.offset for each in CONVERSIONS])
    after = distribution.divergence(shares, factors, offsets)
    best = int(after.argmin())
    if after[best] > max(CLOSE, REMAINDER * before):
        return None
    scales, shifts = (grid.ravel() for grid in np.meshgrid(SCALES, SHIFTS))
    middle = distribution.median
    real = distribution.divergence(shares, scales, middle * (1.0 - scales) + shifts * distribution.spread)
    rows = min(rows, MOST_ROWS)
    odds = _log_mean(-rows * after) - _log_mean(-rows * real)
    if odds < math.log(LEAST_ODDS) or after[best] - real.min() > BETTER:
        return None
    return UnitChange(CONVERSIONS[best], odds / math.log(10.0))


class _Distribution:
    """
    The distribution of a feature in the training data: uniform within a bin, and a step at a value with a bin.

    Attributes:
        median: the median.
        spread: the standard deviation of a normal distribution with these quartiles.
    """

    def __init__(self, feature: Feature) -> None:
        bins = feature.bins
        assert isinstance(bins, NumericBins)  # noqa: S101 - for the type checker
        self._cuts = cuts = np.array(bins.cuts)
        counts = np.array(feature.counts[:-1], dtype=np.float64)
        # Training data has no rows below its range. Its largest value may be in the last bin.
        shares = np.cumsum(counts) / max(counts.sum(), 1.0)
        known = np.array(bins.known_values)
        points, heights = [cuts[0]], [shares[0]]
        for index in range(1, len(cuts)):
            low, high = cuts[index - 1], cuts[index]
            inside = known[(known >= low) & (known < high)]
            if len(inside):
                points += [inside[0], np.nextafter(inside[0], math.inf)]
                heights += [shares[index - 1], shares[index]]
            points.append(high)
            heights.append(shares[index])
        self._points, self._heights = np.maximum.accumulate(points), np.array(heights)
        lower, self.median, upper = np.interp([0.25, 0.5, 0.75], self._heights, self._points).tolist()
        # That of a normal distribution with these quartiles; a heavy tail does not widen it.
        self.spread = (upper - lower) / 1.349 or feature.moments.std if feature.moments else 1.0

    def divergence(self, shares: Floats, factors: Floats, offsets: Floats) -> Floats:
        """
        Return the Kullback-Leibler divergence of the shares of a window from those of converted training data.

        Args:
            shares: shape (bins,), without the bin of missing values.
            factors: shape (n,), the factor of each conversion, not 0.
            offsets: shape (n,).
        """
        before = (self._cuts - offsets[:, None]) / factors[:, None]
        below = np.interp(before, self._points, self._heights, left=0.0, right=1.0)
        below = np.where(factors[:, None] > 0.0, below, 1.0 - below)
        edges = np.concatenate([np.zeros((len(below), 1)), below, np.ones((len(below), 1))], axis=1)
        expected = (1.0 - STRAY) * np.diff(edges, axis=1) + STRAY / len(shares)
        present = shares > 0.0
        ratios = np.log(shares[present] / np.maximum(expected[:, present], 1e-12))
        divergence: Floats = ratios @ shares[present]
        return divergence


def _log_mean(logarithms: Floats) -> float:
    """Return the logarithm of the mean of numbers whose logarithms are given."""
    largest = float(logarithms.max())
    return largest + math.log(float(np.exp(logarithms - largest).mean()))
