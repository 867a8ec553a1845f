"""Fixtures of watched models: training data, and fitted models of scikit-learn."""

from __future__ import annotations

import weakref

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import driftline as dl
from driftline.watching import monitor_of, unwatch


@pytest.fixture(scope="session")
def training():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(600, 3)), columns=["age", "fare", "stops"])
    return frame, (frame["age"] + frame["fare"] > 0).astype(int)


@pytest.fixture
def classifier(training):
    """A fitted model, which is not watched any more after the test."""
    model = LogisticRegression().fit(*training)
    yield model
    if monitor_of(model) is not None:
        unwatch(model)


@pytest.fixture
def reference(training, classifier):
    return dl.Reference.fit(training[0], predictions=classifier.predict_proba(training[0]))


@pytest.fixture
def watch(reference):
    """
    Return a function that watches an object without a thread, so that each row is counted when it is read.

    After the test no object is watched: its monitor would take series from those of other tests.
    """
    objects = []

    def watched(model, **arguments):
        result = dl.watch(model, **{"name": "m", "reference": reference, "synchronous": True, **arguments})
        objects.append(weakref.ref(result))
        return result

    yield watched
    for reference_of in objects:
        model = reference_of()
        if model is not None and monitor_of(model) is not None:
            unwatch(model)


@pytest.fixture
def counts():
    """Return a function that returns the rows of a feature of a watched object by bin, without those of no rows."""

    def rows_by_bin(model, feature="prediction"):
        monitor = monitor_of(model)
        snapshot, start = monitor.snapshot(), 0
        for each in monitor.reference.watched:
            part = snapshot.counts[start : start + each.bins.size]
            if each.name == feature:
                return part
            start += each.bins.size
        raise KeyError(feature)

    return rows_by_bin
