"""Under which name and version driftline's telemetry goes out."""

from __future__ import annotations

__all__ = ["SCOPE", "flag_attributes", "version"]

SCOPE = "driftline"


def version() -> str:
    """The version of driftline, as the instrumentation scope carries it."""
    from importlib import metadata  # noqa: PLC0415 - costs 20 ms to import, and only instruments need it

    return metadata.version("driftline")


def flag_attributes(key: str, variant: str, provider: str | None) -> dict[str, str]:
    """The attributes of a feature flag that chose a variant, by OpenTelemetry's conventions for feature flags."""
    found = {
        "feature_flag.key": key,
        "feature_flag.result.variant": variant,
        "feature_flag.result.reason": "split",
    }
    return found if provider is None else {**found, "feature_flag.provider.name": provider}
