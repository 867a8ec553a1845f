"""`driftline live` shows a running service in the terminal or as a page: from OTLP, from Prometheus, or the demo."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

from driftline import semconv as sc
from driftline._backends.counts import CountSource
from driftline._live.events import EventLog
from driftline._live.lines import Lines
from driftline._live.reader import LiveReader, ReaderOptions
from driftline._live.server import PageScreen
from driftline._live.session import Screen, follow
from driftline._live.store import LiveStore
from driftline._runtime import validation as check
from driftline._runtime.output import say
from driftline.commands._prometheus import ACCESS_OPTIONS, add_prometheus_arguments, prometheus_source
from driftline.commands._receiver_options import add_receiver_arguments, allowed_address, receiver_door
from driftline.commands._signals import set_on_signals
from driftline.errors import ConfigurationError
from driftline.fleet._receiver.addresses import LOCALHOST, MAX_PORT, Address
from driftline.fleet._receiver.opening import open_receivers
from driftline.reference import Reference

__all__ = ["add_arguments", "run"]

HTTP_PORT, GRPC_PORT = 4318, 4317
"""Ports of the receivers: OTLP's own, to which an SDK sends without any setting."""

PAGE_PORT = 8322
"""The port of the page."""

EVERY = {"otlp": "1s", "prometheus": "5s"}
"""Time between two views. Prometheus scrapes every 15 to 60 s, and each view asks it about twenty times."""

WITHIN = "5min"
"""Time after which a process without exports is not shown. Prometheus has the same."""

PAST_POINTS = 40
"""Points of the past that are read from a Prometheus at the start, for the courses of features."""

LINE_SECONDS = 60.0
"""Seconds between two lines about the state, where there is no terminal."""

OTLP_ONLY = ("otlp", "otlp_grpc", "otlp_token_file", "otlp_cert", "otlp_key")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Show what the monitors of a running service export: in this terminal, or with --web as a page that updates "
        f"itself. Without a source, OTLP is received at the usual ports, {HTTP_PORT} and {GRPC_PORT}. Ctrl-C ends it."
    )
    source = parser.add_argument_group("source")
    add_receiver_arguments(
        source,
        HTTP_PORT,
        GRPC_PORT,
        over_http="receive OTLP/HTTP",
        over_grpc="receive OTLP/gRPC, too or instead",
    )
    source.add_argument("--prometheus", metavar="URL", help="read a Prometheus, or a server with its API")
    source.add_argument("--demo", action="store_true", help="the demo: a year of flights (extra demo)")
    add_prometheus_arguments(parser)
    parser.add_argument("--model", metavar="NAME", help="show this model only")
    parser.add_argument(
        "--reference", metavar="FILE", help="the reference, to draw counts per bin (Monitor(export_bins=True))"
    )
    parser.add_argument("--every", metavar="TIME", help="time between two views (default 1s, with --prometheus 5s)")
    parser.add_argument(
        "--within", metavar="TIME", default=WITHIN, help=f"drop processes that are silent for longer (default {WITHIN})"
    )
    parser.add_argument("--seconds", metavar="N", type=float, help="end after this many seconds")
    page = parser.add_argument_group("page")
    page.add_argument("--web", action="store_true", help="serve a page instead of drawing in the terminal")
    page.add_argument("--host", metavar="HOST", help=f"where the page is served (default {LOCALHOST})")
    page.add_argument("--port", metavar="PORT", type=int, help=f"the port of the page (default {PAGE_PORT})")


def run(options: argparse.Namespace) -> int:
    """Show views until Ctrl-C, and return the exit code."""
    _check(options)
    page = None
    if options.web:
        port = PAGE_PORT if options.port is None else options.port
        page = Address.parse("--host", f"{options.host or LOCALHOST}:{port}", port)
        if not page.is_loopback:
            say(f"--host {page.host}: every host that can connect reads the page, without a password", sys.stderr)
    if options.demo:
        return _run_demo(options)
    every = check.duration("--every", options.every or EVERY["prometheus" if options.prometheus else "otlp"])
    within = check.duration("--within", options.within)
    reference = None if options.reference is None else Reference.load(options.reference)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    with ExitStack() as stack:
        log = EventLog()
        source, name, hint = _open_source(options, log, stack)
        reader_options = ReaderOptions(
            title="driftline live",
            source=name,
            hint=hint,
            match={} if options.model is None else {sc.ML_MODEL_NAME: options.model},
            reference=reference,
            within=within,
        )
        reader = LiveReader(source, log, reader_options)
        ended = threading.Event()
        screen = stack.enter_context(_screen(page, every))
        stack.enter_context(set_on_signals(ended))
        if isinstance(screen, (PageScreen, Lines)):
            say(f"{name}; the page is at {screen.url}" if isinstance(screen, PageScreen) else name, sys.stdout)
        if options.prometheus is not None:
            now = time.time()
            reader.read_past([now - within * (1.0 - index / PAST_POINTS) for index in range(PAST_POINTS)])
        follow(reader, [screen], every, ended, options.seconds)
    return 0


