"""At WARNING the log never quotes a value or the message of a foreign exception. It says what came and what to do."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

import driftline as dl

SECRET = "jane@example.com"  # noqa: S105 - a value, not a password


class Hostile:
    """Every operation raises an exception whose message quotes a value."""

    def _raise(self, *_):
        raise ValueError(SECRET)

    __float__ = __eq__ = __ne__ = __hash__ = __str__ = __repr__ = __bool__ = __len__ = __iter__ = _raise


class HostileList(list):
    """A list that raises when it is read."""

    def __len__(self):
        raise ValueError(SECRET)


class HostileFrame(pd.DataFrame):
    """A frame that raises when its columns are read."""

    @property
    def columns(self):
        raise ValueError(SECRET)

    __module__ = "pandas"


HostileFrame.__name__ = "DataFrame"


def _distance(reference, current):
    if current.sum() > 10:
        raise ValueError(SECRET)
    return 0.0


def _raise(*_):
    raise ValueError(SECRET)


@pytest.fixture
def warnings(caplog):
    """The lines of the log at WARNING and above, after the test."""
    caplog.set_level(logging.DEBUG, logger="driftline")
    return lambda: [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]


FEATURES = [
    {"x": Hostile(), "channel": Hostile()},
    {"x": SECRET, "channel": [SECRET]},
    HostileList([1.0, 2.0]),
    HostileFrame({"x": [1.0], "channel": ["a"]}),
    {"x": [1.0, 2.0], "channel": HostileList(["a", "b"])},
    Hostile(),
    (SECRET,),
]


@pytest.mark.parametrize("features", FEATURES, ids=range(len(FEATURES)))
def test_no_value_of_features_is_in_a_warning(features, warnings):
    columns = {"x": np.arange(400.0), "channel": ["a", "b"] * 200}
    monitor = dl.Monitor("m", reference=dl.Reference.fit(columns), window=dl.Window(rows=4), synchronous=True)
    predict = monitor.instrument(lambda row: 0.5)
    for _ in range(8):
        predict(features)
    monitor.observe(features)
    monitor.flush()
    monitor.shutdown()
    assert not [line for line in warnings() if SECRET in line]


OUTPUTS = [
    Hostile(),
    SECRET,
    {SECRET: 2.0},
    [SECRET, SECRET],
    HostileList([1.0]),
    np.array([[SECRET]]),
    {"a": Hostile()},
]


@pytest.mark.parametrize("output", OUTPUTS, ids=range(len(OUTPUTS)))
def test_no_output_and_no_outcome_is_in_a_warning(output, warnings):
    rows = {"x": np.arange(400.0)}
    reference = dl.Reference.fit(rows, predictions=np.linspace(0, 1, 400), outcomes=np.arange(400) % 2 == 0)
    monitor = dl.Monitor("m", reference=reference, window=dl.Window(rows=4), synchronous=True)
    predict = monitor.instrument(lambda row, key: output, prediction_id=lambda row, key: key)
    for key in range(8):
        predict({"x": 1.0}, key)
        monitor.outcome(key, output)
    monitor.observe({"x": [1.0, 2.0]}, [output, output], prediction_ids=["a", "b"])
    monitor.flush()
    monitor.shutdown()
    assert not [line for line in warnings() if SECRET in line]


def test_no_message_of_a_user_function_is_in_a_warning(warnings):
    rows = {"x": np.arange(400.0)}
    monitor = dl.Monitor(
        "m",
        reference=dl.Reference.fit(rows, predictions=np.linspace(0, 1, 400)),
        window=dl.Window(rows=400),
        distances=[_distance],
        correct=_raise,
        synchronous=True,
    )
    predict = monitor.instrument(lambda row: 0.5, features=_raise, output=_raise, prediction_id=_raise)
    predict({"x": 1.0})
    monitor.observe(rows, np.linspace(0, 1, 400), prediction_ids=range(400))
    monitor.outcomes(range(400), [True] * 400)
    monitor.flush()
    monitor.shutdown()
    places = ("features", "output", "prediction_id", "distance", "outcome")
    assert all(any(f"m, {place}: " in line for line in warnings()) for place in places)
    assert not [line for line in warnings() if SECRET in line]


def test_no_value_that_is_learned_from_is_in_a_warning(warnings):
    learn = dl.Reference.learn(rows=100)
    monitor = dl.Monitor("m", reference=learn, synchronous=True)
    predict = monitor.instrument(lambda row: 0.5)
    for _ in range(120):
        predict({"x": Hostile(), "channel": [SECRET], "z": 1.0})
    monitor.flush()
    monitor.shutdown()
    assert any("m, learn: " in line for line in warnings())
    assert not [line for line in warnings() if SECRET in line]
