"""Writes what the keys of training data show as JSON, and reads and checks such JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from driftline._binning.bins import MAX_FEATURES, Feature
from driftline._runtime import json
from driftline._runtime.json import MAX_COUNT, DocumentError, Reader
from driftline._significance.clusters import Correlations
from driftline._significance.components import PARTS
from driftline.reference._clusters import Clusters
from driftline.reference._self_check import SelfCheck

__all__ = ["clusters_document", "read_clusters", "with_clusters"]

Rows: TypeAlias = "tuple[tuple[float, ...], ...]"

SUMS = ("products", "weights", "freedom", "further", "bends")
"""Keys of the sums of `Correlations`, in their order."""

MAX_SUM = 1e12
"""Largest number in the sums of correlations. More than a million windows of a million degrees of freedom have less."""


def clusters_document(clusters: Clusters) -> dict[str, object]:
    """Return what keys show as a JSON object."""
    known = clusters.correlations
    return {
        "column": clusters.column,
        "index": clusters.index,
        "keys": clusters.keys,
        "size": clusters.size,
        "factors": clusters.factors.tolist(),
        **{key: sums.tolist() for key, sums in zip(SUMS, known.sums, strict=True)},
    }


def with_clusters(check: SelfCheck | None, clusters: Clusters | None, watched: Sequence[Feature]) -> SelfCheck | None:
    """
    Return a self-check with what the keys show.

    Raises:
        DocumentError: the clusters are not those of as many features.
    """
    if clusters is None:
        return check
    for key in ("factors", *SUMS):
        actual = len(clusters.factors if key == "factors" else getattr(clusters.correlations, key))
        if actual != len(watched):
            shown, expected = f"{actual} features", f"{len(watched)} features"
            raise DocumentError(shown, expected, f".clusters.{key}")
    return None if check is None else replace(check, clusters=clusters.check(watched))


def _make_clusters(
    column: str | None,
    index: int | None,
    keys: int,
    size: float,
    factors: Rows,
    **sums: Rows,
) -> Clusters:
    widths = dict.fromkeys(SUMS, PARTS) | {"bends": 2}
    parts = (np.array(sums[key], dtype=np.float64).reshape(-1, widths[key]) for key in SUMS)
    return Clusters(column, index, keys, size, Correlations.of(parts), np.array(factors).reshape(-1, PARTS))


def _matrix(reader: Reader[float], width: int) -> Reader[Rows]:
    return json.array(json.array(reader, size=width), most=MAX_FEATURES + 1)


_read_sum = json.check(json.number, lambda value: 0.0 <= value <= MAX_SUM, f"a number from 0 to {MAX_SUM:g}")

_read_product = json.check(json.number, lambda value: abs(value) <= MAX_SUM, f"a number of at most {MAX_SUM:g}")

_read_size = json.check(json.number, lambda value: 1.0 <= value <= MAX_COUNT, f"a number from 1 to {MAX_COUNT}")

read_clusters: Reader[Clusters] = json.record(
    _make_clusters,
    column=json.nullable(json.name),
    index=json.nullable(json.integer(0)),
    keys=json.integer(1),
    size=_read_size,
    factors=_matrix(_read_size, PARTS),
    products=_matrix(_read_product, PARTS),
    weights=_matrix(_read_sum, PARTS),
    freedom=_matrix(_read_sum, PARTS),
    further=_matrix(_read_sum, PARTS),
    bends=_matrix(_read_sum, 2),
)
