"""Results: snapshots add up, and errors share one base."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import ConfigurationError, DriftlineError, Reference, ReferenceError, Snapshot
from driftline._binning.layout import Layout
from driftline.results import worst_state


def test_errors_share_a_base_and_are_value_errors():
    for error in (ConfigurationError, ReferenceError):
        assert issubclass(error, DriftlineError)
        assert issubclass(error, ValueError)


@given(st.integers(0, 2**16), st.integers(1, 5))
def test_snapshots_of_parts_add_up_to_the_snapshot_of_all_rows(seed, parts):
    """In any order."""
    layout = Layout(Reference.fit({"x": np.arange(100.0), "t": ["a", "b"] * 50}).features)
    random = np.random.default_rng(seed)
    columns = [random.integers(-20, 120, 60).astype(float), random.choice(["a", "b", "c"], 60)]
    whole = Snapshot(layout.count(columns, 60), 60, layout.fingerprint)
    pieces = [
        Snapshot(layout.count(cut, len(cut[0])), len(cut[0]), layout.fingerprint)
        for cut in zip(*(np.array_split(column, parts) for column in columns), strict=True)
    ]
    for order in (pieces, pieces[::-1]):
        total = order[0]
        for piece in order[1:]:
            total += piece
        assert total == whole
    assert (whole == 5) is False
    with pytest.raises(TypeError):
        _ = whole + 5


def test_snapshots_over_different_bins_do_not_add_up():
    """The message names both fingerprints."""
    a, b = Snapshot(np.array([1, 0, 0, 0, 0]), 1, "x"), Snapshot(np.array([0, 0, 1, 0, 0]), 1, "x")
    assert a + b == Snapshot(np.array([1, 0, 1, 0, 0]), 2, "x")
    assert hash(a + b) == hash(b + a)
    with pytest.raises(ConfigurationError, match="do not add up: x and y"):
        _ = a + Snapshot(np.array([1, 0, 0, 0, 0]), 1, "y")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["stable", "drifting", "insufficient_data"], "drifting"),
        (["stable", "insufficient_data"], "insufficient_data"),
        (["stable", "stable"], "stable"),
        ([], "insufficient_data"),
    ],
)
def test_the_worst_state_counts_and_nothing_is_no_stability(states, expected):
    assert worst_state(states) == worst_state(iter(reversed(states))) == expected
