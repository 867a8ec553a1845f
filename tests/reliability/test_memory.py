"""Memory depends neither on the number of classes of the rows nor on the size of the values."""

from __future__ import annotations

import collections
import dataclasses
import gc
import tracemalloc
import weakref

import numpy as np
import pandas as pd
import pytest

import driftline as dl
from driftline._capture.reader import MAX_CLASSES
from driftline.testing import Probe, in_memory_monitor

NAMES = ("a", "b")
REQUESTS = 300


def _itertuples():
    return next(pd.DataFrame({"a": [1.0], "b": [2.0]}).itertuples(index=False))


def _namedtuple():
    return collections.namedtuple("Row", NAMES)(1.0, 2.0)  # noqa: PYI024 - the untyped one has a class per call too


def _dataclass():
    return dataclasses.make_dataclass("Row", NAMES)(1.0, 2.0)


def _mapping():
    return type("Row", (dict,), {})(a=1.0, b=2.0)


def _list():
    return type("Row", (list,), {})((1.0, 2.0))


def _array():
    return np.array([1.0, 2.0]).view(type("Row", (np.ndarray,), {}))


def _unreadable():
    return type("Row", (), {})()


@pytest.mark.parametrize("make", [_itertuples, _namedtuple, _dataclass, _mapping, _list, _array, _unreadable])
@pytest.mark.parametrize("path", ["one_argument", "features=", "async", "block", "observe", "learn"])
def test_no_class_per_request_is_kept(make, path):
    seeded = np.random.default_rng(0)
    learn = dl.Reference.learn(rows=10_000)
    reference = dl.Reference.fit({name: seeded.normal(size=999) for name in NAMES})
    monitor = in_memory_monitor(reference=learn if path == "learn" else reference, on_error="log")
    predict = _caller(monitor, path)
    classes = weakref.WeakSet()
    for _ in range(REQUESTS):
        row = make()
        classes.add(type(row))
        predict(row)
    del row
    gc.collect()
    assert len(classes) <= MAX_CLASSES + 1  # the last call may still be referenced
    if make is not _unreadable and path != "learn":
        assert monitor.snapshot().rows == REQUESTS


def _caller(monitor, path):
    if path == "features=":
        return monitor.instrument(lambda row, extra=None: 0.5, features=lambda row: row)
    if path == "async":

        @monitor.instrument
        async def predict(row):
            return 0.5

        def call(row):
            with pytest.raises(StopIteration):
                predict(row).send(None)

        return call
    if path == "block":

        def within(row):
            with monitor.prediction(row) as call:
                call.output = 0.5

        return within
    return monitor.observe if path == "observe" else monitor.instrument(lambda row: 0.5)


LARGE = 100_000
"""Characters of a large value."""

CALLS = 600


def _growth(call):
    """Return the bytes that are held after many calls with a new large value each."""
    for _ in range(64):
        call(1)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(CALLS):
            call(LARGE + number)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def _large_rows():
    return {
        "text in a category": lambda size: {"a": 1.0, "b": 2.0, "c": "x" * size},
        "text for a number": lambda size: {"a": 1.0, "b": "x" * size, "c": "u"},
        "list for a number": lambda size: {"a": 1.0, "b": [0.0] * (size // 8), "c": "u"},
        "array for a number": lambda size: {"a": 1.0, "b": np.zeros(size // 8), "c": "u"},
        "bytes in a category": lambda size: {"a": 1.0, "b": 2.0, "c": b"x" * size},
        "unknown key in place of a feature": lambda size: {"a": 1.0, "b": 2.0, "image": "x" * size},
        "unknown key": lambda size: {"a": 1.0, "b": 2.0, "c": "u", "image": "x" * size},
        "list of values": lambda size: [1.0, 2.0, "x" * size],
        "namedtuple": lambda size: Values(1.0, 2.0, "x" * size),
    }


Values = collections.namedtuple("Values", ("a", "b", "c"))  # noqa: PYI024 - as above


@pytest.fixture
def monitor():
    """A monitor whose worker thread never drains, so that rows wait as long as they can, and whose windows are long."""
    seeded = np.random.default_rng(0)
    columns = {"a": seeded.normal(size=999), "b": seeded.normal(size=999), "c": ["u", "v", "w"] * 333}
    reference = dl.Reference.fit(columns, predictions=["yes", "no", "so"] * 333)
    monitor = dl.Monitor("m", reference=reference, window=dl.Window(rows=1_000_000))
    Probe(monitor).hold_worker()
    return monitor


@pytest.mark.slow
@pytest.mark.parametrize("make", _large_rows().values(), ids=_large_rows())
@pytest.mark.parametrize("path", ["one_argument", "features=", "block", "observe"])
def test_memory_does_not_depend_on_the_size_of_features(monitor, make, path):
    predict = _caller(monitor, path)
    assert _growth(lambda size: predict(make(size))) < 300 * LARGE
    assert _growth(lambda size: predict(make(size))) < 20 * LARGE, "once it is known that values are large"


def test_memory_does_not_depend_on_the_size_of_outputs(monitor):
    sizes = []
    predict = monitor.instrument(lambda row: "x" * sizes[-1])

    def call(size):
        sizes.append(size)
        predict({"a": 1.0, "b": 2.0, "c": "u"})

    assert _growth(call) < 300 * LARGE
    assert _growth(call) < 20 * LARGE


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "array", "list", "dict"])
def test_memory_does_not_depend_on_the_size_of_what_waits_for_outcomes(monitor, kind):
    make = {
        "text": lambda size: "x" * size,
        "array": lambda size: np.zeros(size // 8),
        "list": lambda size: ["x" * size],
        "dict": lambda size: {"x" * size: 0.9},
    }[kind]
    ids = iter(range(10**6))
    predict = monitor.instrument(lambda row, key, size: make(size), prediction_id=lambda row, key, size: key)

    def call(size):
        predict({"a": 1.0, "b": 2.0, "c": "u"}, next(ids), size)
        monitor.outcome(f"early {next(ids)}", make(size))

    assert _growth(call) < 300 * LARGE


def test_a_long_label_is_the_same_at_fit_while_serving_and_as_outcome():
    long = {name: name + "x" * 5_000 for name in "abc"}
    column = [long[name] for name in "abc"] * 400
    monitor = in_memory_monitor(
        reference=dl.Reference.fit({"c": column}, predictions=column), window=dl.Window(rows=1_200)
    )
    predict = monitor.instrument(lambda row, key: row["c"], prediction_id=lambda row, key: key)
    for key, value in enumerate(column):
        predict({"c": value}, key)
        monitor.outcome(key, value)
    assert {status.state for status in monitor.status().values()} == {"stable"}
    assert monitor.accuracy() == 1.0
