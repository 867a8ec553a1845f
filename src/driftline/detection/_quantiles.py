"""Quantiles of the values that counts hold, each with the range in which the true quantile lies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Feature, NumericBins
from driftline.detection._numbers import format_error, format_number, resolution_of

__all__ = ["LARGEST", "Quantile", "bin_values", "estimate_quantile", "fitted_quantiles"]

BISECTIONS = 40
"""Steps that halve the range of a bin. After 40, the position in the bin is exact to 1e-12 of its width."""

LARGEST = 2.0**52
"""Largest multiple of a step. Larger float64 have no decimals."""

EXACT_DIGITS = 4
"""Digits of an exact number, counted from the first digit of the scale of the column."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """
    An estimate of a quantile.

    Attributes:
        value: the estimate. If *low* or *high* is infinite, it is not used.
        low: the smallest value that the quantile may have; -inf if it is below the range of the reference.
        high: the largest value that it may have; inf if it is above the range.
    """

    value: float
    low: float
    high: float

    def towards(self, other: Quantile, weight: float) -> Quantile:
        """Return the quantile that lies between this one and a larger one, at *weight* of the distance."""
        low = self.low if math.isinf(self.low) else self.low + weight * (other.low - self.low)
        high = other.high if math.isinf(other.high) else self.high + weight * (other.high - self.high)
        return Quantile(self.value + weight * (other.value - self.value), low, high)

    def format(self, scale: float, step: float) -> str:
        """
        Write the quantile with the most that it may be off, or as ``"above 4.2"``; empty if nothing is known.

        Args:
            scale: a range of usual values of the column, from which the digits follow.
            step: see `Feature.step`. A quantile between two whole numbers is not rounded to either.
        """
        exact = resolution_of(scale, EXACT_DIGITS)
        if step:
            # A quartile lies between two multiples, at a half or a quarter. It needs two more decimals.
            exact = min(exact, step / 100.0) if exact else step / 100.0
        if math.isinf(self.low) or math.isinf(self.high):
            if math.isinf(self.low) and math.isinf(self.high):
                return ""
            above = math.isinf(self.high)
            edge, towards = (self.low, -1) if above else (self.high, 1)
            return f"{'above' if above else 'below'} {format_number(edge, exact, towards)}"
        error = max(self.value - self.low, self.high - self.value)
        if not math.isfinite(error):
            return ""
        if error <= exact / 2 or not error:
            return format_number(self.value, exact)
        resolution = resolution_of(error, 2)
        if step and resolution < step / 2:
            resolution = resolution_of(step, 1)
        text = format_number(self.value, resolution)
        written = float(text)
        return f"{text} (±{format_error(max(written - self.low, self.high - written))})"


def fitted_quantiles(feature: Feature) -> tuple[Quantile, ...]:
    """Return the quartiles of the training data of a feature; empty if they are not known."""
    return tuple(Quantile(value, value, value) for value in feature.quartiles)


def estimate_quantile(feature: Feature, counts: NDArray[Any], share: float) -> Quantile | None:
    """
    Return a quantile of the values that are not missing; None if all are, or if the feature has no bins.

    It is the quantile that `numpy.quantile` computes from the values: it interpolates between two of them. Each lies in
    the bin that its rank tells. Within the bin, it is placed by a monotone cubic through the cumulative counts at the
    cuts (Fritsch & Butland 1984, *A method for constructing local monotone piecewise cubic interpolants*). Of values
    with few decimals, it is the nearest possible one. A bin that holds one known value gives that value.

    Args:
        feature: a numeric feature.
        counts: shape (bins,). Whole numbers are counts of rows, others are expected ones.
        share: the share of values below the quantile, in (0, 1).
    """
    bins = feature.bins
    if not isinstance(bins, NumericBins) or not bins.cuts:
        return None
    cumulative = np.cumsum(counts[:-1]).tolist()
    total = cumulative[-1]
    if total <= 0:
        return None
    if not np.issubdtype(counts.dtype, np.integer):
        return _at_rank(feature, bins, cumulative, share * total)
    position = (total - 1) * share
    rank = math.floor(position)
    weight = position - rank
    if not weight or any(count == rank + 1 for count in cumulative):
        lower = _at_rank(feature, bins, cumulative, rank + 0.5)
        return lower.towards(_at_rank(feature, bins, cumulative, rank + 1.5), weight) if weight else lower
    # Both values lie in the same bin.
    return _at_rank(feature, bins, cumulative, rank + 0.5 + weight)


def _at_rank(feature: Feature, bins: NumericBins, cumulative: list[float], rank: float) -> Quantile:
    """
    Return the value with a rank among the values that are not missing.

    Args:
        feature: the feature.
        bins: its bins.
        cumulative: the number of values in each bin and all bins below.
        rank: the number of values below, and half of the value itself.
    """
    number = int(np.searchsorted(cumulative, rank, side="left"))
    last = len(bins.cuts)
    if number == 0:
        return Quantile(bins.cuts[0], -math.inf, bins.cuts[0])
    if number >= last:
        return Quantile(bins.cuts[-1], bins.cuts[-1], math.inf)
    low, high = bins.cuts[number - 1 : number + 1]
    known = next((value for value in bins.known_values if low <= value < high), None)
    if known is not None:
        return Quantile(known, *(bin_values(feature, number) if feature.step else (low, high)))
    value = _place(bins.cuts, cumulative, number, rank)
    if feature.step:
        lowest, highest = bin_values(feature, number)
        if (lowest, highest) != (low, high):
            # A division, because 3 * 0.1 is not 0.3.
            steps = round(1.0 / feature.step)
            low, high, value = lowest, highest, min(max(round(value * steps) / steps, lowest), highest)
    return Quantile(value, low, high)


def bin_values(feature: Feature, number: int) -> tuple[float, float]:
    """
    Return the smallest and the largest value that a bin between two cuts may hold.

    Values with few decimals are multiples of `Feature.step`. If no multiple is in the bin, the result is its cuts.
    """
    bins, step = feature.bins, feature.step
    if not isinstance(bins, NumericBins):
        return math.nan, math.nan
    low, high = bins.cuts[number - 1 : number + 1]
    if not step or max(-low, high) >= LARGEST * step:
        return low, high
    steps = round(1.0 / step)
    start, stop = _first_multiple(low, steps), _first_multiple(high, steps)
    first, last = start / steps, (stop - 1) / steps
    return (first, last) if low <= first <= last < high else (low, high)


def _first_multiple(cut: float, steps: int) -> int:
    """Return the number of the first multiple of 1 / *steps* that is at or above a cut."""
    # The product is rounded: 71.4 * 100 is more than 7,140.
    nearest = round(cut * steps)
    return nearest if nearest / steps >= cut else nearest + 1


def _place(cuts: tuple[float, ...], cumulative: list[float], number: int, rank: float) -> float:
    """Return where in a bin between two cuts a monotone cubic through the cumulative counts reaches a rank."""

    def slope(index: int) -> float:
        return (cumulative[index] - cumulative[index - 1]) / (cuts[index] - cuts[index - 1])

    def tangent(left: int) -> float:
        """Return the weighted harmonic mean of the slopes on both sides of a cut."""
        if left < 1 or left + 1 > len(cuts) - 1:
            return slope(number)
        a, b = slope(left), slope(left + 1)
        if a <= 0.0 or b <= 0.0:
            return 0.0
        widths = cuts[left] - cuts[left - 1], cuts[left + 1] - cuts[left]
        share = (1.0 + widths[1] / (widths[0] + widths[1])) / 3.0
        return a * b / (share * b + (1.0 - share) * a)

    low, high = cuts[number - 1 : number + 1]
    width = high - low
    start, gain = cumulative[number - 1], cumulative[number] - cumulative[number - 1]
    first, second = tangent(number - 1) * width, tangent(number) * width
    below, above = 0.0, 1.0
    for _ in range(BISECTIONS):
        t = (below + above) / 2
        reached = start + gain * t * t * (3.0 - 2.0 * t) + first * t * (1.0 - t) ** 2 - second * t * t * (1.0 - t)
        below, above = (t, above) if reached < rank else (below, t)
    return low + width * (below + above) / 2
