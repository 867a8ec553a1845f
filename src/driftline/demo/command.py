"""Parses the command line of the demo, and runs the demo."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection

from driftline.demo.flights import START, hour_to_date, load
from driftline.demo.receiver import Finished, Span, receive
from driftline.demo.replay import CANDIDATES, DAY, INCIDENTS, WEEK, Replay
from driftline.demo.telemetry import Telemetry, set_up
from driftline.errors import ConfigurationError
from driftline.fleet._receiver.addresses import Address
from driftline.otlp import OtlpSetup

__all__ = ["run"]

EXPORT_MILLISECONDS = "500"
"""Milliseconds between two exports, so short that the picture moves. A string, because it is set in the environment."""

WEEKS = 52
"""Number of weeks in the data."""

PAGE_PORT = 8322
PAGE = f"127.0.0.1:{PAGE_PORT}"
"""Where a page is served by default."""

LINE_DAYS = 14
"""Simulated days between two lines of output with ``--otlp``."""


@dataclass(frozen=True, slots=True)
class Options:
    """
    The options of the command line.

    Attributes:
        otlp: URL of a collector; None to draw in this terminal.
        page: where a page is served instead; None for no page.
        incident: a key of `INCIDENTS`; any other name means no incident.
        incident_at: hours from `START` at which the incident starts.
        candidate: a key of `CANDIDATES`.
        training_weeks: weeks at the start on which the models are fitted.
        weeks: weeks from `START` at which the demo ends.
        seconds: seconds of real time after which the demo ends; None for no limit.
    """

    otlp: str | None
    page: Address | None
    incident: str
    incident_at: int
    candidate: str
    training_weeks: int
    weeks: int
    seconds: float | None


def parse_options(arguments: list[str]) -> Options:
    """Parse the arguments of the command line. For a wrong argument, exit with a message."""
    parser = argparse.ArgumentParser(
        prog="python -m driftline.demo",
        description="Serve a year of flights with two models, and show their telemetry.",
    )
    parser.add_argument("--otlp", metavar="URL", help="send to this collector instead of drawing")
    parser.add_argument(
        "--web", metavar="HOST:PORT", nargs="?", const=PAGE, help=f"serve a page instead of drawing (default {PAGE})"
    )
    parser.add_argument("--incident", choices=["none", *INCIDENTS], default="none", help="break a feature midway")
    parser.add_argument(
        "--incident-at", metavar="DATE", default=None, help="start of the incident (default: 2013-09-01)"
    )
    parser.add_argument(
        "--candidate", choices=[*CANDIDATES], default="healthy", help="the release that the canary decides on"
    )
    parser.add_argument("--weeks", type=int, default=WEEKS, help="end after this week of the year (default: 52)")
    parser.add_argument("--seconds", type=float, default=None, help="end after this many seconds")
    parser.add_argument("--quick", action="store_true", help="a few weeks only")
    parsed = parser.parse_args(arguments)
    training_weeks, weeks, at = (3, 8, "2013-02-19") if parsed.quick else (6, parsed.weeks, "2013-09-01")
    if not training_weeks < weeks <= WEEKS:
        parser.error(
            f"--weeks {weeks}: expected more than {training_weeks}, which the models are fitted on, and at most {WEEKS}"
        )
    if parsed.seconds is not None and not parsed.seconds > 0:
        parser.error(f"--seconds {parsed.seconds:g}: expected a positive number")
    if parsed.otlp is not None and not parsed.otlp.startswith(("http://", "https://")):
        parser.error(f"--otlp {parsed.otlp}: expected a URL such as http://localhost:4318")
    if parsed.otlp is not None and parsed.web is not None:
        parser.error("--otlp and --web: expected one of them")
    try:
        page = None if parsed.web is None else Address.parse("--web", parsed.web, PAGE_PORT)
    except ConfigurationError as error:
        parser.error(str(error))
    try:
        when = datetime.strptime(parsed.incident_at or at, "%Y-%m-%d")  # noqa: DTZ007 - local time, as the data
    except ValueError:
        parser.error(f"--incident-at {parsed.incident_at}: expected a date such as 2013-09-01")
    hour = int((when - START).total_seconds() // 3600)
    return Options(parsed.otlp, page, parsed.incident, hour, parsed.candidate, training_weeks, weeks, parsed.seconds)


def run(arguments: list[str]) -> bool:
    """
    Run the demo with the *arguments* of its command line. Return whether Ctrl-C ended the demo.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed before the first prediction.
    """
    options = parse_options(arguments)
    # The demo exists to show telemetry, so it ignores variables that turn telemetry off.
    for name in ("OTEL_SDK_DISABLED", "DRIFTLINE_ENABLED"):
        os.environ.pop(name, None)
    os.environ.setdefault("OTEL_METRIC_EXPORT_INTERVAL", EXPORT_MILLISECONDS)
    os.environ.setdefault("OTEL_BLRP_SCHEDULE_DELAY", EXPORT_MILLISECONDS)
    # The demo knows that eight weeks of weather are few. The warning about it would break the screen.
    logging.getLogger("driftline").addHandler(logging.NullHandler())
    print("reading the flights and fitting the models ...", flush=True)
    flights = load()
    incident = INCIDENTS.get(options.incident)
    shift = None if incident is None else incident.shift
    replay = Replay(
        flights, options.training_weeks, options.weeks * WEEK, shift, options.incident_at, options.candidate
    )
    print(f"candidate: {CANDIDATES[options.candidate]}", flush=True)
    if incident is not None:
        print(f"incident: from {hour_to_date(options.incident_at):%Y-%m-%d} on, {incident.description}", flush=True)
    return _to_collector(replay, options, options.otlp) if options.otlp else _to_screen(replay, options)


def _to_screen(replay: Replay, options: Options) -> bool:
    """Run the demo with a receiver that draws in this terminal. Return whether Ctrl-C ended the demo."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))
    # The receiver reads totals, so the demo ignores the temporality that this shell prefers.
    os.environ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "cumulative"
    with _receiver(replay, options.page) as (pipe, port):
        telemetry = set_up(f"http://127.0.0.1:{port}", "http/protobuf", replay.hour)
        interrupted = _serve(replay, options, telemetry)
        with suppress(KeyboardInterrupt):
            _finish(replay, telemetry.setup)
        with suppress(OSError):  # the receiver may have been killed
            pipe.send(Finished(replay.sent.predictions, interrupted))
    return interrupted


