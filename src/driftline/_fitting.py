"""A column of training data to a feature: its kind, its bins, and what the column puts into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline._binning import binner
from driftline._frames import as_floats, as_objects
from driftline._values import Bins, CategoricalBins, Column, Feature, Label, Moments, NumericBins
from driftline.errors import ConfigurationError

__all__ = ["count_feature", "fit_feature", "is_missing"]

QUANTILES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Deciles miss the tail; with 1, 5, 95 and 99 % outliers have bins of their own (design, section 5)."""

FEW_VALUES = 20
"""A numeric column of at most so many distinct values has a bin per value."""

FEW_CODES = 10
"""An integer column of at most so many distinct values holds codes, not quantities: it is categorical …"""

ROWS_PER_CODE = 5
"""… if each appears so often on average: five rows of five numbers say nothing about a column."""

KNOWN_CATEGORIES = 4_096
"""Categories remembered by name: beyond that a column looks like an identifier, and memory stays bounded."""


def fit_feature(name: str, column: Column, categorical: bool | None, max_categories: int) -> Feature:  # noqa: FBT001
    """
    Fit the bins of a column and count it; *categorical* None: told by its values.

    Raises:
        ConfigurationError: the column holds dates or records.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind in "mM":
        msg = f"column {name!r} holds dates: expected numbers, texts or booleans (derive a number, such as an age)"
        raise ConfigurationError(msg)
    if isinstance(column, np.ndarray) and column.dtype.kind == "V":
        msg = f"column {name!r} is of dtype {column.dtype}: expected numbers, texts or booleans"
        raise ConfigurationError(msg)
    if categorical is None:
        categorical = _looks_categorical(column)
    if categorical:
        return count_feature(name, _categories(column, max_categories), column)
    return count_feature(name, NumericBins(_cuts(as_floats(column))), column)


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
    if any(isinstance(value, (str, bytes, bool, np.bool_)) for value in present):
        return True
    distinct = set(present)
    return (
        all(isinstance(value, (int, np.integer)) for value in distinct)
        and len(distinct) <= FEW_CODES
        and len(present) >= ROWS_PER_CODE * len(distinct)
    )


def is_missing(value: object) -> bool:
    """Whether a value is None, nan, NaT or NA."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - nan, NaT
    except (TypeError, ValueError):
        return True  # pandas.NA


def _categories(column: Column, max_categories: int) -> CategoricalBins:
    seen = Counter(_label(value) for value in as_objects(column) if not is_missing(value))
    # Most frequent first, ties by name: the same data in another order gives the same bins.
    ordered = sorted(seen, key=lambda label: (-seen[label], str(label)))
    kept, rare = ordered[:max_categories], ordered[max_categories:]
    if len(rare) > KNOWN_CATEGORIES:
        return CategoricalBins(tuple(kept), (), open=True)
    return CategoricalBins(tuple(kept), tuple(rare))


def _label(value: object) -> Label:
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()  # type: ignore[no-any-return]
    return str(value)


def _cuts(values: NDArray[np.float64]) -> tuple[float, ...]:
    finite = np.sort(values[np.isfinite(values)])
    if not len(finite):
        return ()
    distinct = np.unique(finite)
    low, high = distinct[0], distinct[-1]
    # The range reaches one float32 step further: a service that computes in float32 is not out of range by rounding.
    bottom = min(low, float(np.nextafter(np.float32(low), np.float32(-np.inf))))
    top = max(np.nextafter(high, np.inf), float(np.nextafter(np.float32(high), np.float32(np.inf))))
    if len(distinct) <= FEW_VALUES:
        # Cut half-way between neighbours: rounding does not move a value into another bin.
        inner = distinct[:-1] + np.diff(distinct) / 2
    else:
        quantiles = np.quantile(finite, QUANTILES, method="inverted_cdf")
        # A value that takes more than one quantile is a spike (the zero of many columns): it has a bin to itself.
        spikes = {float(value) for value, times in Counter(quantiles.tolist()).items() if times > 1}
        after = {float(distinct[np.searchsorted(distinct, value, side="right")]) for value in spikes if value < high}
        inner = np.array(sorted({float(value) for value in quantiles if value > low} | after))
    cuts = np.unique(np.array([bottom, *inner, top], dtype=np.float64))
    cuts = cuts[np.isfinite(cuts)]
    return tuple(float(cut) for cut in cuts)


def count_feature(name: str, bins: Bins, column: Column) -> Feature:
    """Count a column in bins that are there already."""
    numbers = binner(bins)(column)
    counts = tuple(int(count) for count in np.bincount(numbers, minlength=bins.size))
    if isinstance(bins, CategoricalBins):
        return Feature(name, bins, counts)
    values = as_floats(column)
    finite = np.isfinite(values)
    values, numbers = values[finite], numbers[finite]
    if not len(values):
        return Feature(name, bins, counts)
    sums = np.bincount(numbers, weights=values, minlength=bins.size)
    inside = np.bincount(numbers, minlength=bins.size)
    low, high = float(values.min()), float(values.max())
    means = np.clip(np.divide(sums, inside, out=_centres(bins), where=inside > 0), low, high)
    moments = Moments(len(values), float(values.mean()), float(values.std()), low, high)
    return Feature(name, bins, counts, tuple(float(mean) for mean in means), moments)


def _centres(bins: NumericBins) -> NDArray[np.float64]:
    """Where an empty bin is taken to lie: its middle."""
    cuts = np.array(bins.cuts)
    return np.array([cuts[0], *(cuts[:-1] + np.diff(cuts) / 2), cuts[-1], 0.0])
