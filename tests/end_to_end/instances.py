"""Instances of a service in one process: each has its resource, its monitor and its exporter."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource

import driftline as dl

__all__ = ["Instance"]

DELTA = dict.fromkeys((Counter, Histogram, ObservableCounter), AggregationTemporality.DELTA)

NEVER = 1e9
"""Milliseconds between two exports of the SDK's thread: the tests export."""


class _Exporter(OTLPMetricExporter):
    """Remembers whether the last export was confirmed."""

    confirmed = True

    def export(self, metrics_data, timeout_millis=10_000, **further):
        result = super().export(metrics_data, timeout_millis, **further)
        self.confirmed = result is MetricExportResult.SUCCESS
        return result


class _Kept(MetricExporter):
    """Keeps cumulative exports, as a backend without a collector would have them."""

    def __init__(self):
        super().__init__()
        self.requests = []

    def export(self, metrics_data, timeout_millis=10_000, **further):
        self.requests.append(encode_metrics(metrics_data))
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        return True

    def shutdown(self, timeout_millis=30_000, **further):
        """Nothing to close."""


class Instance:
    """
    One instance.

    Attributes:
        own_exports: the requests that it would have sent to a backend itself, with cumulative counters.

    Args:
        name: its host and its `service.instance.id`.
        endpoint: where it exports to.
        reference: of its monitor.
        temporality: ``"delta"`` or ``"cumulative"``.
        seconds: how long an export is tried.
    """

    def __init__(self, name, endpoint, reference, *, temporality, seconds=60.0):
        own = DELTA if temporality == "delta" else None
        self._exporter = _Exporter(endpoint=f"{endpoint}/v1/metrics", preferred_temporality=own, timeout=seconds)
        kept = _Kept()
        self.own_exports = kept.requests
        readers = [
            PeriodicExportingMetricReader(exporter, export_interval_millis=NEVER) for exporter in (self._exporter, kept)
        ]
        resource = Resource.create({"service.name": "orders", "service.instance.id": name, "host.name": name})
        self._provider = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._monitor = dl.Monitor(
            "orders",
            version="1",
            reference=reference,
            window=dl.Window(rows=10_000),
            rule=dl.FalseAlarms(1, per="30d", every="1h", scope="fleet"),
            synchronous=True,
            meter_provider=self._provider,
        )
        self.served = 0

    def serve(self, columns):
        """Record rows, given as columns."""
        self._monitor.observe(columns)
        self.served += len(next(iter(columns.values())))

    def export(self):
        """Export, and return whether the collector has confirmed it."""
        self._provider.force_flush(120_000)
        return self._exporter.confirmed

    def end(self):
        """Export for the last time, and end."""
        self._monitor.shutdown()
        self._provider.shutdown()
