"""What is far beyond the differences so far waits for one more window."""

from __future__ import annotations

import numpy as np

from driftline._significance.block_pyramid import LevelSquares
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, PARTS
from driftline._significance.guarded import MOST_OF_FIRST, MOST_UNUSUAL, Guarded

FEATURES = 3


def window(*squares):
    """Return a window with a pair of each number of levels, of which some features have these squared differences."""
    every = np.ones(FEATURES, dtype=np.bool_)
    return Guarded(list(squares), np.zeros(1), np.ones(1), 1_000, 1.0, every, every)


def level(number, *values):
    """Return four differences of a level for each feature, of these squares."""
    sums = np.repeat(np.array(values)[:, None], PARTS, axis=1) * 4.0
    return LevelSquares(number, sums, np.full((FEATURES, PARTS), 4.0), sums)


KNOWN = np.ones((4, FEATURES, PARTS))


def test_usual_differences_are_taken_and_others_stay():
    guarded = window(level(0, 1.0, MOST_UNUSUAL + 0.1, MOST_UNUSUAL))
    (taken,) = guarded.take_usual(4, KNOWN, first=False)
    assert taken.numbers[:, LOCATION].tolist() == [4.0, 0.0, 4.0]
    assert guarded.squares[0].numbers[:, LOCATION].tolist() == [0.0, 4.0, 0.0]


def test_rates_always_stay():
    guarded = window(level(0, 1.0, 1.0, 1.0))
    (taken,) = guarded.take_usual(4, KNOWN, first=False)
    assert not taken.numbers[:, [OUTSIDE, MISSING]].any()
    assert (guarded.squares[0].numbers[:, [OUTSIDE, MISSING]] == 4.0).all()


def test_what_was_known_before_says_what_is_usual():
    guarded = window(level(1, *[10.0 * MOST_UNUSUAL] * FEATURES))
    (taken,) = guarded.take_usual(4, KNOWN * np.array([1.0, 10.0, 20.0])[:, None], first=False)
    assert taken.numbers[:, LOCATION].tolist() == [0.0, 4.0, 4.0]


def test_nothing_is_known_before_the_first_window():
    guarded = window(level(0, 1.0, MOST_OF_FIRST, MOST_OF_FIRST + 1.0))
    (taken,) = guarded.take_usual(4, KNOWN, first=True)
    assert taken.numbers[:, LOCATION].tolist() == [4.0, 4.0, 0.0]


def test_a_part_that_is_unusual_keeps_the_others_of_its_feature():
    squares = level(0, 1.0, 1.0, 1.0)
    squares.sums[0, LOCATION] = 1e3
    (taken,) = window(squares).take_usual(4, KNOWN, first=False)
    assert taken.numbers[0].tolist() == [0.0] * PARTS


def test_longer_blocks_stay_and_nothing_is_taken_twice():
    guarded = window(level(0, 1.0, 1.0, 1.0), level(3, 1.0, 1.0, 1.0))
    assert [each.level for each in guarded.take_usual(3, KNOWN, first=False)] == [0]
    later = guarded.take_usual(4, KNOWN, first=False)
    assert [float(each.numbers.sum()) > 0.0 for each in later] == [False, True]
