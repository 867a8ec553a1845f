"""Writes a reference as JSON, with the same bytes for the same reference, and reads and checks such JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from json import dumps
from typing import Any, get_args

import numpy as np

from driftline._binning.bins import (
    DECIMAL_STEPS,
    MAX_BINS,
    MAX_FEATURES,
    PREDICTION,
    CategoricalBins,
    Feature,
    NumericBins,
    NumericSummary,
    OutcomeCounts,
)
from driftline._binning.label_scheme import PAIR, LabelScheme
from driftline._binning.prediction_kind import Kind
from driftline._derived.json import check_derived, read_derived
from driftline._derived.spec import Derived
from driftline._runtime import json
from driftline._runtime.json import MAX_COUNT, DocumentError, Reader, check_length, shown
from driftline._seasons.json import check_seasons, is_new, read_seasons, seasons_document
from driftline._seasons.seasons import Seasons
from driftline._significance.components import PARTS
from driftline._significance.dependence import Dependence
from driftline.errors import ReferenceError
from driftline.reference._clusters import Clusters
from driftline.reference._clusters_json import clusters_document, read_clusters, with_clusters
from driftline.reference._outcomes_json import check_outcomes, outcomes_document, read_outcomes
from driftline.reference._self_check import SelfCheck
from driftline.reference._self_check_json import check_document, read_self_check

__all__ = ["SCHEMA_VERSION", "Document", "read_reference", "write_reference"]

SCHEMA_VERSION = 4
"""
Version of the form of the file. It grows when older code would misread a new form. Version 2 (of release 0.2) has
`known_values` and `groups` of numeric features. Version 3 has `labels` that differ from what older code assumes.
Version 4 has `seasons` with a time zone or with counts by hour of the week. A reference without anything new is written
as version 1.
"""

KEYS_OF_2 = frozenset({"known_values", "groups", "rare", "expected"})
"""Keys of a feature that version 1 does not have."""

MAX_LABELS = 4_096
"""Most rare categories of one feature in a file, so that a file cannot fill the memory."""

MAX_LENGTHS = 64
"""Most block lengths of a `Dependence` in a file. Each length is twice the previous, so no data have this many."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a reference's file: the fields of `Reference`, which explains them."""

    features: tuple[Feature, ...]
    rows: int
    prediction: Feature | None
    outcomes: OutcomeCounts | None
    dependence: Dependence | None
    check: SelfCheck | None
    traffic: Dependence | None
    derived: Derived | None
    seasons: Seasons | None
    labels: LabelScheme | None
    clusters: Clusters | None

    @property
    def watched(self) -> tuple[Feature, ...]:
        """The features, then the prediction if it is known."""
        return self.features if self.prediction is None else (*self.features, self.prediction)


# --- writing ---------------------------------------------------------------------------------------------------------


def write_reference(reference: Document) -> str:
    """Return the fields of a reference as a JSON string; equal fields give the same string."""
    features = [_feature_document(feature) for feature in reference.features]
    prediction = None if reference.prediction is None else _feature_document(reference.prediction)
    new = any(KEYS_OF_2 & feature.keys() for feature in (*features, prediction or {}))
    labels = reference.labels
    document = {
        "schema_version": _version(reference, new=new),
        "rows": reference.rows,
        "features": features,
        "prediction": prediction,
        "outcomes": None if reference.outcomes is None else outcomes_document(reference.outcomes),
        "dependence": None if reference.dependence is None else _dependence_document(reference.dependence),
        "traffic": None if reference.traffic is None else _dependence_document(reference.traffic),
        "check": None if reference.check is None else check_document(reference.check),
        "derived": None if reference.derived is None else asdict(reference.derived),
    }
    if reference.seasons is not None:
        document["seasons"] = seasons_document(reference.seasons)
    if labels is not None:
        document["labels"] = json.members(labels)
    if reference.clusters is not None:
        document["clusters"] = clusters_document(reference.clusters)
    text = dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    # UTF-8 cannot encode half a surrogate pair. Python's backslash escape of it is also valid JSON.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _version(reference: Document, *, new: bool) -> int:
    """Return the lowest version that has all parts of a reference. *new* is whether a feature has `KEYS_OF_2`."""
    if is_new(reference.seasons):
        return 4
    if reference.labels is not None and not reference.labels.is_usual:
        return 3
    return 2 if new else 1


def _feature_document(feature: Feature) -> dict[str, object]:
    document: dict[str, object] = {"name": feature.name}
    if isinstance(feature.bins, NumericBins):
        document |= {"kind": "numeric", "cuts": feature.bins.cuts}
        document |= {key: value for key in ("known_values", "groups") if (value := getattr(feature.bins, key))}
    else:
        document |= {"kind": "categorical", **json.members(feature.bins), "once": feature.once, "twice": feature.twice}
        document |= {key: rows for key, rows in (("rare", feature.rare), ("expected", feature.expected)) if rows}
    document["counts"] = feature.counts
    if feature.moments is not None:
        document |= {"means": feature.means, "moments": json.members(feature.moments)}
        document |= {key: value for key in ("quartiles", "step") if (value := getattr(feature, key))}
    return document


