"""Requests to a server that may be unreachable, slow, or no server of HTTP at all."""

from __future__ import annotations

import http.client
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from driftline._backends.access import Access, redacted
from driftline.errors import ConfigurationError

__all__ = ["TIMEOUT", "Response", "check_url", "fetch", "post", "within_seconds"]

TIMEOUT = 10.0
"""Seconds that a response may take, from the look-up of the host's name to the last byte."""

MAX_BYTES = 50_000_000
"""Most bytes of a response that are read. A hundred histograms by block of time have about ten million."""

MAX_URL = 2_000
"""Characters of a URL beyond which the parameters are sent as the body of a POST request."""

MAX_SHOWN = 200
"""Largest number of characters of a response in a message."""

MAX_ERROR_BYTES = 65_536
"""Most bytes of an error that are read, so that secrets in it are whole when they are removed."""

CHUNK_BYTES = 65_536
"""Most bytes of one read."""

T = TypeVar("T")


def check_url(argument: str, url: str) -> str:
    """
    Return the URL of a server without a trailing slash.

    Args:
        argument: the name of the argument, for a message.
        url: the URL.

    Raises:
        ConfigurationError: the URL is not one of a server: of another scheme than http or https, or without a host.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        is_server = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or an address in brackets that is none
        is_server = False
    if is_server and "@" in parts.netloc:
        msg = f"{argument}: expected an address without a user and a password"  # the message must not show them
        raise ConfigurationError(msg)
    if not is_server or re.search(r"[\s\x00-\x1f\x7f?#\\]", url):
        msg = f"{argument} {url}: expected an address such as http://prometheus:9090"
        raise ConfigurationError(msg)
    return url.rstrip("/")


def within_seconds(work: Callable[[], T], seconds: float, expectation: str) -> T:
    """
    Return what *work* returns, or raise what it raises, within a number of seconds.

    It runs in a separate thread, which goes on after the time-out: a look-up of a host's name cannot be interrupted.

    Args:
        work: the function.
        seconds: the time-out.
        expectation: what did not happen in time, for the message.

    Raises:
        TimeoutError: *work* takes longer.
    """
    results: queue.SimpleQueue[tuple[bool, T | BaseException]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((True, work()))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            results.put((False, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        returned, result = results.get(timeout=max(0.0, seconds))
    except queue.Empty:
        msg = f"no {expectation} within {seconds:.3g} seconds"
        raise TimeoutError(msg) from None
    if not returned:
        raise result  # type: ignore[misc] # an exception
    return result  # type: ignore[return-value] # of *work*


def fetch(url: str, parameters: Mapping[str, str], seconds: float, access: Access | None = None) -> bytes:
    """
    Return the response to a request: GET, or POST where the parameters are long.

    A time-out of a socket applies to each read alone, and a server may send a byte at a time. So the whole request has
    one time-out.

    Args:
        url: the URL without parameters.
        parameters: the parameters.
        seconds: seconds that the whole response may take.
        access: credentials and certificates. With credentials, no redirect is followed. If None, there are none.

    Raises:
        OSError: the server cannot be reached, responds with an error, or takes too long.
        ValueError: the response is too large.
        ConfigurationError: a secret cannot be read any more.
    """
    end = time.monotonic() + seconds
    access = access or Access()
    encoded = urllib.parse.urlencode(parameters, errors="surrogatepass")
    headers = dict(access.headers)
    if len(url) + len(encoded) < MAX_URL:
        request = urllib.request.Request(f"{url}?{encoded}", headers=headers)  # noqa: S310 - the scheme is checked
    else:
        request = urllib.request.Request(url, encoded.encode("ascii"), headers)  # noqa: S310 - as above
    authorization = access.authorization()
    if authorization:
        request.add_unredirected_header("Authorization", authorization[0])
    opener = _opener(access)

    def read() -> bytes:
        try:
            return _read_response(opener, request, seconds, end)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                text = error.read(MAX_ERROR_BYTES).decode("utf-8", "backslashreplace")
            text = redacted(text, access)[:MAX_SHOWN]
            msg = f"HTTP {error.code} {redacted(str(error.reason), access)[:MAX_SHOWN]}: {text}"
            raise OSError(msg) from error

    try:
        return within_seconds(read, seconds, "complete response")
    except http.client.InvalidURL:
        raise
    except http.client.HTTPException as error:
        msg = f"the response is no HTTP: {type(error).__name__}"
        raise ConnectionError(msg) from error


@dataclass(frozen=True, slots=True)
class Response:
    """
    The response to a POST request.

    Attributes:
        status: the status of HTTP.
        retry_after: the header ``Retry-After``; empty without it.
        text: the first characters of the body, without the secrets of the request.
    """

    status: int
    retry_after: str
    text: str


def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float, access: Access | None = None) -> Response:
    """
    Send a POST request, and return the response whatever its status is. A redirect is a response, and is not followed.

    Args:
        url: the URL.
        body: the body.
        headers: the headers, in addition to those of *access*.
        seconds: seconds that the whole response may take.
        access: credentials and certificates. If None, there are none.

    Raises:
        OSError: the server cannot be reached, takes too long, or its response is no HTTP.
        ConfigurationError: a secret cannot be read any more.
    """
    access = access or Access()
    request = urllib.request.Request(url, body, {**access.headers, **headers}, method="POST")  # noqa: S310 - checked
    authorization = access.authorization()
    if authorization:
        request.add_unredirected_header("Authorization", authorization[0])
    opener = _opener(access, _RedirectsAsResponses())

    def send() -> Response:
        try:
            response = opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            text = response.read(MAX_ERROR_BYTES).decode("utf-8", "backslashreplace")
            retry_after = str(response.headers.get("Retry-After") or "")
            return Response(int(response.status or 0), retry_after, redacted(text, access)[:MAX_SHOWN])

    try:
        return within_seconds(send, seconds, "complete response")
    except http.client.HTTPException as error:
        msg = f"the response is no HTTP: {type(error).__name__}"
        raise ConnectionError(msg) from error


class _RedirectsAsResponses(urllib.request.HTTPRedirectHandler):
    """Returns a redirect as an error of HTTP. Following it would turn a POST request into GET."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, so that credentials are sent to the given server only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> NoReturn:
        del req, msg, headers
        fp.close()
        parts = urllib.parse.urlsplit(newurl)
        text = f"HTTP {code}: the server redirects to {parts.scheme}://{parts.netloc}, to which no credentials are sent"
        raise ConnectionError(text)

    # Python 3.10 does not know this code.
    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def _opener(access: Access, *further: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    handlers = list(further)
    context = access.context()
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    if access.has_credentials and not further:
        handlers.append(_NoRedirects())
    return urllib.request.build_opener(*handlers)


def _read_response(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, seconds: float, end: float
) -> bytes:
    with opener.open(request, timeout=seconds) as response:
        body = bytearray()
        while chunk := response.read1(CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_BYTES:
                msg = f"the response has more than {MAX_BYTES:,} bytes"
                raise ValueError(msg)
            if time.monotonic() > end:
                break  # the caller has stopped waiting
        if response.length:
            raise http.client.IncompleteRead(bytes(body), response.length)
        return bytes(body)
