"""The part of a reference's JSON document that describes derived features."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from driftline._binning.bins import MAX_FEATURES, PREDICTION, Feature, NumericBins
from driftline._derived.projections import MAX_DIRECTIONS, MAX_PROJECTED
from driftline._derived.spec import Derived, Projections, VectorColumn
from driftline._runtime.json import (
    DocumentError,
    Reader,
    absent,
    array,
    check,
    count,
    increasing,
    name,
    nullable,
    number,
    record,
    shown,
    unique,
)

__all__ = ["MAX_LENGTH", "check_derived", "read_derived"]

MAX_LENGTH = 65_536
"""Numbers in a vector: a file must not choose how much memory is used."""

MAX_KNOTS = 64
"""Knots of a feature's normal scale."""


def check_derived(derived: Derived, features: Sequence[Feature]) -> None:
    """
    Check that a description makes the features that the same document holds.

    Raises:
        DocumentError: it makes others, captures the prediction, or projects a feature that is not numeric.
    """
    described = (*derived.plain, *derived.names)
    names = tuple(feature.name for feature in features)
    if described != names:
        pairs = enumerate(zip_longest(described, names))
        index, (by_description, actual) = next((index, pair) for index, pair in pairs if pair[0] != pair[1])
        found = f"a description by which features[{index}].name is {by_description!r}"
        raise DocumentError(found, f"{actual!r}", ".derived")
    if PREDICTION in derived.columns:
        raise DocumentError(shown(PREDICTION), "other names: it is the model's output", ".derived.columns")
    if derived.projections is not None:
        bins = {feature.name: feature.bins for feature in features[: len(derived.plain)]}
        for index, column in enumerate(derived.projections.columns):
            if not isinstance(bins.get(column), NumericBins):
                at = f".derived.projections.columns[{index}]"
                raise DocumentError(shown(column), "the name of a numeric feature", at)


def _make_vector(
    column: str, centre: tuple[float, ...], directions: tuple[tuple[float, ...], ...], leading: int
) -> VectorColumn:
    _check_directions(directions, len(centre), leading)
    return VectorColumn(column, centre, directions, leading)


def _make_projections(
    columns: tuple[str, ...],
    knots: tuple[tuple[float, ...], ...],
    scores: tuple[tuple[float, ...], ...],
    directions: tuple[tuple[float, ...], ...],
    leading: int,
    names: tuple[str, ...],
) -> Projections:
    for key, scales in (("knots", knots), ("scores", scores)):
        if len(scales) != len(columns):
            found = f"an array of {len(scales)}"
            raise DocumentError(found, f"{len(columns)} arrays, one for each column", f".{key}")
    for index, (column_knots, column_scores) in enumerate(zip(knots, scores, strict=True)):
        if len(column_knots) != len(column_scores):
            found = f"an array of {len(column_scores)}"
            raise DocumentError(found, f"{len(column_knots)} numbers, one for each knot", f".scores[{index}]")
    _check_directions(directions, len(columns), leading)
    if len(names) != len(directions) + 1:
        expected = f"{len(directions) + 1} names: one for each direction and one for the reconstruction error"
        raise DocumentError(shown(list(names)), expected, ".names")
    return Projections(columns, knots, scores, directions, leading, names)


def _check_directions(directions: tuple[tuple[float, ...], ...], width: int, leading: int) -> None:
    for index, direction in enumerate(directions):
        if not width or len(direction) != width:
            found = f"an array of {len(direction)}"
            raise DocumentError(found, f"{width} numbers, at least one", f".directions[{index}]")
    if leading > len(directions):
        raise DocumentError(shown(leading), f"at most the {len(directions)} directions", ".leading")


def _make_derived(
    columns: tuple[str, ...],
    inputs: tuple[str, ...],
    functions: tuple[str, ...],
    vectors: tuple[VectorColumn, ...],
    projections: Projections | None,
) -> Derived:
    if unknown := sorted(set(inputs) - set(columns)):
        raise DocumentError(shown(unknown), "names from derived.columns", ".inputs")
    if unknown := sorted({vector.column for vector in vectors} - set(inputs)):
        raise DocumentError(shown(unknown), "columns from derived.inputs", ".vectors")
    return Derived(columns, inputs, functions, vectors, projections)


def _names_reader(most: int) -> Reader[tuple[str, ...]]:
    return check(array(name, most=most), unique, "different names")


_read_directions = check(
    array(array(number, most=MAX_LENGTH), most=MAX_DIRECTIONS),
    lambda directions: len(directions) > 0,
    "at least one direction",
)

_read_scale = check(
    array(number, most=MAX_KNOTS),
    lambda scale: len(scale) > 1 and increasing(scale),
    "at least two increasing numbers",
)

_read_vector: Reader[VectorColumn] = record(
    _make_vector, column=name, centre=array(number, most=MAX_LENGTH), directions=_read_directions, leading=count
)

_read_projections: Reader[Projections] = record(
    _make_projections,
    columns=_names_reader(MAX_PROJECTED),
    knots=array(_read_scale, most=MAX_PROJECTED),
    scores=array(_read_scale, most=MAX_PROJECTED),
    directions=_read_directions,
    leading=count,
    names=_names_reader(MAX_DIRECTIONS + 1),
)

read_derived: Reader[Derived] = record(
    _make_derived,
    columns=_names_reader(MAX_FEATURES),
    inputs=absent((), _names_reader(MAX_FEATURES)),
    functions=absent((), _names_reader(MAX_FEATURES)),
    vectors=absent((), array(_read_vector, most=MAX_FEATURES)),
    projections=nullable(_read_projections),
)