def _dependence_document(dependence: Dependence) -> dict[str, object]:
    # A factor that is unknown for lack of rows is null, because JSON has no nan.
    factors = [
        [[factor if math.isfinite(factor) else None for factor in parts] for parts in features]
        for features in dependence.factors.tolist()
    ]
    return {
        "lengths": dependence.lengths.tolist(),
        "blocks": dependence.blocks.tolist(),
        "factors": factors,
        "directions": dependence.directions.tolist(),
    }


# --- reading ---------------------------------------------------------------------------------------------------------


def read_reference(text: str, source: str) -> Document:
    """
    Read the fields of a reference from a JSON string, which need not be valid.

    Args:
        text: the JSON string.
        source: name of its origin, such as a path, for the message of an error.

    Raises:
        ReferenceError: the string is not a reference. The message names *source*, the wrong part, its value, and the
            expected value.
    """
    try:
        return json.read(text, json.versioned(SCHEMA_VERSION, _read_and_check))
    except DocumentError as error:
        msg = f"{source}: {error}"
        raise ReferenceError(msg) from error.__cause__


def _read_and_check(value: Any) -> Document:
    """Read the fields of a reference from parsed JSON, and check that they agree; else raise `DocumentError`."""
    document = _read_document(value)
    document = replace(document, check=with_clusters(document.check, document.clusters, document.watched))
    names = [feature.name for feature in document.features]
    if PREDICTION in names:
        at = f".features[{names.index(PREDICTION)}].name"
        raise DocumentError(shown(PREDICTION), "another name: it is the model's output", at)
    if document.prediction is not None and document.prediction.name != PREDICTION:
        raise DocumentError(shown(document.prediction.name), shown(PREDICTION), ".prediction.name")
    for index, feature in enumerate(document.watched):
        if sum(feature.counts) != document.rows:
            actual = f"counts of {sum(feature.counts)} rows"
            at = ".prediction" if feature is document.prediction else f".features[{index}]"
            raise DocumentError(actual, f"counts of {document.rows} rows", f"{at}.counts")
    if document.outcomes is not None:
        check_outcomes(document.outcomes, document.prediction)
    for key, dependence in (("dependence", document.dependence), ("traffic", document.traffic)):
        if dependence is not None and dependence.factors.shape[1] != len(document.watched):
            actual, expected = f"{dependence.factors.shape[1]} features", f"{len(document.watched)} features"
            raise DocumentError(actual, expected, f".{key}.factors")
    if document.derived is not None:
        check_derived(document.derived, document.features)
    if document.seasons is not None:
        check_seasons(document.seasons, document.watched)
    return document


