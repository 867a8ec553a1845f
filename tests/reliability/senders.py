"""Providers as `configure_otlp` makes them, with short intervals and time-outs."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider

from driftline.otel._sdk import ForkSafeReader, LossCounter, MetricSender, RecordSender, export_losses, survive_forks

SETTINGS = {"OTEL_METRIC_EXPORT_INTERVAL": "100", "OTEL_BLRP_SCHEDULE_DELAY": "50", "NO_PROXY": "127.0.0.1"}
"""The environment of `providers_to`: exports ten times a second."""


def providers_to(endpoint):
    """Return providers that export to an endpoint; the caller shuts them down."""
    losses = LossCounter()
    points = MetricSender(lambda: OTLPMetricExporter(f"{endpoint}/v1/metrics", timeout=0.5), losses)
    records = RecordSender(lambda: OTLPLogExporter(f"{endpoint}/v1/logs", timeout=0.5), losses)
    reader = ForkSafeReader(points)
    meters, loggers = MeterProvider([reader]), LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(records))
    export_losses(meters, losses)
    survive_forks(meters, [reader], (points, records), losses)
    return {"meter_provider": meters, "logger_provider": loggers}
