"""Outcomes whose prediction is at hand: a monitor's where there is one, else with metrics of their own."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

import driftline as dl
from driftline._pipeline import outcome_registry
from driftline.errors import ConfigurationError


@pytest.fixture(autouse=True)
def own_register(monkeypatch):
    """Each test starts without ledgers."""
    monkeypatch.setattr(outcome_registry, "_standalone", {})
    monkeypatch.delenv("DRIFTLINE_ENABLED", raising=False)


def test_outcomes_without_a_monitor_are_exported(telemetry):
    """Metrics of a nightly job leave through the provider that it names."""
    options = {"meter_provider": telemetry.meter_provider, "logger_provider": telemetry.logger_provider}
    dl.record_outcome("nightly", "3", 0.9, True, **options)
    dl.record_outcome("nightly", "3", 0.2, True)
    dl.record_outcome("nightly", "4", "a", "a", variant="shadow", **options)
    named = {"ml__model__name": "nightly", "ml__model__version": "3"}
    assert telemetry.value("ml.outcomes", ml__outcome__result="correct", **named) == 1
    assert telemetry.value("ml.outcomes", ml__outcome__result="incorrect", **named) == 1
    assert telemetry.value("ml.model.accuracy", **named) == 0.5
    assert telemetry.value("ml.model.accuracy", ml__model__version="4", ml__model__variant="shadow") == 1.0
    recall = {"ml__model__performance__metric": "recall", "ml__model__performance__bound": "value"}
    assert telemetry.value("ml.model.performance", ml__model__class="True", **recall, **named) == 0.5


def test_columns_count_one_outcome_per_row(telemetry):
    random = np.random.default_rng(2)
    said, was = random.normal(size=3_000), random.normal(size=3_000)
    dl.record_outcome("columns", None, said, was.tolist(), meter_provider=telemetry.meter_provider)
    assert telemetry.value("ml.outcomes", ml__model__name="columns", ml__outcome__result="matched") == 3_000
    wanted = {"ml__model__performance__metric": "mae", "ml__model__performance__bound": "value"}
    assert telemetry.value("ml.model.performance", **wanted) == pytest.approx(np.abs(said - was).mean(), rel=0.05)


def test_monitor_of_that_name_counts_outcomes(make_monitor, telemetry):
    """They are in its window and its totals, until it is shut down."""
    monitor = make_monitor("served", version="1")
    dl.record_outcome("served", "1", 0.9, True)
    assert (monitor.accuracy(), monitor.outcome_counts().known) == (1.0, 1)
    monitor.shutdown()
    dl.record_outcome("served", "1", 0.9, False, meter_provider=telemetry.meter_provider)
    assert monitor.outcome_counts().known == 1
    named = {"ml__model__name": "served"}
    assert telemetry.value("ml.outcomes", ml__outcome__result="correct", **named) == 1
    assert telemetry.value("ml.outcomes", ml__outcome__result="incorrect", **named) == 1


def test_user_function_decides_what_is_right(telemetry):
    """An outcome for which it raises is counted, and so is the error."""
    options = {"meter_provider": telemetry.meter_provider, "correct": lambda said, was: abs(said - was) < 1}
    dl.record_outcome("near", None, [5.0, 5.0, 5.0], [5.5, 7.0, "x"], kind="quantity", **options)
    results = {
        attributes["ml.outcome.result"]: value
        for name, attributes, value in telemetry.points()
        if name == "ml.outcomes"
    }
    assert results == {"correct": 1, "incorrect": 1, "matched": 1}
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="outcome") == 1


def test_disabled_driftline_counts_nothing(telemetry, monkeypatch):
    monkeypatch.setenv("DRIFTLINE_ENABLED", "false")
    dl.record_outcome("off", None, 0.9, True, meter_provider=telemetry.meter_provider)
    assert telemetry.value("ml.outcomes") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_of_a_fork_starts_empty(telemetry):
    """No count is exported twice."""
    dl.record_outcome("forked", None, 0.9, True, meter_provider=telemetry.meter_provider)
    child = os.fork()
    if child == 0:
        os._exit(int(telemetry.value("ml.outcomes") or 0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("", None, 1, 1), {}, "name='': expected a string of 1 to 255 characters"),
        (("m", 3, 1, 1), {}, "version=3: expected a string of 1 to 255 characters"),
        (("m", None, 1, 1), {"variant": ""}, "variant='': expected a string of 1 to 255 characters"),
        (("m", None, 1, 1), {"kind": "x"}, "kind='x': expected 'probability', 'label' or 'quantity', or None"),
        (("m", None, 1, 1), {"correct": 5}, "correct=5: expected a function of a prediction and an outcome"),
        (("m", None, [1, 2], 1), {}, "prediction and actual: expected one of each, or a column of each"),
        (("m", None, [1, 2], [1]), {}, "prediction has 2 values and actual has 1: expected as many"),
    ],
)
def test_wrong_arguments_are_refused(arguments, options, message):
    """The message names the value and what was expected."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        dl.record_outcome(*arguments, **options)
