"""The files of examples/fleet are what Docker Compose, Kubernetes and Grafana accept."""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from driftline.commands._judge import add_arguments

ROOT = Path(__file__).parents[2]
FLEET = ROOT / "examples" / "fleet"
SCHEMAS = ROOT / "tests" / "data" / "schemas"
KUBERNETES = sorted((FLEET / "kubernetes").glob("*.yaml"))


def manifests(path):
    return [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]


def schema_of(manifest):
    """Return the schema of a manifest, under the name that kubeconform gives it."""
    group, _, version = manifest["apiVersion"].rpartition("/")
    name = "-".join(filter(None, (manifest["kind"].lower(), group.partition(".")[0], version)))
    return json.loads((SCHEMAS / "kubernetes" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def composition():
    return yaml.safe_load((FLEET / "compose.yaml").read_text(encoding="utf-8"))


def test_the_compose_file_is_valid(composition):
    """By the schema of the compose specification, which finds a misspelt key."""
    schema = json.loads((SCHEMAS / "compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.validate(composition, schema)
    wrong = copy.deepcopy(composition)
    wrong["services"]["judge"]["volume"] = []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_the_compose_file_names_what_is_there(composition):
    """Bound files exist, named volumes are declared, and addresses are those of services."""
    services = composition["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (FLEET / source).is_file() if source.startswith(".") else source in composition["volumes"]
        for name in service.get("depends_on", []):
            assert name in services
    texts = [json.dumps(services), *(path.read_text(encoding="utf-8") for path in FLEET.rglob("*.yaml"))]
    hosts = {host for text in texts for host in re.findall(r"http://([a-z]+):\d", text)}
    assert hosts <= services.keys()
    copied = re.findall(r"examples/fleet/(\w+\.\w+)\b", (FLEET / "Dockerfile").read_text(encoding="utf-8"))
    commands = json.dumps([service["command"] for service in services.values() if "build" in service])
    assert set(re.findall(r"\w+\.(?:py|sh)", commands)) <= set(copied)
    assert all((FLEET / name).is_file() for name in copied)


def test_the_images_have_the_versions_that_the_tests_run(composition):
    """Those of the modules that `tools/build` builds. A version 0.315 of the module is 3.15 of Prometheus."""
    images = {
        each["image"].partition(":")[0]: each["image"].partition(":")[2] for each in composition["services"].values()
    }
    module = (ROOT / "tools" / "prometheus" / "go.mod").read_text(encoding="utf-8")
    (number,) = re.findall(r"prometheus/prometheus v0\.3(\d\d)\.\d", module)
    assert images["prom/prometheus"].startswith(f"v3.{int(number)}.")
    module = (ROOT / "tools" / "alertmanager" / "go.mod").read_text(encoding="utf-8")
    assert re.findall(r"prometheus/alertmanager (v\S+)", module) == [images["prom/alertmanager"]]
    builder = (ROOT / "tools" / "collector" / "builder.yaml").read_text(encoding="utf-8")
    assert f"receiver/otlpreceiver v{images['otel/opentelemetry-collector-contrib']}" in builder


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_the_manifests_are_valid(path):
    """By the strict schemas of Kubernetes and of the Prometheus Operator."""
    for manifest in manifests(path):
        jsonschema.validate(manifest, schema_of(manifest))
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**manifest, "spek": {}}, schema_of(manifest))


def test_the_arguments_of_the_judge_are_known(composition):
    """In the compose file and in the manifests."""
    deployments = [each for path in KUBERNETES for each in manifests(path) if each["kind"] == "Deployment"]
    containers = [each for deployment in deployments for each in deployment["spec"]["template"]["spec"]["containers"]]
    commands = [[*each.get("command", []), *each.get("args", [])] for each in containers]
    commands += [each.get("command", []) for each in composition["services"].values()]
    asked = [command[2:] for command in commands if command[:2] == ["driftline", "judge"]]
    assert len(asked) == 2
    for arguments in asked:
        parser = argparse.ArgumentParser(exit_on_error=False)
        add_arguments(parser)
        parser.parse_args(arguments)


def test_the_manifests_fit_together():
    """Services select pods and name their ports, pods mount what is declared, and the monitor selects the service."""
    everything = [manifest for path in KUBERNETES for manifest in manifests(path)]
    of_kind = {}
    for manifest in everything:
        of_kind.setdefault(manifest["kind"], {})[manifest["metadata"]["name"]] = manifest
    pods = {name: each["spec"]["template"] for name, each in of_kind["Deployment"].items()}
    for service in of_kind["Service"].values():
        (pod,) = (each for each in pods.values() if each["metadata"]["labels"] == service["spec"]["selector"])
        ports = {port["name"] for each in pod["spec"]["containers"] for port in each["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for pod in pods.values():
        for volume in pod["spec"].get("volumes", []):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in of_kind["ConfigMap"]
            else:
                assert volume["persistentVolumeClaim"]["claimName"] in of_kind["PersistentVolumeClaim"]
    (monitor,) = of_kind["ServiceMonitor"].values()
    (selected,) = (
        each
        for each in of_kind["Service"].values()
        if each["metadata"].get("labels") == monitor["spec"]["selector"]["matchLabels"]
    )
    assert {each["port"] for each in monitor["spec"]["endpoints"]} <= {
        port["name"] for port in selected["spec"]["ports"]
    }


def tool(name):
    """Return the path of a built tool; with DRIFTLINE_REQUIRE_TOOLS=1 its absence fails the test."""
    where = subprocess.run(["bash", ROOT / "tools" / "build", "--where"], capture_output=True, text=True, check=True)
    path = Path(where.stdout.strip()) / name
    if not path.exists():
        message = f"{name} not built: run `make tools`"
        if os.environ.get("DRIFTLINE_REQUIRE_TOOLS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.mark.real
@pytest.mark.system
def test_kubeconform_accepts_the_manifests():
    """With schemas of this repository, so that nothing is downloaded."""
    location = f"{SCHEMAS}/kubernetes/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    command = [tool("kubeconform"), "-strict", "-summary", "-schema-location", location, *KUBERNETES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    number = sum(len(manifests(path)) for path in KUBERNETES)
    assert f"Valid: {number}, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


@pytest.mark.real
@pytest.mark.system
def test_the_collector_accepts_its_configuration(tmp_path):
    """The configuration in the ConfigMap of the gateway."""
    (config,) = (each for path in KUBERNETES for each in manifests(path) if each["kind"] == "ConfigMap")
    path = tmp_path / "collector.yaml"
    path.write_text(config["data"]["collector.yaml"])
    done = subprocess.run([tool("otelcol"), "validate", "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.real
@pytest.mark.system
def test_promtool_accepts_the_configuration_of_prometheus():
    """Its syntax; the rules are generated."""
    command = [tool("promtool"), "check", "config", "--syntax-only", FLEET / "prometheus.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
