"""Writes groups of rules as a file of Prometheus, as a resource of its operator, and as a monitoring mixin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from driftline.fleet._rules.rule import Group, Recording, as_document

__all__ = ["MIXIN_SELECTOR", "to_mixin", "to_operator", "to_prometheus"]

MIXIN_SELECTOR = 'driftline_selector=""'
"""A matcher that each selector of a mixin ends with. It matches all series, and the mixin replaces it."""

PLAIN_KEY = re.compile(
    r"groups|name|rules|record|alert|expr|keep_firing_for|labels|annotations|severity|summary|description|runbook_url"
    r"|apiVersion|kind|metadata|spec|ml_[a-z_]+"
)
"""A key that needs no quotes. Others may be words such as "on", which YAML reads as true."""


def to_prometheus(groups: Sequence[Group], comment: Sequence[str]) -> str:
    """
    Return a file of rules for Prometheus, Mimir, Thanos or vmalert, as YAML.

    Args:
        groups: the groups.
        comment: lines before the content.
    """
    return _yaml(as_document(groups), comment)


def to_operator(groups: Sequence[Group], comment: Sequence[str], name: str, labels: Mapping[str, str]) -> str:
    """
    Return a PrometheusRule of the Prometheus Operator, as YAML.

    Args:
        groups: the groups.
        comment: lines before the content.
        name: the name of the resource.
        labels: labels of the resource, by which a Prometheus selects rules.
    """
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": as_document(groups),
    }
    return _yaml(resource, comment)


def to_mixin(
    groups: Sequence[Group],
    comment: Sequence[str],
    *,
    selector: str,
    runbook_url: str,
    severities: Mapping[str, str],
) -> str:
    """
    Return a monitoring mixin, as Jsonnet. Its ``_config`` has the selector, the runbook and the severities.

    Args:
        groups: the groups, whose selectors end with `MIXIN_SELECTOR`.
        comment: lines before the content.
        selector: the default of ``driftlineSelector``.
        runbook_url: the default of ``driftlineRunbookUrl``, which the annotations of the groups begin with.
        severities: the default of ``driftlineSeverities``, whose keys are the severities of the groups.
    """
    recorded = [group for group in groups if isinstance(group.rules[0], Recording)]
    alerting = [group for group in groups if not isinstance(group.rules[0], Recording)]
    config = {
        "driftlineSelector": selector,
        "driftlineRunbookUrl": runbook_url,
        "driftlineSeverities": dict(severities),
    }
    lines = [
        *(f"// {line}".rstrip() for line in comment),
        f"local selectAll = {json.dumps(MIXIN_SELECTOR)};",
        f"local runbookUrl = {json.dumps(runbook_url)};",
        f"local rules = {_json(as_document(recorded))};",
        f"local alerts = {_json(as_document(alerting))};",
        "{",
        f"  _config+:: {_json(config, 2)},",
        "  local config = self._config,",
        "  local narrow(text) =",
        "    local more = config.driftlineSelector;",
        "    if more == '' then",
        "      local places = [', ' + selectAll, ',' + selectAll, selectAll + ',', '{' + selectAll + '}'];",
        "      std.foldl(function(done, place) std.strReplace(done, place, ''), places, text)",
        "    else std.strReplace(text, selectAll, more),",
        "  local adapt(rule) = rule {",
        "    expr: narrow(super.expr),",
        "  } + (if std.objectHas(rule, 'alert') then {",
        "    labels+: { severity: config.driftlineSeverities[rule.labels.severity] },",
        "    annotations+: {",
        "      description: narrow(rule.annotations.description),",
        "      runbook_url: std.strReplace(rule.annotations.runbook_url, runbookUrl, config.driftlineRunbookUrl),",
        "    },",
        "  } else {}),",
        "  local adapted(document) = [",
        "    group { rules: [adapt(rule) for rule in super.rules] }",
        "    for group in document.groups",
        "  ],",
        "  prometheusRules+:: { groups+: adapted(rules) },",
        "  prometheusAlerts+:: { groups+: adapted(alerts) },",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _json(document: Any, indent: int = 0) -> str:
    """Return JSON, which Jsonnet contains, with an indent before each line but the first."""
    return json.dumps(document, indent=2, ensure_ascii=False).replace("\n", "\n" + " " * indent)


def _yaml(document: Mapping[str, Any], comment: Sequence[str]) -> str:
    return "\n".join([*(f"# {line}".rstrip() for line in comment), *_mapping(document, "")]) + "\n"


def _mapping(document: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in document.items():
        name = key if PLAIN_KEY.fullmatch(key) else _quoted(key)
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _mapping(value, f"{indent}  ")
        elif isinstance(value, str):
            yield from _string(name, value, indent)
        else:
            yield f"{indent}{name}:"
            for entry in value:
                first, *others = _mapping(entry, f"{indent}    ")
                yield f"{indent}  - {first.lstrip()}"
                yield from others


def _string(name: str, value: str, indent: str) -> Iterator[str]:
    """Return the lines of a string: a block where JSON would need escapes, and as JSON has it elsewhere."""
    if '"' in value and value.isprintable() and not value.startswith(" "):
        yield f"{indent}{name}: |-"
        yield f"{indent}  {value}"
    else:
        yield f"{indent}{name}: {_quoted(value)}"


def _quoted(value: str) -> str:
    """Return a string in double quotes, with escapes for what YAML forbids or folds."""
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(mark if mark.isprintable() else f"\\U{ord(mark):08x}" for mark in text) + '"'
