"""What was asked for on the command line, and the run: serve, send, and end when told to."""

from __future__ import annotations

import argparse
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
from driftline.demo.receiver import Finished, receive
from driftline.demo.replay import CANDIDATES, DAY, INCIDENTS, WEEK, Replay
from driftline.demo.screen import Span
from driftline.demo.summary import named
from driftline.demo.telemetry import Telemetry, set_up
from driftline.otlp import OtlpSetup

__all__ = ["run"]

EXPORT_MILLISECONDS = "500"
WEEKS = 52


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line."""

    otlp: str | None
    incident: str
    incident_at: int
    candidate: str
    training_weeks: int
    weeks: int
    seconds: float | None


def asked_for(arguments: list[str]) -> Asked:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m driftline.demo", description=__doc__)
    parser.add_argument("--otlp", metavar="URL", help="send to this collector instead of drawing what arrives")
    parser.add_argument("--incident", choices=["none", *INCIDENTS], default="none", help="break a feature half-way")
    parser.add_argument("--incident-at", metavar="DATE", default=None, help="when (default 2013-09-01)")
    parser.add_argument("--candidate", choices=[*CANDIDATES], default="healthy", help="what the canary has to judge")
    parser.add_argument("--weeks", type=int, default=WEEKS, help="end after so many weeks of the year (default: all)")
    parser.add_argument("--seconds", type=float, default=None, help="end after so many seconds at the latest")
    parser.add_argument("--quick", action="store_true", help="a few weeks only")
    given = parser.parse_args(arguments)
    training_weeks, weeks, at = (3, 8, "2013-02-19") if given.quick else (6, given.weeks, "2013-09-01")
    if not training_weeks < weeks <= WEEKS:
        parser.error(
            f"--weeks {weeks}: expected more than {training_weeks}, which the model is fitted on, and at most {WEEKS}"
        )
    if given.seconds is not None and not given.seconds > 0:
        parser.error(f"--seconds {given.seconds:g}: expected a positive number")
    if given.otlp is not None and not given.otlp.startswith(("http://", "https://")):
        parser.error(f"--otlp {given.otlp}: expected a URL such as http://localhost:4318")
    try:
        when = datetime.strptime(given.incident_at or at, "%Y-%m-%d")  # noqa: DTZ007 - local time, as the data
    except ValueError:
        parser.error(f"--incident-at {given.incident_at}: expected a date such as 2013-09-01")
    hour = int((when - START).total_seconds() // 3600)
    return Asked(given.otlp, given.incident, hour, given.candidate, training_weeks, weeks, given.seconds)


def run(arguments: list[str]) -> bool:
    """
    Run the demo; whether Ctrl-C ended it.

    Raises:
        KeyboardInterrupt: Ctrl-C before anything was served.
    """
    asked = asked_for(arguments)
    # The demo is for looking: what switches telemetry off or redirects it elsewhere does not apply to it.
    for name in ("OTEL_SDK_DISABLED", "DRIFTLINE_ENABLED"):
        os.environ.pop(name, None)
    os.environ.setdefault("OTEL_METRIC_EXPORT_INTERVAL", EXPORT_MILLISECONDS)
    os.environ.setdefault("OTEL_BLRP_SCHEDULE_DELAY", EXPORT_MILLISECONDS)
    print("reading the flights and fitting the models ...", flush=True)
    flights = load()
    incident = INCIDENTS.get(asked.incident)
    shift = None if incident is None else incident.shift
    replay = Replay(flights, asked.training_weeks, asked.weeks * WEEK, shift, asked.incident_at, asked.candidate)
    print(f"candidate: {CANDIDATES[asked.candidate]}", flush=True)
    if incident is not None:
        print(f"incident: from {hour_to_date(asked.incident_at):%Y-%m-%d} on {incident.words}", flush=True)
    return _to_collector(replay, asked, asked.otlp) if asked.otlp else _to_screen(replay, asked)


def _to_screen(replay: Replay, asked: Asked) -> bool:
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))
    # The picture adds up totals: whatever this shell prefers for its own services.
    os.environ["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"] = "cumulative"
    with _receiver(replay) as (pipe, port):
        telemetry = set_up(f"http://127.0.0.1:{port}", "http/protobuf", replay.hour)
        interrupted = _serve(replay, asked, telemetry)
        with suppress(KeyboardInterrupt):
            _finish(replay, telemetry.setup)
        with suppress(OSError):  # the receiver may have been killed
            pipe.send(Finished(replay.counted.predictions, interrupted))
    return interrupted


def _to_collector(replay: Replay, asked: Asked, url: str) -> bool:
    telemetry = set_up(url, None, replay.hour)
    print(f"sending to {url}: what follows is what the monitors here say")
    interrupted = _serve(replay, asked, telemetry, say=True)
    _finish(replay, telemetry.setup)
    status = replay.baseline.status()
    drifting = [name for name, one in status.items() if one.state == "drifting"]
    print(f"{replay.counted.predictions:,} predictions made and {replay.counted.outcomes:,} outcomes told.")
    for name in drifting:
        print(f"drifting at the end: {named(name, status[name].reason)}")
    verdict = replay.canary.verdict()
    print(f"canary: {verdict.state}, {verdict.reason}")
    return interrupted


def _serve(replay: Replay, asked: Asked, telemetry: Telemetry, *, say: bool = False) -> bool:
    """Serve until the end; whether Ctrl-C ended it."""
    end = None if asked.seconds is None else time.monotonic() + asked.seconds
    interrupted = threading.Event()
    # A day is served to its end: an interrupt within a call would leave one prediction half made.
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        for day, hour in enumerate(replay.days()):
            telemetry.day_began(hour)
            if hour % DAY:
                # The first morning is over in no time: what was estimated then is sent now.
                telemetry.setup.force_flush()
            if say and day % 14 == 0:
                drifting = [name for name, one in replay.baseline.status().items() if one.state == "drifting"]
                print(
                    f"{hour_to_date(hour):%Y-%m-%d}  {replay.counted.predictions:,} predictions; "
                    f"drifting: {', '.join(drifting) or 'nothing'}",
                    flush=True,
                )
            if interrupted.is_set() or (end is not None and time.monotonic() > end):
                break
    finally:
        signal.signal(signal.SIGINT, before)
    return interrupted.is_set()


def _finish(replay: Replay, setup: OtlpSetup) -> None:
    replay.baseline.shutdown()
    replay.candidate.shutdown()
    setup.force_flush()
    setup.shutdown()


@contextmanager
def _receiver(replay: Replay) -> Iterator[tuple[Connection, int]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    span = Span(replay.first, replay.until)
    child = context.Process(
        target=receive, args=(theirs, replay.reference.to_json(), span, "baseline"), name="receiver", daemon=True
    )
    # Ctrl-C reaches the whole group of processes. The child is not to hear it, from its very start: this one ends first
    # and tells the other.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.start()
    finally:
        signal.signal(signal.SIGINT, before)
    theirs.close()
    try:
        port = ours.recv()
        yield ours, port
    finally:
        ours.close()
        child.join(10)
