"""Environment variables of driftline's instrumentors, for the options of ``opentelemetry-instrument``."""

from __future__ import annotations

__all__ = [
    "OTEL_PYTHON_DRIFTLINE_EXPORT_BINS",
    "OTEL_PYTHON_DRIFTLINE_LEARN",
    "OTEL_PYTHON_DRIFTLINE_NAME",
    "OTEL_PYTHON_DRIFTLINE_REFERENCE",
    "OTEL_PYTHON_DRIFTLINE_ROUTE",
    "OTEL_PYTHON_DRIFTLINE_RULE",
    "OTEL_PYTHON_DRIFTLINE_VERSION",
    "OTEL_PYTHON_DRIFTLINE_WINDOW",
]

OTEL_PYTHON_DRIFTLINE_NAME = "OTEL_PYTHON_DRIFTLINE_NAME"
"""The name of the model, of a process that serves one."""

OTEL_PYTHON_DRIFTLINE_VERSION = "OTEL_PYTHON_DRIFTLINE_VERSION"
"""The version of the model."""

OTEL_PYTHON_DRIFTLINE_REFERENCE = "OTEL_PYTHON_DRIFTLINE_REFERENCE"
"""The path of the reference, for a model that carries none."""

OTEL_PYTHON_DRIFTLINE_ROUTE = "OTEL_PYTHON_DRIFTLINE_ROUTE"
"""The path of the FastAPI route whose endpoint is the model."""

OTEL_PYTHON_DRIFTLINE_WINDOW = "OTEL_PYTHON_DRIFTLINE_WINDOW"
"""The window, such as ``"5000 rows"`` or ``"10min every 1min"``."""

OTEL_PYTHON_DRIFTLINE_RULE = "OTEL_PYTHON_DRIFTLINE_RULE"
"""The rule, such as ``"1 per 30d"`` or ``"psi=0.2"``."""

OTEL_PYTHON_DRIFTLINE_EXPORT_BINS = "OTEL_PYTHON_DRIFTLINE_EXPORT_BINS"
"""Whether counts per bin are exported."""

OTEL_PYTHON_DRIFTLINE_LEARN = "OTEL_PYTHON_DRIFTLINE_LEARN"
"""Rows from which a reference is learned, or 0."""
