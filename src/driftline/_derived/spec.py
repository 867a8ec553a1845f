"""Descriptions of derived features: how captured columns become further features. A file can hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.typing import Label

__all__ = ["Derive", "Derived", "Projections", "Row", "VectorColumn", "as_functions", "check_functions"]

Row: TypeAlias = "Mapping[str, Any]"
"""One row as user functions get it: the captured values by the name of their column."""

Derive: TypeAlias = "Mapping[str, Callable[[Row], Label | None]]"
"""User functions of a row, by the name of the feature that each makes."""

Matrix: TypeAlias = "tuple[tuple[float, ...], ...]"


@dataclass(frozen=True, slots=True)
class Projections:
    """
    Directions through the numeric features of a row, after each feature was put on a normal scale.

    A value becomes the normal score of its rank in the training data, interpolated between *knots*. A missing value
    becomes 0, the mean. So no outlier and no unit outweighs the other features. The first *leading* directions are
    orthonormal principal directions. The root mean square of the rest of a row is the reconstruction error, which is a
    feature too. Each other direction is the part of one feature that the others do not explain.

    Attributes:
        columns: names of the p numeric features.
        knots: increasing values of each column.
        scores: the normal score of each knot.
        directions: k directions of p numbers each.
        leading: how many directions are principal ones. They come first.
        names: names of the features that this makes: one per direction, and last the reconstruction error.
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
    A column whose values are vectors of one length, such as embeddings.

    Attributes:
        column: the name of the column.
        centre: the mean of the training data.
        directions: unit vectors, *leading* principal ones and then random ones.
        leading: how many directions are principal ones.
    """

    column: str
    centre: tuple[float, ...]
    directions: Matrix
    leading: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features that this makes: the norm, one per direction, and the reconstruction error."""
        projected = (f"{self.column} projection {number}" for number in range(1, len(self.directions) + 1))
        return (f"{self.column} norm", *projected, f"{self.column} reconstruction error")


@dataclass(frozen=True, slots=True)
class Derived:
    """
    The captured columns of a row, and the features that are derived from them.

    Attributes:
        columns: names of all captured columns, in the order of the training data.
        inputs: names of the captured columns that are no features themselves.
        functions: names of features that user functions make. The functions are not kept.
        vectors: the columns of vectors.
        projections: directions through the numeric features, if there are any.
    """

    columns: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    vectors: tuple[VectorColumn, ...] = ()
    projections: Projections | None = None

    @property
    def plain(self) -> tuple[str, ...]:
        """Names of the columns that are features as they are."""
        return tuple(name for name in self.columns if name not in self.inputs)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the derived features, in the order in which they follow the plain ones."""
        names = [*self.functions, *(name for vector in self.vectors for name in vector.names)]
        return (*names, *(self.projections.names if self.projections is not None else ()))


def check_functions(derived: Derived | None, derive: object) -> Derive:
    """
    Return the user functions in the argument *derive*, checked against those that a reference was fitted with.

    Raises:
        ConfigurationError: it is no mapping of names to functions, or the names are not those of the reference.
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
    Return the user functions in the argument *derive*, by name.

    Raises:
        ConfigurationError: it is no mapping, a name is no string, or a value is no function.
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
