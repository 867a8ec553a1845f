"""The helpers for users' tests: distances and detectors that break their contract are found."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference, distances
from driftline.testing import Probe, check_distance, in_memory_monitor


@pytest.mark.parametrize(
    "name", [name for name in distances.BY_NAME if name not in {"mean", "wasserstein", "corrected_psi"}]
)
def test_check_distance_accepts_built_in_distances(name):
    """Those that need no positions of bins and are not corrected below zero."""
    check_distance(distances.BY_NAME[name])


def changes_arguments(reference, current):
    reference += 1
    return 0.0


def returns_negative(reference, current):
    return -1.0


def differs_from_itself(reference, current):
    return float(current.sum())


def differs_by_call():
    values = iter(range(1_000))
    return lambda reference, current: float(next(values))


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        (changes_arguments, "the distance changes the counts in its arguments"),
        (returns_negative, "is -1.0, expected at least 0"),
        (differs_from_itself, "from itself is"),
        (differs_by_call(), "the distance returns different numbers for the same counts"),
    ],
    ids=["changes arguments", "negative", "not 0 for equal counts", "not deterministic"],
)
def test_check_distance_finds_mistakes(distance, message):
    """The message names the broken part of the contract."""
    with pytest.raises(AssertionError, match=message):
        check_distance(distance)


def test_check_distance_accepts_nan():
    """A distance may be undefined."""
    check_distance(lambda reference, current: np.nan)


def test_probe_of_a_monitor_that_learns_its_reference():
    """There are no bins yet."""
    monitor = in_memory_monitor(reference=Reference.learn(rows=1_000))
    monitor.observe({"age": 1.0})
    probe = Probe(monitor)
    assert probe.totals.served == 1
    with pytest.raises(ValueError, match="the reference is still being learned"):
        probe.bins_of("age")
    monitor.shutdown()
