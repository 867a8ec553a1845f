"""Tests of the pauses that let other threads run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from driftline._runtime import pacing
from driftline._runtime.pacing import (
    MAX_PAUSE_SECONDS,
    PAUSE_FACTOR,
    PAUSE_SECONDS,
    PIECE_OBSERVATIONS,
    PIECE_SECONDS,
    Throttle,
    with_pauses,
)


@pytest.fixture
def pauses(monkeypatch):
    """The seconds of each pause. Three pieces of work take a millisecond, a second, and no time."""
    seconds, now = [], iter([0.0, 0.001, 10.0, 11.0, 20.0, 20.0, 30.0])
    # The module's own `time` only: threads of other tests use the real one.
    monkeypatch.setattr(pacing, "time", SimpleNamespace(thread_time=lambda: next(now), sleep=seconds.append))
    return seconds


def test_throttle_pauses_in_proportion_to_the_work(pauses):
    """Pauses are bounded: long enough for a change of threads, and not longer than a piece should take."""
    throttle = Throttle(lambda: False)
    assert [throttle() for _ in range(3)] == [False] * 3
    assert pauses == pytest.approx([PAUSE_FACTOR * 0.001, MAX_PAUSE_SECONDS, PAUSE_SECONDS])


def test_throttle_pauses_shortly_when_pressed(pauses):
    throttle = Throttle(lambda: True)
    assert [throttle() for _ in range(3)] == [True] * 3
    assert pauses == [PAUSE_SECONDS] * 3


def test_with_pauses_keeps_items_and_their_order(pauses):
    """The consumer gets a whole piece before each pause."""
    items = with_pauses(range(2 * PIECE_OBSERVATIONS + 1))
    assert [next(items) for _ in range(PIECE_OBSERVATIONS)] == list(range(PIECE_OBSERVATIONS))
    assert pauses == []
    assert list(items) == list(range(PIECE_OBSERVATIONS, 2 * PIECE_OBSERVATIONS + 1))
    assert pauses == [PAUSE_SECONDS] * 2


def test_with_pauses_does_not_pause_a_fast_consumer(monkeypatch):
    """Of four pieces, the third one takes the time that needs a pause."""
    seconds, now = [], iter([0.0, 0.0, 0.0, PIECE_SECONDS, 1.0, 1.0])
    monkeypatch.setattr(pacing, "time", SimpleNamespace(thread_time=lambda: next(now), sleep=seconds.append))
    items = list(range(3 * PIECE_OBSERVATIONS + 1))
    assert list(with_pauses(items)) == items
    assert seconds == [PAUSE_SECONDS]
