"""Accuracy at equal age: late outcomes, unknown delays, declared delays, corrections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import driftline as dl
from driftline._windows.outcome_tables import AGE_EDGES
from driftline.canary import CanaryEvidence, judge_canary
from driftline.errors import ConfigurationError

START, HOUR, DAY = 1_700_000_000, 3_600.0, 86_400.0
BLOCK = 2**12
"""Seconds of the blocks of these tests."""

DELAYS = {"complaints first": (0.0, 10 * DAY), "silence first": (10 * DAY, 0.0), "immediate": (0.0, 0.0)}
"""(delay of wrong outcomes, delay of right ones), in seconds."""


@pytest.fixture
def policy():
    def make(**more):
        nothing = dict.fromkeys(
            ("allowed_error_increase", "allowed_latency_delta", "allowed_prediction_drift", "allowed_feature_drift")
        )
        return dl.CanaryPolicy(**nothing | more)

    return make


@pytest.fixture
def serve_late(outcome_variant, evidence_of):
    """Serve both variants for at most 3 *days* with shares of wrong predictions; return the evidence at the end."""

    def serve(random, days, wrong, delay, per_block=200, history=0, **more):
        blocks, before = int(days * DAY / BLOCK), int(history * DAY / BLOCK)
        sides = []
        for rate in wrong:
            predicted = np.full(blocks + before, per_block)
            bad = random.binomial(predicted, rate)
            ages = (np.arange(blocks + before)[::-1] + 0.5) * BLOCK
            delays = np.zeros((blocks + before, len(AGE_EDGES) + 1), dtype=int)
            seen = []
            for counts, seconds in zip((bad, predicted - bad), delay, strict=True):
                seen.append(np.where(ages >= seconds, counts, 0))
                delays[:, np.searchsorted(AGE_EDGES, seconds, side="right")] += seen[-1]
            # Predictions before the canary have no count, but the outcomes that came since do.
            predicted[:before] = 0
            side = outcome_variant(predicted, seen[0], seen[1], delays=delays, **more)
            sides.append(side)
        evidence = evidence_of(*sides, seconds=blocks * BLOCK)
        return replace(evidence, at=float(((START >> 12) + blocks + before) * BLOCK))

    return serve


def accuracy(evidence, policy):
    (criterion,) = judge_canary(evidence, policy).criteria
    return criterion


@pytest.mark.parametrize("delay", DELAYS)
def test_equal_variants_whose_outcomes_come_late_are_equal(serve_late, policy, delay):
    """Wrong and right outcomes with delays of their own; a third is wrong."""
    criterion = accuracy(serve_late(np.random.default_rng(1), 2.0, (0.33, 0.33), DELAYS[delay], 900), policy())
    assert criterion.state == ("promote" if delay == "immediate" else "inconclusive")
    if delay == "complaints first":
        assert criterion.reason.startswith("wrong so far 3")
        assert "of the predictions at equal age, 5" in criterion.reason
        assert "outcomes still out" in criterion.reason


def test_the_reason_has_shares_of_predictions_of_equal_age(outcome_variant, evidence_of, policy):
    """The candidate began when only early outcomes of the baseline's latest predictions were there."""
    predicted = np.array([[2_000] * 4, [0, 0, 2_000, 2_000]])
    bad = np.array([[900, 900, 200, 200], [0, 0, 400, 400]])
    sides = [outcome_variant(*counts) for counts in zip(predicted, bad, predicted // 2 - bad // 2, strict=True)]
    criterion = accuracy(replace(evidence_of(*sides), at=START + 10 * DAY), policy())
    assert criterion.state == "rollback"
    assert criterion.value == pytest.approx(0.1)
    assert criterion.reason.startswith("wrong so far 20.00% against 10.00% of the predictions at equal age, ")


def test_more_complaints_at_equal_age_are_harm(serve_late, policy):
    evidence = serve_late(np.random.default_rng(2), 1.0, (0.2, 0.4), DELAYS["complaints first"])
    criterion = accuracy(evidence, policy())
    assert criterion.state == "rollback"
    assert criterion.value == pytest.approx(0.2, abs=0.03)


def test_a_worse_candidate_whose_complaints_come_late_is_not_promoted(serve_late, policy):
    """All outcomes that have come are right, and it is not known what will."""
    evidence = serve_late(np.random.default_rng(3), 2.0, (0.2, 0.4), DELAYS["silence first"])
    criterion = accuracy(evidence, policy())
    assert criterion.state == "inconclusive"
    assert criterion.reason.endswith(
        'no promotion before it is known how late outcomes come: set outcomes_after, such as "7d"'
    )
    assert criterion.upper is None


def test_complaints_that_come_late_are_harm_before_all_have_come(serve_late, policy):
    """Half of the blocks have shown their complaints. The difference between blocks of different age is no variance."""
    evidence = serve_late(np.random.default_rng(12), 3.0, (0.2, 0.4), (1.5 * DAY, 0.0), 100)
    assert accuracy(evidence, policy()).state == "rollback"


def test_a_declared_age_waits_for_both_decisions(serve_late, policy):
    random = np.random.default_rng(4)
    declared = policy(outcomes_after="10d")
    for wrong, state in (((0.2, 0.4), "rollback"), ((0.3, 0.2), "promote")):
        early = serve_late(random, 3.0, wrong, DELAYS["silence first"])
        assert accuracy(early, declared).reason.startswith("accuracy: no promotion before predictions of both")
        assert accuracy(serve_late(random, 3.0, wrong, (HOUR, HOUR)), policy(outcomes_after="2h")).state == state


def test_the_age_is_learned_from_outcomes_that_have_nearly_all_come(serve_late, policy):
    """Outcomes come after half an hour. The last blocks are still out, and do not count for a promotion."""
    evidence = serve_late(np.random.default_rng(5), 2.0, (0.3, 0.2), (0.5 * HOUR, 0.8 * HOUR))
    late = replace(evidence, at=evidence.at + 1.0)
    criterion = accuracy(late, policy())
    assert criterion.state == "promote"


def test_outcomes_of_predictions_before_the_canary_do_not_count(serve_late, policy):
    """The baseline's complaints of earlier days come now; the candidate has no earlier days."""
    evidence = serve_late(np.random.default_rng(6), 1.0, (0.3, 0.3), (0.0, 0.0), 2_000, history=1.0)
    (stratum,) = evidence.strata
    tables = stratum.candidate.outcome_tables
    began = (evidence.at - evidence.seconds) / BLOCK - tables.predictions.first
    counts = tables.predictions.counts.copy()
    counts[: int(began)] = 0
    young = replace(tables, predictions=replace(tables.predictions, counts=counts))
    alone = replace(stratum, candidate=replace(stratum.candidate, outcome_tables=young))
    criterion = accuracy(replace(evidence, strata=(alone,)), policy())
    assert criterion.rows == pytest.approx(21 * 2_000, abs=2_000)
    assert criterion.state == "promote"


def test_corrections_may_make_counts_negative(outcome_variant, evidence_of, policy):
    bad = np.array([40, -3, 40, 41])
    side = outcome_variant(np.full(4, 100), bad, 100 - bad)
    criterion = accuracy(replace(evidence_of(side, side), at=START + 10 * DAY), policy())
    assert criterion.value == 0.0


def test_more_outcomes_than_predictions_are_no_more_than_all(outcome_variant, evidence_of, policy):
    side = outcome_variant(np.array([5, 0, 100]), np.array([90, 80, 20]), np.array([0, 9, 80]))
    criterion = accuracy(replace(evidence_of(side, side), at=START + 10 * DAY), policy())
    assert criterion.rows == 105
    assert criterion.value == 0.0


def test_sticky_keys_have_a_design_effect_of_outcomes(outcome_variant, evidence_of, policy):
    """A key that is always wrong counts less than as many independent predictions."""
    keys = np.zeros((2, 128, 3), dtype=np.int64)
    keys[:, :, 0] = 100
    keys[0, :20, 1], keys[1, :30, 1] = 100, 100
    keys[:, :, 2] = keys[:, :, 0] - keys[:, :, 1]
    predicted = np.full(64, 200)
    states = {}
    for keyed in (True, False):
        sides = []
        for side in (0, 1):
            wrong = int(keys[side, :, 1].sum())
            bad = np.full(64, wrong // 64) + (np.arange(64) < wrong % 64)
            sides.append(outcome_variant(predicted, bad, predicted - bad, keys=keys[side] if keyed else None))
        states[keyed] = accuracy(replace(evidence_of(*sides, sticky=keyed), at=START + 10 * DAY), policy()).state
    assert states == {True: "inconclusive", False: "rollback"}


def test_other_rates_are_compared_at_equal_age(outcome_variant, evidence_of, policy):
    """Recall by the time of the prediction: equal at each age, and different over all ages."""
    hits = np.array([[90, 100], [10, 100]])
    predicted, none = np.full(2, 200), np.zeros(2, dtype=int)
    sides = [
        outcome_variant(predicted, none, predicted, rates={"recall True": hits * factor[:, None]})
        for factor in (np.array([9, 1]), np.array([1, 9]))
    ]
    guarded = policy(allowed_accuracy_drop=None, rates={"recall True": dl.Guardrail(0.05, kind="rate")})
    criterion = accuracy(replace(evidence_of(*sides), at=START + 10 * DAY), guarded)
    assert criterion.value == pytest.approx(0.0)
    assert criterion.rows == 1_000
    assert criterion.state != "rollback"


def test_without_tables_outcomes_are_compared_as_they_are(variant, evidence_of, policy):
    pair = variant(900, known=400, correct=240), variant(900, known=400, correct=370)
    criterion = accuracy(evidence_of(*pair), policy())
    assert criterion.state == "promote"
    assert criterion.reason.startswith("accuracy 92.50% against 60.00%")


def test_the_time_of_the_reading_is_the_latest_and_goes_to_json(outcome_variant, evidence_of):
    side = outcome_variant(np.array([4]), np.array([1]), np.array([3]))
    early, late = (replace(evidence_of(side, side), at=at) for at in (5.0, 9.0))
    assert (early + late).at == (late + early).at == 9.0
    assert CanaryEvidence.from_json(late.to_json()).at == 9.0


def test_an_age_is_a_positive_duration():
    with pytest.raises(ConfigurationError, match=r"outcomes_after='soon': expected a positive duration"):
        dl.CanaryPolicy(outcomes_after="soon")
    assert dl.CanaryPolicy.from_json('{"outcomes_after": "7d"}').outcomes_after == 7 * DAY
