"""What a monitor has to say at one moment, put together from its counts."""

from __future__ import annotations

from dataclasses import replace

from driftline._recorder import DURATION_EDGES, Tally
from driftline._replacing import Past
from driftline._watching import Watching
from driftline.canary import VariantEvidence
from driftline.otel import Reading
from driftline.outcomes import OutcomeTally, estimated_accuracy

__all__ = ["evidence_of", "with_reference"]


def evidence_of(made: Watching | None, past: Past, present: Tally, outcomes: OutcomeTally) -> VariantEvidence:
    """What a variant has done since the start of the process, for a canary."""
    tally = past.plus(present)
    bins = None if made is None else made.counted.prediction
    predictions = None
    if made is not None and bins is not None:
        predictions = past.predictions(bins, present.counts[made.layout.slices[-1]])
    return VariantEvidence(
        tally.served,
        sum(tally.failed.values()),
        tally.durations,
        tuple(DURATION_EDGES.tolist()),
        outcomes.known,
        outcomes.correct,
        predictions,
        bins,
    )


def with_reference(told: Reading, made: Watching, past: Past, present: Tally) -> Reading:
    """The reading, and in it what is known by the reference alone: states, scores, bins, estimated accuracy."""
    judging, known, window = made.judging, made.reference.outcomes, made.judging.window
    estimated = None
    if known is not None and window is not None:
        estimated = estimated_accuracy(known, window.counts[made.layout.slices[-1]])
    return replace(
        told,
        scores=[score for score in judging.scores if score.feature in made.exported],
        status={name: one for name, one in judging.status.items() if name in made.exported},
        bins=past.bins(made.counted.bins(present)),
        accuracy_estimated=estimated,
    )