def _read_label(value: Any) -> object:
    if not isinstance(value, (str, bool, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        raise DocumentError(shown(value), "a string, number or boolean")
    return value


def _make_numeric(
    name: str,
    cuts: tuple[float, ...],
    counts: tuple[int, ...],
    means: tuple[float, ...] | None,
    moments: NumericSummary | None,
    known_values: tuple[float, ...],
    groups: tuple[int, ...],
    quartiles: tuple[float, ...],
    step: float,
) -> Feature:
    bins = NumericBins(cuts, known_values, groups)
    if groups:
        check_length(groups, bins.size - 1, "numbers, one for each bin but that of missing values", ".groups")
    check_length(counts, bins.size, "counts, one for each bin", ".counts")
    if moments is None:
        return Feature(name, bins, counts)
    check_length(means or (), bins.size, "numbers, one for each bin", ".means")
    return Feature(name, bins, counts, means or (), moments, quartiles=quartiles, step=step)


def _make_categorical(
    name: str,
    categories: tuple[Any, ...],
    others: tuple[Any, ...],
    open: bool,  # noqa: A002, FBT001 - the key in the file
    counts: tuple[int, ...],
    once: int,
    twice: int,
    rare: tuple[int, ...],
    expected: tuple[float, ...],
) -> Feature:
    if not json.unique((*categories, *others)):
        actual = "an array in which a category appears twice"
        raise DocumentError(actual, "different categories, in others too", ".categories")
    bins = CategoricalBins(categories, others, open)
    check_length(counts, bins.size, "counts, one for each bin", ".counts")
    for key, rows, labels, noun in (("rare", rare, others, "others"), ("expected", expected, categories, "categories")):
        if rows:
            check_length(rows, len(labels), f"numbers of rows, one for each of {noun}", f".{key}")
    if rare and sum(rare) > counts[bins.other]:
        raise DocumentError(shown(rare), f"at most the {counts[bins.other]} rows of other categories", ".rare")
    return Feature(name, bins, counts, once=once, twice=twice, rare=rare, expected=expected)


def _make_dependence(
    lengths: tuple[float, ...],
    blocks: tuple[float, ...],
    factors: tuple[tuple[tuple[float | None, ...], ...], ...],
    directions: tuple[tuple[float, ...], ...],
) -> Dependence:
    features = len(factors[0]) if factors else 0
    for key, items in (("blocks", blocks), ("factors", factors), ("directions", directions)):
        check_length(items, len(lengths), "items, one for each length", f".{key}")
    for key, rows in (("factors", factors), ("directions", directions)):
        for index, row in enumerate(rows):
            check_length(row, features, "items, one for each feature", f".{key}[{index}]")
    return Dependence(*(np.array(part, dtype=np.float64) for part in (lengths, blocks, factors, directions)))


_read_at_least_0 = json.check(json.number, lambda value: value >= 0.0, "a number of at least 0")

_read_rows = json.check(json.number, lambda value: 0.0 <= value <= MAX_COUNT, f"a number from 0 to {MAX_COUNT}")

_read_counts = json.array(json.count, most=MAX_BINS)

_read_moments: Reader[NumericSummary] = json.check(
    json.record(
        NumericSummary,
        count=json.integer(1),
        mean=json.number,
        std=json.number,
        minimum=json.number,
        maximum=json.number,
    ),
    lambda moments: moments.std >= 0 and moments.minimum <= moments.maximum,
    "a std of at least 0 and a minimum of at most the maximum",
)

_read_numeric: Reader[Feature] = json.record(
    _make_numeric,
    name=json.name,
    cuts=json.check(
        json.array(json.number, most=MAX_BINS - 2),
        lambda cuts: len(cuts) != 1 and json.increasing(cuts),
        "none, or at least two strictly increasing numbers",
    ),
    counts=_read_counts,
    means=json.nullable(json.array(json.number, most=MAX_BINS)),
    moments=json.nullable(_read_moments),
    known_values=json.absent(
        (), json.check(json.array(json.number, most=MAX_BINS), json.increasing, "increasing numbers")
    ),
    groups=json.absent(
        (),
        json.check(
            json.array(json.count, most=MAX_BINS),
            lambda groups: not groups or (groups[0] == 0 and all(b - a in {0, 1} for a, b in pairwise(groups))),
            "0, then for each bin the same number or 1 more",
        ),
    ),
    quartiles=json.absent(
        (),
        json.check(
            json.array(json.number, most=3),
            lambda quartiles: len(quartiles) in {0, 3} and list(quartiles) == sorted(quartiles),
            "three numbers in ascending order",
        ),
    ),
    step=json.absent(0.0, json.check(json.number, {0.0, *DECIMAL_STEPS}.__contains__, "1, 0.1, 0.01 or 0.001")),
)

_read_categorical: Reader[Feature] = json.record(
    _make_categorical,
    name=json.name,
    categories=json.array(_read_label, most=MAX_BINS - 3),
    others=json.absent((), json.array(_read_label, most=MAX_LABELS)),
    open=json.absent(False, json.boolean),  # noqa: FBT003 - the default
    counts=_read_counts,
    once=json.absent(0, json.count),
    twice=json.absent(0, json.count),
    rare=json.absent((), json.array(json.count, most=MAX_LABELS)),
    expected=json.absent((), json.array(_read_rows, most=MAX_BINS - 3)),
)

_read_feature: Reader[Feature] = json.tagged("kind", numeric=_read_numeric, categorical=_read_categorical)

_read_labels: Reader[LabelScheme] = json.check(
    json.record(
        LabelScheme,
        kind=json.nullable(json.choice(*get_args(Kind))),
        classes=json.check(json.array(_read_label, most=MAX_BINS - 3), json.unique, "different labels"),
        positive=json.nullable(_read_label),
        threshold=json.check(json.number, lambda value: 0.0 < value <= 1.0, "a number above 0 and at most 1"),
    ),
    lambda labels: labels.kind != "probability" or (labels.positive is not None and len(labels.classes) in {0, PAIR}),
    "a positive label, and two classes or none, if the kind is a probability",
)

_read_dependence: Reader[Dependence] = json.record(
    _make_dependence,
    lengths=json.check(
        json.array(json.number, most=MAX_LENGTHS),
        lambda lengths: len(lengths) > 0 and lengths[0] >= 1 and json.increasing(lengths),
        "at least one number of rows, strictly increasing",
    ),
    blocks=json.array(json.positive, most=MAX_LENGTHS),
    factors=json.array(
        json.array(json.array(json.nullable(_read_at_least_0), size=PARTS), most=MAX_FEATURES + 1),
        most=MAX_LENGTHS,
    ),
    directions=json.array(json.array(json.positive, most=MAX_FEATURES + 1), most=MAX_LENGTHS),
)

_read_features = json.check(
    json.check(json.array(_read_feature, most=MAX_FEATURES), bool, "at least one feature"),
    lambda features: json.unique([feature.name for feature in features]),
    "different names",
)

_read_document: Reader[Document] = json.record(
    Document,
    rows=json.integer(1),
    features=_read_features,
    prediction=json.nullable(_read_feature),
    outcomes=json.nullable(read_outcomes),
    dependence=json.nullable(_read_dependence),
    check=json.nullable(read_self_check),
    traffic=json.nullable(_read_dependence),
    derived=json.nullable(read_derived),
    seasons=json.nullable(read_seasons),
    labels=json.nullable(_read_labels),
    clusters=json.nullable(read_clusters),
)
