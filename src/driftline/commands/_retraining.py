"""`driftline retraining` shows the requests in a queue, reports how far they are, and replays a policy on the past."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path

from driftline._runtime import validation as check
from driftline._runtime.output import say
from driftline.commands._state_table import print_columns, print_document
from driftline.errors import ConfigurationError
from driftline.retraining import RetrainingQueue, RetrainingRequest
from driftline.retraining._states import OPEN, RequestState

__all__ = ["add_arguments", "run"]

HEADINGS = ("id", "kind", "model", "version", "state", "seen", "times", "why")

STYLES = {
    "requested": "bold red",
    "acknowledged": "yellow",
    "running": "cyan",
    "succeeded": "green",
    "failed": "bold red",
    "rejected": "dim",
    "expired": "dim",
    "superseded": "dim",
}
"""Colours of the states on a terminal."""

REPORTS: Mapping[str, tuple[RequestState, str]] = {
    "ack": ("acknowledged", "report that a person or a program has taken a request"),
    "start": ("running", "report that the pipeline runs"),
    "done": ("succeeded", "report that the pipeline has ended"),
    "reject": ("rejected", "decide against a request; of a fix, that the data are right"),
}
"""The state that each action reports, and its help."""

MAX_WHY = 100
"""Characters of the reason in a table. `show` has all of it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Show the requests for retraining in a queue, and report how far they are. Exit codes: list: 1 if a request is "
        "open, else 0; replay: 1 if there would have been a request, 2 without windows, else 0; the others: 0."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _action(actions.add_parser("list", help="list the open requests"))
    listing.add_argument("--all", action="store_true", help="list closed requests too")
    listing.add_argument("--model", metavar="NAME", help="the requests of this model alone")
    _action(actions.add_parser("show", help="show a request with its evidence and its history"), with_id=True)
    for name, (_, text) in REPORTS.items():
        report = _action(actions.add_parser(name, help=text), with_id=True)
        report.add_argument("--who", metavar="NAME", help="who reports it (default: the user of this terminal)")
        report.add_argument("--comment", metavar="TEXT", default="", help="what there is to know about it")
        if name == "done":
            report.add_argument("--failed", action="store_true", help="it has failed")
    from driftline.commands._replay import add_replay_arguments  # noqa: PLC0415 - imports the fleet

    add_replay_arguments(actions.add_parser("replay", help="show when a policy would have made requests"))


def _action(parser: argparse.ArgumentParser, *, with_id: bool = False) -> argparse.ArgumentParser:
    if with_id:
        parser.add_argument("id", metavar="ID", help="the id of the request, or the start of it that no other one has")
    parser.add_argument("--queue", metavar="FILE", required=True, help="the file of the RetrainingQueue")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the action, and return the exit code."""
    if options.action == "replay":
        from driftline.commands._replay import replay  # noqa: PLC0415 - imports the fleet

        return replay(options)
    queue = _open(options.queue)
    try:
        if options.action == "list":
            return _list(queue, options)
        request = _find(queue, options.id)
        if options.action != "show":
            state: RequestState = "failed" if getattr(options, "failed", False) else REPORTS[options.action][0]
            who = options.who or _user()
            request = queue.move(request.id, state, who=who, comment=options.comment)
    finally:
        queue.close()
    if options.json:
        print_document(request.to_dict())
    elif options.action == "show":
        _show(request)
    else:
        say(f"{request.id} is {request.state}", sys.stdout)
    return 0


def _open(path: str) -> RetrainingQueue:
    """
    Return the queue of an existing file.

    Raises:
        ConfigurationError: there is no such file, or it is no queue.
    """
    if not Path(path).is_file():
        check.reject("--queue", path, "the file of a RetrainingQueue")
    return RetrainingQueue(path)


def _find(queue: RetrainingQueue, start: str) -> RetrainingRequest:
    """
    Return the request with an id, or with the only id that begins so.

    Raises:
        ConfigurationError: there is none, or there are several.
    """
    request = queue.find(start)
    if request is not None:
        return request
    matching = [each for each in queue.requests() if each.id.startswith(start)]
    if len(matching) != 1 or not start:
        expected = "the id of a request in the queue" if not matching else "the start of one id only"
        raise ConfigurationError(f"{start[:80]!r}: {len(matching)} requests, expected {expected}")  # noqa: EM102, TRY003
    return matching[0]


def _list(queue: RetrainingQueue, options: argparse.Namespace) -> int:
    requests = queue.requests(options.model, states=() if options.all else OPEN)
    is_open = any(request.is_open for request in requests)
    if options.json:
        print_document({"requests": [request.to_dict() for request in requests]})
    elif not requests:
        say("no request" if options.all else "no open request", sys.stdout)
    else:
        print_columns(HEADINGS, [_row(request) for request in requests], {"times"}, STYLES)
    return 1 if is_open else 0


def _row(request: RetrainingRequest) -> tuple[str, ...]:
    seen = request.created if request.last_seen is None else request.last_seen
    why = request.detail if len(request.detail) <= MAX_WHY else f"{request.detail[:MAX_WHY]}…"
    return (
        request.id,
        request.kind.replace("_", " "),
        request.model,
        request.version or "",
        request.state,
        _ago(time.time() - seen),
        str(request.count),
        why,
    )


def _ago(seconds: float) -> str:
    """
    Return a time before now in few characters.

    >>> _ago(30.0), _ago(7_300.0), _ago(200_000.0)
    ('now', '2h ago', '2d ago')
    """
    for unit, name in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f}{name} ago"
    return "now"


def _show(request: RetrainingRequest) -> None:
    version = f", version {request.version}" if request.version else ""
    say(f"{request.id}: {request.kind.replace('_', ' ')} of {request.model}{version}, {request.state}", sys.stdout)
    for evidence in request.evidence:
        say(f"  {evidence.reason.replace('_', ' ')}: {evidence.words}", sys.stdout)
    if not request.evidence:
        say(f"  {request.reason}: {request.detail}", sys.stdout)
    parts: list[tuple[str, object, Callable[..., str]]] = [
        ("reference", request.reference, str),
        ("window", request.window, str),
        ("data from", request.data_from, _time),
        ("data until", request.data_until, _time),
        ("seen last", request.last_seen, _time),
        ("times", request.count, str),
    ]
    for name, value, write in parts:
        if value is not None:
            say(f"  {name:<10}  {write(value)}", sys.stdout)
    for transition in request.history:
        comment = f": {transition.comment}" if transition.comment else ""
        say(f"  {_time(transition.at)}  {transition.state} by {transition.who}{comment}", sys.stdout)


def _time(seconds: float) -> str:
    """Return a Unix time as a string."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return str(seconds)


def _user() -> str:
    """Return the name of the user, or another one if the system has none for this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "command line"
