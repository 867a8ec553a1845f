"""Shifts on demand: what to change in a column, when, and how suddenly; seeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftline._capture.columns import as_floats, as_objects
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
Schedule: TypeAlias = Callable[[int, np.random.Generator], Strengths]
"""(rows, random numbers) to how much of the shift each row gets, 0 to 1, shape (rows,)."""


class Shift(Protocol):
    """A change of one feature."""

    @property
    def feature(self) -> str:
        """The name of the feature."""
        ...

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """The column with the shift in it, each row as strongly as *strength* says; the given one is left as it is."""
        ...


@dataclass(frozen=True, slots=True)
class MeanShift:
    """Adds *by* standard deviations of the column. Whole numbers become floats."""

    feature: str
    by: float

    def __post_init__(self) -> None:
        _number(self.by, "by")

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        del random
        values = _numeric(column, self.feature)
        return values + strength * self.by * _middle_and_spread(values)[1]


@dataclass(frozen=True, slots=True)
class ScaleShift:
    """Spreads the column around its mean by a factor. Whole numbers become floats."""

    feature: str
    factor: float

    def __post_init__(self) -> None:
        _number(self.factor, "factor", low=0.0)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        del random
        values = _numeric(column, self.feature)
        middle, _ = _middle_and_spread(values)
        return middle + (values - middle) * (1.0 + strength * (self.factor - 1.0))


@dataclass(frozen=True, slots=True)
class UnitChange:
    """Multiplies the column by a factor, as when minutes become seconds. Whole numbers become floats."""

    feature: str
    factor: float

    def __post_init__(self) -> None:
        _number(self.factor, "factor")

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        del random
        return _numeric(column, self.feature) * (1.0 + strength * (self.factor - 1.0))


@dataclass(frozen=True, slots=True)
class Outliers:
    """Moves a share of the rows to *at* standard deviations from the mean. Whole numbers become floats."""

    feature: str
    rate: float
    at: float = 5.0

    def __post_init__(self) -> None:
        _number(self.rate, "rate", low=0.0, high=1.0)
        _number(self.at, "at")

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        values = _numeric(column, self.feature)
        chosen = random.random(len(values)) < self.rate * strength
        middle, spread = _middle_and_spread(values)
        return np.where(chosen, middle + self.at * spread, values)


@dataclass(frozen=True, slots=True)
class MissingRate:
    """Makes a share of the rows missing: nan in a column of numbers (whole ones become floats), None in any other."""

    feature: str
    rate: float

    def __post_init__(self) -> None:
        _number(self.rate, "rate", low=0.0, high=1.0)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        chosen = random.random(len(column)) < self.rate * strength
        if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
            return np.where(chosen, np.nan, column.astype(np.float64))
        return _replaced(column, chosen, None)


@dataclass(frozen=True, slots=True)
class UnseenCategory:
    """Gives a share of the rows a category that the column has never had."""

    feature: str
    rate: float
    label: str = "__unseen__"

    def __post_init__(self) -> None:
        _number(self.rate, "rate", low=0.0, high=1.0)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        if self.label in as_objects(column):
            msg = f"label={self.label!r}: expected a category that {self.feature!r} does not have"
            raise ConfigurationError(msg)
        return _replaced(column, random.random(len(column)) < self.rate * strength, self.label)


@dataclass(frozen=True, slots=True)
class CategoryMix:
    """Turns a share of the rows into one category that the column has: the mix moves towards it."""

    feature: str
    toward: Any
    rate: float

    def __post_init__(self) -> None:
        _number(self.rate, "rate", low=0.0, high=1.0)

    def apply(self, column: Column, strength: Strengths, random: np.random.Generator) -> Column:
        """See `Shift`."""
        if self.toward not in as_objects(column):
            msg = f"toward={self.toward!r}: expected a category that {self.feature!r} has"
            raise ConfigurationError(msg)
        return _replaced(column, random.random(len(column)) < self.rate * strength, self.toward)


ROUNDING = 1e-9
"""Shares of rows are told apart to this: a billion rows."""


# --- when ------------------------------------------------------------------------------------------------------------


def sudden(at: float = 0.0) -> Schedule:
    """From row ``at`` (a share of all rows, 0 to 1) on, in full."""
    _number(at, "at", low=0.0, high=1.0)
    return lambda rows, _: (_places(rows) >= at).astype(np.float64)


def gradual(start: float = 0.0, end: float = 1.0) -> Schedule:
    """Between the two shares of all rows, more and more rows get the shift in full, the others nothing."""
    _ordered(start, end)
    return lambda rows, random: (random.random(rows) < _ramp(rows, start, end)).astype(np.float64)


def incremental(start: float = 0.0, end: float = 1.0) -> Schedule:
    """Between the two shares of all rows, every row gets more and more of the shift."""
    _ordered(start, end)
    return lambda rows, _: _ramp(rows, start, end)


def recurring(period: float, duty: float = 0.5) -> Schedule:
    """In each *period* (a share of all rows), the last *duty* of it (a share of the period) gets the shift in full."""
    _number(period, "period", low=0.0, high=1.0)
    _number(duty, "duty", low=0.0, high=1.0)
    if not period:
        msg = f"period={period!r}: expected a share of the rows above 0"
        raise ConfigurationError(msg)

    def shares(rows: int, _: np.random.Generator) -> Strengths:
        # In periods, and not by `%`: 0.6 % 0.2 is 0.2 less a rounding error, the end of a period instead of its start.
        periods = _places(rows) / period
        since = periods - np.floor(periods + ROUNDING)
        return (since >= 1.0 - duty - ROUNDING).astype(np.float64) if duty else np.zeros(rows)

    return shares


def inject(data: Any, *shifts: Shift, schedule: Schedule | None = None, seed: int = 0) -> Any:
    """
    A copy of *data* with the shifts in it.

    Args:
        data: a dict of columns or a pandas DataFrame; the same kind is returned.
        shifts: what changes; two of one feature apply one after the other.
        schedule: when: `sudden` (the default, from the first row), `gradual`, `incremental` or `recurring`.
        seed: the same one gives the same data.

    Raises:
        ConfigurationError: an unknown feature, a numeric shift of a column of texts, data of another kind.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        msg = f"seed={seed!r}: expected a whole number of at least 0"
        raise ConfigurationError(msg)
    if schedule is not None and not callable(schedule):
        msg = f"schedule={schedule!r}: expected sudden(...), gradual(...), incremental(...) or recurring(...)"
        raise ConfigurationError(msg)
    if odd := [shift for shift in shifts if not hasattr(shift, "feature") or not hasattr(shift, "apply")]:
        msg = f"shifts={odd!r}: expected shifts such as MeanShift(...)"
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
        return {name: _like(column, changed[name]) if name in changed else column for name, column in columns.items()}
    return data.assign(**changed)


