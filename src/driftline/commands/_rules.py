"""`driftline rules` writes recording and alerting rules for Prometheus and its relatives."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from driftline._backends.prometheus import check_selector
from driftline._runtime import validation as check
from driftline._runtime.files import write_file
from driftline._runtime.output import discard, escape
from driftline._runtime.version import VERSION
from driftline.commands._promql_options import add_promql_arguments
from driftline.errors import ConfigurationError
from driftline.fleet._promql import SCOPES, PromQL
from driftline.fleet._rules.alerts import SEVERITIES
from driftline.fleet._rules.formats import MIXIN_SELECTOR, to_mixin, to_operator, to_prometheus
from driftline.fleet._rules.rules import RUNBOOK_URL, RuleOptions, build_groups
from driftline.reference import Reference

__all__ = ["add_arguments", "print_text", "run"]

FORMATS = ("prometheus", "operator", "mixin")

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
"""A label. Those with dots are labels of backends that keep OpenTelemetry's names."""

RESOURCE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""The name of a Kubernetes resource."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = "Write recording and alerting rules. One alert names a model, its description the features."
    parser.add_argument(
        "--format", choices=FORMATS, default="prometheus", help="format of the output (default YAML of Prometheus)"
    )
    parser.add_argument("--output", metavar="FILE", help="file to write (default: the standard output)")
    add_promql_arguments(parser)
    parser.add_argument(
        "--scope",
        choices=SCOPES,
        default="process",
        help="whose states alert: each process's, or those of the whole fleet",
    )
    parser.add_argument(
        "--keep", metavar="LABEL", action="append", default=[], help="label that tells models apart beside the name"
    )
    parser.add_argument(
        "--window", metavar="TIME", default="1h", help="time that counters are added up over (default 1h)"
    )
    parser.add_argument(
        "--max-failures", metavar="SHARE", type=float, default=0.05, help="largest share of failed predictions"
    )
    parser.add_argument(
        "--min-accuracy", metavar="SHARE", type=float, help="smallest accuracy (default: no such alert)"
    )
    parser.add_argument(
        "--reference",
        metavar="MODEL=FILE",
        action="append",
        default=[],
        help="compute PSI and mean shifts against this reference",
    )
    parser.add_argument("--psi", metavar="PSI", type=float, help="smallest PSI that alerts (default: no such alert)")
    parser.add_argument("--mean", metavar="SIGMA", type=float, help="smallest shift of a mean that alerts")
    parser.add_argument(
        "--severity",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="value of the label for critical, warning or info",
    )
    parser.add_argument("--runbook-url", metavar="URL", default=RUNBOOK_URL, help="page with a heading for each alert")
    parser.add_argument(
        "--grafana-url",
        metavar="URL",
        default="",
        help="Grafana with the dashboards of driftline, to which alerts lead",
    )
    parser.add_argument(
        "--resource-name", metavar="NAME", default="driftline", help="name of the operator's PrometheusRule"
    )
    parser.add_argument(
        "--resource-label", metavar="NAME=VALUE", action="append", default=[], help="label of the PrometheusRule"
    )


def run(options: argparse.Namespace) -> int:
    """Write the rules, and return 0."""
    selector = check_selector("--selector", options.selector)
    for label in options.keep:
        if not LABEL.fullmatch(label):
            msg = f"--keep {label}: expected the name of a label"
            raise ConfigurationError(msg)
    mixin = options.format == "mixin"
    severities = _pairs("--severity", options.severity)
    rules = RuleOptions(
        promql=PromQL(
            options.names,
            options.temporality,
            options.scope,
            MIXIN_SELECTOR if mixin else selector,
            tuple(options.keep),
        ),
        seconds=check.duration("--window", options.window),
        max_failures=options.max_failures,
        min_accuracy=options.min_accuracy,
        references={model: Reference.load(file) for model, file in _pairs("--reference", options.reference).items()},
        psi=options.psi,
        mean=options.mean,
        severities={} if mixin else severities,
        runbook_url=options.runbook_url,
        grafana_url=options.grafana_url,
    )
    for name in severities:
        check.one_of("--severity", name, SEVERITIES)
    if not RESOURCE.fullmatch(options.resource_name):
        msg = f"--resource-name {options.resource_name}: expected the name of a Kubernetes resource"
        raise ConfigurationError(msg)
    groups, comment = build_groups(rules), _comment(options)
    if mixin:
        text = to_mixin(
            groups,
            comment,
            selector=selector,
            runbook_url=options.runbook_url,
            severities={name: severities.get(name, name) for name in SEVERITIES},
        )
    elif options.format == "operator":
        labels = _pairs("--resource-label", options.resource_label)
        text = to_operator(groups, comment, options.resource_name, labels)
    else:
        text = to_prometheus(groups, comment)
    if options.output is None:
        print_text(text)
    else:
        write_file(Path(options.output), text.encode("utf-8"))
    return 0


def print_text(text: str) -> None:
    """
    Write to the standard output, in UTF-8 whatever the terminal has: a server reads it.

    Raises:
        OSError: it is closed, or its disk is full.
    """
    if sys.stdout is None:
        msg = "the standard output is closed"
        raise OSError(msg)
    try:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
        raise


def _pairs(argument: str, items: Iterable[str]) -> dict[str, str]:
    """
    Return the pairs of an argument that may be repeated.

    Raises:
        ConfigurationError: an item has no equals sign, or a name occurs twice.
    """
    pairs: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not (name and equals and value):
            msg = f"{argument} {item}: expected NAME=VALUE"
            raise ConfigurationError(msg)
        if name in pairs:
            msg = f"{argument} {item}: expected {name} once"
            raise ConfigurationError(msg)
        pairs[name] = value
    return pairs


def _comment(options: argparse.Namespace) -> list[str]:
    """Return the lines that say how to write the file again."""
    words = [
        ("--format", options.format, "prometheus"),
        ("--names", options.names, "underscores"),
        ("--temporality", options.temporality, "cumulative"),
        ("--scope", options.scope, "process"),
        ("--window", options.window, "1h"),
        ("--selector", options.selector, ""),
    ]
    changed = [word for name, value, usual in words if value != usual for word in (name, value)]
    command = shlex.join(["driftline", "rules", *changed])
    return [f"Written by driftline {VERSION}: {escape(command)}", "Change the arguments, not this file."]
