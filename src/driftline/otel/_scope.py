"""Under which name and version driftline's telemetry goes out."""

from __future__ import annotations

__all__ = ["SCOPE", "version"]

SCOPE = "driftline"


def version() -> str:
    """The version of driftline, as the instrumentation scope carries it."""
    from importlib import metadata  # noqa: PLC0415 - costs 20 ms to import, and only instruments need it

    return metadata.version("driftline")
