"""Features of one monitor need not be alike: the dependence of some must not hide or cause a drift of another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from driftline import FalseAlarms, Reference, Window
from driftline.testing import in_memory_monitor

ROWS, TRAINED = 1_000, 20_000


def dependent(rows, correlation, random):
    """Return rows of an autoregressive process of variance 1."""
    noise = random.normal(size=rows + ROWS) * np.sqrt(1.0 - correlation**2)
    return lfilter([1.0], [1.0, -correlation], noise)[ROWS:]


def states(columns, windows):
    """Yield the names of the features that drift after each window. Training data lose their order."""
    random = np.random.default_rng(0)
    reference = Reference.fit({name: random.permutation(column[:TRAINED]) for name, column in columns.items()})
    rule = FalseAlarms(1, every="1h", min_effect=0.0)
    monitor = in_memory_monitor(reference=reference, window=Window(rows=ROWS), rule=rule, distances=())
    for start in range(TRAINED, TRAINED + windows * ROWS, ROWS):
        monitor.observe({name: column[start : start + ROWS] for name, column in columns.items()})
        yield {name for name, status in monitor.status().items() if status.state == "drifting"}


@pytest.mark.parametrize("calm", [0, 8])
def test_a_shift_of_an_independent_feature_shows_beside_slow_ones(calm):
    """The weather changes slowly, the distance of flights does not: one window is enough for its half deviation."""
    random = np.random.default_rng(1)
    rows = TRAINED + (calm + 2) * ROWS
    columns = {f"slow{index}": dependent(rows, 0.99, random) for index in range(9)}
    columns["distance"] = random.normal(size=rows)
    columns["distance"][TRAINED + calm * ROWS :] += 0.5
    assert "distance" in list(states(columns, calm + 2))[-1]


@pytest.mark.parametrize("slow", [1, 5])
def test_slow_features_do_not_drift_beside_independent_ones(slow):
    random = np.random.default_rng(2)
    rows = TRAINED + 24 * ROWS
    columns = {f"slow{index}": dependent(rows, 0.95, random) for index in range(slow)}
    columns |= {f"fast{index}": random.normal(size=rows) for index in range(10 - slow)}
    assert set().union(*states(columns, 24)) == set()
