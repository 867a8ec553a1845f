"""The exporters that the environment asks for: OTLP, and those that packages install under a name."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.metrics.export import MetricReader

from driftline.errors import ConfigurationError
from driftline.otel import _environment as environment
from driftline.otel._sdk import ForkSafeReader, LossCounter, MetricSender, RecordSender, SpanSender

__all__ = ["Chosen", "Outputs", "choose", "open_outputs"]

CLASSES = {"metrics": "OTLPMetricExporter", "logs": "OTLPLogExporter", "traces": "OTLPSpanExporter"}
"""The names of OTLP's exporters."""

MODULES = {"metrics": "metric_exporter", "logs": "_log_exporter", "traces": "trace_exporter"}
"""The names of their modules."""

SIGNALS_BY_START = ("logs", "traces", "metrics")

Create = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    The exporters of one signal, before one is created.

    Attributes:
        create: functions that return a new exporter each.
        readers: functions that return a new metric reader each, such as the one of Prometheus.
    """

    create: tuple[Create, ...] = ()
    readers: tuple[Create, ...] = ()


@dataclass(slots=True)
class Outputs:
    """
    The exporters of all signals.

    Attributes:
        points: exporters of metrics.
        periodic: their readers.
        pull: metric readers that collect when they are asked, such as the one of Prometheus.
        records: exporters of log records.
        spans: exporters of spans.
    """

    points: list[MetricSender] = field(default_factory=list)
    periodic: list[ForkSafeReader] = field(default_factory=list)
    pull: list[MetricReader] = field(default_factory=list)
    records: list[RecordSender] = field(default_factory=list)
    spans: list[SpanSender] = field(default_factory=list)

    @property
    def senders(self) -> list[MetricSender | RecordSender | SpanSender]:
        """All exporters that open a new connection in the child of a fork."""
        return [*self.points, *self.records, *self.spans]


def choose(signals: Sequence[str], protocol: str | None, endpoint: str | None) -> dict[str, Chosen]:
    """
    Return the exporters of each signal, by the arguments of `configure_otlp` and the environment.

    Raises:
        ConfigurationError: a variable has a wrong value.
        ImportError: the extra ``otlp`` is not installed, or too old.
    """
    if environment.is_disabled():
        return dict.fromkeys(signals, Chosen())
    return {signal: _choose(signal, protocol, endpoint) for signal in signals}


def _choose(signal: str, protocol: str | None, endpoint: str | None) -> Chosen:
    group = f"opentelemetry_{signal}_exporter"
    points = {point.name: point for point in importlib.metadata.entry_points(group=group)}
    names = environment.exporters(signal, installed=points.__contains__)
    create: list[Create] = []
    readers: list[Create] = []
    for name in names:
        if name == environment.OTLP:
            create.append(_otlp(signal, environment.protocol_of(signal, protocol), endpoint))
            continue
        kind = points[name].load()
        if isinstance(kind, type) and issubclass(kind, MetricReader):
            readers.append(_without_flush(kind) if name == "prometheus" else kind)
        else:
            create.append(kind)
    return Chosen(tuple(create), tuple(readers))


def _without_flush(kind: type[MetricReader]) -> Create:
    """
    Return a function that returns a reader whose flush does nothing, for a reader that only collects for a scrape.

    The one of Prometheus keeps what a flush collects, and repeats it in the next scrape beside the new values.
    """

    def create() -> MetricReader:
        reader = kind()
        reader.force_flush = lambda timeout_millis=10_000: True  # type: ignore[method-assign]  # noqa: ARG005
        return reader

    return create


def _otlp(signal: str, protocol: str, endpoint: str | None) -> Create:
    """Return a function that returns a new exporter of OTLP."""
    environment.check_otlp(signal, protocol, endpoint=endpoint is None)
    package = "http" if protocol.startswith("http") else "grpc"
    module = importlib.import_module(f"opentelemetry.exporter.otlp.proto.{package}.{MODULES[signal]}")
    exporter = getattr(module, CLASSES[signal])
    if endpoint is not None and package == "http":
        endpoint = f"{endpoint.rstrip('/')}/v1/{signal}"
    return lambda: exporter(endpoint=endpoint)


def open_outputs(chosen: Mapping[str, Chosen], losses: LossCounter) -> Outputs:
    """
    Create the exporters, and the readers of metrics.

    Raises:
        ConfigurationError: an exporter refuses a value of the environment, or its port is in use.
    """
    outputs = Outputs()
    # The periodic readers come last, because they start threads.
    for signal in sorted(chosen, key=SIGNALS_BY_START.index):
        create = chosen[signal].create
        try:
            if signal == "logs":
                outputs.records += [RecordSender(each, losses) for each in create]
            elif signal == "traces":
                outputs.spans += [SpanSender(each, losses) for each in create]
            else:
                outputs.points += [MetricSender(each, losses) for each in create]
                outputs.pull += [each() for each in chosen[signal].readers]
                outputs.periodic += [ForkSafeReader(sender) for sender in outputs.points]
        except ImportError:
            raise
        except Exception as error:
            msg = f"The exporter of {signal} does not start: {error!r}. Its OTEL_* variables say what it should do."
            raise ConfigurationError(msg) from error
    return outputs
