"""Serves HTTP to clients that may be slow, many or hostile. What is served is the matter of other modules."""

from __future__ import annotations

import http.server
import io
import logging
import socket
import socketserver
import ssl
import threading
import time
from collections import Counter
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from driftline._runtime.version import VERSION
from driftline.fleet._receiver.addresses import Address
from driftline.fleet._receiver.connection import DeadlineStream, end_gently

__all__ = ["HEAD_SECONDS", "DeadlineHandler", "HttpServer"]

_log = logging.getLogger("driftline")

IDLE_SECONDS = 150.0
"""Seconds after which a connection without a further request is closed. SDKs export every 60 s by default."""

HEAD_SECONDS = 5.0
"""Seconds that the head of a request may take after its first byte, the first byte of all, and the handshake of TLS."""

CLOSE_SECONDS = 5.0
"""Seconds that requests may take to be finished when a server is closed."""


class DeadlineHandler(http.server.BaseHTTPRequestHandler):
    """
    Answers the requests of one connection, each by a deadline. Subclasses have the methods of HTTP.

    Attributes:
        is_read: whether the whole body of the present request is read. If not, the connection ends after the answer.
        was_admitted: whether a request has been accepted, so that the connection may be idle for long.
    """

    protocol_version = "HTTP/1.1"
    server_version, sys_version = f"driftline/{VERSION}", ""
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Read through a stream with a deadline."""
        super().setup()
        self.stream = DeadlineStream(self.connection)
        self.rfile = self._reader = io.BufferedReader(self.stream)
        self.is_read, self.was_admitted = True, False

    def handle_one_request(self) -> None:
        """Answer one request. A client that is late, or that ends, has its connection closed."""
        self.stream.end = time.monotonic() + (IDLE_SECONDS if self.was_admitted else HEAD_SECONDS)
        self.is_read = True
        try:
            if not self._reader.peek(1):
                self.close_connection = True
                return
            self.stream.end = time.monotonic() + HEAD_SECONDS
            super().handle_one_request()
        except (OSError, ValueError):  # ValueError: a closed file
            self.close_connection = True
            self.count_problem("late or ended")
        if self.close_connection and not self.is_read:
            end_gently(self.connection)

    def answer(self, status: HTTPStatus, kind: str, body: bytes, *headers: tuple[str, str]) -> None:
        """Answer with a body of a content type. If the request's own body was not read, the connection ends."""
        self.close_connection = self.close_connection or not self.is_read
        self.connection.settimeout(HEAD_SECONDS)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: HTTPStatus, message: str, *headers: tuple[str, str]) -> None:
        """Answer with a status and a message."""
        self.count_problem(str(status.value))
        self.answer(status, "text/plain; charset=utf-8", message.encode(), *headers)

    def count_problem(self, problem: str) -> None:
        """Count a request that was refused, or that was late."""
        if isinstance(self.server, _Server):
            self.server.problems[problem] += 1

    def handle_expect_100(self) -> bool:
        """Return True. What the client waits for is sent when its headers are checked."""
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request of HTTP."""
        del explain
        self.request_version = self.protocol_version  # what has none would get a body without a head
        self.is_read = False
        self.refuse(HTTPStatus(code), message or "no request of HTTP")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
        """Log nothing: a client could fill the log."""


class _Server(socketserver.TCPServer):
    """Serves each connection in a thread, and closes connections beyond a limit immediately."""

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self, address: Address, handler: type[DeadlineHandler], most: int, context: ssl.SSLContext | None
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.problems: Counter[str] = Counter()
        self._context, self._most = context, most
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((address.host, address.port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            admitted = len(self._open) < self._most
            if admitted:
                self._open.add(request)
        if not admitted:
            self.problems["too many connections"] += 1
            self.shutdown_request(request)
            return
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="driftline-http-connection", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the host has no more threads
            self._end(request, request)

    def _serve(self, request: socket.socket, client_address: Any) -> None:
        connection = request
        try:
            if self._context is not None:
                request.settimeout(HEAD_SECONDS)
                connection = self._context.wrap_socket(request, server_side=True)
                with self._lock:
                    self._open.discard(request)
                    self._open.add(connection)
            self.finish_request(connection, client_address)
        except (OSError, ValueError):  # a client that speaks no TLS, or that ends
            self.problems["late or ended"] += 1
        except Exception as error:  # noqa: BLE001 - no client may end the server
            _log.warning("a request was dropped: %s: %s", type(error).__name__, error)
            self.problems["failed"] += 1
        finally:
            self._end(request, connection)

    def _end(self, request: socket.socket, connection: socket.socket) -> None:
        with self._lock:
            self._open -= {request, connection}
        with suppress(OSError):
            self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore what fails before a connection is served."""

    def drop(self) -> None:
        """Wait for requests that are being read, then close all connections."""
        end = time.monotonic() + CLOSE_SECONDS
        for connection in self._connections():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        while self._connections() and time.monotonic() < end:
            time.sleep(0.01)
        for connection in self._connections():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _connections(self) -> list[socket.socket]:
        with self._lock:
            return list(self._open)


class HttpServer:
    """
    A server of HTTP in threads of this process.

    Args:
        address: where it listens.
        handler: answers the requests.
        most: most connections at the same time.
        context: settings of TLS; None for none.

    Attributes:
        address: where it listens, with the port that it has got.

    Raises:
        OSError: the address cannot be listened at.
    """

    def __init__(
        self, address: Address, handler: type[DeadlineHandler], most: int, context: ssl.SSLContext | None = None
    ) -> None:
        self._server = _Server(address, handler, most, context)
        self.address = Address(address.host, self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="driftline-http", daemon=True
        )
        self._thread.start()

    @property
    def problems(self) -> dict[str, int]:
        """Numbers of requests that were refused, by status or problem."""
        return dict(self._server.problems)

    def close(self) -> None:
        """Finish the requests that are being read, and listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.drop()
