"""Evidence adds up, and its JSON is read again or refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from driftline import ConfigurationError
from driftline.canary import CanaryEvidence, Moments


@pytest.fixture
def full(made, evidence_of):
    """Evidence with something in every part."""
    more = {
        "rates": {"precision": (8, 10)},
        "features": {"age": np.array([1, 2, 3])},
        "unordered": frozenset({"prediction"}),
        "batches": 2,
    }
    return evidence_of(
        made(100, failed=3, known=50, correct=40, predictions=[5, 6], **more),
        made(20, failed=1, known=10, correct=9, predictions=[1, 2], **more),
        0.2,
        sticky=True,
        seconds=12.5,
        guardrails={"revenue": (Moments.of([1.0, 2.0]), Moments.of([3.0]))},
        compared=7,
        agreed=6,
    )


def as_text(evidence):
    return json.loads(evidence.to_json())


def test_a_trial_is_a_call(made):
    """Calls are those that returned, those that raised, and batches that were none; rows are something else."""
    one = made(10, failed=2, batches=3)
    assert (one.calls, one.rows, one.error_rate) == (13, 10, 0.2)


def test_evidence_adds_up_in_every_part(full):
    """Twice the same is twice the counts, and the longer time."""
    twice = full + full
    (stratum,) = twice.strata
    assert (stratum.share, stratum.sticky) == (0.2, True)
    assert stratum.baseline.calls == 2 * full.strata[0].baseline.calls
    assert stratum.baseline.rates == {"precision": (16, 20)}
    assert stratum.candidate.features["age"].tolist() == [2, 4, 6]
    assert stratum.candidate.predictions.tolist() == [2, 4]
    assert stratum.guardrails["revenue"][0].count == 4
    assert (twice.compared, twice.agreed, twice.seconds) == (14, 12, 12.5)


def test_shares_are_strata_of_their_own(made, evidence_of):
    """What was counted at another share, or with keys, is kept apart; all of it is pooled on request."""
    parts = [
        evidence_of(made(10), made(5), share, sticky=sticky)
        for share, sticky in ((0.1, False), (0.2, False), (0.2, True))
    ]
    total = sum(parts, start=CanaryEvidence())
    assert [(one.share, one.sticky) for one in total.strata] == [(0.1, False), (0.2, False), (0.2, True)]
    baseline, candidate = total.pooled()
    assert (baseline.calls, candidate.calls) == (30, 15)
    assert CanaryEvidence().pooled() is None


def test_what_was_before_is_subtracted(full):
    """Evidence since a start; what is equal leaves nothing."""
    one = full.strata[0].baseline
    nothing = one - one
    assert (nothing.calls, nothing.known, nothing.batches, nothing.failed_calls) == (0, 0, 0, 0)
    assert nothing.rates == {"precision": (0, 0)}
    assert not nothing.features["age"].any()
    assert one.empty().edges == one.edges


def test_different_bins_do_not_add_up(made):
    """Of a feature, of the prediction, of durations: the message says which."""
    for name, a, b in (
        ("'age'", made(features={"age": np.array([1])}), made(features={"age": np.array([1, 2])})),
        ("'prediction'", made(predictions=[1]), made(predictions=[1, 2])),
    ):
        with pytest.raises(ConfigurationError, match=f"over different bins of {name} does not add up"):
            a + b


def test_json_is_read_again(full):
    """Every part, durations and edges exactly."""
    again = CanaryEvidence.from_json(full.to_json())
    assert again.to_json() == full.to_json()
    assert again.strata[0].baseline.edges == full.strata[0].baseline.edges
    assert np.array_equal(again.strata[0].baseline.durations, full.strata[0].baseline.durations)
    assert again.strata[0].guardrails == full.strata[0].guardrails
    assert (again + full).strata[0].baseline.calls == 2 * full.strata[0].baseline.calls


def test_other_edges_are_written_out(full):
    """Edges that are not even on a logarithmic scale."""
    given = as_text(full)
    given["strata"][0]["baseline"] |= {"edges": [0.1, 0.5, 2.0], "durations": {"3": 4}}
    again = CanaryEvidence.from_json(json.dumps(given))
    assert again.strata[0].baseline.edges == (0.1, 0.5, 2.0)
    assert CanaryEvidence.from_json(again.to_json()).strata[0].baseline.durations.tolist() == [0, 0, 0, 4]


def put(path, value):
    """Change one place of the JSON."""

    def change(given):
        *way, last = path
        for step in way:
            given = given[step]
        given[last] = value

    return change


B = ("strata", 0, "baseline")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(("schema_version",), 2), "expected an object with schema_version 1"),
        (put(("strata",), {}), "strata: expected list, not dict"),
        (put(("strata", 0), 7), r"strata\[0\]: expected dict, not int"),
        (put(("strata", 0, "share"), 1.5), r"strata\[0\].share: expected a number from 0 to 1 or null"),
        (put(("strata", 0, "sticky"), "no"), r"strata\[0\].sticky: expected bool, not str"),
        (put((*B, "served"), -1), r"baseline.served: expected a whole number of at least 0, not -1"),
        (put((*B, "failed_calls"), 1.5), r"baseline.failed_calls: expected a whole number"),
        (put((*B, "known"), True), r"baseline.known: expected a whole number"),
        (put((*B, "correct"), 51), r"baseline.correct: 51 of 50"),
        (put((*B, "edges"), [2.0, 1.0]), r"baseline.edges: expected at most 100000 ascending numbers"),
        (put((*B, "edges"), {"from": 0, "to": 1, "count": 10**9}), r"baseline.edges: 1000000000 edges"),
        (put((*B, "edges"), {"from": 0, "to": 1e9, "count": 10}), r"baseline.edges: 10 edges"),
        (put((*B, "edges"), {"from": 0}), r"baseline.edges.to: expected a finite number, not None"),
        (put((*B, "durations"), {"5000": 1}), r"baseline.durations: '5000' is no bin of 902"),
        (put((*B, "durations"), {"-1": 1}), r"baseline.durations: '-1' is no bin of 902"),
        (put((*B, "durations"), {"1": "x"}), r"baseline.durations\[1\]: expected a whole number"),
        (put((*B, "predictions"), [1, -1]), r"baseline.predictions: expected a whole number"),
        (put((*B, "rates"), {"p": [2, 1]}), r"baseline.rates.p: 2 of 1"),
        (put((*B, "rates"), {"p": [2]}), r"baseline.rates.p: expected a pair"),
        (put((*B, "features"), {"age": 3}), r"baseline.features.age: expected list, not int"),
        (put((*B, "unordered"), [1]), r"baseline.unordered: expected str, not int"),
        (put(("strata", 0, "guardrails"), {"r": [[1, 2, 3]]}), r"guardrails.r: expected a pair"),
        (put(("strata", 0, "guardrails"), {"r": [[1, 2], [1]]}), r"guardrails.r: expected 4 numbers"),
        (
            put(("strata", 0, "guardrails"), {"r": [[1, 0, -1, 0], [0, 0, 0, 0]]}),
            r"guardrails.r: squares are at least 0",
        ),
        (put(("compared",), 5), "agreed: 6 of 5"),
        (put(("seconds",), "long"), "seconds: expected a finite number, not long"),
    ],
)
def test_damaged_evidence_is_refused(full, change, message):
    """The message says where."""
    given = as_text(full)
    change(given)
    with pytest.raises(ConfigurationError, match=message):
        CanaryEvidence.from_json(json.dumps(given))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "7", "NaN", '{"schema_version": 1}'])
def test_what_is_no_evidence_is_refused(text):
    """However it is broken."""
    with pytest.raises(ConfigurationError, match="evidence: "):
        CanaryEvidence.from_json(text)
