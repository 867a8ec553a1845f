"""Counts of a batch in several parts, such as the blocks of a window: values are binned for all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftline._binning.comparison import Comparison, padded
from driftline._binning.layout import Layout
from driftline._binning.rejects import Rejects
from driftline.typing import Column, Counts

__all__ = ["count_parts"]


def count_parts(
    layout: Layout, columns: Sequence[Column | None], parts: Sequence[slice], rejects: Rejects | None = None
) -> Iterator[Counts]:
    """
    Yield the counts of each part of a batch, shape (total,) each.

    What *rejects* counts is that of the part that was yielded last.

    Args:
        layout: the bins.
        columns: as for `Layout.count`.
        parts: slices of the rows, one after the other without gaps.
        rejects: as for `Layout.count`.
    """
    if len(parts) == 1:
        yield layout.count(columns, parts[0], rejects)
        return
    rows = slice(parts[0].start, parts[-1].stop)
    plain, labels = layout.together(columns, rejects)
    counts = np.zeros((len(parts), layout.total), dtype=np.int64)
    if plain:
        _compare(layout.comparison(tuple(plain)), plain, parts, counts)
    offsets = np.repeat(np.arange(len(parts)), [part.stop - part.start for part in parts])
    special: dict[int, NDArray[np.intp]] = {}
    for index, column in labels.items():
        numbers = layout.bin_column(index, column[rows])
        if rejects is not None and rejects.may_reject(index, numbers):
            special[index] = numbers
            continue
        size = layout.sizes[index]
        flat = np.bincount(offsets * size + numbers, minlength=len(parts) * size)
        counts[:, layout.slices[index]] = flat.reshape(len(parts), size)
    counted = frozenset((*plain, *labels))
    for number, part in enumerate(parts):
        inside = slice(part.start - rows.start, part.stop - rows.start)
        for index, numbers in special.items():
            values = labels[index][part]
            counts[number, layout.slices[index]] = layout.count_numbers(index, values, numbers[inside], rejects)
        if len(counted) < len(columns):
            counts[number] += layout.count(columns, part, rejects, counted)
        yield counts[number]


def _compare(
    comparison: Comparison, columns: Mapping[int, NDArray[Any]], parts: Sequence[slice], counts: Counts
) -> None:
    """Add the counts of *columns* to those of each part, shape (parts, total)."""
    for numbers, pieces in _divide(parts, comparison.rows):
        ends = np.cumsum([0, *(padded(piece.stop - piece.start) for piece in pieces)]).tolist()
        block = np.empty((comparison.width, ends[-1]))
        rows = slice(pieces[0].start, pieces[-1].stop)
        sizes = [piece.stop - piece.start for piece in pieces]
        if sum(sizes) == ends[-1]:
            for row, values in zip(block, columns.values(), strict=True):
                row[:] = values[rows]
        else:
            # Column by column in one copy, and then with gaps between the parts.
            gathered = np.empty((comparison.width, sum(sizes)))
            for row, values in zip(gathered, columns.values(), strict=True):
                row[:] = values[rows]
            for piece, size, start, end in zip(pieces, sizes, ends[:-1], ends[1:], strict=True):
                begin = piece.start - rows.start
                block[:, start : start + size] = gathered[:, begin : begin + size]
                block[:, start + size : end] = np.nan
        comparison.count_parts(block, sizes, counts[numbers])


def _divide(parts: Sequence[slice], rows: int) -> Iterator[tuple[slice, list[slice]]]:
    """
    Yield groups of consecutive parts that are compared together, as a slice of the parts and their rows.

    A group has at most *rows* rows, each part rounded up. A longer part is yielded in several pieces by itself.
    """
    group: list[slice] = []
    width = 0
    for number, part in enumerate(parts):
        size = padded(part.stop - part.start)
        if group and width + size > rows:
            yield slice(number - len(group), number), group
            group, width = [], 0
        if size > rows:
            for start in range(part.start, part.stop, rows):
                yield slice(number, number + 1), [slice(start, min(start + rows, part.stop))]
            continue
        group.append(part)
        width += size
    if group:
        yield slice(len(parts) - len(group), len(parts)), group
