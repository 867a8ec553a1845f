"""Traffic in lumps: no alarm while nothing drifts, a drift is found, and the state says what is unknown."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from driftline import FalseAlarms, Reference, Window
from driftline.testing import in_memory_monitor

ROWS, TRAINED = 1_000, 20_000
HOURLY = FalseAlarms(1, every="1h")


def autoregressive(rho, features, rows, seed):
    """Return AR(1) rows of variance 1, shape (rows, features)."""
    noise = np.random.default_rng(seed).normal(size=(rows + 2_000, features))
    return lfilter([np.sqrt(1 - rho**2)], [1, -rho], noise, axis=0)[2_000:]


def two_states(features, rows, seed, length=3_000):
    """Return rows of two states, with half of their variance between the states, shape (rows, features)."""
    random = np.random.default_rng(seed)
    changes = random.random((rows, features)) < 1.0 / length
    signs = random.choice([-1.0, 1.0], features) * np.where(np.cumsum(changes, axis=0) % 2, -1.0, 1.0)
    return np.sqrt(0.5) * signs + np.sqrt(0.5) * random.normal(size=(rows, features))


def users(features, rows, seed, longest=200):
    """Return rows of users who send 1 to *longest* rows each, with half of the variance between users."""
    random = np.random.default_rng(seed)
    result = np.empty((rows, features))
    for feature in range(features):
        lengths = random.integers(1, longest + 1, 2 * rows // longest + 100)
        result[:, feature] = np.repeat(random.normal(size=len(lengths)), lengths)[:rows]
    return np.sqrt(0.5) * result + np.sqrt(0.5) * random.normal(size=(rows, features))


def missing_runs(features, rows, seed, rate=0.05, length=50):
    """Return normal rows, of which some are missing in runs."""
    random = np.random.default_rng(seed)
    starts = random.random((rows, features)) < rate / length
    missing = lfilter(np.ones(length), [1.0], starts.astype(float), axis=0) > 0.5
    return np.where(missing, np.nan, random.normal(size=(rows, features)))


def watch(rows, window=ROWS, rule=HOURLY):
    """Return a monitor with training data whose order is lost."""
    shuffled = np.random.default_rng(0).permutation(rows)
    return in_memory_monitor(
        reference=Reference.fit({f"x{index}": column for index, column in enumerate(shuffled.T)}),
        window=Window(rows=window),
        rule=rule,
        distances=(),
    )


def serve(monitor, rows, window=ROWS):
    """Serve rows window by window, and return the states after each, shape (windows, features)."""
    states = []
    for start in range(0, len(rows) - window + 1, window):
        monitor.observe({f"x{index}": column for index, column in enumerate(rows[start : start + window].T)})
        states.append([status.state for status in monitor.status().values()])
    return np.array(states)


def onsets(states):
    """Return how often features began to drift."""
    drifting = states == "drifting"
    return int(drifting[0].sum() + (drifting[1:] & ~drifting[:-1]).sum())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "most"),
    [(two_states, 0), (users, 1), (missing_runs, 1), (lambda *of: autoregressive(0.95, *of), 1)],
    ids=["two states", "users", "missing in runs", "autoregressive"],
)
def test_no_alarm_while_nothing_drifts(make, most):
    """In 300 windows of five features the budget is 0.4 alarms."""
    states = serve(watch(make(5, TRAINED, 1)), make(5, 300 * ROWS, 2))
    assert onsets(states) <= most
    assert (states == "drifting").mean() < 0.01


@pytest.mark.slow
def test_a_shift_of_dependent_rows_is_found():
    """Half a deviation of AR(1) of 0.95 after a hundred windows. An oracle needs four windows."""
    features = 8
    rows = autoregressive(0.95, features, TRAINED + 112 * ROWS, 3)
    monitor = watch(rows[:TRAINED])
    quiet = serve(monitor, rows[TRAINED : TRAINED + 100 * ROWS])
    assert onsets(quiet) <= 1
    states = serve(monitor, rows[TRAINED + 100 * ROWS :] + 0.5)
    assert (states == "drifting").any(axis=0).sum() >= 6


def test_a_shift_of_dependent_rows_from_the_first_row_is_found():
    """It is never a difference of blocks, so it is not learned as dependence, however long it lasts."""
    features = 6
    rows = autoregressive(0.9, features, TRAINED + 30 * ROWS, 4)
    states = serve(watch(rows[:TRAINED]), rows[TRAINED:] + 1.0)
    assert (states[:12] == "drifting").any(axis=0).all()
    assert (states[-1] == "drifting").sum() >= features - 1


def test_a_drift_of_dependent_rows_is_over_when_it_is_over():
    """A deviation of AR(1) of 0.9 for twenty windows."""
    features = 6
    rows = autoregressive(0.9, features, TRAINED + 90 * ROWS, 5)
    monitor = watch(rows[:TRAINED])
    serve(monitor, rows[TRAINED : TRAINED + 60 * ROWS])
    drifting = serve(monitor, rows[TRAINED + 60 * ROWS : TRAINED + 80 * ROWS] + 1.0)
    assert (drifting == "drifting").any(axis=0).all()
    after = serve(monitor, rows[TRAINED + 80 * ROWS :])
    # The error of one window is about a quarter of the drift, so some features need four.
    assert (after[2:] == "drifting").sum() <= 2
    assert (after[4:] != "drifting").all()


def test_a_small_shift_that_lasts_is_found_by_longer_looks():
    """A tenth of a deviation of independent rows, with the own past in the baseline."""
    random = np.random.default_rng(6)
    features = 6
    rule = FalseAlarms(1, every="1h", min_effect=0.0)
    monitor = watch(random.normal(size=(TRAINED, features)), rule=rule)
    assert onsets(serve(monitor, random.normal(size=(100 * ROWS, features)))) <= 1
    states = serve(monitor, random.normal(0.1, size=(24 * ROWS, features)))
    assert (states == "drifting").any(axis=0).sum() >= features - 1


def test_where_no_shift_could_be_found_the_state_says_so():
    """AR(1) of 0.99 in windows of 200 rows: each has about one effective row."""
    rows = autoregressive(0.99, 4, TRAINED + 40 * 200, 7)
    monitor = watch(rows[:TRAINED], window=200)
    states = serve(monitor, rows[TRAINED:], window=200)
    assert (states[3:13] == "insufficient_data").mean() > 0.8
    assert onsets(states) <= 1
    reason = next(status.reason for status in monitor.status().values() if status.state == "insufficient_data")
    assert reason.startswith("cannot tell: ")
    assert "rows" in reason


def test_what_is_learned_ends_not_knowing():
    """Independent rows in small windows are soon known to be independent."""
    random = np.random.default_rng(8)
    states = serve(watch(random.normal(size=(TRAINED, 4)), window=200), random.normal(size=(20_000, 4)), window=200)
    assert (states[10:] == "stable").mean() > 0.97
