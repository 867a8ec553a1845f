"""An HTTP endpoint at which a pipeline reports how far it is with a request for retraining."""

from __future__ import annotations

import json
import logging
import time
from http import HTTPStatus
from typing import Any, ClassVar, get_args
from urllib.parse import unquote

from driftline._runtime import json as documents
from driftline._runtime.json import DocumentError, Reader
from driftline.errors import ConfigurationError
from driftline.fleet._receiver.addresses import Address, Door
from driftline.fleet._receiver.serving import HEAD_SECONDS, DeadlineHandler, HttpServer
from driftline.retraining import RetrainingQueue, RetrainingRequest
from driftline.retraining._states import RequestState

__all__ = ["requests_server"]

_log = logging.getLogger("driftline")

PATH = "/v1/retraining/requests"

JSON = "application/json"

MAX_BODY = 65_536
"""Most bytes of a report. A comment is a sentence."""

MAX_CONNECTIONS = 16
"""Most connections at the same time. A pipeline has one."""

STATES: dict[str, RequestState] = {state: state for state in get_args(RequestState)}

_report: Reader[dict[str, str]] = documents.record(
    dict,
    state=documents.choice(*STATES),
    who=documents.name,
    comment=documents.absent("", documents.string),
)


class _RequestsHandler(DeadlineHandler):
    """
    Answers the requests of one connection.

    Attributes:
        queue: the requests.
        door: decides who is let in.
    """

    queue: ClassVar[RetrainingQueue]
    door: ClassVar[Door]

    def do_GET(self) -> None:  # noqa: N802 - its name in http.server
        """Answer with all requests, the oldest first, or with one."""
        if not self._is_admitted():
            return
        with_id, id_ = self._parse()
        if not with_id:
            self._answer({"requests": [each.to_dict() for each in self.queue.requests()]})
            return
        request = self._find(id_)
        if request is not None:
            self._answer(request.to_dict())

    def do_POST(self) -> None:  # noqa: N802 - its name in http.server
        """Record the state that a request has reached. The same report may be repeated."""
        self.is_read = False
        if not self._is_admitted():
            return
        with_id, id_ = self._parse()
        if not with_id:
            self.refuse(HTTPStatus.METHOD_NOT_ALLOWED, f"expected POST {PATH}/ID", ("Allow", "GET"))
            return
        body = self._body()
        if body is None:
            return
        try:
            report = documents.read(body.decode("utf-8"), _report)
        except (DocumentError, UnicodeDecodeError) as error:
            self.refuse(HTTPStatus.BAD_REQUEST, str(error))
            return
        if self._find(id_) is None:
            return
        try:
            request = self.queue.move(id_, STATES[report["state"]], who=report["who"], comment=report["comment"])
        except ConfigurationError as error:
            self.refuse(HTTPStatus.CONFLICT, str(error))
            return
        self._answer(request.to_dict())

    def _is_admitted(self) -> bool:
        if self.path.partition("?")[0].rstrip("/") != PATH and not self.path.startswith(f"{PATH}/"):
            self.refuse(HTTPStatus.NOT_FOUND, f"expected {PATH}")
            return False
        if self.door.token is None and not self._is_local():
            # A page in a browser could reach a loopback address by another name.
            self.refuse(HTTPStatus.FORBIDDEN, "expected the address of this host in the header Host, or a token")
            return False
        if not self.door.admits(self.headers.get("Authorization")):
            self.refuse(HTTPStatus.UNAUTHORIZED, "expected a bearer token", ("WWW-Authenticate", "Bearer"))
            return False
        # A page in a browser of this host could send a form to a loopback address; it cannot send this content type.
        if self.command == "POST" and self.headers.get_content_type() != JSON:
            self.refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected {JSON}")
            return False
        self.was_admitted = True
        return True

    def _is_local(self) -> bool:
        """Return whether the client named this host by an address, and not by a name."""
        host = self.headers.get("Host", "")
        try:
            return bool(host) and Address.parse("Host", host, 80).is_loopback
        except ConfigurationError:
            return False

    def _parse(self) -> tuple[bool, str]:
        """Return whether the path names a request, and its id."""
        id_ = unquote(self.path.partition("?")[0].removeprefix(PATH).strip("/"))
        return bool(id_), id_

    def _find(self, id_: str) -> RetrainingRequest | None:
        """Return a request; None if the answer is that there is none."""
        request = self.queue.find(id_)
        if request is None:
            self.refuse(HTTPStatus.NOT_FOUND, f"no request {id_[:80]!r} in the queue")
        return request

    def _body(self) -> bytes | None:
        """Return the body; None if the answer is that it is too long or has no length."""
        lengths = self.headers.get_all("Content-Length", [])
        text = lengths[0].strip() if len(lengths) == 1 else ""
        if "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdigit()):
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "expected one Content-Length")
            return None
        if len(text) > len(str(MAX_BODY)) or int(text) > MAX_BODY:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MAX_BODY:,} bytes")
            return None
        self.stream.end = time.monotonic() + HEAD_SECONDS
        body = self.rfile.read(int(text))
        self.is_read = True
        if len(body) < int(text):
            self.close_connection = True
            self.count_problem("late or ended")
            return None
        return body

    def _answer(self, document: dict[str, Any]) -> None:
        self.answer(HTTPStatus.OK, JSON, json.dumps(document, allow_nan=False).encode("ascii"))


def requests_server(address: Address, door: Door, queue: RetrainingQueue) -> HttpServer:
    """
    Return a server of the requests in a queue that listens.

    Args:
        address: where it listens.
        door: decides who is let in.
        queue: the requests.

    Raises:
        OSError: the address cannot be listened at.
        ConfigurationError: the files of TLS cannot be read.
    """
    handler = type("Handler", (_RequestsHandler,), {"queue": queue, "door": door})
    return HttpServer(address, handler, MAX_CONNECTIONS, door.context())
