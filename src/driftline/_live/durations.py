"""Quantiles of durations from the cumulative counts of a histogram's buckets."""

from __future__ import annotations

import math
from collections.abc import Mapping

from driftline._live.values import Latency

__all__ = ["latency", "quantile"]


def quantile(buckets: Mapping[float, float], q: float) -> float:
    """
    Return a quantile, interpolated within its bucket as PromQL's ``histogram_quantile`` does.

    Args:
        buckets: counts of all durations up to each upper end, in seconds.
        q: the share below the quantile.

    Returns:
        seconds; infinity if the quantile is beyond the last finite end, nan without durations.

    >>> quantile({0.25: 50.0, 0.5: 100.0, math.inf: 100.0}, 0.75)
    0.375
    """
    ends = sorted(buckets)
    total = buckets[ends[-1]] if ends else 0.0
    if not total > 0.0:
        return math.nan
    rank, start, below = q * total, 0.0, 0.0
    for end in ends:
        count = max(buckets[end], below)
        if count >= rank and count > below:
            return end if math.isinf(end) else start + (end - start) * (rank - below) / (count - below)
        start, below = end, count
    return math.inf


def latency(buckets: Mapping[float, float]) -> Latency | None:
    """Return the latency from cumulative counts by upper end in seconds; None without calls."""
    calls = max(buckets.values(), default=0.0)
    if not calls >= 1.0:
        return None
    return Latency(round(calls), quantile(buckets, 0.5), quantile(buckets, 0.95))
