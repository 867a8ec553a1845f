"""A receiver of OTLP over gRPC: who is let in, limits, what cannot be read."""

from __future__ import annotations

import threading

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from otlp_requests import request_of

from driftline import semconv as sc
from driftline._backends.otlp_store import OtlpStore, retention_by
from driftline._backends.otlp_table import Limits
from driftline.fleet._receiver.addresses import Address, Door
from driftline.fleet._receiver.grpc_server import CODES, GrpcReceiver
from driftline.fleet._receiver.intake import SERVICES, Intake, IntakeLimits, RefusedError

SERVICE = SERVICES["metrics"]
NOW = 1_700_000_000.0
TOKEN = "s3cret-s3cret-s3cret"  # noqa: S105 - of no server


def request(count=1):
    points = [(NOW, {"ml.model.name": "m", sc.ML_CANARY_PROCESS: str(index)}, 5) for index in range(count)]
    return request_of(sc.METRIC_CANARY_CALLS, points)


class Server:
    """A receiver, and a channel to it."""

    def __init__(self, door, limits, credentials):
        self.store = OtlpStore(retention_by(60.0), Limits(series=100), lambda: NOW)
        self.intake = Intake(self.store, limits)
        self.receiver = GrpcReceiver(Address("127.0.0.1", 0), door, self.intake)
        target, options = f"localhost:{self.receiver.address.port}", [("grpc.enable_http_proxy", 0)]
        self.channel = (
            grpc.insecure_channel(target, options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options)
        )

    def export(self, message, **more):
        return MetricsServiceStub(self.channel).Export(message, timeout=20, **more)

    def send(self, data, method="Export", **more):
        """Send bytes as a message."""
        return self.channel.unary_unary(f"/{SERVICES['metrics']}/{method}")(data, timeout=20, **more)


@pytest.fixture
def start():
    """Return a function that starts a receiver."""
    servers = []

    def start(door=None, credentials=None, **limits):
        servers.append(Server(door or Door(), IntakeLimits(**limits), credentials))
        return servers[-1]

    yield start
    for each in servers:
        each.channel.close()
        each.receiver.close()


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_points_are_stored(start, compression):
    server = start()
    response = server.export(request(3), compression=compression)
    assert not response.HasField("partial_success")
    assert server.store.series == 3


def test_refused_points_are_a_partial_success(start):
    partial = start().export(request(103)).partial_success
    assert (partial.rejected_data_points, partial.error_message) == (3, "3 points: more than 100 series")


def test_a_token_is_demanded(start):
    server = start(Door(token=lambda: TOKEN))
    for metadata in ((), (("authorization", "Bearer x"),), (("authorization-bin", TOKEN.encode()),)):
        with pytest.raises(grpc.RpcError) as caught:
            server.export(request(), metadata=metadata)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert server.store.series == 0
    server.export(request(), metadata=(("authorization", f"Bearer {TOKEN}"),))
    assert server.store.series == 1


def test_tls(start, certificate):
    server = start(
        Door(token=lambda: TOKEN, certificate=certificate.chain, key=certificate.key),
        grpc.ssl_channel_credentials(certificate.chain.read_bytes()),
    )
    server.export(request(), metadata=(("authorization", f"Bearer {TOKEN}"),))
    assert server.store.series == 1


def test_what_cannot_be_read_is_not_sent_again(start):
    server = start(body=10_000)
    codes = grpc.StatusCode
    for data, method, code in [
        (b"\xff\xff\xff", "Export", {codes.INVALID_ARGUMENT}),
        (bytes(10_001), "Export", {codes.RESOURCE_EXHAUSTED}),
        (b"", "Import", {codes.UNIMPLEMENTED}),
    ]:
        with pytest.raises(grpc.RpcError) as caught:
            server.send(data, method)
        assert caught.value.code() in code
    assert server.export(ExportMetricsServiceRequest()) is not None


def test_a_message_that_grows_is_refused(start):
    """The limit is that of the decompressed message."""
    server = start(body=10_000)
    with pytest.raises(grpc.RpcError) as caught:
        server.send(bytes(10**8), compression=grpc.Compression.Gzip)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.intake.requests == 0


def test_a_busy_receiver_is_tried_again(start, monkeypatch):
    server = start(seconds=0.5, requests=1)
    codes, add = [], server.store.add

    def add_and_ask(message):
        if not codes:
            with pytest.raises(RefusedError) as caught:
                server.intake.add(b"")
            codes.append(CODES[caught.value.problem])
        return add(message)

    monkeypatch.setattr(server.store, "add", add_and_ask)
    server.export(request())
    assert codes == [grpc.StatusCode.UNAVAILABLE]
    server.export(request())


def test_an_address_in_use(start):
    server = start()
    with pytest.raises(OSError, match="cannot listen at"):
        GrpcReceiver(server.receiver.address, Door(), server.intake)


@pytest.mark.parametrize("door", [Door(), Door(token=lambda: TOKEN)])
def test_calls_without_a_message_keep_nobody_out(start, door):
    """Clients that begin a call and send nothing do not stop the others, with a token or without."""
    server = start(door, seconds=0.5)
    ended = threading.Event()

    def nothing():
        ended.wait(60)
        yield b""

    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(str(server.receiver.address), options) for _ in range(8)]
    hanging = [
        channel.stream_unary(f"/{SERVICES['metrics']}/Export").future(nothing(), timeout=60)
        for channel in channels
        for _ in range(5)
    ]
    try:
        server.export(request(), metadata=(("authorization", f"Bearer {TOKEN}"),))
        assert server.store.series == 1
        codes = {call.exception(20).code() for call in hanging}
        assert codes == {grpc.StatusCode.UNAUTHENTICATED if door.token else grpc.StatusCode.CANCELLED}
    finally:
        ended.set()
        for channel in channels:
            channel.close()


def test_a_call_that_ends_without_a_message(start):
    server = start()
    with pytest.raises(grpc.RpcError) as caught:
        server.channel.stream_unary(f"/{SERVICES['metrics']}/Export")(iter(()), timeout=20)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_logs_are_handed_on_where_a_view_wants_them():
    """Each signal has its service; what is not wanted is UNIMPLEMENTED."""
    received = []
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(event_name="ml.retraining.requested")
    store = OtlpStore(retention_by(60.0))
    codes = []
    for on_logs in (received.append, None):
        server = GrpcReceiver(Address("127.0.0.1", 0), Door(), Intake(store, on_logs=on_logs))
        with grpc.insecure_channel(str(server.address)) as channel:
            call = channel.unary_unary(f"/{SERVICES['logs']}/Export").future(logs.SerializeToString(), timeout=20)
            codes.append(call.code())
        server.close()
    assert codes == [grpc.StatusCode.OK, grpc.StatusCode.UNIMPLEMENTED]
    assert received == [logs]
