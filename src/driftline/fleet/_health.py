"""The health of the service, for the probes of an orchestrator and for people."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from driftline.fleet._receiver.addresses import Address
from driftline.fleet._receiver.serving import DeadlineHandler, HttpServer

__all__ = ["Health", "health_server"]

PATH = "/healthz"

MAX_CONNECTIONS = 16
"""Most connections at the same time. Probes have one."""


class Health:
    """
    What the service has done last, and what is wrong.

    Args:
        patience: seconds without a turn of the service after which it counts as stuck.
        more: returns further numbers to show.
        clock: returns the Unix time in seconds.
    """

    def __init__(
        self, patience: float, more: Callable[[], Mapping[str, object]], clock: Callable[[], float] = time.time
    ) -> None:
        self._patience, self._more, self._clock = patience, more, clock
        self._lock = threading.Lock()
        self._began = self._turn = clock()
        self._evaluated: float | None = None
        self._until: float | None = None
        self._problems: dict[str, str] = {}
        self._shown: dict[str, Callable[[], object]] = {}

    def show(self, name: str, read: Callable[[], object]) -> None:
        """Show what *read* returns, under a name."""
        self._shown[name] = read

    def turn(self) -> None:
        """Say that the service is at work."""
        self._turn = self._clock()

    def evaluated(self, until: float | None) -> None:
        """Say that an evaluation has ended, of blocks until a Unix time."""
        with self._lock:
            self._evaluated, self._until = self._clock(), until

    def wrong(self, part: str, problem: str | None) -> bool:
        """
        Say what is wrong with a part of the service, or None if nothing is any more. Return whether this is new.

        The text of a problem may change from time to time: it is new if nothing was wrong before.
        """
        with self._lock:
            is_new = (part in self._problems) != (problem is not None)
            if problem is None:
                self._problems.pop(part, None)
            else:
                self._problems[part] = problem
        return is_new

    def report(self) -> tuple[bool, dict[str, Any]]:
        """Return whether the service is at work, and what there is to say."""
        now = self._clock()
        alive = now - self._turn <= self._patience
        with self._lock:
            problems = dict(self._problems)
            evaluated, until = self._evaluated, self._until
        if not alive:
            problems["service"] = f"no turn for {now - self._turn:.0f} s"
        return alive, {
            "status": "stuck" if not alive else "degraded" if problems else "ok",
            "uptime_seconds": round(now - self._began, 1),
            "last_evaluation_age_seconds": None if evaluated is None else round(now - evaluated, 1),
            "evaluated_until": until,
            "problems": problems,
            **self._more(),
            **{name: read() for name, read in self._shown.items()},
        }


class _HealthHandler(DeadlineHandler):
    """
    Answers the requests of one connection.

    Attributes:
        health: what is said.
    """

    health: ClassVar[Health]

    def do_GET(self) -> None:  # noqa: N802 - its name in http.server
        """Answer with the health: 200, or 503 if the service is stuck."""
        if self.path.partition("?")[0] != PATH:
            self.refuse(HTTPStatus.NOT_FOUND, f"expected {PATH}")
            return
        alive, report = self.health.report()
        body = json.dumps(report, allow_nan=False).encode("ascii")
        self.answer(HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE, "application/json", body)

    do_HEAD = do_GET  # noqa: N815 - its name in http.server


def health_server(address: Address, health: Health) -> HttpServer:
    """
    Return a server of the health that listens.

    Raises:
        OSError: the address cannot be listened at.
    """
    return HttpServer(address, type("Handler", (_HealthHandler,), {"health": health}), MAX_CONNECTIONS)
