"""`driftline retraining replay` applies a policy of retraining to past windows."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from driftline._backends.counts import Grid
from driftline._runtime import validation as check
from driftline._runtime.output import say
from driftline.commands._fleet_options import FleetOptions, add_fleet_arguments
from driftline.commands._look import choose_past_model
from driftline.commands._prometheus import add_prometheus_arguments, prometheus_source
from driftline.commands._state_table import print_document
from driftline.errors import ConfigurationError
from driftline.fleet import FleetReader
from driftline.fleet._past import past_of_fleet, past_of_snapshots, read_snapshots
from driftline.fleet._promql import TEMPORALITIES
from driftline.retraining import RetrainingPolicy, RetrainingSituation

__all__ = ["add_replay_arguments", "replay"]


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the action to its parser."""
    parser.description = "Show when a policy would have made requests, over windows of the past."
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prometheus", metavar="URL", help="the server to which the processes of the model export")
    source.add_argument("--snapshots", metavar="FILE", help="a file with one snapshot in each line, as JSON")
    add_fleet_arguments(parser)
    add_prometheus_arguments(parser)
    parser.add_argument("--temporality", choices=TEMPORALITIES, default="cumulative", help="how counters are stored")
    parser.add_argument("--timeout", metavar="TIME", default="5min", help="longest time to read (default 5min)")
    policy = parser.add_argument_group("the policy")
    policy.add_argument("--min-drifting", metavar="N", type=int, default=1, help="features that drift (default 1)")
    policy.add_argument("--persistence", metavar="K/N", default="2/3", help="windows that must agree (default 2/3)")
    policy.add_argument("--cooldown", metavar="TIME", default="7d", help="pause after a request (default 7d)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def replay(options: argparse.Namespace) -> int:
    """
    Print the requests of the policy, and return 1 if there are any, 2 without windows, or else 0.

    Raises:
        ConfigurationError: an argument is wrong, or a file cannot be read.
        OSError: the store cannot be reached.
    """
    policy = RetrainingPolicy(
        min_drifting=options.min_drifting,
        persistence=_persistence(options.persistence),
        cooldown=options.cooldown,
    )
    asked = FleetOptions.read(options)
    history, name, version = _history(options, asked)
    result = policy.replay(history, model=name, version=version)
    if options.json:
        document: dict[str, Any] = {**asdict(result), "requests": [each.to_dict() for each in result.requests]}
        print_document(document)
    else:
        for line in str(result).splitlines():
            say(line, sys.stdout)
    if not result.windows:
        return 2
    return 1 if result.requests else 0


def _history(options: argparse.Namespace, asked: FleetOptions) -> tuple[Iterable[RetrainingSituation], str, str | None]:
    """Return a situation for each window, and the name and the version of the model."""
    if options.snapshots is not None:
        path = Path(options.snapshots)
        if not path.is_file():
            check.reject("--snapshots", options.snapshots, "a file of snapshots")
        past = past_of_snapshots(asked.reference, read_snapshots(path), asked.window, asked.rule)
        return past, asked.model or "model", asked.version
    seconds, now = asked.window.seconds or 0.0, time.time()
    deadline = time.monotonic() + check.duration("--timeout", options.timeout)
    source = prometheus_source(options, deadline=deadline, temporality=options.temporality)
    model = choose_past_model(asked, source, now)
    end = math.floor((now - asked.interval) / seconds) * seconds
    start = end - asked.windows * seconds
    blocks, _, notes = FleetReader(source, asked.reference, model).read(
        Grid(start, asked.step, round((end - start) / asked.step) + 1)
    )
    for note in notes:
        say(note, sys.stderr)
    return past_of_fleet(asked.reference, asked.build(), blocks), model.name, model.version


def _persistence(text: str) -> tuple[int, int]:
    """
    Return the two numbers of ``K/N``.

    Raises:
        ConfigurationError: the text is something else.
    """
    least, _, last = text.partition("/")
    if not (least.isascii() and least.isdigit() and last.isascii() and last.isdigit() and len(text) < 20):  # noqa: PLR2004
        msg = f"--persistence {text}: expected two numbers such as 2/3"
        raise ConfigurationError(msg)
    return int(least), int(last)
