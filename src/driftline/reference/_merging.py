"""Merges the fields of two references that were fitted to parts of the training data."""

from __future__ import annotations

from dataclasses import replace

from driftline._binning.bins import CategoricalBins, ConfidenceCounts, Feature, NumericSummary, OutcomeCounts
from driftline._binning.categories import merge_categories
from driftline._significance.dependence import Dependence

__all__ = ["merge_dependence", "merge_features", "merge_outcomes", "without_rare"]


def without_rare(feature: Feature) -> Feature:
    """Return a feature without its rare categories. Features that are then equal have bins that can be merged."""
    if not isinstance(feature.bins, CategoricalBins):
        return feature
    return replace(feature, bins=CategoricalBins(feature.bins.categories))


def merge_dependence(a: Dependence | None, b: Dependence | None) -> Dependence | None:
    """Return the dependence of the rows of both parts; if it is known for one part only, that of this part."""
    return a.merge(b) if a is not None and b is not None else a or b


def merge_outcomes(a: OutcomeCounts | None, b: OutcomeCounts | None) -> OutcomeCounts | None:
    """
    Return the counts of the outcomes of both parts; if one part has none, those of the other.

    The dispersion is the mean of both, weighted by their known outcomes, and so is the excess of confidences.
    """
    if a is None or b is None:
        return a or b
    n, m = sum(a.known), sum(b.known)
    dispersion = (n * a.dispersion + m * b.dispersion) / (n + m) if n + m else 1.0
    confidence = _merge_confidence(a.confidence, b.confidence)
    return OutcomeCounts(_sum(a.known, b.known), _sum(a.correct, b.correct), dispersion, confidence)


def _merge_confidence(a: ConfidenceCounts | None, b: ConfidenceCounts | None) -> ConfidenceCounts | None:
    """Return the counts of both parts by confidence; None if their bins differ, or one part has none."""
    if a is None or b is None or a.bins != b.bins:
        return None
    n, m = sum(a.known), sum(b.known)
    excess = a.excess or b.excess
    if a.excess and b.excess and n + m:
        excess = tuple(
            tuple((n * value + m * other) / (n + m) for value, other in zip(*rows, strict=True))
            for rows in zip(a.excess, b.excess, strict=True)
        )
    return ConfidenceCounts(a.bins, _sum(a.known, b.known), _sum(a.correct, b.correct), excess)


def merge_features(a: Feature, b: Feature) -> Feature:
    """Return a feature with the counts and moments of two features that have the same bins but for rare categories."""
    if isinstance(a.bins, CategoricalBins):
        return merge_categories(a, b)
    counts = _sum(a.counts, b.counts)
    if a.moments is None or b.moments is None:
        known = a if b.moments is None else b
        return replace(known, counts=counts, quartiles=())
    means = tuple(
        (mean * n + other * m) / (n + m) if n + m else mean
        for mean, other, n, m in zip(a.means, b.means, a.counts, b.counts, strict=True)
    )
    moments = _merge_moments(a.moments, b.moments)
    # The smaller step divides the larger one. 0 is that of values with many decimals.
    return replace(a, counts=counts, means=means, moments=moments, quartiles=(), step=min(a.step, b.step))


def _merge_moments(a: NumericSummary, b: NumericSummary) -> NumericSummary:
    count = a.count + b.count
    share = b.count / count
    mean = a.mean + (b.mean - a.mean) * share
    # Chan, Golub & LeVeque 1979: the variance of two samples together, from the variance of each.
    variance = a.std**2 * (1 - share) + b.std**2 * share + (b.mean - a.mean) ** 2 * share * (1 - share)
    return NumericSummary(count, mean, float(variance**0.5), min(a.minimum, b.minimum), max(a.maximum, b.maximum))


def _sum(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n + m for n, m in zip(a, b, strict=True))
