"""Instruments, events and spans: the one package that uses OpenTelemetry, and its API only (except `_sdk`)."""

from __future__ import annotations

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from driftline.otel._events import Emitter
from driftline.otel._exports import Source
from driftline.otel._flush import flush_providers
from driftline.otel._instruments import Instruments, meter_of
from driftline.otel._reading import Reading, merged_points
from driftline.otel._registry import instruments_for
from driftline.otel._scope import flag_attributes
from driftline.otel._spans import Tracing, current_context, error_type

__all__ = [
    "Emitter",
    "Instruments",
    "LoggerProvider",
    "MeterProvider",
    "Reading",
    "Source",
    "TracerProvider",
    "Tracing",
    "current_context",
    "error_type",
    "flag_attributes",
    "flush_providers",
    "instruments_for",
    "merged_points",
    "meter_of",
]
