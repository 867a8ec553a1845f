"""`BlockCounts` and `BlockTable`: nothing is lost, whatever the times, and counts of processes add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline._windows.blocks import MAX_BLOCKS, BlockCounts, BlockTable, align_blocks, align_strata

TIMES = st.lists(st.floats(1.7e9, 1.7e9 + 3e6), max_size=40)


def table_of(times: list[float], most: int = MAX_BLOCKS) -> BlockCounts:
    table = BlockTable(2, most=most)
    for time in sorted(times):
        row = table.row(time)
        row += (1, 2)
    return table.read()


def by_second(table: BlockCounts, level: int) -> dict[int, list[int]]:
    """Return the counts that are not zero, by index of the block at a level."""
    folded = table.at_level(level)
    return {folded.first + i: row.tolist() for i, row in enumerate(folded.counts) if row.any()}


@given(TIMES)
def test_each_time_is_counted_in_its_block(times: list[float]) -> None:
    table = table_of(times)
    assert len(table) <= MAX_BLOCKS
    expected: dict[int, list[int]] = {}
    for time in times:
        n, m = expected.get(int(time) >> table.level, [0, 0])
        expected[int(time) >> table.level] = [n + 1, m + 2]
    assert by_second(table, table.level) == expected


@given(TIMES, TIMES)
def test_the_sum_of_two_processes_is_the_table_of_one(a: list[float], b: list[float]) -> None:
    both, together = table_of(a) + table_of(b), table_of(a + b)
    level = max(both.level, together.level)
    assert by_second(both, level) == by_second(together, level)
    assert len(both) <= MAX_BLOCKS


@given(TIMES, TIMES)
def test_a_difference_is_what_came_since(earlier: list[float], later: list[float]) -> None:
    table = BlockTable(2)
    for time in sorted(earlier):
        row = table.row(time)
        row += (1, 2)
    before = table.read()
    shift = max(earlier, default=0.0) - 1.7e9
    for time in sorted(later):
        row = table.row(time + max(shift, 0.0))
        row += (1, 2)
    since = table.read() - before
    assert since.total().tolist() == [len(later), 2 * len(later)]
    assert (since.counts >= 0).all()


def test_a_clock_that_is_set_back_counts_in_the_first_block() -> None:
    table = BlockTable(1)
    table.row(1.7e9)[0] += 1
    table.row(1.6e9)[0] += 1
    assert table.read().counts.tolist() == [[2]]
    table.row(-1.0)[0] += 1
    assert table.read().total().tolist() == [3]


@pytest.mark.parametrize("time", [float(2**40), 1e300, 4e9])
def test_a_clock_that_jumps_ahead_folds(time: float) -> None:
    table = BlockTable(1)
    for now in (0.0, 1.7e9, 1.7e9 + 1, time):
        table.row(now)[0] += 1
    assert table.read().total().tolist() == [4]


def test_align_folds_to_the_asked_number_of_blocks() -> None:
    a, b = table_of([1.7e9 + i for i in range(64)]), table_of([1.7e9 + 10])
    (level, _), aligned = align_blocks((a, b, BlockCounts.none(2)), most=8)
    assert {len(counts) for counts in aligned} == {len(aligned[0])}
    assert len(aligned[0]) <= 8
    assert level >= 3
    assert [counts.sum(axis=0).tolist() for counts in aligned] == [[64, 128], [1, 2], [0, 0]]


def test_trimmed_keeps_what_is_counted() -> None:
    table = BlockCounts(3, 10, np.array([[0], [2], [0], [1], [0]]))
    trimmed = table.trimmed()
    assert (trimmed.first, trimmed.counts.tolist()) == (11, [[2], [0], [1]])
    assert not len(BlockCounts(3, 10, np.zeros((4, 1), dtype=np.int64)).trimmed())
    assert not len(BlockCounts.none(1).trimmed())


def at_seconds(*seconds: int) -> BlockCounts:
    return table_of([1.7e9 + second for second in seconds])


@pytest.mark.parametrize("start", range(0, 40, 5))
def test_variants_that_are_called_by_turns_share_a_stratum(start: int) -> None:
    """A test or a script calls the variants after each other. Whether a second ends between them must not matter."""
    pair = at_seconds(start, start + 1), at_seconds(start + 2, start + 3)
    first, second = align_strata(pair, 32)
    shared = (first.any(axis=1) & second.any(axis=1)).nonzero()[0]
    assert len(shared)
    assert first[shared].sum() + second[shared].sum() >= 3 * 3  # three of the four calls


def test_variants_that_are_called_side_by_side_have_short_strata() -> None:
    pair = at_seconds(*range(30)), at_seconds(*range(0, 30, 2))
    assert [len(counts) for counts in align_strata(pair, 32)] == [30, 30]


def test_variants_that_are_called_hours_apart_share_no_stratum() -> None:
    first, second = align_strata((at_seconds(*range(60)), at_seconds(*range(7_200, 7_260))), 32)
    assert not (first.any(axis=1) & second.any(axis=1)).any()


def test_no_counts_are_no_strata() -> None:
    assert [len(counts) for counts in align_strata((BlockCounts.none(2), BlockCounts.none(2)), 32)] == [0, 0]
    first, second = align_strata((at_seconds(1), BlockCounts.none(2)), 32)
    assert (first.tolist(), second.tolist()) == ([[1, 2]], [[0, 0]])
