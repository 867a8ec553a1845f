"""The time by which records in a file expire, while the wall clock is set to wrong times."""

from __future__ import annotations

import time

import pytest

from driftline.outcomes import _joiner
from driftline.outcomes._clock import CONFIRM_SECONDS, MAX_STEP, WallClock

DAY = 86_400.0
START = 1.7e9


class Clocks:
    """A wall clock and a monotonic clock by hand."""

    def __init__(self):
        self.passed, self.wrong = 0.0, 0.0
        self.clock = WallClock(lambda: START + self.passed + self.wrong, lambda: self.passed)

    def times(self, passed=0.0, wrong=None):
        """Let seconds pass, set the wall clock wrong by so much, and return (stamp, now) since the start."""
        self.passed += passed
        self.wrong = self.wrong if wrong is None else wrong
        now = self.clock.now()
        return self.clock.stamp() - START, now - START


def test_both_times_follow_the_wall_clock():
    """Corrections of a minute too."""
    clocks = Clocks()
    assert clocks.times(10.0) == (10.0, 10.0)
    assert clocks.times(10.0, wrong=MAX_STEP) == (20.0 + MAX_STEP, 20.0 + MAX_STEP)
    assert clocks.times(10.0, wrong=0.0) == (30.0, 30.0)
    for hour in range(1, 5):  # a slow clock, corrected step by step
        assert clocks.times(3_600.0, wrong=-30.0 * hour)[1] == pytest.approx(30.0 + 3_570.0 * hour)


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY, -START])
def test_a_jump_makes_no_record_older(jump):
    """Whether the clock is ahead or behind: the stamp is late, and the present is early."""
    clocks = Clocks()
    clocks.times(100.0)
    for _ in range(5):
        assert clocks.times(10.0, wrong=jump) == (clocks.passed + max(jump, 0.0), clocks.passed + min(jump, 0.0))
    assert clocks.times(10.0, wrong=0.0) == (160.0, 160.0)


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY])
def test_a_jump_that_lasts_counts(jump):
    """As after a machine was suspended, or when the clock was wrong at the start."""
    clocks = Clocks()
    clocks.times(1.0, wrong=jump)
    clocks.times(CONFIRM_SECONDS - 1.0)
    assert clocks.times(2.0) == (clocks.passed + jump, clocks.passed + jump)


def test_a_clock_that_keeps_jumping_is_not_followed():
    clocks = Clocks()
    for number in range(10):
        assert clocks.times(CONFIRM_SECONDS / 2, wrong=(number + 1) * DAY)[1] == clocks.passed


def test_a_wrong_clock_for_one_write_expires_nothing(make_monitor, tmp_path, row, monkeypatch):
    """The predictions of a file wait for their outcomes as before."""
    ahead = [0.0]
    monkeypatch.setattr(_joiner, "WallClock", lambda: WallClock(lambda: time.time() + ahead[0]))
    monitor = make_monitor(outcomes=tmp_path / "outcomes.sqlite", synchronous=True)
    for prediction_id, seconds in (("a", 0.0), ("b", 40 * DAY)):
        ahead[0] = seconds
        monitor.observe({name: [value] for name, value in row.items()}, [0.9], prediction_ids=[prediction_id])
        monitor.flush()
    ahead[0] = 0.0
    monitor.outcomes(["a", "b"], [True, True])
    assert monitor.outcome_counts().results == {"correct": 2}
