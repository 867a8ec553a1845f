"""Fits derived features to training data: checks the arguments, computes the columns, and fits their bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from driftline._binning.bins import PREDICTION, Feature, NumericBins
from driftline._binning.fitting import fit_feature
from driftline._capture.vectors import vector_length
from driftline._derived.projection_fitting import MAX_DIRECTIONS, fit_projections, fit_vectors
from driftline._derived.spec import Derive, Derived, as_functions
from driftline._derived.transform import Deriver
from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.typing import Column

__all__ = ["DerivedRequest", "check_projections", "derive_columns", "fit_derived"]


@dataclass(frozen=True, slots=True)
class DerivedRequest:
    """
    Which features a fit derives: the checked arguments of the fit.

    Attributes:
        directions: most directions through the numeric features; 0 for none.
        functions: name of a derived feature to the user function that computes it from a row.
        ignored: names of columns that are captured but are not features.
        vectors: name of each column of vectors to the length of its vectors.
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
        Check the arguments of a fit, and return them as a request.

        Args:
            columns: all columns of the training data by name, among which columns of vectors are found.
            projections: see `Reference.fit`.
            derive: see `Reference.fit`.
            ignore: see `Reference.fit`.

        Raises:
            ConfigurationError: an argument has the wrong type, ignores an unknown column, or derives a feature that has
                the name of a column.
        """
        functions = as_functions(derive)
        if unknown := [name for name in ignore if name not in columns]:
            msg = f"ignore={unknown!r}: no such columns, expected names from {list(columns)}"
            raise ConfigurationError(msg)
        if taken := [name for name in functions if name in columns or name == PREDICTION]:
            msg = f"derive={taken!r}: names of columns, expected other names"
            raise ConfigurationError(msg)
        lengths = {name: vector_length(column) for name, column in columns.items() if name not in ignore}
        vectors = {name: length for name, length in lengths.items() if length is not None}
        return cls(check_projections(projections), functions, ignore, vectors)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is derived and no column is ignored, so that the columns are the features."""
        return not (self.directions or self.functions or self.ignored or self.vectors)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of columns that are not features themselves: ignored ones, and vectors."""
        return (*self.ignored, *self.vectors)


def check_projections(projections: object) -> int:
    """
    Return the largest number of directions that the argument *projections* allows; 0 if it is False.

    Raises:
        ConfigurationError: it is neither a boolean nor an integer from 1 to `MAX_DIRECTIONS`.
    """
    if isinstance(projections, bool):
        return MAX_DIRECTIONS if projections else 0
    if not isinstance(projections, int) or not 1 <= projections <= MAX_DIRECTIONS:
        check.reject("projections", projections, f"True, False or an integer from 1 to {MAX_DIRECTIONS}")
    return projections


def fit_derived(
    request: DerivedRequest,
    columns: Mapping[str, Column],
    rows: int,
    plain: Sequence[Feature],
    categorical: Mapping[str, bool],
    max_categories: int,
) -> tuple[Derived, tuple[Feature, ...], dict[str, Column]]:
    """
    Derive features from training data, and fit their bins.

    Args:
        request: the features to derive.
        columns: all columns by name, in the order in which they are captured.
        rows: rows of each column.
        plain: the features that are captured columns.
        categorical: name to whether the feature is categorical, for features whose kind the user has set.
        max_categories: most categories of one feature that get their own bin.

    Returns:
        The description of the derived features, the derived features, and name to column of all features, derived or
        not.

    Raises:
        ConfigurationError: a function raises for every row, two features have one name, or there are too few rows.
    """
    derived = Derived(
        tuple(columns), tuple(name for name in columns if name in request.inputs), tuple(request.functions)
    )
    vectors = tuple(fit_vectors(name, columns[name], length) for name, length in request.vectors.items())
    projections = None
    if request.directions:
        numeric = [(feature.name, columns[feature.name]) for feature in plain if isinstance(feature.bins, NumericBins)]
        projections = fit_projections(numeric, request.directions)
    derived = replace(derived, vectors=vectors, projections=projections)
    twice = [name for name, times in Counter([*columns, *derived.names, PREDICTION]).items() if times > 1]
    if twice:
        msg = f"{twice!r}: names of derived features and of columns, expected columns of other names"
        raise ConfigurationError(msg)
    counted = derive_columns(derived, request.functions, columns, rows)
    kinds = {**dict.fromkeys(derived.names, False), **dict.fromkeys(derived.functions), **categorical}
    features = tuple(fit_feature(name, counted[name], kinds.get(name), max_categories) for name in derived.names)
    return derived, features, counted


def derive_columns(derived: Derived, functions: Derive, columns: Mapping[str, Column], rows: int) -> dict[str, Column]:
    """
    Compute the derived features of training data.

    Args:
        derived: the description of the derived features.
        functions: the user functions, by the names in *derived*.
        columns: the captured columns by name.
        rows: rows of each column.

    Returns:
        Name to column of all features, derived or not.

    Raises:
        ConfigurationError: a function raises for every row, or a column is absent.
    """
    if absent := [name for name in derived.columns if name not in columns]:
        msg = f"data: columns {absent} of the reference given as like= are absent"
        raise ConfigurationError(msg)
    errors: Counter[str] = Counter()
    last: dict[str, BaseException] = {}

    def on_error(name: str, error: BaseException) -> None:
        errors[name] += 1
        last[name] = error

    counted = Deriver(derived, functions, on_error)([columns[name] for name in derived.columns], rows)
    if useless := next((name for name, times in errors.items() if times == rows), None):
        msg = f"derive[{useless!r}] raises {type(last[useless]).__name__} for every row: expected a number or a label"
        raise ConfigurationError(msg) from last[useless]
    by_name = zip((*derived.plain, *derived.names), counted, strict=True)
    return {name: column for name, column in by_name if column is not None}
