"""Late labels: each outcome is counted once, in bounded memory, and accuracy can be estimated before they come."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline._values import OutcomeCounts
from driftline.outcomes import PANE_OUTCOMES, PANES, OutcomeStore, estimated_accuracy


def equal(prediction, actual):
    return prediction == actual


def test_every_result():
    """Right, wrong, told twice, never predicted."""
    store = OutcomeStore(equal)
    for place in range(4):
        store.remember(place, "yes")
    assert store.resolve(0, "yes") == "correct"
    assert store.resolve(1, "no") == "incorrect"
    assert store.resolve(1, "yes") == "duplicate"
    assert store.resolve("never", "yes") == "unmatched"
    read = store.read()
    assert read.results == {"correct": 1, "incorrect": 1, "duplicate": 1, "unmatched": 1}
    assert (read.known, read.correct, read.accuracy) == (2, 1, 0.5)


def test_without_a_judge_outcomes_are_matched():
    """And there is no accuracy."""
    store = OutcomeStore(None)
    store.remember("a", 5.0)
    assert store.resolve("a", 6.0) == "matched"
    assert (store.read().accuracy, store.read().known) == (None, 0)
    store.judge_by(equal)
    store.remember("b", 5.0)
    assert store.resolve("b", 5.0) == "correct"


def test_a_judge_that_raises_leaves_the_outcome_matched():
    """The error is the caller's to handle; the outcome is not lost, and not told twice."""

    def judge(prediction, actual):
        raise ZeroDivisionError

    store = OutcomeStore(judge)
    store.remember("a", 1)
    with pytest.raises(ZeroDivisionError):
        store.resolve("a", 1)
    assert store.read().results == {"matched": 1}
    assert store.resolve("a", 1) == "duplicate"


def test_the_oldest_prediction_expires():
    """Memory is bounded: what never hears of its outcome gives way."""
    store = OutcomeStore(equal, capacity=3)
    for place in range(5):
        store.remember(place, 1)
    assert store.read().results == {"expired": 2}
    assert [store.resolve(place, 1) for place in range(5)] == ["unmatched", "unmatched", *["correct"] * 3]


def test_what_is_done_is_remembered_no_longer_than_what_waits():
    """Duplicates of long ago are unmatched; memory is bounded on this side too."""
    store = OutcomeStore(equal, capacity=3)
    for place in range(10):
        store.remember(place, 1)
        store.resolve(place, 1)
    assert store.resolve(9, 1) == "duplicate"
    assert store.resolve(0, 1) == "unmatched"
    assert len(store._done) == 3


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["remember", "right", "wrong"])), max_size=80))
def test_results_are_those_of_a_plain_model(steps):
    """Random predictions and outcomes against a dict."""
    store, waiting, done, expected = OutcomeStore(equal), set(), set(), Counter()
    for place, step in steps:
        if step == "remember":
            store.remember(place, 1)
            waiting.add(place)
            continue
        result = store.resolve(place, 1 if step == "right" else 0)
        if place in waiting:
            waiting.remove(place)
            done.add(place)
            wanted = "correct" if step == "right" else "incorrect"
        else:
            wanted = "duplicate" if place in done else "unmatched"
        assert result == wanted
        expected[wanted] += 1
    assert store.read().results == dict(expected)


def test_accuracy_is_that_of_the_latest_outcomes():
    """Five thousand or so: what was long ago is forgotten in steps, and the totals are not."""
    store = OutcomeStore(equal)
    for place in range(PANE_OUTCOMES * PANES):
        store.remember(place, 1)
        store.resolve(place, 1)
    assert store.read().accuracy == 1.0
    for place in range(PANE_OUTCOMES * PANES):
        store.remember(place, 1)
        store.resolve(place, 0)
    read = store.read()
    assert read.accuracy == 0.0
    assert read.recent_known == PANE_OUTCOMES * PANES
    assert (read.known, read.correct) == (2 * PANE_OUTCOMES * PANES, PANE_OUTCOMES * PANES)


def test_threads_tell_each_outcome_once():
    """Four threads that all tell of the same predictions: one of them is right, three tell it again."""
    store = OutcomeStore(equal)
    for place in range(2_000):
        store.remember(place, 1)
    threads = [threading.Thread(target=lambda: [store.resolve(place, 1) for place in range(2_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read().results == {"correct": 2_000, "duplicate": 6_000}


def test_a_finalizer_that_predicts_does_not_deadlock():
    """Forgetting an output may run code of the host, which may come back here."""
    store = OutcomeStore(equal, capacity=1)

    class Output:
        def __del__(self):
            store.resolve("other", 1)

    def run():
        store.remember(0, Output())
        store.remember(1, Output())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10.0)
    assert not thread.is_alive()
    assert store.read().results == {"expired": 1, "unmatched": 1}


def test_the_child_of_a_fork_starts_empty():
    """Nothing waits, nothing was counted."""
    store = OutcomeStore(equal)
    store.remember("a", 1)
    store.resolve("b", 1)
    store.reset()
    assert store.read().results == {}
    assert store.resolve("a", 1) == "unmatched"


@pytest.mark.parametrize(
    ("known", "correct", "current", "expected"),
    [
        ((10, 10), (9, 5), (30, 10), 0.8),
        ((10, 10), (9, 5), (0, 10), 0.5),
        ((10, 0), (9, 0), (30, 500), 0.9),
        ((10, 10), (9, 5), (0, 0), None),
        ((0, 0), (0, 0), (30, 10), None),
        ((10, 0), (9, 0), (0, 500), None),
    ],
)
def test_estimated_accuracy(known, correct, current, expected):
    """The reference's accuracy per bin, weighted by the window; bins of unknown accuracy are left out."""
    found = estimated_accuracy(OutcomeCounts(known, correct), np.array(current))
    assert found == (expected if expected is None else pytest.approx(expected))


@given(st.integers(0, 2**16))
def test_of_the_reference_itself_the_estimate_is_its_accuracy(seed):
    """Where every prediction's outcome is known."""
    random = np.random.default_rng(seed)
    known = random.integers(1, 50, 6)
    correct = random.integers(0, known + 1)
    found = estimated_accuracy(OutcomeCounts(tuple(known.tolist()), tuple(correct.tolist())), known)
    assert found == pytest.approx(correct.sum() / known.sum())
