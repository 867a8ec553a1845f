"""JSON of `Seasons`, which is a part of a reference's document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from driftline._binning.bins import MAX_BINS, MAX_FEATURES, Feature
from driftline._runtime import json
from driftline._runtime.json import DocumentError, Reader, check_length, part
from driftline._seasons.calendar import EARLIEST, LATEST
from driftline._seasons.expectation import KINDS, Seasons
from driftline.typing import Counts

__all__ = ["check_seasons", "read_seasons", "seasons_document"]


def seasons_document(seasons: Seasons) -> dict[str, object]:
    """Return seasons as a JSON object: start, end, kinds that are shown, and kind to counts."""
    column = {} if seasons.column is None else {"column": seasons.column}
    return {
        "start": seasons.start,
        "end": seasons.end,
        **column,
        "shown": seasons.shown,
        "counts": {kind: counts.tolist() for kind, counts in zip(seasons.kinds, seasons.counts, strict=True)},
    }


def check_seasons(seasons: Seasons, features: Sequence[Feature]) -> None:
    """
    Check that the counts of seasons agree with the counts of the features.

    Args:
        seasons: the seasons in a document.
        features: the features in the same document, and last the prediction if there is one.

    Raises:
        DocumentError: the seasons have other bins, or their counts sum to other numbers of rows.
    """
    totals = [bin_count for feature in features for bin_count in feature.counts]
    starts = np.cumsum([0, *(feature.bins.size for feature in features[:-1])])
    for kind, counts in zip(seasons.kinds, seasons.counts, strict=True):
        at = f".seasons.counts.{kind}"
        check_length(counts[0], len(totals), "counts, one for each bin", f"{at}[0]")
        # The sums are exact, because each count is at most 2**53 and there are at most 24 cells.
        if counts.sum(axis=0).tolist() != totals:
            actual = "counts of other rows"
            raise DocumentError(actual, "counts that add up to those of the features", at)
        rows = np.add.reduceat(counts, starts, axis=1)
        if (rows != rows[:, :1]).any():
            actual = "counts of other rows for some features"
            raise DocumentError(actual, "equally many rows for every feature in a cell", at)


def _read_cells(kind: str) -> Reader[Counts]:
    """Return a reader of the counts of one kind of season, an array of shape (cells, bins)."""
    cells = json.array(_read_cell, size=KINDS[kind])

    def table(value: Any) -> Counts:
        rows = cells(value)
        for index, row in enumerate(rows):
            check_length(row, len(rows[0]), "counts, as in the first cell", f"[{index}]")
        return np.array(rows, dtype=np.int64)

    return table


def _read_counts(value: Any) -> dict[str, Counts]:
    tables = json.mapping(lambda table: table, most=len(KINDS))(value)
    for kind in tables:
        _read_kind(kind)
    return {kind: part(f".{kind}", _read_cells(kind), table) for kind, table in tables.items()}


def _make_seasons(
    start: float, end: float, shown: tuple[str, ...], counts: dict[str, Counts], column: str | None
) -> Seasons:
    if end < start:
        actual = f"{end}"
        raise DocumentError(actual, f"at least the start, {start}", ".end")
    kinds = tuple(kind for kind in KINDS if kind in counts)
    ordered = tuple(kind for kind in KINDS if kind in shown)
    return Seasons(kinds, tuple(counts[kind] for kind in kinds), ordered, start, end, column)


_read_kind = json.choice(*KINDS)

_read_time = json.check(
    json.number, lambda seconds: EARLIEST <= seconds < LATEST, "UNIX seconds of the years 1 to 9999"
)

_read_cell = json.array(json.count, most=MAX_BINS * (MAX_FEATURES + 1))

read_seasons: Reader[Seasons] = json.record(
    _make_seasons,
    start=_read_time,
    end=_read_time,
    shown=json.array(_read_kind, most=len(KINDS)),
    counts=_read_counts,
    column=json.nullable(json.name),
)
