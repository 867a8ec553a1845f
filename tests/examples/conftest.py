"""A receiver of OTLP over HTTP, to which the examples send through a real socket."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)


class Receiver:
    """An OTLP server that keeps the metric requests in order of arrival."""

    def __init__(self):
        self.requests = []
        received = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/metrics":
                    received.append(ExportMetricsServiceRequest.FromString(body))
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def last(self, metric, requests=None):
        """
        Return the last value of each series of a metric, by its attributes without the model's name.

        Of the first *requests* requests; None for all.
        """
        values = {}
        for request in self.requests[:requests]:
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for candidate in scope.metrics:
                        if candidate.name == metric:
                            for point in getattr(candidate, candidate.WhichOneof("data")).data_points:
                                values[_key(point.attributes)] = _number(point)
        return values


def _key(attributes):
    values = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}
    return tuple(sorted((key, value) for key, value in values.items() if key != "ml.model.name"))


def _number(point):
    if hasattr(point, "count"):
        return point.count
    return point.as_int if point.WhichOneof("value") == "as_int" else point.as_double


@pytest.fixture
def receiver():
    """An OTLP receiver that runs during a test."""
    running = Receiver()
    yield running
    running.close()
