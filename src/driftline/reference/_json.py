"""A reference as JSON text and back: stable bytes out, nothing but a valid reference in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

import numpy as np

from driftline._binning.bins import (
    PREDICTION,
    CategoricalBins,
    Feature,
    Moments,
    NumericBins,
    OutcomeCounts,
)
from driftline._derived.json import derived_in, derived_out
from driftline._derived.spec import Derived
from driftline._seasons.expectation import Seasons
from driftline._seasons.json import seasons_in, seasons_out
from driftline._significance.components import PARTS
from driftline._significance.dependence import Dependence
from driftline.errors import ReferenceError
from driftline.reference._self_check import SelfCheck

__all__ = ["MAX_BINS", "MAX_FEATURES", "SCHEMA_VERSION", "Document", "dumps", "loads"]

Read = TypeVar("Read")

SCHEMA_VERSION = 1
"""Raised when a file of the new form would be misread by the old code."""

MAX_FEATURES = 10_000
"""Features of one model: memory is features x bins x panes, and must not be chosen by a file."""

MAX_BINS = 4_096
"""Bins of one feature, for the same reason."""

MAX_LABELS = 4_096
"""Rare categories remembered by name, for the same reason."""

MAX_LENGTHS = 64
"""Lengths of blocks: each is twice the one before, so no data have so many."""

MAX_COUNT = 2**53
"""Counts beyond this are not exact in every JSON reader, and no training set is that long."""


@dataclass(frozen=True, slots=True)
class Document:
    """What stands in a file; `driftline.Reference` says what it is."""

    features: tuple[Feature, ...]
    rows: int
    prediction: Feature | None
    outcomes: OutcomeCounts | None
    dependence: Dependence | None
    check: SelfCheck | None
    traffic: Dependence | None
    derived: Derived | None
    seasons: Seasons | None


def dumps(reference: Document) -> str:
    """Write a reference as JSON text: the same text for the same values."""
    prediction, outcomes = reference.prediction, reference.outcomes
    document = {
        "schema_version": SCHEMA_VERSION,
        "rows": reference.rows,
        "features": [_feature_out(feature) for feature in reference.features],
        "prediction": None if prediction is None else _feature_out(prediction),
        "outcomes": None if outcomes is None else _outcomes_out(outcomes),
        "dependence": None if reference.dependence is None else _dependence_out(reference.dependence),
        "traffic": None if reference.traffic is None else _dependence_out(reference.traffic),
        "check": None if reference.check is None else asdict(reference.check),
        "derived": derived_out(reference.derived),
    }
    if reference.seasons is not None:
        document["seasons"] = seasons_out(reference.seasons)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    # Half a surrogate pair has no UTF-8; Python's name for it happens to be its escape in JSON.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _outcomes_out(outcomes: OutcomeCounts) -> dict[str, object]:
    return {"known": list(outcomes.known), "correct": list(outcomes.correct), "dispersion": outcomes.dispersion}


def _feature_out(feature: Feature) -> dict[str, object]:
    out: dict[str, object] = {"name": feature.name}
    if isinstance(feature.bins, NumericBins):
        out["kind"] = "numeric"
        out["cuts"] = list(feature.bins.cuts)
    else:
        out["kind"] = "categorical"
        out["categories"] = list(feature.bins.categories)
        out["others"] = list(feature.bins.others)
        out["open"] = feature.bins.open
        out["once"], out["twice"] = feature.once, feature.twice
    out["counts"] = list(feature.counts)
    if feature.moments is not None:
        moments = feature.moments
        out["means"] = list(feature.means)
        out["moments"] = {
            "count": moments.count,
            "mean": moments.mean,
            "std": moments.std,
            "minimum": moments.minimum,
            "maximum": moments.maximum,
        }
    return out


def _dependence_out(dependence: Dependence) -> dict[str, object]:
    return {
        "lengths": dependence.lengths.tolist(),
        "blocks": dependence.blocks.tolist(),
        # JSON has no nan: what could not be told is null.
        "factors": [
            [[part if math.isfinite(part) else None for part in one] for one in each]
            for each in dependence.factors.tolist()
        ],
        "directions": dependence.directions.tolist(),
    }


def loads(text: str, source: str) -> Document:
    """
    Read a reference from JSON text that may be anything.

    Raises:
        ReferenceError: naming *source*, the place within it, what stands there and what was expected.
    """
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        msg = f"{source}: expected JSON: {error}"
        raise ReferenceError(msg) from error
    reader = _Reader(source)
    top = reader.mapping(document, "the document")
    version = top.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        msg = (
            f"{source}: schema_version is {version}, this driftline reads up to {SCHEMA_VERSION}: "
            "expected an older file, or a newer driftline"
        )
        raise ReferenceError(msg)
    if version != SCHEMA_VERSION or isinstance(version, bool):
        reader.fail("schema_version", version, f"the number {SCHEMA_VERSION}")
    rows = reader.count(top.get("rows"), "rows", at_least=1)
    items = reader.array(top.get("features"), "features", MAX_FEATURES)
    if not items:
        reader.fail("features", items, "at least one feature")
    features = tuple(reader.feature(item, f"features[{place}]", rows) for place, item in enumerate(items))
    names = [feature.name for feature in features]
    if len(set(names)) != len(names):
        reader.fail("features", "a name that appears twice", "different names")
    if PREDICTION in names:
        reader.fail(f"features[{names.index(PREDICTION)}].name", PREDICTION, "another name: it is the model's output")
    prediction = None
    if top.get("prediction") is not None:
        prediction = reader.feature(top["prediction"], "prediction", rows)
        if prediction.name != PREDICTION:
            reader.fail("prediction.name", prediction.name, repr(PREDICTION))
    counted = features if prediction is None else (*features, prediction)
    watched = len(counted)
    return Document(
        features,
        rows,
        prediction,
        reader.optional(top, "outcomes", lambda value: reader.outcomes(value, prediction)),
        reader.optional(top, "dependence", lambda value: reader.dependence(value, "dependence", watched)),
        reader.optional(top, "check", reader.check),
        reader.optional(top, "traffic", lambda value: reader.dependence(value, "traffic", watched)),
        derived_in(reader, top.get("derived"), features, MAX_FEATURES),
        reader.optional(top, "seasons", lambda value: seasons_in(reader, value, counted)),
    )


def _no_constant(name: str) -> float:
    msg = f"{name} is no JSON number"
    raise ValueError(msg)


class _Reader:
    """Checks values one by one and says where the first wrong one stands."""

    def __init__(self, source: str) -> None:
        self._source = source

    def fail(self, where: str, found: object, expected: str) -> NoReturn:
        shown = repr(found)
        msg = f"{self._source}: {where} is {shown[:80]}{'…' if len(shown) > 80 else ''}, expected {expected}"  # noqa: PLR2004
        raise ReferenceError(msg)

    def mapping(self, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(where, value, "an object")
        return value

    def array(self, value: object, where: str, most: int) -> list[Any]:
        if not isinstance(value, list):
            self.fail(where, value, "an array")
        items: list[Any] = value
        if len(items) > most:
            self.fail(where, f"an array of {len(items)}", f"at most {most} items")
        return items

    def optional(self, top: dict[str, Any], key: str, read: Callable[[object], Read]) -> Read | None:
        return None if top.get(key) is None else read(top[key])

    def count(self, value: object, where: str, *, at_least: int = 0) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= MAX_COUNT:
            self.fail(where, value, f"a whole number of at least {at_least}")
        return value

    def number(self, value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(where, value, "a finite number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fail(where, value, "a finite number")
        return number

    def text(self, value: object, where: str) -> str:
        if not isinstance(value, str) or not value:
            self.fail(where, value, "a text")
        return value

    def each(self, value: object, where: str, most: int, read: Callable[[object, str], Any]) -> tuple[Any, ...]:
        items = self.array(value, where, most)
        return tuple(read(item, f"{where}[{place}]") for place, item in enumerate(items))

    def label(self, value: object, where: str) -> object:
        if not isinstance(value, (str, bool, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
            self.fail(where, value, "a text, number or boolean")
        return value

    def feature(self, value: object, where: str, rows: int) -> Feature:
        item = self.mapping(value, where)
        name = self.text(item.get("name"), f"{where}.name")
        kind = item.get("kind")
        if kind == "numeric":
            return self._numeric(item, name, where, rows)
        if kind != "categorical":
            self.fail(f"{where}.kind", kind, "'numeric' or 'categorical'")
        categories = self.each(item.get("categories"), f"{where}.categories", MAX_BINS - 3, self.label)
        others = self.each(item.get("others", []), f"{where}.others", MAX_LABELS, self.label)
        if len({*categories, *others}) != len(categories) + len(others):
            self.fail(f"{where}.categories", "a category that appears twice", "different categories")
        is_open = item.get("open", False)
        if not isinstance(is_open, bool):
            self.fail(f"{where}.open", is_open, "true or false")
        bins = CategoricalBins(categories, others, is_open)
        counts = self._counts(item.get("counts"), f"{where}.counts", bins.size, rows)
        once, twice = (self.count(item.get(key, 0), f"{where}.{key}") for key in ("once", "twice"))
        return Feature(name, bins, counts, once=once, twice=twice)

    def _numeric(self, item: dict[str, Any], name: str, where: str, rows: int) -> Feature:
        cuts = self.each(item.get("cuts"), f"{where}.cuts", MAX_BINS - 2, self.number)
        if len(cuts) == 1 or any(high <= low for low, high in pairwise(cuts)):
            self.fail(f"{where}.cuts", list(cuts), "none, or at least two strictly increasing numbers")
        bins = NumericBins(cuts)
        counts = self._counts(item.get("counts"), f"{where}.counts", bins.size, rows)
        if item.get("moments") is None:
            return Feature(name, bins, counts)
        place = f"{where}.moments"
        fields = self.mapping(item["moments"], place)
        values = [self.number(fields.get(key), f"{place}.{key}") for key in ("mean", "std", "minimum", "maximum")]
        mean, std, minimum, maximum = values
        if std < 0 or minimum > maximum:
            self.fail(place, fields, "a std of at least 0 and a minimum of at most the maximum")
        moments = Moments(self.count(fields.get("count"), f"{place}.count", at_least=1), mean, std, minimum, maximum)
        means = self.each(item.get("means"), f"{where}.means", bins.size, self.number)
        if len(means) != bins.size:
            self.fail(f"{where}.means", list(means), f"{bins.size} numbers, one for each bin")
        return Feature(name, bins, counts, means, moments)

    def _counts(self, value: object, where: str, size: int, rows: int | None = None) -> tuple[int, ...]:
        counts = self.each(value, where, MAX_BINS, self.count)
        if len(counts) != size:
            self.fail(where, list(counts), f"{size} counts, one for each bin")
        if rows is not None and sum(counts) != rows:
            self.fail(where, f"counts of {sum(counts)} rows", f"those of {rows}")
        return counts

    def outcomes(self, value: object, prediction: Feature | None) -> OutcomeCounts:
        if prediction is None:
            self.fail("outcomes", value, "null where there is no prediction")
        item = self.mapping(value, "outcomes")
        known = self._counts(item.get("known"), "outcomes.known", prediction.bins.size)
        correct = self._counts(item.get("correct"), "outcomes.correct", prediction.bins.size)
        if any(hits > total for hits, total in zip(correct, known, strict=True)):
            self.fail("outcomes.correct", list(correct), "at most outcomes.known in each bin")
        dispersion = self.number(item.get("dispersion", 1.0), "outcomes.dispersion")
        if not 1.0 <= dispersion <= MAX_COUNT:
            self.fail("outcomes.dispersion", dispersion, f"a number from 1 to {MAX_COUNT}")
        return OutcomeCounts(known, correct, dispersion)

    def dependence(self, value: object, where: str, watched: int) -> Dependence:
        item = self.mapping(value, where)
        lengths = self.each(item.get("lengths"), f"{where}.lengths", MAX_LENGTHS, self.number)
        if not lengths or lengths[0] < 1 or any(high <= low for low, high in pairwise(lengths)):
            self.fail(f"{where}.lengths", list(lengths), "strictly increasing numbers of rows, at least one of them")
        size = len(lengths)
        blocks = self._sized(item.get("blocks"), f"{where}.blocks", size, self._positive)
        directions = self._sized(
            item.get("directions"),
            f"{where}.directions",
            size,
            lambda one, at: self._sized(one, at, watched, self._positive),
        )
        factors = self._sized(
            item.get("factors"),
            f"{where}.factors",
            size,
            lambda one, at: self._sized(
                one, at, watched, lambda two, place: self._sized(two, place, PARTS, self._factor)
            ),
        )
        return Dependence(*(np.array(part, dtype=np.float64) for part in (lengths, blocks, factors, directions)))

    def check(self, value: object) -> SelfCheck:
        item = self.mapping(value, "check")
        feature = item.get("feature")
        if not isinstance(feature, str):
            self.fail("check.feature", feature, "a text")
        return SelfCheck(
            self.count(item.get("block_rows"), "check.block_rows", at_least=1),
            self.count(item.get("blocks"), "check.blocks"),
            self._at_least_zero(item.get("independent"), "check.independent"),
            self._at_least_zero(item.get("corrected"), "check.corrected"),
            feature,
            self._positive(item.get("worth"), "check.worth"),
            self.count(item.get("growing"), "check.growing"),
        )

    def _sized(self, value: object, where: str, size: int, read: Callable[[object, str], Any]) -> tuple[Any, ...]:
        items = self.each(value, where, size, read)
        if len(items) != size:
            self.fail(where, f"an array of {len(items)}", f"{size} items")
        return items

    def _positive(self, value: object, where: str) -> float:
        number = self.number(value, where)
        if number <= 0:
            self.fail(where, value, "a positive number")
        return number

    def _at_least_zero(self, value: object, where: str) -> float:
        number = self.number(value, where)
        if number < 0:
            self.fail(where, value, "a number of at least 0")
        return number

    def _factor(self, value: object, where: str) -> float:
        return math.nan if value is None else self._at_least_zero(value, where)
