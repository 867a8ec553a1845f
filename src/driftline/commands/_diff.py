"""`driftline diff` prints how two references differ."""

from __future__ import annotations

import argparse
import sys

from driftline._files.difference import compare
from driftline._runtime.output import say
from driftline.commands._state_table import finite, print_columns, print_document
from driftline.reference import Reference

__all__ = ["add_arguments", "run"]

SCHEMA_VERSION = 1
"""Version of the form of the JSON."""

HEADINGS = ("feature", "difference")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Print how two references differ: in features, in kinds, and in means, spreads, categories and missing values "
        "by as much as counts as a drift. It compares figures and tests nothing. The exit code is 1 if they differ."
    )
    parser.add_argument("before", metavar="BEFORE", help="the file of a reference")
    parser.add_argument("after", metavar="AFTER", help="the file of another one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the differences. Return 1 if there are any, else 0."""
    before, after = Reference.load(options.before), Reference.load(options.after)
    differences = compare(before, after)
    changed = [each for each in differences if each.changed]
    same_bins = before.fingerprint == after.fingerprint
    if options.json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "rows": [before.rows, after.rows],
            "same_bins": same_bins,
            "changed": len(changed),
            "features": [
                {
                    "name": each.name,
                    "changed": each.changed,
                    "difference": each.words,
                    "figures": {name: finite(figure) for name, figure in each.figures.items()},
                }
                for each in differences
            ],
        }
        print_document(document)
        return int(bool(changed))
    bins = "the same bins" if same_bins else "other bins"
    say(
        f"{len(changed)} of {len(differences)} features differ; {before.rows:,} and {after.rows:,} rows, {bins}",
        sys.stdout,
    )
    if changed:
        print_columns(HEADINGS, [(each.name, each.words) for each in changed])
    return int(bool(changed))
