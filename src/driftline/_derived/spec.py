"""What is made of captured columns before they are binned: further features, described so that a file can hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.typing import Label

__all__ = ["Derive", "Derived", "Projections", "Row", "VectorColumn", "as_functions", "check_functions"]

Row: TypeAlias = "Mapping[str, Any]"
"""One row as the user's functions see it: the captured columns by name."""

Derive: TypeAlias = "Mapping[str, Callable[[Row], Label | None]]"
"""Functions of a row by the name of the feature that they make."""

Matrix: TypeAlias = "tuple[tuple[float, ...], ...]"


@dataclass(frozen=True, slots=True)
class Projections:
    """
    Directions through the numeric features of a row, each of them put on a normal scale first.

    A value becomes the normal score of its place in the training data, interpolated between *knots* (a missing one is
    0, the mean): no outlier and no unit outweighs the other features. The first *leading* directions are orthonormal;
    the root mean square of what they leave of a row is the reconstruction error, a feature of its own. The others are
    the part of one feature that the others do not explain.

    Attributes:
        columns: the features that go in, p of them.
        knots: per column, increasing values …
        scores: … and what they become.
        directions: k of them, each of p numbers.
        leading: how many of them are principal directions.
        names: the features that come out: one per direction, and last the reconstruction error.
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
        column: its name.
        centre: the mean of the training data.
        directions: unit vectors: *leading* principal ones, then random ones.
        leading: how many of them are principal directions.
    """

    column: str
    centre: tuple[float, ...]
    directions: Matrix
    leading: int

    @property
    def names(self) -> tuple[str, ...]:
        """The features that come out: the norm, one per direction, and the reconstruction error."""
        projected = (f"{self.column} projection {place}" for place in range(1, len(self.directions) + 1))
        return (f"{self.column} norm", *projected, f"{self.column} reconstruction error")


@dataclass(frozen=True, slots=True)
class Derived:
    """
    The columns that a row is captured as, and the features that are made of them.

    Attributes:
        columns: all that is captured, in the order of the training data.
        inputs: those of them that are no features themselves.
        functions: names of features that a function of the user's makes; the functions are not kept.
        vectors: columns of vectors.
        projections: directions through the numeric features.
    """

    columns: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    vectors: tuple[VectorColumn, ...] = ()
    projections: Projections | None = None

    @property
    def plain(self) -> tuple[str, ...]:
        """The columns that are features as they are."""
        return tuple(name for name in self.columns if name not in self.inputs)

    @property
    def names(self) -> tuple[str, ...]:
        """The features that are made, in the order in which they follow the plain ones."""
        made = [*self.functions, *(name for vector in self.vectors for name in vector.names)]
        return (*made, *(self.projections.names if self.projections is not None else ()))


def check_functions(derived: Derived | None, given: object) -> Derive:
    """
    The user's functions, checked to be those that a reference was fitted with.

    Raises:
        ConfigurationError: no mapping of names to functions, or other names than those of the reference.
    """
    functions = as_functions(given)
    wanted = derived.functions if derived is not None else ()
    if set(wanted) != set(functions):
        names = list(functions)
        msg = f"derive={names!r}: expected functions named {list(wanted)!r}, as the reference was fitted with"
        raise ConfigurationError(msg)
    return functions


def as_functions(given: object) -> Derive:
    """
    Check functions by name.

    Raises:
        ConfigurationError: no mapping, a name that is no text, something that cannot be called.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        check.reject("derive", given, "a dict of names and functions of a row")
    for name, function in given.items():
        if not isinstance(name, str) or not name:
            msg = f"derive: {name!r}: expected the name of a feature, a text"
            raise ConfigurationError(msg)
        check.function(f"derive[{name!r}]", function, "a function of a row")
    return dict(given)
