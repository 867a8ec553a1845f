"""Evidence adds up, and its JSON is read again or rejected."""

from __future__ import annotations

import json

import numpy as np
import pytest

from driftline import ConfigurationError
from driftline.canary import CanaryEvidence, Moments


@pytest.fixture
def full(variant, evidence_of):
    """Evidence in which no part is empty."""
    more = {
        "rates": {"precision": (8, 10)},
        "features": {"age": np.array([1, 2, 3])},
        "unordered": frozenset({"prediction"}),
        "batches": 2,
    }
    return evidence_of(
        variant(100, failed=3, known=50, correct=40, predictions=[5, 6], **more),
        variant(20, failed=1, known=10, correct=9, predictions=[1, 2], **more),
        0.2,
        sticky=True,
        seconds=12.5,
        guardrails={"revenue": (Moments.of([1.0, 2.0]), Moments.of([3.0]))},
        compared=7,
        agreed=6,
    )


def document_of(evidence):
    return json.loads(evidence.to_json())


def test_a_trial_is_a_call_or_an_observed_batch(variant):
    counts = variant(10, failed=2, batches=3)
    assert (counts.calls, counts.rows, counts.error_rate) == (13, 10, 0.2)


def test_evidence_adds_up_in_every_part(full):
    """The sum with itself has twice the counts, and the same time."""
    twice = full + full
    (stratum,) = twice.strata
    assert (stratum.share, stratum.sticky) == (0.2, True)
    assert stratum.baseline.calls == 2 * full.strata[0].baseline.calls
    assert stratum.baseline.rates == {"precision": (16, 20)}
    assert stratum.candidate.features["age"].tolist() == [2, 4, 6]
    assert stratum.candidate.predictions.tolist() == [2, 4]
    assert stratum.guardrails["revenue"][0].count == 4
    assert (twice.compared, twice.agreed, twice.seconds) == (14, 12, 12.5)


def test_each_share_is_a_separate_stratum(variant, evidence_of):
    """Counts at another share, or with keys, are kept apart; `pooled` adds them up."""
    parts = [
        evidence_of(variant(10), variant(5), share, sticky=sticky)
        for share, sticky in ((0.1, False), (0.2, False), (0.2, True))
    ]
    total = sum(parts, start=CanaryEvidence())
    assert [(stratum.share, stratum.sticky) for stratum in total.strata] == [(0.1, False), (0.2, False), (0.2, True)]
    baseline, candidate = total.pooled()
    assert (baseline.calls, candidate.calls) == (30, 15)
    assert CanaryEvidence().pooled() is None


def test_a_difference_has_the_counts_since_then(full):
    """The difference of equal counts is zero."""
    counts = full.strata[0].baseline
    nothing = counts - counts
    assert (nothing.calls, nothing.known, nothing.batches, nothing.failed_calls) == (0, 0, 0, 0)
    assert nothing.rates == {"precision": (0, 0)}
    assert not nothing.features["age"].any()
    assert counts.empty().edges == counts.edges


def test_different_bins_do_not_add_up(variant):
    """The message names the feature or the prediction."""
    for name, a, b in (
        ("'age'", variant(features={"age": np.array([1])}), variant(features={"age": np.array([1, 2])})),
        ("'prediction'", variant(predictions=[1]), variant(predictions=[1, 2])),
    ):
        with pytest.raises(ConfigurationError, match=f"over different bins of {name} does not add up"):
            a + b


def test_json_restores_the_evidence(full):
    """Every part, durations and edges exactly."""
    again = CanaryEvidence.from_json(full.to_json())
    assert again.to_json() == full.to_json()
    assert again.strata[0].baseline.edges == full.strata[0].baseline.edges
    assert np.array_equal(again.strata[0].baseline.durations, full.strata[0].baseline.durations)
    assert again.strata[0].guardrails == full.strata[0].guardrails
    assert (again + full).strata[0].baseline.calls == 2 * full.strata[0].baseline.calls


def test_uneven_edges_are_an_array(full):
    """Edges that are not evenly spaced on a logarithmic scale."""
    document = document_of(full)
    document["strata"][0]["baseline"] |= {"edges": [0.1, 0.5, 2.0], "durations": {"3": 4}}
    again = CanaryEvidence.from_json(json.dumps(document))
    assert again.strata[0].baseline.edges == (0.1, 0.5, 2.0)
    assert CanaryEvidence.from_json(again.to_json()).strata[0].baseline.durations.tolist() == [0, 0, 0, 4]


