"""Generate ``src/driftline/semconv.py`` and ``docs/metrics.md`` from the registry beside this file."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import Any

import yaml

MODEL = Path(__file__).parent
ROOT = MODEL.parent
STANDARD = frozenset(
    {
        "error.type",
        "feature_flag.key",
        "feature_flag.result.variant",
        "feature_flag.result.reason",
        "feature_flag.provider.name",
    }
)
"""Attributes of OpenTelemetry's own registry."""


def load() -> dict[str, list[dict[str, Any]]]:
    """The attributes, metrics and events of the registry."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part in ("attributes", "metrics", "events"):
        found[part] = yaml.safe_load((MODEL / f"{part}.yaml").read_text(encoding="utf-8"))[part]
    return found


def constant(name: str) -> str:
    """The name of a constant: ``ml.model.name`` to ``ML_MODEL_NAME``."""
    return name.replace(".", "_").upper()


def python(registry: dict[str, list[dict[str, Any]]], schema_url: str) -> str:
    """The text of ``semconv.py``."""
    lines = [
        '"""Names, units and attributes of all that driftline exports. Generated from model/: do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final, NamedTuple",
        "",
        "",
        "class Metric(NamedTuple):",
        '    """A metric as the registry has it."""',
        "",
        "    name: str",
        "    instrument: str",
        "    unit: str",
        "    brief: str",
        "    attributes: frozenset[str]",
        "",
        "",
        f'SCHEMA_URL: Final = "{schema_url}"',
        "",
    ]
    lines += [f'{constant(one["key"])}: Final = "{one["key"]}"' for one in registry["attributes"]]
    for one in registry["attributes"]:
        if isinstance(one["type"], dict):
            values = ", ".join(f'"{member["value"]}"' for member in one["type"]["members"])
            lines += ["", f"{constant(one['key']).removeprefix('ML_')}S: Final = ({values})"]
    lines.append("")
    for one in registry["events"]:
        lines.append(f'EVENT_{constant(one["name"]).removeprefix("ML_")}: Final = "{one["name"]}"')
    lines.append("")
    for one in registry["metrics"]:
        bounds = one.get("annotations", {}).get("advisory", {}).get("explicit_bucket_boundaries")
        if bounds:
            lines += [f"DURATION_BUCKETS: Final = ({', '.join(str(float(bound)) for bound in bounds)})", ""]
    for one in registry["metrics"]:
        lines += [
            f"METRIC_{constant(one['name']).removeprefix('ML_')}: Final = Metric(",
            f'    "{one["name"]}",',
            f'    "{one["instrument"]}",',
            f'    "{one["unit"]}",',
            f'    "{one["brief"]}",',
            *_attribute_set(one),
            ")",
            "",
        ]
    lines.append("METRICS: Final = {")
    lines += [
        f'    "{one["name"]}": METRIC_{constant(one["name"]).removeprefix("ML_")},' for one in registry["metrics"]
    ]
    lines += ["}", "", "EVENTS: Final = {"]
    for one in registry["events"]:
        lines.append(f'    "{one["name"]}": frozenset(')
        lines += [f"    {line}" for line in _braced(one)]
        lines.append("    ),")
    lines += ["}", ""]
    return "\n".join(lines)


def _attribute_set(one: dict[str, Any]) -> list[str]:
    inner = ", ".join(f'"{attribute["ref"]}"' for attribute in one["attributes"])
    if len(f"    frozenset({{{inner}}}),") <= 110:  # noqa: PLR2004 - the formatter's line length
        return [f"    frozenset({{{inner}}}),"]
    return ["    frozenset(", *_braced(one), "    ),"]


def _braced(one: dict[str, Any]) -> list[str]:
    names = [f'"{attribute["ref"]}"' for attribute in one["attributes"]]
    if len(names) * 20 < 80:  # noqa: PLR2004 - short enough for one line
        return [f"        {{{', '.join(names)}}}"]
    return ["        {", *(f"            {name}," for name in names), "        }"]


def prometheus_name(metric: dict[str, Any]) -> str:
    """The name that Prometheus's OTLP receiver gives a metric."""
    name = str(metric["name"]).replace(".", "_")
    if metric["unit"] == "s":
        name += "_seconds"
    return name + "_total" if metric["instrument"] == "counter" else name


def markdown(registry: dict[str, list[dict[str, Any]]]) -> str:
    """The text of ``docs/metrics.md``."""
    model = {"ml.model.name", "ml.model.version", "ml.model.variant"}
    lines = [
        "# Metrics, attributes and events",
        "",
        "Generated from `model/`: do not edit. Every metric and event of a model carries `ml.model.name`,",
        "and `ml.model.version` and `ml.model.variant` where the monitor has them.",
        "",
        "## Metrics",
        "",
        "| metric | in Prometheus | instrument | unit | attributes | what it is |",
        "|---|---|---|---|---|---|",
    ]
    for one in registry["metrics"]:
        attributes = ", ".join(f"`{ref['ref']}`" for ref in one["attributes"] if ref["ref"] not in model) or "–"
        lines.append(
            f"| `{one['name']}` | `{prometheus_name(one)}` | {one['instrument']} | `{one['unit']}` "
            f"| {attributes} | {one['brief']} |"
        )
    lines += ["", "## Events", "", "| event | attributes | what it is |", "|---|---|---|"]
    for one in registry["events"]:
        attributes = ", ".join(f"`{ref['ref']}`" for ref in one["attributes"] if ref["ref"] not in model)
        lines.append(f"| `{one['name']}` | {attributes} | {one['brief']} |")
    lines += ["", "## Attributes", "", "| attribute | values | what it is |", "|---|---|---|"]
    for one in registry["attributes"]:
        if isinstance(one["type"], dict):
            values = ", ".join(f"`{member['value']}`" for member in one["type"]["members"])
        else:
            values = f"{one['type']}, such as " + ", ".join(f"`{example}`" for example in one["examples"])
        lines.append(f"| `{one['key']}` | {values} | {one['brief']} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the files, or with ``--check`` say how they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is stale")
    check = parser.parse_args().check
    registry = load()
    manifest = yaml.safe_load((MODEL / "manifest.yaml").read_text(encoding="utf-8"))
    stale = False
    for path, text in (
        (ROOT / "src/driftline/semconv.py", python(registry, manifest["schema_url"])),
        (ROOT / "docs/metrics.md", markdown(registry)),
    ):
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if present == text:
            continue
        stale = True
        if check:
            sys.stdout.writelines(
                difflib.unified_diff(
                    present.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "registry"
                )
            )
        else:
            path.write_text(text, encoding="utf-8")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
