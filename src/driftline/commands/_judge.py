"""`driftline judge` evaluates all processes that serve a model together; the exit code says whether it drifts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from driftline._backends.http import within_seconds
from driftline._runtime import validation as check
from driftline._runtime.output import say
from driftline.commands._fleet_options import FleetOptions, add_fleet_arguments
from driftline.commands._fleet_table import fleet_document, print_table
from driftline.commands._look import FleetLook, look
from driftline.commands._prometheus import add_prometheus_arguments, prometheus_source
from driftline.commands._state import locked_state
from driftline.commands._state_table import EXIT_CODES, print_document
from driftline.commands._watch_options import add_watch_arguments, check_watch_arguments
from driftline.fleet._promql import TEMPORALITIES

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Evaluate all processes that serve a model together, by the counts that they export with "
        "Monitor(export_bins=True)."
    )
    parser.add_argument("--prometheus", metavar="URL", help="the server to which the processes export")
    add_fleet_arguments(parser)
    add_prometheus_arguments(parser)
    parser.add_argument(
        "--temporality",
        choices=TEMPORALITIES,
        default="cumulative",
        help="what samples of counters are in the store (default cumulative)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--labels", action="store_true", help="name categories in reasons")
    parser.add_argument("--timeout", metavar="TIME", default="5min", help="longest time to read (default 5min)")
    add_watch_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the states of all features, and return the exit code; or evaluate until a signal ends the process."""
    check_watch_arguments(options)
    asked = FleetOptions.read(options)
    if options.watch:
        from driftline.commands._watch import watch  # noqa: PLC0415 - needs the extra judge

        return watch(options, asked)
    seconds = check.duration("--timeout", options.timeout)
    source = prometheus_source(options, deadline=time.monotonic() + seconds, temporality=options.temporality)
    with ExitStack() as stack:
        file = None if options.state is None else locked_state(options.state, stack)
        read: Callable[[], FleetLook] = partial(look, asked, source, file, time.time())
        model, judge, notes = within_seconds(read, seconds, "complete reading")
    for note in notes:
        say(note, sys.stderr)
    result = judge.result()
    states = result.features
    if not options.labels:
        states = {name: judge.without_categories(name, status) for name, status in states.items()}
    if options.json:
        print_document(fleet_document(model, result, states, asked.window.label, notes))
    else:
        print_table(model, result, states, asked.window.label)
    return EXIT_CODES[result.state]
