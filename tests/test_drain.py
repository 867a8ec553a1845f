"""The thread that empties the buffers: how it leaves the interpreter to others."""

from __future__ import annotations

import pytest

from driftline import _drain
from driftline._drain import PAUSE, REST, Pace


@pytest.fixture
def rests(monkeypatch):
    """The seconds of each rest; a piece of work takes 2, 3 and 0 milliseconds."""
    taken, now = [], iter([0.0, 0.002, 10.0, 10.003, 20.0, 20.0, 30.0])
    monkeypatch.setattr(_drain.time, "thread_time", lambda: next(now))
    monkeypatch.setattr(_drain.time, "sleep", taken.append)
    return taken


def test_a_round_rests_in_proportion_to_its_work(rests):
    """Several times as long as each piece took, and at least for as long as a change of threads takes."""
    pace = Pace(lambda: False)
    for _ in range(3):
        pace()
    assert rests == pytest.approx([REST * 0.002, REST * 0.003, PAUSE])


def test_a_round_that_falls_behind_does_not_rest(rests):
    """It changes hands, no more."""
    pace = Pace(lambda: True)
    for _ in range(3):
        pace()
    assert rests == [PAUSE] * 3
