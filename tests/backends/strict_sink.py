"""A server that stands for a vendor: it refuses what the vendor documents to refuse, and keeps the rest."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import remote_write
from arrivals import Point, Request, points_of
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from vendor import Vendor

__all__ = ["Sink", "running"]

DECOMPRESS = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "snappy": remote_write.decompress,
}
"""What a sink can read; a vendor may accept fewer, or zstd too."""


@dataclass
class Sink:
    """
    What has arrived at a vendor's sink.

    Attributes:
        vendor: whose rules it enforces.
        url: its address.
        points: accepted points, in the order of arrival.
        events: the names of accepted log records.
        refusals: why requests and points were refused.
        requests: the number of requests for each path.
    """

    vendor: Vendor
    url: str = ""
    points: list[Point] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    _seen: set[object] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the answer to a request."""
        with self._lock:
            self.requests[path] += 1
            status, reason, answer = self._answer(path, headers, body)
            if reason:
                self.refusals.append(reason)
            return status, answer or reason.encode()

    def _answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        signals = {self.vendor.filled(known): signal for signal, known in self.vendor.paths.items()}
        if path not in signals:
            return 404, f"path {path}, not {sorted(signals)}", b""
        encoding = headers.get("content-encoding", "identity")
        if encoding not in DECOMPRESS:
            return 415, f"compression {encoding}, which the sink cannot read", b""
        plain = DECOMPRESS[encoding](body)
        points = tuple(self._points(plain)) if signals[path] == "metrics" else ()
        request = Request(path, headers, len(body), len(plain), points)
        for rule in self.vendor.rules:
            problem = rule.request_problem(request)
            if problem:
                return rule.status or 400, problem, b""
        if signals[path] == "logs":
            self.events += _names(plain)
        if signals[path] != "metrics":
            return 200, "", b""
        return self._keep(request)

    def _points(self, plain: bytes) -> Iterator[Point]:
        if self.vendor.protocol == "remote write":
            yield from remote_write.points_of(plain)
            return
        yield from points_of(ExportMetricsServiceRequest.FromString(plain))

    def _keep(self, request: Request) -> tuple[int, str, bytes]:
        """Keep the points that no rule refuses."""
        problems, kept = [], []
        for point in request.points:
            for rule in self.vendor.rules:
                problem = rule.point_problem(point, request, self._seen)
                if problem:
                    if rule.status is not None:
                        return rule.status, problem, b""
                    problems.append(problem)
                    break
            else:
                kept.append(point)
        self.points += kept
        answer = ExportMetricsServiceResponse()
        if problems:
            answer.partial_success.rejected_data_points = len(problems)
            answer.partial_success.error_message = problems[0]
        return 200, "; ".join(problems), answer.SerializeToString() or b"\n\x00"

    def names(self) -> set[str]:
        """Return the names of the metrics that arrived."""
        return {point.metric for point in self.points}

    def total(self, metric: str, **match: str) -> float:
        """
        Return what a counter, or the count of a histogram, adds up to over its series.

        Deltas are added; of cumulative values the last one of each series counts.
        """
        sums: defaultdict[object, float] = defaultdict(float)
        for point in self.points:
            if point.metric != metric or any(point.attributes.get(key) != value for key, value in match.items()):
                continue
            sums[point.series] = point.value + (sums[point.series] if point.temporality == "delta" else 0.0)
        return sum(sums.values())

    def last(self, metric: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the last value of each series of a metric, by its attributes."""
        return {
            tuple(sorted((key, str(value)) for key, value in point.attributes.items())): point.value
            for point in self.points
            if point.metric == metric
        }


def _names(plain: bytes) -> list[str]:
    """Return the names of the events in a request of logs."""
    return [
        record.event_name
        for resource in ExportLogsServiceRequest.FromString(plain).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


@contextmanager
def running(vendor: Vendor) -> Iterator[Sink]:
    """Run the sink of a vendor during the block, on a free port of this host."""
    sink = Sink(vendor)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {key.lower(): value for key, value in self.headers.items()}
            try:
                status, answer = sink.receive(self.path, headers, body)
            except Exception as error:  # noqa: BLE001 - whatever the parser raises, the request is refused
                status, answer = 400, repr(error).encode()
                sink.refusals.append(repr(error))
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
