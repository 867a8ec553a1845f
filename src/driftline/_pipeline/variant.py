"""What one monitored variant has done, as the counts that a canary compares."""

from __future__ import annotations

from collections.abc import Mapping

from driftline._windows.totals import DURATION_EDGES, Tally
from driftline.canary import VariantEvidence
from driftline.outcomes import OutcomeSnapshot
from driftline.results import PREDICTION, CategoricalBins, Counts, Feature

__all__ = ["variant_evidence"]

_EDGES = tuple(DURATION_EDGES.tolist())


def variant_evidence(
    tally: Tally,
    outcomes: OutcomeSnapshot,
    counts: Mapping[tuple[str, str], Counts],
    watched: tuple[Feature, ...],
) -> VariantEvidence:
    """
    Counts since the start of the process.

    Args:
        tally: calls and rows.
        outcomes: the outcomes joined so far.
        counts: rows per bin, by the print of these bins and the feature; empty while a reference is learnt.
        watched: the features, and the prediction where it is one.
    """
    features = {name: rows for (_, name), rows in counts.items()}
    predictions = features.pop(PREDICTION, None)
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
        features=features,
        unordered=frozenset(one.name for one in watched if isinstance(one.bins, CategoricalBins)),
        bins={name: bins for bins, name in counts},
    )


def _rates(outcomes: OutcomeSnapshot) -> dict[str, tuple[int, int]]:
    """Rates of the outcomes that a policy may name: ``recall X`` and ``precision X`` of class X, (right, of all)."""
    rates = {}
    for label, one in outcomes.classes.items():
        rates[f"recall {label}"] = one.true_positives, one.true_positives + one.false_negatives
        rates[f"precision {label}"] = one.true_positives, one.true_positives + one.false_positives
    return rates
