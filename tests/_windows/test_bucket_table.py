"""`BucketTable`: rows by bucket of their key, window after window."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.cluster_bins import ClusterBins
from driftline._runtime.call_keys import KEY_BUCKETS
from driftline._windows.bucket_table import BucketTable


class Listener:
    def __init__(self):
        self.tables, self.partial, self.resets = [], [], 0

    def reset(self):
        self.resets += 1

    def learn(self, table):
        self.tables.append(table.copy())

    def learn_partial(self, table):
        self.partial.append(table.copy())


@pytest.fixture
def parts():
    bins = ClusterBins.of(Reference.fit({"x": np.arange(100.0), "c": ["a", "b"] * 50}).features)
    listener, reports = Listener(), []
    return BucketTable(bins, 2, 3, listener, lambda place, message: reports.append((place, message))), listener, reports


def test_the_column_of_buckets_is_taken_out(parts):
    table, _, _ = parts
    columns, buckets = table.split([[1.0], ["a"], [5], [0.25]])
    assert columns == [[1.0], ["a"], [0.25]]
    assert buckets.tolist() == [5]


def test_a_part_of_a_batch_is_counted_and_rows_without_a_key_are_not(parts):
    table, listener, reports = parts
    buckets = np.array([3, -1, 3, 7], dtype=np.int16)
    rows = table.count(table.locate([np.array([1.0, 2.0, np.nan, 50.0]), None], 4), buckets, slice(1, 4))
    assert rows[[3, 7]].tolist() == [1, 1]
    assert rows.sum() == 2
    table.close_window()
    assert listener.tables[0].sum(axis=1)[[3, 7]].tolist() == [2, 2]
    assert not reports


def test_windows_do_not_overlap(parts):
    """With three panes, a window is complete after three, and then after each."""
    table, listener, _ = parts
    for number in range(7):
        table.count(table.locate([[1.0], ["a"]], 1), np.array([number], dtype=np.int16), slice(0, 1))
        table.close_window()
    assert [np.flatnonzero(each.sum(axis=1)).tolist() for each in listener.tables] == [[0], [1, 2, 3], [4, 5, 6]]


def test_a_window_without_keys_is_reported_and_an_empty_one_is_not(parts):
    table, listener, reports = parts
    table.close_window()
    assert not reports
    for _ in range(3):
        table.count(table.locate([[1.0], ["a"]], 1), np.array([-1], dtype=np.int16), slice(0, 1))
        table.close_window()
    assert [place for place, _ in reports] == ["key"]
    assert not listener.tables


def test_rows_so_far_are_shown_and_a_reset_drops_them(parts):
    table, listener, _ = parts
    table.show_partial()
    table.count(table.locate([[1.0], ["a"]], 1), np.array([KEY_BUCKETS - 1], dtype=np.int16), slice(0, 1))
    table.show_partial()
    table.reset()
    table.show_partial()
    assert [each.sum() for each in listener.partial] == [2]
    assert listener.resets == 1
