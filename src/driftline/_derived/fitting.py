"""Training data to what is derived of it, and the features that this makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from driftline._binning.bins import (
    PREDICTION,
    Feature,
    NumericBins,
)
from driftline._binning.fitting import fit_feature
from driftline._capture.vectors import vector_length
from driftline._derived.projections import MAX_DIRECTIONS, fit_projections, fit_vectors
from driftline._derived.spec import Derive, Derived, as_functions
from driftline._derived.transform import Deriver
from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.typing import Column

__all__ = ["DerivedRequest", "check_projections", "derive_columns", "fit_derived"]


@dataclass(frozen=True, slots=True)
class DerivedRequest:
    """
    What is to be derived, checked.

    Attributes:
        directions: through the numeric features at most; 0: none.
        functions: the user's, by name.
        ignored: columns that are captured and no features.
        vectors: the length of the vectors in each column that holds some.
    """

    directions: int
    functions: Derive
    ignored: tuple[str, ...]
    vectors: Mapping[str, int]

    @classmethod
    def checked(
        cls, columns: Mapping[str, Column], projections: object, derive: object, ignore: tuple[str, ...]
    ) -> DerivedRequest:
        """
        Check what was asked for against the columns that there are.

        Raises:
            ConfigurationError: an argument is of the wrong type, or names a column that is not there, or one that is.
        """
        functions = as_functions(derive)
        if unknown := [name for name in ignore if name not in columns]:
            msg = f"ignore={unknown!r}: no such columns, expected names out of {list(columns)}"
            raise ConfigurationError(msg)
        if taken := [name for name in functions if name in columns or name == PREDICTION]:
            msg = f"derive={taken!r}: names of columns, expected other names"
            raise ConfigurationError(msg)
        found = {name: vector_length(column) for name, column in columns.items() if name not in ignore}
        vectors = {name: length for name, length in found.items() if length is not None}
        return cls(check_projections(projections), functions, ignore, vectors)

    @property
    def is_empty(self) -> bool:
        """Whether every column is a feature and there are no others."""
        return not (self.directions or self.functions or self.ignored or self.vectors)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that are no features."""
        return (*self.ignored, *self.vectors)


def check_projections(asked: object) -> int:
    """
    The number of directions asked for; 0: none.

    Raises:
        ConfigurationError: neither a boolean nor an integer from 1 to 64.
    """
    if isinstance(asked, bool):
        return MAX_DIRECTIONS if asked else 0
    if not isinstance(asked, int) or not 1 <= asked <= MAX_DIRECTIONS:
        check.reject("projections", asked, f"True, False or an integer from 1 to {MAX_DIRECTIONS}")
    return asked


def fit_derived(
    asked: DerivedRequest,
    columns: Mapping[str, Column],
    rows: int,
    plain: Sequence[Feature],
    categorical: Mapping[str, bool],
    max_categories: int,
) -> tuple[Derived, tuple[Feature, ...], dict[str, Column]]:
    """
    Fit what is derived, and the features that it makes; with all columns that are counted, by name.

    Args:
        asked: what is wanted.
        columns: all columns by name, in the order in which they are captured.
        rows: of each column.
        plain: the features that are columns as they are.
        categorical: what is known of the kind of features, by name.
        max_categories: of a derived feature.

    Raises:
        ConfigurationError: a function raises for every row, two features would have one name, or too little data.
    """
    derived = Derived(tuple(columns), tuple(name for name in columns if name in asked.inputs), tuple(asked.functions))
    vectors = tuple(fit_vectors(name, columns[name], length) for name, length in asked.vectors.items())
    projections = None
    if asked.directions:
        numeric = [(one.name, columns[one.name]) for one in plain if isinstance(one.bins, NumericBins)]
        projections = fit_projections(numeric, asked.directions)
    derived = replace(derived, vectors=vectors, projections=projections)
    twice = [name for name, times in Counter([*columns, *derived.names, PREDICTION]).items() if times > 1]
    if twice:
        msg = f"{twice!r}: names of derived features and of columns, expected columns of other names"
        raise ConfigurationError(msg)
    made = derive_columns(derived, asked.functions, columns, rows)
    kinds = {**dict.fromkeys(derived.names, False), **dict.fromkeys(derived.functions), **categorical}
    features = tuple(fit_feature(name, made[name], kinds.get(name), max_categories) for name in derived.names)
    return derived, features, made


def derive_columns(derived: Derived, functions: Derive, columns: Mapping[str, Column], rows: int) -> dict[str, Column]:
    """
    All columns that are counted, by name: the plain ones and the derived ones.

    Raises:
        ConfigurationError: a function raises for every row, or a column is absent.
    """
    if absent := [name for name in derived.columns if name not in columns]:
        msg = f"data: columns {absent} of the reference given as like= are absent"
        raise ConfigurationError(msg)
    raised: Counter[str] = Counter()
    last: dict[str, Exception] = {}

    def caught(name: str, error: Exception) -> None:
        raised[name] += 1
        last[name] = error

    made = Deriver(derived, functions, caught)([columns[name] for name in derived.columns], rows)
    if useless := next((name for name, times in raised.items() if times == rows), None):
        msg = f"derive[{useless!r}] raises {type(last[useless]).__name__} for every row: expected a number or a label"
        raise ConfigurationError(msg) from last[useless]
    counted = zip((*derived.plain, *derived.names), made, strict=True)
    return {name: column for name, column in counted if column is not None}
