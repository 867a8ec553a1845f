"""OTLP over gRPC: one method for each signal. grpcio is imported with this module (extra ``judge``)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc

from driftline.fleet._receiver.addresses import Address, Door
from driftline.fleet._receiver.intake import SERVICES, Intake, Problem, RefusedError, Signal

__all__ = ["GrpcReceiver"]

CODES: dict[Problem, grpc.StatusCode] = {
    "unreadable": grpc.StatusCode.INVALID_ARGUMENT,
    "too large": grpc.StatusCode.INVALID_ARGUMENT,
    "encoding": grpc.StatusCode.UNIMPLEMENTED,
    # RESOURCE_EXHAUSTED would be final for a client, without further details.
    "busy": grpc.StatusCode.UNAVAILABLE,
}

IDLE_MILLISECONDS = 300_000
"""Milliseconds after which a connection without a call is closed."""

CLOSE_SECONDS = 5.0
"""Seconds that calls may take to be finished when the receiver is closed."""

THREADS = 32
"""Most calls whose message is awaited at the same time. A client may send it slowly, or never."""


class GrpcReceiver:
    """
    A server of OTLP over gRPC.

    Args:
        address: where it listens.
        door: who is let in.
        intake: takes the messages.

    Attributes:
        address: where it listens, with the port that it has got.
        problems: numbers of calls that were refused, by status.

    Raises:
        OSError: the address cannot be listened at.
        ConfigurationError: the files of TLS cannot be read.
    """

    def __init__(self, address: Address, door: Door, intake: Intake) -> None:
        self._intake, self._door = intake, door
        self.problems: Counter[str] = Counter()
        limits = intake.limits
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="driftline-otlp-grpc")
        self._server = grpc.server(
            self._pool,
            options=[
                ("grpc.max_receive_message_length", limits.body),
                ("grpc.max_concurrent_streams", THREADS),
                ("grpc.max_connection_idle_ms", IDLE_MILLISECONDS),
                ("grpc.max_metadata_size", 16_384),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=limits.connections,
        )
        # Bytes are read here, so that what cannot be read is INVALID_ARGUMENT, which clients do not send again. A
        # stream of requests looks the same to clients, and its message is not awaited before the token is checked.
        handlers = []
        for signal in sorted(intake.signals):
            export = grpc.stream_unary_rpc_method_handler(partial(self._export, signal))
            handlers.append(grpc.method_handlers_generic_handler(SERVICES[signal], {"Export": export}))
        self._server.add_generic_rpc_handlers(tuple(handlers))
        files = door.files()
        try:
            if files is None:
                port = self._server.add_insecure_port(str(address))
            else:
                port = self._server.add_secure_port(str(address), grpc.ssl_server_credentials([files]))
        except RuntimeError as error:
            msg = f"cannot listen at {address}: {error}"
            raise OSError(msg) from error
        self.address = Address(address.host, port)
        self._server.start()

    def _export(self, signal: Signal, messages: Iterator[bytes], context: Any) -> bytes:
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        if not self._door.admits(headers.get("authorization")):
            self.problems["UNAUTHENTICATED"] += 1
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "expected a bearer token")
        try:
            body = self._next(messages, context)
            self._intake.hold(len(body))
            try:
                return self._intake.add(body, signal=signal).SerializeToString()
            finally:
                self._intake.release(len(body))
        except RefusedError as refused:
            self.problems[CODES[refused.problem].name] += 1
            context.abort(CODES[refused.problem], str(refused))
            raise  # not reached: `abort` raises

    def _next(self, messages: Iterator[bytes], context: Any) -> bytes:
        """
        Return the message of a call, which is cancelled if it is late.

        Raises:
            RefusedError: there is none.
            grpc.RpcError: it is late, or the client has ended.
        """
        late = threading.Timer(self._intake.limits.seconds, self._cancel, [context])
        late.daemon = True
        late.start()
        try:
            return next(messages)
        except StopIteration:
            msg = "a call without a message"
            raise RefusedError(msg, "unreadable") from None
        finally:
            late.cancel()

    def _cancel(self, context: Any) -> None:
        self.problems["CANCELLED"] += 1
        context.cancel()

    def close(self) -> None:
        """Finish the calls that are being read, and listen no more."""
        self._server.stop(CLOSE_SECONDS).wait()
        self._pool.shutdown(wait=False)
