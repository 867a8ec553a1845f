"""A look is weighed only when a feature could drift, or when its evidence is read."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference
from driftline._binning.layout import Layout
from driftline._windows.ring import WindowCounts
from driftline.detection._least_effects import LeastEffects
from driftline.detection._look_tester import LookTester
from driftline.detection._rules import Look

LEVEL = 1e-3


@pytest.fixture(scope="module")
def reference():
    random = np.random.default_rng(3)
    return Reference.fit({"x": random.normal(size=4_000), "t": random.choice(["a", "b", "c"], 4_000)})


@pytest.fixture
def tester(reference):
    """A tester, and the list of the calls that measure sizes."""
    features, weighed = reference.features, []
    tester = LookTester(features, Layout(features), LeastEffects(0.05).limits(features), 200)
    measure = tester._measure_sizes  # noqa: SLF001
    tester._measure_sizes = lambda *each: [weighed.append(1), measure(*each)][1]  # noqa: SLF001
    return tester, weighed


def look(reference, shift=0.0, seed=0):
    random = np.random.default_rng(seed)
    columns = [random.normal(shift, size=1_000), random.choice(["a", "b", "c"], 1_000).tolist()]
    window = WindowCounts(Layout(reference.features).count(columns, 1_000), 1_000)
    return Look(window, 1, 1, 60.0, ())


def test_a_quiet_look_is_weighed_once_and_when_it_is_read(reference, tester):
    test, weighed = tester
    table = test(look(reference), LEVEL)
    assert not table.enter.any()
    assert not weighed
    assert [each.enter for each in table] == [False, False]
    assert weighed == [1]


def test_a_drift_is_weighed_at_once(reference, tester):
    test, weighed = tester
    table = test(look(reference, 1.0), LEVEL)
    assert table.enter.tolist() == [True, False]
    assert weighed == [1]


def test_what_is_not_weighed_would_never_have_entered(reference):
    """The bound is that of the parts that count, whichever do: with a limit of 0, all do."""
    features = reference.features
    tester = LookTester(features, Layout(features), LeastEffects(0).limits(features), 200)
    entered = 0
    for seed in range(200):
        table = tester(look(reference, 0.12, seed), LEVEL)
        adjusted = np.minimum(table.details().p_values * 2, 1.0)
        assert table.enter.tolist() == (adjusted <= LEVEL).tolist()
        entered += int(table.enter.sum())
    assert entered > 5
