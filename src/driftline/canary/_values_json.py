"""JSON of `ValueTables`, which are parts of the document of `CanaryEvidence`."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftline._runtime import json
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._runtime.json import DocumentError, Reader
from driftline._windows.blocks import MAX_BLOCKS, MAX_LEVEL
from driftline.canary._value_tables import LAST_BIN, MAX_VALUE, ValueTables, float_blocks, value_edges
from driftline.typing import Floats

__all__ = ["read_values", "values_document"]

MAX_BINS = 2 * LAST_BIN + 1
"""Most bins that a table in a file may have: all that there are."""

ROUNDING = 1e-6
"""Largest error of a sum by rounding, as a share of the largest sum that its bin allows."""


def values_document(tables: ValueTables) -> dict[str, Any]:
    """Return value tables as a JSON object. Counts and sums are sparse, see `_sparse`."""
    return {
        "bins": tables.bins.tolist(),
        "squares": tables.squares.tolist(),
        "level": tables.blocks.level,
        "first": tables.blocks.first,
        "blocks": len(tables.blocks),
        "counts": _sparse(tables.blocks.counts),
        "keys": _sparse(tables.keys),
    }


def _sparse(table: Any) -> list[list[Any]]:
    """Return the cells with observations as three arrays: distances between their indices, counts, and sums."""
    flat = table.reshape(-1, 2)
    used = np.flatnonzero(flat[:, 0])
    return [np.diff(used, prepend=0).tolist(), flat[used, 0].astype(np.int64).tolist(), flat[used, 1].tolist()]


# --- reading ---------------------------------------------------------------------------------------------------------


_read_sum = json.check(json.number, lambda value: abs(value) < MAX_VALUE * json.MAX_COUNT, "a finite sum")

_read_square = json.check(
    json.number, lambda value: 0.0 <= value < MAX_VALUE**2 * json.MAX_COUNT, "a sum of squares, of at least 0"
)

_read_cells = json.row(
    lambda steps, counts, sums: (steps, counts, sums),
    *(json.array(reader, most=MAX_BLOCKS * MAX_BINS) for reader in (json.count, json.count, _read_sum)),
)


def _dense(rows: int, bins: int, cells: tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]) -> Floats:
    """Return the table that `_sparse` wrote, shape (rows, bins, 2)."""
    steps, counts, sums = cells
    if not len(steps) == len(counts) == len(sums) or sum(steps) >= max(rows * bins, 1) + (not steps):
        actual = f"{len(steps)} steps that add up to {sum(steps)}, {len(counts)} counts and {len(sums)} sums"
        raise DocumentError(actual, f"as many of each, and steps that add up to less than {rows * bins}")
    if sum(counts) > json.MAX_COUNT:
        actual = f"counts of {sum(counts)} together"
        raise DocumentError(actual, f"at most {json.MAX_COUNT}")
    table = np.zeros((rows * bins, 2))
    np.add.at(table, np.cumsum(np.array(steps, dtype=np.int64)), np.array([counts, sums], dtype=np.float64).T)
    return table.reshape(rows, bins, 2)


def _make_tables(
    bins: tuple[int, ...],
    squares: tuple[float, ...],
    level: int,
    first: int,
    blocks: int,
    counts: Any,
    keys: Any,
) -> ValueTables:
    numbers = np.array(bins, dtype=np.int64)
    if len(squares) != len(bins):
        actual = f"{len(squares)} sums of squares"
        raise DocumentError(actual, f"{len(bins)}, the number of bins", ".squares")
    table = json.part(".counts", lambda cells: _dense(blocks, len(bins), cells), counts)
    buckets = json.part(".keys", lambda cells: _dense(KEY_BUCKETS, len(bins), cells), keys)
    near, far = value_edges(numbers)
    for cells, at in ((table, ".counts"), (buckets, ".keys")):
        # Sums between the edges of their bins keep means within the caps.
        ends = np.sort(cells[..., :1] * np.stack([near, far], axis=-1), axis=-1)
        slack = ROUNDING * np.abs(ends).max(axis=-1)
        if ((cells[..., 1] < ends[..., 0] - slack) | (cells[..., 1] > ends[..., 1] + slack)).any():
            actual = "a sum that its count of observations cannot have"
            raise DocumentError(actual, "sums between the edges of their bins", at)
    if (buckets[..., 0].sum(axis=0) > table[..., 0].sum(axis=0)).any():
        actual = "more observations with a key than in all"
        raise DocumentError(actual, "at most as many", ".keys")
    used = buckets if keys[0] else buckets[:0]
    return ValueTables(numbers, np.array(squares, dtype=np.float64), float_blocks(level, first, table), used)


_read_bins = json.check(
    json.array(json.integer(-LAST_BIN, LAST_BIN), most=MAX_BINS), json.increasing, "increasing numbers of bins"
)

read_values: Reader[ValueTables] = json.record(
    _make_tables,
    bins=_read_bins,
    squares=json.array(_read_square, most=MAX_BINS),
    level=json.integer(0, MAX_LEVEL),
    first=json.integer(0, 2**MAX_LEVEL),
    blocks=json.integer(0, MAX_BLOCKS),
    counts=_read_cells,
    keys=_read_cells,
)
