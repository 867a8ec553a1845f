"""Synthetic drift for tests and demos: shifts change a column, and schedules decide which rows they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import as_floats, as_objects
from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.typing import Column

__all__ = [
    "CategoryMix",
    "MeanShift",
    "MissingRate",
    "Outliers",
    "ScaleShift",
    "Shift",
    "UnitChange",
    "UnseenCategory",
    "gradual",
    "incremental",
    "inject",
    "recurring",
    "sudden",
]

Strengths: TypeAlias = NDArray[np.float64]
"""The strength of a shift for each row, shape (rows,), from 0 (no shift) to 1 (the whole shift)."""

Schedule: TypeAlias = Callable[[int, np.random.Generator], Strengths]
"""A function of a number of rows and a random generator. It returns the strength of a shift for each row."""


class Shift(Protocol):
    """A change of one feature, which `inject` applies to its column."""

    @property
    def feature(self) -> str:
        """The name of the feature."""
        ...

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """
        Return a copy of *column* with the shift.

        Args:
            column: the values of the feature.
            strength: shape (rows,), how much of the shift each row gets, or the probability that the row is replaced.
            random: generator of random numbers.
        """
        ...


@dataclass(frozen=True, slots=True)
class MeanShift:
    """Adds *by* standard deviations of the column to the values of *feature*. Integers become floats."""

    feature: str
    by: float

    def __post_init__(self) -> None:
        check.number("by", self.by)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        del random
        values = _read_numbers(column, self.feature)
        return values + strength * self.by * _mean_and_deviation(values)[1]


@dataclass(frozen=True, slots=True)
class ScaleShift:
    """Multiplies the distance of each value of *feature* from the mean by *factor*. Integers become floats."""

    feature: str
    factor: float

    def __post_init__(self) -> None:
        check.number("factor", self.factor, at_least=0)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        del random
        values = _read_numbers(column, self.feature)
        mean, _ = _mean_and_deviation(values)
        return mean + (values - mean) * (1.0 + strength * (self.factor - 1.0))


@dataclass(frozen=True, slots=True)
class UnitChange:
    """Multiplies the values of *feature* by *factor*, as when minutes become seconds. Integers become floats."""

    feature: str
    factor: float

    def __post_init__(self) -> None:
        check.number("factor", self.factor)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        del random
        return _read_numbers(column, self.feature) * (1.0 + strength * (self.factor - 1.0))


@dataclass(frozen=True, slots=True)
class Outliers:
    """Sets a share *rate* of the rows to *at* standard deviations above the mean. Integers become floats."""

    feature: str
    rate: float
    at: float = 5.0

    def __post_init__(self) -> None:
        check.probability("rate", self.rate)
        check.number("at", self.at)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        values = _read_numbers(column, self.feature)
        chosen = random.random(len(values)) < self.rate * strength
        mean, deviation = _mean_and_deviation(values)
        return np.where(chosen, mean + self.at * deviation, values)


@dataclass(frozen=True, slots=True)
class MissingRate:
    """Makes a share *rate* of the rows missing: nan for numbers, where integers become floats, and None for others."""

    feature: str
    rate: float

    def __post_init__(self) -> None:
        check.probability("rate", self.rate)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        chosen = random.random(len(column)) < self.rate * strength
        if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
            return np.where(chosen, np.nan, column.astype(np.float64))
        return _replace(column, chosen, None)


@dataclass(frozen=True, slots=True)
class UnseenCategory:
    """Replaces a share *rate* of the rows by a category that the column does not have."""

    feature: str
    rate: float
    label: str = "__unseen__"

    def __post_init__(self) -> None:
        check.probability("rate", self.rate)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        if self.label in as_objects(column):
            msg = f"label={self.label!r}: expected a category that {self.feature!r} does not have"
            raise ConfigurationError(msg)
        return _replace(column, random.random(len(column)) < self.rate * strength, self.label)


@dataclass(frozen=True, slots=True)
class CategoryMix:
    """Replaces a share *rate* of the rows by one category that the column has, so that its share grows."""

    feature: str
    toward: Any
    rate: float

    def __post_init__(self) -> None:
        check.probability("rate", self.rate)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        if self.toward not in as_objects(column):
            msg = f"toward={self.toward!r}: expected a category that {self.feature!r} has"
            raise ConfigurationError(msg)
        return _replace(column, random.random(len(column)) < self.rate * strength, self.toward)


ROUNDING = 1e-9
"""Smallest difference between two shares of rows, one row in a billion. A smaller one is a rounding error."""


# --- schedules -------------------------------------------------------------------------------------------------------


def sudden(at: float = 0.0) -> Schedule:
    """
    Return a schedule in which all rows from a position on get the whole shift, and earlier rows none.

    Args:
        at: the position, as a share of all rows from 0 to 1.

    Raises:
        ConfigurationError: *at* is not from 0 to 1.
    """
    check.probability("at", at)
    return lambda rows, _: (_row_shares(rows) >= at).astype(np.float64)


def gradual(start: float = 0.0, end: float = 1.0) -> Schedule:
    """
    Return a schedule in which each row gets the whole shift or none, with a probability that grows from 0 to 1.

    Args:
        start: position from which the probability grows, as a share of all rows from 0 to 1.
        end: position at which it reaches 1.

    Raises:
        ConfigurationError: a position is not from 0 to 1, or *start* is after *end*.
    """
    _check_order(start, end)
    return lambda rows, random: (random.random(rows) < _ramp(rows, start, end)).astype(np.float64)


def incremental(start: float = 0.0, end: float = 1.0) -> Schedule:
    """
    Return a schedule in which each row gets a part of the shift, which grows from 0 to 1.

    Args:
        start: position from which the part grows, as a share of all rows from 0 to 1.
        end: position at which it reaches 1.

    Raises:
        ConfigurationError: a position is not from 0 to 1, or *start* is after *end*.
    """
    _check_order(start, end)
    return lambda rows, _: _ramp(rows, start, end)


def recurring(period: float, duty: float = 0.5) -> Schedule:
    """
    Return a schedule with periods. The rows at the end of each period get the whole shift, and the others get none.

    Args:
        period: length of a period as a share of all rows, above 0 and at most 1.
        duty: length of the part with the shift as a share of the period, from 0 to 1.

    Raises:
        ConfigurationError: an argument is out of range.
    """
    check.number("period", period, above=0, at_most=1)
    check.probability("duty", duty)

    def shares(rows: int, _: np.random.Generator) -> Strengths:
        # Without `%`, because 0.6 % 0.2 is slightly less than 0.2, and a start of a period would count as its end.
        periods = _row_shares(rows) / period
        since = periods - np.floor(periods + ROUNDING)
        return (since >= 1.0 - duty - ROUNDING).astype(np.float64) if duty else np.zeros(rows)

    return shares


def inject(data: Any, *shifts: Shift, schedule: Schedule | None = None, seed: int = 0) -> Any:
    """
    Return a copy of *data* with shifts. The result depends on the arguments only.

    Args:
        data: a dict of columns or a pandas DataFrame. The result is of the same kind.
        shifts: the shifts. Several shifts of one feature apply in their order.
        schedule: the result of `sudden`, `gradual`, `incremental` or `recurring`. If None, all rows get the shifts.
        seed: an integer of at least 0. The same seed gives the same data.

    Raises:
        ConfigurationError: a feature is unknown, a numeric shift applies to a column of strings, or *data* is of
            another kind.
    """
    check.integer("seed", seed, at_least=0)
    if schedule is not None and not callable(schedule):
        msg = f"schedule={schedule!r}: expected sudden(...), gradual(...), incremental(...) or recurring(...)"
        raise ConfigurationError(msg)
    if wrong := [shift for shift in shifts if not hasattr(shift, "feature") or not hasattr(shift, "apply")]:
        msg = f"shifts={wrong!r}: expected shifts such as MeanShift(...)"
        raise ConfigurationError(msg)
    random = np.random.default_rng(seed)
    if isinstance(data, Mapping):
        columns: dict[str, Any] = dict(data)
    elif hasattr(data, "columns") and hasattr(data, "assign"):
        columns = {name: data[name].to_numpy() for name in data.columns}
    else:
        msg = f"data is a {type(data).__name__}: expected a dict of columns or a pandas DataFrame"
        raise ConfigurationError(msg)
    changed: dict[str, Any] = {}
    for shift in shifts:
        if shift.feature not in columns:
            msg = f"feature={shift.feature!r}: expected one of {list(columns)}"
            raise ConfigurationError(msg)
        column = changed.get(shift.feature, columns[shift.feature])
        strength = (schedule or sudden())(len(column), random)
        changed[shift.feature] = shift.apply(column, strength, random)
    if isinstance(data, Mapping):
        return {
            name: _match_kind(column, changed[name]) if name in changed else column for name, column in columns.items()
        }
    return data.assign(**changed)


def _match_kind(before: Any, after: Any) -> Any:
    """Return *after* as a list if *before* is a list, and otherwise unchanged."""
    return after.tolist() if isinstance(before, list) and isinstance(after, np.ndarray) else after


def _read_numbers(column: Column, feature: str) -> NDArray[np.float64]:
    """Return a column as floats. Raise ``ConfigurationError`` if it does not hold numbers."""
    values = as_floats(column)
    if len(values) and np.isnan(values).all() and any(isinstance(value, str) for value in as_objects(column)):
        msg = f"feature={feature!r} holds strings: expected a column of numbers for this shift"
        raise ConfigurationError(msg)
    return values


def _mean_and_deviation(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean and the standard deviation of the finite values; 0 and 0 if there are none."""
    finite = values[np.isfinite(values)]
    return (float(finite.mean()), float(finite.std())) if len(finite) else (0.0, 0.0)


def _replace(column: Column, chosen: NDArray[np.bool_], value: Any) -> Column:
    """Return a copy of *column* with *value* in the rows where *chosen* is True."""
    values = [value if hit else old for old, hit in zip(as_objects(column), chosen, strict=True)]
    return np.array(values, dtype=object) if isinstance(column, np.ndarray) else values


def _row_shares(rows: int) -> Strengths:
    """Return the position of each row as a share of all rows, shape (rows,)."""
    return np.arange(rows) / max(rows, 1)


def _ramp(rows: int, start: float, end: float) -> Strengths:
    """Return strengths that grow from 0 at *start* to 1 at *end*, both shares of all rows, shape (rows,)."""
    return np.clip((_row_shares(rows) - start) / (end - start), 0.0, 1.0)


def _check_order(start: float, end: float) -> None:
    check.probability("start", start)
    check.probability("end", end)
    if not start < end:
        msg = f"start={start!r}, end={end!r}: expected start before end"
        raise ConfigurationError(msg)
