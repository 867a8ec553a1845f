"""`driftline dashboards` writes dashboards for Grafana."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from driftline._backends.prometheus import check_selector
from driftline._runtime.files import write_file
from driftline._runtime.output import say
from driftline.commands._promql_options import add_promql_arguments
from driftline.errors import ConfigurationError
from driftline.fleet._dashboards.model import one_model
from driftline.fleet._dashboards.overview import overview
from driftline.fleet._promql import PromQL

__all__ = ["add_arguments", "run"]

TAGS = ["driftline", "opentelemetry"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = "Write two dashboards for Grafana: all models at a glance, and one model."
    parser.add_argument("folder", metavar="FOLDER", help="folder to write them to")
    add_promql_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Write the dashboards, print the names of the files, and return 0."""
    promql = PromQL(options.names, options.temporality, selector=check_selector("--selector", options.selector))
    folder = Path(options.folder)
    if not folder.is_dir():
        msg = f"{folder}: expected a folder"
        raise ConfigurationError(msg)
    try:
        with warnings.catch_warnings():
            # The SDK prefers the schema that only Grafana 12 and later read. All versions import the classic one.
            warnings.simplefilter("ignore", DeprecationWarning)
            from driftline.fleet._dashboards.grafana import to_grafana  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"{error}: expected the extra 'dashboards', which needs Python 3.11 (pip install 'driftline[dashboards]')"
        raise ConfigurationError(msg) from error
    for dashboard in (overview(promql), one_model(promql)):
        file = folder / f"{dashboard.uid}.json"
        write_file(file, to_grafana(dashboard, TAGS).encode("utf-8"))
        say(str(file), sys.stdout)
    return 0
