"""A drift ends at the shortest window length that can show its end, and a feature may be one of which none can tell."""

from __future__ import annotations

import numpy as np
import pytest

from driftline._significance.components import LOCATION, MISSING, PARTS, SPREAD
from driftline.detection._rules import NOT_BLIND, Evidence
from driftline.detection._states import END_ERRORS, END_SHARE, Episode, update_status


def moved(deviation=0.0, error=0.03, *, enter=False, stay=False, rows=500, part=LOCATION, blind=NOT_BLIND):
    """Return the evidence of one evaluation by a rule that tests parts."""
    deviations = np.zeros(PARTS)
    deviations[part] = deviation
    return Evidence(
        enter,
        stay or enter,
        0.5,
        0.1,
        rows,
        f"moved by {deviation:g}",
        deviations=deviations,
        errors=np.full(PARTS, error),
        lead=part,
        blind=blind,
    )


BLIND = {LOCATION: lambda: "blind"}


def begun(length=1, strength=1.0, part=LOCATION):
    """Return the memory of a drift."""
    return Episode(length, 0, length, part, strength)


def test_the_beginning_of_a_drift_remembers_its_part_and_its_strength():
    _, episode = update_status(Episode(), {1: moved(), 4: moved(-0.4, enter=True, part=SPREAD)}, 4, 200)
    assert episode == Episode(4, 0, 4, SPREAD, -0.4)


@pytest.mark.parametrize(
    ("deviation", "state"),
    [(1.0, "drifting"), (END_SHARE, "drifting"), (0.49, "stable"), (0.0, "stable"), (-1.0, "stable")],
)
def test_a_drift_ends_below_half_of_its_strength(deviation, state):
    """Whatever the rule says about staying, and whatever longer windows still hold of it."""
    for stay in (False, True):
        evidence = {1: moved(deviation, stay=stay), 4: moved(0.9, enter=True)}
        status, episode = update_status(begun(), evidence, 9, 200)
        assert status.state == state
        assert episode.ended == (9 if state == "stable" else 0)


def test_a_drift_downwards_ends_above_half_of_its_strength():
    assert update_status(begun(strength=-1.0), {1: moved(-0.6)}, 9, 200)[0].state == "drifting"
    assert update_status(begun(strength=-1.0), {1: moved(-0.4)}, 9, 200)[0].state == "stable"


@pytest.mark.parametrize(
    ("error", "state"), [(1.0 / END_ERRORS * END_SHARE, "stable"), (1.01 / END_ERRORS * END_SHARE, "drifting")]
)
def test_the_shortest_length_that_can_show_the_end_decides(error, state):
    """A drift that four windows found ends with one quiet window, if one window is enough for half of it."""
    evidence = {1: moved(0.1, error), 4: moved(0.9, 0.03, stay=True)}
    status, episode = update_status(begun(4), evidence, 9, 200)
    assert status.state == state
    assert episode.explained == (4 if state == "drifting" else 0)


def test_a_small_drift_is_held_by_the_length_that_found_it():
    """Its quiet short windows say nothing, because their errors are larger than the drift."""
    evidence = {1: moved(0.0, 0.2), 4: moved(0.1, 0.1), 16: moved(0.18, 0.05)}
    status, episode = update_status(begun(16, 0.2), evidence, 40, 200)
    assert (status.state, episode.length, episode.explained) == ("drifting", 16, 16)
    assert status.reason == "moved by 0.18"
    evidence[16] = moved(0.08, 0.05)
    assert update_status(begun(16, 0.2), evidence, 41, 200)[0].state == "stable"


@pytest.mark.parametrize(("deviation", "state"), [(0.151, "drifting"), (0.149, "stable")])
def test_a_small_drift_that_no_length_shows_well_ends_below_three_errors(deviation, state):
    """It is still more than half of its strength. It may have begun by chance, and chance alone keeps two errors."""
    evidence = {1: moved(0.0, 0.2), 16: moved(deviation, 0.05)}
    assert update_status(begun(16, 0.2), evidence, 40, 200)[0].state == state


