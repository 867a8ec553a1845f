"""
Writes the JSON schemas that tests check the files of `examples/fleet` with, so that the tests need no network.

    pip download --no-deps kubernetes-validate==1.37.0
    go mod download -json github.com/compose-spec/compose-go/v2@v2.16.2
    go mod download -json github.com/prometheus-operator/prometheus-operator@v0.85.0
    python tools/schemas.py WHEEL COMPOSE_FOLDER OPERATOR_FOLDER tests/data/schemas

All three are under the Apache License 2.0. The schemas lack the descriptions. Of Kubernetes there are the
kinds in `KINDS`. They are strict: an unknown field is an error. The names of files are those that kubeconform expects.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KUBERNETES = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict"
"""The folder of the wheel with strict schemas, whose references are all to a file of definitions."""

KINDS = ("configmap-v1", "deployment-apps-v1", "persistentvolumeclaim-v1", "service-v1")
RESOURCES = ("prometheusrules", "servicemonitors")


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


def operator(folder: Path) -> dict[str, Any]:
    """Return the schemas of `RESOURCES`, by the name that kubeconform expects."""
    schemas = {}
    for resource in RESOURCES:
        path = folder / "example/prometheus-operator-crd" / f"monitoring.coreos.com_{resource}.yaml"
        (version,) = (
            each for each in yaml.safe_load(path.read_text("utf-8"))["spec"]["versions"] if each["name"] == "v1"
        )
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        schemas[f"{resource[:-1]}-monitoring-v1.json"] = schema
    return schemas


def main(wheel: str, compose: str, operators: str, target: str) -> None:
    """Write the schemas into a folder."""
    schemas = {
        "compose-spec.json": json.loads((Path(compose) / "schema/compose-spec.json").read_text("utf-8")),
        **{f"kubernetes/{name}": each for name, each in kubernetes(Path(wheel)).items()},
        **{f"kubernetes/{name}": each for name, each in operator(Path(operators)).items()},
    }
    for name, schema in schemas.items():
        path = Path(target) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(without_descriptions(schema), separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
