"""What is derived, as the part of a reference's JSON that says so, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise, zip_longest
from typing import Any, NoReturn, Protocol

from driftline._binning.bins import (
    PREDICTION,
    Feature,
    NumericBins,
)
from driftline._derived.projections import MAX_DIRECTIONS, MAX_PROJECTED
from driftline._derived.spec import Derived, Projections, VectorColumn

__all__ = ["MAX_LENGTH", "Reader", "derived_in", "derived_out"]

MAX_LENGTH = 65_536
"""Numbers in a vector: memory is chosen by it, and must not be chosen by a file."""

MAX_KNOTS = 64
"""Knots of a feature's normal scale."""


class Reader(Protocol):
    """Checks values one by one, and says where the first wrong one stands."""

    def fail(self, where: str, found: object, expected: str) -> NoReturn:
        """Raise, naming the place, what stands there and what was expected."""
        ...

    def mapping(self, value: object, where: str) -> dict[str, Any]:
        """An object."""
        ...

    def number(self, value: object, where: str) -> float:
        """A finite number."""
        ...

    def text(self, value: object, where: str) -> str:
        """A text that is not empty."""
        ...

    def count(self, value: object, where: str, *, at_least: int = 0) -> int:
        """A whole number."""
        ...

    def each(self, value: object, where: str, most: int, read: Callable[[object, str], Any]) -> tuple[Any, ...]:
        """An array, read item by item."""
        ...


def derived_out(derived: Derived | None) -> dict[str, object] | None:
    """The JSON of what is derived."""
    return None if derived is None else asdict(derived)


def derived_in(reader: Reader, value: object, features: Sequence[Feature], most: int) -> Derived | None:
    """
    What is derived, from JSON that may be anything, checked against the features that stand beside it; None for null.

    Raises:
        ReferenceError: where it is no such thing, or makes other features than there are.
    """
    if value is None:
        return None
    item = reader.mapping(value, "derived")

    def names(key: str, within: dict[str, Any] = item, where: str = "derived") -> tuple[str, ...]:
        found = reader.each(within.get(key, []), f"{where}.{key}", most, reader.text)
        if len(set(found)) != len(found):
            reader.fail(f"{where}.{key}", "a name that appears twice", "different names")
        return found

    columns, inputs, functions = names("columns"), names("inputs"), names("functions")
    if unknown := sorted(set(inputs) - set(columns)):
        reader.fail("derived.inputs", unknown, "names out of derived.columns")
    vectors = reader.each(item.get("vectors", []), "derived.vectors", most, lambda one, at: _vector(reader, one, at))
    if unknown := sorted({vector.column for vector in vectors} - set(inputs)):
        reader.fail("derived.vectors", unknown, "columns out of derived.inputs")
    projections = None
    if item.get("projections") is not None:
        projections = _projections(reader, item["projections"], names)
    derived = Derived(columns, inputs, functions, vectors, projections)
    _check_features(reader, derived, features)
    return derived


def _check_features(reader: Reader, derived: Derived, features: Sequence[Feature]) -> None:
    """Check that a description makes the features that stand beside it."""
    made, found = (*derived.plain, *derived.names), tuple(feature.name for feature in features)
    if made != found:
        pairs = enumerate(zip_longest(made, found))
        place, (ours, theirs) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
        reader.fail("derived", f"a description by which features[{place}].name is {ours!r}", f"that of {theirs!r}")
    if PREDICTION in derived.columns:
        reader.fail("derived.columns", PREDICTION, "other names: it is the model's output")
    if derived.projections is not None:
        bins = {feature.name: feature.bins for feature in features[: len(derived.plain)]}
        if odd := [name for name in derived.projections.columns if not isinstance(bins.get(name), NumericBins)]:
            reader.fail("derived.projections.columns", odd[0], "the name of a numeric feature")


def _vector(reader: Reader, value: object, where: str) -> VectorColumn:
    item = reader.mapping(value, where)
    column = reader.text(item.get("column"), f"{where}.column")
    centre = reader.each(item.get("centre"), f"{where}.centre", MAX_LENGTH, reader.number)
    directions = _matrix(reader, item, f"{where}.directions", len(centre))
    return VectorColumn(column, centre, directions, _leading(reader, item, where, len(directions)))


def _projections(reader: Reader, value: object, names: Callable[..., tuple[str, ...]]) -> Projections:
    where = "derived.projections"
    item = reader.mapping(value, where)
    columns = names("columns", item, where)
    if len(columns) > MAX_PROJECTED:
        reader.fail(f"{where}.columns", f"an array of {len(columns)}", f"at most {MAX_PROJECTED} items")
    scales = []
    for key in ("knots", "scores"):
        scale = reader.each(
            item.get(key),
            f"{where}.{key}",
            MAX_PROJECTED,
            lambda one, at: reader.each(one, at, MAX_KNOTS, reader.number),
        )
        if len(scale) != len(columns) or any(
            len(one) < 2 or any(high <= low for low, high in pairwise(one))  # noqa: PLR2004 - a scale has two ends
            for one in scale
        ):
            reader.fail(f"{where}.{key}", "another array", f"{len(columns)} arrays of increasing numbers")
        scales.append(scale)
    if [len(one) for one in scales[0]] != [len(one) for one in scales[1]]:
        reader.fail(f"{where}.scores", "arrays of other lengths", "a score for each knot")
    directions = _matrix(reader, item, f"{where}.directions", len(columns))
    made = names("names", item, where)
    if len(made) != len(directions) + 1:
        reader.fail(f"{where}.names", list(made), "a name for each direction and for the reconstruction error")
    return Projections(columns, scales[0], scales[1], directions, _leading(reader, item, where, len(directions)), made)


def _matrix(reader: Reader, item: dict[str, Any], where: str, width: int) -> tuple[tuple[float, ...], ...]:
    def row(value: object, at: str) -> tuple[float, ...]:
        numbers = reader.each(value, at, MAX_LENGTH, reader.number)
        if not width or len(numbers) != width:
            reader.fail(at, f"an array of {len(numbers)}", f"{width} numbers, at least one")
        return numbers

    found = reader.each(item.get("directions"), where, MAX_DIRECTIONS, row)
    if not found:
        reader.fail(where, [], "at least one direction")
    return found


def _leading(reader: Reader, item: dict[str, Any], where: str, most: int) -> int:
    leading = reader.count(item.get("leading"), f"{where}.leading")
    if leading > most:
        reader.fail(f"{where}.leading", leading, f"at most the {most} directions")
    return leading
