"""A shift of independent rows is found in the window in which it begins, and is over when it is over."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import FalseAlarms, Reference, Window
from driftline.testing import in_memory_monitor

ROWS, TRAINED = 1_000, 20_000
FEATURES = 5


def columns(draw, rows, seed, features=FEATURES):
    """Return features drawn alike, by name."""
    random = np.random.default_rng(seed)
    return {f"x{index}": draw(random, rows) for index in range(features)}


def watch(draw, window=ROWS, *, time=None, **options):
    """Return a monitor at one alarm in thirty days, with windows of an hour."""
    return in_memory_monitor(
        reference=Reference.fit(columns(draw, TRAINED, 0), time=time),
        window=Window(rows=window),
        rule=FalseAlarms(1, every="1h", **options),
        distances=(),
    )


def states(monitor):
    """Return the states in the order of the features."""
    return [status.state for status in monitor.status().values()]


def drifting_features(draw, moved, begin=1, windows=1):
    """Return how many features drift within some windows of the one from which rows are drawn otherwise."""
    monitor = watch(draw)
    seen = set()
    for window in range(1, begin + windows):
        monitor.observe(columns(moved if window >= begin else draw, ROWS, window))
        drifting = {name for name, status in monitor.status().items() if status.state == "drifting"}
        if window < begin:
            assert not drifting
        seen |= drifting
    monitor.shutdown()
    return len(seen)


DRAWS = {
    "normal": lambda random, rows: random.normal(size=rows),
    "lognormal": lambda random, rows: random.lognormal(size=rows),
    "exponential": lambda random, rows: random.exponential(size=rows),
    "integers": lambda random, rows: random.poisson(4.0, rows).astype(float),
    "uniform": lambda random, rows: random.random(rows),
    "heavy tails": lambda random, rows: random.standard_t(3, rows),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("shift", [0.3, 0.5, 1.0, 2.0, 3.0])
def test_a_shift_from_the_first_row_is_found_in_the_first_window(name, shift):
    """Upwards and downwards. Whole numbers move by whole numbers."""
    deviation = DRAWS[name](np.random.default_rng(1), 100_000).std()
    by = max(1.0, np.round(shift * deviation)) if name == "integers" else shift * deviation
    for sign in (1, -1):
        assert (
            drifting_features(DRAWS[name], lambda random, rows, move=sign * by: DRAWS[name](random, rows) + move)
            == FEATURES
        )


@pytest.mark.parametrize("begin", [2, 3, 4, 5, 6, 7, 8, 9, 12, 17])
@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_a_shift_is_found_in_the_window_in_which_it_begins(begin, shift):
    """However few windows came before, which is all that is known of how windows differ."""
    assert drifting_features(DRAWS["normal"], lambda random, rows: random.normal(shift, size=rows), begin) == FEATURES


CHANGES = {
    "wider": (DRAWS["normal"], lambda random, rows: 1.3 * random.normal(size=rows), 1),
    "narrower": (DRAWS["normal"], lambda random, rows: 0.6 * random.normal(size=rows), 1),
    "moved and narrower": (DRAWS["normal"], lambda random, rows: 1.0 + 0.5 * random.normal(size=rows), 1),
    "clipped": (DRAWS["normal"], lambda random, rows: np.minimum(random.normal(size=rows), 0.0), 1),
    "more zeros": (
        lambda random, rows: np.where(random.random(rows) < 0.5, 0.0, random.lognormal(size=rows)),
        lambda random, rows: np.where(random.random(rows) < 0.7, 0.0, random.lognormal(size=rows)),
        1,
    ),
    "fewer zeros": (
        lambda random, rows: np.where(random.random(rows) < 0.5, 0.0, random.lognormal(size=rows)),
        lambda random, rows: np.where(random.random(rows) < 0.3, 0.0, random.lognormal(size=rows)),
        1,
    ),
    "one of two peaks": (
        lambda random, rows: random.choice([-3.0, 3.0], rows) + 0.5 * random.normal(size=rows),
        lambda random, rows: -3.0 + 0.5 * random.normal(size=rows),
        1,
    ),
    "missing": (
        DRAWS["normal"],
        lambda random, rows: np.where(random.random(rows) < 0.05, np.nan, random.normal(size=rows)),
        4,
    ),
    "mix": (
        lambda random, rows: random.choice(["a", "b", "c"], rows, p=[0.6, 0.3, 0.1]).tolist(),
        lambda random, rows: random.choice(["a", "b", "c"], rows, p=[0.45, 0.45, 0.1]).tolist(),
        1,
    ),
    "unseen": (
        lambda random, rows: random.choice(["a", "b"], rows).tolist(),
        lambda random, rows: random.choice(["a", "b", "new"], rows, p=[0.48, 0.47, 0.05]).tolist(),
        4,
    ),
    "yes or no": (
        lambda random, rows: (random.random(rows) < 0.3).tolist(),
        lambda random, rows: (random.random(rows) < 0.45).tolist(),
        1,
    ),
    "far tail": (
        DRAWS["normal"],
        lambda random, rows: np.where(random.random(rows) < 0.02, 20.0, random.normal(size=rows)),
        4,
    ),
    "constant": (lambda _, rows: np.full(rows, 7.0), lambda _, rows: np.full(rows, 8.0), 1),
}
"""Rows before and after, and the number of windows within which the change has to be found."""

AMBIGUOUS = {"narrower", "moved and narrower", "clipped", "fewer zeros", "one of two peaks"}
"""Changes that a first window cannot tell from a state of the process that lasts longer than the window."""


@pytest.mark.parametrize("change", sorted(CHANGES.keys() - AMBIGUOUS))
def test_another_distribution_from_the_first_row_is_found(change):
    before, after, windows = CHANGES[change]
    assert drifting_features(before, after, windows=windows) == FEATURES


@pytest.mark.parametrize("change", sorted(AMBIGUOUS))
def test_what_may_be_a_state_is_hardly_ever_called_stable(change):
    """From the first row on, rows that are alike may come from a state. Then the monitor cannot tell."""
    before, after, _ = CHANGES[change]
    monitor = watch(before)
    stable = 0
    for window in range(3):
        monitor.observe(columns(after, ROWS, window + 1))
        stable += states(monitor).count("stable")
    assert stable <= 0.2 * 3 * FEATURES


@pytest.mark.parametrize("change", sorted(AMBIGUOUS))
def test_what_may_be_a_state_is_found_at_once_if_times_show_that_there_are_none(change):
    """Training data that are independent in the order of time come from no states."""
    before, after, _ = CHANGES[change]
    monitor = watch(before, time=3.6 * np.arange(TRAINED))
    monitor.observe(columns(after, ROWS, 1))
    assert states(monitor) == ["drifting"] * FEATURES


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_another_distribution_is_found_after_quiet_windows(change):
    """Forty of them have shown that rows do not come from states, of nearly all features."""
    before, after, windows = CHANGES[change]
    least = FEATURES - 1 if change in AMBIGUOUS else FEATURES
    assert drifting_features(before, after, begin=41, windows=windows + 1) >= least


@pytest.mark.parametrize(("shift", "lasts"), [(1.0, 20), (0.5, 20), (3.0, 3), (1.0, 80)])
def test_a_drift_is_over_two_windows_after_its_last_row(shift, lasts):
    """Although longer looks hold its rows. It does not begin again because of them."""
    monitor = watch(DRAWS["normal"])
    begun, after = [], []
    for window in range(1, 40 + lasts + 30):
        drifts = 40 <= window < 40 + lasts
        monitor.observe(columns(DRAWS["normal"], ROWS, window) if not drifts else moved(window, shift))
        begun.append(states(monitor).count("drifting"))
        if window >= 40 + lasts:
            after.append(begun[-1])
    assert begun[:39] == [0] * 39
    assert begun[39] == FEATURES
    assert min(begun[40 : 39 + lasts]) >= FEATURES - 1
    assert after[1:] == [0] * len(after[1:])


def moved(window, shift):
    """Return a window of normal rows that are shifted."""
    return columns(lambda random, rows: random.normal(shift, size=rows), ROWS, window)


def test_the_next_drift_is_found_as_fast_as_the_first():
    """What a drift did to the means of windows is not learned as their usual variance."""
    monitor = watch(DRAWS["normal"])
    delays = []
    for window in range(1, 161):
        drifts = window >= 20 and window % 40 >= 20
        monitor.observe(moved(window, 0.5) if drifts else columns(DRAWS["normal"], ROWS, window))
        if drifts and window % 40 == 21:
            delays.append(states(monitor).count("drifting"))
    # Only a few changes of level are cut out of what is learned, because states alternate too.
    assert delays[:2] == [FEATURES] * 2
    assert len(delays) == 4


def test_a_flicker_at_the_start_does_not_hide_a_later_drift():
    """Three short drifts within the first windows, and half of that size later."""
    monitor = watch(DRAWS["normal"])
    for window in range(1, 61):
        monitor.observe(
            moved(window, 1.0) if window in {5, 6, 12, 13, 22, 23} else columns(DRAWS["normal"], ROWS, window)
        )
    delays = dict.fromkeys(monitor.status(), 99)
    for window in range(1, 9):
        monitor.observe(moved(100 + window, 0.5))
        for name, status in monitor.status().items():
            if status.state == "drifting":
                delays[name] = min(delays[name], window)
    assert np.median(list(delays.values())) <= 4
    for window in range(9, 49):
        monitor.observe(moved(100 + window, 0.5))
    assert states(monitor) == ["drifting"] * FEATURES


@pytest.mark.parametrize("window", [200, 1_000])
def test_independent_rows_are_stable(window):
    """For a hundred windows, and in nearly all of them the state is known."""
    monitor = watch(DRAWS["normal"], window)
    unknown = 0
    for number in range(100):
        monitor.observe(columns(DRAWS["normal"], window, 1 + number))
        seen = states(monitor)
        assert "drifting" not in seen
        unknown += seen.count("insufficient_data")
    assert unknown <= 0.03 * 100 * FEATURES
