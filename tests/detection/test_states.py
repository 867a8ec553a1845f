"""Evidence at several window lengths becomes one state."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline.detection._rules import Evidence
from driftline.detection._states import Episode, update_status
from driftline.testing import ManualClock, in_memory_monitor


def evidence_of(enter=False, stay=False, rows=500):
    """Return the evidence of one evaluation."""
    return Evidence(enter, stay or enter, 0.5, 0.1, rows, "why")


@pytest.mark.parametrize(
    ("episode", "enter", "stay", "state"),
    [
        (Episode(), False, False, "stable"),
        (Episode(), False, True, "stable"),
        (Episode(), True, True, "drifting"),
        (Episode(1), False, True, "drifting"),
        (Episode(1), True, True, "drifting"),
        (Episode(1), False, False, "stable"),
    ],
)
def test_every_transition_at_one_length(episode, enter, stay, state):
    """A drift begins on `enter` and ends when `stay` is false as well."""
    status, after = update_status(episode, {1: evidence_of(enter, stay)}, 7, 200)
    assert (status.state, status.reason) == (state, "why" if state == "drifting" else "as the reference")
    assert after.length == (1 if state == "drifting" else 0)
    assert after.ended == (7 if episode.length and state == "stable" else 0)


def test_a_drift_lasts_as_long_as_the_shortest_length_that_showed_it():
    """The long window that found it, then a short window that found it too."""
    _, episode = update_status(Episode(), {1: evidence_of(), 4: evidence_of(enter=True)}, 4, 200)
    assert episode.length == 4
    status, episode = update_status(episode, {1: evidence_of(), 4: evidence_of(stay=True)}, 5, 200)
    assert (status.state, episode.length) == ("drifting", 4)
    status, episode = update_status(episode, {1: evidence_of(enter=True), 4: evidence_of(enter=True)}, 8, 200)
    assert (status.state, episode.length) == ("drifting", 1)
    status, episode = update_status(episode, {1: evidence_of(), 4: evidence_of(stay=True)}, 9, 200)
    assert (status.state, episode) == ("stable", Episode(0, 9))


def test_long_windows_with_rows_of_a_past_drift_do_not_count():
    """Until all of their rows came after it."""
    episode = Episode(0, 10)
    evidence = {1: evidence_of(), 4: evidence_of(enter=True)}
    for window, state in ((11, "stable"), (13, "stable"), (14, "drifting")):
        assert update_status(episode, evidence, window, 200)[0].state == state


def test_the_shortest_length_with_enough_rows_gives_the_state():
    """If no length has enough rows, the state is `insufficient_data`."""
    assert update_status(Episode(1), {1: evidence_of(True, rows=199)}, 3, 200)[0].state == "insufficient_data"
    status, _ = update_status(Episode(), {1: evidence_of(True, rows=150), 4: evidence_of(rows=600)}, 4, 200)
    assert (status.state, status.rows) == ("stable", 600)
    assert update_status(Episode(), {}, 0, 200)[0].reason == "0 rows, needs 200"


def test_a_clock_that_goes_back_gives_a_rule_no_negative_time(recording_rule):
    """`Look.elapsed` is 0 for that evaluation."""
    rule = recording_rule(1)
    clock = ManualClock(100.0)
    monitor = in_memory_monitor(
        reference=dl.Reference.fit({"x": np.arange(100.0)}), window=dl.Window(rows=1), rule=rule, clock=clock
    )
    for step in (5.0, -50.0, 3.0):
        clock.advance(step)
        monitor.observe({"x": 1.0})
        monitor.flush()
    assert [look.elapsed for look in rule.looks] == [5.0, 0.0, 3.0]


def test_only_the_reason_of_a_drift_is_composed():
    """A stable feature composes none. A drifting feature composes the one of a single length."""
    composed = []

    def compose(length):
        return lambda: composed.append(length) or f"at {length}"

    quiet = {length: Evidence(False, True, 0.5, 0.1, 500, compose(length)) for length in (1, 4)}
    assert update_status(Episode(), quiet, 4, 200)[0].reason == "as the reference"
    assert composed == []
    loud = {length: Evidence(True, True, 0.5, 0.1, 500, compose(length)) for length in (1, 4)}
    assert update_status(Episode(), loud, 4, 200)[0].reason == "at 1"
    assert composed == [1]
