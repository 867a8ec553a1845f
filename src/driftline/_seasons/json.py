"""JSON of `Seasons`, which is a part of a reference's document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from driftline._binning.bins import MAX_BINS, MAX_FEATURES, Feature
from driftline._runtime import json
from driftline._runtime.json import MAX_COUNT, DocumentError, Reader, check_length, part, shown
from driftline._seasons.calendar import CELLS, EARLIEST, LATEST
from driftline._seasons.seasons import COURSES, KINDS, MAX_WEEK_BINS, Seasons, sum_by_kind
from driftline._seasons.zones import UTC, is_zone_name
from driftline.typing import Counts

__all__ = ["check_seasons", "is_new", "read_seasons", "seasons_document"]


WEEK = "week"
"""Key of the counts by hour of the week, which are of both kinds of season."""

MAX_DIGITS = len(str(MAX_COUNT))
"""Most digits of a count."""


def seasons_document(seasons: Seasons) -> dict[str, object]:
    """Return seasons as a JSON object: start, end, kinds that are shown, and counts by kind or by hour of the week."""
    document: dict[str, object] = {"start": seasons.start, "end": seasons.end}
    if seasons.column is not None:
        document["column"] = seasons.column
    if seasons.timezone != UTC:
        document["timezone"] = seasons.timezone
    document["shown"] = seasons.shown
    if seasons.week is None:
        by_kind = zip(seasons.kinds, seasons.counts, strict=True)
        return document | {"counts": {kind: counts.tolist() for kind, counts in by_kind}}
    # A string per hour, because 168 arrays with a line for each number would take most of the file.
    week = [" ".join(map(str, counts)) for counts in seasons.week.tolist()]
    return document | {"courses": seasons.courses, "counts": {WEEK: week}}


def is_new(seasons: Seasons | None) -> bool:
    """Return whether code of release 0.2 would misread the seasons: they have a time zone or hours of the week."""
    return seasons is not None and (seasons.week is not None or seasons.timezone != UTC)


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
    by_kind = zip(seasons.kinds, seasons.counts, strict=True) if seasons.week is None else [(WEEK, seasons.week)]
    if len(seasons.courses) != (0 if seasons.week is None else len(features)):
        actual = f"an array of {len(seasons.courses)}"
        raise DocumentError(
            actual, "a course for each feature and the prediction, with counts.week", ".seasons.courses"
        )
    for kind, counts in by_kind:
        at = f".seasons.counts.{kind}"
        check_length(counts[0], len(totals), "counts, one for each bin", f"{at}[0]")
        # The sums are exact, because each count is at most 2**53 and there are at most 168 cells, so
        # that they are below 2**63.
        if counts.sum(axis=0).tolist() != totals:
            actual = "counts of other rows"
            raise DocumentError(actual, "counts that add up to those of the features", at)
        rows = np.add.reduceat(counts, starts, axis=1)
        if (rows != rows[:, :1]).any():
            actual = "counts of other rows for some features"
            raise DocumentError(actual, "equally many rows for every feature in a cell", at)


def _read_line(value: Any) -> tuple[int, ...]:
    """Read the counts of an hour of the week: whole numbers with a space between them."""
    words = _read_string(value).split(" ")
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) <= MAX_DIGITS and int(word) <= MAX_COUNT):
            raise DocumentError(shown(word), f"whole numbers of 0 to {MAX_COUNT} with a space between them")
    if len(words) > MAX_WEEK_BINS:
        actual = f"a string of {len(words)} numbers"
        raise DocumentError(actual, f"at most {MAX_WEEK_BINS}")
    return tuple(map(int, words))


def _read_table(reader: Reader[tuple[int, ...]], cells: int) -> Reader[Counts]:
    """Return a reader of counts, an array of shape (cells, bins), by the reader of a cell."""
    read_cells = json.array(reader, size=cells)

    def table(value: Any) -> Counts:
        rows = read_cells(value)
        for index, row in enumerate(rows):
            check_length(row, len(rows[0]), "counts, as in the first cell", f"[{index}]")
        return np.array(rows, dtype=np.int64)

    return table


def _read_counts(value: Any) -> dict[str, Counts]:
    tables = json.mapping(lambda table: table, most=len(KINDS))(value)
    for kind in tables:
        _read_kind_of_counts(kind)
    if WEEK in tables and len(tables) > 1:
        actual = f"an object with the keys {sorted(tables)}"
        raise DocumentError(actual, f"no other counts beside {WEEK!r}")
    return {
        kind: part(
            f".{kind}", _read_table(_read_line, CELLS) if kind == WEEK else _read_table(_read_cell, KINDS[kind]), table
        )
        for kind, table in tables.items()
    }


def _make_seasons(
    start: float,
    end: float,
    shown: tuple[str, ...],
    counts: dict[str, Counts],
    column: str | None,
    courses: tuple[str, ...],
    timezone: str,
) -> Seasons:
    if end < start:
        actual = f"{end}"
        raise DocumentError(actual, f"at least the start, {start}", ".end")
    week = counts.get(WEEK)
    if week is not None:
        counts = {kind: sum_by_kind(kind, week, axis=0) for kind in KINDS}
    kinds = tuple(kind for kind in KINDS if kind in counts)
    ordered = tuple(kind for kind in KINDS if kind in shown)
    tables = tuple(counts[kind] for kind in kinds)
    return Seasons(kinds, tables, ordered, start, end, column, week, courses, timezone)


_read_kind = json.choice(*KINDS)

_read_kind_of_counts = json.choice(*KINDS, WEEK)

_read_string = json.string

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
    courses=json.absent((), json.array(json.choice(*COURSES), most=MAX_FEATURES + 1)),
    timezone=json.absent(UTC, json.check(json.string, is_zone_name, "the name of a time zone")),
)
