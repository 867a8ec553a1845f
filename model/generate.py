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
    """Read the attributes, metrics and events of the registry."""
    return {
        part: yaml.safe_load((MODEL / f"{part}.yaml").read_text(encoding="utf-8"))[part]
        for part in ("attributes", "metrics", "events")
    }


def constant(name: str) -> str:
    """Return the name of a constant: ``ML_MODEL_NAME`` for ``ml.model.name``."""
    return name.replace(".", "_").upper()


def python(registry: dict[str, list[dict[str, Any]]], schema_url: str) -> str:
    """Return the source of ``semconv.py``."""
    lines = [
        '"""Names, units and attributes of the metrics and events of driftline. Generated from model/: do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final, NamedTuple",
        "",
        "",
        "class Metric(NamedTuple):",
        '    """A metric of the registry."""',
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
    lines += [f'{constant(each["key"])}: Final = "{each["key"]}"' for each in registry["attributes"]]
    for attribute in registry["attributes"]:
        if isinstance(attribute["type"], dict):
            members = attribute["type"]["members"]
            values = ", ".join(f'"{member["value"]}"' for member in members) + "," * (len(members) == 1)
            lines += ["", f"{constant(attribute['key']).removeprefix('ML_')}S: Final = ({values})"]
    lines.append("")
    for event in registry["events"]:
        lines.append(f'EVENT_{constant(event["name"]).removeprefix("ML_")}: Final = "{event["name"]}"')
    lines.append("")
    for metric in registry["metrics"]:
        bounds = metric.get("annotations", {}).get("advisory", {}).get("explicit_bucket_boundaries")
        if bounds:
            lines += [f"DURATION_BUCKETS: Final = ({', '.join(str(float(bound)) for bound in bounds)})", ""]
    for metric in registry["metrics"]:
        lines += [
            f"METRIC_{constant(metric['name']).removeprefix('ML_')}: Final = Metric(",
            f'    "{metric["name"]}",',
            f'    "{metric["instrument"]}",',
            f'    "{metric["unit"]}",',
            f'    "{metric["brief"]}",',
            *_attribute_set(metric),
            ")",
            "",
        ]
    lines.append("METRICS: Final = {")
    lines += [
        f'    "{metric["name"]}": METRIC_{constant(metric["name"]).removeprefix("ML_")},'
        for metric in registry["metrics"]
    ]
    lines += ["}", "", "EVENTS: Final = {"]
    for event in registry["events"]:
        lines.append(f'    "{event["name"]}": frozenset(')
        lines += [f"    {line}" for line in _braced(event)]
        lines.append("    ),")
    lines += ["}", ""]
    return "\n".join(lines)


def _attribute_set(entry: dict[str, Any]) -> list[str]:
    inner = ", ".join(f'"{attribute["ref"]}"' for attribute in entry["attributes"])
    if len(f"    frozenset({{{inner}}}),") <= 110:  # noqa: PLR2004 - the formatter's line length
        return [f"    frozenset({{{inner}}}),"]
    return ["    frozenset(", *_braced(entry), "    ),"]


def _braced(entry: dict[str, Any]) -> list[str]:
    names = [f'"{attribute["ref"]}"' for attribute in entry["attributes"]]
    if len(names) * 20 < 80:  # noqa: PLR2004 - short enough for one line
        return [f"        {{{', '.join(names)}}}"]
    return ["        {", *(f"            {name}," for name in names), "        }"]


def prometheus_name(metric: dict[str, Any]) -> str:
    """Return the name that Prometheus's OTLP receiver gives a metric."""
    name = str(metric["name"]).replace(".", "_")
    if metric["unit"] == "s":
        name += "_seconds"
    return name + "_total" if metric["instrument"] == "counter" else name


def markdown(registry: dict[str, list[dict[str, Any]]]) -> str:
    """Return the text of ``docs/metrics.md``."""
    model = {"ml.model.name", "ml.model.version", "ml.model.variant"}
    lines = [
        "# Metrics, attributes and events",
        "",
        "Generated from `model/`: do not edit. Every metric and event of a model carries `ml.model.name`,",
        "and `ml.model.version` and `ml.model.variant` where the monitor has them.",
        "",
        "## Metrics",
        "",
        "| metric | in Prometheus | instrument | unit | attributes | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for metric in registry["metrics"]:
        attributes = ", ".join(f"`{ref['ref']}`" for ref in metric["attributes"] if ref["ref"] not in model) or "–"
        lines.append(
            f"| `{metric['name']}` | `{prometheus_name(metric)}` | {metric['instrument']} | `{metric['unit']}` "
            f"| {attributes} | {metric['brief']} |"
        )
    lines += ["", *(MODEL / "series.md").read_text(encoding="utf-8").splitlines()]
    lines += ["", "## Events", "", "| event | attributes | meaning |", "|---|---|---|"]
    for event in registry["events"]:
        attributes = ", ".join(f"`{ref['ref']}`" for ref in event["attributes"] if ref["ref"] not in model)
        lines.append(f"| `{event['name']}` | {attributes} | {event['brief']} |")
    lines += ["", "## Attributes", "", "| attribute | values | meaning |", "|---|---|---|"]
    for attribute in registry["attributes"]:
        if isinstance(attribute["type"], dict):
            values = ", ".join(f"`{member['value']}`" for member in attribute["type"]["members"])
        else:
            values = f"{attribute['type']}, such as " + ", ".join(f"`{example}`" for example in attribute["examples"])
        lines.append(f"| `{attribute['key']}` | {values} | {attribute['brief']} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the files, or with ``--check`` print how they differ."""
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
