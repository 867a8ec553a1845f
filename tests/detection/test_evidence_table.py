"""`EvidenceTable`: the same evidence by index, by slice and in order."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.detection._evidence_table import Details, EvidenceTable
from driftline.results import FeatureStatus


@pytest.fixture
def table():
    return EvidenceTable(
        enter=np.array([False, True, False]),
        rows=np.array([1_000, 1_000, 900]),
        errors=None,
        blind={2: {0: lambda: "cannot tell"}},
        details=lambda: Details(
            stay=np.array([False, True, False]),
            p_values=np.array([0.5, 0.001, 0.7]),
            effects=np.array([0.01, 0.3, 0.02]),
            deviations=np.zeros((3, 5)),
            leads=np.array([0, 2, 0]),
        ),
        explain=lambda index: lambda: f"feature {index}",
        components=lambda index: (),
    )


def test_evidence_by_index_by_slice_and_in_order_is_the_same(table):
    assert len(table) == 3
    for index, each in enumerate(table):
        for same in (table.__getitem__(index), table[index - 3], table[index : index + 1][0]):
            assert (same.enter, same.p_value, same.rows, same.lead) == (each.enter, each.p_value, each.rows, each.lead)
    assert table[1].reason() == "feature 1"
    assert table[2].blind[0]() == "cannot tell"


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_out_of_range_raises(table, index):
    with pytest.raises(IndexError, match="3 features"):
        table[index]


def test_numbers_of_evidence_are_those_of_python(table):
    each = table[1]
    assert [type(value) for value in each[:5]] == [bool, bool, float, float, int]


def test_quiet_features_neither_enter_nor_are_blind(table):
    assert table.is_quiet(1).tolist() == [True, False, False]


def test_features_with_too_few_rows_are_quiet(table):
    assert table.is_quiet(950).tolist() == [True, False, True]


def test_only_stable_features_have_a_state(table):
    assert table.stable(np.array([True, False, False])) == [
        FeatureStatus("stable", 0.5, 0.01, 1_000, "as the reference"),
        None,
        None,
    ]
