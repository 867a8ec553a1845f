"""The registry: its generated files are fresh, and its names and units follow OpenTelemetry's rules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from driftline import semconv
from driftline.results import CanaryState, DriftState

ROOT = Path(__file__).parent.parent
ATTRIBUTES = yaml.safe_load((ROOT / "model/attributes.yaml").read_text(encoding="utf-8"))["attributes"]
KEYS = {attribute["key"] for attribute in ATTRIBUTES}
STANDARD = {
    "error.type",
    "feature_flag.key",
    "feature_flag.result.variant",
    "feature_flag.result.reason",
    "feature_flag.provider.name",
}
"""Attributes of OpenTelemetry's own registry."""

NAME = re.compile(r"[a-z](?:[a-z0-9]*(?:[._][a-z0-9]+)*)")
"""Lower case, dots between namespaces, underscores between words: https://opentelemetry.io/docs/specs/semconv/general/naming/"""

METRICS = sorted(semconv.METRICS.values())


def generate(root, *arguments):
    """Run the generator of a folder."""
    command = [sys.executable, str(root / "model/generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_generated_files_are_fresh():
    """`semconv.py` and `docs/metrics.md` are generated from the present registry."""
    done = generate(ROOT, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def copy(tmp_path):
    """A copy of the registry and the generated files, to change."""
    for name in (
        "model/generate.py",
        "model/attributes.yaml",
        "model/metrics.yaml",
        "model/events.yaml",
        "model/manifest.yaml",
        "model/series.md",
        "src/driftline/semconv.py",
        "docs/metrics.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["src/driftline/semconv.py", "docs/metrics.md"])
def test_a_stale_file_fails_the_check_and_is_generated_again(copy, name):
    """The check prints the difference. After generating, it succeeds."""
    path = copy / name
    fresh = path.read_text(encoding="utf-8")
    path.write_text(fresh.replace("ml.canary.status", "ml.canary.state_of_it"), encoding="utf-8")
    done = generate(copy, "--check")
    assert done.returncode == 1
    assert "ml.canary.state_of_it" in done.stdout
    assert path.read_text(encoding="utf-8") != fresh
    assert generate(copy).returncode == 0
    assert path.read_text(encoding="utf-8") == fresh
    assert generate(copy, "--check").returncode == 0


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metrics_follow_the_naming_rules(metric):
    """A namespace, no unit and no instrument in the name, a unit of UCUM or in braces, and a sentence."""
    assert NAME.fullmatch(metric.name)
    assert metric.name.startswith("ml.")
    assert not metric.name.endswith(("_total", ".total", ".seconds", ".count", ".ratio"))
    assert metric.instrument in {"counter", "updowncounter", "gauge", "histogram"}
    # No unit 1: some backends append _ratio to the names of such gauges, and VictoriaMetrics to up-down counters too.
    assert re.fullmatch(r"s|\{[a-z]+\}", metric.unit)
    times = {"ml.canary.started", "ml.canary.counted", "ml.canary.ended"}
    assert (metric.unit == "s") == (metric.instrument == "histogram" or metric.name in times)
    assert metric.brief.endswith(".")
    assert metric.brief[0].isupper()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_attributes_of_metrics_are_known_few_and_bounded(metric):
    """Each is in the registry. No metric has an attribute with a value per prediction or user."""
    assert metric.attributes <= KEYS | STANDARD
    # Lost telemetry belongs to a process, not to one of its models.
    if metric.name != "ml.monitor.telemetry.lost":
        assert {"ml.model.name", "ml.model.version", "ml.model.variant"} <= metric.attributes
    # Counts of a canary carry its id, its side and its process too, and the kind of a feature.
    # A fleet's states carry their scope. What a fleet is evaluated from carries the process, and its reference.
    few = 6 + ("ml.window.scope" in metric.attributes) + ("ml.monitor.process" in metric.attributes)
    described = {"ml.monitor.library_version", "ml.reference.rows", "ml.reference.features"}
    assert len(metric.attributes - described) <= few + 4 * ("ml.canary.process" in metric.attributes)
    assert metric.name == "ml.monitor.info" or not metric.attributes & described
    assert not metric.attributes & {"enduser.id", "ml.prediction.id", "ml.drift.reason", "ml.canary.reason"}


def test_no_name_is_the_namespace_of_another():
    """A backend that nests metrics or attributes would have a value and a map under one name."""
    for names in (set(semconv.METRICS), KEYS):
        # The estimated accuracy is below the realised one: an exception of the design.
        nested = {(name, other) for name in names for other in names if other.startswith(f"{name}.")}
        assert nested <= {("ml.model.accuracy", "ml.model.accuracy.estimated")}


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda attribute: attribute["key"])
def test_attributes_follow_the_naming_rules(attribute):
    """A name, a type, a sentence, examples or members; and a constant of that name in semconv."""
    key = attribute["key"]
    assert NAME.fullmatch(key)
    assert key.startswith("ml.")
    assert attribute["brief"].endswith(".")
    assert getattr(semconv, key.replace(".", "_").upper()) == key
    if isinstance(attribute["type"], dict):
        values = tuple(member["value"] for member in attribute["type"]["members"])
        assert getattr(semconv, key.replace(".", "_").upper().removeprefix("ML_") + "S") == values
        assert len(set(values)) == len(values)
    else:
        assert attribute["type"] in {"string", "int", "double", "boolean"}
        assert attribute["examples"]


def test_events_carry_known_attributes():
    """Events are named like metrics, and each carries the model."""
    for name, attributes in semconv.EVENTS.items():
        assert NAME.fullmatch(name)
        assert attributes <= KEYS | STANDARD
        assert "ml.model.name" in attributes


def test_the_metrics_are_those_of_the_design():
    """A changed name breaks dashboards, so it must be changed here too."""
    assert {(metric.name, metric.instrument, metric.unit) for metric in METRICS} == {
        ("ml.predictions.served", "counter", "{prediction}"),
        ("ml.prediction.duration", "histogram", "s"),
        ("ml.feature.drift.score", "gauge", "{score}"),
        ("ml.feature.drift.status", "updowncounter", "{status}"),
        ("ml.feature.observations", "counter", "{observation}"),
        ("ml.canary.evidence", "gauge", "{evidence}"),
        ("ml.canary.status", "updowncounter", "{status}"),
        ("ml.canary.started", "gauge", "s"),
        ("ml.canary.ended", "gauge", "s"),
        ("ml.canary.counted", "gauge", "s"),
        ("ml.canary.calls", "counter", "{call}"),
        ("ml.canary.rows", "counter", "{row}"),
        ("ml.canary.durations", "counter", "{call}"),
        ("ml.canary.bins", "counter", "{row}"),
        ("ml.canary.outcomes", "updowncounter", "{prediction}"),
        ("ml.canary.delays", "updowncounter", "{outcome}"),
        ("ml.outcomes", "counter", "{outcome}"),
        ("ml.model.accuracy", "gauge", "{ratio}"),
        ("ml.model.accuracy.estimated", "gauge", "{ratio}"),
        ("ml.model.performance", "gauge", "{score}"),
        ("ml.retraining.requests", "counter", "{request}"),
        ("ml.retraining.transitions", "counter", "{transition}"),
        ("ml.retraining.queue.size", "updowncounter", "{request}"),
        ("ml.monitor.info", "updowncounter", "{monitor}"),
        ("ml.monitor.errors", "counter", "{error}"),
        ("ml.monitor.rows.dropped", "counter", "{row}"),
        ("ml.monitor.telemetry.lost", "counter", "{item}"),
    }


def test_states_are_those_of_the_types():
    """The exported states are those of the public types."""
    assert get_args(DriftState) == semconv.FEATURE_DRIFT_STATES
    assert get_args(CanaryState) == semconv.CANARY_STATES
