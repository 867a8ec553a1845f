"""Serves a live view as a page that asks for its changes, to any number of browsers."""

from __future__ import annotations

import hashlib
import threading
import urllib.parse
from http import HTTPStatus
from types import TracebackType
from typing import ClassVar

from typing_extensions import Self

from driftline._live.page import draw_live_page, draw_parts
from driftline._live.style import POLICY
from driftline._live.values import LiveView
from driftline._live.words import time_text
from driftline.fleet._receiver.addresses import Address
from driftline.fleet._receiver.serving import DeadlineHandler, HttpServer

__all__ = ["PageScreen"]

MAX_CONNECTIONS = 256
"""Connections at the same time. A browser has up to six."""

HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)

LOCAL = ("localhost", "127.0.0.1", "::1")
"""Names of this host."""

HTML = "text/html; charset=utf-8"


class _Parts:
    """The parts of the last view, drawn when a browser first asks for them."""

    def __init__(self, every: float) -> None:
        self._lock = threading.Lock()
        self._view = LiveView("driftline live", "", 0.0)
        self._drawn: tuple[str, bytes] | None = None
        self.every = every

    def show(self, view: LiveView) -> None:
        with self._lock:
            self._view, self._drawn = view, None

    def parts(self) -> tuple[LiveView, str, bytes]:
        """Return the view, the tag of its parts, and the parts."""
        with self._lock:
            if self._drawn is None:
                body = draw_parts(self._view).encode("utf-8", "replace")
                self._drawn = hashlib.blake2b(body, digest_size=12).hexdigest(), body
            return self._view, *self._drawn

    def page(self) -> bytes:
        view, tag, _ = self.parts()
        return draw_live_page(view, tag, self.every).encode("utf-8", "replace")


class _Handler(DeadlineHandler):
    """Answers the requests of one browser."""

    parts: ClassVar[_Parts]
    checks_host: ClassVar[bool]

    def do_GET(self) -> None:  # noqa: N802 - its name in http.server
        """Answer with the page, or with its parts."""
        if self.checks_host and not self._is_local():
            # The name of another site may point to this host, and its scripts would read the page.
            self.refuse(HTTPStatus.MISDIRECTED_REQUEST, "expected the name localhost")
            return
        self.was_admitted = True
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/":
            self.answer(HTTPStatus.OK, HTML, self.parts.page(), *HEADERS)
        elif url.path == "/view":
            seen = urllib.parse.parse_qs(url.query).get("seen", [""])[0]
            view, tag, body = self.parts.parts()
            moment = "" if view.dates_only else f"updated {time_text(view.time, dates_only=False)}"
            more = (("ETag", tag), ("X-Driftline-Time", moment.encode("ascii", "replace").decode()))
            self.answer(HTTPStatus.OK, HTML, b"" if seen == tag else body, *HEADERS, *more)
        else:
            self.refuse(HTTPStatus.NOT_FOUND, "expected /")

    do_HEAD = do_GET  # noqa: N815 - its name in http.server

    def _is_local(self) -> bool:
        try:
            return urllib.parse.urlsplit(f"//{self.headers.get('Host', '')}").hostname in LOCAL
        except ValueError:  # an address in brackets that is none
            return False


class PageScreen:
    """
    A live view as a page.

    Args:
        address: where the server listens.
        every: seconds between two requests of a page.

    Attributes:
        url: the address of the page.

    Raises:
        OSError: the address cannot be listened at.
    """

    def __init__(self, address: Address, every: float) -> None:
        self._parts = _Parts(every)
        handler = type("Handler", (_Handler,), {"parts": self._parts, "checks_host": address.is_loopback})
        self._server = HttpServer(address, handler, MAX_CONNECTIONS)
        self.url = f"http://{self._server.address}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def show(self, view: LiveView) -> None:
        """Let browsers show a view."""
        self._parts.show(view)
