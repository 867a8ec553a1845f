"""With a rule of the fleet, a monitor reports scores and bins, and says nothing about drift."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import driftline as dl
from driftline.retraining import RetrainingPolicy

STATUS, SCORE, BINS = "ml.feature.drift.status", "ml.feature.drift.score", "ml.feature.observations"
FLEET = dl.FalseAlarms(1, per="30d", scope="fleet")
PROCESS = replace(FLEET, scope="process")
REASON = "the rows of all processes together have a state (scope='fleet'), see driftline judge"


class Alarm:
    """A detector that finds a drift immediately."""

    drift_detected = False

    def update(self, _):
        """Find it."""
        self.drift_detected = True


@pytest.fixture(scope="module")
def data():
    """1,000 rows of two features."""
    random = np.random.default_rng(4)
    return {"age": random.normal(40.0, 10.0, 1_000), "income": random.normal(size=1_000)}


@pytest.fixture
def make(telemetry, data):
    """Return a function that makes a monitor of windows of 500 rows."""
    reference = dl.Reference.fit(data)

    def monitor(rule=FLEET, **options):
        return dl.Monitor(
            "m",
            **{"reference": reference, **options},
            rule=rule,
            window=dl.Window(rows=500),
            synchronous=True,
            enabled=True,
            meter_provider=telemetry.meter_provider,
            logger_provider=telemetry.logger_provider,
        )

    return monitor


def drift(monitor, data, times=5):
    """Serve rows of which one feature has moved by three standard deviations."""
    for _ in range(times):
        monitor.observe({**data, "age": data["age"] + 30.0})
    monitor.flush()


def names(telemetry):
    """The metrics of one collection, with their features."""
    return {(name, attributes.get("ml.feature.name")) for name, attributes, _ in telemetry.points()}


def test_a_process_alone_states_the_drift(make, data):
    monitor = make(PROCESS)
    drift(monitor, data)
    assert monitor.status()["age"].state == "drifting"


def test_no_state_of_a_feature_is_known_or_exported(make, data, telemetry):
    monitor = make()
    before = monitor.status()
    drift(monitor, data)
    after = monitor.status()
    statuses = [*before.values(), *after.values()]
    assert statuses == [dl.FeatureStatus("insufficient_data", None, None, rows, REASON) for rows in (0, 0, 500, 500)]
    assert STATUS not in {name for name, _ in names(telemetry)}


def test_scores_and_bins_are_those_of_a_rule_of_the_process(make, data, telemetry):
    monitor, other = make(version="1"), make(PROCESS, version="2", export_bins=True)
    for each in (monitor, other):
        drift(each, data, times=20)
    scores, others = ([replace(score, moved=None) for score in each.scores()] for each in (monitor, other))
    assert scores == others
    values = {"1": {}, "2": {}}
    for name, attributes, value in telemetry.points():
        if name in {SCORE, BINS}:
            values[attributes.pop("ml.model.version")][name, frozenset(attributes.items())] = value
    assert values["1"] == values["2"]
    assert {name for name, _ in values["1"]} == {SCORE, BINS}


def test_no_event_and_no_retraining_come_from_drift(make, data, telemetry):
    monitor = make(retraining=RetrainingPolicy(min_accuracy=0.9, persistence=(1, 1)))
    drift(monitor, data)
    monitor.replace_reference(dl.Reference.fit({name: values + 1.0 for name, values in data.items()}))
    assert telemetry.events() == []
    assert "ml.retraining.requests" not in {name for name, _ in names(telemetry)}


def test_detectors_keep_their_states(make, data, telemetry):
    monitor = make(detectors={"age": Alarm()})
    drift(monitor, data)
    assert {feature for name, feature in names(telemetry) if name == STATUS} == {"age (Alarm)"}
    assert monitor.status()["age (Alarm)"].state == "drifting"


def test_a_feature_that_cannot_be_read_has_no_scores(make, data, telemetry):
    monitor = make()
    monitor.observe({**data, "age": [["a list"]] * 1_000})
    assert {feature for name, feature in names(telemetry) if name == SCORE} == {"income"}


def test_a_rule_of_the_process_exports_bins_only_if_asked(make, data, telemetry):
    drift(make(PROCESS), data)
    assert BINS not in {name for name, _ in names(telemetry)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"export_bins": False}, "export_bins=False with a rule with scope='fleet': expected True"),
        ({"export_bins": 1}, "export_bins=1: expected True or False"),
        (
            {"reference": dl.Reference.learn(rows=100)},
            r"reference=Reference.learn\(...\) with a rule with scope='fleet'",
        ),
        ({"learned_path": "learned.json"}, "learned_path='learned.json' with a rule with scope='fleet': expected None"),
    ],
)
def test_arguments_that_contradict_a_rule_of_the_fleet_are_refused(make, options, message):
    with pytest.raises(dl.ConfigurationError, match=message):
        make(**options)
