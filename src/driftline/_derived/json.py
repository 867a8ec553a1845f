"""Reads and checks the JSON of `Derived`, which is a part of a reference's document."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from driftline._binning.bins import MAX_FEATURES, PREDICTION, Feature, NumericBins
from driftline._derived.projection_fitting import MAX_DIRECTIONS, MAX_PROJECTED
from driftline._derived.spec import Derived, Projections, VectorColumn
from driftline._runtime import json
from driftline._runtime.json import DocumentError, Reader, check_length, shown

__all__ = ["MAX_LENGTH", "check_derived", "read_derived"]

MAX_LENGTH = 65_536
"""Most numbers of a vector in a file, so that a file cannot fill the memory."""

MAX_KNOTS = 64
"""Most knots of a feature's normal scale in a file (see `Projections.knots`)."""


def check_derived(derived: Derived, features: Sequence[Feature]) -> None:
    """
    Check that a description of derived features agrees with the features in the same document.

    Raises:
        DocumentError: the description makes other features, reads the prediction, or projects a feature that is not
            numeric.
    """
    described = (*derived.plain, *derived.names)
    names = tuple(feature.name for feature in features)
    if described != names:
        pairs = enumerate(zip_longest(described, names))
        index, (by_description, name) = next((index, pair) for index, pair in pairs if pair[0] != pair[1])
        actual = f"a description by which features[{index}].name is {by_description!r}"
        raise DocumentError(actual, f"{name!r}", ".derived")
    if PREDICTION in derived.columns:
        raise DocumentError(shown(PREDICTION), "other names: it is the model's output", ".derived.columns")
    if derived.projections is not None:
        bins = {feature.name: feature.bins for feature in features[: len(derived.plain)]}
        for index, column in enumerate(derived.projections.columns):
            if not isinstance(bins.get(column), NumericBins):
                at = f".derived.projections.columns[{index}]"
                raise DocumentError(shown(column), "the name of a numeric feature", at)


def _check_inputs(derived: Derived) -> None:
    if unknown := sorted(set(derived.inputs) - set(derived.columns)):
        raise DocumentError(shown(unknown), "names from derived.columns", ".inputs")
    if unknown := sorted({vector.column for vector in derived.vectors} - set(derived.inputs)):
        raise DocumentError(shown(unknown), "columns from derived.inputs", ".vectors")


def _check_projections(projections: Projections) -> None:
    width, directions = len(projections.columns), len(projections.directions)
    check_length(projections.knots, width, "arrays, one for each column", ".knots")
    check_length(projections.scores, width, "arrays, one for each column", ".scores")
    for index, (knots, scores) in enumerate(zip(projections.knots, projections.scores, strict=True)):
        check_length(scores, len(knots), "numbers, one for each knot", f".scores[{index}]")
    _check_directions(projections, width)
    check_length(projections.names, directions + 1, "names, one for each direction and the error", ".names")


def _check_directions(described: VectorColumn | Projections, width: int) -> None:
    for index, direction in enumerate(described.directions):
        check_length(direction, max(width, 1), "numbers, one for each entry", f".directions[{index}]")
    if described.leading > len(described.directions):
        raise DocumentError(shown(described.leading), f"at most the {len(described.directions)} directions", ".leading")


def _names(most: int) -> Reader[tuple[str, ...]]:
    return json.check(json.array(json.name, most=most), json.unique, "different names")


_read_directions = json.check(
    json.array(json.array(json.number, most=MAX_LENGTH), most=MAX_DIRECTIONS),
    bool,
    "at least one direction",
)

_read_scale = json.check(
    json.array(json.number, most=MAX_KNOTS),
    lambda scale: len(scale) > 1 and json.increasing(scale),
    "at least two increasing numbers",
)

_read_vector: Reader[VectorColumn] = json.verified(
    json.record(
        VectorColumn,
        column=json.name,
        centre=json.array(json.number, most=MAX_LENGTH),
        directions=_read_directions,
        leading=json.count,
    ),
    lambda vector: _check_directions(vector, len(vector.centre)),
)

_read_projections: Reader[Projections] = json.verified(
    json.record(
        Projections,
        columns=_names(MAX_PROJECTED),
        knots=json.array(_read_scale, most=MAX_PROJECTED),
        scores=json.array(_read_scale, most=MAX_PROJECTED),
        directions=_read_directions,
        leading=json.count,
        names=_names(MAX_DIRECTIONS + 1),
    ),
    _check_projections,
)

read_derived: Reader[Derived] = json.verified(
    json.record(
        Derived,
        columns=_names(MAX_FEATURES),
        inputs=json.absent((), _names(MAX_FEATURES)),
        functions=json.absent((), _names(MAX_FEATURES)),
        vectors=json.absent((), json.array(_read_vector, most=MAX_FEATURES)),
        projections=json.nullable(_read_projections),
    ),
    _check_inputs,
)
