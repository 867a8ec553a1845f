"""`driftline collector`: the shipped files are its output, and bad arguments are named."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import jsonschema
import pytest
import yaml

from driftline.cli import main
from driftline.fleet._collector.backends import BACKENDS

CONFIG = Path(__file__).parents[2] / "collector-config"
WRITTEN = runpy.run_path(str(CONFIG / "write.py"))


@pytest.fixture
def printed(capsys):
    """Return a function that returns what the command prints."""

    def run(*arguments):
        assert main(["collector", *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_the_shipped_files_are_the_output_of_the_command():
    """`python collector-config/write.py` writes them again."""
    assert WRITTEN["write"](check=True) == []


@pytest.mark.parametrize("name", BACKENDS)
def test_secrets_come_from_the_environment(printed, name):
    """Each variable of the table is read, no other one is, and no secret has a default but the empty one."""
    text = printed("--backend", name)
    backend = BACKENDS[name]
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    read = set(re.findall(r"\$\{env:([A-Z_]+)", body))
    listed = set(re.findall(r"^#   ([A-Z_]+) ", text, re.MULTILINE))
    assert read == listed
    assert {variable.name for variable in (backend.endpoint, *backend.variables)} <= read
    assert all(not variable.default for variable in backend.variables if variable.secret)


@pytest.mark.parametrize("gateway", [False, True])
@pytest.mark.parametrize("bins", ["keep", "drop", "judge"])
def test_each_component_is_defined_and_used(printed, gateway, bins):
    """A pipeline names what the file defines."""
    extra = ["--gateway"] if gateway else []
    document = yaml.safe_load(printed("--backend", "prometheus", "--bins", bins, *extra))
    for part in ("receivers", "processors", "exporters"):
        used = {name for pipeline in document["service"]["pipelines"].values() for name in pipeline[part]}
        assert used == set(document[part])
    assert set(document["service"]["extensions"]) == set(document["extensions"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "datadog", "--temporality", "cumulative"], "Datadog"),
        (["--backend", "local", "--gateway"], "queue"),
        (["--backend", "amp", "--gateway"], "queue"),
    ],
)
def test_what_a_backend_cannot_do_is_refused(capsys, arguments, message):
    """With exit code 3, and the reason."""
    assert main(["collector", *arguments]) == 3
    assert message in capsys.readouterr().err


def test_an_unknown_backend_is_refused(capsys):
    """And the known ones are named."""
    with pytest.raises(SystemExit) as error:
        main(["collector", "--backend", "nagios"])
    assert error.value.code == 3
    assert "victoriametrics" in capsys.readouterr().err


def test_the_command_writes_a_file(tmp_path, printed):
    """The same as the standard output."""
    path = tmp_path / "collector.yaml"
    assert main(["collector", "--backend", "mimir", "--output", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == printed("--backend", "mimir")


MANIFESTS = sorted(CONFIG.glob("kubernetes/*.yaml"))
SCHEMAS = Path(__file__).parents[1] / "data" / "schemas" / "kubernetes"


def documents_of(path):
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_are_valid(path):
    """By the strict schemas of Kubernetes and of the operator, which find a misspelt key."""
    for document in documents_of(path):
        group, _, version = document["apiVersion"].rpartition("/")
        name = "-".join(filter(None, (document["kind"].lower(), group.partition(".")[0], version)))
        schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
        jsonschema.validate(document, schema)
        wrong = document.get("spec", document)
        wrong["volume"] = []
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifests_name_what_they_define(path):
    """Mounted volumes exist, and the configuration is the one of the file, with its queue on a volume."""
    documents = {document["kind"]: document for document in documents_of(path)}
    if resource := documents.get("OpenTelemetryCollector"):
        container = pod = resource["spec"]
        claims, config = pod.get("volumeClaimTemplates", []), pod["config"]
    else:
        workload = next(documents[kind] for kind in ("Deployment", "DaemonSet", "StatefulSet") if kind in documents)
        pod, claims = workload["spec"]["template"]["spec"], workload["spec"].get("volumeClaimTemplates", [])
        (container,) = (
            each for each in [*pod["containers"], *pod.get("initContainers", [])] if each["name"] == "collector"
        )
        config = yaml.safe_load(documents["ConfigMap"]["data"]["collector.yaml"])
        assert pod["volumes"][0]["configMap"]["name"] == documents["ConfigMap"]["metadata"]["name"]
    volumes = {each["name"] for each in pod.get("volumes", [])} | {each["metadata"]["name"] for each in claims}
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["DRIFTLINE_COLLECTOR_QUEUE"] in {each["mountPath"] for each in container["volumeMounts"]}
    assert "file_storage/queue" in config["service"]["extensions"]
    assert ("health_check" in config["extensions"]) is (path.stem != "sidecar")
