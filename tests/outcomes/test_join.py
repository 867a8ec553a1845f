"""The join: in any order, every prediction and outcome gets exactly one result, in memory and in a file."""

from __future__ import annotations

import enum
import sqlite3
import tempfile
import uuid
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline import Reference
from driftline.outcomes._join import Event
from driftline.outcomes._join_key import join_key
from driftline.outcomes._memory_store import MemoryStore
from driftline.outcomes._sqlite_store import FileStore
from driftline.testing import in_memory_monitor


class Airport(str, enum.Enum):
    """An enumeration of strings."""

    OSLO = "OSL"


class Gate(int, enum.Enum):
    """An enumeration of integers."""

    FIRST = 1


def grade(joined):
    """Grade a prediction as correct if it equals its outcome."""
    return Counter((pair.source, "correct" if pair.output == pair.actual else "incorrect") for pair in joined.pairs)


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
    """It counts as unmatched first, then as early. The same outcome in between is a duplicate, another corrects it."""
    store = make_store()
    assert results(store, outcome("a", 4), outcome("a", 4), outcome("a", 3)) == {
        "unmatched": 1,
        "duplicate": 1,
        "corrected": 1,
    }
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
    outcomes = (
        joined - bounded["early"] + bounded["duplicate"] + bounded["corrected"] + bounded["late"] + bounded["unmatched"]
    )
    assert sum(event.is_outcome for event in events) == outcomes
    assert len(small) <= 3 * capacity


STEPS = st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([0, 1, None]), st.integers(0, 9))


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(st.lists(STEPS, min_size=1, max_size=40))
def test_the_time_at_which_old_records_are_removed_changes_no_count(steps):
    """Records are removed after each event, or after the last one only, in memory and in a file."""
    times = np.cumsum([pause for *_, pause in steps]).tolist()
    events = [
        Event(str(key), is_outcome, value, float(at))
        for (key, is_outcome, value, _), at in zip(steps, times, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        files = [FileStore(Path(folder) / name, "m", None, None, 1_000, 10.0) for name in ("a", "b")]
        one_by_one = [
            sum((Counter(results(store, event, now=event.at)) for event in events), Counter())
            for store in (files[0], MemoryStore(1_000, 10.0))
        ]
        together = [
            Counter(results(store, *events, now=events[-1].at)) for store in (files[1], MemoryStore(1_000, 10.0))
        ]
        for store in files:
            store.close()
    assert all(counts == together[0] for counts in (*one_by_one, *together))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (17, "17"),
        (17.0, 17),
        (np.int64(17), "17"),
        (uuid.UUID(int=5), str(uuid.UUID(int=5))),
        ("x" * 10_000, "x" * 10_000),
        (b"UA-17", "UA-17"),
        (np.bytes_("ü".encode()), "ü"),
        (pa.scalar(b"17"), 17),
        (Decimal("5.00"), 5),
        (Decimal("1E+2"), "100"),
        (Decimal("0.5"), 0.5),
        (Decimal("Infinity"), "Infinity"),
        (Decimal("sNaN"), "sNaN"),
        (Airport.OSLO, "OSL"),
        (Gate.FIRST, 1),
    ],
)
def test_equal_ids_of_different_types_have_one_key(left, right):
    """So an id finds its prediction after it went through a database or JSON."""
    assert join_key(left) == join_key(right)
    assert len(join_key(left)) <= 64


def test_bytes_that_encode_no_string_are_an_id():
    """A UUID may come as 16 bytes."""
    first, second = uuid.UUID(int=2**128 - 1).bytes, uuid.UUID(int=2**128 - 2).bytes
    assert join_key(first) != join_key(second)


def test_a_tuple_is_one_id_of_one_output():
    """For example, an order and its line. A 0-d array is an id too."""
    monitor = in_memory_monitor(reference=Reference.fit({"x": [1.0, 2.0]}, predictions=[0.2, 0.9]))
    for prediction_id in (("order", 7), np.array(5)):
        with monitor.prediction({"x": 1.0}, prediction_id=prediction_id) as call:
            call.output = 0.9
    monitor.outcome(("order", 7), True)
    monitor.outcome(5, True)
    assert monitor.outcome_counts().results == {"correct": 2}


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


