"""A column of training data to a feature: its kind, its bins, and the counts of the column in them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Collection, Sequence
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import Bins, CategoricalBins, Feature, Moments, NumericBins
from driftline._binning.labels import is_missing, label_of
from driftline._binning.layout import binner
from driftline._capture.columns import as_floats, as_objects
from driftline.errors import ConfigurationError
from driftline.typing import Column

__all__ = ["count_feature", "fit_feature"]

QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Shares of the training data below the cuts. Deciles miss the tails; cuts at 1, 5, 95 and 99 % give them bins."""

FEW_VALUES = 20
"""Distinct values of a numeric column up to which each value gets a bin."""

FEW_CODES = 10
"""Distinct values up to which an integer column is taken to hold codes: it is categorical …"""

ROWS_PER_CODE = 5
"""… if each value has at least this many rows on average: five rows of five numbers may be either."""

LARGEST = 1e140
"""Numbers beyond it are out of range, as infinities are: sums of their squares overflow."""

KNOWN_CATEGORIES = 4_096
"""Rare categories that are kept by name at most. A column with more is like an identifier, and memory is bounded."""


LABELS = (str, bytes, bool, np.bool_, Enum)
"""Types of values that are labels."""

DATES = (dt.date, dt.time, dt.timedelta, np.datetime64, np.timedelta64)
"""Types of values that are dates or times: those of the training data do not come again."""


def fit_feature(name: str, column: Column, categorical: bool | None, max_categories: int) -> Feature:  # noqa: FBT001
    """
    Fit the bins of a column, and count the column in them.

    Args:
        name: the name of the feature.
        column: its values.
        categorical: whether the feature is categorical. If None, its values decide.
        max_categories: categories that get a bin of their own.

    Raises:
        ConfigurationError: the column holds dates, records or objects, or is to be numeric and holds no number.
    """
    _check_values(name, column, categorical)
    if categorical is None:
        categorical = _looks_categorical(column)
    if categorical:
        return count_feature(name, _categories(column, max_categories), column)
    values = as_floats(column)
    if np.isnan(values).all() and not all(map(is_missing, as_objects(column))):
        msg = f"column {name!r} is named in numeric= and holds no number"
        raise ConfigurationError(msg)
    return count_feature(name, NumericBins(_cuts(values)), column)


def _check_values(name: str, column: Column, categorical: bool | None) -> None:  # noqa: FBT001 - as above
    array = column.dtype.kind if isinstance(column, np.ndarray) else "O"
    if array in "fiubU":
        return
    if array in "cV":
        _refuse(name, f"values of dtype {column.dtype}")  # type: ignore[union-attr]
    for kind, value in {type(value): value for value in as_objects(column)}.items():
        if array in "mM" or (issubclass(kind, DATES) and not is_missing(value)):
            _refuse(name, "dates", " (derive a number, such as an age)")
        known = issubclass(kind, (*LABELS, Real, Decimal)) or is_missing(value)
        # An object of a column in categorical= has str(object) as its label. A list or dict has no label.
        if not known and (not categorical or isinstance(value, (Collection, complex))):
            _refuse(name, f"values of type {kind.__name__}")


def _refuse(name: str, content: str, hint: str = "") -> NoReturn:
    msg = f"column {name!r} holds {content}: expected numbers, strings or booleans{hint}"
    raise ConfigurationError(msg)


def _looks_categorical(column: Column) -> bool:
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        kind = column.dtype.kind
        if kind in "fb":
            return kind == "b"
        present: Sequence[object] = column.tolist()
    else:
        present = [value for value in as_objects(column) if not is_missing(value)]
    if not present:
        return False
    if any(isinstance(value, LABELS) for value in present):
        return True
    distinct = set(present)
    return (
        all(isinstance(value, (int, np.integer)) for value in distinct)
        and len(distinct) <= FEW_CODES
        and len(present) >= ROWS_PER_CODE * len(distinct)
    )


