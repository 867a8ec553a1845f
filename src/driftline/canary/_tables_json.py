"""JSON of `CallTables` and `OutcomeTables`, which are parts of the document of `CanaryEvidence`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from driftline._runtime import json
from driftline._runtime.call_keys import KEY_BUCKETS, ROW_KEY_BUCKETS
from driftline._runtime.json import DocumentError, Reader, shown
from driftline._windows.blocks import MAX_BLOCKS, MAX_LEVEL, BlockCounts
from driftline._windows.call_tables import CallTables
from driftline._windows.outcome_tables import AGE_EDGES, OutcomeTables
from driftline._windows.totals import DURATION_EDGES, KEY_DURATION_EDGES
from driftline.typing import Counts

__all__ = ["call_tables_document", "outcome_tables_document", "read_call_tables", "read_outcome_tables"]

MAX_FEATURES = 10_000
"""Most features, or rates, that a table in a file may have, so that a damaged file does not fill the memory."""

MAX_BINS = 100_000
"""Most bins that a feature in a file may have, for the same reason."""


# --- writing ---------------------------------------------------------------------------------------------------------


def call_tables_document(tables: CallTables) -> dict[str, Any]:
    """Return call tables as a JSON object."""
    return {
        "calls": _blocks_document(tables.calls),
        "durations": _blocks_document(tables.durations),
        "warm_up": _sparse(tables.warm_up),
        "keys": _sparse(tables.keys.ravel()),
        "bins": {name: _blocks_document(counts) for name, counts in tables.bins.items()},
        "key_durations": _sparse(tables.key_durations.ravel()),
        "row_keys": _sparse(tables.row_keys),
    }


def outcome_tables_document(tables: OutcomeTables) -> dict[str, Any]:
    """Return outcome tables as a JSON object."""
    return {
        "predictions": _blocks_document(tables.predictions),
        "keys": _sparse(tables.keys.ravel()),
        "delays": _blocks_document(tables.delays),
        "rates": {name: _blocks_document(counts) for name, counts in tables.rates.items()},
    }


def _blocks_document(table: BlockCounts) -> dict[str, Any]:
    """Return block counts as a JSON object: level, first block, shape of the counts, and their flat sparse values."""
    return {
        "level": table.level,
        "first": table.first,
        "blocks": len(table),
        "columns": math.prod(table.counts.shape[1:]),
        "counts": _sparse(table.counts.ravel()),
    }


def _sparse(counts: Counts) -> list[list[int]]:
    """Return the counts that are not zero, as two arrays: the distances between their indices, and the counts."""
    used = counts.nonzero()[0]
    steps = used.copy()
    steps[1:] -= used[:-1]  # a fifth of the time of `numpy.diff`, for a hundred small tables
    return [steps.tolist(), counts[used].tolist()]


# --- reading ---------------------------------------------------------------------------------------------------------

_read_steps = json.array(json.count, most=MAX_BLOCKS * MAX_BINS)

_read_values = json.array(json.integer(-json.MAX_COUNT, json.MAX_COUNT), most=MAX_BLOCKS * MAX_BINS)

_read_pair = json.row(lambda steps, values: (steps, values), _read_steps, _read_values)


def _dense(size: int, steps: tuple[int, ...], values: tuple[int, ...]) -> Counts:
    """Return the counts that `_sparse` wrote."""
    if len(steps) != len(values) or sum(steps) >= max(size, 1) + (not steps):
        actual = f"{len(steps)} steps that add up to {sum(steps)}, and {len(values)} counts"
        raise DocumentError(actual, f"as many of both, and a sum below {size}")
    if sum(map(abs, values)) > json.MAX_COUNT:
        actual = f"counts of {sum(map(abs, values))} together"
        raise DocumentError(actual, f"at most {json.MAX_COUNT}")
    counts = np.zeros(size, dtype=np.int64)
    np.add.at(counts, np.cumsum(np.array(steps, dtype=np.int64)), np.array(values, dtype=np.int64))
    return counts


def _sized(*shape: int) -> Reader[Counts]:
    def read(value: Any) -> Counts:
        return _dense(int(np.prod(shape)), *_read_pair(value)).reshape(shape)

    return read


def _sized_or_absent(*shape: int) -> Reader[Counts]:
    """Return a reader of counts, which are zeros in a document of a driftline that did not count them."""
    read = _sized(*shape)
    return lambda value: read([[], []] if value is json.ABSENT else value)


def _make_blocks(level: int, first: int, blocks: int, columns: int, counts: Any) -> BlockCounts:
    flat = json.part(".counts", lambda pair: _dense(blocks * columns, *pair), counts)
    return BlockCounts(level, first, flat.reshape(blocks, columns))


_read_any_blocks: Reader[BlockCounts] = json.record(
    _make_blocks,
    level=json.integer(0, MAX_LEVEL),
    first=json.integer(0, 2**MAX_LEVEL),
    blocks=json.integer(0, MAX_BLOCKS),
    columns=json.integer(1, MAX_BINS),
    counts=_read_pair,
)


def _blocks(columns: int) -> Reader[BlockCounts]:
    """Return a reader of block counts with this number of columns."""

    def read(value: Any) -> BlockCounts:
        table = _read_any_blocks(value)
        if table.counts.shape[1] != columns:
            raise DocumentError(shown(table.counts.shape[1]), str(columns), ".columns")
        return table

    return read


_DURATIONS = len(DURATION_EDGES) + 1

read_call_tables: Reader[CallTables] = json.record(
    CallTables,
    calls=_blocks(2),
    durations=_blocks(_DURATIONS),
    warm_up=_sized(_DURATIONS),
    keys=_sized(KEY_BUCKETS, 2),
    bins=json.mapping(_read_any_blocks, most=MAX_FEATURES),
    key_durations=_sized_or_absent(KEY_BUCKETS, len(KEY_DURATION_EDGES) + 1),
    row_keys=_sized_or_absent(ROW_KEY_BUCKETS),
)

read_outcome_tables: Reader[OutcomeTables] = json.record(
    OutcomeTables,
    predictions=_blocks(3),
    keys=_sized(KEY_BUCKETS, 3),
    delays=_blocks(len(AGE_EDGES) + 1),
    rates=json.mapping(_blocks(2), most=MAX_FEATURES),
)
