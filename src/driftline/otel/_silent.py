"""Providers of telemetry that goes nowhere, for monitors whose results only their caller reads."""

from __future__ import annotations

from typing import Any

from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

__all__ = ["silent_providers"]


def silent_providers() -> dict[str, Any]:
    """Return the arguments of `Monitor` with which it exports nothing, whatever the process has set up."""
    return {
        "meter_provider": NoOpMeterProvider(),
        "logger_provider": NoOpLoggerProvider(),
        "tracer_provider": NoOpTracerProvider(),
    }