def _check(options: argparse.Namespace) -> None:
    """
    Check that the arguments fit together.

    Raises:
        ConfigurationError: they do not.
    """
    receives = [name for name in OTLP_ONLY if getattr(options, name) is not None]
    if sum((bool(receives), options.prometheus is not None, options.demo)) > 1:
        msg = "--otlp, --prometheus and --demo: expected one of them"
        raise ConfigurationError(msg)
    if options.prometheus is None:
        for name in ("selector", *ACCESS_OPTIONS):
            if getattr(options, name.replace("-", "_")) is not None:
                msg = f"--{name}: expected with --prometheus only"
                raise ConfigurationError(msg)
    for name in ("host", "port"):
        if getattr(options, name) is not None and not options.web:
            msg = f"--{name}: expected with --web only"
            raise ConfigurationError(msg)
    if options.port is not None and not 0 <= options.port <= MAX_PORT:
        msg = f"--port {options.port}: expected a number from 0 to {MAX_PORT}"
        raise ConfigurationError(msg)
    if options.seconds is not None and not options.seconds > 0.0:
        msg = f"--seconds {options.seconds:g}: expected a positive number"
        raise ConfigurationError(msg)


def _run_demo(options: argparse.Namespace) -> int:
    """
    Run the demo, whose screen is a live view.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        demo = importlib.import_module("driftline.demo.command")
    except ImportError as error:
        msg = f"--demo needs the extra demo (pip install 'driftline[demo]'): {error}"
        raise ConfigurationError(msg) from error
    arguments = []
    if options.web:
        arguments += ["--web", f"{options.host or LOCALHOST}:{PAGE_PORT if options.port is None else options.port}"]
    if options.seconds is not None:
        arguments += ["--seconds", str(options.seconds)]
    if demo.run(arguments):
        raise KeyboardInterrupt
    return 0


def _open_source(options: argparse.Namespace, log: EventLog, stack: ExitStack) -> tuple[CountSource, str, str]:
    """
    Return the store of metrics, where they come from, and what to do while none has arrived.

    Raises:
        ConfigurationError: an argument is wrong, or an extra is absent.
        OSError: an address cannot be listened at.
    """
    if options.prometheus is not None:
        prometheus = prometheus_source(options)
        hint = (
            "There are no series of driftline in this Prometheus yet. Does the service export metrics, and are they "
            "scraped or sent to it?"
        )
        return prometheus, prometheus.url, hint
    http, grpc = options.otlp, options.otlp_grpc
    if http is None and grpc is None:
        http, grpc = f"{LOCALHOST}:{HTTP_PORT}", f"{LOCALHOST}:{GRPC_PORT}"
    door, store = receiver_door(options), LiveStore()
    receivers = open_receivers(
        allowed_address("--otlp", http, HTTP_PORT, door),
        allowed_address("--otlp-grpc", grpc, GRPC_PORT, door),
        door,
        store,
        stack,
        log.add_logs,
    )
    scheme = "http" if door.certificate is None else "https"
    listening = [
        (kind, protocol, receiver.address)
        for kind, protocol, receiver in (("HTTP", "http/protobuf", receivers.http), ("gRPC", "grpc", receivers.grpc))
        if receiver is not None
    ]
    _, protocol, target = listening[0]
    hint = (
        "No telemetry has arrived yet. Start the service with "
        f"OTEL_EXPORTER_OTLP_ENDPOINT={scheme}://{target} OTEL_EXPORTER_OTLP_PROTOCOL={protocol}; an SDK exports "
        "metrics every 60 s, or every OTEL_METRIC_EXPORT_INTERVAL milliseconds."
    )
    return store, " and ".join(f"OTLP/{kind} at {address}" for kind, _, address in listening), hint


def _screen(page: Address | None, every: float) -> Any:
    """
    Return what shows views: a page, the terminal, or lines if the output is none.

    Raises:
        ConfigurationError: the extra of the terminal is not installed.
        OSError: the address of the page cannot be listened at.
    """
    if page is not None:
        return PageScreen(page, every)
    if not sys.stdout.isatty():
        return Lines(LINE_SECONDS)
    try:
        from rich.console import Console  # noqa: PLC0415 - the extra cli

        from driftline._live.terminal import TerminalScreen  # noqa: PLC0415 - as above
    except ImportError as error:
        msg = f"a live view in a terminal needs the extra cli (pip install 'driftline[cli]'), or use --web: {error}"
        raise ConfigurationError(msg) from error
    screen: Screen = TerminalScreen(Console())
    return screen
