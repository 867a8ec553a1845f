"""Arguments that say how a backend names and stores metrics. The commands that write PromQL have them."""

from __future__ import annotations

import argparse

from driftline._backends.names import NAME_STYLES
from driftline.fleet._promql import TEMPORALITIES

__all__ = ["add_promql_arguments"]


def add_promql_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser."""
    parser.add_argument(
        "--names", choices=tuple(NAME_STYLES), default="underscores", help="how the backend spells names"
    )
    parser.add_argument("--temporality", choices=TEMPORALITIES, default="cumulative", help="how counters are stored")
    parser.add_argument(
        "--selector", metavar="MATCHERS", default="", help="matchers of all series, such as 'namespace=\"prod\"'"
    )
