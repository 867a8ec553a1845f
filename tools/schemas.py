"""
Writes the JSON schemas that tests check manifests with, so that the tests need no network.

    pip download --no-deps kubernetes-validate==1.37.0
    go mod download -json github.com/compose-spec/compose-go/v2@v2.16.2
    go mod download -json github.com/prometheus-operator/prometheus-operator@v0.85.0
    go mod download -json github.com/open-telemetry/opentelemetry-operator@v0.140.0
    python tools/schemas.py WHEEL COMPOSE_FOLDER PROMETHEUS_OPERATOR_FOLDER OPENTELEMETRY_OPERATOR_FOLDER \
        tests/data/schemas

All four are under the Apache License 2.0. The schemas lack the descriptions. Of Kubernetes there are the
kinds in `KINDS`. They are strict: an unknown field is an error. The names of files are those that kubeconform expects.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict"
"""The folder of the wheel with strict schemas, whose references are all to a file of definitions."""

KINDS = (
    "configmap-v1",
    "daemonset-apps-v1",
    "deployment-apps-v1",
    "persistentvolumeclaim-v1",
    "service-v1",
    "statefulset-apps-v1",
)
RESOURCES = (
    "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
)
COLLECTORS = ("config/crd/bases/opentelemetry.io_opentelemetrycollectors.yaml",)


def without_descriptions(schema: Any) -> Any:
    """Return a schema without descriptions. A property of that name stays."""
    if isinstance(schema, list):
        return [without_descriptions(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: without_descriptions(each) for name, each in value.items()}
        if key in {"properties", "definitions", "$defs", "patternProperties"}
        else without_descriptions(value)
        for key, value in schema.items()
        if key != "description" and not key.startswith("x-kubernetes")
    }


def strict(schema: Any) -> Any:
    """Return the schema of a custom resource in which unknown fields are errors."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


def references(schema: Any) -> Iterator[str]:
    """Yield the names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rsplit("/", 1)[-1]
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from references(each)


def kubernetes(wheel: Path) -> dict[str, Any]:
    """Return the schemas of `KINDS` by name of the file, each with the definitions that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        schemas = {f"{kind}.json": json.loads(archive.read(f"{KUBERNETES}/{kind}.json")) for kind in KINDS}
        definitions = json.loads(archive.read(f"{KUBERNETES}/_definitions.json"))["$defs"]
    for schema in schemas.values():
        needed: dict[str, Any] = {}
        pending = list(references(schema))
        while pending:
            name = pending.pop()
            if name not in needed:
                needed[name] = definitions[name]
                pending.extend(references(needed[name]))
        schema["$defs"] = dict(sorted(needed.items()))
    return {name: local(schema) for name, schema in schemas.items()}


def local(schema: Any) -> Any:
    """Return a schema whose references are to its own definitions."""
    if isinstance(schema, list):
        return [local(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: f"#/$defs/{value.rsplit('/', 1)[-1]}" if key == "$ref" and isinstance(value, str) else local(value)
        for key, value in schema.items()
    }


def operator(folder: Path, definitions: Iterable[str], version: str) -> dict[str, Any]:
    """Return the schemas of custom resources, by the name that kubeconform expects."""
    schemas = {}
    for definition in definitions:
        spec = yaml.safe_load((folder / definition).read_text("utf-8"))["spec"]
        (chosen,) = (each for each in spec["versions"] if each["name"] == version)
        schema = strict(chosen["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        group = spec["group"].partition(".")[0]
        schemas[f"{spec['names']['singular']}-{group}-{version}.json"] = schema
    return schemas


def main(wheel: str, compose: str, prometheus: str, collectors: str, target: str) -> None:
    """Write the schemas into a folder."""
    schemas = {
        "compose-spec.json": json.loads((Path(compose) / "schema/compose-spec.json").read_text("utf-8")),
        **{f"kubernetes/{name}": each for name, each in kubernetes(Path(wheel)).items()},
        **{f"kubernetes/{name}": each for name, each in operator(Path(prometheus), RESOURCES, "v1").items()},
        **{f"kubernetes/{name}": each for name, each in operator(Path(collectors), COLLECTORS, "v1beta1").items()},
    }
    for name, schema in schemas.items():
        path = Path(target) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(without_descriptions(schema), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