@pytest.mark.parametrize(("error", "state"), [(0.06, "drifting"), (0.07, "stable")])
def test_a_drift_ends_when_dependence_makes_it_chance(error, state):
    """Its strength is the same, but the error of the only length that found it has grown."""
    evidence = {1: moved(0.0, 1.0), 64: moved(0.2, error)}
    assert update_status(begun(64, 0.2), evidence, 90, 200)[0].state == state


def test_a_shorter_length_that_shows_the_drift_takes_over():
    """Its strength is then the one that counts. A longer length never does."""
    evidence = {1: moved(2.0, enter=True), 4: moved(0.9, enter=True)}
    _, episode = update_status(begun(4, 0.8), evidence, 9, 200)
    assert episode == Episode(1, 0, 1, LOCATION, 2.0)
    _, episode = update_status(begun(1, 1.0), {1: moved(0.7, stay=True), 4: moved(0.9, enter=True)}, 9, 200)
    assert episode == begun()


def test_what_ended_does_not_begin_again_with_its_own_rows():
    """Longer windows count once all of their rows came after the end. The shortest one counts immediately."""
    _, episode = update_status(begun(), {1: moved(), 4: moved(0.9, enter=True)}, 10, 200)
    for window, state in ((11, "stable"), (13, "stable"), (14, "drifting")):
        assert update_status(episode, {1: moved(), 4: moved(0.9, enter=True)}, window, 200)[0].state == state
    assert update_status(episode, {1: moved(1.0, enter=True)}, 11, 200)[0].state == "drifting"


@pytest.mark.parametrize(("stay", "state"), [(True, "drifting"), (False, "stable")])
def test_a_rule_that_tests_no_parts_says_itself_whether_a_drift_stays(stay, state):
    """The length that found the drift decides, and its evidence explains it."""
    quiet = Evidence(False, False, None, 0.1, 500, "")
    evidence = {1: quiet, 4: Evidence(False, stay, None, 0.1, 500, "psi")}
    status, episode = update_status(Episode(4, 0, 4), evidence, 9, 200)
    assert status.state == state
    assert status.reason == ("psi" if stay else "as the reference")
    assert episode == (Episode(4, 0, 4) if stay else Episode(0, 9))


def test_a_feature_of_which_no_length_can_tell_has_insufficient_data():
    """With the reason of the longest one, and the p-value of the shortest."""
    evidence = {1: moved(blind={LOCATION: lambda: "in one"}), 4: moved(blind={LOCATION: lambda: "in four"})}
    status, episode = update_status(Episode(), evidence, 9, 200)
    assert (status.state, status.reason, status.p_value) == ("insufficient_data", "in four", 0.5)
    assert episode == Episode()


@pytest.mark.parametrize("seeing", [1, 4])
def test_one_length_that_can_tell_is_enough(seeing):
    evidence = {length: moved(blind=NOT_BLIND if length == seeing else BLIND) for length in (1, 4)}
    assert update_status(Episode(), evidence, 9, 200)[0].state == "stable"


def test_lengths_that_are_blind_for_other_parts_can_tell_together():
    evidence = {1: moved(blind=BLIND), 4: moved(blind={MISSING: lambda: "missing"})}
    assert update_status(Episode(), evidence, 9, 200)[0].state == "stable"
    evidence = {length: moved(blind={LOCATION: lambda: "moved", MISSING: lambda: "missing"}) for length in (1, 4)}
    assert update_status(Episode(), evidence, 9, 200)[0].reason == "moved"


def test_a_length_with_too_few_rows_cannot_tell():
    evidence = {1: moved(rows=10), 4: moved(blind=BLIND)}
    assert update_status(Episode(), evidence, 9, 200)[0].state == "insufficient_data"


def test_a_drift_that_shows_nevertheless_is_a_drift():
    """A shift of many deviations shows where one of a single deviation would not."""
    evidence = {1: moved(9.0, enter=True, blind=BLIND)}
    status, episode = update_status(Episode(), evidence, 9, 200)
    assert (status.state, episode.strength) == ("drifting", 9.0)
    # What follows a drift of which nothing can be said is not stable.
    assert update_status(episode, {1: moved(0.0, 1.0, blind=BLIND)}, 10, 200)[0].state == "insufficient_data"
