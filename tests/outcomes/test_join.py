"""The join: whatever the order, every prediction and every outcome ends somewhere, once, in memory and in a file."""

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
    """Right is what is equal."""
    return Counter((source, "correct" if output == actual else "incorrect") for source, output, actual in pairs)


def told(key, value=1, at=0.0):
    return Event(key, True, value, at)


def predicted(key, value=1, at=0.0):
    return Event(key, False, value, at)


@pytest.fixture(params=["memory", "file"])
def make_store(request, tmp_path):
    """Stores of either kind."""
    made = []

    def make(capacity=1_000, expire=None):
        if request.param == "memory":
            return MemoryStore(capacity, expire)
        made.append(FileStore(tmp_path / f"{len(made)}.sqlite", "m", None, None, capacity, expire))
        return made[-1]

    yield make
    for store in made:
        store.close()


def results(store, *events, now=0.0):
    """What a store says of events, by result."""
    return {result: count for (_, result), count in store.apply(events, now, grade).results.items() if count}


def test_every_result(make_store):
    """Right, wrong, told twice, never predicted, predicted twice."""
    store = make_store()
    assert results(store, predicted("a"), predicted("b"), predicted("c")) == {}
    assert results(store, told("a", 1), told("b", 0)) == {"correct": 1, "incorrect": 1}
    assert results(store, told("a"), told("never")) == {"duplicate": 1, "unmatched": 1}
    assert results(store, predicted("c", 5)) == {"replaced": 1}
    assert results(store, told("c", 5)) == {"correct": 1}


def test_an_outcome_before_its_prediction_is_joined_when_it_comes(make_store):
    """Unmatched at first, early when the prediction comes; told twice meanwhile, a duplicate."""
    store = make_store()
    assert results(store, told("a", 3), told("a", 4)) == {"unmatched": 1, "duplicate": 1}
    assert results(store, predicted("a", 3)) == {"early": 1, "correct": 1}
    assert results(store, told("a", 3)) == {"duplicate": 1}


def test_an_id_may_be_used_again_after_its_outcome(make_store):
    """A customer is scored every month."""
    store = make_store()
    for month in range(3):
        assert results(store, predicted("customer", month), told("customer", month)) == {"correct": 1}


def test_what_is_too_old_expires_and_its_outcome_is_late(make_store):
    """Once; and in the end the id is forgotten altogether."""
    store = make_store(expire=10.0)
    assert results(store, predicted("a", at=0.0), predicted("b", at=8.0), now=8.0) == {}
    assert results(store, now=11.0) == {"expired": 1}
    assert results(store, told("a", at=11.0), told("a", at=11.0), now=11.0) == {"late": 1, "duplicate": 1}
    assert results(store, now=22.0) == {"expired": 1}
    assert results(store, now=33.0) == {}
    assert results(store, told("a", at=33.0), told("b", at=33.0), now=33.0) == {"unmatched": 2}


def test_an_outcome_that_waited_too_long_is_forgotten(make_store):
    """Its prediction then waits for another one."""
    store = make_store(expire=10.0)
    assert results(store, told("a", at=0.0), now=0.0) == {"unmatched": 1}
    assert results(store, now=11.0) == {}
    assert results(store, predicted("a", at=12.0), now=12.0) == {}


def test_beyond_the_capacity_the_oldest_goes(make_store):
    """Of predictions, of outcomes without one, and of ids that are known to be done."""
    store = make_store(capacity=3)
    events = [predicted(str(place), at=float(place)) for place in range(5)]
    assert results(store, *events, now=5.0) == {"expired": 2}
    assert results(store, told("0", at=6.0), told("4", at=6.0), now=6.0) == {"late": 1, "correct": 1}
    strangers = [told(f"nobody-{place}", at=7.0 + place) for place in range(5)]
    assert results(store, *strangers, now=12.0) == {"unmatched": 5}
    assert results(store, predicted("nobody-0", at=13.0), predicted("nobody-4", at=14.0), now=14.0) == {
        "early": 1,
        "correct": 1,
    }


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 1)), max_size=60),
    st.integers(1, 8),
    st.integers(1, 7),
)
def test_memory_and_file_say_the_same_however_events_are_cut(steps, capacity, size):
    """With room for all, in chunks of any size; and nothing is lost: predictions and outcomes add up."""
    events = [Event(str(key), tell, value, float(at)) for at, (key, tell, value) in enumerate(steps)]
    plain = results(MemoryStore(1_000, None), *events, now=0.0)
    memory, small = MemoryStore(1_000, None), MemoryStore(capacity, None)
    with tempfile.TemporaryDirectory() as folder:
        file = FileStore(Path(folder) / "outcomes.sqlite", "m", "1", None, 1_000, None)
        found = {"memory": Counter(), "file": Counter(), "small": Counter()}
        for start in range(0, len(events), size):
            part = events[start : start + size]
            for name, store in (("memory", memory), ("file", file), ("small", small)):
                found[name].update(results(store, *part, now=float(start)))
        file.close()
    assert dict(found["memory"]) == dict(found["file"]) == plain
    one = found["small"]
    waiting = len(small._states["waiting"])
    joined = one["correct"] + one["incorrect"]
    assert sum(not event.is_outcome for event in events) == joined + one["expired"] + one["replaced"] + waiting
    outcomes = joined - one["early"] + one["duplicate"] + one["late"] + one["unmatched"]
    assert sum(event.is_outcome for event in events) == outcomes
    assert len(small) <= 3 * capacity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (17, "17"),
        (17.0, 17),
        (np.int64(17), "17"),
        (uuid.UUID(int=5), str(uuid.UUID(int=5))),
        ("x" * 10_000, "x" * 10_000),
    ],
)
def test_ids_are_known_by_their_text(one, other):
    """So that an id finds its prediction after it went through a database or JSON."""
    assert join_key(one) == join_key(other)
    assert len(join_key(one)) <= 64


def test_long_ids_that_differ_at_the_end_differ():
    """Only a digest of them is kept."""
    assert join_key("x" * 10_000 + "a") != join_key("x" * 10_000 + "b")


def test_nothing_is_counted_when_grading_fails(make_store):
    """The events come again, and are counted then."""
    store = make_store()
    results(store, predicted("a"))
    if isinstance(store, FileStore):

        def fail(pairs):
            raise sqlite3.OperationalError

        with pytest.raises(sqlite3.OperationalError):
            store.apply([told("a")], 0.0, fail)
    assert results(store, told("a")) == {"correct": 1}
