"""Descriptions of derived features, which a file can hold: how further features are computed from captured columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.typing import Label

__all__ = ["Derive", "Derived", "NamedRow", "Projections", "VectorColumn", "as_functions", "check_functions"]

NamedRow: TypeAlias = "Mapping[str, Any]"
"""One row as user functions get it: name of each captured column to its value."""

Derive: TypeAlias = "Mapping[str, Callable[[NamedRow], Label | None]]"
"""Name of each derived feature to the user function that computes it from a row."""

Matrix: TypeAlias = "tuple[tuple[float, ...], ...]"


@dataclass(frozen=True, slots=True)
class Projections:
    """
    Directions through the numeric features, on which rows are projected to derive further features.

    Each value is first replaced by the normal score of its rank in the training data, and a missing value by 0, the
    mean. Thus no outlier and no unit outweighs the other features. The first *leading* directions are orthonormal
    principal directions. The root mean square of what they do not span is the reconstruction error, which is a derived
    feature too. Each other direction gives the part of one feature that the others do not explain.

    Attributes:
        columns: names of the p numeric features.
        knots: increasing values of each feature.
        scores: the normal score of each knot; scores between knots are interpolated.
        directions: k directions of p numbers each.
        leading: number of principal directions, which come first.
        names: names of the derived features: one per direction, and last the reconstruction error.
    """

    columns: tuple[str, ...]
    knots: Matrix
    scores: Matrix
    directions: Matrix
    leading: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VectorColumn:
    """
    A column of vectors of one length, such as embeddings, and the directions on which they are projected.

    Attributes:
        column: the name of the column.
        centre: the mean vector of the training data.
        directions: unit vectors: *leading* principal directions, then random ones.
        leading: number of principal directions.
    """

    column: str
    centre: tuple[float, ...]
    directions: Matrix
    leading: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the derived features: the norm, a projection per direction, the reconstruction error."""
        projected = (f"{self.column} projection {number}" for number in range(1, len(self.directions) + 1))
        return (f"{self.column} norm", *projected, f"{self.column} reconstruction error")


@dataclass(frozen=True, slots=True)
class Derived:
    """
    The captured columns of a row, and the features that are derived from them.

    Attributes:
        columns: names of all captured columns, in the order of the training data.
        inputs: names of the captured columns that are not features themselves.
        functions: names of the features that user functions compute. The functions are not stored.
        vectors: the columns of vectors.
        projections: directions through the numeric features; None if there are none.
    """

    columns: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    vectors: tuple[VectorColumn, ...] = ()
    projections: Projections | None = None

    @property
    def plain(self) -> tuple[str, ...]:
        """Names of the captured columns that are features."""
        return tuple(name for name in self.columns if name not in self.inputs)

    @property
    def other_inputs(self) -> tuple[str, ...]:
        """Names of the captured columns that are neither features nor columns of vectors."""
        vectors = {vector.column for vector in self.vectors}
        return tuple(name for name in self.inputs if name not in vectors)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the derived features, in the order in which they follow the plain ones."""
        names = [*self.functions, *(name for vector in self.vectors for name in vector.names)]
        return (*names, *(self.projections.names if self.projections is not None else ()))


def check_functions(derived: Derived | None, derive: object) -> Derive:
    """
    Return the user functions in the argument *derive*, after checking that they are those of a reference.

    Args:
        derived: the reference's description of derived features; None if it has none.
        derive: the argument; None for no functions.

    Raises:
        ConfigurationError: *derive* is not a mapping of names to functions, or has other names than the reference.
    """
    functions = as_functions(derive)
    wanted = derived.functions if derived is not None else ()
    if set(wanted) != set(functions):
        names = list(functions)
        msg = f"derive={names!r}: expected functions named {list(wanted)!r}, as the reference was fitted with"
        raise ConfigurationError(msg)
    return functions


def as_functions(derive: object) -> Derive:
    """
    Return the argument *derive* as a dict of user functions by name; an empty dict if it is None.

    Raises:
        ConfigurationError: it is not a mapping, a name is not a string, or a value is not a function.
    """
    if derive is None:
        return {}
    if not isinstance(derive, Mapping):
        check.reject("derive", derive, "a dict of names and functions of a row")
    for name, function in derive.items():
        if not isinstance(name, str) or not name:
            msg = f"derive: {name!r}: expected the name of a feature, a string"
            raise ConfigurationError(msg)
        check.function(f"derive[{name!r}]", function, "a function of a row")
    return dict(derive)
