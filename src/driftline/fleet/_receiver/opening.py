"""Opens the receivers of OTLP that a command asks for (extra ``judge``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftline._backends.otlp_store import OtlpStore
from driftline.errors import ConfigurationError
from driftline.fleet._receiver.addresses import Address, Door

if TYPE_CHECKING:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    from driftline.fleet._receiver.grpc_server import GrpcReceiver
    from driftline.fleet._receiver.http_server import HttpReceiver
    from driftline.fleet._receiver.intake import Intake

__all__ = ["Receivers", "open_receivers"]


@dataclass(frozen=True, slots=True)
class Receivers:
    """
    The receivers that listen.

    Attributes:
        intake: what they add requests to.
        http: that of OTLP over HTTP; None without one.
        grpc: that of OTLP over gRPC; None without one.
    """

    intake: Intake
    http: HttpReceiver | None
    grpc: GrpcReceiver | None


def open_receivers(
    http: Address | None,
    grpc: Address | None,
    door: Door,
    store: OtlpStore,
    stack: ExitStack,
    on_logs: Callable[[ExportLogsServiceRequest], None] | None = None,
) -> Receivers:
    """
    Listen at addresses, until the stack is closed.

    Args:
        http: where OTLP over HTTP is received; None for nowhere.
        grpc: where OTLP over gRPC is received; None for nowhere.
        door: who is let in.
        store: takes metrics.
        stack: closes the receivers.
        on_logs: takes events. If None, they are refused.

    Raises:
        ConfigurationError: the extra is not installed.
        OSError: an address cannot be listened at.
    """
    try:
        from driftline.fleet._receiver.intake import Intake  # noqa: PLC0415 - the extra judge

        intake = Intake(store, on_logs=on_logs)
        server = receiver = None
        if http is not None:
            from driftline.fleet._receiver.http_server import HttpReceiver  # noqa: PLC0415 - as above

            server = HttpReceiver(http, door, intake)
            stack.callback(server.close)
        if grpc is not None:
            from driftline.fleet._receiver.grpc_server import GrpcReceiver  # noqa: PLC0415 - as above

            receiver = GrpcReceiver(grpc, door, intake)
            stack.callback(receiver.close)
    except ImportError as error:
        msg = f"--otlp needs the extra judge (pip install 'driftline[judge]'): {error}"
        raise ConfigurationError(msg) from error
    return Receivers(intake, server, receiver)