def put(path, value):
    """Return a function that sets the value at a path of the document."""

    def change(document):
        *steps, last = path
        inner = document
        for step in steps:
            inner = inner[step]
        inner[last] = value

    return change


B = ("strata", 0, "baseline")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(("schema_version",), 3), "schema_version is 3, expected 1 to 2: a newer driftline"),
        (put(("strata",), {}), "strata is {}, expected an array"),
        (put(("strata", 0), 7), r"strata\[0\] is 7, expected an object"),
        (put(("strata", 0, "share"), 1.5), r"strata\[0\].share is 1.5, expected a number from 0 to 1, or null"),
        (put(("strata", 0, "sticky"), "no"), r"strata\[0\].sticky is 'no', expected true or false"),
        (put((*B, "served"), -1), r"baseline.served is -1, expected an integer of at least 0"),
        (put((*B, "failed_calls"), 1.5), r"baseline.failed_calls is 1.5, expected an integer"),
        (put((*B, "served"), 2**53 + 1), r"baseline.served is 9007199254740993, expected an integer"),
        (put((*B, "predictions"), [2**53, 1]), r"baseline.predictions is \[.*\], expected counts of at most"),
        (put((*B, "durations"), {"0": 2**53, "1": 1}), r"durations is counts of 9007199254740993 together, expected"),
        (put((*B, "known"), True), r"baseline.known is True, expected an integer"),
        (put((*B, "correct"), 51), r"baseline.correct is 51, expected at most 50"),
        (put((*B, "edges"), [2.0, 1.0]), r"baseline.edges is \[2.0, 1.0\], expected increasing numbers"),
        (
            put((*B, "edges"), {"from": 0, "to": 1, "count": 10**9}),
            r"baseline.edges.count is 1000000000, expected",
        ),
        (put((*B, "edges"), {"from": 0, "to": 1e9, "count": 10}), r"baseline.edges is {.*}, expected powers of ten"),
        (put((*B, "edges"), {"from": 0}), r"baseline.edges.to is absent, expected a finite number"),
        (
            put((*B, "durations"), {"5000": 1}),
            r"durations is an object with the key '5000', expected numbers of bins from 0 to 901",
        ),
        (
            put((*B, "durations"), {"-1": 1}),
            r"durations is an object with the key '-1', expected numbers of bins",
        ),
        (
            put((*B, "durations"), {"0" * 9 + "5000": 1}),
            r"durations is an object with the key '0000000005000'",
        ),
        (put((*B, "durations"), {"1": "x"}), r"baseline.durations.1 is 'x', expected an integer"),
        (put((*B, "predictions"), [1, -1]), r"baseline.predictions\[1\] is -1, expected an integer"),
        (
            put((*B, "rates"), {"p": [2, 1]}),
            r"rates.p is \[2, 1\], expected at most as many successes as trials",
        ),
        (put((*B, "rates"), {"p": [2]}), r"baseline.rates.p is \[2\], expected an array of 2"),
        (put((*B, "features"), {"age": 3}), r"baseline.features.age is 3, expected an array"),
        (put((*B, "unordered"), [1]), r"baseline.unordered\[0\] is 1, expected a string"),
        (
            put(("strata", 0, "guardrails"), {"r": [[1, 2, 3]]}),
            r"guardrails.r is \[\[1, 2, 3\]\], expected an array of 2",
        ),
        (
            put(("strata", 0, "guardrails"), {"r": [[1, 2], [1]]}),
            r"r\[0\] is \[1, 2\], expected an array of 4",
        ),
        (
            put(("strata", 0, "guardrails"), {"r": [[1, 0, -1, 0], [0, 0, 0, 0]]}),
            r"guardrails.r\[0\]\[2\] is -1, expected a number of at least 0",
        ),
        (put(("compared",), 5), "expected at most as many agreed rows as compared ones"),
        (put(("seconds",), "long"), "seconds is 'long', expected a finite number"),
    ],
)
def test_damaged_evidence_is_rejected(full, change, message):
    """The message has the path."""
    document = document_of(full)
    change(document)
    with pytest.raises(ConfigurationError, match=message):
        CanaryEvidence.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "7", "NaN", '{"schema_version": 1}'])
def test_invalid_documents_are_rejected(text):
    with pytest.raises(ConfigurationError, match="evidence: "):
        CanaryEvidence.from_json(text)
