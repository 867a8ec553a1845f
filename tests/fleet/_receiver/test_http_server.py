"""A receiver on a real socket: what the protocol demands, who is let in, limits, slow clients."""

from __future__ import annotations

import gzip
import http.client
import json
import select
import socket
import ssl
import threading
import time
import zlib
from contextlib import closing, suppress

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from otlp_requests import request_of

from driftline import semconv as sc
from driftline._backends.otlp_store import OtlpStore, retention_by
from driftline._backends.otlp_table import Limits
from driftline.fleet._receiver import serving
from driftline.fleet._receiver.addresses import Address, Door
from driftline.fleet._receiver.http_server import HttpReceiver
from driftline.fleet._receiver.intake import Intake, IntakeLimits

NOW = 1_700_000_000.0
PROTOBUF, JSON = "application/x-protobuf", "application/json"
TOKEN = "s3cret-s3cret-s3cret"  # noqa: S105 - of no server

HEAD = b"POST /v1/metrics HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n"


def body_of(count=1, value=5):
    points = [(NOW, {"ml.model.name": "m", sc.ML_CANARY_PROCESS: str(index)}, value) for index in range(count)]
    return request_of(sc.METRIC_CANARY_CALLS, points).SerializeToString()


JSON_BODY = json.dumps(
    {
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {
                        "metrics": [
                            {
                                "name": "ml.canary.calls",
                                "sum": {
                                    "aggregationTemporality": 2,
                                    "isMonotonic": True,
                                    "dataPoints": [
                                        {
                                            "asInt": "5",
                                            "timeUnixNano": "1700000000000000000",
                                            "attributes": [{"key": "ml.model.name", "value": {"stringValue": "m"}}],
                                            "exemplars": [{"traceId": "5b8efff798038103d269b633813fc60c"}],
                                        }
                                    ],
                                },
                                "later": 1,
                            }
                        ]
                    }
                ]
            }
        ]
    }
).encode()


