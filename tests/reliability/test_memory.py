"""Memory depends neither on the number of classes of the rows nor on the size of the values."""

from __future__ import annotations

import collections
import dataclasses
import gc
import weakref

import numpy as np
import pandas as pd
import pytest

import driftline as dl
from driftline._capture.reader import MAX_CLASSES
from driftline.testing import in_memory_monitor

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
