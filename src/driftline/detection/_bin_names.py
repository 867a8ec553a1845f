"""Names of bins for the explanations of alarms: ranges with as many digits as tell their rows apart."""

from __future__ import annotations

from driftline._binning.bins import SMALLEST, CategoricalBins, Feature, NumericBins
from driftline.detection._numbers import format_number, resolution_of
from driftline.detection._quantiles import bin_values

__all__ = ["name_bin"]

DIGITS = 6
"""Significant digits of the width of a bin to which its ends are written: rounding moves 1 of 100,000 rows."""

ROUNDING = 1e-6
"""Largest distance of a cut from a known value that is due to the roundings of float32, as a share of the value."""

MOST_DIGITS = 17
"""Significant digits that tell any two float64 apart."""


def name_bin(feature: Feature, number: int, *, labels: bool) -> str:
    """
    Return the name of a bin.

    Of a numeric feature, ``"3..7"`` is from 3 up to 7, without 7. If the values are multiples of `Feature.step`, it is
    from 3 to 7, both included. Values in bins that neither end tells are ``"below 3"``, ``"above 7"``, ``"missing"``.

    Args:
        feature: the feature.
        number: the number of the bin.
        labels: whether to name categories. If False, a category has its number instead.
    """
    bins = feature.bins
    if number == bins.missing:
        return "missing"
    if isinstance(bins, CategoricalBins):
        if number >= bins.other:
            return f"{bins.label(number)} categories"
        return bins.label(number) if labels else f"category {number}"
    if not bins.cuts:
        return "present"
    last = len(bins.cuts)
    if 0 < number < last:
        return _name_range(feature, bins, number)
    if number == 0:
        return f"below {_name_end(feature, bins, 0, -1)}"
    return f"above {_name_end(feature, bins, last - 1, 1)}"


def _name_range(feature: Feature, bins: NumericBins, number: int) -> str:
    """Return the name of a bin between two cuts: its value, if it has only one, or a range, after its known value."""
    low, high = bins.cuts[number - 1 : number + 1]
    first, last = bin_values(feature, number)
    if (first, last) != (low, high):
        names = [format_number(end, feature.step) for end in (first, last)]
        return names[0] if first == last else "..".join(names)
    known = next((value for value in bins.known_values if low <= value < high), None)
    if known is not None and max(known - low, high - known) <= ROUNDING * abs(known):
        return format_number(known, 0.0)
    ends = "..".join(_name_cut(bins, cut, resolution_of(high - low, DIGITS)) for cut in (low, high))
    return ends if known is None else f"{format_number(known, 0.0)} ({ends})"


def _name_end(feature: Feature, bins: NumericBins, index: int, towards: int) -> str:
    """
    Return a number at an end of the range of the reference.

    Args:
        feature: the feature.
        bins: its bins.
        index: the index of the first or the last cut.
        towards: -1 at the lower end, 1 at the upper one. The number is rounded out of the range, so that no value of
            the reference is beyond it.
    """
    moments, cut = feature.moments, bins.cuts[index]
    if feature.step and moments is not None:
        return format_number(moments.minimum if towards < 0 else moments.maximum, feature.step)
    for value in bins.known_values:
        if abs(cut - value) <= ROUNDING * abs(value):
            return format_number(value, 0.0)
    first = max(index - 1, 0)
    width = bins.cuts[first + 1] - bins.cuts[first]
    return format_number(cut, resolution_of(width, DIGITS), towards)


def _name_cut(bins: NumericBins, cut: float, resolution: float) -> str:
    """
    Return a cut with the fewest digits, from *resolution* on, that leave the known values on their sides of it.

    Args:
        bins: the bins.
        cut: one of their cuts.
        resolution: the power of ten of its last digit, if that is enough.
    """
    if abs(cut) < SMALLEST:
        return "0"
    for _ in range(MOST_DIGITS):
        name = format_number(cut, resolution)
        written = float(name)
        if not resolution or all((value < cut) == (value < written) for value in bins.known_values):
            break
        resolution /= 10.0
    return name
