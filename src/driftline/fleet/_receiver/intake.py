"""Turns the bodies of requests into points of a store and into events, within limits, or says why not."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from driftline._backends.otlp_store import OtlpStore
from driftline.errors import DriftlineError

__all__ = ["METRICS", "SERVICES", "Intake", "IntakeLimits", "Problem", "RefusedError", "Signal", "decompress"]

Signal: TypeAlias = Literal["metrics", "logs", "traces"]
"""The kind of telemetry in a request. HTTP has a path for each, ``/v1/metrics`` and so on."""

METRICS: Signal = "metrics"

SERVICES: Mapping[Signal, str] = {
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
}
"""The service of gRPC for each signal."""

M = TypeVar("M", bound=Message)

Problem: TypeAlias = Literal["unreadable", "too large", "encoding", "busy"]
"""Why a request is refused as a whole. After "busy" alone a client may send it again."""

WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""The parameter of zlib for each ``Content-Encoding``."""

MAX_DEPTH = 32
"""Most levels of a JSON document. A point is at level ten."""

SHOWN = 200
"""Most characters of a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLimits:
    """
    Limits of requests.

    Attributes:
        body: most bytes of a body, as sent and decompressed. 200 features of 20 bins have 0.8 MiB, and a collector
            sends 8,192 points by default.
        json: most bytes of a decompressed body of JSON, which takes fifty times as much memory.
        pending: most bytes of all bodies that have arrived and are not yet read.
        requests: most requests that are read at the same time.
        connections: most connections at the same time.
        seconds: seconds that one request may take to arrive, and then to wait for its turn.
    """

    body: int = 16 * 2**20
    json: int = 4 * 2**20
    pending: int = 64 * 2**20
    requests: int = 2
    connections: int = 256
    seconds: float = 10.0


class RefusedError(DriftlineError):
    """
    A request that is refused as a whole.

    Attributes:
        problem: what is wrong.
    """

    def __init__(self, message: str, problem: Problem) -> None:
        super().__init__(message[:SHOWN])
        self.problem: Problem = problem


class Intake:
    """
    Adds the bodies of requests to a store.

    Args:
        store: the store.
        limits: limits of requests.
        on_logs: called with each ``ExportLogsServiceRequest``, by several threads. If None, requests of metrics are
            the only ones that are let in. If not, those of traces are let in too, and ignored: an SDK that sends all
            three would log errors otherwise.

    Attributes:
        limits: as above.
        signals: the signals that are let in.
        requests: the number of requests that were added.
    """

    def __init__(
        self,
        store: OtlpStore,
        limits: IntakeLimits | None = None,
        on_logs: Callable[[ExportLogsServiceRequest], None] | None = None,
    ) -> None:
        self._store, self._on_logs = store, on_logs
        self.signals: frozenset[Signal] = frozenset([METRICS] if on_logs is None else SERVICES)
        self.limits = limits or IntakeLimits()
        self._turns = threading.BoundedSemaphore(self.limits.requests)
        self._lock = threading.Lock()
        self._held = 0
        self.requests = 0

    def hold(self, size: int) -> None:
        """
        Count bytes of a body that have arrived, until `release`.

        Raises:
            RefusedError: the bodies that have arrived are too large together. These bytes do not count.
        """
        with self._lock:
            if self._held + size <= self.limits.pending:
                self._held += size
                return
        msg = f"more than {self.limits.pending:,} bytes at the same time"
        raise RefusedError(msg, "busy")

    def release(self, size: int) -> None:
        """Count bytes of a body no more."""
        with self._lock:
            self._held -= size

    def add(
        self, body: bytes, *, signal: Signal = METRICS, encoding: str = "identity", is_json: bool = False
    ) -> Message:
        """
        Add the points or the events of a body, and return the response.

        Args:
            body: the body as sent.
            signal: what it holds.
            encoding: its ``Content-Encoding``.
            is_json: whether it is JSON instead of protobuf.

        Raises:
            RefusedError: it cannot be decompressed or read, is too large, or others are being read.
        """
        if not self._turns.acquire(timeout=self.limits.seconds):
            msg = f"more than {self.limits.requests} requests at the same time"
            raise RefusedError(msg, "busy")
        try:
            most = min(self.limits.json, self.limits.body) if is_json else self.limits.body
            text = decompress(body, encoding, most)
            response = self._add(text, signal, is_json=is_json)
        finally:
            self._turns.release()
        with self._lock:
            self.requests += 1
        return response

    def _add(self, text: bytes, signal: Signal, *, is_json: bool) -> Message:
        if signal == "traces":
            return ExportTraceServiceResponse()
        if signal == "logs":
            request = read_request(text, ExportLogsServiceRequest, is_json=is_json)
            if self._on_logs is not None:
                self._on_logs(request)
            return ExportLogsServiceResponse()
        added = self._store.add(read_request(text, ExportMetricsServiceRequest, is_json=is_json))
        response = ExportMetricsServiceResponse()
        if added.refused:
            response.partial_success.rejected_data_points = added.refused
            response.partial_success.error_message = added.reason
        return response


def decompress(body: bytes, encoding: str, most: int) -> bytes:
    """
    Return a decompressed body.

    Args:
        body: the body as sent.
        encoding: its ``Content-Encoding``.
        most: most bytes, as sent and decompressed.

    Raises:
        RefusedError: it is too large, cut off, or of another encoding.
    """
    if len(body) > most:
        msg = f"more than {most:,} bytes"
        raise RefusedError(msg, "too large")
    if encoding == "identity":
        return body
    bits = WINDOW_BITS.get(encoding)
    if bits is None:
        msg = f"Content-Encoding {encoding}: expected gzip, deflate or identity"
        raise RefusedError(msg, "encoding")
    decompressor = zlib.decompressobj(bits)
    try:
        text = decompressor.decompress(body, most + 1)
    except zlib.error as error:
        msg = f"no {encoding}: {error}"
        raise RefusedError(msg, "unreadable") from error
    if len(text) > most:
        msg = f"more than {most:,} bytes when decompressed"
        raise RefusedError(msg, "too large")
    if not decompressor.eof:
        msg = f"the {encoding} ends too early"
        raise RefusedError(msg, "unreadable")
    return text


def read_request(text: bytes, kind: type[M], *, is_json: bool) -> M:
    """
    Return the request of a kind that a body is.

    Raises:
        RefusedError: it is none.
    """
    request = kind()
    try:
        if is_json:
            json_format.Parse(text, request, ignore_unknown_fields=True, max_recursion_depth=MAX_DEPTH)
        else:
            request.ParseFromString(text)
    except (DecodeError, json_format.ParseError, ValueError, RecursionError) as error:
        msg = f"no {kind.__name__}: {error}"
        raise RefusedError(msg, "unreadable") from error
    return request
