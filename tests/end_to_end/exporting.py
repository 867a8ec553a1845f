"""A monitor that exports to an address over a real socket, with separate providers."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

import driftline as dl

ROWS = 500


class Shop:
    """A service with one model, two features and outcomes."""

    def __init__(self, metrics, logs):
        exporter = OTLPMetricExporter(metrics)
        self.metrics = MeterProvider([PeriodicExportingMetricReader(exporter, 3_600_000)], shutdown_on_exit=False)
        self.logs = LoggerProvider(shutdown_on_exit=False)
        if logs is not None:
            self.logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(logs)))
        self.random = np.random.default_rng(0)
        names = ("age", "<script>document.title='broken'</script>")
        reference = dl.Reference.fit({name: self.random.normal(size=2_000) for name in names})
        self.monitor = dl.Monitor(
            "shop",
            version="3",
            reference=reference,
            window=dl.Window(rows=ROWS),
            synchronous=True,
            meter_provider=self.metrics,
            logger_provider=self.logs,
        )
        self.served = 0

    def serve(self, shift=0.0):
        """Serve a window whose ages are shifted, and export."""
        names = list(self.monitor.status()) or ["age", "<script>document.title='broken'</script>"]
        table = {name: self.random.normal(shift if name == "age" else 0.0, 1.0, ROWS) for name in names}
        ids = [f"{self.served + row}" for row in range(ROWS)]
        outputs = self.random.random(ROWS) < 0.5
        self.monitor.observe(table, outputs, prediction_ids=ids, seconds=0.02)
        self.monitor.outcomes(ids[:400], outputs[:400])
        self.served += ROWS
        status = self.monitor.status()
        self.metrics.force_flush()
        return status


@contextmanager
def shop(metrics, logs=None):
    """Run a service that sends metrics and logs to URLs."""
    service = Shop(metrics, logs)
    try:
        yield service
    finally:
        service.monitor.shutdown()
        service.metrics.shutdown()
        service.logs.shutdown()
