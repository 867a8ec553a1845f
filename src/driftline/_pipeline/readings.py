"""What a monitor has to say at one moment, put together from its counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from driftline._binning.bins import (
    PREDICTION,
    CategoricalBins,
    Feature,
)
from driftline._pipeline.active_reference import ActiveReference
from driftline._pipeline.redaction import Redactor
from driftline._pipeline.replacement import RetiredRecorders
from driftline._runtime.guard import Guard
from driftline._windows.totals import DURATION_EDGES, Totals
from driftline.canary import VariantEvidence, Verdict
from driftline.otel import Reading
from driftline.outcomes import OutcomeSnapshot, Performance, estimated_accuracy
from driftline.outcomes._ledger import Ledger
from driftline.results import FeatureStatus
from driftline.retraining._trigger import RetrainingTrigger
from driftline.typing import Counts

__all__ = [
    "estimated",
    "evidence_of",
    "reading_of",
    "variant_evidence",
    "with_reference",
]


def evidence_of(
    made: ActiveReference | None,
    past: RetiredRecorders,
    present: Totals,
    late: Sequence[Totals],
    outcomes: OutcomeSnapshot,
) -> VariantEvidence:
    """Return the evidence of a variant since the start of the process, for a canary."""
    tally = past.plus(present, late)
    if made is None:
        return variant_evidence(tally, outcomes, {}, ())
    features = past.features(made.counted.features(present), late)
    return variant_evidence(tally, outcomes, features, made.reference.watched)


def estimated(made: ActiveReference | None) -> Performance | None:
    """Accuracy expected of what the window holds, from the predictions; None without outcomes in the reference."""
    if made is None or made.reference.outcomes is None:
        return None
    return estimated_accuracy(made.reference.outcomes, made.recorder.snapshot().counts[made.layout.slices[-1]])


def reading_of(
    attributes: Mapping[str, str],
    tally: Totals,
    guard: Guard,
    asking: RetrainingTrigger,
    verdicts: Sequence[Verdict],
    ledger: Ledger,
    telling: Redactor,
) -> Reading:
    """What is known without a reference: counters, outcomes, requests and verdicts."""
    outcomes = ledger.tally()
    return Reading(
        attributes,
        tally.served,
        tally.failed,
        tally.dropped,
        dict(guard.counts),
        status=telling.states(ledger.status),
        outcomes=outcomes.results,
        accuracy=outcomes.accuracy,
        retraining_requests=dict(asking.requests),
        retraining_queue=asking.sizes(),
        canary=verdicts[-1].state if verdicts else None,
        performance=tuple(telling.performance(ledger.performance())),
        evidence=verdicts[-1].criteria if verdicts else (),
    )


def with_reference(
    told: Reading,
    made: ActiveReference,
    bins: Mapping[tuple[str, str], Counts],
    states: Mapping[str, FeatureStatus],
) -> Reading:
    """The reading, and in it what is known by a reference alone: states, scores, bins, estimated accuracy."""
    expected = estimated(made)
    return replace(
        told,
        scores=[score for score in made.judging.scores if score.feature in made.exported],
        status={**{name: one for name, one in states.items() if name in made.exported}, **told.status},
        bins=bins,
        accuracy_estimated=None if expected is None else expected.value,
        performance=told.performance if expected is None else (*told.performance, expected),
    )


_EDGES = tuple(DURATION_EDGES.tolist())


def variant_evidence(
    tally: Totals,
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
