"""A drift that begins in the middle of one of the first windows is not learned as dependence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from driftline import FalseAlarms, Reference, Window
from driftline.testing import ManualClock, in_memory_monitor

ROWS, TRAINED, FEATURES = 1_000, 20_000, 3

POSITIONS = [0.5, 1.5, 2.5, 2.25, 3.75, 4.5, 8.5, 16.5]
"""Windows before the drift."""


def independent(rows, random):
    return random.normal(size=(rows, FEATURES))


def autoregressive(rows, random):
    noise = random.normal(size=(rows + ROWS, FEATURES)) * np.sqrt(1.0 - 0.9**2)
    return lfilter([1.0], [1.0, -0.9], noise, axis=0)[ROWS:]


def named(values, letters):
    """Return the features: numbers, or one of four letters and a new category for values above 9."""
    if not letters:
        return {f"x{index}": column for index, column in enumerate(values.T)}
    names = np.array([*"abcd", "new"])
    kinds = np.where(values > 9.0, 4, np.digitize(values, [-1.0, 0.0, 1.0]))
    return {f"x{index}": names[column].tolist() for index, column in enumerate(kinds.T)}


def drifting_after(values, position, windows, *, letters=False):
    """Return the features that drift within some windows, counted from the one in which a drift begins."""
    training, served = values[:TRAINED], values[TRAINED:]
    reference = Reference.fit(
        named(np.random.default_rng(0).permutation(training), letters),
        categorical=[f"x{index}" for index in range(FEATURES)] if letters else (),
    )
    monitor = in_memory_monitor(
        reference=reference, window=Window(rows=ROWS), rule=FalseAlarms(1, every="1h"), distances=()
    )
    seen = set()
    for number in range(int(position) + windows):
        monitor.observe(named(served[number * ROWS : (number + 1) * ROWS], letters))
        drifting = {name for name, status in monitor.status().items() if status.state == "drifting"}
        assert number >= int(position) or not drifting
        seen |= drifting
    monitor.shutdown()
    return seen


def changed(stream, change, position, windows, features=FEATURES):
    """Return rows of which some features change, from a position on."""
    values = stream(TRAINED + (int(position) + windows) * ROWS, np.random.default_rng(int(4 * position)))
    begin = TRAINED + round(position * ROWS)
    values[begin:, :features] = change(values[begin:, :features])
    return values


CHANGES = {
    "shifted": (lambda values: values + 1.0, False),
    "missing": (lambda values: np.full_like(values, np.nan), False),
    "partly missing": (lambda values: np.where(np.arange(len(values))[:, None] % 5 == 0, np.nan, values), False),
    "unseen": (lambda values: np.full_like(values, 10.0), True),
    "partly unseen": (lambda values: np.where(np.arange(len(values))[:, None] % 20 == 0, 10.0, values), True),
}


@pytest.mark.slow
@pytest.mark.parametrize("features", [1, FEATURES])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_drift_from_within_a_window_shows_in_the_next_one(change, position, features):
    changes, letters = CHANGES[change]
    values = changed(independent, changes, position, 2, features)
    assert len(drifting_after(values, position, 2, letters=letters)) == features


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("change", ["missing", "unseen"])
def test_rows_that_depend_on_each_other_do_not_hide_an_outage(change, position):
    changes, letters = CHANGES[change]
    values = changed(autoregressive, changes, position, 2)
    assert len(drifting_after(values, position, 2, letters=letters)) == FEATURES


@pytest.mark.parametrize("position", [2.5, 4.5, 8.5])
def test_a_shift_of_rows_that_depend_on_each_other_is_found(position):
    """Their differences are learned sooner, because they are like those before them."""
    values = changed(autoregressive, CHANGES["shifted"][0], position, 8)
    assert len(drifting_after(values, position, 8)) == FEATURES


@pytest.mark.parametrize("begin", [2_500, 2_700, 4_500])
@pytest.mark.parametrize("change", ["shifted", "missing"])
def test_windows_that_overlap_do_not_hide_it_either(change, begin):
    """Windows of an hour each quarter of it. The drift begins at the end of a quarter or within one."""
    values = independent(TRAINED + begin + 1_500, np.random.default_rng(begin))
    values[TRAINED + begin :] = CHANGES[change][0](values[TRAINED + begin :])
    clock = ManualClock()
    monitor = in_memory_monitor(
        reference=Reference.fit(named(values[:TRAINED], letters=False)),
        window=Window("1h", every="15min"),
        rule=FalseAlarms(1),
        distances=(),
        clock=clock,
    )
    drifting = []
    for start in range(TRAINED, len(values), ROWS // 4):
        monitor.observe(named(values[start : start + ROWS // 4], letters=False))
        clock.advance(900.0)
        drifting.append([status.state for status in monitor.status().values()].count("drifting"))
    assert not any(drifting[: begin // 250])
    assert max(drifting) == FEATURES


def test_an_outage_of_half_a_window_is_over_after_the_next_one():
    """And the same outage is found again: what its ends did is not learned."""
    values = independent(TRAINED + 14 * ROWS, np.random.default_rng(3))
    for begin in (3_500, 10_500):
        values[TRAINED + begin : TRAINED + begin + 2_000] = np.nan
    reference = Reference.fit(named(values[:TRAINED], letters=False))
    monitor = in_memory_monitor(
        reference=reference, window=Window(rows=ROWS), rule=FalseAlarms(1, every="1h"), distances=()
    )
    drifting = []
    for number in range(14):
        monitor.observe(named(values[TRAINED + number * ROWS : TRAINED + (number + 1) * ROWS], letters=False))
        drifting.append([status.state for status in monitor.status().values()].count("drifting"))
    assert drifting[4] == drifting[11] == FEATURES
    assert drifting[8] == drifting[9] == 0


def test_a_first_window_without_a_run_of_missing_values_is_no_drift():
    """Five of a hundred values are missing, in runs of 50: one window in three has no run, and has no clump either."""

    def rows(random, size):
        values = random.normal(size=size)
        values[np.repeat(random.random(size // 50) < 0.05, 50)] = np.nan
        return values

    for seed in range(12):
        random = np.random.default_rng(seed)
        monitor = in_memory_monitor(
            reference=Reference.fit({"x": random.permutation(rows(random, 20_000)), "y": random.normal(size=20_000)}),
            window=Window(rows=1_000),
            rule=FalseAlarms(1, every="1h", min_effect=0.0),
            distances=(),
        )
        for _ in range(5):
            monitor.observe({"x": rows(random, 1_000), "y": random.normal(size=1_000)})
            assert monitor.status()["x"].state != "drifting", seed
