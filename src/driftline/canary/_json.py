"""JSON of `VariantEvidence` and `Moments`, which are parts of the document of `CanaryEvidence`."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftline._runtime import json
from driftline._runtime.json import DocumentError, Reader, shown
from driftline.canary._evalues.means import Moments
from driftline.canary._tables_json import (
    call_tables_document,
    outcome_tables_document,
    read_call_tables,
    read_outcome_tables,
)
from driftline.canary._variant_evidence import VariantEvidence
from driftline.typing import Counts

__all__ = [
    "MAX_NAMES",
    "moments_document",
    "read_count",
    "read_moments",
    "read_number",
    "read_variant",
    "variant_document",
]

MAX_BINS = 100_000
"""Most bins that a histogram in a file may have, so that a damaged file does not fill the memory."""

MAX_NAMES = 10_000
"""Most names that an object in a file may have, so that a damaged file does not fill the memory."""

MAX_DIGITS = 9
"""Most digits that the index of a bin in a file may have."""

MAX_DECADES = 30
"""Largest power of ten, up or down from one second, that an edge of durations in a file may have."""

MAX_NUMBER = 1e300
"""Absolute value that numbers in a file must stay below; larger ones may overflow when they are added up."""


# --- writing ---------------------------------------------------------------------------------------------------------


def variant_document(evidence: VariantEvidence) -> dict[str, Any]:
    """Return a variant's evidence as a JSON object. Its durations are {index: calls}, only for bins with calls."""
    used = np.flatnonzero(evidence.durations).tolist()
    document: dict[str, Any] = {
        "served": evidence.served,
        "failed": evidence.failed,
        "failed_calls": evidence.failed_calls,
        "batches": evidence.batches,
        "known": evidence.known,
        "correct": evidence.correct,
        "edges": _edges_document(evidence.edges),
        "durations": {str(index): int(evidence.durations[index]) for index in used},
        "predictions": None if evidence.predictions is None else evidence.predictions.tolist(),
        "rates": evidence.rates,
        "features": {name: counts.tolist() for name, counts in evidence.features.items()},
        "unordered": sorted(evidence.unordered),
        "bins": evidence.bins,
    }
    # Without tables, the document is one of version 1.
    if evidence.call_tables is not None:
        document["call_tables"] = call_tables_document(evidence.call_tables)
    if evidence.outcome_tables is not None:
        document["outcome_tables"] = outcome_tables_document(evidence.outcome_tables)
    if evidence.unreadable > 0:
        document["unreadable"] = evidence.unreadable
    return document


def _edges_document(edges: tuple[float, ...]) -> list[float] | dict[str, float]:
    """
    Return the edges of durations as JSON: an array in seconds, or a shorter object if they are evenly spaced in log10.

    The object has ``from`` and ``to``, powers of ten of the first and the last edge, and ``count``.
    """
    if len(edges) > 1 and edges[0] > 0.0:
        ends = {"from": float(np.log10(edges[0])), "to": float(np.log10(edges[-1])), "count": len(edges)}
        if _read_edges(ends) == edges:
            return ends
    return list(edges)


def moments_document(moments: Moments) -> tuple[float, ...]:
    """Return the JSON array of moments: count, mean, squares, cubes."""
    return moments.count, moments.mean, moments.squares, moments.cubes


# --- reading ---------------------------------------------------------------------------------------------------------


def _make_variant(durations: dict[str, int], edges: tuple[float, ...], **fields: Any) -> VariantEvidence:
    calls = np.zeros(len(edges) + 1, dtype=np.int64)
    for key, value in durations.items():
        if not (key.isascii() and key.isdigit() and len(key) <= MAX_DIGITS and int(key) < len(calls)):
            actual = f"an object with the key {shown(key)}"
            raise DocumentError(actual, f"numbers of bins from 0 to {len(edges)}", ".durations")
        calls[int(key)] = value
    if sum(durations.values()) > json.MAX_COUNT:
        actual = f"counts of {sum(durations.values())} together"
        raise DocumentError(actual, f"at most {json.MAX_COUNT}", ".durations")
    evidence = VariantEvidence(durations=calls, edges=edges, **fields)
    if evidence.correct > evidence.known:
        raise DocumentError(shown(evidence.correct), f"at most {evidence.known}, the known outcomes", ".correct")
    return evidence


def _read_edges(value: Any) -> tuple[float, ...]:
    """Return the edges of durations in seconds, from either form that `_edges_document` writes."""
    if not isinstance(value, dict):
        return _read_edge_array(value)
    low, high, edges = _read_ends(value)
    return tuple(np.logspace(low, high, edges).tolist())


def _read_counts(value: Any) -> Counts:
    return np.array(_read_bins(value), dtype=np.int64)


read_count = json.count

read_number = json.check(json.number, lambda value: -MAX_NUMBER < value < MAX_NUMBER, "a finite number")

_read_bins = json.check(
    json.array(read_count, most=MAX_BINS),
    lambda counts: sum(counts) <= json.MAX_COUNT,  # so that the sum of a thousand hosts does not overflow
    f"counts of at most {json.MAX_COUNT} together",
)

_read_names = json.array(json.string, most=MAX_NAMES)

_read_edge_array = json.check(json.array(read_number, most=MAX_BINS), json.increasing, "increasing numbers")

_read_ends: Reader[tuple[float, float, int]] = json.check(
    json.record(
        lambda **ends: (ends["from"], ends["to"], ends["count"]),
        **{"from": read_number, "to": read_number, "count": json.integer(2, MAX_BINS)},
    ),
    lambda ends: -MAX_DECADES <= ends[0] < ends[1] <= MAX_DECADES,
    f"powers of ten from -{MAX_DECADES} to {MAX_DECADES}, the lower one first",
)

_read_rate: Reader[tuple[int, int]] = json.check(
    json.row(lambda good, trials: (good, trials), read_count, read_count),
    lambda rate: rate[0] <= rate[1],
    "at most as many successes as trials",
)

read_moments: Reader[Moments] = json.row(
    Moments,
    read_count,
    read_number,
    json.check(read_number, lambda squares: squares >= 0.0, "a number of at least 0"),
    read_number,
)

read_variant: Reader[VariantEvidence] = json.record(
    _make_variant,
    served=read_count,
    failed=read_count,
    failed_calls=read_count,
    batches=read_count,
    known=read_count,
    correct=read_count,
    edges=_read_edges,
    durations=json.mapping(read_count, most=MAX_BINS + 1),
    predictions=json.nullable(_read_counts),
    rates=json.mapping(_read_rate, most=MAX_NAMES),
    features=json.mapping(_read_counts, most=MAX_NAMES),
    unordered=lambda value: frozenset(_read_names(value)),
    bins=json.mapping(json.string, most=MAX_NAMES),
    call_tables=json.nullable(read_call_tables),
    outcome_tables=json.nullable(read_outcome_tables),
    unreadable=json.absent(0, read_count),
)
