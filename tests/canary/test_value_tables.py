"""Tables of observed numbers: bins, recording, adding up, JSON, and messages for damaged files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.canary import CanaryEvidence, Moments, Stratum, VariantEvidence
from driftline.canary._value_tables import LAST_BIN, MAX_VALUE, ValueRecorder, ValueTables, value_bin, value_edges
from driftline.errors import ConfigurationError

START = 1_700_000_000.0


def recorded(
    values: Sequence[float], start: float = START, step: float = 1.0, buckets: int | None = None
) -> ValueTables:
    """Return the tables of numbers that come every *step* seconds."""
    recorder = ValueRecorder()
    for index, value in enumerate(values):
        recorder.add(value, start + step * index, None if buckets is None else index % buckets)
    return recorder.read()


@given(st.floats(-MAX_VALUE, MAX_VALUE, allow_subnormal=True))
def test_a_number_lies_between_the_edges_of_its_bin(value: float) -> None:
    number = value_bin(value)
    near, far = (float(edges[0]) for edges in value_edges(np.array([number])))
    assert -LAST_BIN <= number <= LAST_BIN
    assert abs(near) * (1 - 1e-15) <= abs(value) <= abs(far) * (1 + 1e-15)
    assert number == -value_bin(-value)


def test_counts_sums_and_squares_are_those_of_the_numbers() -> None:
    """More bins than the recorder has memory for at first, of both signs, with zeros."""
    values = np.round(np.random.default_rng(1).normal(0.0, 100.0, 500) ** 3, 2)
    values[::7] = 0.0
    tables = recorded(values.tolist(), buckets=5)
    assert tables.count == 500
    assert tables.blocks.counts[..., 1].sum() == pytest.approx(values.sum())
    assert tables.keys[..., 1].sum() == pytest.approx(values.sum())
    assert tables.keys[..., 0].any(axis=1).sum() == 5
    near, _ = value_edges(tables.bins)
    columns = np.searchsorted(tables.bins, [value_bin(value) for value in values.tolist()])
    squares = np.bincount(columns, (values - near[columns]) ** 2)
    np.testing.assert_allclose(tables.squares, squares)


def test_numbers_of_long_times_are_in_at_most_64_blocks() -> None:
    tables = recorded([1.0] * 1_000, step=100.0)
    assert len(tables.blocks) <= 64
    assert tables.blocks.seconds * 64 >= 100_000
    assert tables.count == 1_000


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    recorder = ValueRecorder()
    for now in (START, START + 100.0, START - 5_000.0, -1.0, 1e18):
        recorder.add(2.5, now)
    assert recorder.read().count == 5


@given(st.lists(st.floats(-1e6, 1e6), max_size=20), st.lists(st.floats(-1e6, 1e6), max_size=20))
def test_tables_of_two_processes_add_up(a: list[float], b: list[float]) -> None:
    """In whatever order, with other bins and blocks, and with keys of one of them only."""
    parts = recorded(a), recorded(b, START + 500.0, 7.0, buckets=3)
    for total in (parts[0] + parts[1], parts[1] + parts[0]):
        assert total.count == len(a) + len(b)
        assert total.blocks.counts[..., 1].sum() == pytest.approx(sum(a) + sum(b), abs=1e-6)
        assert total.keys[..., 0].sum() == len(b)


def test_a_rate_counts_what_was_true() -> None:
    tables = recorded([1.0, 0.0, 0.0, 1.0, 0.0], buckets=2)
    blocks, keys = tables.count_rate()
    assert blocks.total().tolist() == [5, 2]
    assert keys[:2].tolist() == [[3, 1], [2, 1]]
    assert recorded([0.0, 0.0]).count_rate()[0].total().tolist() == [2, 0]
    assert ValueTables.none().count_rate()[1].sum() == 0


# --- the evidence ----------------------------------------------------------------------------------------------------


@pytest.fixture(name="stratum")
def _stratum(variant: Callable[..., VariantEvidence]) -> Callable[..., Stratum]:
    def make(values: Sequence[float], *, old: bool = False, buckets: int | None = None) -> Stratum:
        moments = Moments.of(values), Moments.of(values)
        tables = recorded(values, buckets=buckets), recorded(values, START + 3.0)
        return Stratum(None, False, variant(5), variant(5), {"r": moments}, {} if old else {"r": tables})

    return make


def test_tables_go_to_json_and_back(stratum: Callable[..., Stratum]) -> None:
    for buckets in (None, 3):
        text = CanaryEvidence((stratum([0.0, 12.5, -3.0, 0.0, 1e90], buckets=buckets),), seconds=3.0).to_json()
        assert json.loads(text)["schema_version"] == 2
        again = CanaryEvidence.from_json(text)
        assert again.to_json() == text
        assert len(again.strata[0].values["r"][0].keys) == (128 if buckets else 0)


def test_numbers_without_tables_make_a_sum_without(stratum: Callable[..., Stratum]) -> None:
    """A file of an older version has moments alone; strata without any number are no such file."""
    old, new = stratum([1.0], old=True), stratum([1.0, 2.0])
    empty = replace(old, guardrails={"r": (Moments(), Moments())})
    assert not (old + new).values
    assert not (new + old).values
    assert (new + new).values["r"][0].count == 4
    assert (new + empty).values["r"][0].count == (empty + new).values["r"][1].count == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(bins=[3, 1]), "bins"),
        (lambda d: d.update(bins=[0, 10**6]), "bins"),
        (lambda d: d.update(squares=[0.0]), "squares"),
        (lambda d: d.update(squares=[0.0, -1.0]), "squares"),
        (lambda d: d.update(blocks=65), "blocks"),
        (lambda d: d["counts"][1].append(1), "counts"),
        (lambda d: d["counts"][0].__setitem__(0, 10**9), "counts"),
        (lambda d: d["counts"][1].__setitem__(0, -1), "counts"),
        (lambda d: d["counts"][1].__setitem__(0, 2**62), "counts"),
        (lambda d: d["counts"][2].__setitem__(0, 1e300), "counts"),
        (lambda d: d["counts"][2].__setitem__(-1, 900.0), "between the edges of their bins"),
        (lambda d: d["keys"][1].__setitem__(0, 7), "more observations with a key than in all"),
        (lambda d: d.update(level=41), "level"),
        (lambda d: d.pop("keys"), "keys"),
    ],
)
def test_a_damaged_table_is_refused_with_its_path(
    stratum: Callable[..., Stratum], change: Callable[[Any], None], message: str
) -> None:
    document = json.loads(CanaryEvidence((stratum([0.0, 12.5, 0.0], buckets=1),)).to_json())
    change(document["strata"][0]["values"]["r"][0])
    with pytest.raises(ConfigurationError, match=message):
        CanaryEvidence.from_json(json.dumps(document))
