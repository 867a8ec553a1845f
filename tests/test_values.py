"""The values of the flow: bins, snapshots."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline import ConfigurationError, DriftlineError, Reference, ReferenceError, Snapshot, Window
from driftline._binning.bins import (
    CategoricalBins,
    Feature,
    Moments,
    NumericBins,
)
from driftline._binning.layout import Layout


def test_errors_are_errors_of_driftline_and_of_values():
    """One base for all, and a ValueError for those who know no better."""
    for error in (ConfigurationError, ReferenceError):
        assert issubclass(error, DriftlineError)
        assert issubclass(error, ValueError)


def test_values_do_not_change():
    """Frozen and slotted, windows and features alike."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Window(rows=5).rows = 6
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
        Feature("x", NumericBins(()), (0, 0)).label = 5
    assert Window("1h") == Window(3_600.0)
    assert hash(Window("1h")) == hash(Window("60min"))


@pytest.mark.parametrize(
    ("window", "panes", "pane"),
    [
        (Window(rows=5_000), 1, 5_000),
        (Window(rows=5_000, every=1_000), 5, 1_000),
        (Window("10min"), 1, 600.0),
        (Window("10min", every="1min"), 10, 60.0),
        (Window("0.3s", every="0.1s"), 3, 0.1),
        (Window(rows=1_024, every=1), 1_024, 1),
    ],
)
def test_a_window_is_so_many_panes(window, panes, pane):
    """Tumbling is one."""
    assert window.panes == panes
    assert (window.pane_rows if window.rows else window.pane_seconds) == pytest.approx(pane)
    assert (window.pane_seconds if window.rows else window.pane_rows) is None


def test_bins_lie_in_units_of_the_references_deviation():
    """Inside at their means, outside at the extremes, missing nowhere."""
    bins = NumericBins((0.0, 10.0, 20.0))
    feature = Feature("x", bins, (0, 5, 5, 0, 0), (0.0, 4.0, 16.0, 20.0, 0.0), Moments(10, 10.0, 6.0, 1.0, 19.0))
    np.testing.assert_allclose(feature.positions(), [-1.5, -1.0, 1.0, 1.5, np.nan])


@pytest.mark.parametrize(
    "feature", [Feature("x", CategoricalBins(("a",)), (1, 0, 0, 0)), Feature("x", NumericBins(()), (0, 3))]
)
def test_bins_without_an_order_lie_nowhere(feature):
    """Categories, and numbers that never came."""
    assert np.isnan(feature.positions()).all()


@given(st.integers(0, 2**16), st.integers(1, 5))
def test_snapshots_add_up_to_the_snapshot_of_all_rows(seed, parts):
    """Merge equals concatenation, in any order."""
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
