"""Rows that are alike although the training data vary come from a state, and rows that only moved do not."""

from __future__ import annotations

import numpy as np
import pytest

from driftline._significance.components import LOCATION, MISSING

ROWS, TRAINED, FEATURES = 1_000, 20_000, 20
INDEPENDENT = (1 / ROWS + 1 / TRAINED) ** 0.5
DRAWS = {
    "normal": lambda random, size: random.normal(size=size),
    "lognormal": lambda random, size: random.lognormal(size=size),
    "uniform": lambda random, size: random.random(size),
    "integers": lambda random, size: random.poisson(4.0, size).astype(float),
    "yes or no": lambda random, size: (random.random(size) < 0.3).astype(float),
    "zero-inflated": lambda random, size: np.where(random.random(size) < 0.4, 0.0, random.lognormal(size=size)),
}


def serving(traffic, draw):
    """Return traffic of many features with training data, a shape (features, rows)."""
    return traffic({f"x{index}": column for index, column in enumerate(draw)})


def states(random, size, level):
    """Return rows of two states, with half of the variance between them."""
    return level * np.sqrt(0.5) + np.sqrt(0.5) * random.normal(size=size)


def test_a_state_shows_in_the_first_window(traffic):
    """The training data have both states. The window has one of them, so its mean may vary by half a variance."""
    random = np.random.default_rng(0)
    served = serving(traffic, states(random, (FEATURES, TRAINED), random.choice([-1.0, 1.0], (FEATURES, TRAINED))))
    served.serve(*states(random, (FEATURES, ROWS), 1.0))
    # A standard deviation of 0.71, less what may be chance.
    errors = served.error(LOCATION)
    assert errors.min() > 0.35
    assert errors.max() < 0.9


def test_what_was_hidden_is_seen_after_a_while(traffic):
    """Then the mean of long looks varies less."""
    random = np.random.default_rng(1)
    served = serving(traffic, states(random, (FEATURES, TRAINED), random.choice([-1.0, 1.0], (FEATURES, TRAINED))))
    levels = np.ones((FEATURES, 1))
    for _ in range(120):
        levels = np.where(random.random((FEATURES, 1)) < 1 / 3, -levels, levels)
        served.serve(*states(random, (FEATURES, ROWS), levels))
    # That of a window is 0.71. That of 64 windows is 0.13, beside that of the training data of 0.22.
    assert np.median(served.error(LOCATION)) > 0.5
    assert np.median(served.error(LOCATION, 64)) < 0.5


@pytest.mark.parametrize("name", DRAWS)
def test_independent_rows_hide_nothing(traffic, name):
    random = np.random.default_rng(2)
    served = serving(traffic, DRAWS[name](random, (FEATURES, TRAINED)))
    for _ in range(3):
        served.serve(*DRAWS[name](random, (FEATURES, ROWS)))
    assert np.median(served.error(LOCATION)) < 1.3 * INDEPENDENT
    assert np.quantile(served.error(LOCATION), 0.9) < 3.0 * INDEPENDENT


@pytest.mark.parametrize("name", ["normal", "lognormal", "uniform", "integers"])
@pytest.mark.parametrize("shift", [0.3, 0.5, 1.0, 2.0, 3.0])
def test_a_shift_hides_little(traffic, name, shift):
    """Bins compress what moves beyond them, which must not look like a state. The error stays a quarter of the move."""
    random = np.random.default_rng(3)
    columns = DRAWS[name](random, (FEATURES, TRAINED))
    served = serving(traffic, columns)
    moved = DRAWS[name](random, (FEATURES, ROWS)) + np.round(shift * columns.std(), 0 if name == "integers" else 9)
    served.serve(*moved)
    assert np.median(served.error(LOCATION)) < 0.25 * min(shift, 1.2)


def test_missing_values_that_come_in_runs_are_fewer_for_now(traffic):
    """A window without any says nothing, if a twentieth of the training data was missing in some order."""
    random = np.random.default_rng(4)

    def draw(rows, rate):
        return np.where(random.random((FEATURES, rows)) < rate, np.nan, random.normal(size=(FEATURES, rows)))

    served = serving(traffic, draw(TRAINED, 0.05))
    served.serve(*draw(ROWS, 0.0))
    assert served.error(MISSING).min() > 0.5
    served = serving(traffic, draw(TRAINED, 0.05))
    served.serve(*draw(ROWS, 0.05))
    assert np.median(served.error(MISSING)) < 2.0 * INDEPENDENT


def test_what_drifts_is_no_state(traffic):
    """Windows of a drift count in their own look only."""
    random = np.random.default_rng(5)
    served = serving(traffic, random.normal(size=(FEATURES, TRAINED)))
    for _ in range(10):
        served.serve(*(0.3 * random.normal(size=(FEATURES, ROWS))))
        served.change(drifting=range(FEATURES))
    for _ in range(3):
        served.serve(*random.normal(size=(FEATURES, ROWS)))
    assert np.median(served.error(LOCATION)) < 1.5 * INDEPENDENT
