"""`fit_feature`: chooses the kind and the bins of a column of training data, and counts the column in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from enum import Enum
from numbers import Real
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from driftline._binning.bins import DECIMAL_STEPS, CategoricalBins, Feature, NumericBins, NumericSummary
from driftline._binning.categories import count_categories, fit_categories
from driftline._binning.cuts import FEW_VALUES, MAX_ABSOLUTE, fit_numeric_bins, float_width
from driftline._binning.layout import binner
from driftline._binning.rejects import describe_rejected
from driftline._capture.columns import CategoricalColumn, as_floats, as_objects
from driftline._capture.labels import DATES, is_missing
from driftline.errors import ConfigurationError
from driftline.typing import Column

__all__ = ["count_like", "fit_feature"]

FEW_CODES = 10
"""Most distinct values of a column of integers that are codes, so that it is categorical (see `ROWS_PER_CODE`)."""

ROWS_PER_CODE = 5
"""Fewest rows per distinct integer, on average, for integers to be codes; with fewer they may be quantities."""


QUARTILES = (0.25, 0.5, 0.75)
"""Shares of the values below the lower quartile, the median and the upper quartile."""

STEP_ERROR = 2.0**-22
"""Largest distance from a multiple of a step, as a share of the value: two steps of float32."""

FAR = 1e-3
"""Largest distance from a multiple of a step, in steps, whatever the value is."""

MAX_STEPS = 2.0**40
"""Largest multiple of a step. The decimals of larger float64 are rounded, so that all of them look like multiples."""

LABELS = (str, bytes, bool, np.bool_, Enum)
"""Types of values that are labels."""


def fit_feature(name: str, column: Column, categorical: bool | None, max_categories: int) -> Feature:  # noqa: FBT001
    """
    Return the feature with bins that are fitted to a column, and with the counts of the column.

    Args:
        name: the name of the feature.
        column: its values.
        categorical: whether the feature is categorical. If None, the type of the column decides, then its values: a
            pandas category, an arrow dictionary and the like are categorical, whatever their labels.
        max_categories: most categories that get their own bin.

    Raises:
        ConfigurationError: the column holds dates, records or objects, or *categorical* is False and it holds no
            number.
    """
    if categorical is None and isinstance(column, CategoricalColumn):
        categorical = True
    _check_values(name, column, categorical)
    if categorical is None:
        categorical = _looks_categorical(column)
    if categorical:
        return fit_categories(name, column, max_categories)
    values = as_floats(column)
    if np.isnan(values).all() and not all(map(is_missing, as_objects(column))):
        msg = f"column {name!r} is named in numeric= and holds no number"
        raise ConfigurationError(msg)
    return _count_numbers(name, fit_numeric_bins(values, float_width(column)), column)


def _check_values(name: str, column: Column, categorical: bool | None) -> None:  # noqa: FBT001 - as above
    """Raise ConfigurationError if a column holds values that are neither labels nor numbers nor missing."""
    if isinstance(column, np.ndarray) and column.ndim > 1:
        _refuse(name, f"arrays of shape {column.shape[1:]}", ", or vectors of one length (ignore= skips a column)")
    array = column.dtype.kind if isinstance(column, np.ndarray) else "O"
    if array in "fiubU":
        return
    if array in "cV":
        _refuse(name, f"values of dtype {column.dtype}")  # type: ignore[union-attr]
    for kind, value in {type(value): value for value in as_objects(column)}.items():
        if array in "mM" or (issubclass(kind, DATES) and not is_missing(value)):
            _refuse(name, "dates", " (derive a number, such as an age, or name the column in ignore= or time=)")
        shape = getattr(value, "shape", ())
        if isinstance(shape, tuple) and shape:
            _refuse(name, f"arrays of shape {shape}", ", or vectors of one length (ignore= skips a column)")
        known = issubclass(kind, (*LABELS, Real, Decimal)) or is_missing(value)
        # An object of a column in categorical= has str(object) as its label. A list or dict has no label.
        if not known and (not categorical or isinstance(value, (Collection, complex))):
            _refuse(name, f"values of type {kind.__name__}")


def _refuse(name: str, content: str, hint: str = "") -> NoReturn:
    msg = f"column {name!r} holds {content}: expected numbers, strings or booleans{hint}"
    raise ConfigurationError(msg)


def _looks_categorical(column: Column) -> bool:
    """
    Return whether the values are labels, or few distinct integers that repeat often.

    A column of missing values is categorical without a category. So any value that it begins to hold is unseen.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        kind = column.dtype.kind
        if kind in "fb":
            return kind == "b" or bool(np.isnan(column).all())
        present: Sequence[object] = column.tolist()
    else:
        present = [value for value in as_objects(column) if not is_missing(value)]
    if not present:
        return True
    if any(isinstance(value, LABELS) for value in present):
        return True
    distinct = set(present)
    return (
        all(isinstance(value, (int, np.integer)) for value in distinct)
        and len(distinct) <= FEW_CODES
        and len(present) >= ROWS_PER_CODE * len(distinct)
    )


