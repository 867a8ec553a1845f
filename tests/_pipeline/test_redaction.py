"""Categories and classes leave the process as numbers, unless the user allows their names."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline import record_outcome

NAMES = ("Frieda", "Otto", "Emil")
"""Categories of the reference, the most frequent first: their numbers are 0, 1, 2."""


def reference():
    """A categorical feature, a numeric one, and labels as predictions."""
    patients = np.random.default_rng(2).choice(NAMES, 2_000, p=[0.5, 0.3, 0.2]).tolist()
    return dl.Reference.fit({"patient": patients, "x": np.arange(2_000.0)}, predictions=patients, outcomes=patients)


def exported(telemetry, caplog):
    """Return everything that has left the process, as one string."""
    return f"{telemetry.events()} {telemetry.bodies()} {telemetry.points()} {caplog.text}"


def serve(monitor, rows=1_600):
    """Serve mostly the third category, whose outcomes are another category in two of three cases."""
    for turn in range(rows):
        label = NAMES[2] if turn % 4 else NAMES[0]
        monitor.observe({"patient": label, "x": float(turn * 5 % 2_000)}, [label], prediction_ids=[turn])
        monitor.outcome(turn, NAMES[turn % 3])
    monitor.flush()


@pytest.fixture
def make(make_monitor):
    """Make monitors that evaluate features and classes."""

    def monitor(**options):
        return make_monitor(
            **{
                "reference": reference(),
                "window": dl.Window(rows=800),
                "retraining": dl.RetrainingPolicy(persistence=(1, 1)),
                "export_bins": True,
                "synchronous": True,
                "outcomes": dl.OutcomePolicy(limits={"recall": 0.95}, window=dl.Window(rows=200, every=20)),
                **options,
            }
        )

    return monitor


@pytest.mark.parametrize("rule", [dl.FalseAlarms(), dl.Thresholds(psi=0.2)], ids=["false alarms", "thresholds"])
def test_names_become_numbers_by_default(make, telemetry, caplog, rule):
    """In events, metrics and the log, with each rule."""
    monitor = make(rule=rule)
    serve(monitor)
    status = monitor.status()
    assert status["patient"].state == status["prediction.recall:Emil"].state == "drifting"
    assert "Emil from 2" in status["patient"].reason, "the process itself sees the names"
    everything = exported(telemetry, caplog)
    assert not [name for name in NAMES if name in everything]
    reasons = {
        attributes["ml.feature.name"]: attributes["ml.drift.reason"]
        for name, attributes in telemetry.events()
        if attributes.get("ml.feature.drift.state") == "drifting"
    }
    assert "category 2 from 2" in reasons["patient"]
    assert reasons["prediction.recall:category 2"].startswith("recall of category 2 7")
    (requested,) = [attributes for name, attributes in telemetry.events() if name == "ml.retraining.requested"][:1]
    assert "patient: " in requested["ml.drift.reason"]
    classes = {attributes.get("ml.model.class") for name, attributes, _ in telemetry.points()} - {None}
    assert classes == {"category 0", "category 1", "category 2"}
    (states,) = [metric for name, metric in telemetry.metrics().items() if name == "ml.feature.drift.status"]
    features = {point.attributes["ml.feature.name"] for point in states.data.data_points}
    assert "prediction.recall:category 2" in features


def test_exported_reason_equals_the_status_except_for_names(make, telemetry):
    monitor = make(rule=dl.FalseAlarms())
    serve(monitor, 800)
    reason = monitor.status()["patient"].reason
    (event,) = [
        attributes["ml.drift.reason"]
        for _, attributes in telemetry.events()
        if attributes.get("ml.feature.name") == "patient" and "ml.drift.effect" in attributes
    ]
    for number, name in enumerate(NAMES):
        reason = reason.replace(name, f"category {number}")
    assert event.split(";")[0] == reason.split(";")[0]


def test_allowed_names_are_exported(make, telemetry, caplog):
    """`OutcomePolicy(classes=...)` allows these classes, ``export_labels=True`` allows all names."""
    named = make(outcomes=dl.OutcomePolicy(classes=["Emil"], limits={"recall": 0.95}))
    serve(named)
    everything = exported(telemetry, caplog)
    assert "'ml.model.class': 'Emil'" in everything
    assert "recall of Emil" in everything
    assert "Otto" not in everything
    assert "Frieda" not in everything
    unrestricted = make(version="2", export_labels=True)
    serve(unrestricted)
    everything = exported(telemetry, caplog)
    assert "Emil from 2" in everything
    assert "prediction.recall:Otto" in everything
    assert "'ml.model.class': 'Frieda'" in everything


def test_outcomes_without_a_monitor_export_no_class(telemetry, caplog):
    """Without a reference a class has no number, and is exported only with ``export_labels=True``."""
    names = list(NAMES) * 20
    record_outcome("jobs", "1", names, names, kind="label", **_providers(telemetry))
    assert telemetry.value("ml.model.accuracy") == 1.0
    assert not [name for name in NAMES if name in exported(telemetry, caplog)]
    record_outcome("jobs", "2", names, names, kind="label", export_labels=True, **_providers(telemetry))
    assert "'ml.model.class': 'Otto'" in exported(telemetry, caplog)
    with pytest.raises(dl.ConfigurationError, match="export_labels=3: expected True or False"):
        record_outcome("jobs", "2", names, names, export_labels=3)


def test_class_of_probabilities_is_true(make_monitor, telemetry, row):
    monitor = make_monitor(synchronous=True)
    for turn in range(20):
        monitor.observe(row, [0.9], prediction_ids=[turn])
        monitor.outcome(turn, turn % 2 == 0)
    monitor.flush()
    assert telemetry.value("ml.model.performance", ml__model__class="True") is not None


def _providers(telemetry):
    return {"meter_provider": telemetry.meter_provider, "logger_provider": telemetry.logger_provider}
