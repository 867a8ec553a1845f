"""Receives the telemetry of the demo in a separate process, and shows it in a live view."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from rich.console import Console

from driftline import Reference
from driftline import semconv as sc
from driftline._backends.otlp_store import Added
from driftline._live.events import EventLog
from driftline._live.lines import Lines
from driftline._live.reader import LiveReader, ReaderOptions
from driftline._live.server import PageScreen
from driftline._live.session import follow
from driftline._live.store import LiveStore
from driftline._live.terminal import TerminalScreen
from driftline.demo.clock import SimulatedClock, date_of
from driftline.demo.summary import Estimate, summary
from driftline.fleet._receiver.addresses import Address, Door
from driftline.fleet._receiver.opening import open_receivers

__all__ = ["Finished", "Span", "receive"]

EVERY, LINES_EVERY = 0.25, 1.0
"""Seconds between two views: of a picture, which moves, and of printed lines, which need not."""

LINE_SECONDS = 14 * 86_400.0
"""Simulated seconds between two lines of output, where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Span:
    """The first and last hour of the replay, counted from `START`."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The last message of the sender: the number of predictions that it sent, and whether Ctrl-C ended the demo."""

    predictions: int
    interrupted: bool


class _Store(LiveStore):
    """
    A store that counts exports, and remembers the estimates of accuracy that came before any outcome.

    Args:
        log: the log of events, whose time is the simulated one.
        first: the hour since `START` at which the replay begins.
    """

    def __init__(self, log: EventLog, first: int) -> None:
        super().__init__()
        self._log, self._first = log, date_of(first)
        self.exports = 0
        self.early: dict[str, Estimate] = {}

    def add(self, request: Any) -> Added:
        """Add the points of a request."""
        added = super().add(request)
        self.exports += 1
        now = time.time()
        known, estimated = (
            {
                each.attributes.get(sc.ML_MODEL_VARIANT, ""): each.value
                for each in self.latest(metric, {}, at=now, within=60.0)
            }
            for metric in (sc.METRIC_MODEL_ACCURACY, sc.METRIC_MODEL_ACCURACY_ESTIMATED)
        )
        for variant in estimated.keys() - known.keys() - self.early.keys():
            self.early[variant] = Estimate(max(self._log.latest, self._first), estimated[variant])
        return added


def receive(pipe: Connection, reference_json: str, span: Span, page: Address | None) -> None:
    """
    Listen on a free port, show the telemetry that arrives, and print a summary at the end.

    The end is the message `Finished`, or the end of the sender's process.

    This is the main function of the receiver's process.

    Args:
        pipe: the connection to the sender, which gets the port through it and later sends `Finished`.
        reference_json: the reference of the monitors, as JSON.
        span: the first and last hour of the replay.
        page: where a page is served. If None, the view is drawn in the terminal.
    """
    # Ctrl-C reaches every process of the group. The sender ends first, and then sends `Finished`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reference = Reference.from_json(reference_json)
    log = EventLog(SimulatedClock(span.first))
    store = _Store(log, span.first)
    console = Console()
    finished: Finished | None = None
    with ExitStack() as stack:
        receivers = open_receivers(Address("127.0.0.1", 0), None, Door(), store, stack, log.add_logs)
        options = ReaderOptions(
            title="driftline: flights of 2013",
            source="a replay through OTLP/HTTP",
            reference=reference,
            dates_only=True,
            span=(date_of(span.first), date_of(span.last)),
        )
        reader = LiveReader(store, log, options)
        screen: Lines | PageScreen | TerminalScreen = Lines(LINE_SECONDS)
        every = LINES_EVERY
        if page is not None:
            screen, every = PageScreen(page, EVERY), EVERY
            print(f"the page is at {screen.url}", flush=True)
        elif console.is_terminal:
            screen, every = TerminalScreen(console), EVERY
        stack.enter_context(screen)
        try:
            pipe.send(None if receivers.http is None else receivers.http.address.port)
        except OSError:  # the sender ended before it began
            return

        def wait(seconds: float) -> bool:
            nonlocal finished
            try:
                if pipe.poll(seconds):
                    finished = pipe.recv()
                    return True
            except (EOFError, OSError):
                return True
            return False

        view = follow(reader, [screen], every, wait)
    lines = summary(
        view,
        log.events(),
        store.early,
        exports=store.exports,
        predictions=None if finished is None else finished.predictions,
        interrupted=finished is None or finished.interrupted,
    )
    print()
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)
    pipe.close()
