"""`fit_numeric_bins`: chooses the cuts between the bins of a column of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import NumericBins
from driftline.typing import Column, Counts, Floats

__all__ = ["FEW_VALUES", "MAX_ABSOLUTE", "QUANTILES", "fit_numeric_bins", "float_width"]

QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Shares of the training data below the cuts: deciles, and 1, 5, 95 and 99 % so that the tails have bins."""

FEW_VALUES = 20
"""Most distinct values of a numeric column for which each value gets its own bin."""

MAX_ABSOLUTE = 1e140
"""Largest absolute value that cuts and moments use. Sums of squares of larger numbers overflow."""

NEAR = 0.05
"""
Half the width, in standard deviations, of the bins beside a known value that count with it (`NumericBins.groups`). A
shift of the mean by this amount has a PSI of 0.0025, a twentieth of the default ``min_effect``.
"""

WIDE = 4.0
"""Fewest widths of a near bin between two known values for which the middle of the gap has its own bins."""

STEP = 0.25
"""Largest width, in standard deviations, of the bins in the middle of a gap, as far as `FEW_CUTS` allows."""

FEW_CUTS = len(QUANTILES) + 2
"""Cuts up to which gaps are divided further: as many as a column of many values has, which costs the same to count."""

MOST_CUTS = 62
"""Most cuts of a feature whose values have their own bins. With three more bins it fits the next wider matrix."""

NOISE_STEPS = 4
"""Steps of float32 by which arithmetic in float32 may miss a value."""

ZERO_NOISE = 2.0**-22
"""Rounding error of a difference that should be 0, as a share of the largest value: two steps of float32."""

HALF_STEP = 2.0**-11
"""Largest rounding error of float16, as a share of the value."""

DECIMAL_DIGITS = 15
"""Most significant digits of a decimal that every float64 keeps. A number with more was computed."""

WIDTHS: tuple[tuple[type[np.floating[Any]], float], ...] = ((np.float16, 0.002), (np.float32, 0.01))
"""Narrower floats that a service may send, and the share of rows by which a cut may move to survive their rounding."""

_Start: TypeAlias = "tuple[float, int | None]"
"""The smallest number of a bin, and the spike that the bin belongs to; None for a bin between spikes."""


def fit_numeric_bins(values: Floats, width: type[np.floating[Any]] | None = None) -> NumericBins:
    """
    Return bins for a column of numbers.

    Every cut lies between two neighbouring values of the column, so that rounding to float32 moves no value into
    another bin. With at most `FEW_VALUES` distinct values each has a bin that holds the value and its roundings. Beside
    it are narrow bins, and between two values bins for what lies there. With more values, cuts are at `QUANTILES`. A
    value at more than one quantile is a spike, such as the zeros of many columns, and has its own bin.

    Args:
        values: the values, shape (rows,). Those that are nan, infinite or beyond `MAX_ABSOLUTE` are skipped.
        width: the type of the values before they became float64; None for float64.
    """
    finite = np.sort(values[np.abs(values) <= MAX_ABSOLUTE])
    if not len(finite):
        # Without a number there is nothing to cut. A column of infinite values has a bin for finite ones.
        return NumericBins((-MAX_ABSOLUTE, MAX_ABSOLUTE) if np.isinf(values).any() else ())
    distinct, times = np.unique(finite, return_counts=True)
    rounding = _Rounding.of(distinct, float(finite.std()) if len(distinct) > 1 else 0.0, width)
    # Twice as many values may be the same ones with different rounding errors, such as 0.3 and 0.1 * 3.
    if len(distinct) <= 2 * FEW_VALUES:
        known = rounding.merge(distinct.tolist())
        if len(known) <= FEW_VALUES:
            return _bins_of_values(known, rounding.near)
    return _bins_of_quantiles(finite, distinct, times, rounding)


def float_width(column: Column) -> type[np.floating[Any]] | None:
    """Return float16 or float32 if a column holds only floats of that type; else None."""
    if isinstance(column, np.ndarray):
        kind: Any = column.dtype.type
        return kind if kind in {np.float16, np.float32} else None
    kinds = set(map(type, column))
    return next((kind for kind, _ in WIDTHS if kinds == {kind}), None)


