"""Writes the outcomes of a reference as JSON, and reads and checks such JSON."""

from __future__ import annotations

from dataclasses import asdict

from driftline._binning.bins import (
    MAX_BINS,
    CategoricalBins,
    ConfidenceBins,
    ConfidenceCounts,
    Feature,
    OutcomeCounts,
)
from driftline._binning.confidence import MAX_LABELS
from driftline._runtime import json
from driftline._runtime.json import MAX_COUNT, DocumentError, Reader, check_length, shown

__all__ = ["check_outcomes", "outcomes_document", "read_outcomes"]

MAX_CUTS = 256
"""Most cuts of confidences in a file. A reference that is fitted has at most 127."""


def outcomes_document(outcomes: OutcomeCounts) -> dict[str, object]:
    """Return the JSON of outcomes."""
    document = {key: value for key, value in json.members(outcomes).items() if key != "confidence"}
    if outcomes.confidence is not None:
        # Older code ignores this key, and estimates accuracy from the bins of the prediction.
        document["confidence"] = asdict(outcomes.confidence)
    return document


def check_outcomes(outcomes: OutcomeCounts, prediction: Feature | None) -> None:
    """Check that outcomes agree with the prediction; else raise `DocumentError`."""
    if prediction is None:
        raise DocumentError(shown(outcomes), "null where there is no prediction", ".outcomes")
    for key, counts in (("known", outcomes.known), ("correct", outcomes.correct)):
        check_length(counts, prediction.bins.size, "counts, one for each bin", f".outcomes.{key}")
    if any(correct > known for correct, known in zip(outcomes.correct, outcomes.known, strict=True)):
        raise DocumentError(shown(outcomes.correct), "at most outcomes.known in each bin", ".outcomes.correct")
    if outcomes.confidence is not None and (outcomes.confidence.bins.labels > 0) != isinstance(
        prediction.bins, CategoricalBins
    ):
        bins = outcomes.confidence.bins
        raise DocumentError(
            shown(bins.labels), "0 exactly if predictions are numbers", ".outcomes.confidence.bins.labels"
        )


def _make_confidence(
    bins: ConfidenceBins,
    known: tuple[int, ...],
    correct: tuple[int, ...],
    excess: tuple[tuple[float, ...], ...],
) -> ConfidenceCounts:
    for key, counts in (("known", known), ("correct", correct)):
        check_length(counts, bins.size, "counts, one for each cell", f".{key}")
    if any(right > rows for right, rows in zip(correct, known, strict=True)):
        raise DocumentError(shown(correct), "at most known in each cell", ".correct")
    if excess:
        check_length(excess, bins.groups, "rows, one for each group of labels", ".excess")
    for index, row in enumerate(excess):
        check_length(row, bins.groups, "numbers, one for each group of labels", f".excess[{index}]")
    return ConfidenceCounts(bins, known, correct, excess)


_counts = json.array(json.count, most=MAX_BINS)

_read_dispersion = json.check(json.number, lambda value: 1.0 <= value <= MAX_COUNT, f"a number from 1 to {MAX_COUNT}")

_read_confidence_bins: Reader[ConfidenceBins] = json.check(
    json.record(
        ConfidenceBins,
        cuts=json.check(
            json.array(json.number, most=MAX_CUTS),
            lambda cuts: json.increasing(cuts) and all(0.0 <= cut <= 1.0 for cut in cuts),
            "strictly increasing numbers from 0 to 1",
        ),
        labels=json.check(json.count, lambda labels: labels <= MAX_LABELS, f"0 to {MAX_LABELS}"),
        threshold=json.nullable(json.number),
    ),
    lambda bins: bins.threshold is None if bins.labels else bins.threshold in bins.cuts,
    "a threshold that is one of the cuts if there are no labels, else null",
)

_read_confidence: Reader[ConfidenceCounts] = json.record(
    _make_confidence,
    bins=_read_confidence_bins,
    known=_counts,
    correct=_counts,
    excess=json.array(json.array(json.number, most=MAX_LABELS + 2), most=MAX_LABELS + 2),
)

read_outcomes: Reader[OutcomeCounts] = json.record(
    OutcomeCounts,
    known=_counts,
    correct=_counts,
    dispersion=json.absent(1.0, _read_dispersion),
    confidence=json.nullable(_read_confidence),
)
