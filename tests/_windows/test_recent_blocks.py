"""Counts of the last blocks of time at several lengths."""

from __future__ import annotations

from collections import Counter

import numpy as np

from driftline._windows.recent_blocks import RING_LEVELS, RING_SLOTS, RecentBlocks, ring_blocks

START = 1_700_000_000.0


def by_block(recent):
    """Return the counts that are not zero by (level, index of the block, column)."""
    blocks = ring_blocks(recent.last)
    return {
        (RING_LEVELS[level], int(blocks[level, slot]), column): int(recent.counts[level, slot, column])
        for level, slot, column in np.argwhere(recent.counts).tolist()
    }


def expected(counts, now):
    """Return what `by_block` should return for (time, column, amount)."""
    sums = Counter()
    for time, column, amount in counts:
        for level in RING_LEVELS:
            if int(time) >> level > (int(now) >> level) - RING_SLOTS:
                sums[level, int(time) >> level, column] += amount
    return dict(sums)


def test_each_count_is_in_a_block_of_every_level():
    """In whatever parts it comes, and however late."""
    random = np.random.default_rng(4)
    times = START + np.sort(random.exponential(2_000.0, 400).cumsum())
    counts = [(float(time), int(random.integers(3)), int(random.integers(1, 5))) for time in times]
    recent = RecentBlocks.none()
    for first in range(0, 400, 37):
        part = counts[first : first + 37]
        order = random.permutation(len(part))
        recent = recent.with_counts(*([part[index][field] for index in order] for field in range(3)))
        assert by_block(recent) == expected(counts[: first + 37], part[-1][0])


def test_blocks_leave_with_time_and_only_with_time():
    recent = RecentBlocks.none().with_counts([START], [1], [7])
    assert by_block(recent.at(START)) == by_block(recent) == expected([(START, 1, 7)], START)
    for seconds in (64.0 * 20, 3e4, 1e6, 1e7):
        assert by_block(recent.at(START + seconds)) == expected([(START, 1, 7)], START + seconds)
    # A clock that was set back: the block is in the future.
    assert by_block(recent.at(START - 1e7)) == {}


def test_late_counts_of_blocks_that_have_left_are_dropped():
    recent = RecentBlocks.none().with_counts([START], [0], [1]).with_counts([START - 5e6], [1], [1])
    assert by_block(recent) == expected([(START, 0, 1)], START)


def test_sums_and_differences_have_the_last_blocks_of_the_later():
    early = RecentBlocks.none().with_counts([START, START], [0, 1], [5, 2])
    late = early.with_counts([START + 3_000.0], [0], [4])
    assert by_block(late - early) == expected([(START + 3_000.0, 0, 4)], START + 3_000.0)
    assert by_block((late - early) + early) == by_block(late)
    assert by_block(early + RecentBlocks.none()) == by_block(early)


def test_times_of_wrong_clocks_are_the_nearest_possible():
    for time in (-5.0, 1e300, float("inf")):
        assert RecentBlocks.none().with_counts([time], [0], [1]).counts.sum() == len(RING_LEVELS)
    assert RecentBlocks.none().with_counts([], [], []).counts.sum() == 0
