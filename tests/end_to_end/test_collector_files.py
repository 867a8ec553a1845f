"""The real collector accepts every configuration of `driftline collector`, and kubeconform every manifest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from collector_files import environment_of, with_stand_ins

from driftline.fleet._collector.backends import BACKENDS
from driftline.fleet._collector.configuration import Configuration
from driftline.fleet._collector.layout import to_yaml

pytestmark = [pytest.mark.real, pytest.mark.system]

CONFIG = Path(__file__).parents[2] / "collector-config"
SCHEMAS = Path(__file__).parents[1] / "data" / "schemas" / "kubernetes"
MANIFESTS = sorted(CONFIG.glob("kubernetes/*.yaml"))


@pytest.fixture
def validate(tools, tmp_path):
    """Return a function that returns what the collector says against a configuration; empty for a valid one."""

    def run(text, environment):
        path = tmp_path / "collector.yaml"
        path.write_text(with_stand_ins(text), encoding="utf-8")
        done = subprocess.run(
            [tools / "otelcol", "validate", "--config", path],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "DRIFTLINE_COLLECTOR_QUEUE": str(tmp_path / "queue"), **environment},
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr or "failed"

    return run


def variants(backend):
    """Yield all configurations of a backend."""
    for temporality in backend.temporalities:
        for bins in ("keep", "drop", "judge"):
            yield Configuration.of(backend.name, bins=bins, temporality=temporality)
            if backend.queued:
                yield Configuration.of(backend.name, gateway=True, bins=bins, temporality=temporality)


@pytest.mark.parametrize("name", BACKENDS)
def test_the_collector_accepts_each_configuration(validate, name):
    """With each temporality and place of the bins, and as a gateway."""
    backend = BACKENDS[name]
    for configuration in variants(backend):
        assert validate(to_yaml(configuration, "test"), environment_of(name)) == ""


def test_the_collector_refuses_a_wrong_configuration(validate):
    """So that the test above can fail."""
    text = to_yaml(Configuration.of("prometheus", gateway=True), "test")
    assert "max_stale" in validate(text.replace("max_stale: 8760h", "max_stale: 0s"), {})
    assert "sendin_queue" in validate(text.replace("sending_queue", "sendin_queue"), {})
    assert "IsMatch" in validate(text.replace('IsMatch(name, "^ml[.]")', "IsMatch(name)"), {})


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_the_collector_accepts_the_configuration_of_a_manifest(validate, path):
    """As it stands in the ConfigMap or in the resource of the operator."""
    documents = {each["kind"]: each for each in yaml.safe_load_all(path.read_text(encoding="utf-8"))}
    if resource := documents.get("OpenTelemetryCollector"):
        text = yaml.safe_dump(resource["spec"]["config"])
    else:
        text = documents["ConfigMap"]["data"]["collector.yaml"]
    assert validate(text, {}) == ""


def test_kubeconform_accepts_the_manifests(tools):
    """With schemas of this repository, so that nothing is downloaded."""
    location = f"{SCHEMAS}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    command = [tools / "kubeconform", "-strict", "-summary", "-schema-location", location, *MANIFESTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Invalid: 0, Errors: 0, Skipped: 0" in done.stdout
