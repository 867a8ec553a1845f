"""Parts of the training data added up."""

from __future__ import annotations

from dataclasses import replace

from driftline._binning.bins import (
    Feature,
    Moments,
)
from driftline._significance.dependence import Dependence

__all__ = ["added", "merged_feature", "together"]


def together(ours: Dependence | None, theirs: Dependence | None) -> Dependence | None:
    """The dependence of the rows of both, where it is known."""
    return ours.merged(theirs) if ours is not None and theirs is not None else ours or theirs


def added(ours: tuple[int, ...], theirs: tuple[int, ...]) -> tuple[int, ...]:
    """Counts of both."""
    return tuple(a + b for a, b in zip(ours, theirs, strict=True))


def merged_feature(ours: Feature, theirs: Feature) -> Feature:
    """Counts and moments of both, over the same bins."""
    counts = added(ours.counts, theirs.counts)
    if ours.moments is None or theirs.moments is None:
        kept = ours if theirs.moments is None else theirs
        return replace(kept, counts=counts, once=ours.once + theirs.once, twice=ours.twice + theirs.twice)
    a, b = ours.moments, theirs.moments
    count = a.count + b.count
    share = b.count / count
    mean = a.mean + (b.mean - a.mean) * share
    # Chan, Golub & LeVeque 1979: the variance of two samples from their own.
    variance = a.std**2 * (1 - share) + b.std**2 * share + (b.mean - a.mean) ** 2 * share * (1 - share)
    means = tuple(
        (one * n + other * m) / (n + m) if n + m else one
        for one, other, n, m in zip(ours.means, theirs.means, ours.counts, theirs.counts, strict=True)
    )
    low, high = min(a.minimum, b.minimum), max(a.maximum, b.maximum)
    return replace(ours, counts=counts, means=means, moments=Moments(count, mean, float(variance**0.5), low, high))
