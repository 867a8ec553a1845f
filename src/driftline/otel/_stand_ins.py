"""The API's stand-in for a meter provider that the application sets later."""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import _internal as api

__all__ = ["PRIVATE_PARTS", "actual_provider"]

PRIVATE_PARTS = ("_ProxyMeterProvider", "_real_meter_provider")
"""Private names of the API that this module reads: the class of the stand-in, and its attribute."""

_STAND_IN: Any = getattr(api, PRIVATE_PARTS[0], ())


def actual_provider(provider: object) -> Any:
    """
    Return the provider to which the API's stand-in passes everything on, or None while there is none.

    A provider that is no stand-in of the API is returned as it is, whatever its class and its name.
    """
    # A lazy provider may raise when it is asked for its class, as `isinstance` does.
    if not issubclass(type(provider), _STAND_IN):
        return provider
    return getattr(provider, PRIVATE_PARTS[1], None)
