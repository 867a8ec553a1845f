"""Tests of the private parts of the SDK that surviving a fork needs."""

from __future__ import annotations

import time
from importlib import metadata

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader

from driftline.otel import _sdk
from driftline.otel._sdk import ForkSafeReader, LossCounter, MetricSender, missing_parts


@pytest.fixture
def exporter():
    exporter = OTLPMetricExporter("http://127.0.0.1:9/v1/metrics")
    yield exporter
    exporter.shutdown()


@pytest.fixture
def reader(exporter):
    """The SDK's own reader. It never collects here."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    reader._set_collect_callback(lambda *_, **__: None)
    yield reader
    reader.shutdown()


def describe_missing(exporter, reader):
    """The message for a maintainer, or an empty string."""
    missing = ", ".join(missing_parts(exporter, reader))
    version = metadata.version("opentelemetry-sdk")
    return missing and (
        f"opentelemetry-sdk {version} has no {missing}. driftline.otel._sdk needs these private parts to survive "
        f"forks: adapt the module, or add an upper bound for opentelemetry-sdk to pyproject.toml."
    )


def test_sdk_has_the_private_parts_that_surviving_a_fork_needs(exporter, reader):
    message = describe_missing(exporter, reader)
    assert not message, message


def test_message_names_the_missing_part_and_the_version(exporter, reader, monkeypatch):
    monkeypatch.setattr(_sdk, "PRIVATE_PARTS", (*_sdk.PRIVATE_PARTS, ("reader", "_gone"), ("exporter", "_gone_too")))
    message = describe_missing(exporter, reader)
    assert f"opentelemetry-sdk {metadata.version('opentelemetry-sdk')} has no " in message
    assert "has no PeriodicExportingMetricReader._gone, OTLPMetricExporter._gone_too." in message


def test_sdk_calls_the_overridden_methods():
    """A part that is there but no longer used would break forks silently."""
    called = []

    class Recording(ForkSafeReader):
        def _receive_metrics(self, *args, **kwargs):
            called.append("_receive_metrics")
            super()._receive_metrics(*args, **kwargs)

    class Sender(MetricSender):
        def export(self, *args, **kwargs):
            called.append("export")
            return super().export(*args, **kwargs)

    losses = LossCounter()
    sender = Sender(lambda: OTLPMetricExporter("http://127.0.0.1:9/v1/metrics", timeout=0.1), losses)
    provider = MeterProvider([reader := Recording(sender)])
    provider.get_meter("test").create_counter("calls").add(1)
    sender._inner.shutdown()  # it sends nothing, and fails immediately
    reader.collect()
    assert called == ["_receive_metrics", "export"]
    assert [(point.value, dict(point.attributes)) for point in losses.observe(None)] == [
        (1, {"ml.monitor.signal": "metrics"})
    ]
    provider.shutdown()


@pytest.mark.parametrize(
    ("sender", "signal", "items", "sent"),
    [
        (MetricSender, "metrics", 1, MetricsData([])),
        (_sdk.RecordSender, "logs", 2, [None, None]),
        (_sdk.SpanSender, "traces", 2, [None, None]),
    ],
)
def test_an_exporter_that_raises_is_a_loss(exporter, sender, signal, items, sent):
    """Before SDK 1.40 exporters raise if nothing listens."""

    def fail(*_, **__):
        raise ConnectionError

    losses = LossCounter()
    sending = sender(lambda: exporter, losses)
    exporter.export = fail
    with pytest.raises(ConnectionError):
        sending.export(sent)
    assert losses.counts == {signal: items}


@pytest.mark.parametrize(
    ("temporality", "interval", "seconds"), [("delta", 60_000, 3), ("delta", 500, 1), ("cumulative", 60_000, 1)]
)
def test_no_two_collections_of_deltas_share_a_second(monkeypatch, temporality, interval, seconds):
    """Datadog keeps the last point of each second, so that a flush at the end would replace the counts before it."""
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", str(interval))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality)
    sent = []

    class Kept(OTLPMetricExporter):
        def export(self, metrics_data, *args, **kwargs):
            points = metrics_data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
            sent.append(int(points[0].time_unix_nano / 1e9))
            return MetricExportResult.SUCCESS

    reader = ForkSafeReader(MetricSender(lambda: Kept("http://127.0.0.1:9/v1/metrics"), LossCounter()))
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("driftline").create_counter("ml.predictions.served")
    while time.time() % 1 > 0.5:  # three flushes then fit into the rest of the second
        time.sleep(0.01)
    for _ in range(3):
        counter.add(1)
        provider.force_flush()
    provider.shutdown()
    assert len(set(sent[:3])) >= seconds if seconds > 1 else len(set(sent[:3])) < 3
