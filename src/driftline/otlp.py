"""Setup of OpenTelemetry in one call, for programs without their own (extra ``otlp``)."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftline._runtime import validation as check
from driftline._runtime.process_hooks import at_exit_of_children, hook_forks
from driftline.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["OtlpSetup", "configure_otlp"]

PROTOCOLS = ("http/protobuf", "grpc")
"""The protocols of OTLP, the default first."""

OLDEST_SDK = "1.39"
"""The oldest version of opentelemetry-sdk that has all the parts used here, as in ``pyproject.toml``."""


@dataclass(frozen=True, slots=True)
class OtlpSetup:
    """
    The providers that `configure_otlp` has set up. They flush and shut down when the process exits.

    Attributes:
        meter_provider: exports metrics.
        logger_provider: exports events.
        tracer_provider: exports spans.
    """

    meter_provider: MeterProvider
    logger_provider: LoggerProvider
    tracer_provider: TracerProvider

    def force_flush(self) -> bool:
        """Send all pending telemetry. Return whether everything was sent in time."""
        flushes: tuple[Callable[[], bool], ...] = (
            self.tracer_provider.force_flush,
            self.logger_provider.force_flush,
            self.meter_provider.force_flush,
        )
        results = [flush() for flush in flushes]
        return all(results)

    def send_what_is_left(self) -> None:
        """Flush at the end of a process that skips ``atexit``, such as a child of multiprocessing. Never raise."""
        with contextlib.suppress(Exception):
            self.force_flush()

    def shutdown(self) -> None:
        """Send all pending telemetry, and stop the three providers."""
        self.tracer_provider.shutdown()
        self.logger_provider.shutdown()
        self.meter_provider.shutdown()


def configure_otlp(
    service_name: str | None = None, *, protocol: str | None = None, endpoint: str | None = None
) -> OtlpSetup:
    """
    Create providers that send metrics, events and spans through OTLP, and make them the global ones.

    All ``OTEL_*`` variables apply (endpoint, headers, protocol, intervals, temporality, resource). An argument
    overrides its variable.

    Args:
        service_name: the attribute ``service.name``. If None, the resource's default.
        protocol: ``"http/protobuf"`` (the default: it survives a fork) or ``"grpc"``.
        endpoint: the collector's base URL, such as ``"http://localhost:4318"``. If None, the exporter's default.

    Raises:
        ConfigurationError: the protocol is unknown, the endpoint has no scheme, the extra ``otlp`` is not installed or
            too old, or the program has set OpenTelemetry up already.
    """
    protocol = protocol or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or PROTOCOLS[0]
    check.one_of("protocol", protocol, PROTOCOLS)
    if endpoint is not None and (not isinstance(endpoint, str) or "://" not in endpoint):
        check.reject("endpoint", endpoint, "a URL such as 'http://localhost:4318'")
    check.optional(check.string, "service_name", service_name, at_least=1)
    try:
        return _set_up(service_name, protocol, endpoint)
    except ModuleNotFoundError as error:
        msg = f"configure_otlp needs the extra otlp (pip install 'driftline[otlp]'): {error}"
        raise ConfigurationError(msg) from error
    except ImportError as error:  # a part that this version of the SDK or of the exporters lacks
        msg = (
            f"configure_otlp needs opentelemetry-sdk {OLDEST_SDK} or newer and exporters of the same version "
            f"(pip install --upgrade 'driftline[otlp]'), found {_sdk_version()}: {error}"
        )
        raise ConfigurationError(msg) from error


def _sdk_version() -> str:
    try:
        return importlib.metadata.version("opentelemetry-sdk")
    except importlib.metadata.PackageNotFoundError:
        return "one without metadata"


def _set_up(service_name: str | None, protocol: str, endpoint: str | None) -> OtlpSetup:
    """Do the work of `configure_otlp` with checked arguments. Raise ImportError without the extra ``otlp``."""
    from opentelemetry import _logs, metrics, trace  # noqa: PLC0415 - the extra otlp
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    from driftline.otel._sdk import ForkSafeReader, LossCounter, MetricSender, RecordSender, SpanSender, survive_forks  # noqa: PLC0415

    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        endpoints = dict.fromkeys(("metrics", "logs", "traces"), endpoint)
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import (  # type: ignore[assignment]  # noqa: PLC0415
            OTLPLogExporter,
        )
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # type: ignore[assignment]  # noqa: PLC0415
            OTLPMetricExporter,
        )
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # type: ignore[assignment]  # noqa: PLC0415
            OTLPSpanExporter,
        )

        base = None if endpoint is None else endpoint.rstrip("/")
        endpoints = {signal: base and f"{base}/v1/{signal}" for signal in ("metrics", "logs", "traces")}

    for signal, provider in (
        ("meter", metrics.get_meter_provider()),
        ("tracer", trace.get_tracer_provider()),
        ("logger", _logs.get_logger_provider()),
    ):
        if "Proxy" not in type(provider).__name__:
            msg = f"the program has a global {signal} provider already ({type(provider).__name__}): use that one"
            raise ConfigurationError(msg)
    resource = Resource.create({} if service_name is None else {"service.name": service_name})
    hook_forks()
    losses = LossCounter()
    points = MetricSender(lambda: OTLPMetricExporter(endpoint=endpoints["metrics"]), losses)
    records = RecordSender(lambda: OTLPLogExporter(endpoint=endpoints["logs"]), losses)
    spans = SpanSender(lambda: OTLPSpanExporter(endpoint=endpoints["traces"]), losses)
    reader = ForkSafeReader(points)
    meters = MeterProvider([reader], resource=resource)
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(records))
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    survive_forks(meters, reader, (points, records, spans), losses)
    metrics.set_meter_provider(meters)
    _logs.set_logger_provider(loggers)
    trace.set_tracer_provider(tracers)
    setup = OtlpSetup(meters, loggers, tracers)
    at_exit_of_children(setup.send_what_is_left)
    return setup
