"""Windows: their panes, their labels, and the arguments that are refused."""

from __future__ import annotations

import dataclasses

import pytest

from driftline import ConfigurationError, Window


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
def test_a_window_is_a_number_of_panes(window, panes, pane):
    """A tumbling window has one pane."""
    assert window.panes == panes
    assert (window.pane_rows if window.rows else window.pane_seconds) == pytest.approx(pane)
    assert (window.pane_seconds if window.rows else window.pane_rows) is None


def test_a_window_is_immutable_and_compares_by_value():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Window(rows=5).rows = 6
    assert Window("1h") == Window(3_600.0)
    assert hash(Window("1h")) == hash(Window("60min"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "expected exactly one of a length of time and rows="),
        ({"length": "1h", "rows": 5}, "expected exactly one of a length of time and rows="),
        ({"rows": 0}, "rows=0: expected an integer from 1 to"),
        ({"rows": -5}, "rows=-5: expected an integer from 1 to"),
        ({"rows": 2.5}, "rows=2.5: expected an integer from 1 to"),
        ({"rows": True}, "rows=True: expected an integer from 1 to"),
        ({"rows": 10, "every": 3}, "every=3: expected a length that divides 10 evenly"),
        ({"rows": 10, "every": 20}, "every=20: expected a length that divides 10 evenly"),
        ({"rows": 5000, "every": 1}, "5000 panes in a window, expected at most 1024"),
        ({"length": "10 parsecs"}, "length='10 parsecs': expected a positive duration"),
        ({"length": "0s"}, "length='0s': expected a positive duration"),
        ({"length": float("nan")}, "length=nan: expected a positive duration"),
        ({"length": float("inf")}, "length=inf: expected a positive duration"),
        ({"length": "1h", "every": "7min"}, "every='7min': expected a length that divides '1h' evenly"),
        ({"rows": 3 * 10**9 + 1, "every": 10**9}, "every=1000000000: expected a length that divides"),
        ({"rows": 10**400}, "rows=10+…: expected an integer from 1 to"),
        ({"rows": 10, "every": "1s"}, "every='1s': expected an integer from 1 to"),
        ({"rows": 10, "every": 0}, "every=0: expected an integer from 1 to"),
        ({"length": "1h", "every": "2h"}, "every='2h': expected a length that divides '1h' evenly"),
        ({"length": "1h", "every": "1s"}, "3600 panes in a window, expected at most 1024"),
        ({"length": 10**400}, "length=10+…: expected a positive duration"),
        ({"length": "0.5ms"}, "panes of 0.0005 s: expected at least 0.001 s"),
        ({"length": True}, "length=True: expected a positive duration"),
        ({"length": [1]}, r"length=\[1\]: expected a positive duration"),
    ],
)
def test_invalid_windows_are_refused(arguments, message):
    """The message names the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        Window(**arguments)


@pytest.mark.parametrize(
    ("window", "label"),
    [
        (Window(rows=5_000), "5000 rows"),
        (Window("10min"), "10min"),
        (Window("90s"), "90s"),
        (Window("24h"), "1d"),
        (Window(0.5), "0.5s"),
        (Window("1500ms"), "1.5s"),
    ],
)
def test_a_window_has_a_label(window, label):
    """It is the attribute ml.window.length."""
    assert window.label == label


@pytest.mark.parametrize("every", [5e-324, 1e-300, 0.0005])
def test_a_pane_that_is_too_short_is_refused(every):
    """Even if the length has more such panes than a float can represent."""
    with pytest.raises(ConfigurationError, match=r"panes of .* s: expected at least 0\.001 s"):
        Window("1h", every=every)
