"""`CloudEventSink`: sends requests as CloudEvents to a URL."""

from __future__ import annotations

import math
import time
import urllib.parse
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal

from driftline._backends.access import Access
from driftline._backends.http import check_url, post
from driftline._runtime import validation as check
from driftline.retraining._cloud_events import message
from driftline.retraining._request import RetrainingRequest
from driftline.retraining._sink import DeliveryError, label_of

__all__ = ["CloudEventSink"]

REFUSALS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.GONE,
        HTTPStatus.LENGTH_REQUIRED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Responses after which the same request would be refused again."""

MAX_WAIT = 3_600.0
"""Seconds that a receiver may ask to wait with ``Retry-After``, at most."""


class CloudEventSink:
    """
    Sends each request as a CloudEvent 1.0 with a POST to a URL.

    The request is delivered if the receiver responds with a status of 200 to 299, or with 409: it knows the id. It is
    sent again after any other response and without one, not before the time of the header ``Retry-After``. A receiver
    may have acted before its response was lost, so it has to recognise the id.

    Args:
        url: the URL of the receiver, which may have a query.
        mode: ``"structured"``: one JSON document; or ``"binary"``: attributes are headers, and the body is the request.
        token: returns the bearer token, for each request.
        headers: further headers.
        ca_file: PEM file of the certificates of a private authority. If None, those of the system count.
        timeout: seconds or a string such as ``"10s"`` that a response may take.
        name: the name under which the queue records deliveries. If None, the host and a hash of the URL, whose path may
            have a secret.

    Attributes:
        name: that name.

    Raises:
        ConfigurationError: an argument has a wrong value.

    >>> CloudEventSink("http://argo-events:12000/retrain").name
    'cloudevent:http://argo-events:12000#b8c98994'
    """

    def __init__(
        self,
        url: str,
        *,
        mode: Literal["structured", "binary"] = "structured",
        token: Callable[[], str] | None = None,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        timeout: float | str = "10s",
        name: str | None = None,
    ) -> None:
        address, _, query = check.string("url", url).partition("?")
        check_url("url", address)
        if query and (not query.isascii() or not query.isprintable() or set(query) & set("# ")):
            check.reject("url", url, "a URL whose query is percent-encoded")
        self._url = f"{address}?{query}" if query else address
        self._mode: Literal["structured", "binary"] = check.one_of("mode", mode, ("structured", "binary"))
        self._access = Access(
            token=check.optional(check.function, "token", token),
            ca_file=check.optional(check.string, "ca_file", ca_file),
            headers=_headers(headers),
        )
        self._access.context()
        self._seconds = check.duration("timeout", timeout)
        own = f"cloudevent:{self._shown}#{label_of(self._url)}"
        self.name = check.string("name", own if name is None else name, at_least=1)

    def deliver(self, request: RetrainingRequest) -> None:
        """
        Send a request.

        Raises:
            DeliveryError: the receiver cannot be reached, or does not take the request.
        """
        content = message(request, self._mode)
        try:
            response = post(self._url, content.body, content.headers, self._seconds, self._access)
        except OSError as error:
            msg = f"{self._shown}: {error}"
            raise DeliveryError(msg) from error
        status = response.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.CONFLICT:
            return
        msg = f"{self._shown}: HTTP {status}: {response.text}".rstrip(": ")
        wait = seconds_of(response.retry_after, time.time())
        raise DeliveryError(msg, retry_after=wait, refused=status in REFUSALS)

    @property
    def _shown(self) -> str:
        """The receiver for a message, without the path, which may have a secret."""
        parts = urllib.parse.urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}"


def seconds_of(retry_after: str, now: float) -> float | None:
    """
    Return the seconds that a header ``Retry-After`` asks for, at most `MAX_WAIT`; None if it has none.

    Args:
        retry_after: the header: a number of seconds or a date (RFC 9110, section 10.2.3).
        now: the time in UNIX seconds.

    >>> seconds_of("120", 0.0), seconds_of("Thu, 01 Jan 1970 00:01:00 GMT", 0.0), seconds_of("soon", 0.0)
    (120.0, 60.0, None)
    """
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_WAIT)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_WAIT) if math.isfinite(seconds) else None


def _headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers that HTTP can have."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        check.reject("headers", headers, "a mapping of names to values")
    for name, value in headers.items():
        texts = (name, value)
        if not all(isinstance(text, str) and text.isascii() and text.isprintable() for text in texts) or not name:
            check.reject("headers", name, "names and values of printable ASCII characters")
    return dict(headers)
