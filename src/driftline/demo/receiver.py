"""Receives OTLP over HTTP in a separate process, and draws the telemetry that arrives."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from rich.console import Console

from driftline import Reference
from driftline.demo.received import Received
from driftline.demo.screen import Lines, Picture, Screen, Span
from driftline.demo.summary import summary
from driftline.fleet._receiver.intake import RefusedError, decompress

__all__ = ["Finished", "receive"]

DRAW_SECONDS = 0.25
"""Seconds between two drawings."""

MAX_BYTES = 64 * 2**20
"""Largest size of a request in bytes, decompressed too. Those of the demo have about 100 kB."""

_ROUTES: dict[str, tuple[type[Message], type[Message]]] = {
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
    "/v1/logs": (ExportLogsServiceRequest, ExportLogsServiceResponse),
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
}


@dataclass(frozen=True, slots=True)
class Finished:
    """The last message of the sender: the number of predictions that it sent, and whether Ctrl-C ended the demo."""

    predictions: int
    interrupted: bool


def receive(pipe: Connection, reference_json: str, span: Span, variant: str) -> None:
    """
    Listen on a free port, draw the telemetry that arrives, and print a summary at the end.

    The end is the message `Finished`, or the end of the sender's process.

    This is the main function of the receiver's process.

    Args:
        pipe: the connection to the sender, which gets the port through it and later sends `Finished`.
        reference_json: the reference of the monitors, as JSON.
        span: the first and last hour of the replay.
        variant: the variant whose features are shown.
    """
    # Ctrl-C reaches every process of the group. The sender ends first, and then sends `Finished`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reference = Reference.from_json(reference_json)
    received, lock = Received(variant), threading.Lock()
    server = _server(received, lock)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        pipe.send(server.server_port)
    except OSError:  # the sender ended before it began
        return
    console = Console()
    screen: Screen = Picture(console, reference, span) if console.is_terminal else Lines(span)
    finished: Finished | None = None
    with screen:
        while True:
            try:
                if pipe.poll(DRAW_SECONDS):
                    finished = pipe.recv()
                    break
            except (EOFError, OSError):
                break
            with lock:
                screen.show(received)
        with lock:
            screen.show(received)
    server.shutdown()
    names = [feature.name for feature in reference.watched]
    print()
    for line in summary(
        received,
        names,
        None if finished is None else finished.predictions,
        interrupted=finished is None or finished.interrupted,
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)
    pipe.close()


def _server(received: Received, lock: threading.Lock) -> ThreadingHTTPServer:
    """Return a server on a free port of this host. It holds *lock* while it adds a request to *received*."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            if self.path not in _ROUTES or length > MAX_BYTES:
                self.send_error(404 if self.path not in _ROUTES else 413)
                return
            request_type, response_type = _ROUTES[self.path]
            try:
                encoding = self.headers.get("Content-Encoding", "identity")
                message: Any = request_type.FromString(decompress(self.rfile.read(length), encoding, MAX_BYTES))
            except (DecodeError, OSError, RefusedError):
                self.send_error(400)
                return
            with lock:
                if self.path == "/v1/metrics":
                    received.add_metrics(message)
                elif self.path == "/v1/logs":
                    received.add_logs(message)
            response = response_type().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(response)))
            self.end_headers()
            self.wfile.write(response)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
            """Print nothing, because the terminal shows the picture."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server
