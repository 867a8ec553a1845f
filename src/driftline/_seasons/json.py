"""Seasons as the part of a reference's JSON, and back: nothing but what adds up to the features beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol

import numpy as np

from driftline._binning.bins import Feature
from driftline._seasons.calendar import EARLIEST, LATEST
from driftline._seasons.expectation import KINDS, Seasons
from driftline.typing import Counts

__all__ = ["seasons_in", "seasons_out"]


class _Reader(Protocol):
    def fail(self, where: str, found: object, expected: str) -> NoReturn: ...
    def mapping(self, value: object, where: str) -> dict[str, Any]: ...
    def number(self, value: object, where: str) -> float: ...
    def count(self, value: object, where: str, *, at_least: int = 0) -> int: ...
    def each(self, value: object, where: str, most: int, read: Callable[[object, str], Any]) -> tuple[Any, ...]: ...


def seasons_out(seasons: Seasons) -> dict[str, object]:
    """The JSON of seasons."""
    return {
        "start": seasons.start,
        "end": seasons.end,
        "shown": list(seasons.shown),
        "counts": {kind: counts.tolist() for kind, counts in zip(seasons.kinds, seasons.counts, strict=True)},
    }


def seasons_in(reader: _Reader, value: object, features: Sequence[Feature]) -> Seasons:
    """
    Seasons from JSON that may be anything, checked against all that is counted.

    Raises:
        ReferenceError: where it is no such thing, or counts other rows than the features.
    """
    item = reader.mapping(value, "seasons")
    start, end = (_time(reader, item.get(key), f"seasons.{key}") for key in ("start", "end"))
    if end < start:
        reader.fail("seasons.end", end, f"at least the start, {start}")

    def season(value: object, where: str) -> str:
        if not isinstance(value, str) or value not in KINDS:
            reader.fail(where, value, f"one of {tuple(KINDS)}")
        return value

    shown = reader.each(item.get("shown"), "seasons.shown", len(KINDS), season)
    tables = reader.mapping(item.get("counts"), "seasons.counts")
    for kind in tables:
        season(kind, "seasons.counts")
    kinds = tuple(kind for kind in KINDS if kind in tables)
    counts = tuple(_table(reader, tables[kind], f"seasons.counts.{kind}", KINDS[kind], features) for kind in kinds)
    return Seasons(kinds, counts, tuple(kind for kind in KINDS if kind in shown), start, end)


def _time(reader: _Reader, value: object, where: str) -> float:
    number = reader.number(value, where)
    if not EARLIEST <= number < LATEST:
        reader.fail(where, value, "UNIX seconds")
    return number


def _table(reader: _Reader, value: object, where: str, cells: int, features: Sequence[Feature]) -> Counts:
    """Counts of cells that add up to those of the features, and to as many rows for each of them."""
    whole = [count for feature in features for count in feature.counts]

    def count(value: object, where: str) -> int:
        return reader.count(value, where)

    def cell(value: object, where: str) -> tuple[int, ...]:
        found: tuple[int, ...] = reader.each(value, where, len(whole), count)
        if len(found) != len(whole):
            reader.fail(where, f"an array of {len(found)}", f"{len(whole)} items")
        return found

    read = reader.each(value, where, cells, cell)
    if len(read) != cells:
        reader.fail(where, f"an array of {len(read)}", f"{cells} items")
    table = np.array(read, dtype=np.int64)
    # Each number is at most 2^53 and there are at most 24: their sum is exact.
    if table.sum(axis=0).tolist() != whole:
        reader.fail(where, "counts of other rows", "counts that add up to those of the features")
    starts = np.cumsum([0, *(feature.bins.size for feature in features[:-1])])
    rows = np.add.reduceat(table, starts, axis=1)
    if (rows != rows[:, :1]).any():
        reader.fail(where, "cells of unequal rows", "as many rows for every feature in a cell")
    return table
