"""Writes the self-check of a reference as JSON, and reads it."""

from __future__ import annotations

from typing import get_args

from driftline._runtime import json
from driftline._runtime.json import Reader
from driftline.reference._self_check import SelfCheck
from driftline.reference._trend import Figure, Trend

__all__ = ["check_document", "read_self_check"]

NEW_KEYS = frozenset({"whole", "clump", "trend"})
"""Keys of the check that release 0.1 does not have. It ignores them, so they need no new version."""

_read_at_least_0 = json.check(json.number, lambda value: value >= 0.0, "a number of at least 0")


def check_document(check: SelfCheck) -> dict[str, object]:
    """Return a self-check as JSON."""
    document = json.members(check)
    # It is made of the clusters of the reference, which the file has.
    del document["clusters"]
    # Without values of the new keys, a file of release 0.1 stays as it was, byte for byte.
    document = {key: value for key, value in document.items() if value or key not in NEW_KEYS}
    return document if check.trend is None else {**document, "trend": json.members(check.trend)}


_read_trend: Reader[Trend] = json.record(
    Trend,
    feature=json.name,
    of=json.name,
    figure=json.choice(*get_args(Figure)),
    before=json.number,
    after=json.number,
    shift=json.number,
    row=json.integer(1),
    features=json.integer(1),
)

read_self_check: Reader[SelfCheck] = json.record(
    SelfCheck,
    block_rows=json.integer(1),
    blocks=json.count,
    independent=_read_at_least_0,
    corrected=_read_at_least_0,
    feature=json.string,
    worth=json.positive,
    growing=json.count,
    whole=json.absent(0.0, _read_at_least_0),
    clump=json.absent(0, json.count),
    trend=json.nullable(_read_trend),
)
