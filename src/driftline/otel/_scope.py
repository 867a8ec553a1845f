"""The instrumentation scope of driftline's telemetry, and the attributes of feature flags."""

from __future__ import annotations

__all__ = ["SCOPE", "flag_attributes"]

SCOPE = "driftline"
"""The name of the instrumentation scope."""


def flag_attributes(key: str, variant: str, provider: str | None) -> dict[str, str]:
    """Return the attributes of a feature flag that chose *variant*, by OpenTelemetry's conventions."""
    attributes = {
        "feature_flag.key": key,
        "feature_flag.result.variant": variant,
        "feature_flag.result.reason": "split",
    }
    return attributes if provider is None else {**attributes, "feature_flag.provider.name": provider}
