"""Rules refuse bad arguments, and `check_rule` refuses objects that are not rules."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import ConfigurationError, FalseAlarms, Monitor, Reference, Thresholds
from driftline.detection import check_rule


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"Thresholds\(\): expected at least one limit"),
        ({"psi": 0.2, "missing": 0}, r"missing=0: expected"),
        ({"psi": 0.2, "unseen": 1.5}, r"unseen=1\.5: expected"),
        ({"psi": 0}, r"psi=0: expected a number above 0 and at most 1e\+09"),
        ({"psi": -0.1}, r"psi=-0.1: expected a number above 0 and at most 1e\+09"),
        ({"psi": True}, r"psi=True: expected a number above 0 and at most 1e\+09"),
        ({"psi": "0.2"}, r"psi='0.2': expected a number above 0 and at most 1e\+09"),
        ({"psi": None}, r"psi=None: expected a number above 0 and at most 1e\+09"),
        ({"psi": float("nan")}, r"psi=nan: expected a number above 0 and at most 1e\+09"),
        ({"psi": float("inf")}, r"psi=inf: expected a number above 0 and at most 1e\+09"),
        ({"psi": 10**400}, r"psi=1000.*: expected a number above 0 and at most 1e\+09"),
        ({"psi": 0.2, "min_rows": 0}, "min_rows=0: expected an integer of at least 1"),
        ({"psi": 0.2, "min_rows": 1.5}, "min_rows=1.5: expected an integer of at least 1"),
    ],
)
def test_bad_thresholds_are_refused(arguments, message):
    """The message contains the limit, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        Thresholds(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count=0: expected a number above 0"),
        ({"count": -1}, "count=-1: expected a number above 0"),
        ({"count": True}, "count=True: expected a number above 0"),
        ({"count": "1"}, "count='1': expected a number above 0"),
        ({"count": float("inf")}, "count=inf: expected a number above 0"),
        ({"count": 10**400}, "count=1000.*: expected a number above 0"),
        ({"min_effect": 10**400}, "min_effect=1000.*: expected a number from 0 to"),
        ({"per": "a month"}, "per='a month': expected a positive duration"),
        ({"per": 0}, "per=0: expected a positive duration"),
        ({"every": "often"}, "every='often': expected a positive duration"),
        ({"every": -5}, "every=-5: expected a positive duration"),
        ({"min_effect": -0.1}, "min_effect=-0.1: expected a number from 0 to"),
        ({"min_effect": None}, "min_effect=None: expected a number from 0 to"),
        ({"min_effect": float("nan")}, "min_effect=nan: expected a number from 0 to"),
        ({"min_rows": 0}, "min_rows=0: expected an integer of at least 1"),
        ({"lengths": ()}, r"lengths=\(\): expected numbers of windows such as \(1, 4, 16\)"),
        ({"lengths": 4}, "lengths=4: expected numbers of windows"),
        ({"lengths": (2, 4)}, r"lengths=\(2, 4\): expected ascending numbers of windows from 1 to 64"),
        ({"lengths": (1, 4, 4)}, r"lengths=\(1, 4, 4\): expected ascending numbers"),
        ({"lengths": (1, 65)}, r"lengths=\(1, 65\): expected ascending numbers"),
        ({"lengths": (1, "4")}, "lengths='4': expected an integer of at least 1"),
        ({"scope": "pod"}, "scope='pod': expected 'process' or 'fleet'"),
        ({"min_rows": "many"}, "min_rows='many': expected an integer of at least 1"),
    ],
)
def test_bad_budgets_are_refused(arguments, message):
    """The message contains the argument, the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        FalseAlarms(**arguments)


@pytest.mark.parametrize("rule", [None, 5, "psi", 0.2, {"psi": 0.2}, FalseAlarms])
def test_an_object_that_is_not_a_rule_is_refused(rule):
    """Neither is a rule class itself."""
    with pytest.raises(ConfigurationError, match=r"rule=.*: expected FalseAlarms\(\.\.\.\)"):
        check_rule(rule)


def test_a_threshold_of_an_unknown_distance_is_refused_when_the_monitor_is_made():
    """Only the monitor knows the user functions that the name could mean."""
    reference = Reference.fit({"x": np.arange(100.0)})
    with pytest.raises(ConfigurationError, match="'psy' is unknown, expected one of"):
        Monitor("m", reference=reference, rule=Thresholds(psy=0.2), enabled=True)