def _like(before: Any, after: Any) -> Any:
    return after.tolist() if isinstance(before, list) and isinstance(after, np.ndarray) else after


def _numeric(column: Column, feature: str) -> NDArray[np.float64]:
    values = as_floats(column)
    if len(values) and np.isnan(values).all() and any(isinstance(value, str) for value in as_objects(column)):
        msg = f"feature={feature!r} holds texts: expected a column of numbers for this shift"
        raise ConfigurationError(msg)
    return values


def _middle_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of the finite values; 0 and 0 where there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.mean()), float(finite.std())) if len(finite) else (0.0, 0.0)


def _replaced(column: Column, chosen: NDArray[np.bool_], value: Any) -> Column:
    plain = [value if hit else old for old, hit in zip(as_objects(column), chosen, strict=True)]
    return np.array(plain, dtype=object) if isinstance(column, np.ndarray) else plain


def _places(rows: int) -> Strengths:
    return np.arange(rows) / max(rows, 1)


def _ramp(rows: int, start: float, end: float) -> Strengths:
    return np.clip((_places(rows) - start) / (end - start), 0.0, 1.0)


def _number(value: object, what: str, low: float = -np.inf, high: float = np.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high or value != value:  # noqa: PLR0124
        msg = f"{what}={value!r}: expected a number from {low:g} to {high:g}"
        raise ConfigurationError(msg)


def _ordered(start: float, end: float) -> None:
    _number(start, "start", low=0.0, high=1.0)
    _number(end, "end", low=0.0, high=1.0)
    if not start < end:
        msg = f"start={start!r}, end={end!r}: expected start before end"
        raise ConfigurationError(msg)
