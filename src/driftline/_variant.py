"""What one monitored variant has done, as the counts that a canary compares."""

from __future__ import annotations

from driftline._binning import Layout
from driftline._tally import DURATION_EDGES, Tally
from driftline._values import PREDICTION, CategoricalBins, Feature
from driftline.canary import VariantEvidence
from driftline.outcomes import OutcomeSnapshot

__all__ = ["variant_evidence"]

_EDGES = tuple(DURATION_EDGES.tolist())


def variant_evidence(
    tally: Tally, outcomes: OutcomeSnapshot, layout: Layout | None, watched: tuple[Feature, ...]
) -> VariantEvidence:
    """
    Counts since the start of the process.

    Args:
        tally: calls and rows.
        outcomes: the outcomes joined so far.
        layout: where the bins of each watched feature are; None while a reference is learnt.
        watched: the features, and the prediction where it is one.
    """
    counts = {}
    if layout is not None:
        counts = {one.name: tally.counts[place] for one, place in zip(watched, layout.slices, strict=True)}
    predictions = counts.pop(PREDICTION, None)
    return VariantEvidence(
        tally.served,
        sum(tally.failed.values()),
        tally.durations,
        _EDGES,
        outcomes.known,
        outcomes.correct,
        predictions,
        tally.failed_calls,
        tally.batches,
        _rates(outcomes),
        features=counts,
        unordered=frozenset(one.name for one in watched if isinstance(one.bins, CategoricalBins)),
    )


def _rates(outcomes: OutcomeSnapshot) -> dict[str, tuple[int, int]]:
    """Rates of the outcomes that a policy may name: ``recall X`` and ``precision X`` of class X, (right, of all)."""
    rates = {}
    for label, one in outcomes.classes.items():
        rates[f"recall {label}"] = one.true_positives, one.true_positives + one.false_negatives
        rates[f"precision {label}"] = one.true_positives, one.true_positives + one.false_positives
    return rates