def count_like(like: Feature, column: Column) -> Feature:
    """
    Return the feature with the bins of *like*, and with the counts and moments of another column.

    Raises:
        ConfigurationError: the column holds values of another type than *like*.
    """
    came = describe_rejected(like, column, binner(like.bins)(column))
    if came:
        msg = f"column {like.name!r}: got {came}, as in the reference given as like="
        raise ConfigurationError(msg)
    if isinstance(like.bins, CategoricalBins):
        return count_categories(like, column)
    return _count_numbers(like.name, like.bins, column)


def _count_numbers(name: str, bins: NumericBins, column: Column) -> Feature:
    """Return the feature *name* with these bins, and with the counts and moments of a column."""
    numbers = binner(bins)(column)
    counts = tuple(int(count) for count in np.bincount(numbers, minlength=bins.size))
    values = as_floats(column)
    usable = np.abs(values) <= MAX_ABSOLUTE
    quartiles = _quartiles(values)
    values, numbers = values[usable], numbers[usable]
    if not len(values):
        return Feature(name, bins, counts)
    sums = np.bincount(numbers, weights=values, minlength=bins.size)
    inside = np.bincount(numbers, minlength=bins.size)
    low, high = float(values.min()), float(values.max())
    means = np.clip(np.divide(sums, inside, out=_centres(bins), where=inside > 0), low, high)
    # A constant is detected by its range, because rounding gives 0.1, 0.1, 0.1 a deviation that is not exactly 0.
    mean, std = (low, 0.0) if low == high else (float(values.mean()), float(values.std()))
    moments = NumericSummary(len(values), mean, std, low, high)
    return Feature(
        name,
        bins,
        counts,
        tuple(float(mean) for mean in means),
        moments,
        quartiles=quartiles,
        step=_step(values),
    )


def _quartiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the quartiles of the values that are not nan; empty if one of them is beyond `MAX_ABSOLUTE`."""
    known = values[~np.isnan(values)]
    if not len(known):
        return ()
    with np.errstate(invalid="ignore"):
        quartiles = np.quantile(known, QUARTILES)
    return tuple(quartiles.tolist()) if (np.abs(quartiles) <= MAX_ABSOLUTE).all() else ()


def _step(values: NDArray[np.float64]) -> float:
    """Return the largest of `DECIMAL_STEPS` of which all values, which are finite, are multiples; 0 if none is."""
    for step in DECIMAL_STEPS:
        # Most columns fail for their first values already.
        if all(_are_multiples(part, step) for part in (values[:FEW_VALUES], values)):
            return step
    return 0.0


def _are_multiples(values: NDArray[np.float64], step: float) -> bool:
    multiples = values * round(1.0 / step)
    sizes = np.abs(multiples)
    return bool(
        (np.abs(multiples - np.rint(multiples)) <= np.minimum(STEP_ERROR * sizes, FAR)).all()
        and sizes.max() <= MAX_STEPS
    )


def _centres(bins: NumericBins) -> NDArray[np.float64]:
    """Return the middle of each bin, shape (bins,), which is used as the mean of a bin without values."""
    cuts = np.array(bins.cuts)
    return np.array([cuts[0], *(cuts[:-1] + np.diff(cuts) / 2), cuts[-1], 0.0])