def _categories(column: Column, max_categories: int) -> CategoricalBins:
    seen = Counter(label_of(value) for value in as_objects(column) if not is_missing(value))
    # The most frequent first, ties by name: the order of the rows does not change the bins.
    ordered = sorted(seen, key=lambda label: (-seen[label], str(label), type(label).__name__))
    kept, rare = ordered[:max_categories], ordered[max_categories:]
    if len(rare) > KNOWN_CATEGORIES:
        return CategoricalBins(tuple(kept), (), open=True)
    return CategoricalBins(tuple(kept), tuple(rare))


def _cuts(values: NDArray[np.float64]) -> tuple[float, ...]:
    finite = np.sort(values[np.abs(values) <= LARGEST])
    if not len(finite):
        return ()
    distinct = np.unique(finite)
    low, high = distinct[0], distinct[-1]
    # The range is one float32 step wider, so that a service that rounds to float32 is not out of range.
    bottom, top = _beyond(low, -np.inf), _beyond(high, np.inf)
    if len(distinct) <= FEW_VALUES:
        # Cuts are half-way between neighbours, so that rounding moves no value into another bin.
        inner = distinct[:-1] + np.diff(distinct) / 2
    else:
        quantiles = np.quantile(finite, QUANTILES, method="inverted_cdf")
        # A value at more than one quantile is a spike, such as the zeros of many columns. It gets its own bin.
        spikes = {float(value) for value, times in Counter(quantiles.tolist()).items() if times > 1}
        after = {float(distinct[np.searchsorted(distinct, value, side="right")]) for value in spikes if value < high}
        inner = np.array(sorted({float(value) for value in quantiles if value > low} | after))
    cuts = np.unique(np.array([bottom, *inner, top], dtype=np.float64))
    return tuple(float(cut) for cut in cuts)


def _beyond(value: float, direction: float) -> float:
    """Return the next float32 in a direction, or the next float64 if the value is too large for float32."""
    with np.errstate(over="ignore"):
        beyond = float(np.nextafter(np.float32(value), np.float32(direction)))
    return beyond if np.isfinite(beyond) else float(np.nextafter(value, direction))


def count_feature(name: str, bins: Bins, column: Column) -> Feature:
    """Count a column in the bins of a feature."""
    numbers = binner(bins)(column)
    counts = tuple(int(count) for count in np.bincount(numbers, minlength=bins.size))
    if isinstance(bins, CategoricalBins):
        once, twice = _rarely_seen(column)
        return Feature(name, bins, counts, once=once, twice=twice)
    values = as_floats(column)
    usable = np.abs(values) <= LARGEST
    values, numbers = values[usable], numbers[usable]
    if not len(values):
        return Feature(name, bins, counts)
    sums = np.bincount(numbers, weights=values, minlength=bins.size)
    inside = np.bincount(numbers, minlength=bins.size)
    low, high = float(values.min()), float(values.max())
    means = np.clip(np.divide(sums, inside, out=_centres(bins), where=inside > 0), low, high)
    # The range tells a constant. Rounding gives 0.1, 0.1, 0.1 a deviation that is not exactly 0.
    mean, std = (low, 0.0) if low == high else (float(values.mean()), float(values.std()))
    moments = Moments(len(values), mean, std, low, high)
    return Feature(name, bins, counts, tuple(float(mean) for mean in means), moments)


def _rarely_seen(column: Column) -> tuple[int, int]:
    """Return how many categories a column has once, and how many it has twice."""
    seen = Counter(label_of(value) for value in as_objects(column) if not is_missing(value))
    times = Counter(seen.values())
    return times[1], times[2]


def _centres(bins: NumericBins) -> NDArray[np.float64]:
    """Return the middle of each bin: the mean of a bin without values."""
    cuts = np.array(bins.cuts)
    return np.array([cuts[0], *(cuts[:-1] + np.diff(cuts) / 2), cuts[-1], 0.0])
