"""A small OTLP/HTTP receiver that adds up the received points, and that can inject faults."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import zlib
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

KINDS = {
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/traces": ExportTraceServiceRequest,
}
DELTA = 1
"""AGGREGATION_TEMPORALITY_DELTA of the protocol."""


class Receiver:
    """
    A server on a free port, which can be killed and started again on the same port.

    Attributes:
        fault: the answer to a request that is refused: a status, ``"slow"``, ``"close"`` (the connection is closed
            unanswered), ``"half"`` (it is closed for writing and stays open for reading) or ``"reset"``. If None,
            requests are accepted.
        seconds: duration of ``"slow"``.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self.received_values = defaultdict(dict)
        self.fault = None
        self.seconds = 30.0
        self.requests = 0
        self.refused = 0
        self.events = []
        self.spans = 0
        self.decreases = []
        self.port = 0
        self._server = None
        self._woken = threading.Event()

    @property
    def endpoint(self):
        """Return the URL for an exporter."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def reserve(self):
        """Choose a port without listening on it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self):
        """Listen."""
        self._woken.clear()
        self._server = _Server(("127.0.0.1", self.port), self._handler())
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def kill(self):
        """Close the port and every connection, also in the middle of a request."""
        self._woken.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.drop_connections()
            self._server = None

    # --- what has arrived --------------------------------------------------------------------------------------------

    def values(self, metric, **attributes):
        """Return the sum of deltas or the last cumulative value, by instance and attributes; counts of histograms."""
        wanted = {(key.replace("__", "."), value) for key, value in attributes.items()}
        with self._lock:
            return {key: value for key, value in self.received_values[metric].items() if wanted <= key[1]}

    def total(self, metric, **attributes):
        """Return the sum over all instances and attribute sets."""
        return sum(self.values(metric, **attributes).values())

    def served(self):
        """Return the successful predictions of all processes."""
        return sum(
            value
            for (_, attributes), value in self.values("ml.predictions.served").items()
            if not any(key == "error.type" for key, _ in attributes)
        )

    def failed(self):
        """Return the failed predictions by error type."""
        failures = defaultdict(int)
        for (_, attributes), value in self.values("ml.predictions.served").items():
            for key, name in attributes:
                if key == "error.type":
                    failures[name] += value
        return dict(failures)

    def observations(self, feature):
        """Return the rows of a feature over all bins, instances and references."""
        return self.total("ml.feature.observations", ml__feature__name=feature)

    def instances(self):
        """Return the processes that have exported predictions."""
        return {instance for instance, _ in self.values("ml.predictions.served")}

    # --- the server --------------------------------------------------------------------------------------------------

    def _take(self, path, message):
        with self._lock:
            self.requests += 1
            if path == "/v1/metrics":
                self._metrics(message)
            elif path == "/v1/logs":
                for resource in message.resource_logs:
                    for scope in resource.scope_logs:
                        self.events += [(record.event_name, plain(record.attributes)) for record in scope.log_records]
            else:
                self.spans += sum(
                    len(scope.spans) for resource in message.resource_spans for scope in resource.scope_spans
                )

    def _metrics(self, message):
        for resource in message.resource_metrics:
            instance = plain(resource.resource.attributes).get("service.instance.id", "")
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    data = getattr(metric, kind)
                    delta = getattr(data, "aggregation_temporality", 0) == DELTA
                    for point in data.data_points:
                        key = instance, frozenset(plain(point.attributes).items())
                        value = point.count if kind == "histogram" else getattr(point, point.WhichOneof("value"))
                        before = self.received_values[metric.name].get(key, 0)
                        if kind != "gauge" and getattr(data, "is_monotonic", kind == "histogram"):
                            fell = value < 0 if delta else value < before
                            if fell:
                                self.decreases.append((metric.name, key, before, value))
                        self.received_values[metric.name][key] = before + value if delta else value

    def _handler(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = receiver.fault
                if fault is not None:
                    receiver.refused += 1
                    self._misbehave(fault)
                    return
                encoding = self.headers.get("Content-Encoding")
                try:
                    body = gzip.decompress(body) if encoding == "gzip" else body
                    body = zlib.decompress(body) if encoding == "deflate" else body
                    receiver._take(self.path, KINDS[self.path].FromString(body))
                except (DecodeError, OSError, KeyError, zlib.error):
                    self._answer(400)
                    return
                self._answer(200)

            def _answer(self, status):
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _misbehave(self, fault):
                self.close_connection = True
                if isinstance(fault, int):
                    self._answer(fault)
                elif fault == "slow":
                    receiver._woken.wait(receiver.seconds)
                elif fault == "half":
                    self.connection.shutdown(socket.SHUT_WR)
                    receiver._woken.wait(0.2)
                elif fault == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    self.connection.close()

            def log_message(self, *_):
                """Log nothing."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *arguments):
        self._open = set()
        super().__init__(*arguments)

    def process_request(self, request, address):
        self._open.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, address):
        """Ignore clients that disconnect."""

    def drop_connections(self):
        """Drop all connections, as a killed process does."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def plain(attributes):
    """Return OTLP attributes as a dict."""
    return {attribute.key: getattr(attribute.value, attribute.value.WhichOneof("value")) for attribute in attributes}


def eventually(read, expected, seconds=30.0):
    """Return the value of *read* when it equals *expected*, or the last value after *seconds*."""
    end = time.monotonic() + seconds
    while True:
        seen = read()
        if seen == expected or time.monotonic() > end:
            return seen
        time.sleep(0.02)
