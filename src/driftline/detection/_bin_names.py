"""Names of bins for the explanations of alarms: ranges with as many digits as tell their rows apart."""

from __future__ import annotations

import json
import re

from driftline._binning.bins import SMALLEST, CategoricalBins, Feature, NumericBins
from driftline.detection._numbers import format_number, resolution_of
from driftline.detection._quantiles import LARGEST, bin_values

__all__ = ["name_bin"]

DIGITS = 6
"""Significant digits of the width of a bin to which its ends are written: rounding moves 1 of 100,000 rows."""

STEPS = 0.01
"""Distance that names of bins may neglect, in units of the last decimal of a column of few decimals."""

ROUNDING = 1e-6
"""Largest distance of a cut from a known value that is due to the roundings of float32, as a share of the value."""

RESERVED = ("missing", "other categories", "unseen categories")
"""Names of the bins that are no category."""

PLAIN_LABEL = re.compile(r"[^\s,;:\"](?:[^,;:\"\n\r\t]*[^\s,;:\"])?")
"""A label that needs no quotation marks: neither empty nor with the characters that divide a sentence."""

MOST_DIGITS = 17
"""Significant digits that tell any two float64 apart."""


def name_bin(feature: Feature, number: int, *, labels: bool) -> str:
    """
    Return the name of a bin.

    Of a numeric feature, ``"3..7"`` is from 3 up to 7, without 7. Of values with few decimals, the ends are half-way
    between two of them, such as ``"2.5..7.5"``. Other bins are ``"below 3"``, ``"above 7"``, ``"missing"``.

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
        return _name_label(bins.label(number)) if labels else f"category {number}"
    if not bins.cuts:
        return "present"
    last = len(bins.cuts)
    if 0 < number < last:
        return _name_range(feature, bins, number)
    if number == 0:
        return f"below {_name_end(feature, bins, 0, -1)}"
    return f"above {_name_end(feature, bins, last - 1, 1)}"


def _name_label(label: str) -> str:
    """Return a label, in quotation marks if it could be read as another part of the sentence."""
    return label if label not in RESERVED and PLAIN_LABEL.fullmatch(label) else json.dumps(label, ensure_ascii=False)


def _name_range(feature: Feature, bins: NumericBins, number: int) -> str:
    """Return the name of a bin between two cuts: its value, if it has only one, or a range, after its known value."""
    low, high = bins.cuts[number - 1 : number + 1]
    known = next((value for value in bins.known_values if low <= value < high), None)
    if known is not None and max(known - low, high - known) <= max(ROUNDING * abs(known), feature.step * STEPS):
        return format_number(known, 0.0)
    first, last = bin_values(feature, number)
    if known is None and first == last:
        known = first
    ends = "..".join(
        _name_cut(feature, bins, index, resolution_of(high - low, DIGITS)) for index in (number - 1, number)
    )
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
    cut = bins.cuts[index]
    for value in bins.known_values:
        if abs(cut - value) <= ROUNDING * abs(value):
            return format_number(value, 0.0)
    first = max(index - 1, 0)
    resolution = resolution_of(bins.cuts[first + 1] - bins.cuts[first], DIGITS)
    if feature.step and feature.moments is not None:
        extreme = feature.moments.minimum if towards < 0 else feature.moments.maximum
        if abs(cut - extreme) <= min(feature.step / 2, ROUNDING * abs(extreme)):
            return format_number(extreme, feature.step)
        resolution = max(resolution, feature.step * STEPS)
    return format_number(cut, resolution, towards)


def _name_cut(feature: Feature, bins: NumericBins, index: int, resolution: float) -> str:
    """
    Return a cut with the fewest digits, from *resolution* on, that leave values of the training data on their sides.

    Args:
        feature: the feature. Multiples of its `Feature.step` stay on their sides too.
        bins: its bins.
        index: the index of the cut.
        resolution: the power of ten of its last digit, if that is enough.
    """
    cut, last = bins.cuts[index], len(bins.cuts) - 1
    if abs(cut) < SMALLEST:
        return "0"
    towards = (index == last) - (index == 0)
    if feature.step and towards:
        end = _name_end(feature, bins, index, towards)
        if towards < 0 or float(end) >= cut:
            return end
        return format_number(cut, feature.step / 10.0, 1)
    values = list(bins.known_values)
    if feature.step and abs(cut) < LARGEST * feature.step:
        steps = round(1.0 / feature.step)
        values.append(round(cut * steps) / steps)
    for _ in range(MOST_DIGITS):
        name = format_number(cut, resolution, towards)
        written = float(name)
        if not resolution or all((value < cut) == (value < written) for value in values):
            break
        resolution /= 10.0
    return name
