"""The states of all features: those of stable ones are made when they are read."""

from __future__ import annotations

from driftline.detection._statuses import Statuses
from driftline.results import FeatureStatus

STABLE = FeatureStatus("stable", 0.5, 0.01, 1_000, "as the reference")
DRIFTING = FeatureStatus("drifting", 1e-9, 0.5, 1_000, "moved up")


def test_states_are_known_before_statuses_are_made():
    calls = []
    statuses = Statuses(["a", "b"], [True, False], {"b": DRIFTING}, lambda: [calls.append(1), [STABLE, None]][1])
    assert statuses.states == ["stable", "drifting"]
    assert not calls
    assert statuses.by_name() == {"a": STABLE, "b": DRIFTING}
    assert [*statuses.by_name()] == ["a", "b"]
