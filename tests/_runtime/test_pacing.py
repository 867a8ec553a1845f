"""How our threads and collections leave the interpreter to others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from driftline._runtime import pacing
from driftline._runtime.pacing import AT_ONCE, LONGEST_REST, PAUSE, REST, Throttle, in_pieces


@pytest.fixture
def rests(monkeypatch):
    """The seconds of each rest; a piece of work takes a millisecond, a second, and no time."""
    taken, now = [], iter([0.0, 0.001, 10.0, 11.0, 20.0, 20.0, 30.0])
    # Not the module of everybody: threads of other tests use that.
    monkeypatch.setattr(pacing, "time", SimpleNamespace(thread_time=lambda: next(now), sleep=taken.append))
    return taken


def test_a_round_rests_in_proportion_to_its_work(rests):
    """Several times as long as a piece took, no longer than pieces should, and long enough for a change of threads."""
    pace = Throttle(lambda: False)
    for _ in range(3):
        pace()
    assert rests == pytest.approx([REST * 0.001, LONGEST_REST, PAUSE])


def test_a_round_that_falls_behind_does_not_rest(rests):
    """It changes hands, no more."""
    pace = Throttle(lambda: True)
    for _ in range(3):
        pace()
    assert rests == [PAUSE] * 3


def test_a_collection_pauses_between_pieces(rests):
    """After every so many, and nothing is lost or changes its order."""
    taken = in_pieces(range(2 * AT_ONCE + 1))
    assert [next(taken) for _ in range(AT_ONCE)] == list(range(AT_ONCE))
    assert rests == []
    assert list(taken) == list(range(AT_ONCE, 2 * AT_ONCE + 1))
    assert rests == [PAUSE] * 2
