"""The join: in any order, every prediction and outcome gets exactly one result, in memory and in a file."""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.outcomes._join import Event, MemoryStore, join_key
from driftline.outcomes._sqlite_store import FileStore


def grade(pairs):
    """Grade a prediction as correct if it equals its outcome."""
    return Counter((source, "correct" if output == actual else "incorrect") for source, output, actual in pairs)


def outcome(key, value=1, at=0.0):
    return Event(key, True, value, at)


def prediction(key, value=1, at=0.0):
    return Event(key, False, value, at)


@pytest.fixture(params=["memory", "file"])
def make_store(request, tmp_path):
    """Return a function that makes stores, in memory or in a file."""
    stores = []

    def make(capacity=1_000, expire=None):
        if request.param == "memory":
            return MemoryStore(capacity, expire)
        stores.append(FileStore(tmp_path / f"{len(stores)}.sqlite", "m", None, None, capacity, expire))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def results(store, *events, now=0.0):
    """Apply events and return their results."""
    return {result: count for (_, result), count in store.apply(events, now, grade).results.items() if count}


def test_each_result_is_counted(make_store):
    """Correct, incorrect, duplicate, unmatched and replaced."""
    store = make_store()
    assert results(store, prediction("a"), prediction("b"), prediction("c")) == {}
    assert results(store, outcome("a", 1), outcome("b", 0)) == {"correct": 1, "incorrect": 1}
    assert results(store, outcome("a"), outcome("never")) == {"duplicate": 1, "unmatched": 1}
    assert results(store, prediction("c", 5)) == {"replaced": 1}
    assert results(store, outcome("c", 5)) == {"correct": 1}


def test_an_early_outcome_is_joined_when_its_prediction_arrives(make_store):
    """It counts as unmatched first, then as early. A second outcome in between is a duplicate."""
    store = make_store()
    assert results(store, outcome("a", 3), outcome("a", 4)) == {"unmatched": 1, "duplicate": 1}
    assert results(store, prediction("a", 3)) == {"early": 1, "correct": 1}
    assert results(store, outcome("a", 3)) == {"duplicate": 1}


def test_an_id_may_be_used_again_after_its_outcome(make_store):
    """For example, a customer is scored every month."""
    store = make_store()
    for month in range(3):
        assert results(store, prediction("customer", month), outcome("customer", month)) == {"correct": 1}


def test_an_old_prediction_expires_and_its_outcome_is_late(make_store):
    """After a second expiry time the store forgets the id."""
    store = make_store(expire=10.0)
    assert results(store, prediction("a", at=0.0), prediction("b", at=8.0), now=8.0) == {}
    assert results(store, now=11.0) == {"expired": 1}
    assert results(store, outcome("a", at=11.0), outcome("a", at=11.0), now=11.0) == {"late": 1, "duplicate": 1}
    assert results(store, now=22.0) == {"expired": 1}
    assert results(store, now=33.0) == {}
    assert results(store, outcome("a", at=33.0), outcome("b", at=33.0), now=33.0) == {"unmatched": 2}


def test_an_old_early_outcome_is_dropped(make_store):
    """Its prediction then waits for another outcome."""
    store = make_store(expire=10.0)
    assert results(store, outcome("a", at=0.0), now=0.0) == {"unmatched": 1}
    assert results(store, now=11.0) == {}
    assert results(store, prediction("a", at=12.0), now=12.0) == {}


def test_beyond_the_capacity_the_oldest_record_is_dropped(make_store):
    """The capacity holds for predictions, early outcomes and finished ids."""
    store = make_store(capacity=3)
    events = [prediction(str(index), at=float(index)) for index in range(5)]
    assert results(store, *events, now=5.0) == {"expired": 2}
    assert results(store, outcome("0", at=6.0), outcome("4", at=6.0), now=6.0) == {"late": 1, "correct": 1}
    unknown = [outcome(f"unknown-{index}", at=7.0 + index) for index in range(5)]
    assert results(store, *unknown, now=12.0) == {"unmatched": 5}
    assert results(store, prediction("unknown-0", at=13.0), prediction("unknown-4", at=14.0), now=14.0) == {
        "early": 1,
        "correct": 1,
    }


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 1)), max_size=60),
    st.integers(1, 8),
    st.integers(1, 7),
)
@pytest.mark.slow
def test_memory_and_file_count_the_same_for_any_chunk_size(steps, capacity, size):
    """With enough capacity the counts are equal. With a small one, predictions and outcomes still add up."""
    events = [Event(str(key), is_outcome, value, float(at)) for at, (key, is_outcome, value) in enumerate(steps)]
    plain = results(MemoryStore(1_000, None), *events, now=0.0)
    memory, small = MemoryStore(1_000, None), MemoryStore(capacity, None)
    with tempfile.TemporaryDirectory() as folder:
        file = FileStore(Path(folder) / "outcomes.sqlite", "m", "1", None, 1_000, None)
        counts = {"memory": Counter(), "file": Counter(), "small": Counter()}
        for start in range(0, len(events), size):
            chunk = events[start : start + size]
            for name, store in (("memory", memory), ("file", file), ("small", small)):
                counts[name].update(results(store, *chunk, now=float(start)))
        file.close()
    assert dict(counts["memory"]) == dict(counts["file"]) == plain
    bounded = counts["small"]
    joined = bounded["correct"] + bounded["incorrect"]
    assert (
        sum(not event.is_outcome for event in events)
        == joined + bounded["expired"] + bounded["replaced"] + small.pending
    )
    outcomes = joined - bounded["early"] + bounded["duplicate"] + bounded["late"] + bounded["unmatched"]
    assert sum(event.is_outcome for event in events) == outcomes
    assert len(small) <= 3 * capacity


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (17, "17"),
        (17.0, 17),
        (np.int64(17), "17"),
        (uuid.UUID(int=5), str(uuid.UUID(int=5))),
        ("x" * 10_000, "x" * 10_000),
    ],
)
def test_equal_ids_of_different_types_have_one_key(left, right):
    """So an id finds its prediction after it went through a database or JSON."""
    assert join_key(left) == join_key(right)
    assert len(join_key(left)) <= 64


def test_long_ids_with_different_ends_have_different_keys():
    """The key is a digest of the whole id."""
    assert join_key("x" * 10_000 + "a") != join_key("x" * 10_000 + "b")


def test_a_failed_grading_counts_nothing(make_store):
    """The same events are counted when they are applied again."""
    store = make_store()
    results(store, prediction("a"))
    if isinstance(store, FileStore):

        def fail(pairs):
            raise sqlite3.OperationalError

        with pytest.raises(sqlite3.OperationalError):
            store.apply([outcome("a")], 0.0, fail)
    assert results(store, outcome("a")) == {"correct": 1}