def test_an_unknown_label_leaves_its_prediction_pending(make_store):
    """Also before the prediction, and after the outcome, which stays."""
    store = make_store()
    assert results(store, outcome("a", None), prediction("a"), outcome("a", None)) == {"pending": 2}
    assert results(store, outcome("a", 1), outcome("a", None)) == {"correct": 1, "pending": 1}
    assert results(store, outcome("a", 1)) == {"duplicate": 1}


def test_another_outcome_corrects_the_pair(make_store):
    """As often as it changes. The same one again is a duplicate, also as a number of another type."""
    store, changes = make_store(), []

    def note(joined):
        changes.extend((c.pair.output, c.previous, c.pair.actual, c.pair.serial) for c in joined.corrections)
        changes.extend((p.output, p.actual, p.serial) for p in joined.pairs)
        return Counter()

    store.apply([prediction("a", 0.7, 5.0), outcome("a", 1, 6.0)], 6.0, note)
    for at, actual in enumerate((True, 0, 0.0, 1, "1")):
        store.apply([outcome("a", actual, 7.0 + at)], 20.0, note)
    (_, _, serial), *corrections = changes
    assert corrections == [(0.7, 1, 0, serial), (0.7, 0, 1, serial), (0.7, 1, "1", serial)]


def test_a_correction_is_accepted_as_long_as_the_id_is_remembered(make_store):
    """That is for *expire* after the first outcome."""
    store = make_store(expire=10.0)
    assert results(store, prediction("a", at=0.0), outcome("a", 1, 9.0), now=9.0) == {"correct": 1}
    assert results(store, outcome("a", 0, 19.0), now=19.0) == {"corrected": 1}
    assert results(store, outcome("a", 1, 19.5), now=19.5) == {"unmatched": 1}


@pytest.mark.parametrize("sweep", [False, True])
def test_an_outcome_is_late_whether_or_not_old_records_were_removed_before(make_store, sweep):
    """The age of the prediction decides: at exactly *expire* seconds it is joined, later it is not."""
    store = make_store(expire=7.0)
    for key in "abc":
        results(store, prediction(key))
    counts = Counter(results(store, outcome("a", at=7.0), now=7.0))
    for at, key in ((10.0, "b"), (14.5, "c")):
        if sweep:
            counts.update(results(store, now=at))
        counts.update(results(store, outcome(key, at=at), now=at))
    assert counts == {"correct": 1, "expired": 2, "late": 1, "unmatched": 1}
    # The clock of the store is not ahead of that of the event.
    assert results(store, prediction("d", at=20.0), outcome("d", at=99.0), now=21.0) == {"correct": 1}


def test_an_early_outcome_that_is_too_old_is_not_joined(make_store):
    """Although no old record was removed since."""
    store = make_store(expire=7.0)
    results(store, outcome("a", at=0.0), now=0.0)
    assert results(store, prediction("a", at=7.5), now=7.5) == {}


def test_a_correction_keeps_the_order_of_the_records():
    """The oldest record is the first to be forgotten, and a repeated prediction is a new one."""
    store = MemoryStore(2, None)
    for at, key in enumerate("ab"):
        results(store, prediction(key, at=at), outcome(key, 1, at))
    results(store, outcome("a", 0, 5.0))
    results(store, prediction("c", at=6.0), outcome("c", 1, 6.0))
    assert results(store, outcome("b", 0, 7.0), outcome("a", 1, 7.0)) == {"corrected": 1, "unmatched": 1}
    results(store, prediction("x", at=8.0), prediction("y", at=9.0), prediction("x", 0, 10.0))
    assert results(store, prediction("z", at=11.0)) == {"expired": 1}
    assert results(store, outcome("x", 0, 12.0)) == {"correct": 1}
