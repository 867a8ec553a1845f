"""Several parts of a batch have the counts that each has by itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.batch_parts import count_parts
from driftline._binning.layout import Layout
from driftline._binning.rejects import Rejects

ROWS = 5_000
RANDOM = np.random.default_rng(7)
NUMBERS = RANDOM.normal(size=ROWS)
HOLES = np.where(RANDOM.random(ROWS) < 0.1, np.nan, NUMBERS)
WIDE = RANDOM.exponential(size=ROWS)
LABELS = RANDOM.choice(["a", "b", "c"], ROWS)
OBJECTS = np.where(RANDOM.random(ROWS) < 0.1, None, LABELS.astype(object))
INTEGERS = RANDOM.integers(0, 2_000, ROWS)


@pytest.fixture(scope="module")
def features():
    names = ("numbers", "holes", "wide", "labels", "objects", "integers", "flags", "list", "absent")
    columns = (NUMBERS, HOLES, WIDE, LABELS, OBJECTS, INTEGERS, NUMBERS > 0, NUMBERS, NUMBERS)
    return Reference.fit(dict(zip(names, columns, strict=True))).features


def columns():
    return [NUMBERS, HOLES, WIDE, LABELS, OBJECTS, INTEGERS, NUMBERS > 0, NUMBERS.tolist(), None]


def divide(sizes, start=0):
    ends = np.cumsum([start, *sizes]).tolist()
    return [slice(begin, end) for begin, end in pairwise(ends)]


@pytest.mark.parametrize(
    "sizes",
    [[125] * 8, [128] * 8, [1] * 30, [7, 96, 97, 1, 2_000, 250, 8, 2_041], [5_000], [3_000, 1, 1_999], [2_500, 2_500]],
)
@pytest.mark.parametrize("checked", [True, False])
def test_parts_have_the_counts_that_each_has_alone(features, sizes, checked):
    layout = Layout(features)
    rejects = Rejects(features, lambda *_: None) if checked else None
    parts = divide(sizes)
    together = [counts.copy() for counts in count_parts(layout, columns(), parts, rejects)]
    for part, counts in zip(parts, together, strict=True):
        assert counts.tolist() == layout.count(columns(), part, rejects).tolist()


def test_parts_may_begin_within_a_batch(features):
    layout = Layout(features)
    parts = divide([100, 250, 33], start=1_111)
    for part, counts in zip(parts, count_parts(layout, columns(), parts), strict=True):
        assert counts.tolist() == layout.count(columns(), part).tolist()


def test_wrong_values_belong_to_the_part_that_has_them(features):
    """Values of a wrong type are moved to the missing ones, and `take` returns them with their part."""
    layout = Layout(features)
    wrong = columns()
    wrong[4] = wrong[4].copy()
    wrong[4][[130, 140]] = [3.5, 4.5]
    rejects = Rejects(features, lambda *_: None)
    taken = []
    for part, counts in zip(divide([125] * 3), count_parts(layout, wrong, divide([125] * 3), rejects), strict=True):
        rejected = rejects.take(counts, part.stop - part.start, layout.slices)
        taken.append(0 if rejected is None else int(rejected[4]))
    assert taken == [0, 2, 0]