def _to_collector(replay: Replay, options: Options, url: str) -> bool:
    """Run the demo with a collector at *url*, and print lines. Return whether Ctrl-C ended the demo."""
    telemetry = set_up(url, None, replay.hour)
    print(f"sending to {url}; these lines come from the monitors of this process")
    interrupted = _serve(replay, options, telemetry, print_lines=True)
    _finish(replay, telemetry.setup)
    statuses = replay.baseline.status()
    drifting = [name for name, status in statuses.items() if status.state == "drifting"]
    print(f"{replay.sent.predictions:,} predictions made, {replay.sent.outcomes:,} outcomes added.")
    for name in drifting:
        reason = statuses[name].reason.removeprefix(f"{name}: ")
        print(f"drifting at the end: {name}: {reason}")
    verdict = replay.canary.verdict()
    print(f"canary: {verdict.state}, {verdict.reason}")
    return interrupted


def _serve(replay: Replay, options: Options, telemetry: Telemetry, *, print_lines: bool = False) -> bool:
    """Serve all days, or as many as `Options.seconds` allows. Return whether Ctrl-C ended the service."""
    end = None if options.seconds is None else time.monotonic() + options.seconds
    interrupted = threading.Event()
    # An interrupt within a call would abort a prediction, so it takes effect at the end of a day.
    previous_handler = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        for day, hour in enumerate(replay.days()):
            telemetry.emit_day(hour)
            if hour % DAY:
                # The replay yields in the first morning, before any outcome. Export the estimate of accuracy now.
                telemetry.setup.force_flush()
            if print_lines and day % LINE_DAYS == 0:
                drifting = [name for name, status in replay.baseline.status().items() if status.state == "drifting"]
                print(
                    f"{hour_to_date(hour):%Y-%m-%d}  {replay.sent.predictions:,} predictions; "
                    f"drifting: {', '.join(drifting) or 'nothing'}",
                    flush=True,
                )
            if interrupted.is_set() or (end is not None and time.monotonic() > end):
                break
    finally:
        signal.signal(signal.SIGINT, previous_handler)
    return interrupted.is_set()


def _finish(replay: Replay, setup: OtlpSetup) -> None:
    replay.baseline.shutdown()
    replay.candidate.shutdown()
    setup.force_flush()
    setup.shutdown()


@contextmanager
def _receiver(replay: Replay, page: Address | None) -> Iterator[tuple[Connection, int]]:
    """Start the receiver's process, and yield (pipe to it, its HTTP port). At exit, wait until the process ends."""
    context = multiprocessing.get_context("spawn")
    parent_pipe, child_pipe = context.Pipe()
    span = Span(replay.first, replay.until)
    child = context.Process(
        target=receive, args=(child_pipe, replay.reference.to_json(), span, page), name="receiver", daemon=True
    )
    # Ctrl-C reaches every process of the group. The child ignores it from its start, because this process ends first
    # and then sends `Finished`.
    previous_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.start()
    finally:
        signal.signal(signal.SIGINT, previous_handler)
    child_pipe.close()
    try:
        port = parent_pipe.recv()
        yield parent_pipe, port
    finally:
        parent_pipe.close()
        child.join(10)
