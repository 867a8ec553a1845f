"""Runs a live view: opens its receivers, reads again and again, and hands each view to the screens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from driftline._live.events import EventLog
from driftline._live.reader import LiveReader
from driftline._live.store import LiveStore
from driftline._live.values import LiveView
from driftline.errors import ConfigurationError
from driftline.fleet._receiver.addresses import Address, Door

__all__ = ["Receivers", "Screen", "follow", "open_receivers"]


PAUSE = 3.0
"""
Least pause after a view, as a multiple of its time: a view of 22,500 series takes 0.4 s, and must not fill a core.
"""


class Screen(Protocol):
    """Shows views."""

    def show(self, view: LiveView) -> None:
        """Show the present view."""
        ...


@dataclass(frozen=True, slots=True)
class Receivers:
    """
    The addresses of receivers that listen.

    Attributes:
        http: that of OTLP over HTTP; None without one.
        grpc: that of OTLP over gRPC; None without one.
    """

    http: Address | None
    grpc: Address | None


def open_receivers(
    http: Address | None, grpc: Address | None, door: Door, store: LiveStore, log: EventLog, stack: ExitStack
) -> Receivers:
    """
    Listen at addresses, until the stack is closed.

    Args:
        http: where OTLP over HTTP is received; None for nowhere.
        grpc: where OTLP over gRPC is received; None for nowhere.
        door: who is let in.
        store: takes metrics.
        log: takes events.
        stack: closes the receivers.

    Raises:
        ConfigurationError: the extra is not installed.
        OSError: an address cannot be listened at.
    """
    try:
        from driftline.fleet._receiver.intake import Intake  # noqa: PLC0415 - the extra judge

        intake = Intake(store, on_logs=log.add_logs)
        opened: list[Address | None] = [None, None]
        if http is not None:
            from driftline.fleet._receiver.http_server import HttpReceiver  # noqa: PLC0415 - as above

            server = HttpReceiver(http, door, intake)
            stack.callback(server.close)
            opened[0] = server.address
        if grpc is not None:
            from driftline.fleet._receiver.grpc_server import GrpcReceiver  # noqa: PLC0415 - as above

            receiver = GrpcReceiver(grpc, door, intake)
            stack.callback(receiver.close)
            opened[1] = receiver.address
    except ImportError as error:
        msg = f"--otlp needs the extra judge (pip install 'driftline[judge]'): {error}"
        raise ConfigurationError(msg) from error
    return Receivers(*opened)


def follow(
    reader: LiveReader,
    screens: Sequence[Screen],
    every: float,
    ended: threading.Event | Callable[[float], bool],
    seconds: float | None = None,
) -> LiveView:
    """
    Show views until the end, and once more after it. Return the last view.

    Args:
        reader: reads them.
        screens: show them.
        every: seconds between two views; more if a view takes long.
        ended: an event that is set at the end, or a function that waits for a time-out and returns whether it is the
            end.
        seconds: seconds after which it is the end; None for no limit.
    """
    wait = ended.wait if isinstance(ended, threading.Event) else ended
    end = None if seconds is None else time.monotonic() + seconds
    while True:
        start = time.monotonic()
        view = reader.read()
        for screen in screens:
            screen.show(view)
        now = time.monotonic()
        pause = max(every, PAUSE * (now - start))
        remaining = pause if end is None else min(pause, end - now)
        if remaining <= 0.0 or wait(remaining):
            break
    view = reader.read()
    for screen in screens:
        screen.show(view)
    return view