@dataclass(frozen=True, slots=True)
class _Known:
    """
    A value with its own bin.

    Attributes:
        value: the value. If several differ by rounding only, the smallest of them.
        last: the largest of them.
        low: the smallest number that is the same value after rounding.
        high: the number after the largest one that is the same value.
    """

    value: float
    last: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Rounding:
    """
    Decides which numbers are the same value up to rounding.

    Attributes:
        scale: largest absolute value of the column.
        near: `NEAR`, in the unit of the column; 0 for a constant.
        width: see `fit_numeric_bins`.
    """

    scale: float
    near: float
    width: type[np.floating[Any]] | None

    @classmethod
    def of(cls, distinct: Floats, deviation: float, width: type[np.floating[Any]] | None) -> _Rounding:
        """Return the rounding of a column. Values of float32 in a column of float64 are recognised by their digits."""
        if width is None and np.array_equal(_rounded(distinct, np.float32), distinct):
            some: Sequence[float] = distinct[: 2 * FEW_VALUES].tolist()
            width = np.float32 if any(_last_digit(value) is None for value in some) else None
        return cls(float(np.abs(distinct).max()), deviation * NEAR, width)

    def known(self, value: float, last: float) -> _Known:
        """Return the values from *value* to *last*, which differ by rounding only, with all numbers that do."""
        ends = [self._ends(value), self._ends(last)]
        high = math.nextafter(max(end for _, end in ends), math.inf)
        return _Known(value, last, min(end for end, _ in ends), high)

    def merge(self, distinct: Sequence[float]) -> list[_Known]:
        """Return the values that differ by more than the rounding of float64, in ascending order."""
        runs = [(distinct[0], distinct[0])]
        for value in distinct[1:]:
            first, last = runs[-1]
            computed = None in {_last_digit(value), _last_digit(last)}
            if computed and value - last <= 2 * NOISE_STEPS * math.ulp(value):
                runs[-1] = first, value
            else:
                runs.append((value, value))
        return _apart([self.known(*run) for run in runs])

    def _ends(self, value: float) -> tuple[float, float]:
        """
        Return the smallest and the largest number that are the same value.

        The unit of a decimal's last digit limits the noise. So 1,000,000,050 is not 1,000,000,000, although they are
        less than a step of float32 apart.
        """
        unit = _last_digit(value)
        noise = NOISE_STEPS * _spacing(value, np.float32) if value else self.scale * ZERO_NOISE
        if unit is not None:
            noise = min(noise, unit / 4)
        if not value.is_integer():
            noise = max(noise, NOISE_STEPS * math.ulp(value))
        if self.width is not None:
            noise = max(noise, _spacing(value, self.width) / 2)
        allowed = unit / 4 if unit is not None else self.near or math.inf
        ends = [value - noise, value + noise]
        for width in (np.float32, np.float16):
            narrow = float(_rounded(np.array(value), width))
            # Float16 is allowed for where its error is small beside the differences that matter.
            if math.isfinite(narrow) and (
                width is np.float32 or abs(narrow - value) <= min(allowed, abs(value) * HALF_STEP)
            ):
                ends.append(narrow)
        return min(ends), max(ends)


def _bins_of_values(known: Sequence[_Known], near: float) -> NumericBins:
    """
    Return bins for a column of few values.

    Args:
        known: the values, in ascending order, with limits that do not overlap.
        near: width of the bins beside a value that count with it; 0 for a constant, and for denormal numbers.
    """
    gaps = [above.low - below.high for below, above in pairwise(known)]
    ends = 2 * len(known) + 2
    while (used := ends + sum(2 if gap > WIDE * near > 0 else 1 for gap in gaps)) > MOST_CUTS:
        near *= 2
    step = near * STEP / NEAR
    widths = [gap - 2 * near for gap in gaps if gap > WIDE * near > 0]
    while used + sum(math.ceil(width / step) - 1 for width in widths) > max(used, FEW_CUTS):
        step *= 2
    bins = _BinList()
    bins.add(known[0].low - near, 0)
    for index, item in enumerate(known):
        bins.add(item.low, index)
        bins.add(item.high, index)
        if index == len(gaps):
            bins.add(item.high + near)
        elif gaps[index] > WIDE * near > 0:
            start, stop = item.high + near, known[index + 1].low - near
            inner = np.linspace(start, stop, math.ceil((stop - start) / step) + 1).tolist()
            for cut in inner[:-1]:
                bins.add(cut, -1 - index)
            bins.add(inner[-1], index + 1)
        elif gaps[index] > 0:
            bins.add(_between(item.high, known[index + 1].low), index + 1)
    return bins.build(tuple(item.value for item in known))


