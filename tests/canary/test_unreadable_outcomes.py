"""Outcomes that cannot be read keep a canary from deciding by the others, which are a biased part."""

from __future__ import annotations

import pytest

import driftline as dl
from driftline.canary import CanaryEvidence, Guardrail, judge_canary
from driftline.canary._variant_evidence import describe_unreadable

POLICY = dl.CanaryPolicy(allowed_accuracy_drop=0.02, rates={"recall True": Guardrail(0.02, better="higher")})


@pytest.fixture
def pair(make_monitor):
    """Two monitors that log errors, as in production."""
    return [make_monitor("m", version=version, synchronous=True, on_error="log") for version in "12"]


def report(monitor, row, actuals):
    """Serve predictions of 0.9, and report their outcomes."""
    ids = [f"{monitor.variant_attributes['ml.model.version']} {number}" for number in range(len(actuals))]
    monitor.observe({name: [value] * len(ids) for name, value in row.items()}, [0.9] * len(ids), prediction_ids=ids)
    monitor.outcomes(ids, actuals)
    monitor.flush()


def outcome_criteria(verdict):
    """Return the criteria that outcomes decide, by name."""
    return {each.name: each for each in verdict.criteria if each.name in {"accuracy", "recall True"}}


@pytest.mark.parametrize("side", ["baseline", "candidate", "both"])
def test_outcomes_of_which_some_cannot_be_read_decide_nothing(pair, row, side):
    """Whichever variant has them. The reason says how many there are, and what to do."""
    sides = {"baseline": {0}, "candidate": {1}, "both": {0, 1}}[side]
    canary = dl.Canary(*pair, POLICY)
    for index, monitor in enumerate(pair):
        unreadable = ["a label", "another"] if index in sides else []
        # All outcomes that can be read are wrong for one variant, and right for the other.
        report(monitor, row, [*[index == 0] * 400, *unreadable])
    criteria = outcome_criteria(canary.verdict())
    assert {name: criterion.state for name, criterion in criteria.items()} == dict.fromkeys(criteria, "inconclusive")
    assert set(criteria) == {"accuracy", "recall True"}
    for criterion in criteria.values():
        for name, index in (("baseline", 0), ("candidate", 1)):
            assert (f"2 outcomes of the {name}" in criterion.reason) == (index in sides)
        assert "OutcomePolicy" in criterion.reason
    evidence = canary.evidence()
    assert [variant.unreadable for variant in evidence.pooled()] == [2 * (index in sides) for index in (0, 1)]
    again = CanaryEvidence.from_json(evidence.to_json())
    assert judge_canary(again, POLICY).criteria == canary.verdict().criteria


def test_outcomes_that_could_all_be_read_decide(pair, row):
    """Unreadable ones of before the canary do not matter, nor one that is corrected to a label."""
    for monitor in pair:
        report(monitor, row, ["a label"])
    canary = dl.Canary(*pair, POLICY)
    assert describe_unreadable(candidate=canary.evidence().pooled()[1].unreadable) == ""
    for index, monitor in enumerate(pair):
        monitor.observe({name: [value] for name, value in row.items()}, [0.9], prediction_ids=["corrected"])
        monitor.outcome("corrected", "a label")
        report(monitor, row, [index == 0] * 400)
    assert outcome_criteria(canary.verdict())["accuracy"].state == "inconclusive"
    for monitor in pair:
        monitor.outcome("corrected", actual=True)
    assert outcome_criteria(canary.verdict())["accuracy"].state == "rollback"


def test_thresholds_do_not_decide_by_the_others_either(pair, row):
    canary = dl.Canary(*pair, dl.ThresholdPolicy(min_accuracy=0.8))
    for monitor in pair:
        report(monitor, row, [*[False] * 400, "a label"])
    (accuracy,) = outcome_criteria(canary.verdict()).values()
    assert accuracy.state == "inconclusive"
    assert "1 outcomes of the candidate could not be read" in accuracy.reason
