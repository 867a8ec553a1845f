"""OTLP over HTTP: a path for each signal, one method, two content types, and the statuses that the protocol defines."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import ClassVar

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from driftline.fleet._receiver.addresses import Address, Door
from driftline.fleet._receiver.intake import METRICS, SERVICES, Intake, Problem, RefusedError, Signal
from driftline.fleet._receiver.serving import DeadlineHandler, HttpServer

__all__ = ["HttpReceiver", "OtlpHandler"]

PATHS: dict[str, Signal] = {f"/v1/{signal}": signal for signal in SERVICES}

PROTOBUF, JSON = "application/x-protobuf", "application/json"

STATUSES: dict[Problem, HTTPStatus] = {
    "unreadable": HTTPStatus.BAD_REQUEST,
    "too large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "encoding": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "busy": HTTPStatus.TOO_MANY_REQUESTS,
}

RETRY_SECONDS = 2
"""Seconds after which a client may send again what was refused because others are being read."""

CHUNK_BYTES = 65_536
"""Most bytes of one read of a body."""


class OtlpHandler(DeadlineHandler):
    """
    Answers the requests of one connection.

    Attributes:
        intake: takes the bodies.
        door: says who is let in.
    """

    intake: ClassVar[Intake]
    door: ClassVar[Door]

    def setup(self) -> None:
        """Answer in protobuf until a request is JSON."""
        super().setup()
        self._is_json = False
        self._signal: Signal = METRICS

    def do_POST(self) -> None:  # noqa: N802 - its name in http.server
        """Take a request of OTLP."""
        self.is_read = self._is_json = False
        signal = self._known_signal()
        if signal is None:
            self.refuse(HTTPStatus.NOT_FOUND, self._expected_paths())
            return
        self._signal = signal
        if not self.door.admits(self.headers.get("Authorization")):
            self.refuse(HTTPStatus.UNAUTHORIZED, "expected a bearer token", ("WWW-Authenticate", "Bearer"))
            return
        kind = self.headers.get_content_type() if "Content-Type" in self.headers else ""
        self._is_json = kind == JSON
        if kind not in {PROTOBUF, JSON}:
            self.refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected {PROTOBUF} or {JSON}")
            return
        length = self._length()
        if length is None:
            return
        try:
            self._add_body(length)
        except RefusedError as refused:
            more = [("Retry-After", str(RETRY_SECONDS))] if refused.problem == "busy" else []
            self.refuse(STATUSES[refused.problem], str(refused), *more)

    def _length(self) -> int | None:
        """Return the length of the body; None if the request is answered, because there is none or it is too large."""
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not lengths:
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
            return None
        text = lengths[0].strip()
        if len(lengths) > 1 or not (text.isascii() and text.isdigit()):
            self.refuse(HTTPStatus.BAD_REQUEST, "expected one Content-Length")
            return None
        most = self.intake.limits.body
        if len(text) > len(str(most)) or int(text) > most:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {most:,} bytes")
            return None
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        return int(text)

    def _add_body(self, length: int) -> None:
        """
        Read a body, and answer what became of it.

        Raises:
            RefusedError: it cannot be read, or too much is being read.
        """
        self.stream.end = time.monotonic() + self.intake.limits.seconds
        body = bytearray()
        held = 0
        try:
            while len(body) < length:
                piece = self.rfile.read(min(CHUNK_BYTES, length - len(body)))
                if not piece:
                    self.close_connection = self.is_read = True
                    self.count_problem("late or ended")
                    return
                # What has arrived counts, not what is announced: slow clients would keep others out otherwise.
                self.intake.hold(len(piece))
                held += len(piece)
                body += piece
            self.is_read = True
            encoding = self.headers.get("Content-Encoding", "identity").strip().lower()
            response = self.intake.add(bytes(body), signal=self._signal, encoding=encoding, is_json=self._is_json)
        finally:
            self.intake.release(held)
        self.was_admitted = True
        self._answer_message(HTTPStatus.OK, response)

    def _wrong_method(self) -> None:
        self.is_read = False
        if self._known_signal() is not None:
            self.refuse(HTTPStatus.METHOD_NOT_ALLOWED, "expected POST", ("Allow", "POST"))
        else:
            self.refuse(HTTPStatus.NOT_FOUND, self._expected_paths())

    def _known_signal(self) -> Signal | None:
        """Return the signal of the path; None if it is no path of a signal that is let in."""
        signal = PATHS.get(self.path)
        return signal if signal in self.intake.signals else None

    def _expected_paths(self) -> str:
        return f"expected {' or '.join(f'/v1/{each}, for {each}' for each in SERVICES if each in self.intake.signals)}"

    do_GET = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _wrong_method  # noqa: N815 - their names there

    def refuse(self, status: HTTPStatus, message: str, *headers: tuple[str, str]) -> None:
        """Answer with a status and a message, in the content type of the request, as the protocol demands."""
        self.count_problem(str(status.value))
        self._answer_message(status, Status(message=message), *headers)

    def _answer_message(self, status: HTTPStatus, message: Message, *headers: tuple[str, str]) -> None:
        is_json = self._is_json
        body = json_format.MessageToJson(message).encode() if is_json else message.SerializeToString()
        self.answer(status, JSON if is_json else PROTOBUF, body, *headers)


class HttpReceiver(HttpServer):
    """
    A server of OTLP over HTTP.

    Args:
        address: where it listens.
        door: who is let in.
        intake: takes the bodies.

    Raises:
        OSError: the address cannot be listened at.
        ConfigurationError: the files of TLS cannot be read.
    """

    def __init__(self, address: Address, door: Door, intake: Intake) -> None:
        handler = type("Handler", (OtlpHandler,), {"intake": intake, "door": door})
        super().__init__(address, handler, intake.limits.connections, door.context())
