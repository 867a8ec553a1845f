"""The values of the flow: durations, places of bins, snapshots."""

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
from driftline._windows.duration import UNITS, parse_duration


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [
        ("30s", 30.0),
        ("10min", 600.0),
        ("1h", 3_600.0),
        ("30d", 2_592_000.0),
        ("250ms", 0.25),
        ("1.5h", 5_400.0),
        (" 5 min ", 300.0),
        (90, 90.0),
        (0.5, 0.5),
        (np.float64(2.0), 2.0),
        (np.int64(2), 2.0),
    ],
)
def test_durations_as_people_write_them(given_, seconds):
    """A number and a unit, or a number of seconds."""
    assert parse_duration(given_, "per") == seconds


@given(st.floats(0.001, 9_999.0), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_its_number_times_its_unit(number, unit):
    """For every unit."""
    assert parse_duration(f"{number:.3f}{unit}", "per") == pytest.approx(float(f"{number:.3f}") * UNITS[unit])


@pytest.mark.parametrize(
    "value",
    [
        *("", "s", "5", "-5s", "0s", "5 parsecs", "1h30min", "5S", "1e3s", "inf", "nan", "9" * 400 + "d"),
        *(0, -1, 0.0, float("nan"), float("inf"), 10**400, 101 * 365.25 * 86_400),
        *(True, None, [5], b"5s", {"s": 5}),
    ],
)
def test_what_is_no_duration_is_refused(value):
    """The message names the argument and the value."""
    with pytest.raises(ConfigurationError, match=r"per=.*: expected a positive duration such as '30s'"):
        parse_duration(value, "per")


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
