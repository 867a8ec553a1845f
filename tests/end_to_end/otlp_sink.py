"""A backend that takes OTLP over HTTP, that can be away or slow, and what it has received."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from processes import free_port

__all__ = ["OtlpSink"]

DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


class OtlpSink:
    """
    The backend. It keeps each request that it has answered, and those that it has received without an answer.

    Args:
        seconds: how long it takes to answer, so that a collector may be killed meanwhile.
    """

    def __init__(self, seconds=0.0):
        self.port = free_port()
        self.seconds = seconds
        self.requests = []
        self._lock = threading.Lock()
        self._server = self._thread = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def up(self):
        """Listen."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                request = ExportMetricsServiceRequest.FromString(body)
                with sink._lock:
                    sink.requests.append(request)
                time.sleep(sink.seconds)
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                """Print nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                """Ignore a client that was killed."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def down(self):
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def points(self, metric):
        """Yield temporality, resource attributes, attributes, and point of a metric, in the order of arrival."""
        with self._lock:
            requests = list(self.requests)
        for request in requests:
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for entry in scope.metrics:
                        if entry.name == metric:
                            data = getattr(entry, entry.WhichOneof("data"))
                            for point in data.data_points:
                                yield (
                                    getattr(data, "aggregation_temporality", None),
                                    plain(resource.resource.attributes),
                                    plain(point.attributes),
                                    point,
                                )

    def total(self, metric):
        """Return the sum of all deltas and of the last value of each cumulative series."""
        deltas, last = 0, {}
        for temporality, resource, attributes, point in self.points(metric):
            if temporality == DELTA:
                deltas += value(point)
            else:
                key = (*sorted(resource.items()), *sorted(attributes.items()))
                last[key] = max(last.get(key, 0), value(point))
        return deltas + sum(last.values())

    def series(self, metric):
        """Return the distinct series of a metric."""
        return {
            (*sorted(resource.items()), *sorted(attributes.items()))
            for _, resource, attributes, _ in self.points(metric)
        }


def plain(attributes):
    """Return attributes as a dict of strings."""
    return {each.key: str(getattr(each.value, each.value.WhichOneof("value"))) for each in attributes}


def value(point):
    """Return the value of a point; of a histogram its count."""
    if hasattr(point, "count"):
        return point.count
    return point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