def _bins_of_quantiles(finite: Floats, distinct: Floats, times: Counts, rounding: _Rounding) -> NumericBins:
    """
    Return bins for a column of many values.

    Args:
        finite: the values of all rows, in ascending order.
        distinct: the distinct values, in ascending order.
        times: rows of each distinct value.
        rounding: the rounding of the column.
    """
    quantiles = np.quantile(finite, QUANTILES, method="inverted_cdf")
    indices, hits = np.unique(np.searchsorted(distinct, quantiles), return_counts=True)
    spikes, singles = indices[hits > 1].tolist(), indices[hits == 1].tolist()
    gaps = _Gaps(distinct, times)
    starts: list[_Start] = []
    zones = []
    for spike in spikes:
        own = _starts_of_spike(spike, gaps, rounding)
        starts.extend(own)
        zones.append((own[0][0], own[-1][0]))
    # The cuts of a spike also bound the value after it.
    taken = {0, *spikes, *(spike + 1 for spike in spikes)}
    for index in singles:
        cut = gaps.cut(index, step=-1)
        if index not in taken and not any(low <= cut <= high for low, high in zones):
            starts.append((cut, None))
    ends = zip((0, len(distinct) - 1), gaps.ends(rounding, 1 - QUANTILES[-1]), strict=True)
    starts.extend((end, None) for index, end in ends if index not in spikes)
    bins = _BinList()
    for cut, key in sorted(starts, key=itemgetter(0)):
        bins.add(cut, key)
    return bins.build(tuple(float(distinct[spike]) for spike in spikes))


def _starts_of_spike(index: int, gaps: _Gaps, rounding: _Rounding) -> list[_Start]:
    """
    Return the starts of the bins of a spike, and of the bin after it.

    If no other value is close, the spike has a bin for its roundings and near bins, as one of few values has.

    Args:
        index: index of the spike among the distinct values.
        gaps: the gaps between them.
        rounding: the rounding of the column.
    """
    value, near = float(gaps.values[index]), rounding.near
    known = rounding.known(value, value)
    lowest, highest = gaps.ends(rounding)
    starts: list[_Start] = [(lowest, index), (known.low, index)]
    if index > 0:
        below = float(gaps.values[index - 1])
        low = max(known.low, _between(below, value))
        wide = low - below > WIDE * near
        starts = [(low - near, index), (low, index)] if wide else [(gaps.cut(index, step=-1), index)]
    if index == len(gaps.values) - 1:
        return [*starts, (known.high, index), (highest, None)]
    above = float(gaps.values[index + 1])
    high = min(known.high, _between(value, above))
    if above - high > WIDE * near:
        return [*starts, (high, index), (high + near, None)]
    return [*starts, (gaps.cut(index + 1, step=1), None)]


