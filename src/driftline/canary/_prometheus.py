"""Reads a canary's verdict from Prometheus, which may be unreachable, slow, or no Prometheus at all."""

from __future__ import annotations

import http.client
import json
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast, get_args

from driftline.canary._verdict import Verdict
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["TIMEOUT", "ExportedVerdict", "check_url", "query_prometheus"]

TIMEOUT = 10.0
"""Seconds that a response of Prometheus may take, from the look-up of the host's name to the last byte."""

MAX_BYTES = 10_000_000
"""Most bytes of a response of Prometheus that are read."""

CHUNK_BYTES = 65_536
"""Most bytes of one read."""

METRIC, STATE = "ml.canary.status", "ml.canary.state"

STATES = frozenset(get_args(CanaryState))

MAX_SHOWN = 200
"""Largest number of characters of a response in a message."""


def _underscores(name: str) -> str:
    return name.replace(".", "_")


def _dots(name: str) -> str:
    return name


def _values(name: str) -> str:
    return "U__" + name.replace("_", "__").replace(".", "_2e_")


def _dots_in_words(name: str) -> str:
    return name.replace("_", "__").replace(".", "_dot_")


SPELLINGS: tuple[Callable[[str], str], ...] = (_underscores, _dots, _values, _dots_in_words)
"""
How Prometheus may spell a name with dots. The first spelling is the usual one, the second that of
``translation_strategy: NoUTF8EscapingWithSuffixes`` and ``NoTranslation``. The others are the escaping schemes
``values`` and ``dots`` of https://prometheus.io/docs/instrumenting/escaping_schemes/
"""

OTHER_NAMES = "|".join(spell(METRIC).replace(".", "[.]") for spell in SPELLINGS[1:])
"""A regular expression of the metric's name in all spellings but the first."""


class ExportedVerdict(NamedTuple):
    """
    A verdict that processes export.

    Attributes:
        verdict: the verdict of all processes together.
        states: number of processes by the state that they export.
    """

    verdict: Verdict
    states: Mapping[str, int]


def check_url(url: str) -> str:
    """
    Return the URL of a Prometheus server without a trailing slash.

    Raises:
        ConfigurationError: the URL is not one of a server: of another scheme than http or https, or without a host.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        is_server = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or an address in brackets that is none
        is_server = False
    if is_server and "@" in parts.netloc:
        msg = "--prometheus: expected an address without a user and a password"  # the message must not show them
        raise ConfigurationError(msg)
    if not is_server or re.search(r"[\s\x00-\x1f\x7f?#\\]", url):
        msg = f"--prometheus {url}: expected an address such as http://prometheus:9090"
        raise ConfigurationError(msg)
    return url.rstrip("/")


def query_prometheus(url: str, labels: Mapping[str, str], seconds: float = TIMEOUT) -> ExportedVerdict:
    """
    Return one verdict from the states that all processes export as ``ml.canary.status``.

    Each process has observed a part of the traffic. The verdict is a rollback if any process exports a rollback. It is
    a promotion if all processes export a promotion. In all other cases, also without any process, it is inconclusive.

    Args:
        url: the URL of the server.
        labels: attributes that select the series, such as ``ml.model.name``.
        seconds: seconds that the whole response may take.

    Raises:
        OSError: the server cannot be reached, its response is cut off, late, or known to be incomplete.
        ValueError: the response is not a vector of states.
    """
    selector = ",".join(
        f"{_underscores(name)}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items()
    )
    # Servers before Prometheus 3 cannot parse labels with dots, so those series are selected here, not there.
    query = f'{_underscores(METRIC)}{{{selector}}} == 1 or {{__name__=~"{OTHER_NAMES}"}} == 1'
    body = _fetch(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", seconds)
    try:
        document = json.loads(body)
        states = [state for entry in _series(document) if (state := _state(entry, labels)) is not None]
    except Exception as error:  # the response may be anything
        msg = f"{url}: expected a vector of states, not {body[:MAX_SHOWN].decode('utf-8', 'backslashreplace')}"
        raise ValueError(msg) from error
    if document.get("warnings") and "rollback" not in states:
        msg = f"{url}: the response is incomplete: {str(document['warnings'])[:MAX_SHOWN]}"
        raise OSError(msg)
    if not states:
        return ExportedVerdict(Verdict("inconclusive", f"no canary of {{{selector}}} is exported"), {})
    reason = f"{len(states)} process{'es' * (len(states) > 1)}: " + ", ".join(sorted(set(states)))
    if "rollback" in states:
        verdict = Verdict("rollback", reason)
    else:
        verdict = Verdict("promote" if set(states) == {"promote"} else "inconclusive", reason)
    return ExportedVerdict(verdict, Counter(states))


def _series(document: Any) -> list[Any]:
    """Return the series of a successful response; raise a `ValueError`, `KeyError` or `TypeError` for any other."""
    data = document["data"]
    if not isinstance(data, dict):
        raise TypeError
    if document["status"] != "success" or data.get("resultType", "vector") != "vector":
        raise ValueError
    if not isinstance(data["result"], list):
        raise TypeError
    return data["result"]


def _state(entry: Any, labels: Mapping[str, str]) -> CanaryState | None:
    """Return the state of a series. None if the series is of another model. Raise an error if it is no such series."""
    metric = entry["metric"]
    spell = next((spell for spell in SPELLINGS if spell(STATE) in metric), _underscores)
    state = metric[spell(STATE)]
    if state not in STATES or float(entry["value"][1]) != 1.0:
        raise ValueError
    # The server has selected those of the usual spelling. An empty label is an absent one.
    usual = spell is _underscores
    if any(metric.get(spell(name), value if usual else "") != value for name, value in labels.items()):
        return None
    return cast("CanaryState", state)


def _fetch(url: str, seconds: float) -> bytes:
    """
    Return the response to a GET request.

    The request runs in a separate thread, because a time-out of a socket applies to each read alone. A server may
    send a byte at a time, and the look-up of the host's name may hang.

    Raises:
        OSError: the server cannot be reached, responds with an error, or takes too long.
        ValueError: the response is too large.
    """
    results: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()
    end = time.monotonic() + seconds

    def work() -> None:
        try:
            results.put(_read_response(url, seconds, end))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            results.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        msg = f"no complete response within {seconds:.3g} seconds"
        raise TimeoutError(msg) from None
    if isinstance(result, http.client.HTTPException) and not isinstance(result, http.client.InvalidURL):
        msg = f"the response is no HTTP: {type(result).__name__}"
        raise ConnectionError(msg) from result
    if isinstance(result, BaseException):
        raise result
    return result


def _read_response(url: str, seconds: float, end: float) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:  # noqa: S310 - checked
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
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise
