"""Blocks are joined to longer blocks, and each row is compared once at each length."""

from __future__ import annotations

import numpy as np
import pytest

from driftline._significance.block_pyramid import MEMORY, BlockPyramid, LevelSquares, PyramidSums
from driftline._significance.components import LOCATION, PARTS

NONE, BOTH = np.array([False, False]), np.array([True, True])
FIRST = np.array([True, False])


def blocks(*rows):
    """Return blocks of one bin with these numbers of rows."""
    return [np.array([each]) for each in rows]


def added(pyramid, *rows):
    """Add blocks, and return the level and the rows of both halves of each pair that they complete."""
    return [(pair.level, int(pair.first[0]), int(pair.second[0])) for pair in pyramid.add(blocks(*rows))]


def test_neighbours_are_paired_and_joined():
    """Each level has half as many pairs as the one below, and the longest blocks are not joined further."""
    pyramid = BlockPyramid(3, 2)
    assert added(pyramid, 1, 2, 4, 8, 16) == [(0, 1, 2), (0, 4, 8), (1, 3, 12)]
    assert added(pyramid, 32, 64, 128) == [(0, 16, 32), (0, 64, 128), (1, 48, 192), (2, 15, 240)]
    assert added(pyramid, *[1] * 8)[-1] == (2, 4, 4)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_pairs_do_not_depend_on_how_many_blocks_come_at_once(size):
    rows = list(range(1, 33))
    whole, parts = added(BlockPyramid(4, 2), *rows), BlockPyramid(4, 2)
    assert [pair for start in range(0, 32, size) for pair in added(parts, *rows[start : start + size])] == whole


def test_no_pair_spans_a_cut():
    """At any length. Other features are compared across it, and pairs after it count again."""
    pyramid = BlockPyramid(4, 2)
    pyramid.add(blocks(1, 2, 4))
    pyramid.cut(FIRST)
    pairs = pyramid.add(blocks(*[8] * 13))
    valid = {level: [pair.valid.tolist() for pair in pairs if pair.level == level] for level in range(4)}
    assert valid[0] == [[False, True], *[[True, True]] * 6]
    assert valid[1] == [[False, True], *[[True, True]] * 3]
    assert valid[2] == [[False, True], [True, True]]
    assert valid[3] == [[False, True]]


def test_a_cut_between_whole_blocks_breaks_the_longer_ones_only():
    pyramid = BlockPyramid(3, 2)
    pyramid.add(blocks(1, 2))
    pyramid.cut(BOTH)
    pairs = pyramid.add(blocks(4, 8, 16, 32, 64, 128))
    assert [(pair.level, bool(pair.valid[0])) for pair in pairs] == [
        (0, True),
        (1, False),
        (0, True),
        (0, True),
        (1, True),
        (2, False),
    ]


def test_a_cut_before_the_first_block_or_of_no_feature_is_none():
    pyramid = BlockPyramid(3, 2)
    pyramid.cut(BOTH)
    pyramid.add(blocks(1))
    pyramid.cut(NONE)
    assert all(pair.valid.all() for pair in pyramid.add(blocks(*[1] * 7)))


def test_blocks_are_not_changed():
    """The window that they belong to holds the same arrays."""
    added = blocks(1, 2, 4, 8)
    BlockPyramid(3, 1).add(added)
    assert [int(each[0]) for each in added] == [1, 2, 4, 8]


def squares(value, number=1.0, level=0):
    """Return the squares of a number of differences of this value, in two features."""
    sums, numbers = np.full((2, PARTS), value * number), np.full((2, PARTS), number)
    return LevelSquares(level, sums, numbers, value * sums)


def test_sums_are_means_of_all_differences_until_the_memory_is_full():
    sums, random = PyramidSums(2, 2), np.random.default_rng(0)
    values = random.chisquare(1, 300)
    for value in values:
        sums.add(squares(value))
    np.testing.assert_allclose(sums.means[0], values.mean())
    assert (sums.numbers[0] == 300.0).all()
    assert not sums.means[1].any()
    assert not sums.numbers[1].any()


def test_old_differences_are_forgotten_slowly():
    """After as many differences as the memory holds, the weight of those before is 1/e."""
    sums = PyramidSums(1, 2)
    for _ in range(int(2 * MEMORY)):
        sums.add(squares(1.0))
    assert (sums.numbers == MEMORY).all()
    for _ in range(int(MEMORY)):
        sums.add(squares(3.0))
    np.testing.assert_allclose(sums.means, 3.0 - 2.0 * np.exp(-1.0), atol=0.01)
    assert (sums.numbers == MEMORY).all()


def test_several_differences_at_once_count_like_one_after_another():
    once, one_by_one = PyramidSums(1, 2), PyramidSums(1, 2)
    once.add(squares(2.0, 5.0))
    for _ in range(5):
        one_by_one.add(squares(2.0))
    np.testing.assert_allclose(once.means, one_by_one.means)
    np.testing.assert_allclose(once.numbers, one_by_one.numbers)


def test_parts_without_a_difference_keep_their_mean():
    sums = PyramidSums(1, 2)
    sums.add(squares(2.0))
    numbers = np.zeros((2, PARTS))
    numbers[1, LOCATION] = 1.0
    sums.add(LevelSquares(0, 9.0 * numbers, numbers, 81.0 * numbers))
    assert sums.means[0, 1, LOCATION] == pytest.approx(5.5)
    assert (np.delete(sums.means.ravel(), PARTS + LOCATION) == 2.0).all()


def test_squares_are_split_without_a_loss():
    random = np.random.default_rng(0)
    whole = LevelSquares(1, *random.random((3, 2, PARTS)))
    chosen, others = whole.split(random.random((2, PARTS)) < 0.5)
    assert chosen.level == others.level == 1
    for every, kept, rest in zip(whole[1:], chosen[1:], others[1:], strict=True):
        assert np.array_equal(kept + rest, every)
        assert not (kept * rest).any()


def test_copied_sums_change_separately():
    sums = PyramidSums(2, 2)
    sums.add(LevelSquares(0, *np.ones((3, 2, PARTS))))
    other = sums.copy()
    other.add(LevelSquares(0, *np.full((3, 2, PARTS), 5.0)))
    assert np.array_equal(sums.means[0], np.ones((2, PARTS)))
    assert (other.numbers[0] == 6.0).all()
