"""Tables by time and key in the evidence: they add up, go to JSON and back, and damaged ones are rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from driftline._windows.totals import DURATION_EDGES, count_key_seconds, count_row_keys
from driftline.canary import BlockCounts, CallTables, CanaryEvidence, OutcomeTables, Stratum, VariantEvidence
from driftline.errors import ConfigurationError


def tables(first: int = 1_700_000_000) -> tuple[CallTables, OutcomeTables]:
    calls, outcomes = CallTables.none(), OutcomeTables.none()
    durations = np.zeros((2, len(DURATION_EDGES) + 1), dtype=np.int64)
    durations[0, 300], durations[1, 310] = 7, 2
    keys = calls.keys.copy()
    keys[5] = 10, 1
    outcome_keys = outcomes.keys.copy()
    outcome_keys[5] = 4, 1, 3
    return CallTables(
        BlockCounts(0, first, np.array([[8, 1], [2, 0]])),
        BlockCounts(0, first, durations),
        calls.warm_up,
        keys,
        {"age": BlockCounts(2, first >> 2, np.array([[1, 2, 3]]))},
        count_key_seconds([5] * 9, [0.02] * 7 + [3.0] * 2)[:, 2:],
        count_row_keys([5, 37, None]),
    ), OutcomeTables(
        BlockCounts(0, first, np.array([[4, 1, 3]])),
        outcome_keys,
        BlockCounts(0, first, np.ones((1, 17), dtype=np.int64)),
        {"recall yes": BlockCounts(0, first, np.array([[2, 3]]))},
    )


def evidence(first: int = 1_700_000_000) -> CanaryEvidence:
    calls, outcomes = tables(first)
    counts = np.zeros(len(DURATION_EDGES) + 1, dtype=np.int64)
    counts[300], counts[310] = 7, 2
    edges = tuple(DURATION_EDGES.tolist())
    side = VariantEvidence(9, 1, counts, edges, 4, 3, None, 1, call_tables=calls, outcome_tables=outcomes)
    return CanaryEvidence((Stratum(None, True, side, side),), seconds=12.0)


def test_tables_go_to_json_and_back() -> None:
    text = evidence().to_json()
    assert json.loads(text)["schema_version"] == 2
    assert CanaryEvidence.from_json(text).to_json() == text


def test_a_file_without_later_tables_by_key_is_read() -> None:
    document = json.loads(evidence().to_json())
    for side in ("baseline", "candidate"):
        del document["strata"][0][side]["call_tables"]["key_durations"]
        del document["strata"][0][side]["call_tables"]["row_keys"]
    tables = CanaryEvidence.from_json(json.dumps(document)).strata[0].candidate.call_tables
    assert tables is not None
    assert tables.has_keys
    assert not tables.key_durations.any()
    assert not tables.row_keys.any()


def test_tables_of_two_hosts_add_up_to_the_last_call() -> None:
    total = evidence() + evidence(1_700_000_500)
    side = total.strata[0].candidate
    assert side.call_tables is not None
    assert side.outcome_tables is not None
    assert side.call_tables.calls.total().tolist() == [20, 2]
    assert side.call_tables.key_durations.sum(axis=1)[5] == 18
    assert side.call_tables.durations.total().sum() == side.durations.sum()
    assert side.call_tables.keys[5].tolist() == [20, 2]
    assert side.call_tables.row_keys.tolist() == [0] * 5 + [4] + [0] * 26
    assert side.call_tables.bins["age"].total().tolist() == [2, 4, 6]
    assert side.outcome_tables.predictions.total().tolist() == [8, 2, 6]
    assert side.outcome_tables.rates["recall yes"].total().tolist() == [4, 6]


def test_evidence_without_tables_makes_the_sum_one_without() -> None:
    """A file of an older version has calls that are in no table, so the table of the sum would lack them."""
    side = evidence().strata[0].candidate
    old = VariantEvidence(9, 1, side.durations, side.edges, 4, 3, None, 1)
    assert (side + old).call_tables is None
    assert (old + side).outcome_tables is None
    assert (side + old.empty()).call_tables is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["call_tables"]["calls"].update(level=41), "calls.level"),
        (lambda d: d["call_tables"]["calls"].update(blocks=65), "calls.blocks"),
        (lambda d: d["call_tables"]["calls"].update(columns=3), "calls.columns is 3, expected 2"),
        (lambda d: d["call_tables"]["calls"].update(counts=[[0, 9], [1, 1]]), "calls.counts"),
        (lambda d: d["call_tables"].update(keys=[[0], []]), "keys"),
        (lambda d: d["call_tables"].update(warm_up=[[-1], [1]]), "warm_up"),
        (lambda d: d["outcome_tables"]["rates"].update(x=7), "rates"),
        (lambda d: d["outcome_tables"]["delays"].update(first=-1), "delays.first"),
        (lambda d: d["outcome_tables"].update(keys=[[0, 0], [2**62, 2**62]]), "keys"),
    ],
)
def test_damaged_tables_are_rejected(change: Callable[[Any], object], message: str) -> None:
    document = json.loads(evidence().to_json())
    change(document["strata"][0]["candidate"])
    with pytest.raises(ConfigurationError, match=message.replace("[", r"\[")):
        CanaryEvidence.from_json(json.dumps(document))
