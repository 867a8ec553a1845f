"""`driftline collector` writes configurations of the OpenTelemetry Collector, one for each backend."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

from driftline._runtime.files import write_file
from driftline.commands._rules import print_text
from driftline.fleet._collector.backend import TEMPORALITIES
from driftline.fleet._collector.backends import BACKENDS
from driftline.fleet._collector.configuration import BINS, KEEP, Configuration
from driftline.fleet._collector.kubernetes import HEALTH, KINDS, SIDECAR, to_manifests
from driftline.fleet._collector.layout import to_yaml

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Write a configuration of the OpenTelemetry Collector. Its head lists the variables that it reads, "
        "secrets included."
    )
    parser.add_argument("--backend", required=True, choices=tuple(BACKENDS), help="where telemetry goes")
    parser.add_argument("--gateway", action="store_true", help="add up the counters of all processes")
    parser.add_argument(
        "--bins",
        choices=BINS,
        default=KEEP,
        help="counts per bin: to the backend, nowhere, or to driftline judge alone (default keep)",
    )
    parser.add_argument(
        "--temporality", choices=TEMPORALITIES, help="counters that the backend gets (default: what suits it)"
    )
    parser.add_argument("--kubernetes", choices=KINDS, help="write manifests of Kubernetes in place of a file")
    parser.add_argument("--output", metavar="FILE", help="file to write (default: the standard output)")


def run(options: argparse.Namespace) -> int:
    """Write the configuration, and return 0."""
    configuration = Configuration.of(
        options.backend, gateway=options.gateway, bins=options.bins, temporality=options.temporality
    )
    if options.kubernetes:
        probed = options.kubernetes != SIDECAR
        configuration = replace(configuration, further=(HEALTH,) if probed else ())
    text = to_yaml(configuration, _command(options))
    if options.kubernetes:
        text = to_manifests(options.kubernetes, text, gateway=options.gateway)
    if options.output is None:
        print_text(text)
    else:
        write_file(Path(options.output), text.encode("utf-8"))
    return 0


def _command(options: argparse.Namespace) -> str:
    """Return the command that writes the same file again."""
    words = ["driftline", "collector", "--backend", options.backend]
    words += ["--gateway"] if options.gateway else []
    words += ["--bins", options.bins] if options.bins != KEEP else []
    words += ["--temporality", options.temporality] if options.temporality else []
    words += ["--kubernetes", options.kubernetes] if options.kubernetes else []
    return shlex.join(words)