class _Gaps:
    """
    The gaps between neighbouring values of a column, and the cuts in them.

    Args:
        values: the distinct values, in ascending order.
        times: rows of each value.
    """

    def __init__(self, values: Floats, times: Counts) -> None:
        self.values, self._times = values, times
        self._before = np.concatenate([[0], np.cumsum(times)])
        self._levels = []
        low, high = values[:-1], values[1:]
        for width, share in reversed(WIDTHS):
            rounded = _rounded(values, width)
            # The values below and above the gap, with their roundings to this width and the wider ones.
            low, high = np.maximum(low, rounded[:-1]), np.minimum(high, rounded[1:])
            self._levels.append((low, high, np.flatnonzero(low < high) + 1, share * self._before[-1]))

    def ends(self, rounding: _Rounding, share: float = 0.0) -> tuple[float, float]:
        """
        Return the smallest number of the range of the column, and the number after the largest one.

        If a *share* of the rows has the extreme value, values near it are in the range. Otherwise, a small move of this
        value would look like a large one. They are nearer than the next value.
        """
        low, high = float(self.values[0]), float(self.values[-1])
        gaps = float(self.values[1]) - low, high - float(self.values[-2])
        many = [bool(times >= share * self._before[-1]) for times in (self._times[0], self._times[-1])]
        below, above = (min(rounding.near, gap / WIDE) * each for gap, each in zip(gaps, many, strict=True))
        return rounding.known(low, low).low - below, rounding.known(high, high).high + above

    def cut(self, index: int, *, step: int) -> float:
        """
        Return a cut in the gap below the value *index*, or near it in a gap that survives rounding.

        Args:
            index: index of the value above the gap, at least 1.
            step: -1 to look for another gap below this one, 1 above.
        """
        for low, high, gaps, most_rows in reversed(self._levels):
            below = int(np.searchsorted(gaps, index, side="right")) - 1
            nearest = below if step < 0 else int(np.searchsorted(gaps, index))
            if 0 <= nearest < len(gaps):
                gap = int(gaps[nearest])
                if abs(int(self._before[gap] - self._before[index])) <= most_rows:
                    return _between(float(low[gap - 1]), float(high[gap - 1]))
        return _between(float(self.values[index - 1]), float(self.values[index]))


class _BinList:
    """Collects bins from left to right, each with the key of its group. The first bin is the one below all cuts."""

    def __init__(self) -> None:
        self._cuts: list[float] = []
        self._keys: list[object] = [object()]

    def add(self, start: float, key: object = None) -> None:
        """
        Add a bin. It replaces a bin without width.

        Args:
            start: its smallest number, at least that of the last bin.
            key: the key of its group. If None, it has its own group.
        """
        key = object() if key is None else key
        if self._cuts and start <= self._cuts[-1]:
            self._keys[-1] = key
        else:
            self._cuts.append(start)
            self._keys.append(key)

    def build(self, values: tuple[float, ...]) -> NumericBins:
        """Return the bins, among them those of *values*."""
        changes = [before != after for before, after in pairwise(self._keys)]
        groups = (0, *np.cumsum(changes).tolist())
        return NumericBins(tuple(self._cuts), values, () if all(changes) else groups)


def _apart(known: Sequence[_Known]) -> list[_Known]:
    """Return values with limits that do not overlap: between two neighbours at most half-way."""
    lows, highs = [item.low for item in known], [item.high for item in known]
    for index, (below, above) in enumerate(pairwise(known)):
        middle = _between(below.last, above.value)
        highs[index], lows[index + 1] = min(highs[index], middle), max(lows[index + 1], middle)
    return [_Known(item.value, item.last, low, high) for item, low, high in zip(known, lows, highs, strict=True)]


def _between(low: float, high: float) -> float:
    """Return a cut half-way between two numbers: above *low*, and at most *high*."""
    middle = low + (high - low) / 2
    return middle if low < middle <= high else high


def _rounded(values: NDArray[np.float64], width: type[np.floating[Any]]) -> Floats:
    """Return values rounded to a narrower float, as float64; ±inf beyond its range."""
    with np.errstate(all="ignore"):
        rounded: Floats = values.astype(width).astype(np.float64)
    return rounded


def _spacing(value: float, width: type[np.floating[Any]]) -> float:
    """Return the distance from a value to the next one of a narrower float, as if its range had no end."""
    form = np.finfo(width)
    return max(math.ldexp(1.0, math.frexp(value)[1] - 1 - form.nmant), float(form.tiny) * float(form.eps))


def _last_digit(value: float) -> float | None:
    """Return the unit of the last decimal digit of a value; None if it has more than `DECIMAL_DIGITS` digits."""
    if value.is_integer():
        return max(1.0, math.ulp(value))
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    return 10.0**exponent if len(digits) <= DECIMAL_DIGITS and isinstance(exponent, int) else None
