"""How many attribute sets of a metric the SDK keeps before it merges further ones into one point."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.metrics import NoOpMeterProvider

__all__ = ["MAX_SETS", "MONITOR_SETS", "SDK_SETS", "sdk_limit"]

SDK_SETS = 2_000
"""Attribute sets of a metric that the SDK keeps by default, since its version 1.45. Earlier ones have no limit."""

MONITOR_SETS = 200_000
"""
Attribute sets of a metric for which `configure_otlp` sets the SDK up: the counts of 2,000 features with 20 bins each,
under five references. A set takes about 2.4 kB of memory once it is exported (58,000 series took 137 MB).
"""

MAX_SETS = 1_000_000
"""Attribute sets of a metric that driftline exports at most, also where the SDK has no limit."""


def sdk_limit(provider: object, instrument: object) -> int:
    """
    Return the number of attribute sets that the SDK keeps of an instrument, at most `MAX_SETS`.

    The limit is that of the provider's views, or that of its readers; the smallest one counts. An object that is no
    provider of the SDK has the SDK's default. A provider that drops everything has no other limit.

    Args:
        provider: a meter provider.
        instrument: an instrument of that provider, or the API's stand-in for it.
    """
    # A lazy provider may raise when it is asked for its class, as `isinstance` does.
    if issubclass(type(provider), NoOpMeterProvider):
        return MAX_SETS
    try:
        limits = list(_limits(provider, getattr(instrument, "_real_instrument", None) or instrument))
    except Exception:  # noqa: BLE001 - private parts of any version of the SDK, or a provider of any kind
        return SDK_SETS
    return min(MAX_SETS, *limits) if limits else SDK_SETS


def _limits(provider: Any, instrument: Any) -> Iterable[int]:
    """Yield the limit of each view of an instrument in each reader."""
    config = provider._sdk_config  # noqa: SLF001 - the SDK has no public way to read what it was configured with
    readers = getattr(provider, "_metric_readers", None) or config.metric_readers
    views = [view for view in config.views if view._match(instrument)]  # noqa: SLF001 - as above
    for reader in readers:
        by_class = getattr(reader, "_instrument_class_cardinality_limit", None)
        if by_class is None:  # an SDK before 1.45
            yield MAX_SETS
            continue
        of_reader = by_class.get(type(instrument), SDK_SETS)
        own = [view._aggregation_cardinality_limit for view in views]  # noqa: SLF001 - as above
        yield from (of_reader if limit is None else limit for limit in own or [None])