class Server:
    """A receiver, and the requests of a test."""

    def __init__(self, door, limits, store_limits):
        self.store = OtlpStore(retention_by(60.0), store_limits, lambda: NOW)
        self.intake = Intake(self.store, limits)
        self.receiver = HttpReceiver(Address("127.0.0.1", 0), door, self.intake)
        self.port = self.receiver.address.port

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, body=b"", method="POST", path="/v1/metrics", kind=PROTOBUF, **headers):
        """Send a request, and return the response and its body."""
        headers = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        with closing(self.connect()) as connection:
            connection.request(method, path, body, {key: value for key, value in headers.items() if value is not None})
            response = connection.getresponse()
            return response, response.read()

    def send(self, *pieces):
        """Send bytes, and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            for piece in pieces:
                connection.sendall(piece)
            answer = b""
            while read := connection.recv(65_536):
                answer += read
            return answer


@pytest.fixture
def start():
    """Return a function that starts a receiver."""
    servers = []

    def start(door=None, store_limits=None, **limits):
        servers.append(Server(door or Door(), IntakeLimits(**limits), store_limits))
        return servers[-1]

    yield start
    for each in servers:
        each.receiver.close()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (body_of(), {}),
        (gzip.compress(body_of()), {"Content_Encoding": "gzip"}),
        (zlib.compress(body_of()), {"Content_Encoding": "deflate"}),
        (body_of(), {"Content_Encoding": "identity"}),
        (JSON_BODY, {"kind": "application/json; charset=utf-8"}),
        (gzip.compress(JSON_BODY), {"kind": JSON, "Content_Encoding": "GZIP"}),
    ],
)
def test_points_of_each_encoding_are_stored(start, body, headers):
    server = start()
    response, answer = server.ask(body, **headers)
    assert response.status == 200
    if "kind" in headers:
        assert (response.headers["Content-Type"], json.loads(answer)) == (JSON, {})
    else:
        assert (response.headers["Content-Type"], answer) == (PROTOBUF, b"")
    (sample,) = server.store.latest(sc.METRIC_CANARY_CALLS, {"ml.model.name": "m"}, at=NOW, within=60.0)
    assert sample.value == 5


def test_a_connection_serves_many_requests(start):
    server = start()
    connection = server.connect()
    for value in range(5):
        connection.request("POST", "/v1/metrics", body_of(value=value), {"Content-Type": PROTOBUF})
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
    connection.close()
    assert server.intake.requests == 5


@pytest.mark.parametrize(
    ("request_", "status", "header"),
    [
        ({"path": "/v1/logs"}, 404, {}),
        ({"path": "/v1/metrics?x=1"}, 404, {}),
        ({"method": "GET"}, 405, {"Allow": "POST"}),
        ({"method": "HEAD"}, 405, {}),
        ({"method": "OPTIONS"}, 405, {}),
        ({"method": "BREW"}, 501, {}),
        ({"kind": None}, 415, {}),
        ({"kind": "text/plain"}, 415, {}),
        ({"kind": "application/x-www-form-urlencoded"}, 415, {}),
        ({"body": b"\xff\xff\xff"}, 400, {}),
        ({"body": b"{", "kind": JSON}, 400, {}),
        ({"body": b"[" * 5_000, "kind": JSON}, 400, {}),
        ({"body": b'{"resourceMetrics": 1}', "kind": JSON}, 400, {}),
        ({"body": b'"\xff"', "kind": JSON}, 400, {}),
        ({"body": b"no gzip", "Content_Encoding": "gzip"}, 400, {}),
        ({"body": gzip.compress(body_of())[:-12], "Content_Encoding": "gzip"}, 400, {}),
        ({"body": body_of(), "Content_Encoding": "zstd"}, 415, {}),
        ({"body": body_of(), "Content_Encoding": "gzip, gzip"}, 415, {}),
        ({"body": bytes(20_001)}, 413, {}),
        ({"body": gzip.compress(bytes(10**7)), "Content_Encoding": "gzip"}, 413, {}),
        ({"Content_Length": "-1"}, 400, {}),
        ({"Content_Length": "1e3"}, 400, {}),
        ({"Content_Length": "9" * 5_000}, 413, {}),
        ({"Transfer_Encoding": "chunked"}, 411, {}),
    ],
)
def test_statuses(start, request_, status, header):
    """Those of the protocol; the body is a Status, in the content type of the request."""
    server = start(body=20_000)
    response, answer = server.ask(**request_)
    assert response.status == status
    assert header.items() <= dict(response.headers).items()
    if request_.get("method") != "HEAD":
        message = json.loads(answer)["message"] if request_.get("kind") == JSON else Status.FromString(answer).message
        assert message
    assert server.store.series == 0
    response, _ = server.ask(body_of())
    assert response.status == 200


@pytest.mark.parametrize(
    "text",
    [
        b"\r\n" * 3,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400),
        b"GET\r\n\r\n",
        b"POST /v1/metrics HTTP/9.9\r\n\r\n",
        b"POST /v1/metrics HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /v1/metrics HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"POST /" + b"y" * 70_000,
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=range(9),
)
def test_what_is_no_request_of_this_server(start, monkeypatch, text):
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.5)
    server = start()
    answer = server.send(text)
    assert not answer or answer.split()[1] in {b"400", b"411", b"414", b"431", b"505"}
    assert server.ask(body_of())[0].status == 200


def test_a_token_is_demanded_before_the_body_is_read(start):
    server = start(Door(token=lambda: TOKEN))
    for value in (None, "", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff"):
        response, _ = server.ask(body_of(), Authorization=value)
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert server.store.series == 0
    assert server.ask(body_of(), Authorization=f"bearer {TOKEN}")[0].status == 200


def test_refused_points_are_a_partial_success(start):
    server = start(store_limits=Limits(series=2))
    response, answer = server.ask(body_of(5))
    partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    assert (response.status, partial.rejected_data_points) == (200, 3)
    assert partial.error_message == "3 points: more than 2 series"


def test_too_many_bytes_at_once_are_sent_again_later(start):
    server = start(pending=100)
    response, _ = server.ask(bytes(200))
    assert (response.status, response.headers["Retry-After"]) == (429, "2")
    assert server.ask(body_of())[0].status == 200  # nothing is held any more


@pytest.mark.system
def test_too_many_requests_at_once_are_sent_again_later(start, monkeypatch):
    server = start(requests=1, seconds=0.2)
    entered, ended = threading.Event(), threading.Event()
    add = server.store.add

    def slowly(request):
        entered.set()
        ended.wait(20)
        return add(request)

    monkeypatch.setattr(server.store, "add", slowly)
    first = threading.Thread(target=server.ask, args=(body_of(),))
    first.start()
    entered.wait(20)
    assert server.ask(body_of())[0].status == 429
    ended.set()
    first.join()
    assert server.ask(body_of())[0].status == 200


@pytest.mark.system
def test_connections_beyond_the_limit_are_closed(start):
    server = start(connections=2)
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
    time.sleep(0.2)  # until they are accepted
    with pytest.raises(OSError, match=r"."):
        server.ask(body_of())
    for each in held:
        each.close()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            assert server.ask(body_of())[0].status == 200
            break
        except OSError:
            time.sleep(0.02)
    assert server.intake.requests == 1


@pytest.mark.system
def test_slow_clients_are_closed(start, monkeypatch):
    """Whatever their pace: the first byte, the head and the body have a deadline each."""
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.3)
    server = start(seconds=0.3)
    head = HEAD + b"Content-Length: 1000\r\n\r\n"
    for sent in (b"", b"POST /v1", head, head + b"x"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(sent)
            begin = time.monotonic()
            assert closes(connection, b"x" if sent else b"")
            assert time.monotonic() < begin + 10
    assert server.store.series == 0


def closes(connection, more):
    """Send bytes slowly until the server closes the connection."""
    connection.settimeout(20)
    with suppress(OSError):
        for _ in range(1_000):
            connection.sendall(more)
            if select.select([connection], [], [], 0.02)[0] and not connection.recv(1):
                return True
        return False
    return True


def test_what_is_being_read_is_finished_at_the_end(start):
    server = start()
    body = body_of(200)
    head = (
        f"POST /v1/metrics HTTP/1.1\r\nContent-Type: {PROTOBUF}\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    assert server.send(head.encode(), body).split()[1] == b"200"
    server.receiver.close()
    with pytest.raises(OSError, match=r"."):
        server.connect().connect()
    assert server.store.series == 200
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("driftline-http")]


def test_tls(start, certificate):
    server = start(Door(token=lambda: TOKEN, certificate=certificate.chain, key=certificate.key))
    context = ssl.create_default_context(cafile=str(certificate.chain))
    connection = http.client.HTTPSConnection("localhost", server.port, timeout=20, context=context)
    connection.request("POST", "/v1/metrics", body_of(), {"Content-Type": PROTOBUF, "Authorization": f"Bearer {TOKEN}"})
    assert connection.getresponse().status == 200
    connection.close()
    with suppress(ConnectionError):
        assert server.send(b"POST /v1/metrics HTTP/1.1\r\n\r\n")[:4] != b"HTTP"
    assert server.store.series == 1


def test_logs_are_handed_on_where_a_view_wants_them(start):
    """Traces are let in and ignored, so that an SDK that sends all three logs no errors."""
    server = start()
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name="ml.retraining.requested")
    body = request.SerializeToString()
    response, _ = server.ask(body, path="/v1/logs")
    assert response.status == 404
    received = []
    intake = Intake(server.store, on_logs=received.append)
    with closing(HttpReceiver(Address("127.0.0.1", 0), Door(), intake)) as receiver:
        server.port = receiver.address.port
        for path, sent in (("/v1/logs", body), ("/v1/traces", b"anything"), ("/v1/metrics", body_of())):
            response, _ = server.ask(sent, path=path)
            assert response.status == 200
        response, answer = server.ask(b"no logs", path="/v1/logs")
        assert response.status == 400
        assert "no ExportLogsServiceRequest" in Status.FromString(answer).message
        response, answer = server.ask(body, path="/v1/profiles")
        assert "or /v1/logs, for logs or /v1/traces" in Status.FromString(answer).message
    assert received == [request]
    assert intake.requests == 3
