"""`driftline series` prints how many series a monitor will export, without serving a prediction."""

from __future__ import annotations

import argparse
import json
import sys

from driftline._pipeline.planned_series import planned_series
from driftline._runtime import validation as check
from driftline._runtime.output import say
from driftline.detection import FalseAlarms
from driftline.detection._scoring import DEFAULT_DISTANCES, resolve_distances
from driftline.errors import ConfigurationError
from driftline.fleet._promql import SCOPES
from driftline.reference import Reference

__all__ = ["add_arguments", "run"]

MAX_INSTANCES = 1_000_000
"""Largest accepted ``--instances``. A larger number is a mistake."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Print the largest number of series that a monitor exports in each process, by metric. A histogram counts as "
        "in Prometheus: each bucket, the sum and the count. Outcomes, canaries and errors add further series."
    )
    parser.add_argument("reference", metavar="REFERENCE", help="the file of the reference")
    parser.add_argument("--distances", metavar="NAMES", help="Monitor(distances=...) (default psi,js,wasserstein,mean)")
    parser.add_argument("--lengths", metavar="WINDOWS", help="FalseAlarms(lengths=...) (default 1,4,16,64)")
    parser.add_argument("--scope", choices=SCOPES, default="process", help="FalseAlarms(scope=...)")
    parser.add_argument("--export-bins", action="store_true", help="Monitor(export_bins=True), and with --scope fleet")
    parser.add_argument("--no-duration", action="store_true", help="Monitor(export_duration=False)")
    parser.add_argument("--detectors", metavar="N", default="0", help="stream detectors of the monitor (default 0)")
    parser.add_argument("--instances", metavar="N", default="1", help="processes that serve the model (default 1)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the numbers, and return 0."""
    instances = _integer("--instances", options.instances, 1)
    fleet = options.scope == "fleet"
    rule = FalseAlarms(scope=options.scope)
    if options.lengths is not None:
        lengths = tuple(_integer("--lengths", length, 1) for length in options.lengths.split(","))
        rule = FalseAlarms(lengths=lengths, scope=options.scope)
    names = DEFAULT_DISTANCES if options.distances is None else options.distances.split(",")
    series = planned_series(
        Reference.load(options.reference),
        resolve_distances(names),
        rule,
        bins=options.export_bins or fleet,
        durations=not options.no_duration,
        fleet=fleet,
        detectors=_integer("--detectors", options.detectors, 0),
    )
    total = sum(series.values())
    if options.json:
        report = {"metrics": series, "total": total, "instances": instances, "total_of_instances": total * instances}
        say(json.dumps(report), sys.stdout)
        return 0
    rows = [*series.items(), ("in each process", total)]
    if instances > 1:
        rows.append((f"in {instances} processes", total * instances))
    widths = max(len(name) for name, _ in rows), max(len(f"{number:,}") for _, number in rows)
    for name, number in rows:
        say(f"{name:<{widths[0]}}  {number:>{widths[1]},}", sys.stdout)
    return 0


def _integer(name: str, value: str, at_least: int) -> int:
    """
    Return the integer of an argument.

    Raises:
        ConfigurationError: it is none, or out of range.
    """
    try:
        number = int(value)
    except ValueError:
        msg = f"{name}={value!r}: expected an integer of at least {at_least}"
        raise ConfigurationError(msg) from None
    return check.integer(name, number, at_least=at_least, at_most=MAX_INSTANCES)
